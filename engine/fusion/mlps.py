"""Gated MLPs: down(activation(gate) * up), of one row the first two products in one kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.attention.prologue import Norm
from engine.fusion import state
from engine.fusion.linears import RowLinear, Sibling

ACTIVATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "silu": functional.silu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu": functional.gelu,
}


def looks_gated(module: Any) -> bool:
    """By the names of its linear layers; gate and up may be one (Phi 3, GLM)."""
    down = getattr(module, "down_proj", None)
    return type(down) is nn.Linear and not biased(down) and _gate_and_up(module) is not None


def _gate_and_up(module: Any) -> Tensor | None:
    """[2 x rows, columns], the gate's rows first."""
    gate: Any = getattr(module, "gate_proj", None)
    both: Any = getattr(module, "gate_up_proj", None)
    weight: Tensor | None = None
    if type(gate) is Sibling and not biased(gate):
        weight = gate.siblings.weight
    elif type(both) is nn.Linear and not biased(both):
        weight = both.weight
    return weight


def biased(layer: Any) -> bool:
    return layer.bias is not None


def activation_of(module: Any) -> str | None:
    """The activation with which the formula is what the module computes; None for none of them."""
    down = module.down_proj.weight
    rows = torch.randn(3, down.shape[0]).to(down)
    if hasattr(module, "gate_up_proj"):
        gate, up = module.gate_up_proj(rows).chunk(2, -1)
    else:
        gate, up = module.gate_proj(rows), module.up_proj(rows)
    expected = module(rows)
    for name, activation in ACTIVATIONS.items():
        if torch.equal(module.down_proj(activation(gate) * up), expected):
            return name
    return None


def fuse_mlp(module: Any, activation: str) -> None:
    """`module.one_row` then also takes what may be put into its products."""
    plain: Callable[[Tensor], Tensor] = module.forward
    weight: Any = _gate_and_up(module)
    module.gate_up = weight  # for the tuning, and to tell it from others
    if hasattr(module, "gate_proj"):
        module.gate_proj.siblings.used = False

    def one_row(x: Tensor, before: Norm | None = None, residual: Tensor | None = None) -> Tensor:
        gated = state.kernels.gate_up(x, weight, activation, before)
        down: RowLinear = module.down_proj
        down.residual = residual
        out: Tensor = down(gated)
        return out

    def forward(x: Tensor) -> Tensor:
        if not state.usable(x):
            return plain(x)
        if state.one_row(x):
            return one_row(x)
        gated = state.kernels.gated(functional.linear(x, weight), activation)
        out: Tensor = module.down_proj(gated)
        return out

    module.one_row = one_row
    module.forward = forward
