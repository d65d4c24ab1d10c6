"""Multi-head latent attention (DeepSeek-V2, 2024): the cache holds latents, and one rotated part of
a key for all heads, in place of keys and values (engine/attention/latent.py)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engine.attention.layer_step import Scoring
from engine.attention.step import Step
from engine.modeling import norms, rope
from engine.modeling.blueprint import Blueprint
from engine.modeling.config import AttentionConfig
from engine.modeling.linear import Dense, Linear, dense, stored
from engine.modeling.norms import AnyNorm
from engine.modeling.rope import Angles


class LatentAttention:
    kernels: Any = None

    def __init__(
        self, blueprint: Blueprint, at: str, index: int, config: AttentionConfig, multiplier: float
    ) -> None:
        if config.latent is None:
            raise ValueError("latent attention needs the sizes of its latents")
        self.index = index
        self.config = config
        self.latent = latent = config.latent
        self.plain = config.head_size - latent.rotated
        """Dimensions of a head that are not rotated; they come first."""
        of_query = of_key = None
        if config.pairs:
            order = rope.halves_of_pairs(config.head_size, latent.rotated, self.plain)
            of_query = rope.of_heads(order, config.heads)
            of_key = rope.halves_of_pairs(latent.size, latent.rotated, latent.rank)
        low = blueprint.first(at, ("q_a_proj",))
        self.query_low = Linear(stored(blueprint, low)) if low else None
        self.query_norm = norms.of(blueprint, f"{at}.q_a_layernorm") if low else None
        query = f"{at}.q_b_proj" if low else f"{at}.q_proj"
        self.query = Linear(stored(blueprint, query, orders=(of_query,)))
        self.down = Linear(stored(blueprint, f"{at}.kv_a_proj_with_mqa", orders=(of_key,)))
        self.down_norm = norms.of(blueprint, f"{at}.kv_a_layernorm")
        self.up: Dense = dense(blueprint, f"{at}.kv_b_proj")
        """Multiplied with queries and results, not with x: it does not stay in blocks."""
        self.output = Linear(stored(blueprint, f"{at}.o_proj"), multiplier)
        self.input = self.query_low or self.query
        self.scoring = Scoring(config.scale)

    def __call__(
        self,
        x: Tensor,
        step: Step,
        angles: Angles | None,
        norm: AnyNorm | None,
        residual: Tensor | None,
    ) -> Tensor:
        if angles is None:
            raise ValueError("latent attention rotates a part of its keys")
        query = self._query(x, norm).view(x.shape[0], self.config.heads, -1)
        plain, turning = torch.split(query, [self.plain, self.latent.rotated], -1)
        down = self.down(x, norm)
        latents, key = torch.split(down, [self.latent.rank, self.latent.rotated], -1)
        key = rope.rotated(key[:, None], angles)
        query = torch.cat([plain, rope.rotated(turning, angles)], -1)
        latents = torch.cat([self.down_norm(latents)[:, None], key], -1)
        up = self.up.tensor.view(self.config.heads, -1, self.latent.rank)
        out = step.attend_latent(self.index, query, latents, up, self.scoring)
        return self.output(out, residual=residual)

    def _query(self, x: Tensor, norm: AnyNorm | None) -> Tensor:
        """[tokens, heads x head size]."""
        if self.query_low is None:
            return self.query(x, norm)
        return self.query(self.query_low(x, norm), self.query_norm)
