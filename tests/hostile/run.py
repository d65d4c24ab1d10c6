"""Hostile inputs through list, load and first prompt of real engines.

`python -m tests.hostile.run --inputs 20000 --jobs 2` tries the inputs with the numbers 0 to 19,999
and prints a table; `--only 4711` tries one of them again and leaves its files in `--folder`.
A line of JSON for each input goes to `--results`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import IO, Final

import msgspec

from engine import protocol
from tests.hostile import bases, engines, inputs
from tests.hostile.bases import Bases
from tests.hostile.engines import Engine
from tests.hostile.inputs import KINDS, Input
from tests.hostile.trial import BrokenError, Result, Trial, cleared

PER_ENGINE: Final = 100
"""Inputs after which an engine is ended, which is measured too."""
SUDDEN: Final = 0.02
"""The share of engines that end while a prompt runs."""


class Ending(msgspec.Struct):
    how: str
    seconds: float
    left: int
    """Children that lived on."""
    during: str
    """The kind of the input that ran."""


class Runner:
    """A series of engines in one home, and the inputs that each of them was given."""

    def __init__(self, made: Bases, folder: Path, results: IO[bytes]) -> None:
        self._bases = made
        self._home = folder / "home"
        self._models = self._home / "data" / "models"
        self._results = results
        self._engine: Engine | None = None
        self._tried = 0

    def run(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._try(number)
        if self._engine is not None:
            self._end("shutdown", "")

    def _try(self, number: int) -> None:
        tried = inputs.make(number, self._bases, cleared(self._models))
        trial = Trial(self._opened(), tried)
        try:
            trial.run()
        except BrokenError:
            self._write(trial.result)
            self._end("kill", tried.kind)
            return
        self._write(trial.result)
        self._tried += 1
        random = Random(f"end {number}")
        if self._tried >= PER_ENGINE or random.random() < SUDDEN:
            if trial.result.end in ("answered", "stopped"):
                self._ask_again(tried, random)
            self._end(random.choice(tuple(engines.ENDS)), tried.kind)

    def _ask_again(self, tried: Input, random: Random) -> None:
        """The engine ends in the middle of this one."""
        assert self._engine is not None
        messages = tuple(
            protocol.Message(role=role, content=content)  # type: ignore[arg-type]
            for role, content in tried.messages
        )
        self._engine.send(protocol.Generate(request="last", messages=messages))
        time.sleep(10 ** random.uniform(-3, 0))

    def _opened(self) -> Engine:
        if self._engine is None:
            self._engine = Engine(self._home)
            self._tried = 0
        return self._engine

    def _end(self, how: str, during: str) -> None:
        assert self._engine is not None
        seconds, left = self._engine.end(engines.ENDS[how])
        self._engine = None
        self._write(Ending(how, seconds, left, during))

    def _write(self, made: Result | Ending) -> None:
        self._results.write(msgspec.json.encode(made) + b"\n")
        self._results.flush()


def run(numbers: Iterable[int], jobs: int, folder: Path, results: Path) -> None:
    """Every number, shared among so many processes; the results are appended to the file.

    Those that have faults are tried again, one after the other.
    """
    made = prepared(folder / "bases")
    every = list(numbers)
    children = [
        forked(partial(one_job, made, folder / f"job{job}", results, every[job::jobs]))
        for job in range(jobs)
    ]
    for child in children:
        status = os.waitpid(child, 0)[1]
        assert status == 0, f"a job of the run ended with {status}"
    # What is late beside other jobs has to be late alone, too.
    chosen = set(every)
    again = [trial.number for trial in read(results)[0] if trial.faults and trial.number in chosen]
    in_child(partial(one_job, made, folder / "again", results, again))


def prepared(folder: Path) -> Bases:
    """The valid models; and this process has imported all that an engine needs, and no threads."""
    engines.import_torch()
    in_child(partial(bases.write, folder))
    file = folder / "modules"
    in_child(partial(engines.write_modules, folder / "folders" / "llama", file))
    engines.import_modules(file)
    return bases.read(folder)


def one_job(made: Bases, folder: Path, results: Path, numbers: list[int]) -> None:
    with results.open("ab") as file:
        Runner(made, folder, file).run(numbers)
    shutil.rmtree(folder, ignore_errors=True)


def forked(call: Callable[[], object]) -> int:
    """The process in which it runs."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            call()
            code = 0
        except BaseException:  # noqa: BLE001 - a process that was forked must not go on as its parent
            import traceback

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return pid


def in_child(call: Callable[[], object]) -> None:
    """So that threads which it starts are gone before the engines are forked."""
    status = os.waitpid(forked(call), 0)[1]
    assert status == 0, f"ended with {status}"


# ---------------------------------------------------------------------------- what came of it


def read(results: Path) -> tuple[list[Result], list[Ending]]:
    """The last trial of each input, and all ends of engines."""
    lines = results.read_bytes().splitlines() if results.exists() else []
    every = [msgspec.json.decode(line, type=Result) for line in lines if b'"number"' in line]
    trials = list({trial.number: trial for trial in every}.values())
    ends = [msgspec.json.decode(line, type=Ending) for line in lines if b'"how"' in line]
    return trials, ends


def table(trials: list[Result]) -> Iterator[str]:
    """A line for each kind, in Markdown, and one for all."""
    yield "| kind | inputs | answered or stopped | refused: list, load, prompt | slowest step, s "
    yield "| largest, MB | longest Stop, s | faults |\n|---|---|---|---|---|---|---|---|\n"
    for kind in (*KINDS, "all"):
        some = [result for result in trials if kind in (result.kind, "all")]
        if some:
            yield row(kind, some)


def row(kind: str, some: list[Result]) -> str:
    ends = Counter(result.end for result in some)
    refused = [
        ends[f"refused {where}"] for where in ("by the list", "at the load", "at the prompt")
    ]
    stops = [result.stop for result in some if result.stop is not None]
    cells = (
        kind,
        f"{len(some):,}",
        f"{ends['answered'] + ends['stopped']:,}",
        ", ".join(f"{count:,}" for count in refused),
        f"{max(max(result.seconds.values(), default=0) for result in some):.1f}",
        f"{max(result.peak for result in some) / 1e6:,.0f}",
        f"{max(stops):.2f}" if stops else "",
        f"{sum(bool(result.faults) for result in some):,}",
    )
    return f"| {' | '.join(cells)} |\n"


def faults(trials: list[Result]) -> Iterator[str]:
    """Each input that has one, by kind."""
    for kind in KINDS:
        for result in trials:
            if result.kind == kind and result.faults:
                yield f"{result.number} ({kind}): {'; '.join(result.faults)[:400]}\n"


def endings(ends: list[Ending]) -> Iterator[str]:
    for how in engines.ENDS:
        some = [ending for ending in ends if ending.how == how]
        if some:
            slowest = max(ending.seconds for ending in some)
            left = sum(ending.left for ending in some)
            yield f"ended by {how}: {len(some)}, slowest {slowest:.2f} s, {left} children left\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--inputs", type=int, default=1000, help="so many, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="*", help="these numbers alone")
    parser.add_argument("--kind", help="inputs of this kind alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--results", type=Path, help="a file; what it has is not tried again")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="hostile-"))
    results = options.results or folder / "results.jsonl"
    known = {result.number for result in read(results)[0]}
    numbers = options.only or range(options.first, options.first + options.inputs)
    chosen = [
        number
        for number in numbers
        if number not in known and options.kind in (None, inputs.kind_of(number))
    ]
    begin = time.monotonic()
    run(chosen, options.jobs, folder, results)
    trials, ends = read(results)
    sys.stdout.writelines([*table(trials), *endings(ends), *faults(trials)])
    sys.stdout.write(f"{time.monotonic() - begin:.0f} s; {results}\n")
    sys.exit(any(result.faults for result in trials))


if __name__ == "__main__":
    main()
