"""What a checkpoint's config says about the sizes that attention and cache depend on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from engine.attention.choice import Shape
from engine.kv_cache import CacheShape


@dataclass(frozen=True)
class ModelShape:
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    windows: tuple[int, ...]
    """The distinct sliding windows of its layers in tokens; 0 is none."""
    softcap: float
    context_length: int

    @property
    def cache(self) -> CacheShape:
        return CacheShape(self.layers, self.kv_heads, self.head_size)

    def attention(self, dtype: torch.dtype) -> Shape:
        return Shape(self.heads, self.kv_heads, self.head_size, dtype, self.windows, self.softcap)


def of_config(config: Any) -> ModelShape:
    """Reads a transformers text config; its attributes are the field's standard names."""
    heads = int(config.num_attention_heads)
    return ModelShape(
        layers=int(config.num_hidden_layers),
        heads=heads,
        kv_heads=int(getattr(config, "num_key_value_heads", None) or heads),
        head_size=int(getattr(config, "head_dim", None) or config.hidden_size // heads),
        windows=windows(config),
        softcap=float(getattr(config, "attn_logit_softcapping", None) or 0.0),
        context_length=int(config.max_position_embeddings),
    )


def windows(config: Any) -> tuple[int, ...]:
    layer_types = getattr(config, "layer_types", None)
    window = int(getattr(config, "sliding_window", None) or 0)
    if not layer_types:
        return (window,)
    kinds = {window if kind == "sliding_attention" else 0 for kind in layer_types}
    return tuple(sorted(kinds))
