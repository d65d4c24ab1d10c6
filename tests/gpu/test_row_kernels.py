"""The kernels for one row against torch in float32, at odd sizes, in both half precisions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.attention.kernels import one_row_kernels
from engine.fusion import ACTIVATIONS, halves_rotated

rows: Any = one_row_kernels()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
    pytest.mark.skipif(rows is None, reason="Triton is not installed"),
    pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16]),
]
SIZES = [(5, 64), (300, 100), (1000, 4096), (4096, 14_336)]


def draw(dtype: torch.dtype, *size: int) -> Tensor:
    return torch.randn(size, device="cuda").to(dtype)


def close(found: Tensor, expected: Tensor) -> None:
    error = (found.float() - expected).norm() / expected.norm()
    assert float(error) < 5e-3


@pytest.mark.parametrize(("size", "columns"), SIZES)
@pytest.mark.parametrize("biased", [False, True])
def test_linear(dtype: torch.dtype, size: int, columns: int, biased: bool) -> None:
    x, weight = draw(dtype, 1, 1, columns), draw(dtype, size, columns)
    bias = draw(dtype, size) if biased else None
    expected = functional.linear(x.float(), weight.float(), None if bias is None else bias.float())
    close(rows.linear(x, weight, bias), expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("size", "columns"), SIZES)
def test_gate_up(dtype: torch.dtype, size: int, columns: int, activation: str) -> None:
    x, weight = draw(dtype, 1, 1, columns), draw(dtype, 2 * size, columns) * columns**-0.5
    gate, up = functional.linear(x.float(), weight.float()).chunk(2, -1)
    close(rows.gate_up(x, weight, activation), ACTIVATIONS[activation](gate) * up)


@pytest.mark.parametrize("offset", [0.0, 1.0])
@pytest.mark.parametrize("shape", [(1, 1, 4096), (1, 1, 8, 128), (1, 1, 5, 100)])
def test_norm(dtype: torch.dtype, shape: tuple[int, ...], offset: float) -> None:
    x, weight = draw(dtype, *shape), draw(dtype, shape[-1])
    values = x.float()
    normed = values * torch.rsqrt(values.pow(2).mean(-1, keepdim=True) + 1e-6)
    close(rows.norm(x, weight, 1e-6, offset), normed * (weight.float() + offset))


@pytest.mark.parametrize(("size", "rotated"), [(64, 64), (80, 32), (128, 96), (256, 256)])
def test_rope(dtype: torch.dtype, size: int, rotated: int) -> None:
    query = draw(dtype, 1, 1, 9, size).transpose(1, 2)
    key = draw(dtype, 1, 1, 3, size).transpose(1, 2)
    cosine, sine = draw(dtype, 1, 1, rotated), draw(dtype, 1, 1, rotated)
    for found, x in zip(rows.rope(query, key, cosine, sine), (query, key), strict=True):
        close(found, halves_rotated(x.float(), cosine.float(), sine.float()))


def test_append(dtype: torch.dtype) -> None:
    buffers = torch.zeros(2, 1, 16, 3, 80, device="cuda", dtype=dtype)
    key, value = draw(dtype, 2, 1, 1, 3, 80).unbind(0)
    rows.append(key, value, buffers[0], buffers[1], torch.tensor([5], device="cuda"))
    assert torch.equal(buffers[0, 0, 5], key[0, 0])
    assert torch.equal(buffers[1, 0, 5], value[0, 0])
    assert torch.count_nonzero(buffers.any(-1).any(-1)) == 2
