"""What may be done to one token's query and key in the attention kernel instead of before it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(eq=False)
class Norm:
    """Root-mean-square norm: x / sqrt(mean of x squared + epsilon), times weight + offset.

    Zhang and Sennrich, 2019.
    """

    weight: Tensor
    """[size]."""
    epsilon: float
    offset: float
    """1 in Gemma's, else 0."""


@dataclass(frozen=True)
class Prologue:
    """What is left to the kernel to do to query and key, norms first."""

    norms: tuple[Norm, Norm] | None = None
    """Of each head of query and key; their epsilon and offset are the same."""
    cosine: Tensor | None = None
    """[1, rotated size]: that many dimensions are rotated, in two halves; None for no rotation."""
    sine: Tensor | None = None
