"""The caches of conversations that were left, in the host's memory while there is room.

Coming back to one copies its keys and values, which is many times faster than running its tokens
again. The one that was not used for longest makes room.

They are kept in blocks of one size, which are never given back but used again. For a GPU the blocks
are pages that the system may not move: copying to fresh ones took 40 times as long on an H200 (1.2
against 50 GB/s), and making them takes nearly as long as that, so that they are made ahead, between
a person's requests.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch
from torch import Tensor

from engine.device import memory

BLOCK_BYTES: Final = 16 * 2**20
"""A power of two, to which torch rounds up what it pins."""

_log = logging.getLogger(__name__)

Block = tuple[Tensor, ...]
"""Some positions of each buffer, each [bytes], on the CPU."""


@dataclass(frozen=True, eq=False)
class Kept:
    tokens: tuple[int, ...]
    blocks: list[Block]


class KeptCaches:
    def __init__(self, buffers: Sequence[Tensor], limit: int) -> None:
        """Of the cache's buffers [layers, 1, capacity, KV heads, size], in `limit` bytes at most,
        and only while the host has as many more that are free."""
        self._buffers = tuple(buffers)
        sizes = [buffer[:, :, :1].nbytes for buffer in self._buffers]
        self._positions = max(1, BLOCK_BYTES // sum(sizes))
        """Of a block."""
        self._sizes = [self._positions * size for size in sizes]
        """Bytes of a block's part of each buffer."""
        self._pinned = self._buffers[0].is_cuda
        self._limit = limit
        self._most = limit // sum(self._sizes)
        """Blocks."""
        self._made = 0
        self._free: list[Block] = []
        self._kept: list[Kept] = []
        """The latest used last."""

    def __len__(self) -> int:
        return len(self._kept)

    def prepare(self, tokens: Sequence[int]) -> bool:
        """Makes a block that keeping these tokens will need; False where there is none to make."""
        held = tuple(tokens)
        if not self._pinned or not self._keeps(held):
            return False
        return self._missing(held, self._beginnings(held)) > 0 and self._make()

    def keep(self, tokens: Sequence[int], wanted: Kept | None = None) -> None:
        """Copies the first positions of the buffers, one for each token.

        Nothing is kept that is too large, or the beginning of what is kept already, or for which
        the host has no memory; what is the beginning of this one goes. `wanted`, which is to be
        brought back, does not make room.
        """
        held = tuple(tokens)
        if not self._keeps(held):
            return
        needed, beginnings = self._blocks_for(len(held)), self._beginnings(held)
        while self._missing(held, beginnings) > 0 and self._make():
            pass
        spared = wanted.blocks if wanted and wanted not in beginnings else []
        if needed > self._made - len(spared):
            return
        self._drop(beginnings)
        while len(self._free) < needed:
            self._drop([kept for kept in self._kept if kept is not wanted][:1])
        blocks = self._free[:needed]
        for block, buffer in self._pieces(blocks, 0, len(held)):
            block.copy_(buffer, non_blocking=self._pinned)
        del self._free[:needed]
        self._kept.append(Kept(held, blocks))

    def best(self, prompt: Sequence[int]) -> tuple[Kept | None, int]:
        """The one that has most of the prompt's beginning, and how many tokens that are."""
        found, most = None, 0
        for kept in self._kept:
            common = shared(kept.tokens, prompt)
            if common > most:
                found, most = kept, common
        return found, most

    def bring_back(self, kept: Kept, begin: int, end: int) -> int:
        """Copies these positions into the buffers, and what else is in their blocks; returns where
        that ends."""
        first, last = begin // self._positions, self._blocks_for(end)
        start = first * self._positions
        stop = min(len(kept.tokens), last * self._positions)
        for block, buffer in self._pieces(kept.blocks[first:last], start, stop):
            buffer.copy_(block, non_blocking=self._pinned)
        self._kept.remove(kept)
        self._kept.append(kept)
        return stop

    def _keeps(self, held: tuple[int, ...]) -> bool:
        """Not what is too large, nor what begins another that is kept."""
        if self._blocks_for(len(held)) > self._most:
            return False
        return all(kept.tokens[: len(held)] != held for kept in self._kept)

    def _beginnings(self, held: tuple[int, ...]) -> list[Kept]:
        return [kept for kept in self._kept if held[: len(kept.tokens)] == kept.tokens]

    def _missing(self, held: tuple[int, ...], beginnings: Sequence[Kept]) -> int:
        """Blocks, beside the free ones and those of what is the beginning."""
        there = len(self._free) + sum(len(kept.blocks) for kept in beginnings)
        return self._blocks_for(len(held)) - there

    def _blocks_for(self, count: int) -> int:
        return -(-count // self._positions)

    def _pieces(
        self, blocks: Sequence[Block], start: int, stop: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """What belongs together of blocks and buffers, from a block's first position on.

        Without a gap in the block: a copy between devices is fast only then.
        """
        for block in blocks:
            after = min(start + self._positions, stop)
            for raw, buffer in zip(block, self._buffers, strict=True):
                part = buffer[:, :, start:after]
                yield raw[: part.nbytes].view(part.dtype).view(part.shape), part
            start = after

    def _make(self) -> bool:
        """False where there are as many blocks as there may be, or no memory for another."""
        if self._made >= self._most or memory.free_host_bytes() < self._limit:
            return False
        size, device = sum(self._sizes), self._buffers[0].device
        empty = partial(torch.empty, size, dtype=torch.uint8, pin_memory=self._pinned)
        block = memory.attempt(device, empty)
        if block is None:
            _log.info("there is no memory to keep a conversation")
            return False
        self._free.append(torch.split(block, self._sizes))
        self._made += 1
        return True

    def _drop(self, some: Sequence[Kept]) -> None:
        for kept in some:
            self._kept.remove(kept)
            self._free.extend(kept.blocks)


def shared(held: Sequence[int], wanted: Sequence[int]) -> int:
    """Length of the common beginning."""
    count = 0
    for one, other in zip(held, wanted, strict=False):
        if one != other:
            break
        count += 1
    return count
