"""Self-attention of one layer: query, key and value, their norms and rotation, and the output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from engine.attention.layer_step import Scoring
from engine.attention.step import Step
from engine.kernels.prologue import Prologue
from engine.modeling import norms, rope
from engine.modeling.blueprint import Blueprint
from engine.modeling.config import AttentionConfig
from engine.modeling.linear import Linear, stored
from engine.modeling.norms import AnyNorm, RMSNorm
from engine.modeling.rope import Angles

JOINED: Final = ("qkv_proj",)
APART: Final = ("q_proj", "k_proj", "v_proj")
OUTPUT: Final = ("o_proj", "dense")
QUERY_NORM: Final = ("q_norm", "q_layernorm", "query_layernorm")
KEY_NORM: Final = ("k_norm", "k_layernorm", "key_layernorm")


class AnyAttention(Protocol):
    """Attention to norm(x), plus residual; x and residual [tokens, hidden size]."""

    input: Linear
    """The product that reads x, and may compute its norm."""

    def __call__(
        self,
        x: Tensor,
        step: Step,
        angles: Angles | None,
        norm: AnyNorm | None,
        residual: Tensor | None,
    ) -> Tensor: ...


class Attention:
    kernels: Any = None
    """engine.kernels.gemv for the rotation, or None for torch's operators."""

    def __init__(
        self, blueprint: Blueprint, at: str, index: int, config: AttentionConfig, multiplier: float
    ) -> None:
        """At the reference's module `at`; `index` is the layer's place in the cache."""
        self.index = index
        self.config = config
        if config.heads % config.kv_heads:
            raise ValueError(f"{config.heads} heads cannot share {config.kv_heads} heads of keys")
        kv_size = config.kv_heads * config.head_size
        apart = APART[:2] if config.keys_as_values else APART
        self.sizes = [config.heads * config.head_size + kv_size, kv_size]
        """Of query and key together, and of the value."""
        order = rope.halves_of_pairs(config.head_size, config.pairs) if config.pairs else None
        self.input = _input(blueprint, at, config, order, apart)
        self.output = Linear(stored(blueprint, blueprint.first(at, OUTPUT)), multiplier)
        self.norms = _norms(blueprint, at, order)
        self.norms_of_all = bool(self.norms) and config.heads > 1 and self._one_norm_for_all()
        """Whether a norm is one of all heads together (OLMo 2)."""
        self.scoring = Scoring(config.scale, config.window, config.softcap)
        if config.sinks:
            self.scoring.sinks = blueprint.tensor(f"{at}.sinks", self.scoring, "sinks")

    def _one_norm_for_all(self) -> bool:
        norm = self.norms and self.norms[0]
        return isinstance(norm, RMSNorm) and norm.weight.shape[0] == (
            self.config.heads * self.config.head_size
        )

    def __call__(
        self,
        x: Tensor,
        step: Step,
        angles: Angles | None,
        norm: AnyNorm | None,
        residual: Tensor | None,
    ) -> Tensor:
        both, value = self._split_input(self.input(x, norm))
        if self.norms_of_all:
            both = self._all_heads_normed(both)
        if clip := self.config.clip:
            both, value = both.clamp(-clip, clip), value.clamp(-clip, clip)
        heads = (x.shape[0], -1, self.config.head_size)
        both, value = both.view(heads), value.view(heads)
        if (epsilon := self.config.value_epsilon) is not None:
            value = functional.rms_norm(value, value.shape[-1:], eps=epsilon)
        left = self._left_to_kernel(step, angles)
        if left is None:
            query, key = self._prepared(both, angles)
        else:
            query, key = self._split(both)
        out = step.attend(self.index, query, key, value, self.scoring, left)
        return self.output(out, residual=residual)

    def _split_input(self, product: Tensor) -> tuple[Tensor, Tensor]:
        """Query and key together, and the value."""
        if self.config.keys_as_values:
            return product, product[:, -self.sizes[1] :]
        both, value = torch.split(product, self.sizes, -1)
        return both, value

    def _split(self, both: Tensor) -> tuple[Tensor, Tensor]:
        """Query and key of both [tokens, heads + KV heads, head size]."""
        query, key = torch.split(both, [self.config.heads, self.config.kv_heads], 1)
        return query, key

    def _all_heads_normed(self, both: Tensor) -> Tensor:
        """Query and key [tokens, (heads + KV heads) x head size], the norm of each taken whole."""
        size = self.config.heads * self.config.head_size
        return torch.cat(self._normed(both[:, :size], both[:, size:]), -1)

    def _normed(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        if self.norms is None:
            return query, key
        of_query, of_key = self.norms
        return of_query(query), of_key(key)

    @property
    def _norms_of_heads(self) -> tuple[AnyNorm, AnyNorm] | None:
        return None if self.norms_of_all else self.norms

    def _prepared(self, both: Tensor, angles: Angles | None) -> tuple[Tensor, Tensor]:
        """Query and key [tokens, heads, head size], the norm of each head taken, and rotated."""
        if angles is not None and self.kernels is None and self._norms_of_heads is None:
            query, key = self._split(rope.rotated(both, angles))
        else:
            query, key = self._split(both)
            if self._norms_of_heads and not self.config.norms_rotated:
                query, key = self._normed(query, key)
            if angles is not None:
                query, key = self._rotated(query, key, angles)
            if self.config.norms_rotated:
                query, key = self._normed(query, key)
        if angles is not None and angles.query_scale is not None:
            query = query * angles.query_scale
        return query, key

    def _rotated(self, query: Tensor, key: Tensor, angles: Angles) -> tuple[Tensor, Tensor]:
        if self.kernels is None:
            return rope.rotated(query, angles), rope.rotated(key, angles)
        query, key = self.kernels.rope(
            query.transpose(0, 1)[None],
            key.transpose(0, 1)[None],
            angles.cosine[None],
            angles.sine[None],
        )
        return query[0].transpose(0, 1), key[0].transpose(0, 1)

    def _left_to_kernel(self, step: Step, angles: Angles | None) -> Prologue | None:
        """The norms and the rotation, if the step's attention kernel computes them on its way."""
        if not step.prepares or self.config.norms_rotated:
            return None
        if angles is not None and angles.query_scale is not None:
            return None
        of_heads = self._norms_of_heads
        if of_heads is not None and not all(isinstance(one, RMSNorm) for one in of_heads):
            return None
        cosine, sine = (angles.cosine, angles.sine) if angles else (None, None)
        return Prologue(of_heads, cosine, sine)  # type: ignore[arg-type]


class SharedAttention:
    """Attention to the keys and values of another layer: it has a query and an output alone."""

    kernels: Any = None

    def __init__(
        self, blueprint: Blueprint, at: str, index: int, config: AttentionConfig, multiplier: float
    ) -> None:
        """As Attention."""
        self.index = index
        self.config = config
        self.input = Linear(stored(blueprint, f"{at}.{APART[0]}"))
        self.output = Linear(stored(blueprint, blueprint.first(at, OUTPUT)), multiplier)
        self.norm = norms.of(blueprint, str(blueprint.first(at, QUERY_NORM)))
        self.scoring = Scoring(config.scale, config.window, config.softcap)

    def __call__(
        self,
        x: Tensor,
        step: Step,
        angles: Angles | None,
        norm: AnyNorm | None,
        residual: Tensor | None,
    ) -> Tensor:
        query = self.norm(self.input(x, norm).view(x.shape[0], -1, self.config.head_size))
        if angles is not None:
            query = rope.rotated(query, angles)
        out = step.attend_to_source(self.index, query, self.scoring)
        return self.output(out, residual=residual)


def _input(
    blueprint: Blueprint,
    at: str,
    config: AttentionConfig,
    order: Tensor | None,
    names: Sequence[str],
) -> Linear:
    joined = blueprint.first(at, JOINED)
    if joined:
        return Linear(stored(blueprint, joined))
    apart = (f"{at}.{name}" for name in names)
    if order is None:
        return Linear(stored(blueprint, *apart))
    of_query, of_key = (rope.of_heads(order, n) for n in (config.heads, config.kv_heads))
    return Linear(stored(blueprint, *apart, orders=(of_query, of_key, None)))


def _norms(blueprint: Blueprint, at: str, order: Tensor | None) -> tuple[AnyNorm, AnyNorm] | None:
    of_query, of_key = (blueprint.first(at, names) for names in (QUERY_NORM, KEY_NORM))
    if of_query is None or of_key is None:
        return None
    return norms.of(blueprint, of_query, order), norms.of(blueprint, of_key, order)
