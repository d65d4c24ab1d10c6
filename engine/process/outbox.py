"""Events on their way out: threads put them without waiting, one writer thread writes them.

A reader that hangs costs neither time nor memory: text of one kind and request is joined into one
pending piece, progress and telemetry are replaced by newer ones. Text, results and errors are never
dropped. Knows events, but no commands and no engine.
"""

from __future__ import annotations

import io
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from engine.protocol import Event, Loading, Models, Prefill, Telemetry, Text, Thinking, encode

WRITE_INTERVAL: Final = 0.016
"""Seconds between writes: one frame of a 60 Hz screen, more would not be seen."""

ROOM: Final = 256
"""Pending events above which the reader of commands should wait."""


class Sink(Protocol):
    """A binary stream that takes whole lines."""

    def write(self, data: bytes, /) -> object: ...
    def flush(self) -> object: ...


class _PendingText:
    """Consecutive text of one request, thinking or answer."""

    def __init__(self, event: Text | Thinking) -> None:
        self._kind = type(event)
        self._request = event.request
        self._text = io.StringIO()
        self.append(event)

    def takes(self, event: Text | Thinking) -> bool:
        return (self._kind, self._request) == (type(event), event.request)

    def append(self, event: Text | Thinking) -> None:
        self._text.write(event.text)

    def event(self) -> Text | Thinking:
        return self._kind(request=self._request, text=self._text.getvalue())


class Outbox:
    """`put` from any thread; the writer thread sends what is pending, in order."""

    def __init__(self, sink: Sink, on_broken: Callable[[], None]) -> None:
        """`on_broken` is called from the writer thread when the reader has gone."""
        self._sink = sink
        self._on_broken = on_broken
        self._changed = threading.Condition()
        self._pending: deque[Event | _PendingText] = deque()
        self._telemetry: Telemetry | None = None
        self._writing = False

    def start(self) -> None:
        threading.Thread(target=self._run, name="outbox", daemon=True).start()

    def put(self, event: Event) -> None:
        """Never waits for the reader."""
        with self._changed:
            if isinstance(event, Telemetry):
                self._telemetry = event
            elif isinstance(event, Text | Thinking):
                self._put_text(event)
            else:
                self._put_other(event)
            self._changed.notify_all()

    def wait_for_room(self) -> None:
        """Waits while a hung reader has left too much pending; not for the engine thread."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._pending) < ROOM)

    def flush(self, timeout: float) -> bool:
        """Waits until everything is written; False when that took longer than `timeout` s."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting() or self._writing), timeout)

    def _put_text(self, event: Text | Thinking) -> None:
        last = self._pending[-1] if self._pending else None
        if isinstance(last, _PendingText) and last.takes(event):
            last.append(event)
        else:
            self._pending.append(_PendingText(event))

    def _put_other(self, event: Event) -> None:
        if self._pending and _replaces(event, self._pending[-1]):
            self._pending[-1] = event
        else:
            self._pending.append(event)

    def _waiting(self) -> bool:
        return bool(self._pending) or self._telemetry is not None

    def _run(self) -> None:
        try:
            while True:
                self._sink.write(self._take())
                self._sink.flush()
                with self._changed:
                    self._writing = False
                    self._changed.notify_all()
                time.sleep(WRITE_INTERVAL)
        except OSError:
            self._on_broken()

    def _take(self) -> bytes:
        """Waits for events and takes all of them, as lines."""
        with self._changed:
            self._changed.wait_for(self._waiting)
            events = [e.event() if isinstance(e, _PendingText) else e for e in self._pending]
            if self._telemetry is not None:
                events.append(self._telemetry)
            self._pending.clear()
            self._telemetry = None
            self._writing = True
        return b"".join(map(encode, events))


def _replaces(event: Event, last: Event | _PendingText) -> bool:
    """Whether `event` makes an unsent `last` worthless: progress of the same, a newer list."""
    if isinstance(event, Loading):
        return isinstance(last, Loading) and (last.model, last.stage) == (event.model, event.stage)
    if isinstance(event, Prefill):
        return isinstance(last, Prefill) and last.request == event.request
    return isinstance(event, Models) and isinstance(last, Models)
