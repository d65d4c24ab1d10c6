"""How many threads a decode step on the CPU takes: fewer while other programs keep the cores busy.

torch's threads wait for each other by spinning, a thousand times a token. Where one of them has
lost its core to another program the others burn theirs waiting, and a step takes fifty times as
long; one thread waits for nobody. Which is faster now is measured on the steps themselves.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Final

import torch

LOOKED_AT: Final = 3
"""Steps whose median is what a step takes."""
TRIED_EVERY: Final = 48
"""Steps after which the other number of threads is tried for one step."""
SUSPICIOUS: Final = 3.0
"""So many times the usual and the other number is tried at once."""
FASTER: Final = 0.8
"""Of the time of the number in use: what the other must take to be used instead."""


class Pace:
    """All threads or half of them, whichever steps faster; `step` around each."""

    def __init__(self, most: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._counts = (most, max(1, most // 2))
        self._times = (deque[float](maxlen=LOOKED_AT), deque[float](maxlen=LOOKED_AT))
        """Seconds of the latest steps with all and with half."""
        self._used = 0
        self._since = 0
        self._trying = False

    @property
    def threads(self) -> int:
        return self._counts[self._used ^ self._trying]

    @contextmanager
    def step(self) -> Iterator[None]:
        if self._counts[0] == self._counts[1]:
            yield
            return
        before = torch.get_num_threads()
        if self.threads != before:
            torch.set_num_threads(self.threads)
        begin = self._clock()
        try:
            yield
        finally:
            if torch.get_num_threads() != before:
                torch.set_num_threads(before)
        self._took(self._clock() - begin)

    def _took(self, seconds: float) -> None:
        usual = self._usual(self._used)
        self._times[self._used ^ self._trying].append(seconds)
        self._since += 1
        if self._trying:
            self._trying = False
            self._since = 0
            if seconds < FASTER * self._usual(self._used):
                self._used = 1 - self._used
            return
        strange = seconds > SUSPICIOUS * usual
        unknown = not self._times[1 - self._used] and self._since >= LOOKED_AT
        self._trying = strange or unknown or self._since >= TRIED_EVERY

    def _usual(self, which: int) -> float:
        times = self._times[which]
        return median(times) if times else float("inf")
