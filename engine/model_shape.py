"""The sizes of a model that attention and cache depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.attention.choice import Shape
from engine.attention.shapes import LayerShape
from engine.errors import UnsupportedError
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
    sinks: bool
    context_length: int

    @property
    def cache(self) -> CacheShape:
        return CacheShape(self.layers, self.kv_heads, self.head_size)

    def attention(self, dtype: torch.dtype) -> Shape:
        return Shape(
            self.heads,
            self.kv_heads,
            self.head_size,
            dtype,
            self.windows,
            self.softcap,
            self.sinks,
        )


def of_layers(layers: Sequence[LayerShape], context_length: int) -> ModelShape:
    """Raises UnsupportedError where layers differ in more than their windows."""
    kinds = {
        (layer.heads, layer.kv_heads, layer.head_size, layer.softcap, layer.sinks)
        for layer in layers
    }
    if len(kinds) != 1:
        raise UnsupportedError(f"Its layers have {len(kinds)} kinds of attention, not one.")
    [(heads, kv_heads, head_size, softcap, sinks)] = kinds
    windows = tuple(sorted({layer.window for layer in layers}))
    return ModelShape(
        len(layers), heads, kv_heads, head_size, windows, softcap, sinks, context_length
    )
