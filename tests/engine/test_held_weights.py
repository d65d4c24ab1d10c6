"""What is told of the weights of a loaded model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.kernels import blocks
from engine.loading import load as loading
from engine.local import held_weights
from tests.engine import gguf_models
from tests.engine.family_models import MODELS
from tests.engine.loading.test_gguf_in_blocks import mixed


@pytest.mark.parametrize("in_blocks", [False, True])
def test_formats_of_blocks_are_named_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, in_blocks: bool
) -> None:
    monkeypatch.setattr(blocks, "run_on", lambda *_: in_blocks)
    path = gguf_models.write(tmp_path / "tiny.gguf", MODELS["llama"].make(), type_of=mixed)
    model = loading.load(
        path, device=torch.device("cpu"), dtype=torch.bfloat16, progress=lambda *_: None
    ).model
    found = held_weights.told(model, "Q8_0")
    assert found.stored == "Q8_0"
    assert found.computed == "bfloat16"
    assert found.held == ("Q8_0, Q5_1" if in_blocks else "bfloat16")
    assert found.held_bytes == sum(tensor.nbytes for tensor in model.tensors())
    values = sum(tensor.numel() for tensor in model.published().values())
    assert found.written_out_bytes == 2 * values
