"""The kernels for one row against torch in float32, at odd sizes, in both half precisions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.kernels.available import own_kernels
from engine.kernels.prologue import Norm
from tests.engine.modeling.test_own_kernels import ACTIVATIONS
from tests.gpu.kernel_checks import close, draw, rms_normed

rows: Any = own_kernels()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
    pytest.mark.skipif(rows is None, reason="Triton is not installed"),
    pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16]),
]
SIZES = [(5, 64), (300, 100), (1000, 4096), (4096, 14_336)]


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


@pytest.mark.parametrize(("size", "columns"), SIZES)
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_a_norm_before_and_a_sum_after(
    dtype: torch.dtype, size: int, columns: int, offset: float
) -> None:
    x, weight = draw(dtype, 1, 1, columns), draw(dtype, size, columns) * columns**-0.5
    norm, residual = Norm(draw(dtype, columns), 1e-6, offset), draw(dtype, 1, 1, size)
    expected = functional.linear(rms_normed(x, norm), weight.float())
    close(rows.linear(x, weight, None, norm), expected)
    close(rows.linear(x, weight, None, norm, residual), expected + residual.float())
    close(rows.linear(x, weight, residual[0, 0], None, residual),
          functional.linear(x.float(), weight.float()) + 2 * residual.float())  # fmt: skip
    both = torch.cat([weight, weight.flip(0)])
    gate, up = functional.linear(rms_normed(x, norm), both.float()).chunk(2, -1)
    close(rows.gate_up(x, both, "silu", norm), functional.silu(gate) * up)


def test_launches_that_begin_early_read_what_those_before_them_wrote(dtype: torch.dtype) -> None:
    """A long chain in one graph, replayed: each product reads the one before it."""
    size, steps = 1024, 200
    weights = [draw(dtype, size, size) * size**-0.5 for _ in range(4)]
    norm = Norm(torch.ones(size, device="cuda", dtype=dtype), 1e-6, 0.0)
    first = draw(dtype, 1, size)

    def chain() -> Tensor:
        x = first
        for step in range(steps):
            x = rows.norm(rows.linear(x, weights[step % 4], None, norm), norm, x)
        return x

    expected = chain()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = chain()
    for _ in range(20):
        graph.replay()
        assert torch.equal(found, expected)


def test_append(dtype: torch.dtype) -> None:
    buffers = torch.zeros(2, 1, 16, 3, 80, device="cuda", dtype=dtype)
    key, value = draw(dtype, 2, 1, 1, 3, 80).unbind(0)
    rows.append(key, value, buffers[0], buffers[1], torch.tensor([5], device="cuda"))
    assert torch.equal(buffers[0, 0, 5], key[0, 0])
    assert torch.equal(buffers[1, 0, 5], value[0, 0])
    assert torch.count_nonzero(buffers.any(-1).any(-1)) == 2
