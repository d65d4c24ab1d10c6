"""Published shapes: their size, and that a model of random weights runs."""

from __future__ import annotations

import pytest
import torch

from engine.bench import shapes, subject
from engine.bench.measure import measure
from engine.bench.result import Measurement
from engine.bench.settings import Settings
from engine.bench.shapes import SHAPES, PublishedShape
from engine.loading import families
from tests.engine import tiny


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("llama-3.2-1b", 1_235_814_400),
        ("llama-3.1-8b", 8_030_261_248),
        ("gemma-3-4b", 3_880_263_168),
    ],
)
def test_shape_has_as_many_parameters_as_published(name: str, parameters: int) -> None:
    shape = SHAPES[name]
    meta = torch.device("meta")
    drawn = shapes.drawn(shape, shape.config(), meta, torch.bfloat16)
    assert sum(weight.numel() for _, weight in drawn) == parameters


@pytest.mark.parametrize("family", ["llama", "gemma3_text"])
def test_random_weights_are_measured(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**tiny.SIZES, "tie_word_embeddings": True}
    made = PublishedShape(families.of_name(family), settings, norm=float(family == "llama"))
    monkeypatch.setitem(SHAPES, "tiny", made)
    opened = subject.of_shape("tiny")
    asked = Settings(contexts=(8,), attention=("sdpa",), rounds=1, new_tokens=2)
    found = [one for one in measure(opened, asked) if isinstance(one, Measurement)]
    assert {one.what for one in found if one.figure} >= {"prefill", "first_token", "decode"}
    assert opened.described().random_weights
