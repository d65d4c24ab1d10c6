"""One prompt by the way that the window's prompts go: an engine process, commands, events."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final, TextIO

import msgspec

import engine
from engine import protocol, watchdog
from engine.errors import CheckpointError, HearthError
from engine.protocol import (
    AnyEvent,
    Command,
    Error,
    Finished,
    Generate,
    Hello,
    Load,
    Rethought,
    Stop,
    Text,
    Thinking,
)
from ground import environment, terminal

LAST_WORDS: Final = 1.0
"""Seconds in which what an engine that has ended said on stderr is shown."""
SERVE = ["-P", "-m", "engine", "serve"]
DIM, NOT_DIM = ("\x1b[2m", "\x1b[22m") if os.name == "posix" else ("", "")
"""ECMA-48, SGR. A console of Windows may print them as they are."""

RETHOUGHT: Final = (
    "hearth ask: what came so far was thinking; the model has told so only now. The answer follows."
)

Show = Callable[[bytes, AnyEvent], None]
"""Shows one event, given as its line and decoded."""


def ask(load: Load, generate: Generate, show: Show) -> int:
    """The exit code: 0, or 1 after an error.

    Raises HearthError when the engine ends before the answer does, KeyboardInterrupt after Ctrl-C,
    and BrokenPipeError when nobody reads the output any more.
    """
    with _engine() as process:
        asked = _Asked(process, load, generate, show)
        with _on_interrupt(asked.interrupt):
            return asked.run()


def show_events(line: bytes, _: AnyEvent) -> None:
    """The engine's events as they came; the same JSON, safe to show, on a terminal."""
    if sys.stdout.isatty():
        line = terminal.json(line.decode()).encode()
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


class Answer:
    """The answer alone, and a newline at its end. Thinking is for the eyes of whoever watches."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        """Thinking goes to `err` where that is a terminal, else nowhere."""
        self._out = out
        self._err = err
        self._answer = terminal.Reply(out)
        self._thoughts = terminal.Reply(err, DIM, NOT_DIM)
        self._watched = err.isatty()
        self._thinking = False

    def __call__(self, _: bytes, event: AnyEvent) -> None:
        if isinstance(event, Thinking) and self._watched:
            self._thinking = True
            self._thoughts.write(event.text)
        elif isinstance(event, Text):
            self._end_thinking()
            self._answer.write(event.text)
        elif isinstance(event, Rethought):
            self._answer.end()
            _print(self._out, "\n\n")
            _print(self._err, f"{RETHOUGHT}\n")
        elif isinstance(event, Finished):
            self._end_thinking()
            self._answer.end()
            if event.finish_reason != "error":
                _print(self._out, "\n")

    def _end_thinking(self) -> None:
        if self._thinking:
            self._thinking = False
            self._thoughts.end()
            _print(self._err, "\n\n")


class _Asked:
    """One conversation with one engine process."""

    def __init__(
        self, process: subprocess.Popen[bytes], load: Load, generate: Generate, show: Show
    ) -> None:
        self._process = process
        self._load = load
        self._generate = generate
        self._show = show
        self._loading = False
        self._generating = False
        self._interrupted = False

    def run(self) -> int:
        """Load is sent after hello, the prompt after the load: each may need an answer first."""
        for line, event in self._events():
            self._show(line, event)
            match event:
                case Hello():
                    self._send(self._with_default(event))
                case protocol.Loading():
                    self._loading = True
                case protocol.Loaded():
                    self._loading = False
                    self._send(self._generate)
                    self._generating = True
                case Error():
                    print(sentence(event), file=sys.stderr)
                    if self._loading:
                        return 1
                case Finished():
                    return self._exit_code(event)
                case _:
                    pass
        raise HearthError("The engine ended before the answer did.")

    def interrupt(self) -> None:
        """Stops the answer, which then ends as usual; at any other time ends the program."""
        if self._interrupted or not self._generating:
            raise KeyboardInterrupt
        self._interrupted = True
        self._send(Stop(request=self._generate.request))

    def _exit_code(self, finished: Finished) -> int:
        if self._interrupted:
            raise KeyboardInterrupt
        return 1 if finished.finish_reason == "error" else 0

    def _with_default(self, hello: Hello) -> Load:
        model = self._load.model or hello.default_model
        if not model:
            raise CheckpointError(
                "There is no model on this computer.", "Name a folder or file with --model."
            )
        return msgspec.structs.replace(self._load, model=model)

    def _events(self) -> Iterator[tuple[bytes, AnyEvent]]:
        for line in _pipe(self._process.stdout):
            if line.endswith(b"\n"):  # else the engine died over it
                yield line, protocol.decode_event(line)

    def _send(self, command: Command) -> None:
        stdin = _pipe(self._process.stdin)
        try:
            stdin.write(protocol.encode(command))
            stdin.flush()
        except OSError as error:
            raise HearthError("The engine ended before the answer did.") from error


def _print(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()


def sentence(error: Error | HearthError) -> str:
    """One line, whatever names and words of strangers it quotes."""
    return terminal.line(f"{error.title}: {error.detail} {error.hint}")


@contextlib.contextmanager
def _engine() -> Iterator[subprocess.Popen[bytes]]:
    """The engine process; it ends when its input does, and at the latest after a while.

    Ctrl-C reaches every process of a terminal. The engine ignores it, and until it has come to
    that, it has inherited so.
    """
    root = str(Path(engine.__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(
            [sys.executable, *SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment.of_child(**{"PYTHONPATH": path, watchdog.PARENT: str(os.getpid())}),
        )
    finally:
        signal.signal(signal.SIGINT, before)
    relay = threading.Thread(target=_relay, args=(_pipe(process.stderr),), daemon=True)
    relay.start()
    try:
        yield process
    finally:
        with contextlib.suppress(OSError):
            _pipe(process.stdin).close()
        _pipe(process.stdout).close()
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        relay.join(timeout=LAST_WORDS)


def _relay(errors: IO[bytes]) -> None:
    """Shows what the engine says on stderr by way of ours, which is guarded: a library written in C
    may quote what a stranger's file says, and knows nothing of terminals."""
    with io.TextIOWrapper(errors, encoding="utf-8", errors="backslashreplace") as lines:
        for text in lines:
            sys.stderr.write(text)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("the process was started without this pipe")
    return stream


@contextlib.contextmanager
def _on_interrupt(action: Callable[[], None]) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, lambda *_: action())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
