"""What a layer asks of attention and keeps in the cache: the sizes on which both depend."""

from __future__ import annotations

from dataclasses import dataclass

from engine.attention.latent import Latent


@dataclass(frozen=True)
class Keeps:
    """What a layer has in the cache for each token. Sizes in elements."""

    kv_heads: int
    key_size: int
    value_size: int
    """0 if one buffer holds latents for both."""


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
    source: int | None = None
    """The layer whose keys and values it reads; None if it has its own."""

    @property
    def keeps(self) -> Keeps:
        """What it has in the cache, or what its source has."""
        if self.latent:
            return Keeps(1, self.latent.size, value_size=0)
        return Keeps(self.kv_heads, self.head_size, self.head_size)
