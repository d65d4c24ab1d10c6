"""Norms, rotation and gated activation against torch in float32, for one token and for many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.kernels.available import own_kernels
from engine.kernels.prologue import Norm
from tests.engine.modeling.test_own_kernels import ACTIVATIONS, halves_rotated
from tests.gpu.kernel_checks import close, draw, rms_normed

tokens: Any = own_kernels()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
    pytest.mark.skipif(tokens is None, reason="Triton is not installed"),
    pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16]),
]


@pytest.mark.parametrize("offset", [0.0, 1.0])
@pytest.mark.parametrize(
    "shape",
    [(1, 1, 4096), (1, 1, 8, 128), (1, 1, 5, 100), (1, 777, 2560), (1, 1023, 7, 64), (3, 2, 5, 80)],
)
def test_norm(dtype: torch.dtype, shape: tuple[int, ...], offset: float) -> None:
    x, by = draw(dtype, *shape), Norm(draw(dtype, shape[-1]), 1e-6, offset)
    expected = rms_normed(x, by)
    close(tokens.norm(x, by), expected)
    residual = draw(dtype, *shape)
    close(tokens.norm(x, by, residual), residual.float() + expected)


def of_heads(whole: Tensor) -> Tensor:
    return whole[..., :640].view(1, -1, 5, 128)


def of_tokens(whole: Tensor) -> Tensor:
    return whole[..., 640:]


def of_heads_first(whole: Tensor) -> Tensor:
    return of_heads(whole).transpose(1, 2)


def of_every_other(whole: Tensor) -> Tensor:
    return whole[..., ::2]


@pytest.mark.parametrize("part", [of_heads, of_tokens, of_heads_first, of_every_other])
@pytest.mark.parametrize("count", [1, 3, 500])
def test_norm_of_a_part_of_another_tensor(
    dtype: torch.dtype, count: int, part: Callable[[Tensor], Tensor]
) -> None:
    """As what is projected at once comes to it."""
    x = part(draw(dtype, 1, count, 1024))
    by = Norm(draw(dtype, x.shape[-1]), 1e-5, 0.0)
    close(tokens.norm(x, by), rms_normed(x, by))


@pytest.mark.parametrize(("size", "rotated"), [(64, 64), (80, 32), (128, 96), (256, 256)])
@pytest.mark.parametrize("count", [1, 2, 333])
def test_rope(dtype: torch.dtype, size: int, rotated: int, count: int) -> None:
    """Heads of query and key lie beside each other, cosines and sines too."""
    both = draw(dtype, 1, count, 12, size).transpose(1, 2)
    query, key = both[:, :9], both[:, 9:]
    cosine, sine = draw(dtype, 1, count, 2, rotated).unbind(2)
    for found, x in zip(tokens.rope(query, key, cosine, sine), (query, key), strict=True):
        close(found, halves_rotated(x.float(), cosine.float()[:, None], sine.float()[:, None]))
        assert found.transpose(1, 2).is_contiguous()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("size", [(1, 1, 7), (1, 333, 1000), (1, 2, 14_336)])
def test_gated(dtype: torch.dtype, size: tuple[int, ...], activation: str) -> None:
    both = draw(dtype, *size[:-1], 2 * size[-1])
    gate, up = both.float().chunk(2, -1)
    close(tokens.gated(both, activation), ACTIVATIONS[activation](gate) * up)


def test_more_numbers_than_int32_counts(dtype: torch.dtype) -> None:
    """The last rows lie behind 2^31 elements."""
    rows, size = 2**17 + 3, 2**14
    if torch.cuda.mem_get_info()[0] < 10 * rows * size:
        pytest.skip("needs 22 GB of free GPU memory")
    both = torch.zeros(1, rows, size, device="cuda", dtype=dtype)
    both[0, -2:] = draw(dtype, 2, size)
    last = both[:, -2:].float()
    gate, up = last.chunk(2, -1)
    close(tokens.gated(both, "silu")[:, -2:], ACTIVATIONS["silu"](gate) * up)
    by = Norm(draw(dtype, size), 1e-6, 0.0)
    close(tokens.norm(both, by)[:, -2:], rms_normed(last, by))
