"""A child process that runs what strangers wrote: asked in JSON lines, ended if it takes too long.

Its programs are `template_child` and `tokenizer_child`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any, Final

from engine import watchdog
from engine.errors import reason

ROOT: Final = Path(__file__).parents[2]
NO_WINDOW: Final = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""Or Windows would open a console: the engine has none of its own."""


class ChildError(Exception):
    """It said why not, did not answer in time, or ended."""


class AnswerError(ChildError):
    """It said why not."""


class StartError(ChildError):
    """It did not come to its first answer."""


class Child:
    """One long-lived process, started when first asked and again after one was ended."""

    def __init__(self, module: str, *arguments: str, start_limit: float) -> None:
        """`start_limit` is in seconds, for the process to be ready."""
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._start_limit = start_limit
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: Any, limit: float) -> Any:
        """The answer to `request`, within `limit` seconds. Raises ChildError."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = self._started()
        return _exchange(self._process, request, limit)

    def close(self) -> None:
        if self._process is not None:
            _end(self._process)
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "RUST_BACKTRACE": "0",
                watchdog.PARENT: str(os.getpid()),
            },
            creationflags=NO_WINDOW,
        )
        weakref.finalize(self, _end, process)  # at the latest when this program ends
        try:
            _exchange(process, None, self._start_limit)
        except ChildError as error:
            _end(process)
            raise StartError(str(error)) from error
        return process


def _exchange(process: subprocess.Popen[bytes], request: Any, limit: float) -> Any:
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        process.kill()

    timer = threading.Timer(limit, expire)
    timer.start()
    try:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except OSError:  # a broken pipe has another number on Windows
        line = b""
    finally:
        timer.cancel()
    if not line.endswith(b"\n"):
        _end(process)
        late = f"it did not end within {limit:g} seconds"
        raise ChildError(late if expired.is_set() else "it ended its process")
    answer = json.loads(line)
    if "error" in answer:
        raise AnswerError(reason(ChildError(answer["error"])))
    return answer["done"]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()
