"""Short prompts as CUDA graphs, where launching takes longer than computing.

Python launches a forward's kernels one by one, which takes as long for few tokens as for many: 20
to 40 ms for 32 layers, of which a modern GPU computes a third for a short prompt. A captured
forward is of one size; fewer tokens are filled up, and what is behind them is overwritten by what
comes. Which sizes are worth it is measured: those whose graph takes less time than launching.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from engine import fusion, memory
from engine.attention.kernels import ON_DEVICE
from engine.capture import captured
from engine.errors import reason
from engine.forward import last_logits
from engine.kv_cache import KVCache

SIZES: Final = (64, 256, 512)
"""Tokens. Not those of a chunk: a long prompt's are better off with the plain kernel."""
LEAST_SHORTER: Final = 0.9
"""Of the time of launching, at most."""
ROUNDS: Final = 3

_log = logging.getLogger(__name__)


class PromptGraphs:
    def __init__(self, model: nn.Module, cache: KVCache) -> None:
        self._model = model
        self._cache = cache
        self._given: dict[int, Tensor] = {}
        """int64 [size + 2] by size: the tokens, where the first goes, and which of them is the
        last; one copy to the device brings all."""
        self._logits: dict[int, Tensor] = {}
        """[vocabulary] of the last token, written by each replay."""
        self._graphs: dict[int, Any] = {}
        self._held: dict[int, int] = {}
        """Bytes that each graph keeps beyond those before it."""
        self._pool: Any = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of those captured, rising."""
        return tuple(self._graphs)

    @property
    def held_bytes(self) -> int:
        """What all of them keep for what they compute."""
        return sum(self._held.values())

    def run(self, tokens: Sequence[int]) -> Tensor | None:
        """Computes the tokens behind those held; the last one's logits [vocabulary], or None where
        no graph is large enough, or the cache not for it."""
        count, start = len(tokens), len(self._cache)
        size = next((size for size in self._graphs if size >= count), None)
        if size is None or count == 1 or start + size > self._cache.capacity:
            return None
        self._fill(size, tokens, start)
        self._graphs[size].replay()
        return self._logits[size].clone()

    def clear(self) -> None:
        for size in self.sizes:
            self._drop(size)
        self._pool = None

    @torch.inference_mode()
    def capture(self, launching: float, longest: int, end: int) -> None:
        """Captures what takes less than the seconds in which a forward is launched.

        `longest` is in tokens. Timed where launching was, at the last of `end` positions. The cache
        is to be empty.
        """
        for size in (size for size in SIZES if size <= min(longest, end)):
            seconds = self._captured(size, end - size)
            if seconds is None or seconds > LEAST_SHORTER * launching:
                self._drop(size)
                memory.give_back(self._cache.device)
                return
            _log.info(
                "prompts of up to %d tokens are replayed: %.1f ms, launched %.1f ms",
                size,
                1e3 * seconds,
                1e3 * launching,
            )

    def _captured(self, size: int, start: int) -> float | None:
        """Seconds of a replay behind `start` tokens; None where the model cannot be captured, or
        there is no memory."""
        run, device = partial(self._run, size), self._cache.device
        try:
            self._given[size] = torch.zeros(size + 2, dtype=torch.long, device=device)
            self._fill(size, [0] * size, start)
            run()  # libraries allocate in the first of a size
            memory.give_back(device)
            before = torch.cuda.memory_reserved(device)
            graph = self._graphs[size] = captured(run, pool=self._pool)
            self._pool = self._pool or graph.pool()
            self._held[size] = torch.cuda.memory_reserved(device) - before
            return min(self._seconds(graph) for _ in range(ROUNDS))
        except Exception as error:  # noqa: BLE001 - a model that looks at its inputs' numbers
            _log.info("prompts of %d tokens are not captured: %s", size, reason(error))
        fusion.forget(self._model)
        return None

    def _seconds(self, graph: Any) -> float:
        torch.cuda.synchronize(self._cache.device)
        begin = time.perf_counter()
        graph.replay()
        torch.cuda.synchronize(self._cache.device)
        return time.perf_counter() - begin

    def _drop(self, size: int) -> None:
        for kept in (self._given, self._logits, self._graphs, self._held):
            kept.pop(size, None)

    def _fill(self, size: int, tokens: Sequence[int], start: int) -> None:
        missing = [tokens[-1]] * (size - len(tokens))
        given = torch.tensor([*tokens, *missing, start, len(tokens) - 1])
        self._given[size].copy_(given)

    def _run(self, size: int) -> None:
        ids, start, last = torch.split(self._given[size], [size, 1, 1])
        positions = start + torch.arange(size, device=ids.device)
        lengths = start.view(torch.int32)[:1]  # the lower half
        step = self._cache.step_on_device(self._cache.capacity, lengths, positions)
        self._logits[size] = last_logits(self._model, ids, step, last)


def possible(cache: KVCache) -> bool:
    return cache.kernel in ON_DEVICE and not cache.holds_latents
