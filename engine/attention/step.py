"""What one forward may see of the KV cache, and the attention that it runs over it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.attention import latent
from engine.attention.kernels import KERNELS
from engine.attention.layer_step import LayerStep, Scoring
from engine.kernels.prologue import Prologue


@dataclass(frozen=True)
class Step:
    kernel: str
    keys: tuple[Tensor, ...]
    """A layer each: [1, positions, KV heads, head size]."""
    values: tuple[Tensor, ...]
    start: int
    lengths: Tensor
    after: Tensor | None
    positions: Tensor
    mask: Tensor | None = None
    """[positions of the views], for one token over latents; made once for all layers."""
    on_device: bool = False
    """Whether the host does not know `start`, which is 0 then."""

    @property
    def prepares(self) -> bool:
        """Whether the kernel can norm and rotate query and key itself."""
        return KERNELS[self.kernel].prepares

    def layer(self, index: int) -> LayerStep:
        return LayerStep(
            self.keys[index],
            self.values[index],
            self.start,
            self.lengths,
            self.after,
            self.positions,
            self.on_device,
        )

    def attend(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scoring: Scoring,
        left: Prologue | None,
    ) -> Tensor:
        """query [tokens, heads, head size], key and value [tokens, KV heads, head size] ->
        [tokens, heads x head size]; `left` is what is still to be done to query and key."""
        heads = query[None], key[None], value[None]
        more = () if left is None else (left,)
        out = KERNELS[self.kernel](*heads, self.layer(layer), scoring, *more)
        return out.reshape(query.shape[0], -1)

    def attend_to_source(self, layer: int, query: Tensor, scoring: Scoring) -> Tensor:
        """As `attend`, for a layer that reads what its source put into the cache in this step.

        The kernels append: they are given what is there, which leaves it as it is.
        """
        held = self.layer(layer)
        if query.is_cuda:
            key, value = (b.index_select(1, self.positions) for b in (held.keys, held.values))
        else:
            key, value = (b.narrow(1, self.start, len(query)) for b in (held.keys, held.values))
        out = KERNELS[self.kernel](query[None], key, value, held, scoring)
        return out.reshape(query.shape[0], -1)

    def attend_latent(
        self, layer: int, query: Tensor, latents: Tensor, up: Tensor, scoring: Scoring
    ) -> Tensor:
        """query [tokens, heads, head size], latents [tokens, 1, rank + rotated], up [heads,
        unrotated + value size, rank] -> [tokens, heads x value size]."""
        out = latent.attend(
            query[None], latents[None], up, self.layer(layer), self.kernel, scoring, self.mask
        )
        return out.reshape(query.shape[0], -1)
