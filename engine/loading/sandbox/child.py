"""A child process that runs what strangers wrote: asked in JSON lines, ended if it takes too long.

Whoever waits for an answer looks at Stop and at a deadline meanwhile, and never waits for a pipe:
a thread writes the request and reads the answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import engine
from engine import watchdog
from engine.errors import reason

ROOT: Final = Path(engine.__file__).parents[1]
NO_WINDOW: Final = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""Or Windows would open a console: the engine has none of its own."""
POLL: Final = 0.02
"""Seconds between two looks at Stop."""
ENDING: Final = 0.5
"""Seconds in which a process ends whose pipe has been closed."""
MAX_ANSWER: Final = 1 << 20
"""Bytes of an answer, unless the caller expects more."""


class ChildError(Exception):
    """It said why not, did not answer in time, said too much, or ended."""


class AnswerError(ChildError):
    """It said why not."""


class LateError(ChildError):
    """It did not answer in time."""


class StartError(ChildError):
    """It did not come to its first answer."""


class StoppedError(Exception):
    """The person who waited for the answer does not want it any more."""


def never() -> bool:
    return False


class Child:
    """One long-lived process, started when it is needed and again after it was ended."""

    def __init__(
        self, module: str, *arguments: str, start_limit: float, opening: Any = None
    ) -> None:
        """`opening` is the first request of every process, to be answered in `start_limit` s."""
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._start_limit = start_limit
        self._opening = opening
        self._process: subprocess.Popen[bytes] | None = None
        self._opened: _Exchange | None = None
        self._finalizer: Any = None

    def start(self) -> None:
        """Starts the process unless it runs; does not wait for it."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "RUST_BACKTRACE": "0",
                "TOKENIZERS_PARALLELISM": "false",
                watchdog.PARENT: str(os.getpid()),
            },
            creationflags=NO_WINDOW,
        )
        # At the latest when this program ends.
        self._finalizer = weakref.finalize(self, _end, self._process)
        self._opened = _Exchange(self._process, self._opening, MAX_ANSWER)

    def open_with(self, opening: Any) -> None:
        """Makes `opening` the first request of every process; one that runs gets it now."""
        self._opening = opening
        if self._process is not None:
            self._opened = _Exchange(self._process, opening, MAX_ANSWER)

    def open(self) -> None:
        """Waits until a process has taken the first request. Raises StartError."""
        self._await_opening(self._start_limit, never)

    def ask(
        self,
        request: Any,
        limit: float,
        stopped: Callable[[], bool] = never,
        most: int = MAX_ANSWER,
    ) -> Any:
        """The answer to `request`, of at most `most` bytes, within `limit` seconds.

        A process that must be started first has the same seconds for that; is it not ready by
        then, it goes on starting. One that does not answer is ended, and another one started for
        the next request.

        Raises ChildError, and StoppedError soon after `stopped()`.
        """
        if stopped():
            raise StoppedError
        deadline = time.monotonic() + limit
        process = self._await_opening(limit, stopped)
        try:
            return _Exchange(process, request, most).answer(deadline - time.monotonic(), stopped)
        except AnswerError:
            raise
        except (ChildError, StoppedError) as error:
            self.close()
            self.start()
            if isinstance(error, LateError):
                raise LateError(f"it did not end within {limit:g} seconds") from error
            raise

    def _await_opening(self, limit: float, stopped: Callable[[], bool]) -> subprocess.Popen[bytes]:
        self.start()
        assert self._process is not None  # noqa: S101 - started
        assert self._opened is not None  # noqa: S101
        try:
            self._opened.answer(limit, stopped)
        except LateError as error:
            if self._opened.age >= self._start_limit:
                self.close()
            raise StartError(f"it is not ready after {limit:g} seconds") from error
        except ChildError as error:
            self.close()
            raise StartError(str(error)) from error
        return self._process

    def close(self) -> None:
        """Ends the process. Does not wait for that, which takes as long as freeing its memory."""
        if self._process is not None:
            self._finalizer.detach()
            self._process.kill()
            threading.Thread(target=_end, args=(self._process,), name="child", daemon=True).start()
            self._process = self._opened = None


class _Exchange:
    """One request and its answer. On a thread of their own: either may wait for the pipe."""

    def __init__(self, process: subprocess.Popen[bytes], request: Any, most: int) -> None:
        self._process = process
        self._most = most
        self._begin = time.monotonic()
        self._line = b""
        self._done = threading.Event()
        said = json.dumps(request).encode() + b"\n"
        threading.Thread(target=self._run, args=(said,), name="child", daemon=True).start()

    def _run(self, said: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - both are pipes
        assert self._process.stdout is not None  # noqa: S101
        # A broken pipe has another number on Windows; ValueError: closed by who gave up.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(said)
            self._process.stdin.flush()
            self._line = self._process.stdout.readline(self._most)
        self._done.set()

    @property
    def age(self) -> float:
        """Seconds since the request."""
        return time.monotonic() - self._begin

    def answer(self, limit: float, stopped: Callable[[], bool]) -> Any:
        """Waits at most `limit` seconds. Raises ChildError, StoppedError."""
        deadline = time.monotonic() + limit
        while not self._done.wait(max(0.0, min(POLL, deadline - time.monotonic()))):
            if stopped():
                raise StoppedError
            if time.monotonic() >= deadline:
                raise LateError(f"it did not end within {limit:g} seconds")
        if not self._line.endswith(b"\n"):
            raise ChildError(self._why_no_line())
        try:
            answer = json.loads(self._line)
        except (ValueError, RecursionError) as error:
            raise ChildError("its answer is damaged") from error
        match answer:
            case {"done": done}:
                return done
            case {"error": str(why)}:
                raise AnswerError(reason(ChildError(why)))
        raise ChildError("its answer is damaged")

    def _why_no_line(self) -> str:
        if len(self._line) >= self._most:
            return "it answers too much"
        with contextlib.suppress(subprocess.TimeoutExpired):
            ended = self._process.wait(ENDING)
            if ended == -getattr(signal, "SIGXCPU", 0):
                return "it computes for too long"
            # What the libraries do that get no more of memory or stack.
            if ended == -signal.SIGABRT:
                return "it takes too much memory"
        return "it ended its process"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()
