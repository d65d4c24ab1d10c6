"""GGUF files whose weights stay in blocks: exact to the values of the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.catalog import listing
from engine.formats.registry import FORMATS
from engine.kernels import blocks, cpu
from engine.loading import load as loading
from engine.loading.checkpoint import Checkpoint
from engine.modeling import block_kernels
from tests.engine import gguf_models, tiny
from tests.engine.loading.test_gguf_families import CASES, logits

CPU = torch.device("cpu")
KINDS = (
    "llama",
    "phi-fused",
    "phi3",
    "gemma3",
    "stablelm",
    "cohere",
    "granitemoeshared",
    "mixtral-of-old",
    "deepseek_v2",
    "glm-fused",
    "gpt_oss",
)
"""A family of each way in which tensors become parameters: in halves, in thirds, expert by expert,
transposed, turned for rotary pairs, tied, with a bias."""
REAL = ("smollm2-135m-instruct", "gemma-3-270m")


def load(path: Path, monkeypatch: pytest.MonkeyPatch, *, in_blocks: bool) -> Checkpoint:
    """As on a device with kernels for blocks, or on one without; computed by torch alone."""
    monkeypatch.setattr(blocks, "run_on", lambda *_: in_blocks)
    monkeypatch.setattr(cpu, "library", lambda: None)
    monkeypatch.setattr(block_kernels, "wrong", lambda _: {})
    return loading.load(path, device=CPU, dtype=torch.float32, progress=lambda *_: None)


def mixed(name: str) -> str:
    """Values in a type of their own, as Q4_K_M has them."""
    return "Q5_1" if "attn_v" in name or "ffn_down" in name else "Q8_0"


@pytest.mark.parametrize("name", KINDS)
def test_a_model_says_the_same_from_blocks(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    path = gguf_models.write(tmp_path / "tiny.gguf", case.model.make(), case.options, type_of=mixed)
    written_out, in_blocks = (load(path, monkeypatch, in_blocks=each) for each in (False, True))
    assert {part.form.name for part in in_blocks.model.in_blocks()} == {"Q5_1", "Q8_0"}
    tokens = tiny.tokens_of(61)
    torch.testing.assert_close(
        logits(in_blocks, tokens), logits(written_out, tokens), rtol=1e-4, atol=1e-4
    )


def test_a_type_without_a_format_is_held_in_8_bits_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = gguf_models.write(tmp_path / "tiny.gguf", CASES["llama"].model.make(), type_of=mixed)
    written_out = load(path, monkeypatch, in_blocks=False)
    monkeypatch.delitem(FORMATS, "Q5_1")
    found = load(path, monkeypatch, in_blocks=True)
    assert {part.form.name for part in found.model.in_blocks()} == {"Q8_0"}
    assert found.notes[0] == "Its weights in Q5_1 are held as Q8_0, in 8 bits."
    tokens = tiny.tokens_of(61)
    wanted = logits(written_out, tokens)
    assert float((logits(found, tokens) - wanted).norm() / wanted.norm()) < 0.02


@pytest.mark.parametrize("model", REAL)
def test_a_real_model_has_the_weights_of_its_file_in_a_fifth_of_the_memory(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = listing.resolve(model)
    written_out, in_blocks = (load(path, monkeypatch, in_blocks=each) for each in (False, True))
    wanted, found = written_out.model.published(), in_blocks.model.published()
    assert [name for name in wanted if not torch.equal(wanted[name], found[name])] == []
    taken = [
        sum(tensor.nbytes for tensor in one.model.tensors()) for one in (written_out, in_blocks)
    ]
    assert taken[1] < 0.3 * taken[0]
