"""How the rows of a tensor follow each other."""

from __future__ import annotations

from torch import Tensor


def lined_up(x: Tensor) -> tuple[Tensor, int, int, int]:
    """x, copied if need be; rows that follow each other at one stride, and the strides between
    such groups and within one."""
    steps = [(n, s) for n, s in zip(x.shape[:-1], x.stride()[:-1], strict=True) if n != 1]
    if x.stride(-1) != 1 or len(steps) > 2:
        x = x.contiguous()
        steps = [(x.numel() // x.shape[-1], x.shape[-1])]
    (_, outer), (inner, stride) = ([(1, 0), (1, 0), *steps])[-2:]
    return x, inner, outer, stride
