"""One linear layer for all: a weight in a format, and what is fused into its product.

A format is how the numbers of a weight are held and multiplied; loading, memory planning and
kernels meet here. Weights of the same input are stored as one and are one product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from engine.formats.format import Format
from engine.modeling.blocks import InBlocks, Part
from engine.modeling.blueprint import Blueprint, PlaceInBlocks, meta
from engine.modeling.norms import AnyNorm, RMSNorm


class Dense:
    """The format of plain numbers, in the dtype that the model computes in."""

    def __init__(self, tensor: Tensor, bias: Tensor | None = None) -> None:
        self.tensor = tensor
        """[rows, columns]."""
        self.bias = bias
        """[rows]."""

    @property
    def rows(self) -> int:
        return self.tensor.shape[0]

    @property
    def gates_together(self) -> bool:
        """Whether one launch computes gate and up."""
        return self.bias is None

    def product(self, x: Tensor) -> Tensor:
        """x [tokens, columns] -> [tokens, rows]."""
        return functional.linear(x, self.tensor, self.bias)

    def row_product(
        self, kernels: Any, x: Tensor, norm: RMSNorm | None, residual: Tensor | None
    ) -> Tensor:
        """The same for one row, the norm of x before it and the sum behind it, in one launch."""
        out: Tensor = kernels.linear(x, self.tensor, self.bias, norm, residual)
        return out

    def row_gate_up(self, kernels: Any, x: Tensor, activation: str, norm: RMSNorm | None) -> Tensor:
        """For one row: the first half of the rows, activated, times the second half."""
        out: Tensor = kernels.gate_up(x, self.tensor, activation, norm)
        return out

    def exact(self, x: Tensor, count: int) -> Tensor:
        """x [tokens, columns] -> [tokens, rows] in float32, not rounded in between, or of each
        token its `count` largest alone."""
        rounded = self.product(x).float()
        best = rounded.topk(min(count, rounded.shape[1])).indices
        exact = (self.tensor[best].float() @ x.float()[..., None])[..., 0]
        if self.bias is not None:
            exact += self.bias[best]
        return rounded.scatter_(-1, best, exact)

    def of_tokens(self, ids: Tensor) -> Tensor:
        """[tokens, columns] for ids int64 [tokens]."""
        return functional.embedding(ids, self.tensor)


Weights: TypeAlias = Dense | InBlocks
"""Either has `product`, `row_product`, `row_gate_up`, `exact`, `of_tokens` and a bias."""


def stored(
    blueprint: Blueprint, *names: str | None, orders: Sequence[Tensor | None] = ()
) -> Weights:
    """The weights that the reference's layers of those names have, one behind another: in blocks if
    all of them are.

    Without memory until they are loaded. `orders` are those of the rows of each.
    """
    layers = [name for name in names if name]
    forms = [blueprint.forms.get(f"{name}.weight") for name in layers]
    found = [form for form in forms if form is not None]
    if len(found) == len(layers):
        return _in_blocks(blueprint, layers, found, orders or [None] * len(layers))
    return dense(blueprint, *layers, orders=orders)


def _in_blocks(
    blueprint: Blueprint,
    layers: Sequence[str],
    forms: Sequence[Format],
    orders: Sequence[Tensor | None],
) -> InBlocks:
    parts: list[Part] = []
    biased = f"{layers[0]}.bias" in blueprint
    shapes = [blueprint.shape(f"{name}.weight") for name in layers]
    rows = sum(shape[0] for shape in shapes)
    made = InBlocks([], blueprint.dtype, meta(rows) if biased else None)
    begin = 0
    for name, form, shape, order in zip(layers, forms, shapes, orders, strict=True):
        if not parts or parts[-1].form is not form:
            parts.append(Part(form, 0, shape[1], begin))
        part = parts[-1]
        blueprint.places[f"{name}.weight"] = PlaceInBlocks(part, shape, part.rows, order)
        part.rows += shape[0]
        if biased:
            blueprint.put(f"{name}.bias", made, "bias", begin, order)
        begin += shape[0]
    made.parts = parts
    return made


def dense(blueprint: Blueprint, *layers: str, orders: Sequence[Tensor | None] = ()) -> Dense:
    """As `stored`, in the dtype that the model computes in, whatever the file has."""
    shapes = [blueprint.shape(f"{name}.weight") for name in layers]
    rows = sum(shape[0] for shape in shapes)
    biased = f"{layers[0]}.bias" in blueprint
    made = Dense(meta(rows, shapes[0][1]), meta(rows) if biased else None)
    begin = 0
    for name, shape, order in zip(layers, shapes, orders or [None] * len(layers), strict=True):
        blueprint.put(f"{name}.weight", made, "tensor", begin, order)
        if biased:
            blueprint.put(f"{name}.bias", made, "bias", begin, order)
        begin += shape[0]
    return made


class Linear:
    """The product of norm(x) and a weight, times a multiplier, plus a residual."""

    kernels: Any = None
    """engine.kernels.gemv for products of one row, or None for torch's."""

    def __init__(self, weights: Weights, multiplier: float = 1.0) -> None:
        self.weights = weights
        self.multiplier = multiplier
        """Granite's, of what is added to a residual."""

    def __call__(
        self, x: Tensor, norm: AnyNorm | None = None, residual: Tensor | None = None
    ) -> Tensor:
        """x [tokens, columns], residual [tokens, rows] -> [tokens, rows]."""
        plain = self.multiplier == 1.0
        if self.kernels is not None and x.shape[0] == 1:
            x, norm = before(x, norm)
            if plain:
                return self.weights.row_product(self.kernels, x, norm, residual)
            out = self.weights.row_product(self.kernels, x, norm, None)
        else:
            out = self.weights.product(x if norm is None else norm(x))
        if residual is None:
            return out if plain else out * self.multiplier
        return residual + out if plain else torch.add(residual, out, alpha=self.multiplier)


def before(x: Tensor, norm: AnyNorm | None) -> tuple[Tensor, RMSNorm | None]:
    """x and the norm that a kernel computes of it: other norms are computed here."""
    if norm is None or isinstance(norm, RMSNorm):
        return x, norm
    return norm(x), None


class Embedding:
    """The vocabulary's matrix: a row for each token."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights

    def __call__(self, ids: Tensor) -> Tensor:
        """ids int64 [tokens] -> [tokens, hidden size]."""
        return self.weights.of_tokens(ids)
