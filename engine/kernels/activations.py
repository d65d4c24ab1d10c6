"""The activations that kernels compute, by the numbers that each of them knows."""

from __future__ import annotations

from typing import Final

ACTIVATIONS: Final = {"silu": 0, "gelu_tanh": 1, "gelu": 2}
NONE: Final = -1


def number_of(activation: str) -> int:
    """NONE for "". Raises KeyError for one that kernels do not compute."""
    return ACTIVATIONS[activation] if activation else NONE
