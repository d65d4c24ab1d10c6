"""Kernels against attention as written down, at odd lengths, in windows, after held positions."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from engine.attention import probe
from engine.attention.choice import Shape
from engine.attention.kernels import KERNELS, Kernel, bounds, sunk
from engine.attention.layer_step import LayerStep, Scoring
from engine.protocol import NOT_OBSERVED

CPU = torch.device("cpu")


def reference(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, window: int
) -> torch.Tensor:
    """Position by position in float64, with no code shared with the kernels."""
    tokens, heads, size = query.shape
    total, groups = keys.shape[0], heads // keys.shape[1]
    out = torch.zeros(tokens, heads, size, dtype=torch.float64)
    for row in range(tokens):
        at = total - tokens + row
        first = max(0, at - window + 1) if window else 0
        for head in range(heads):
            seen = keys[first : at + 1, head // groups].double()
            weights = (seen @ query[row, head].double() * size**-0.5).softmax(0)
            out[row, head] = weights @ values[first : at + 1, head // groups].double()
    return out


@pytest.mark.parametrize("kernel", ["sdpa", "math"])
@pytest.mark.parametrize("window", [0, 1, 5, 64])
@pytest.mark.parametrize(("held", "tokens"), [(0, 1), (0, 13), (29, 1), (29, 13)])
def test_kernel_matches_the_definition(kernel: str, window: int, held: int, tokens: int) -> None:
    heads, kv_heads, size, span = 6, 2, 16, 64
    query = torch.randn(1, tokens, heads, size)
    key, value = torch.randn(2, 1, tokens, kv_heads, size).unbind(0)
    keys, values = torch.randn(2, 1, span, kv_heads, size).unbind(0)
    lengths = torch.tensor([held], dtype=torch.int32)
    step = LayerStep(
        keys, values, held, lengths, lengths + tokens, torch.arange(held, held + tokens)
    )
    out = KERNELS[kernel](query, key, value, step, Scoring(size**-0.5, window))

    assert torch.equal(keys[0, held : held + tokens], key[0])
    total = held + tokens
    expected = reference(query[0], keys[0, :total], values[0, :total], window)
    torch.testing.assert_close(out[0].double(), expected, rtol=1e-5, atol=1e-5)


def test_softcap_bounds_the_logits() -> None:
    query = torch.full((1, 1, 1, 8), 100.0)
    keys = torch.stack([torch.full((1, 8), 100.0), torch.full((1, 8), -100.0)])[None]
    values = torch.tensor([[1.0], [0.0]]).expand(2, 8)[None, :, None].clone()
    step = LayerStep(keys, values, 1, torch.tensor([1]), torch.tensor([2]), torch.tensor([1]))
    key, value = keys[:, 1:].clone(), values[:, 1:].clone()
    out = KERNELS["math"](query, key, value, step, Scoring(1.0, softcap=2.0))
    expected = torch.tensor([2.0, -2.0]).softmax(0)[0]
    torch.testing.assert_close(out.flatten()[0], expected)


def test_observation_names_what_the_profiler_recorded() -> None:
    q = torch.randn(1, 2, 3, 16)
    seen = probe.observe(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q))
    assert "flash_attention_for_cpu" in seen.label
    assert not seen.flash, "a CPU kernel of that name is not a CUDA flash kernel"


@pytest.mark.parametrize(
    ("name", "label", "flash"),
    [
        ("void pytorch_flash::flash_fwd_splitkv_kernel<Flash_fwd_kernel_traits>", "torch's", True),
        ("void flash::flash_fwd_kernel<Flash_fwd_kernel_traits>", "flash-attn's", True),
        ("fmha_cutlassF_bf16_aligned_64x64_rf_sm80", "memory-efficient", False),
        ("void cublasLt::gemm", NOT_OBSERVED, False),
    ],
)
def test_kernel_names_are_told_apart(name: str, label: str, flash: bool) -> None:
    seen = probe.identify(["aten::mm", name])
    assert label in seen.label
    assert seen.flash == flash


def test_check_finds_a_kernel_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Shape(6, 2, 16, torch.float32, windows=(0, 8))
    assert probe.check("sdpa", shape, CPU, 5) < probe.TOLERANCE[torch.float32]
    right = KERNELS["sdpa"]

    def without_window(*args: Any) -> torch.Tensor:
        return right(*args[:-1], dataclasses.replace(args[-1], window=0))

    monkeypatch.setitem(KERNELS, "sdpa", Kernel(without_window))
    assert probe.check("sdpa", shape, CPU, 5) > 0.01


def test_sinks_take_their_share_of_the_softmax() -> None:
    query, key, value = (torch.randn(1, 3, heads, 8) for heads in (4, 2, 2))
    keys, values = torch.zeros(2, 1, 16, 2, 8).unbind(0)
    step = LayerStep(keys, values, 0, torch.tensor([0]), torch.tensor([3]), torch.arange(3))
    sinks = torch.tensor([0.5, -1.0, 3.0, 0.0])
    out = KERNELS["math"](query, key, value, step, Scoring(0.3, sinks=sinks))[0]
    for row in range(3):
        for head in range(4):
            scores = key[0, : row + 1, head // 2] @ query[0, row, head] * 0.3
            weights = torch.cat([scores, sinks[head : head + 1]]).softmax(0)[:-1]
            torch.testing.assert_close(out[row, head], weights @ value[0, : row + 1, head // 2])


def test_sinks_are_the_plain_output_less_their_share() -> None:
    out, sinks = torch.randn(1, 2, 3, 8), torch.tensor([0.5, -1.0, 3.0])
    scores = torch.randn(3, 2, 5)
    share = scores.exp().sum(-1) / (scores.exp().sum(-1) + sinks[:, None].exp())
    found = sunk(out, scores.logsumexp(-1), sinks)
    torch.testing.assert_close(found, out * share.t()[None, :, :, None])


def test_bounds_stay_where_a_captured_step_reads_them() -> None:
    first = bounds(1, CPU)
    for tokens in range(2, 300):
        bounds(tokens, CPU)
    assert bounds(1, CPU) is first


def test_two_runs_are_told_apart_only_where_they_differ_and_were_seen() -> None:
    plain, split = probe.Observation("one kernel", True), probe.Observation("another", True)
    off, unseen = probe.Observation("a third", False), probe.Observation(NOT_OBSERVED, False)
    assert probe.both(plain, plain) == plain
    assert probe.both(plain, split) == probe.Observation("one kernel and another", True)
    assert not probe.both(plain, off).flash
    assert probe.both(plain, unseen) == probe.both(unseen, plain) == unseen
