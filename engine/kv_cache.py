"""The KV cache: one buffer a layer, allocated once, and the tokens that it holds."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.attention import latent
from engine.attention.interface import Step
from engine.kept_caches import KeptCaches, shared

SHORTEST_VIEW = 256
WORTH_KEEPING = 128
"""Tokens below which running them again is as good as copying."""
FRESH_BYTES = 64 * 2**20
"""Above what allocators hand out again without giving it back to the system."""

_log = logging.getLogger(__name__)


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
        self._kept = KeptCaches(keep_bytes)
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
        if len(self.tokens) - common >= max(WORTH_KEEPING, len(self.tokens) // 2):
            self._kept.keep(self.tokens, self.keys, self.values)
        if kept is None or most - common < WORTH_KEEPING:
            self.cut(common)
            return common
        self.cut(common)
        for buffer, copy in ((self.keys, kept.keys), (self.values, kept.values)):
            buffer[:, :, common:most].copy_(copy[:, :, common:most])
        self.tokens[:] = kept.tokens[:most]
        return most

    @torch.inference_mode()
    def keep_if_faster(self, seconds: float) -> None:
        """Other conversations' caches are kept only where copying a token there and back takes
        less than the seconds in which it is run again. Measured on what the cache has first."""
        if not self._kept.limit:
            return
        count = min(WORTH_KEEPING, self.capacity)
        copying = 0.0
        for _ in range(2):  # the first waits for what the device has still to do
            begin = time.perf_counter()
            for buffer in (self.keys, self.values):
                part = buffer[:, :, :count]
                # So much at once comes as fresh pages, as a conversation's memory does.
                fresh = torch.empty(max(part.nbytes, FRESH_BYTES), dtype=torch.uint8)
                there = fresh[: part.nbytes].view(part.dtype).view(part.shape)
                part.copy_(there.copy_(part))
            copying = (time.perf_counter() - begin) / count
        if copying >= seconds:
            _log.info(
                "left conversations are not kept: %.0f us a token to copy, %.0f to run",
                1e6 * copying,
                1e6 * seconds,
            )
            self._kept = KeptCaches(0)

    @torch.inference_mode()
    def cut(self, length: int) -> None:
        """Keeps the first `length` tokens.

        Where positions are masked and not left out, what is no number in one is none in all.
        """
        if self.decode_kernel == latent.KERNEL:
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
        reads_end = kernel == "torch_flash" and (on_device or count == 1)
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
        return self.capacity if self.decode_kernel == "flash_decode" else self.span(length)

    def _mask(self, span: int, lengths: torch.Tensor) -> torch.Tensor | None:
        """Where the kernel needs one: of one token over latents, on a GPU."""
        if self.decode_kernel != latent.KERNEL:
            return None
        return latent.mask_of(span, lengths, self.keys.dtype)

    def _views_of(self, span: int) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
        if span not in self._views:
            keys, values = (buffer[:, :, :span].unbind(0) for buffer in (self.keys, self.values))
            self._views[span] = (tuple(keys), tuple(values))
        return self._views[span]
