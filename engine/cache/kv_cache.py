"""The KV cache: what each layer keeps, allocated once, and the tokens that it holds."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from engine.attention import latent
from engine.attention.kernels import KERNELS
from engine.attention.shapes import Keeps
from engine.attention.step import Step
from engine.cache.kept_caches import KeptCaches, shared
from engine.device import memory

SHORTEST_VIEW = 256
WORTH_KEEPING = 128
"""Tokens below which running them again is as good as copying."""


@dataclass(frozen=True)
class CacheShape:
    layers: tuple[Keeps | int, ...]
    """What each layer keeps, or the layer whose keys and values it reads."""

    def bytes_per_token(self, dtype: torch.dtype) -> int:
        own = [layer for layer in self.layers if isinstance(layer, Keeps)]
        sizes = (layer.kv_heads * (layer.key_size + layer.value_size) for layer in own)
        return sum(sizes) * dtype.itemsize

    def kinds(self) -> list[tuple[Keeps, list[int]]]:
        """The layers that keep the same, in order."""
        found: dict[Keeps, list[int]] = {}
        for index, layer in enumerate(self.layers):
            if isinstance(layer, Keeps):
                found.setdefault(layer, []).append(index)
        return list(found.items())


@dataclass(frozen=True)
class Buffers:
    """Of layers that keep the same: [layers, 1, capacity, KV heads, size]."""

    layers: Sequence[int]
    keys: torch.Tensor
    values: torch.Tensor


def _zeros(shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Zeros, not empty: a masked position is multiplied by 0, and 0 x NaN is NaN.

    torch writes them. A CPU's come from the system, which has memory for no page that nobody has
    written, in small pages: each layer begins a large one.
    """
    if device.type != "cpu":
        return torch.zeros(shape, device=device, dtype=dtype)
    size = torch.Size(shape).numel() * dtype.itemsize
    if not size:
        return torch.empty(shape, dtype=dtype)
    room = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        room.madvise(mmap.MADV_NOHUGEPAGE)
    return torch.frombuffer(room, dtype=dtype).view(shape)


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
        self.shape = shape
        self.buffers = [
            _buffers(kind, layers, capacity, device, dtype) for kind, layers in shape.kinds()
        ]
        self.device = device
        self.capacity = capacity
        self.kernel = kernel
        self.decode_kernel = decode_kernel or kernel
        """For steps of one token."""
        self.tokens: list[int] = []
        both = [buffer for b in self.buffers for buffer in (b.keys, b.values)]
        self._kept = KeptCaches(both, keep_bytes)
        self._views: dict[int, tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def holds_latents(self) -> bool:
        return any(kind.value_size == 0 for kind, _ in self.shape.kinds())

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

        Masked positions are still multiplied: one NaN there spreads to the result, so cut rows are
        zeroed.
        """
        if KERNELS[self.decode_kernel].masked:
            for buffer in self.buffers:
                buffer.keys[:, :, length : len(self.tokens) + 1].zero_()
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
        return latent.mask_of(span, lengths, self.buffers[0].keys.dtype)

    def _views_of(self, span: int) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
        """Of each layer, its own or its source's."""
        if span not in self._views:
            of_layer: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
            for buffers in self.buffers:
                views = (b[:, :, :span].unbind(0) for b in (buffers.keys, buffers.values))
                of_layer.update(zip(buffers.layers, zip(*views, strict=True), strict=True))
            sources = [i if isinstance(x, Keeps) else x for i, x in enumerate(self.shape.layers)]
            keys, values = zip(*(of_layer[source] for source in sources), strict=True)
            self._views[span] = keys, values
        return self._views[span]


def _buffers(
    kind: Keeps, layers: Sequence[int], capacity: int, device: torch.device, dtype: torch.dtype
) -> Buffers:
    keys, values = (
        _zeros((len(layers), 1, capacity, kind.kv_heads, size), device, dtype)
        for size in (kind.key_size, kind.value_size)
    )
    return Buffers(layers, keys, values)
