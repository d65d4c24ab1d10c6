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
    layers: tuple[LayerShape, ...]
    context_length: int

    @property
    def cache(self) -> CacheShape:
        kept = (x.keeps if x.source is None else x.source for x in self.layers)
        return CacheShape(tuple(kept))

    @property
    def heads(self) -> int:
        return self._largest.heads

    @property
    def kv_heads(self) -> int:
        return self._largest.kv_heads

    @property
    def head_size(self) -> int:
        """Of the layers with the largest heads, as the other sizes are."""
        return self._largest.head_size

    @property
    def softcap(self) -> float:
        return self._largest.softcap

    @property
    def sinks(self) -> bool:
        return self._largest.sinks

    @property
    def latent(self) -> Latent | None:
        return self._largest.latent

    def attention(self, dtype: torch.dtype) -> Shape:
        """What one kernel must do for all layers: the shape of those with the largest heads, on
        which the rules depend, and beside it the others'."""
        largest = _kind(self._largest)
        kinds = {_kind(layer) for layer in self.layers} - {largest}
        others = tuple(self._of_kind(kind, dtype) for kind in sorted(kinds, key=repr))
        return dataclasses.replace(self._of_kind(largest, dtype), others=others)

    @property
    def _largest(self) -> LayerShape:
        return max(self.layers, key=lambda layer: layer.head_size)

    def _of_kind(self, kind: LayerShape, dtype: torch.dtype) -> Shape:
        windows = {layer.window for layer in self.layers if _kind(layer) == kind}
        return Shape(
            kind.heads,
            kind.kv_heads,
            kind.head_size,
            dtype,
            tuple(sorted(windows)),
            kind.softcap,
            kind.sinks,
            kind.latent,
        )


def of_layers(layers: Sequence[LayerShape], context_length: int) -> ModelShape:
    """Raises UnsupportedError if some layers alone have latents, sinks or a softcap."""
    kinds = {(layer.softcap, layer.sinks, layer.latent) for layer in layers}
    if len(kinds) != 1:
        raise UnsupportedError(f"Its layers have {len(kinds)} kinds of attention, not one.")
    return ModelShape(tuple(layers), context_length)


def _kind(layer: LayerShape) -> LayerShape:
    """What of a layer a kernel must be tried for."""
    return dataclasses.replace(layer, window=0, source=None)
