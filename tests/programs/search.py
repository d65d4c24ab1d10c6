"""How long a search over many messages takes, on a connection of its own.

`python -m tests.programs.search [MESSAGES]`, by default 100,000 in 5,000 chats. Prints for each
query how many hits it has, the median and longest of 20 runs, ms, and the median of the processor's
time, which other programs change less; before them what the index costs.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from typing import Final

from app.store.database import open_database, open_to_read
from app.store.search import search

CHATS: Final = 5000
RUNS: Final = 20
WORDS: Final = 60
"""Words of a message, on average."""


def vocabulary(rng: random.Random, size: int = 30_000) -> list[str]:
    letters = "etaoinshrdlucmfwypvbgk"
    return ["".join(rng.choices(letters, k=rng.randint(2, 10))) for _ in range(size)]


def fill(connection: sqlite3.Connection, messages: int, rng: random.Random) -> None:
    """Messages whose words are as rare as in a language: the n-th comes with a weight of 1/n."""
    words = [*["the", "of", "and", "to", "a", "in", "is", "it", "you", "that"], *vocabulary(rng)]
    weights = list(accumulate(1 / (rank + 1) for rank in range(len(words))))
    rows = []
    for number in range(messages):
        said = rng.choices(words, cum_weights=weights, k=rng.randint(WORDS // 4, 2 * WORDS))
        if number % 997 == 0:
            said.insert(len(said) // 2, "lighthouse keeper")
        role = "assistant" if number % 2 else "user"
        rows.append((number % CHATS + 1, role, " ".join(said), "complete", float(number)))
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO conversations (title, created_at, updated_at) VALUES (?, ?, ?)",
        ((f"Chat {n}", float(n), float(n)) for n in range(CHATS)),
    )
    connection.executemany(
        "INSERT INTO messages (conversation_id, role, content, state, created_at) "
        "VALUES (?, ?, ?, ?, ?)",
        rows,
    )
    connection.execute("COMMIT")


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hearth.sqlite3"
        with closing(open_database(path)) as connection:
            started = time.perf_counter()
            fill(connection, messages, random.Random(1))
            print(f"{messages:,} messages written in {time.perf_counter() - started:.1f} s")
            size = "SELECT sum(length(content)) FROM messages"
            text = connection.execute(size).fetchone()[0]
            pages = path.stat().st_size + Path(f"{path}-wal").stat().st_size
            print(f"{text / 1e6:.0f} MB of text, {pages / 1e6:.0f} MB in the file and its log")
        with closing(open_to_read(path, "mode=ro")) as connection:
            queries = ["lighthouse", "lighthouse keep", '"lighthouse keeper"', "the", "t", "th of"]
            for query in [*queries, "nothingofthis", "灯台"]:
                times, busy = [], []
                for _ in range(RUNS):
                    started, computed = time.perf_counter(), time.process_time()
                    hits = search(connection, query)
                    times.append(1000 * (time.perf_counter() - started))
                    busy.append(1000 * (time.process_time() - computed))
                print(
                    f"{query:22} {len(hits):4} hits  median {statistics.median(times):6.1f} ms  "
                    f"longest {max(times):6.1f} ms  processor {statistics.median(busy):6.1f} ms"
                )


if __name__ == "__main__":
    main()
