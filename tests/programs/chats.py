"""How long the window takes with many chats: to start, to open a long one, to list them again.

`python -m tests.programs.chats [CHATS] [MESSAGES]`, by default 5,000 chats of four messages, and
one of 1,000. The real window, offscreen, in a process of its own, without an engine. ms; in
brackets those of the processor, which other programs change less.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
RUNS: Final = 5
WORDS: Final = "A reply has words, and some of them are **bold**, `code` or a list of them. " * 6

WINDOW: Final = """
import json, sys, time
from PySide6.QtCore import QTimer
from app.program import application, opened_store
from app.store.store import Store
from app.theming import Look
from app.engine_client import EngineClient
from app.window import MainWindow
import psutil

running = application()
Look(running)
store, _ = opened_store()
window = MainWindow(store, EngineClient(["/bin/sleep", "60"], parent=running))
said = {}

def took(name, does):
    started, busy = time.perf_counter(), time.process_time()
    does()
    running.processEvents()
    window.page.repaint()
    said[name] = 1000 * (time.perf_counter() - started)
    said[name + " (processor)"] = 1000 * (time.process_time() - busy)

def on_painted():
    said["usable"] = 1000 * (time.time() - float(sys.argv[1]))
    said["usable (processor)"] = 1000 * time.process_time()
    memory = psutil.Process().memory_info().rss
    long = int(sys.argv[2])
    took("open the long chat", lambda: window._open(long))
    said["memory above start, MB"] = (psutil.Process().memory_info().rss - memory) / 1e6
    took("list again", window._list)
    others = [known.id for known in store.conversations()[:20]]
    times = []
    for chat in others:
        started = time.perf_counter()
        window._open(chat)
        running.processEvents()
        times.append(1000 * (time.perf_counter() - started))
    said["open a short chat, longest of 20"] = max(times)
    print(json.dumps(said))
    window.engine.closed.connect(running.quit)
    window.close()

window.painted.connect(on_painted)
window.show()
running.exec()
"""


def fill(home: Path, chats: int, messages: int) -> int:
    """The id of the long chat."""
    from app.store.records import NO_TROUBLE, Figures
    from app.store.store import open_store

    times = iter(range(10**9))
    now = time.time() - 10**7
    store, problem = open_store(home / "data")
    assert not problem
    store._clock = lambda: now + next(times)
    with store.transaction():
        for number in range(chats):
            chat = store.add_conversation(f"A chat about subject {number}")
            fill_chat(store, chat, 4)
        long = store.add_conversation("The long one")
        fill_chat(store, long, messages)
    for message in store.messages(long)[1::2]:
        store.finish_reply(message.id, WORDS, "stop", Figures(), NO_TROUBLE)
    store._db.execute(
        "UPDATE messages SET state = 'complete', content = ? WHERE content = ''", [WORDS]
    )
    store.close()
    return long


def fill_chat(store: object, chat: int, messages: int) -> None:
    for _ in range(messages // 2):
        store.add_prompt(chat, "What is a reply made of?")  # type: ignore[attr-defined]
        store.add_reply(chat, "smollm2")  # type: ignore[attr-defined]


def main() -> None:
    chats = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    messages = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        long = fill(home, chats, messages)
        environment = {
            **os.environ,
            "HEARTH_HOME": folder,
            "QT_QPA_PLATFORM": "offscreen",
            "PYTHONPATH": str(ROOT),
        }
        runs = []
        for _ in range(RUNS):
            command = [sys.executable, "-P", "-c", WINDOW, str(time.time()), str(long)]
            answer = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True
            )
            runs.append(json.loads(answer.stdout.splitlines()[-1]))
        for name in runs[0]:
            values = sorted(run[name] for run in runs)
            print(f"{name:36} median {values[RUNS // 2]:7.1f}  longest {values[-1]:7.1f}")


if __name__ == "__main__":
    main()
