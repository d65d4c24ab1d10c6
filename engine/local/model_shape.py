"""The sizes of a model that attention and cache depend on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.attention.choice import Shape
from engine.attention.latent import Latent
from engine.attention.shapes import LayerShape
from engine.cache.kv_cache import CacheShape
from engine.errors import UnsupportedError


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
    latent: Latent | None
    context_length: int

    @property
    def cache(self) -> CacheShape:
        if self.latent:
            return CacheShape(self.layers, 1, self.latent.size, value_size=0)
        return CacheShape(self.layers, self.kv_heads, self.head_size, self.head_size)

    def attention(self, dtype: torch.dtype) -> Shape:
        return Shape(
            self.heads,
            self.kv_heads,
            self.head_size,
            dtype,
            self.windows,
            self.softcap,
            self.sinks,
            self.latent,
        )


def of_layers(layers: Sequence[LayerShape], context_length: int) -> ModelShape:
    """Raises UnsupportedError where layers differ in more than their windows."""
    kinds = {dataclasses.replace(layer, window=0) for layer in layers}
    if len(kinds) != 1:
        raise UnsupportedError(f"Its layers have {len(kinds)} kinds of attention, not one.")
    [kind] = kinds
    return ModelShape(
        layers=len(layers),
        heads=kind.heads,
        kv_heads=kind.kv_heads,
        head_size=kind.head_size,
        windows=tuple(sorted({layer.window for layer in layers})),
        softcap=kind.softcap,
        sinks=kind.sinks,
        latent=kind.latent,
        context_length=context_length,
    )
