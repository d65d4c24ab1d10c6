"""How a long reply streams, how soon a long chat is there, and how it scrolls.

`python -P tests/programs/reading.py [stream] [open] [scroll]`, each in a process of its own,
offscreen unless DISPLAY is set:

- stream: a reply of 100,000 characters with code, tables and formulas at 300 tokens/s, four
  characters each. Gaps of the event loop, as a timer of 1 ms sees them. Goals: 16 ms at the 95th
  percentile, 50 ms at most.
- open: a chat of 1,000 messages. From the call to the end of the first paint; resident memory
  above that of the empty transcript. Goals: 150 ms, 300 MB.
- scroll: through that chat, 120 px a frame, each frame laid out and painted. Goal: 16 ms at the
  95th percentile.

`cpu` is what the window's own thread computed, which other programs on the machine do not change
much; the goals are for the time that passes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import count, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.chat.transcript import Transcript

ROOT = Path(__file__).resolve().parent.parent.parent
LENGTH = 100_000
TOKENS_PER_SECOND = 300
TOKEN = 4
MESSAGES = 1000
STEP = 120
FRAMES = 600
GOALS = {
    "stream": {"p95_ms": 16.0, "max_ms": 50.0},
    "open": {"paint_ms": 150.0, "memory_mb": 300.0},
    "scroll": {"p95_ms": 16.0},
}

SECTION = """## Step {n}: what a lookup costs

A lookup of `key_{n}` in a **sorted** table takes $\\log_2 n$ comparisons, so for $m$ keys the loop
takes $O(m \\log n)$; see [the manual](https://example.org/{n}) for *what else* it does.

```python
def find_{n}(table, keys):
    \"\"\"Index of each key in the table, -1 where it is absent.\"\"\"
    at = [bisect.bisect_left(table, key) for key in keys]
    return [i if i < len(table) and table[i] == k else -1 for i, k in zip(at, keys)]
```

| Keys | Loop | At once | Gain |
|---|---|---|---|
| 1 | 0.4 µs | 1.9 µs | 0.2 times |
| {n} | 41 µs | 5.2 µs | 7.9 times |
| 10,000 | 4.3 ms | 0.31 ms | 13.9 times |

$$
T(m, n) \\approx m \\cdot \\left(\\log_2 \\frac{{n}}{{B}} + t_{{{n}}}\\right)
$$

1. Sort the keys as well when there are many.
2. Measure before you believe it:
   - with a table that fits into the cache
   - with one that does not

> Neighbouring searches touch the same lines.

"""


def long_reply(length: int) -> str:
    text = "".join(islice((SECTION.format(n=n) for n in count(1)), length // len(SECTION) + 2))
    return text[:length]


def transcript() -> Transcript:
    from app.chat.transcript import Transcript
    from app.program import application
    from app.theming import Look

    Look(application())
    made = Transcript()
    made.resize(1000, 760)
    made.show()
    wait(1)
    return made


def wait(seconds: float) -> None:
    from PySide6.QtCore import QCoreApplication, QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()
    QCoreApplication.processEvents()


def stream() -> dict[str, float]:
    from PySide6.QtCore import QElapsedTimer, QEventLoop, Qt, QTimer

    from app.store.records import StoredMessage

    shown = transcript()
    text = long_reply(LENGTH)
    shown.show_messages([StoredMessage(1, "user", "Write a book")])
    shown.add_message(StoredMessage(2, "assistant", "", "streaming"))
    clock, loop = QElapsedTimer(), QEventLoop()
    gaps: list[float] = []
    computed: list[float] = []
    began = time.monotonic()
    position = 0

    def tick() -> None:
        gaps.append(max(0.0, clock.nsecsElapsed() / 1e6 - 1))
        computed.append(1000 * time.thread_time())
        clock.restart()

    def token() -> None:
        """As many as should be there by now, and no more."""
        nonlocal position
        wanted = min(LENGTH, TOKEN * int((time.monotonic() - began) * TOKENS_PER_SECOND))
        while position < wanted:
            shown.append_text(2, text[position : position + TOKEN])
            position += TOKEN
        if position >= LENGTH:
            shown.finish_message(StoredMessage(2, "assistant", text))
            QTimer.singleShot(500, loop.quit)
            tokens.stop()

    timer, tokens = QTimer(), QTimer()
    for each, action, interval in ((timer, tick, 1), (tokens, token, 3)):
        each.setTimerType(Qt.TimerType.PreciseTimer)
        each.timeout.connect(action)
        each.start(interval)
    clock.start()
    loop.exec()
    timer.stop()
    assert shown.text().endswith(text)
    steps = [after - before for before, after in pairwise(computed)]
    return {
        "p95_ms": percentile(gaps, 0.95),
        "p99_ms": percentile(gaps, 0.99),
        "max_ms": max(gaps),
        "cpu_p99_ms": percentile(steps, 0.99),
        "cpu_max_ms": max(steps),
        "cpu_share": computed[-1] / (1000 * (time.monotonic() - began)),
    }


def chat() -> list[object]:
    from app.store.records import StoredMessage

    text = long_reply(LENGTH)
    return [
        StoredMessage(n, "user", f"Question {n}: what does it cost?")
        if n % 2
        else StoredMessage(n, "assistant", text[n * 37 % 20_000 :][: 600 + n % 7 * 400])
        for n in range(1, MESSAGES + 1)
    ]


def open_chat() -> dict[str, float]:
    import psutil

    shown = transcript()
    messages = chat()
    memory = psutil.Process().memory_info().rss
    began, computed = time.monotonic(), time.thread_time()
    shown.show_messages(messages)  # type: ignore[arg-type]
    shown.viewport().repaint()
    paint_ms = 1000 * (time.monotonic() - began)
    cpu_ms = 1000 * (time.thread_time() - computed)
    wait(2)
    again = time.monotonic()
    shown.show_messages(messages)  # type: ignore[arg-type]
    shown.viewport().repaint()
    return {
        "paint_ms": paint_ms,
        "cpu_ms": cpu_ms,
        "again_ms": 1000 * (time.monotonic() - again),
        "memory_mb": (psutil.Process().memory_info().rss - memory) / 1e6,
    }


def scroll() -> dict[str, float]:
    from PySide6.QtCore import QCoreApplication

    shown = transcript()
    shown.show_messages(chat())  # type: ignore[arg-type]
    wait(1)
    bar = shown.verticalScrollBar()
    frames: list[float] = []
    computed: list[float] = []
    for _ in range(FRAMES):
        began, cpu = time.monotonic(), time.thread_time()
        bar.setValue(bar.value() - STEP)
        QCoreApplication.processEvents()
        frames.append(1000 * (time.monotonic() - began))
        computed.append(1000 * (time.thread_time() - cpu))
    return {
        "p95_ms": percentile(frames, 0.95),
        "max_ms": max(frames),
        "cpu_p50_ms": percentile(computed, 0.5),
        "cpu_p95_ms": percentile(computed, 0.95),
        "cpu_max_ms": max(computed),
    }


RUNS = {"stream": stream, "open": open_chat, "scroll": scroll}


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[round(part * (len(ordered) - 1))]


def one_run(name: str) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        environment.setdefault("QT_QPA_PLATFORM", "offscreen")
    command = [sys.executable, "-P", __file__, "--measure", name]
    left = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    run: dict[str, float] = json.loads(left.stdout.splitlines()[-1])
    return run


def main(names: list[str]) -> int:
    for name in names or RUNS:
        run = one_run(name)
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else -1.0
        figures = ", ".join(f"{key} {value:,.1f}" for key, value in run.items())
        goals = ", ".join(f"{key} {value:,.0f}" for key, value in GOALS[name].items())
        print(f"{name} (load {load:.1f}): {figures}; goals: {goals}", flush=True)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(RUNS[sys.argv[2]]()))
    else:
        sys.exit(main(sys.argv[1:]))
