"""The KV cache: one buffer a layer, allocated once, and the tokens that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from engine.attention import latent
from engine.attention.kernels import KERNELS
from engine.attention.step import Step
from engine.cache.kept_caches import KeptCaches, shared
from engine.device import memory

SHORTEST_VIEW = 256
WORTH_KEEPING = 128
"""Tokens below which running them again is as good as copying."""


@dataclass(frozen=True)
class CacheShape:
    layers: int
    kv_heads: int
    key_size: int
    value_size: int
    """0 where one buffer holds latents for both."""

    def bytes_per_token(self, dtype: torch.dtype) -> int:
        size = self.key_size + self.value_size
        return self.layers * self.kv_heads * size * dtype.itemsize


class KVCache:
    """Holds `tokens`; position i of every buffer belongs to tokens[i].

    Window layers keep every position too, so that a conversation can be cut back anywhere.
    """

    def __init__(
        self,
        shape: CacheShape,
        capacity: int,
        device: torch.device,
        dtype: torch.dtype,
        kernel: str,
        decode_kernel: str = "",
        keep_bytes: int = 0,
    ) -> None:
        """`keep_bytes` of the host's memory may hold the caches of other conversations."""
        # Zeros, not empty: a masked position is multiplied by 0, and 0 x NaN is NaN.
        self.keys, self.values = (
            torch.zeros(
                (shape.layers, 1, capacity, shape.kv_heads, size), device=device, dtype=dtype
            )
            for size in (shape.key_size, shape.value_size)
        )
        self.device = device
        self.capacity = capacity
        self.kernel = kernel
        self.decode_kernel = decode_kernel or kernel
        """For steps of one token."""
        self.tokens: list[int] = []
        self._kept = KeptCaches(self.keys, self.values, keep_bytes)
        self._views: dict[int, tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def holds_latents(self) -> bool:
        return self.values.shape[-1] == 0

    @property
    def free(self) -> int:
        return self.capacity - len(self.tokens)

    @torch.inference_mode()
    def reuse(self, prompt: Sequence[int]) -> int:
        """Keeps the longest common prefix with the prompt and drops the rest; returns its length.

        At least the prompt's last token is left to prefill, since its logits are wanted. Where
        another conversation comes, this one's cache is kept beside, and that one's brought back.
        """
        wanted = prompt[:-1]
        common = shared(self.tokens, wanted)
        kept, most = self._kept.best(wanted)
        if most - common < WORTH_KEEPING:
            kept = None
        if len(self.tokens) - common >= max(WORTH_KEEPING, len(self.tokens) // 2):
            memory.attempt(self.device, partial(self._kept.keep, self.tokens, kept))
        self.cut(common)
        if kept is None:
            return common
        back = partial(self._kept.bring_back, kept, common, most)
        if (end := memory.attempt(self.device, back)) is None:
            return common
        self.tokens[:] = kept.tokens[:end]
        self.cut(most)
        return most

    @torch.inference_mode()
    def prepare(self) -> bool:
        """Makes a little of the host's memory ready for what the cache holds; False where all that
        there is to be is ready."""
        return len(self.tokens) >= WORTH_KEEPING and self._kept.prepare(self.tokens)

    @torch.inference_mode()
    def cut(self, length: int) -> None:
        """Keeps the first `length` tokens.

        Where positions are masked and not left out, what is no number in one is none in all.
        """
        if KERNELS[self.decode_kernel].masked:
            self.keys[:, :, length : len(self.tokens) + 1].zero_()
        del self.tokens[length:]

    def step(self, count: int) -> Step:
        """The step that appends `count` tokens behind those held."""
        start = len(self.tokens)
        lengths = torch.tensor([start], dtype=torch.int32, device=self.device)
        positions = torch.arange(start, start + count, device=self.device)
        return self._step(self.span(start + count), start, lengths, positions, on_device=False)

    def step_on_device(self, span: int, positions: torch.Tensor) -> Step:
        """A step of as many tokens as positions (int64), whose place is known on the device alone.

        The first position is how many the cache holds: kernels read its lower half.
        """
        return self._step(span, 0, positions.view(torch.int32)[:1], positions, on_device=True)

    def _step(
        self,
        span: int,
        start: int,
        lengths: torch.Tensor,
        positions: torch.Tensor,
        *,
        on_device: bool,
    ) -> Step:
        keys, values = self._views_of(span)
        count = len(positions)
        kernel = self.decode_kernel if count == 1 else self.kernel
        reads_end = KERNELS[kernel].reads_end and (on_device or count == 1)
        return Step(
            kernel,
            keys,
            values,
            start,
            lengths,
            lengths + count if reads_end else None,
            positions,
            self._mask(span, lengths) if count == 1 else None,
            on_device,
        )

    def span(self, length: int) -> int:
        """Positions of the views in which `length` fit: the next power of two, since flash kernels
        split their work by the buffer's length and not by the tokens in it."""
        return min(self.capacity, max(SHORTEST_VIEW, 1 << (length - 1).bit_length()))

    def decode_span(self, length: int) -> int:
        """Positions of the views for a captured step: all where the kernel does not mind."""
        return self.capacity if KERNELS[self.decode_kernel].any_span else self.span(length)

    def _mask(self, span: int, lengths: torch.Tensor) -> torch.Tensor | None:
        """Where the kernel needs one: of one token over latents, on a GPU."""
        if not KERNELS[self.decode_kernel].masked:
            return None
        return latent.mask_of(span, lengths, self.keys.dtype)

    def _views_of(self, span: int) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
        if span not in self._views:
            keys, values = (buffer[:, :, :span].unbind(0) for buffer in (self.keys, self.values))
            self._views[span] = (tuple(keys), tuple(values))
        return self._views[span]
