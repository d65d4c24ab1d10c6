"""The verb `bench`: opens the model, measures, and keeps what was found after each measurement."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from engine.bench import machine, measure, peers, plot, report, settings, subject
from engine.bench.measure import Started
from engine.bench.result import Kernels, Measurement, Result, encoded, write
from engine.bench.settings import Attention, LlamaBench, Settings
from engine.bench.subject import Subject
from engine.catalog import listing
from engine.device import facts
from engine.device.memory import give_back
from engine.errors import CheckpointError, HearthError, SettingError, StorageError

JSON, MARKDOWN, SVG = "bench.json", "bench.md", "bench.svg"
Say: TypeAlias = Callable[[str], None]
NOTE: Final = "llama.cpp: "


@dataclass(frozen=True)
class Wish:
    """As the command line has it; empty is the default for this device."""

    out: Path
    model: str = ""
    shape: str = ""
    contexts: tuple[int, ...] = ()
    attention: tuple[Attention, ...] = settings.ATTENTIONS
    peers: tuple[str, ...] = ()
    memory_limits: tuple[int, ...] | None = None
    rounds: int = settings.ROUNDS
    new_tokens: int = settings.NEW_TOKENS
    overwrite: bool = False


def run(wish: Wish, say: Say) -> int:
    """Says a line for each measurement; the exit code.

    Raises HearthError for what cannot be measured at all, before any time is spent. After Ctrl-C
    the files hold what was found until then.
    """
    keep = Keeper(wish.out, overwrite=wish.overwrite)
    model = "" if wish.shape else wish.model or default_model()
    asked = asked_for(wish)
    llama = llama_bench(wish, model)
    say(f"Loading {wish.shape or model}")
    opened = subject.of_shape(wish.shape) if wish.shape else subject.of_model(model)
    here = facts.current()
    keep.begin(
        Result(
            begun=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            settings=asked,
            llama_bench=llama,
            machine=machine.machine(here),
            versions=machine.versions(here),
            model=opened.described(),
        )
    )
    device = opened.device
    parts = findings(opened, asked, llama)
    # The generator alone holds the model: llama.cpp may need its place on the GPU.
    del opened
    try:
        for found in parts:
            if isinstance(found, Started):
                say(f"[{found.number}/{found.total} {keep.seconds():4.0f} s] {found.what}")
            else:
                keep.add(found)
    except KeyboardInterrupt:
        say(f"Stopped. What was measured until now is in {wish.out}")
        raise
    finally:
        parts.close()
        give_back(device)
    keep.complete()
    say(f"Done in {keep.seconds():.0f} s: {wish.out / MARKDOWN}")
    return 0


def default_model() -> str:
    model = listing.default_model()
    if not model:
        raise CheckpointError(
            "There is no model on this computer.", "Name one with --model, or take --shape."
        )
    return model


def asked_for(wish: Wish) -> Settings:
    """Raises SettingError for memory limits where there is no CUDA GPU."""
    kind = facts.current().kind
    limits = wish.memory_limits
    if limits is None:
        limits = settings.MEMORY_LIMITS if kind == "cuda" else ()
    if limits and kind != "cuda":
        raise SettingError(
            "A memory limit needs a CUDA GPU, and there is none here.", "Leave it out."
        )
    return Settings(
        contexts=wish.contexts or settings.CONTEXTS.get(kind, settings.CPU_CONTEXTS),
        attention=wish.attention,
        generate="generate" in wish.peers,
        memory_limits=limits,
        rounds=wish.rounds,
        new_tokens=wish.new_tokens,
    )


def llama_bench(wish: Wish, model: str) -> LlamaBench | None:
    """Raises SettingError for a peer that there is not."""
    named = [peer for peer in wish.peers if peer != "generate"]
    for peer in named:
        name, _, value = peer.partition("=")
        if name != "llama-bench" or not value:
            raise SettingError(
                f"There is no peer {peer!r}.", "Peers are generate and llama-bench=PATH."
            )
        return settings.llama_bench(value, str(listing.resolve(model)) if model else "")
    return None


Finding: TypeAlias = Started | Kernels | Measurement | str


def findings(
    opened: Subject, asked: Settings, llama: LlamaBench | None
) -> Generator[Finding, None, None]:
    """Hearth and transformers first, then llama.cpp, numbered together. Text is a note."""
    runs = peers.llama_runs(llama, asked) if llama else []
    ours = measure.total_of(opened, asked)
    for found in measure.measure(opened, asked):
        if isinstance(found, Started):
            yield Started(found.what, found.number, ours + len(runs))
        else:
            yield found
    device = opened.device
    del opened
    give_back(device)
    for number, (what, command) in enumerate(runs, ours + 1):
        yield Started(f"llama.cpp: {what}", number, ours + len(runs))
        try:
            yield from peers.llama_measurements(command)
        except HearthError as fault:
            yield from peers.llama_missing(what, asked, fault.detail)


class Keeper:
    """Writes bench.json, bench.md and bench.svg anew after each finding."""

    def __init__(self, out: Path, *, overwrite: bool) -> None:
        """Raises SettingError where a result is already, StorageError where none can be."""
        self._out = out
        self._began = time.monotonic()
        self._result: Result | None = None
        if (out / JSON).exists() and not overwrite:
            raise SettingError(
                f"{out / JSON} is there already.",
                "Choose another folder with --out, or write over it with --overwrite.",
            )
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{out} cannot be made: {error.strerror}.") from error

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def begin(self, result: Result) -> None:
        self._write(result)

    def add(self, found: Kernels | Measurement | str) -> None:
        result = self._held()
        if isinstance(found, Kernels):
            result = msgspec.structs.replace(result, kernels=(*result.kernels, found))
        elif isinstance(found, Measurement):
            result = msgspec.structs.replace(result, measurements=(*result.measurements, found))
        elif (note := NOTE + found) not in result.notes:
            result = msgspec.structs.replace(result, notes=(*result.notes, note))
        self._write(result)

    def complete(self) -> None:
        self._write(msgspec.structs.replace(self._held(), complete=True))

    def _held(self) -> Result:
        if self._result is None:
            raise HearthError("Nothing was begun.")
        return self._result

    def _write(self, result: Result) -> None:
        self._result = msgspec.structs.replace(result, seconds=round(self.seconds(), 1))
        write(self._out / JSON, encoded(self._result))
        write(self._out / MARKDOWN, report.markdown(self._result).encode())
        write(self._out / SVG, plot.svg(self._result).encode())
