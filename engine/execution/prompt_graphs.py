"""Short prompts as CUDA graphs, where launching takes longer than computing.

Python launches a forward's kernels one by one, which takes as long for few tokens as for many: 20
to 40 ms for 32 layers, of which a modern GPU computes a third for a short prompt. A captured
forward is of one size; fewer tokens are filled up, and what is behind them is overwritten by what
comes. Which sizes are worth it is measured: those whose graph takes less time than launching. More
tokens than the largest has are replayed piece by piece while that is faster.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from engine.attention.kernels import KERNELS
from engine.cache.kv_cache import KVCache
from engine.device import memory
from engine.device.cuda_graph import captured
from engine.errors import reason
from engine.execution.forward import last_logits, various
from engine.modeling.decoder import Decoder

SIZES: Final = (64, 256, 512)
"""Tokens. Not those of a chunk, which takes the plain kernel, faster behind many tokens."""
MOST_OF_LAUNCHING: Final = 0.9
"""Of the time that launching takes, for a graph that is worth its memory."""
ROUNDS: Final = 3

_log = logging.getLogger(__name__)


class Growing(NamedTuple):
    """Seconds at the first position and at position `end`; attention grows evenly between. Behind
    `end` as there, where nothing was measured."""

    first: float
    last: float
    end: int

    def at(self, start: int) -> float:
        return self.first + (self.last - self.first) * min(1.0, start / self.end)


class Launching(NamedTuple):
    """What a launched forward takes."""

    least: float
    """Seconds, however few its tokens are."""
    per_token: Growing
    """Of a chunk."""

    def seconds(self, count: int, start: int) -> float:
        return max(self.least, count * self.per_token.at(start))


class CapturedPrompt:
    """A forward of `size` tokens, and what it reads and writes."""

    def __init__(self, model: Decoder, cache: KVCache, size: int) -> None:
        self.size = size
        self.seconds = Growing(0.0, 0.0, 1)
        """Of a replay."""
        self.held_bytes = 0
        """What the graph keeps beyond those captured before it."""
        self.graph: Any = None
        self._model = model
        self._cache = cache
        self._given = torch.zeros(size + 2, dtype=torch.long, device=cache.device)
        """The tokens, where the first goes, and which of them is the last; one copy to the device
        brings all."""
        self._logits = torch.empty(0)
        """[vocabulary] of the last token, written by each replay."""

    def replay(self, tokens: Sequence[int], start: int) -> Tensor:
        """Logits [vocabulary] of the last of the tokens, which go to position `start` and on."""
        self.fill(tokens, start)
        self.graph.replay()
        return self._logits.clone()

    def fill(self, tokens: Sequence[int], start: int) -> None:
        missing = [tokens[-1]] * (self.size - len(tokens))
        self._given.copy_(torch.tensor([*tokens, *missing, start, len(tokens) - 1]))

    def launch(self) -> None:
        """What is captured."""
        ids, start, last = torch.split(self._given, [self.size, 1, 1])
        positions = start + torch.arange(self.size, device=ids.device)
        step = self._cache.step_on_device(self._cache.capacity, positions)
        self._logits = last_logits(self._model, ids, step, last)


class PromptGraphs:
    def __init__(self, model: Decoder, cache: KVCache) -> None:
        self._model = model
        self._cache = cache
        self._prompts: list[CapturedPrompt] = []
        """By size, rising."""
        self._launching = Launching(0.0, Growing(0.0, 0.0, 1))
        self._pool: Any = None

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(prompt.size for prompt in self._prompts)

    @property
    def held_bytes(self) -> int:
        """What all of them keep for what they compute."""
        return sum(prompt.held_bytes for prompt in self._prompts)

    @torch.inference_mode()
    def run(self, tokens: Sequence[int]) -> tuple[int, Tensor] | None:
        """Computes the first of the tokens, a chunk at most, behind those held: all, or as many as
        the largest graph has.

        Returns how many, and the last one's logits [vocabulary]; None where launching all of them
        is faster than so many replays, by what each takes half way, or a replay does not fit.
        """
        if not self._prompts:
            return None
        count, start = len(tokens), len(self._cache)
        half_way = start + count // 2
        if self._seconds(count, half_way) > self._launching.seconds(count, half_way):
            return None
        prompt = self._for(count)
        if start + prompt.size > self._cache.capacity:
            return None
        part = tokens[: prompt.size]
        return len(part), prompt.replay(part, start)

    def _for(self, count: int) -> CapturedPrompt:
        """The smallest of so many tokens, else the largest."""
        return next((one for one in self._prompts if one.size >= count), self._prompts[-1])

    def _seconds(self, count: int, start: int) -> float:
        """Of the replays that so many tokens take."""
        largest = self._prompts[-1]
        whole, rest = divmod(count, largest.size)
        seconds = whole * largest.seconds.at(start)
        return seconds + self._for(rest).seconds.at(start) if rest else seconds

    def clear(self) -> None:
        self._prompts.clear()
        self._pool = None

    @torch.inference_mode()
    def capture(self, launching: Launching, longest: int, end: int) -> None:
        """Captures what takes less than a forward that is launched, at the first position.

        `longest` is in tokens; timed there and at the last of `end` positions. The cache is to be
        empty.
        """
        self._launching = launching
        for size in (size for size in SIZES if size <= min(longest, end)):
            prompt = self._captured(size, end - size)
            most = MOST_OF_LAUNCHING * launching.seconds(size, 0)
            if prompt is None or prompt.seconds.first > most:
                del prompt
                memory.give_back(self._cache.device)
                return
            self._prompts.append(prompt)
            _log.info(
                "prompts of up to %d tokens are replayed: %.1f ms, launched %.1f ms; "
                "behind %d others %.1f and %.1f",
                size,
                1e3 * prompt.seconds.first,
                1e3 * launching.seconds(size, 0),
                end - size,
                1e3 * prompt.seconds.last,
                1e3 * launching.seconds(size, end - size),
            )

    def _captured(self, size: int, start: int) -> CapturedPrompt | None:
        """Timed without and behind `start` tokens; None where the model cannot be captured, or
        there is no memory."""
        device = self._cache.device
        tokens = various(self._model, size)

        def timed(prompt: CapturedPrompt, start: int) -> float:
            prompt.fill(tokens, start)
            return min(memory.measured(device, prompt.graph.replay)[0] for _ in range(ROUNDS))

        try:
            prompt = CapturedPrompt(self._model, self._cache, size)
            prompt.fill(tokens, start)
            prompt.launch()  # libraries allocate in the first of a size
            memory.give_back(device)
            before = torch.cuda.memory_reserved(device)
            prompt.graph = captured(prompt.launch, pool=self._pool)
            self._pool = self._pool or prompt.graph.pool()
            prompt.held_bytes = torch.cuda.memory_reserved(device) - before
            prompt.seconds = Growing(timed(prompt, 0), timed(prompt, start), max(1, start))
            return prompt
        except Exception as error:  # noqa: BLE001 - a model that looks at its inputs' numbers
            _log.info("prompts of %d tokens are not captured: %s", size, reason(error))
        return None


def possible(cache: KVCache) -> bool:
    return KERNELS[cache.kernel].several_on_device and not cache.holds_latents
