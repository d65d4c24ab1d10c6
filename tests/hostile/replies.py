"""Shows replies that are made to be slow, and says how long the window's thread was busy.

`python -m tests.hostile.replies [COUNT] [SEED]`: random texts of hostile pieces, up to 200,000
characters each, are shown as a reply, scrolled, selected, and streamed. Printed are those that took
more than LONGEST_MS of the thread's own time in one step; the goal is none. Offscreen.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Final

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication, QEvent

from app.chat import markdown
from app.chat.transcript import Transcript
from app.program import application
from app.store.records import StoredMessage
from app.theming import Look

LONGEST_MS: Final = 100.0
LONGEST: Final = 200_000
PIECE: Final = 500
STREAMED: Final = 10_000

PIECES: Final = [
    *("> ", "- ", "1. ", "  ", "\t", "\n", "\n\n", "\r\n", "\0", "\x1b[31m", "\ufeff", "\u202e"),
    *("[", "]", "](", "![", "[^a]", "[^a]: b\n", "[a]: b\n", "<", "<!--", "<div>", "<a ", "&amp;"),
    *("*", "**a", "_a", "`", "```\n", "```py\n", "~~~", "~~a", "$", "$$\n", "\\(", "\\[", "\\"),
    *("|", "|a", "|-", "|---|\n", "# ", "---\n", "===\n", "http://a.b/", "www.", "a@b.c", ":"),
    *("word ", "x", "é", "e\u0301", "👨\u200d", "שלום ", "中文", "\u200b", "\u2028", "\ud83d"),
    *("\\def\\a{\\a\\a}", "\\frac{1}{", "1.", "1 ", "- [x] ", "    code\n", "^", "(", ")" * 3),
]


def hostile_text(chance: random.Random) -> str:
    """Some pieces, each repeated or mixed with others."""
    parts = []
    for _ in range(chance.randint(1, 4)):
        pieces = chance.sample(PIECES, chance.randint(1, 4))
        length = chance.choice((10, 300, 4000, 50_000, LONGEST))
        unit = "".join(chance.choices(pieces, k=chance.randint(1, 40)))
        parts.append((unit * (length // len(unit) + 1))[:length])
    return "".join(parts)[:LONGEST]


def steps(shown: Transcript, text: str) -> list[tuple[str, Callable[[], object]]]:
    bar = shown.verticalScrollBar()
    reply = StoredMessage(1, "assistant", text)
    growing = StoredMessage(1, "assistant", "", "streaming")
    made: list[tuple[str, Callable[[], object]]] = [
        ("show", lambda: shown.show_messages([reply])),
        ("middle", lambda: bar.setValue(bar.maximum() // 2)),
        ("top", lambda: bar.setValue(0)),
        ("select", shown.select_all),
        ("streaming", lambda: shown.show_messages([growing])),
    ]
    for start in range(0, min(len(text), STREAMED), PIECE):
        piece = text[start : min(start + PIECE, STREAMED)]
        made.append(("stream", lambda piece=piece: stream(shown, piece)))  # type: ignore[misc]
    return made


def stream(shown: Transcript, piece: str) -> None:
    shown.append_text(1, piece)
    shown._flush.flush()


def main(count: int, seed: int) -> int:
    Look(application())
    shown = Transcript()
    shown.resize(900, 760)
    shown.show()
    markdown.prepare()
    gc.freeze()  # as the program does once its window is there
    slow = 0
    longest = 0.0
    for number in range(seed, seed + count):
        text = hostile_text(random.Random(number))
        for name, step in steps(shown, text):
            for action in (step, QCoreApplication.processEvents):
                began = time.thread_time()
                action()
                took = 1000 * (time.thread_time() - began)
                longest = max(longest, took)
                if took > LONGEST_MS:
                    slow += 1
                    print(
                        f"{number}: {name} {took:.0f} ms, {len(text):,} characters: {text[:60]!r}"
                    )
        # Without an event loop that runs, nothing is deleted later.
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    print(f"{count} texts, {slow} steps over {LONGEST_MS:.0f} ms, longest {longest:.0f} ms")
    return bool(slow)


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    sys.exit(main(*(given + [2000, 0][len(given) :])))
