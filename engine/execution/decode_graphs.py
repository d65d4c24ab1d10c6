"""Decoding as CUDA graphs: one captured step for each length class, replayed for every token.

Everything that changes from token to token is on the device: the token, its position, how much the
cache holds, the sampling parameters. The host reads one token behind: while it tells the reader of
one, the GPU computes the next.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from engine.cache.kv_cache import KVCache
from engine.device import memory
from engine.device.cuda_graph import captured, registered
from engine.errors import reason
from engine.execution.forward import last_logits
from engine.execution.sampling import Kind, Sampler
from engine.modeling.decoder import Decoder

_log = logging.getLogger(__name__)

WARM_UP: Final = 2
"""Steps of a reply that run uncaptured before the first capture: libraries allocate in those."""

NO_ROOM: Final = "Steps are launched one by one: there was no memory to capture them."
NOT_CAPTURABLE: Final = "Steps are launched one by one: this model's cannot be captured."


@dataclass(frozen=True)
class Class:
    """What a captured step is good for."""

    span: int
    """Positions of the cache's views."""
    kind: Kind


class DecodeGraphs:
    def __init__(self, model: Decoder, cache: KVCache) -> None:
        self._model = model
        self._cache = cache
        device = cache.device
        self._token = torch.zeros(1, dtype=torch.long, device=device)
        """Chosen, and not in the cache yet."""
        self._positions = torch.zeros(1, dtype=torch.long, device=device)
        self._graphs: dict[Class, Any] = {}
        self._steps: dict[Class, int] = {}
        self._pool: Any = None
        self._capturable = True
        self.refusal = ""
        """Why steps are launched one by one, as a sentence; empty where they are captured."""
        self._slots = [Slot(), Slot()]
        self._registered: Any = None

    @torch.inference_mode()
    def tokens(self, logits: Tensor, sampler: Sampler, end: int) -> Iterator[int]:
        """Tokens until the cache holds `end` of them, and the one that would be next.

        `logits` [vocabulary] follow what the cache holds. `sampler` must be the same one each time:
        captured steps write into its tensors.
        """
        self._registered = self._registered or registered(sampler.generator)
        held = len(self._cache)
        self._positions.fill_(held)
        sampler.draw(logits, self._token)
        slot = self._sent(0)
        while True:
            full = len(self._cache) >= end
            if not full:
                self._step(sampler)
                following = self._sent(1 - slot)
            token = self._slots[slot].read()
            if not full:
                self._cache.tokens.append(token)
            yield token
            if full:
                return
            slot = following

    def register_anew(self) -> None:
        """A capture that failed elsewhere has renewed torch's own generator."""
        self._registered = None

    def _sent(self, slot: int) -> int:
        self._slots[slot].send(self._token)
        return slot

    def _step(self, sampler: Sampler) -> None:
        """Appends the token and chooses the one that follows."""
        needed = Class(self._cache.decode_span(len(self._cache) + 1), sampler.kind)
        graph = self._graphs.get(needed)
        if graph is not None:
            graph.replay()
            return
        self._run(needed.span, sampler)
        self._steps[needed] = self._steps.get(needed, 0) + 1
        if self._capturable and self._steps[needed] == WARM_UP:
            self._capture(needed, sampler)

    def _capture(self, needed: Class, sampler: Sampler) -> None:
        """Where the model cannot be captured its steps go on as they are, only slower."""
        try:
            graph = self._graphs[needed] = captured(
                partial(self._run, needed.span, sampler),
                generators=[sampler.generator],
                pool=self._pool,
            )
            self._pool = self._pool or graph.pool()
            return
        except RuntimeError as error:
            _log.warning("decode steps are not captured: %s", reason(error))
            self.refusal = NO_ROOM if memory.is_used_up(error) else NOT_CAPTURABLE
        self._capturable = False
        self._graphs.clear()
        # Not before the error is gone: it holds what was captured.
        memory.give_back(self._cache.device)

    def _run(self, span: int, sampler: Sampler) -> None:
        step = self._cache.step_on_device(span, self._positions)
        sampler.draw(last_logits(self._model, self._token, step), self._token)
        self._positions.add_(1)


class Slot:
    """A token on its way to the host."""

    def __init__(self) -> None:
        self._host = torch.zeros(1, dtype=torch.long, pin_memory=True)
        self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def send(self, token: Tensor) -> None:
        self._host.copy_(token, non_blocking=True)
        self._done.record()

    def read(self) -> int:
        self._done.synchronize()
        return int(self._host)
