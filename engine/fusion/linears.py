"""Linear layers of one row, and those of the same input stored and computed as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.attention.prologue import Norm
from engine.fusion import state

SIBLINGS: Final = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


class RowLinear(nn.Linear):
    """A linear layer whose products of one row go through the row kernel."""

    before: Norm | None = None
    """Of the input, which one row then comes without (engine/fusion/layers.py)."""
    residual: Tensor | None = None
    """For the next row alone: it is added to the result."""

    def forward(self, x: Tensor) -> Tensor:
        if state.one_row(x):
            residual, self.residual = self.residual, None
            out: Tensor = state.kernels.linear(x, self.weight, self.bias, self.before, residual)
            return out
        return functional.linear(x, self.weight, self.bias)


class Siblings:
    """Linear layers of the same input; their weights are parts of one."""

    def __init__(self, members: Sequence[nn.Linear]) -> None:
        with torch.no_grad():
            self.weight = torch.cat([member.weight.data for member in members])
            biases = [member.bias.data for member in members if member.bias is not None]
            self.bias = torch.cat(biases) if biases else None
        self.used = True
        """Whether its members are called, and not an MLP as a whole."""
        self.before: Norm | None = None
        """As of RowLinear."""
        self._input: Tensor | None = None
        self._parts: tuple[Tensor, ...] = ()
        self._sizes = [member.out_features for member in members]
        self._last = len(members) - 1
        weights = torch.split(self.weight, self._sizes)
        for index, (member, weight) in enumerate(zip(members, weights, strict=True)):
            member.weight = nn.Parameter(weight, requires_grad=False)
            member.__class__ = Sibling
            member.siblings, member.index = self, index  # type: ignore[assignment]
        if self.bias is not None:
            for member, bias in zip(members, torch.split(self.bias, self._sizes), strict=True):
                member.bias = nn.Parameter(bias, requires_grad=False)

    def forget(self) -> None:
        """What an exception left between the first part and the last."""
        self._input, self._parts = None, ()

    def part(self, x: Tensor, index: int) -> Tensor:
        """All parts are computed when the first is asked for, and held until the last."""
        if self._input is not x:
            made: Tensor
            if state.one_row(x):
                made = state.kernels.linear(x, self.weight, self.bias, self.before)
            else:
                made = functional.linear(x, self.weight, self.bias)
            self._parts = torch.split(made, self._sizes, -1)
            self._input = x
        found = self._parts[index]
        if index == self._last:
            self.forget()
        return found


class Sibling(nn.Linear):
    siblings: Siblings
    index: int

    def forward(self, x: Tensor) -> Tensor:
        if state.usable(x):
            return self.siblings.part(x, self.index)
        return functional.linear(x, self.weight, self.bias)


def join_siblings(model: nn.Module) -> int:
    count = 0
    for module in model.modules():
        for names in SIBLINGS:
            members = [getattr(module, name, None) for name in names]
            if _belong_together(members):
                Siblings(members)  # type: ignore[arg-type]
                count += 1
    return count


def _belong_together(members: Sequence[Any]) -> bool:
    return (
        all(type(member) is nn.Linear for member in members)
        and len({member.in_features for member in members}) == 1
        and len({member.bias is None for member in members}) == 1
    )


def replace_linears(model: nn.Module) -> int:
    count = 0
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = RowLinear
            count += 1
    return count
