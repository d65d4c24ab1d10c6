"""Root-mean-square norms and layer norms, with a residual that is added to their result."""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from engine.kernels.prologue import Norm
from engine.modeling.blueprint import Blueprint, meta

OFFSET: Final = ("GemmaRMSNorm", "Gemma2RMSNorm", "Gemma3RMSNorm")
"""transformers' classes that multiply by weight + 1. Those of Gemma 3n and 4 do not."""


class RMSNorm(Norm):
    """x / sqrt(mean of x squared + epsilon), times weight + offset (Zhang and Sennrich, 2019)."""

    kernels: Any = None
    """engine.kernels.gemv, or None for torch's operators."""

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """x [..., size]; `residual` of the same shape is added to the result."""
        if self.kernels is not None:
            fused: Tensor = self.kernels.norm(x, self, residual)
            return fused
        size = self.weight.shape
        if x.dtype != torch.float32 and x.is_cpu and x.shape[0] == 1 and x.dim() == 2:
            out = self._of_one_row(x)
        elif self.offset:
            exact = functional.rms_norm(x.float(), size, eps=self.epsilon)
            out = (exact * (self.weight.float() + self.offset)).to(x.dtype)
        else:
            out = functional.rms_norm(x, size, self.weight, self.epsilon)
        return out if residual is None else residual + out

    def _of_one_row(self, x: Tensor) -> Tensor:
        """x [1, size] in half precision on the CPU: three operators in place of the eight that
        torch's own norm is made of there."""
        height = float(torch.linalg.vector_norm(x, dtype=torch.float32))
        scale = 1 / math.sqrt(height * height / x.shape[1] + self.epsilon)
        if not self.offset:
            return x * scale * self.weight
        return (x.float() * scale * (self.weight.float() + self.offset)).to(x.dtype)


class LayerNorm:
    """(x - mean) / sqrt(variance + epsilon), times weight + offset, plus bias.

    Ba and others, 2016. The weight may be of several rows [heads, size], one for each row of x.
    """

    kernels: Any = None

    def __init__(self, epsilon: float, size: int, offset: float = 0.0) -> None:
        self.epsilon = epsilon
        self.size = size
        self.offset = offset
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        weight = self.weight
        if weight is not None and (self.offset or weight.dim() > 1):
            exact = functional.layer_norm(x.float(), (self.size,), eps=self.epsilon)
            exact = exact * (weight.float() + self.offset)
            out = (exact if self.bias is None else exact + self.bias.float()).to(x.dtype)
        else:
            out = functional.layer_norm(x, (self.size,), weight, self.bias, self.epsilon)
        return out if residual is None else residual + out


AnyNorm: TypeAlias = RMSNorm | LayerNorm


def of(blueprint: Blueprint, name: str, order: Tensor | None = None) -> AnyNorm:
    """The norm that the reference has at `name`; `order` is that of the elements of each head."""
    module = blueprint.reference.get_submodule(name)
    norms = getattr(module, "norms", None)
    if norms is not None:
        return _of_each_head(blueprint, name, norms, order)
    kind = type(module).__name__
    weight = f"{name}.weight"
    if "RMSNorm" in kind:
        offset = 1.0 if kind in OFFSET else 0.0
        made = RMSNorm(meta(*blueprint.shape(weight)), _epsilon(module), offset)
        blueprint.put(weight, made, "weight", order=order)
        return made
    size = blueprint.shape(weight)[-1] if weight in blueprint else module.normalized_shape[0]
    layer = LayerNorm(_epsilon(module), size, 1.0 if kind.endswith("1P") else 0.0)
    if weight in blueprint:
        layer.weight = meta(*blueprint.shape(weight))
        blueprint.put(weight, layer, "weight", order=order, axis=layer.weight.dim() - 1)
    if f"{name}.bias" in blueprint:
        layer.bias = meta(*blueprint.shape(f"{name}.bias"))
        blueprint.put(f"{name}.bias", layer, "bias")
    return layer


def _of_each_head(blueprint: Blueprint, name: str, norms: Any, order: Tensor | None) -> LayerNorm:
    """StableLM's: a norm of its own for each head."""
    size = norms[0].weight.shape[0]
    made = LayerNorm(_epsilon(norms[0]), size)
    made.weight = meta(len(norms), size)
    for head in range(len(norms)):
        blueprint.put(f"{name}.norms.{head}.weight", made, "weight", head, order)
    return made


def _epsilon(module: Any) -> float:
    """OLMo's layer norm has none of its own."""
    found = getattr(module, "variance_epsilon", getattr(module, "eps", 1e-5))
    return float(found)
