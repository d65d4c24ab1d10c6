"""One input through an engine: listed, loaded, asked, stopped; and what was wrong in that."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from engine import protocol
from engine.protocol import AnyEvent, AttentionObserved, Error, Finished, Loaded, Models
from tests.hostile.engines import Engine, GoneError, LateError
from tests.hostile.inputs import Input

ANSWER: Final = 15.0
"""Seconds for the list, for a load, and for a prompt."""
MEMORY: Final = 1_500_000_000
"""Bytes of the engine and its children together."""
STOP: Final = 1.0
"""Seconds from Stop to the end of the reply."""
SILENCE: Final = 5.0
"""Seconds without telemetry."""
KEPT: Final = 100_000_000
"""Bytes that one input may leave in the cache."""
TOKENS: Final = 8
LONGEST: Final = 1000
"""Characters of a sentence."""


class Result(msgspec.Struct):
    number: int
    kind: str
    end: str = ""
    """answered, stopped, refused by the list, at the load, or at the prompt; or broken."""
    seconds: dict[str, float] = {}
    """Of each step."""
    stop: float | None = None
    """Seconds from Stop to the end."""
    peak: int = 0
    silence: float = 0.0
    kept: int = 0
    """Bytes more in the cache."""
    said: str = ""
    """The sentence of a refusal."""
    faults: list[str] = []


class BrokenError(Exception):
    """The engine is of no more use."""


@dataclass
class Trial:
    engine: Engine
    input: Input
    result: Result = field(init=False)

    def __post_init__(self) -> None:
        self.result = Result(self.input.number, self.input.kind)

    def run(self) -> Result:
        """Raises BrokenError, with the result complete, if the engine has to be replaced."""
        self.engine.begin()
        kept = self.engine.kept()
        try:
            self._run()
        finally:
            self.engine.look()
            self.result.kept = max(0, self.engine.kept() - kept)
            self._conclude()
        return self.result

    def _run(self) -> None:
        listed = self._step("list", protocol.ListModels(), lambda e: isinstance(e, Models | Error))
        id = self._id(listed)  # noqa: A001
        loaded = self._load(id)
        if not isinstance(loaded, Loaded):
            if self.result.end != "refused by the list":
                self.result.end = "refused at the load"
            return
        self._ask()

    def _id(self, listed: AnyEvent) -> str:
        """By which the model is loaded; its path, where the list has left it out."""
        if isinstance(listed, Error):
            self._check(listed, "list")
            return str(self.input.path)
        assert isinstance(listed, Models)
        for card in listed.models:
            if Path(card.path) == self.input.path or card.source == "folder":
                if card.problem:
                    self._sentence(card.problem, "list")
                    self.result.end, self.result.said = "refused by the list", card.problem
                return card.id
        return str(self.input.path)

    def _load(self, id: str) -> AnyEvent:  # noqa: A002
        command = protocol.Load(model=id)
        cut = self.input.cut
        if cut is not None:
            self.engine.send(command)
            time.sleep(cut.after)
            os.truncate(cut.file, cut.size)
        sent = None if cut is not None else command
        loaded = self._step("load", sent, lambda e: isinstance(e, Loaded | Error))
        if isinstance(loaded, Loaded):
            loaded = self._step(
                "probe", None, lambda e: isinstance(e, AttentionObserved | Error), told=loaded
            )
        if isinstance(loaded, Loaded):
            for note in loaded.notes:
                self._sentence(note, "load")
        if isinstance(loaded, Error):
            self._check(loaded, "load")
            self.result.said = loaded.detail
        return loaded

    def _ask(self) -> None:
        messages = tuple(
            protocol.Message(role=role, content=content)  # type: ignore[arg-type]
            for role, content in self.input.messages
        )
        stop = self.input.stop_after
        tokens = TOKENS if stop is None else None
        request = protocol.Generate(
            request="r",
            messages=messages,
            sampling=protocol.Sampling(max_new_tokens=tokens, seed=1),
        )
        errors: list[Error] = []

        def ended(event: AnyEvent) -> bool:
            if isinstance(event, Error):
                errors.append(event)
            return isinstance(event, Finished)

        begin = time.monotonic()
        self.engine.send(request)
        finished: Any = None
        if stop is not None:
            finished = self._stopped(stop, ended)
        if finished is None and self.result.stop is None:
            finished = self._step("prompt", None, ended)
        self.result.seconds["prompt"] = time.monotonic() - begin
        self.result.end = "answered" if self.result.stop is None else "stopped"
        for error in errors:
            self._check(error, "prompt")
            self.result.end, self.result.said = "refused at the prompt", error.detail
        if finished.finish_reason == "error" and not errors:
            self.result.faults.append("prompt: ended by an error that was not told")

    def _stopped(self, after: float, ended: Callable[[AnyEvent], bool]) -> AnyEvent | None:
        """Stops the prompt; None if it had been answered by then."""
        try:
            return self.engine.wait_for(ended, after)
        except LateError:
            pass
        except GoneError:
            self._gone("prompt")
        begin = time.monotonic()
        self.engine.send(protocol.Stop(request="r"))
        finished = self._step("stop", None, ended)
        self.result.stop = time.monotonic() - begin
        if self.result.stop > STOP:
            self.result.faults.append(f"prompt: Stop took {self.result.stop:.1f} s")
        return finished

    def _step(
        self,
        name: str,
        command: protocol.Command | None,
        wanted: Callable[[AnyEvent], bool],
        told: AnyEvent | None = None,
    ) -> AnyEvent:
        """Sends the command and waits for its end; `told` is returned in place of a good one."""
        begin = time.monotonic()
        try:
            if command is not None:
                self.engine.send(command)
            event = self.engine.wait_for(wanted, ANSWER)
        except LateError as error:
            self.result.end = "broken"
            self.result.faults.append(f"{name}: no answer after {ANSWER:g} s")
            raise BrokenError from error
        except GoneError:
            self._gone(name)
        finally:
            self.result.seconds[name] = time.monotonic() - begin
        return event if told is None or isinstance(event, Error) else told

    def _gone(self, name: str) -> None:
        self.result.end = "broken"
        self.result.faults.append(f"{name}: the engine ended")
        raise BrokenError

    def _check(self, error: Error, step: str) -> None:
        if error.code == "internal":
            self.result.faults.append(f"{step}: {error.detail}")
        self._sentence(error.detail, step)
        if not error.hint.strip():
            self.result.faults.append(f"{step}: no hint of what to do")

    def _sentence(self, said: str, step: str) -> None:
        if not said.strip():
            self.result.faults.append(f"{step}: an error without a sentence")
        if len(said) > LONGEST:
            self.result.faults.append(f"{step}: a sentence of {len(said)} characters")

    def _conclude(self) -> None:
        result, watch = self.result, self.engine.watch
        result.peak = watch.peak
        result.silence = max(watch.silence, time.monotonic() - watch.heard)
        if result.peak > MEMORY:
            result.faults.append(f"{result.peak / 1e9:.1f} GB of memory")
        if result.kept > KEPT:
            result.faults.append(f"{result.kept / 1e6:.0f} MB in the cache")
        if result.silence > SILENCE:
            result.faults.append(f"no telemetry for {result.silence:.0f} s")
        said = self.engine.stderr()
        for sign in ("Traceback (most recent call last)", "Fatal Python error", "panicked at"):
            if sign in said:
                result.faults.append(f"stderr: {sign} ... {said.strip()[-300:]}")
                break


def cleared(folder: Path) -> Path:
    """The folder, empty."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
