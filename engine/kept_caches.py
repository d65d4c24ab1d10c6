"""The caches of conversations that were left, in the host's memory while there is room.

Coming back to one copies its keys and values, which is many times faster than running its tokens
again. The one that was not used for longest makes room.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from engine import memory
from engine.errors import reason

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    tokens: tuple[int, ...]
    keys: Tensor
    """[layers, 1, tokens, KV heads, size], on the CPU."""
    values: Tensor

    @property
    def size(self) -> int:
        """Bytes."""
        return self.keys.nbytes + self.values.nbytes


class KeptCaches:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Bytes of all of them together; while one is copied it comes on top."""
        self._kept: list[Kept] = []
        """The latest used last."""

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, tokens: Sequence[int], keys: Tensor, values: Tensor) -> None:
        """Copies the first positions of the buffers, one for each token.

        Nothing is kept that is too large, or the beginning of what is kept already, or for which
        the host has no memory; what is the beginning of this one goes.
        """
        count, held = len(tokens), tuple(tokens)
        size = count * (keys[:, :, :1].nbytes + values[:, :, :1].nbytes)
        if size > self.limit or any(kept.tokens[:count] == held for kept in self._kept):
            return
        try:
            parts = [buffer[:, :, :count].to("cpu", copy=True) for buffer in (keys, values)]
        except (MemoryError, RuntimeError) as error:
            if not memory.is_used_up(error):
                raise
            _log.info("a conversation's cache is not kept: %s", reason(error))
            return
        self._kept = [kept for kept in self._kept if held[: len(kept.tokens)] != kept.tokens]
        while self._kept and size + sum(kept.size for kept in self._kept) > self.limit:
            del self._kept[0]
        self._kept.append(Kept(held, *parts))

    def best(self, prompt: Sequence[int]) -> tuple[Kept | None, int]:
        """The one that has most of the prompt's beginning, and how many tokens that are."""
        found, most = None, 0
        for kept in self._kept:
            common = shared(kept.tokens, prompt)
            if common > most:
                found, most = kept, common
        if found:
            self._kept.remove(found)
            self._kept.append(found)
        return found, most


def shared(held: Sequence[int], wanted: Sequence[int]) -> int:
    """Length of the common beginning."""
    count = 0
    for one, other in zip(held, wanted, strict=False):
        if one != other:
            break
        count += 1
    return count
