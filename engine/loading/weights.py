"""A weight on its way into a model: what GGUF and safetensors have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import torch

from engine.errors import CheckpointError
from engine.formats.format import Format

View: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
"""The part of a parameter that a weight fills: the parameter itself, or a view of it."""


def whole(parameter: torch.Tensor) -> torch.Tensor:
    return parameter


Fill: TypeAlias = Callable[[torch.Tensor], None]
"""Writes a weight's values into a tensor of its shape, of any dtype and on any device."""


class Weight(NamedTuple):
    name: str
    """Of the parameter or buffer, as transformers' state dict has it."""
    shape: tuple[int, ...]
    fill: Fill
    size: int
    """Bytes in the file, for progress."""
    into: View = whole
    form: Format | None = None
    """Of the rows that `planes` yields; None for a weight that is not read as blocks."""
    planes: Callable[[torch.device], Iterator[tuple[slice, list[torch.Tensor]]]] | None = None
    """Piece by piece: which rows, and their planes."""


def copied(tensor: torch.Tensor) -> Fill:
    """For values that are in memory already."""

    def fill(target: torch.Tensor) -> None:
        target.copy_(tensor)

    return fill


class Extremes:
    """The smallest and the largest value of each weight; a model with NaN or infinity is refused.

    One of them in one weight makes every logit NaN, and the chat would be garbage without a word.
    `aminmax` passes NaN on and reads bfloat16 at memory speed (135M parameters in 10 ms, where
    `isfinite` takes 0.7 s). The device is asked once, at the end.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._found: list[torch.Tensor] = []

    def add(self, name: str, placed: torch.Tensor) -> None:
        """`placed` is on the device, in the dtype that the model runs in: float16 can overflow."""
        if placed.numel() and placed.is_floating_point():
            self._names.append(name)
            self._found += torch.aminmax(placed)

    def check(self) -> None:
        """Raises CheckpointError, naming the first weight that holds what is no number."""
        if not self._found:
            return
        finite = torch.stack(self._found).isfinite().view(-1, 2).all(1).tolist()
        broken = [name for name, fine in zip(self._names, finite, strict=True) if not fine]
        if broken:
            raise CheckpointError(
                f"This model is damaged: {len(broken)} of its weights, such as {broken[0]}, hold "
                "values that are not finite numbers.",
                "Download the model again, or load it in another dtype.",
            )
