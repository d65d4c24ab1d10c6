"""The engine thread: the only one that touches the model, one command after the other.

Knows commands, events and the `Backend` that it drives; no pipes.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import msgspec

from engine.error_events import DeviceFaultError, as_event, as_hearth_error, record
from engine.process.backend import Backend
from engine.process.telemetry import Meter
from engine.protocol import (
    Attention,
    AttentionObserved,
    Count,
    Device,
    Event,
    Finished,
    FinishReason,
    Generate,
    Load,
    Text,
    Thinking,
    Unload,
    Unloaded,
)

SWITCH_INTERVAL: Final = 0.0002
"""Seconds. A decode step of 1 ms took 6.2 ms beside one busy Python thread with the default of
5 ms, and 1.35 ms with this."""
FIRST_COMMAND: Final = 0.05
"""Seconds that a first command may take to come before the backend starts, which takes seconds: it
can refuse a load before."""

Work = Load | Unload | Generate | Count
Result = TypeVar("Result")


class Worker:
    """Loads, unloads and generates in order; `stop` works at once, from any thread."""

    def __init__(
        self,
        put: Callable[[Event], None],
        meter: Meter,
        on_fatal: Callable[[], None],
        backend: Backend,
    ) -> None:
        """`put` takes events without waiting; `on_fatal` is called after a `DeviceFaultError`."""
        self._put = put
        self._meter = meter
        self._on_fatal = on_fatal
        self._backend = backend
        self._attention: Attention | None = None
        self._work: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._requests = Requests()

    def start(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL)
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    def submit(self, command: Work) -> None:
        if isinstance(command, Generate):
            self._requests.add(command)
        self._work.put(command)

    def stop(self, request: str) -> None:
        """Ends a running request at its next check, a waiting one here and now."""
        if self._requests.stop(request):
            self._put(unanswered(request, "stopped"))

    def _run(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._do(self._work.get(timeout=FIRST_COMMAND))
        self._guard(self._start)
        while True:
            while self._work.empty() and self._guard(self._backend.prepare):
                pass
            self._do(self._work.get())

    def _do(self, command: Work) -> None:
        if isinstance(command, Generate):
            self._generate(command)
        elif isinstance(command, Count):
            self._guard(lambda: self._count(command), command.request)
        elif isinstance(command, Load):
            self._guard(lambda: self._load(command))
        else:
            self._guard(self._unload)

    def _guard(self, step: Callable[[], Result], request: str = "") -> Result | None:
        """What the step returns; None where it fails, which is told."""
        try:
            return step()
        except BaseException as error:  # noqa: BLE001 - becomes an error event
            self._fail(error, request)
        return None

    def _count(self, command: Count) -> None:
        """Gives way to the next command, which is a newer count or what somebody waits for."""
        if self._work.empty():
            counted = self._backend.count(command, lambda: not self._work.empty())
            if counted:
                self._put(counted)

    def _fail(self, error: BaseException, request: str, *more: Event) -> None:
        """`more`: events that follow the error's.

        BaseException, because a panic in tokenizers is one: it must not end the thread.
        """
        record(error)
        shown = as_hearth_error(error)
        for event in (as_event(shown, request), *more):
            self._put(event)
        if isinstance(shown, DeviceFaultError):
            self._on_fatal()

    def _start(self) -> None:
        self._tell(self._backend.start())

    def _load(self, command: Load) -> None:
        self._attention = None
        self._tell(self._backend.load(command, self._put))

    def _tell(self, events: Iterable[Event]) -> None:
        """Puts the events of a start or a load, and keeps what telemetry and replies need."""
        for event in events:
            if isinstance(event, Device):
                self._meter.use(event)
            elif isinstance(event, AttentionObserved):
                self._attention = event.attention
            self._put(event)

    def _unload(self) -> None:
        self._attention = None
        self._backend.unload()
        self._put(Unloaded())

    def _generate(self, command: Generate) -> None:
        stopped = self._requests.take(command)
        if stopped is None:
            return
        try:
            self._put(self._answer(command, stopped))
        except BaseException as error:  # noqa: BLE001 - becomes an error event
            self._fail(error, command.request, unanswered(command.request, "error"))
        finally:
            self._meter.end()
            self._requests.done()

    def _answer(self, command: Generate, stopped: threading.Event) -> Finished:
        """Puts the reply; returns its end, which is put once nothing can fail any more."""
        finished = None
        for event in self._backend.generate(command, stopped.is_set):
            if isinstance(event, Finished):
                finished = event
                continue
            if isinstance(event, Text | Thinking):
                self._meter.count()
            self._put(event)
        if finished is None:
            raise RuntimeError("a generation ended without saying why")
        if finished.attention is None:
            finished = msgspec.structs.replace(finished, attention=self._attention)
        return finished


class Requests:
    """Which generations wait and which one runs; a stop for any other name does nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Generate] = []
        self._running: tuple[str, threading.Event] | None = None

    def add(self, command: Generate) -> None:
        with self._lock:
            self._waiting.append(command)

    def take(self, command: Generate) -> threading.Event | None:
        """Makes a waiting request the running one: its stop event, or None if it was stopped."""
        with self._lock:
            if command not in self._waiting:
                return None
            self._waiting.remove(command)
            stopped = threading.Event()
            self._running = (command.request, stopped)
            return stopped

    def stop(self, request: str) -> bool:
        """True when the request waited, and will not run."""
        with self._lock:
            if self._running is not None and self._running[0] == request:
                self._running[1].set()
                return False
            named = [command for command in self._waiting if command.request == request]
            if named:
                self._waiting.remove(named[0])
            return bool(named)

    def done(self) -> None:
        with self._lock:
            self._running = None


def unanswered(request: str, reason: FinishReason) -> Finished:
    """The end of a request that has no statistics."""
    return Finished(
        request=request,
        finish_reason=reason,
        prompt_tokens=0,
        reused_tokens=0,
        new_tokens=0,
        time_to_first_token_ms=0.0,
        prefill_tokens_per_second=0.0,
        decode_tokens_per_second=0.0,
        peak_memory_bytes=0,
    )
