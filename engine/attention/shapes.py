"""What a layer asks of attention: the sizes on which kernels and cache depend."""

from __future__ import annotations

from dataclasses import dataclass

from engine.attention.latent import Latent


@dataclass(frozen=True)
class LayerShape:
    """Sizes in elements, the window in tokens."""

    heads: int
    kv_heads: int
    head_size: int
    window: int
    """Positions that a token sees; 0 is all."""
    softcap: float
    sinks: bool
    latent: Latent | None = None
    """If the cache holds latents; heads are then those that they are expanded to."""
