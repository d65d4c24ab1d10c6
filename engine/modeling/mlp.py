"""MLPs: gated, down(activation(gate(x)) * up(x)), and plain, down(activation(up(x)))."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from engine.modeling.blueprint import Blueprint
from engine.modeling.linear import Linear, Weights, before, stored
from engine.modeling.norms import AnyNorm

Activation: TypeAlias = Callable[[Tensor], Tensor]


def gelu_tanh(x: Tensor) -> Tensor:
    return functional.gelu(x, approximate="tanh")


KERNEL_ACTIVATIONS: Final[dict[str, tuple[str, Activation]]] = {
    "SiLUActivation": ("silu", functional.silu),
    "SiLU": ("silu", functional.silu),
    "GELUTanh": ("gelu_tanh", gelu_tanh),
    "PytorchGELUTanh": ("gelu_tanh", gelu_tanh),
    "NewGELUActivation": ("gelu_tanh", gelu_tanh),
    "GELUActivation": ("gelu", functional.gelu),
}
"""By transformers' class: the name that the kernels know, and torch's function."""
ACTIVATION: Final = ("act_fn", "activation_fn", "act", "activation")
GATE: Final = ("gate_proj",)
GATE_AND_UP: Final = ("gate_up_proj", "input_linear")
UP: Final = ("up_proj", "fc1", "c_fc")
DOWN: Final = ("down_proj", "fc2", "c_proj", "output_linear")


def activation_of(module: Any) -> tuple[str, Activation]:
    """The kernels' name, "" if they have it not, and the function."""
    found = next(getattr(module, name) for name in ACTIVATION if hasattr(module, name))
    return KERNEL_ACTIVATIONS.get(type(found).__name__, ("", found))


class GateUp:
    """activation(gate(x)) * up(x); the weight has the gate's rows first."""

    kernels: Any = None
    """engine.kernels.gemv, or None for torch's operators."""

    def __init__(
        self, weights: Weights, activation: tuple[str, Activation], sparsity: float = 0.0
    ) -> None:
        """`sparsity` is the share of the gates that are 0 if they are normally distributed."""
        self.product = Linear(weights)
        self.activation, self.activate = activation
        self.deviations = NormalDist().inv_cdf(sparsity) if sparsity else None
        """Above the mean of a token's gates, below which gates are 0 (Gemma 3n); None is all."""
        if self.deviations is not None:
            self.activation = ""

    @property
    def one_launch(self) -> bool:
        """Whether a kernel computes all of it for one row."""
        return bool(self.activation) and self.product.weights.gates_together

    def __call__(self, x: Tensor, norm: AnyNorm | None = None) -> Tensor:
        """x [tokens, columns], whose norm is taken first -> [tokens, rows / 2]."""
        if self.kernels is not None and x.shape[0] == 1 and self.one_launch:
            x, norm = before(x, norm)
            weights = self.product.weights
            return weights.row_gate_up(self.kernels, x, self.activation, norm)
        both = self.product(x, norm)
        if self.kernels is not None and self.activation:
            out: Tensor = self.kernels.gated(both, self.activation)
            return out
        gate, up = both.chunk(2, -1)
        if self.deviations is not None:
            deviation, mean = torch.std_mean(gate, -1, keepdim=True, correction=0)
            gate = functional.relu(gate - (mean + deviation * self.deviations))
        return self.activate(gate) * up


class Up:
    """activation(up(x))."""

    def __init__(self, weights: Weights, activate: Activation) -> None:
        self.product = Linear(weights)
        self.activate = activate

    def __call__(self, x: Tensor, norm: AnyNorm | None = None) -> Tensor:
        """x [tokens, columns], whose norm is taken first -> [tokens, rows]."""
        return self.activate(self.product(x, norm))


class MLP:
    def __init__(self, blueprint: Blueprint, at: str, multiplier: float = 1.0) -> None:
        """At the reference's module `at`; gated if that has a gate."""
        module: Any = blueprint.reference.get_submodule(at)
        activation = activation_of(module)
        sparsity = float(getattr(module, "activation_sparsity", 0.0))
        gate, both, up, down = (
            blueprint.first(at, names) for names in (GATE, GATE_AND_UP, UP, DOWN)
        )
        self.up: GateUp | Up
        if gate or both:
            weights = stored(blueprint, both) if both else stored(blueprint, gate, up)
            self.up = GateUp(weights, activation, sparsity)
        else:
            self.up = Up(stored(blueprint, up), activation[1])
        self.down = Linear(stored(blueprint, down), multiplier)

    def __call__(
        self, x: Tensor, norm: AnyNorm | None = None, residual: Tensor | None = None
    ) -> Tensor:
        """x and residual [tokens, hidden size]: down(up(norm(x))) + residual."""
        return self.down(self.up(x, norm), residual=residual)
