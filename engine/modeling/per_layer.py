"""Per-layer embeddings: a small embedding of each token for each layer, beside the first one.

Gemma 3n and 4. A layer adds norm(projection(activation(gate(x)) * its embedding)) at its end.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.modeling import norms
from engine.modeling.blueprint import Blueprint
from engine.modeling.linear import Embedding, Linear, stored
from engine.modeling.mlp import activation_of


class PerLayerInputs:
    """(norm(projection of x) + the token's own embeddings) / sqrt(2), for all layers at once."""

    def __init__(self, blueprint: Blueprint, scale: float, layers: int) -> None:
        """`scale` is what the tokens' own embeddings are multiplied by."""
        table, projection = "model.embed_tokens_per_layer", "model.per_layer_model_projection"
        self.rows, columns = blueprint.shape(f"{table}.weight")
        self.sizes = (layers, columns // layers)
        self.scale = scale
        self.embedding = Embedding(stored(blueprint, table))
        hidden_size = blueprint.shape(f"{projection}.weight")[1]
        self.projection = Linear(stored(blueprint, projection), hidden_size**-0.5)
        self.norm = norms.of(blueprint, "model.per_layer_projection_norm")

    def __call__(self, ids: Tensor, x: Tensor) -> Tensor:
        """ids int64 [tokens], their scaled embeddings x [tokens, hidden size] -> [tokens, layers,
        size]. The table may have fewer rows than the vocabulary: the others' is the first."""
        shape = (x.shape[0], *self.sizes)
        own = self.embedding(torch.where(ids < self.rows, ids, 0)) * self.scale
        return (self.norm(self.projection(x).view(shape)) + own.view(shape)) * math.sqrt(0.5)


class LayerInput:
    """What a layer adds at its end, made of x and of its embedding of each token."""

    def __init__(self, blueprint: Blueprint, at: str) -> None:
        """At the reference's layer `at`."""
        _, self.activate = activation_of(blueprint.reference.get_submodule(at))
        self.gate = Linear(stored(blueprint, f"{at}.per_layer_input_gate"))
        self.projection = Linear(stored(blueprint, f"{at}.per_layer_projection"))
        self.norm = norms.of(blueprint, f"{at}.post_per_layer_input_norm")

    def __call__(self, x: Tensor, embedding: Tensor, residual: Tensor | None = None) -> Tensor:
        """x and residual [tokens, hidden size], embedding [tokens, size]."""
        out = self.projection(self.activate(self.gate(x)) * embedding)
        return self.norm(out, residual=residual)
