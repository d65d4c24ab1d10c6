"""Gemma 3n's layers: several streams of each token, of which a layer computes one.

Alternating updates (AltUp, Baykal and others, 2023): a layer predicts all streams from one another,
computes the active one, and corrects the others by how far the prediction was from that. LAuReL
(Menghani and others, 2024): a learned residual of low rank beside attention.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from engine.attention.step import Step
from engine.modeling import norms
from engine.modeling.attention import AnyAttention
from engine.modeling.blueprint import Blueprint
from engine.modeling.config import AltUpConfig
from engine.modeling.linear import Linear, dense, stored
from engine.modeling.mlp import MLP
from engine.modeling.norms import AnyNorm
from engine.modeling.per_layer import LayerInput
from engine.modeling.rope import Angles

SMALLEST: Final = 1e-5
"""Of a stream's mean square, before it is given the magnitude of the first."""


class Streams:
    """All streams from a token's embedding, and one from all of them at the end."""

    def __init__(self, blueprint: Blueprint, config: AltUpConfig) -> None:
        others = range(config.streams - 1)
        self.spreading = [_linear(blueprint, f"model.altup_projections.{i}") for i in others]
        self.merging = [_linear(blueprint, f"model.altup_unembed_projections.{i}") for i in others]

    def spread(self, x: Tensor) -> Tensor:
        """[tokens, hidden size] -> [streams, tokens, hidden size]."""
        return torch.stack([x, *(as_large(linear(x), x) for linear in self.spreading)])

    def merged(self, x: Tensor) -> Tensor:
        """[streams, tokens, hidden size] -> [tokens, hidden size]: their mean."""
        others = zip(self.merging, x[1:], strict=True)
        return torch.stack([x[0], *(as_large(linear(y), x[0]) for linear, y in others)]).mean(0)


def as_large(y: Tensor, x: Tensor) -> Tensor:
    """y with the root mean square of x; both [tokens, hidden size]."""
    wanted = x.square().mean(-1, keepdim=True).sqrt()
    return y * wanted / y.square().mean(-1, keepdim=True).clamp(min=SMALLEST).sqrt()


class AltUp:
    def __init__(self, blueprint: Blueprint, at: str, config: AltUpConfig) -> None:
        self.config = config
        self.router = Linear(dense(blueprint, f"{at}.modality_router"))
        self.norm = norms.of(blueprint, f"{at}.router_norm")
        self.prediction = Linear(dense(blueprint, f"{at}.prediction_coefs"))
        self.correction = Linear(dense(blueprint, f"{at}.correction_coefs"))
        self.scale = blueprint.tensor(f"{at}.correct_output_scale", self, "scale")
        """[hidden size], of the corrected active stream."""

    def predicted(self, x: Tensor) -> Tensor:
        """Each stream, plus a sum of all streams by weights that the active one gives."""
        streams = self.config.streams
        weights = self.prediction(self._modalities(x[self.config.active]))
        weights = weights.view(-1, streams, streams)
        return x + torch.einsum("nth,tmn->mth", x, weights)

    def corrected(self, predictions: Tensor, computed: Tensor) -> Tensor:
        """The predictions, plus what was computed beyond the active one, by weights for each."""
        weights = self.correction(self._modalities(computed)) + 1.0
        return predictions + (computed - predictions[self.config.active]) * weights.t()[..., None]

    def scaled(self, x: Tensor) -> Tensor:
        return x * self.scale if self.config.scaled else x

    def _modalities(self, x: Tensor) -> Tensor:
        """[tokens, hidden size] -> [tokens, streams]."""
        routed = self.router(self.norm(x) * (1.0 / x.shape[-1]))
        return torch.tanh(routed.float()).to(x.dtype)


class Laurel:
    """x + norm(right(left(x)))."""

    def __init__(self, blueprint: Blueprint, at: str) -> None:
        self.left = _linear(blueprint, f"{at}.linear_left")
        self.right = _linear(blueprint, f"{at}.linear_right")
        self.norm = norms.of(blueprint, f"{at}.post_laurel_norm")

    def __call__(self, x: Tensor) -> Tensor:
        return self.norm(self.right(self.left(x)), residual=x)


class AltUpLayer:
    """A decoder's layer over all streams of its tokens."""

    parallel = True
    """The norm before attention is read by LAuReL too, and so by no product alone."""

    def __init__(
        self,
        blueprint: Blueprint,
        at: str,
        config: AltUpConfig,
        parts: tuple[AnyAttention, MLP],
    ) -> None:
        """At the reference's layer `at`, with its attention and its MLP."""
        self.config = config
        self.attention, self.mlp = parts
        self.altup = AltUp(blueprint, f"{at}.altup", config)
        self.laurel = Laurel(blueprint, f"{at}.laurel")
        self.before_attention, self.after_attention, self.before_mlp, self.after_mlp = (
            _norm(blueprint, f"{at}.{name}_layernorm")
            for name in ("input", "post_attention", "pre_feedforward", "post_feedforward")
        )
        self.input = LayerInput(blueprint, at)

    def __call__(
        self, x: Tensor, step: Step, angles: Angles | None, embedding: Tensor | None
    ) -> Tensor:
        """x [streams, tokens, hidden size], embedding [tokens, size]."""
        if embedding is None:
            raise ValueError("its layers take embeddings of their own")
        predictions = self.altup.predicted(x)
        active = predictions[self.config.active]
        normed = self.before_attention(active)
        attended = self.attention(normed, step, angles, norm=None, residual=None)
        attended = self.after_attention(attended, residual=active)
        mixed = (attended + self.laurel(normed)) * math.sqrt(0.5)
        computed = self.after_mlp(self.mlp(mixed, norm=self.before_mlp), residual=mixed)
        corrected = self.altup.corrected(predictions, computed)
        added = self.input(self.altup.scaled(corrected[self.config.active]), embedding)
        return torch.cat([corrected[:1], corrected[1:] + added])


def _linear(blueprint: Blueprint, at: str) -> Linear:
    return Linear(stored(blueprint, at))


def _norm(blueprint: Blueprint, at: str) -> AnyNorm:
    return norms.of(blueprint, at)
