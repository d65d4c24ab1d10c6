"""Kills the window, the engine or both at random moments, and looks at what is left.

`python -m tests.programs.kills [COUNT] [SEED]`, by default 100 kills and seed 1. SIGKILL; the real
window class (offscreen), the real engine, SmolLM2. Each kill is a line: where it hit, and what was
wrong, if anything. Right is: every prompt is kept; of the reply at most the last second is lost,
and nothing if the window lives; the database is whole; two seconds later no process is left; the
next start, which is that of the next kill, can use what is there. The exit code is 1 if not.
"""

from __future__ import annotations

import json
import os
import queue
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from app.store.migrations import MIGRATIONS

ROOT: Final = Path(__file__).resolve().parents[2]
STEP_LIMIT: Final = 600.0
"""Seconds for a start, a load or a reply's first word, on a machine that is busy."""
DEATH_LIMIT: Final = 2.0
"""Seconds after which no process may be left."""
SAVED_EVERY: Final = 1.0
"""Seconds of a reply that may be lost."""
LATE: Final = 0.2
"""Seconds that a timer may be late on a machine that is busy."""

WEIGHTS: Final = {"load": 20, "prefill": 20, "reply": 30, "migration": 15, "conversion": 15}
"""How many kills of a hundred come in which phase."""
VICTIMS: Final = ("window", "engine", "both")
LONGEST_DELAY: Final = {
    "load": 2.0,
    "prefill": 1.0,
    "reply": 4.0,
    "migration": 0.1,
    "conversion": 0.6,
}
"""Seconds from the first sign of a phase within which the kill comes."""
OLD_MESSAGES: Final = 20_000
"""Messages of the database that is migrated."""
STORY: Final = "Write a very long story about a lighthouse keeper, number"


class Window:
    """One process of `kills_window`, and what it has reported."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("kills_window.py"))],
            env={
                **os.environ,
                "HEARTH_HOME": str(home),
                "QT_QPA_PLATFORM": "offscreen",
                "PYTHONPATH": str(ROOT),
                "OMP_WAIT_POLICY": "PASSIVE",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.engine = 0
        self.texts: list[tuple[int, float]] = []
        """Characters shown so far, and when."""
        self._came: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._came.put(line)
        self._came.put(b"")

    def until(self, *kinds: str) -> Any:
        """The value of the next report of one of these kinds."""
        deadline = time.monotonic() + STEP_LIMIT
        while True:
            line = self._came.get(timeout=max(0.0, deadline - time.monotonic()))
            if not line:
                raise RuntimeError(f"the window ended before {kinds}")
            kind, value = self._take(line)
            if kind in kinds:
                return value

    def _take(self, line: bytes) -> tuple[str, Any]:
        kind, value, when = json.loads(line)
        if kind == "engine":
            self.engine = value
        if kind == "text":
            self.texts.append((value, when))
        if kind == "failed":
            raise RuntimeError(f"the model was not loaded: {value}")
        return kind, value

    def take_the_rest(self) -> None:
        """What was reported until now."""
        while not self._came.empty():
            line = self._came.get()
            if line.endswith(b"\n"):
                self._take(line)

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())
        self.process.stdin.flush()

    def send(self, prompt: str) -> None:
        self.texts.clear()
        self.tell(f"send {json.dumps(prompt)}")

    def end(self) -> None:
        """Waits for the end of the process, and takes what it has reported to the last."""
        with self.process:
            self._reader.join()
        self.take_the_rest()


@dataclass
class Kill:
    number: int
    phase: str
    victim: str
    delay: float
    at: float = 0.0
    """Seconds since the epoch."""
    shown: int = 0
    saved: int = 0
    lost_s: float = 0.0
    gone_s: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def check(self, right: bool, said: str) -> None:
        if not right:
            self.wrong.append(said)

    def __str__(self) -> str:
        text = f", {self.shown} characters shown, {self.saved} saved" if self.shown else ""
        return (
            f"{self.number:3} {self.phase:10} {self.victim:6} after {self.delay:4.2f} s{text}, "
            f"{self.lost_s:.2f} s lost, all gone after {self.gone_s:.2f} s: "
            + ("; ".join(f"WRONG {said}" for said in self.wrong) or "right")
        )


class Kills:
    """Kills one after another in one home, each start on what the last one left."""

    def __init__(self, home: Path, dice: random.Random) -> None:
        self._home = home
        self._dice = dice
        self._window: Window | None = None
        self._prompts: list[str] = []

    def kill(self, number: int, phase: str, victim: str) -> Kill:
        kill = Kill(number, phase, victim, self._dice.uniform(0, LONGEST_DELAY[phase]))
        window = self._in_phase(kill)
        time.sleep(kill.delay)
        self._strike(kill, window)
        self._look(kill, window)
        return kill

    def close(self) -> None:
        if self._window is not None:
            self._window.tell("close")
            self._window.end()
            self._window = None

    # ---------------------------------------------------------------- before

    def _in_phase(self, kill: Kill) -> Window:
        """The window, at the first sign of the phase."""
        match kill.phase:
            case "migration":
                self.close()
                make_old(self._database(), self._prompts)
                window = self._window = Window(self._home)
                window.until("begin")
            case "load":
                window = self._started(kill)
                window.until("weights")
            case "conversion":
                shutil.rmtree(self._home / "cache", ignore_errors=True)
                window = self._started(kill)
                window.until("converting")
            case "prefill":
                window = self._ready(kill)
                self._send(window, "The sea, the wind and the rain. " * 300)
                window.until("prefill")
            case _:
                window = self._ready(kill)
                self._send(window, "")
                window.until("text")
        return window

    def _started(self, kill: Kill) -> Window:
        """A window that has just been started, on what is in the home."""
        self.close()
        return self._opened(kill)

    def _ready(self, kill: Kill) -> Window:
        """A window whose model is loaded; the one that runs, where one does."""
        if self._window is not None:
            return self._window
        window = self._opened(kill)
        window.until("ready")
        return window

    def _opened(self, kill: Kill) -> Window:
        window = self._window = Window(self._home)
        kill.check(not window.until("opened"), "the database cannot be used")
        return window

    def _send(self, window: Window, more: str) -> None:
        prompt = f"{STORY} {len(self._prompts)}. {more}".strip()
        self._prompts.append(prompt)
        window.send(prompt)

    # ---------------------------------------------------------------- the kill, and after

    def _strike(self, kill: Kill, window: Window) -> None:
        window.take_the_rest()
        victims = {"window": [window.process.pid], "engine": [window.engine]}
        both = [window.process.pid, window.engine]
        self._dice.shuffle(both)
        kill.at = time.time()
        for victim in victims.get(kill.victim, both):
            if victim:  # the engine may not have said hello yet
                os.kill(victim, signal.SIGKILL)
        kept = window.process.pid if kill.victim == "engine" else 0
        while left := [p for p in running_in(self._home) if p.pid != kept]:
            while any(map(runs, left)) and kill.gone_s < 5 * DEATH_LIMIT:
                time.sleep(0.01)
                kill.gone_s = time.time() - kill.at
            if kill.gone_s >= 5 * DEATH_LIMIT:
                break
        kill.check(kill.gone_s <= DEATH_LIMIT, f"left: {left}")

    def _look(self, kill: Kill, window: Window) -> None:
        if kill.victim == "engine":
            window.until("died")
            window.take_the_rest()
        else:
            window.end()
            self._window = None
        self._look_into_database(kill, window)
        if kill.victim == "engine":
            window.tell("start the engine")
            window.until("ready")
        window.texts.clear()

    def _look_into_database(self, kill: Kill, window: Window) -> None:
        with opened(self._database()) as db:
            whole = db.execute("PRAGMA integrity_check").fetchone()[0]
            kill.check(whole == "ok", f"the database: {whole}")
            kept = Counter(row[0] for row in db.execute("SELECT content FROM messages"))
            missing = [prompt for prompt in self._prompts if kept[prompt] != 1]
            kill.check(not missing, f"{len(missing)} prompts lost")
            if window.texts:
                query = "SELECT content FROM messages WHERE role = 'assistant' ORDER BY id DESC"
                kill.saved = len(db.execute(query).fetchone()[0])
                kill.shown = window.texts[-1][0]
                unsaved = [when for shown, when in window.texts if shown > kill.saved]
                kill.lost_s = max(0.0, kill.at - unsaved[0]) if unsaved else 0.0
        lost = 0.0 if kill.victim == "engine" else SAVED_EVERY + LATE
        kill.check(kill.lost_s <= lost, f"{kill.lost_s:.2f} s of the reply lost")

    def _database(self) -> Path:
        return self._home / "data" / "hearth.sqlite3"


def opened(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    """A connection that is closed at the end."""
    return closing(sqlite3.connect(path))


def make_old(path: Path, prompts: list[str]) -> None:
    """A database of the first version, with the prompts and many replies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for beside in path.parent.glob(f"{path.name}*"):
        beside.unlink()
    row = "INSERT INTO messages (conversation_id, role, content, state, created_at) VALUES"
    with opened(path) as db, db:
        db.executescript(f"{MIGRATIONS[0].sql} PRAGMA user_version = 1;")
        db.execute("INSERT INTO conversations VALUES (1, 'Old', 0, 0, NULL)")
        db.executemany(f"{row} (1, 'user', ?, 'complete', 0)", ((p,) for p in prompts))
        replies = ((f"reply {number} " + "x" * 400,) for number in range(OLD_MESSAGES))
        db.executemany(f"{row} (1, 'assistant', ?, 'complete', 0)", replies)


def runs(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def running_in(home: Path) -> Iterator[psutil.Process]:
    """The processes that were started with this home, whoever their parent is now."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # it has ended, or is not ours
            if process.environ().get("HEARTH_HOME") == str(home) and runs(process):
                yield process


def plan(count: int, dice: random.Random) -> list[tuple[str, str]]:
    """The phase and the victim of each kill. A migration comes before there is an engine."""
    phases = dice.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
    return [(phase, "window" if phase == "migration" else dice.choice(VICTIMS)) for phase in phases]


def kill_all(planned: list[tuple[str, str]], dice: random.Random) -> Iterator[Kill]:
    """Kills as planned, and at last closes the window, which all must be gone of too."""
    with tempfile.TemporaryDirectory(prefix="hearth-kills-") as home:
        kills = Kills(Path(home), dice)
        for number, (phase, victim) in enumerate(planned, 1):
            yield kills.kill(number, phase, victim)
        kills.close()
        closed = time.monotonic()
        while (left := list(running_in(Path(home)))) and time.monotonic() < closed + DEATH_LIMIT:
            time.sleep(0.05)
        assert not left, left


def main(count: int, seed: int) -> int:
    dice = random.Random(seed)
    done = []
    for kill in kill_all(plan(count, dice), dice):
        done.append(kill)
        print(kill, flush=True)
    wrong = sum(bool(kill.wrong) for kill in done)
    phases = ", ".join(f"{n} in {phase}" for phase, n in Counter(k.phase for k in done).items())
    victims = ", ".join(f"{n} of {victim}" for victim, n in Counter(k.victim for k in done).items())
    print(
        f"{len(done)} kills, seed {seed}: {phases}; {victims}. At most "
        f"{max(k.lost_s for k in done):.2f} s of a reply lost, all processes gone after at most "
        f"{max(k.gone_s for k in done):.2f} s. {wrong} wrong."
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(given + [100, 1][len(given) :])))
