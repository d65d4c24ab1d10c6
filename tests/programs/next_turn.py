"""Time to first token of a long first turn, of the next one on its history, and on coming back.

python -m tests.programs.next_turn [--model MODEL] [--history-tokens 1500] [--rounds 5]

By the engine process, as the window has it. Each round is a conversation of two turns; then the
conversation of the round before goes on. A second passes before each change of conversation, in
which somebody would read. Prints a JSON object a round, then the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from typing import Any, Final

from engine.protocol import Error, Finished, Generate, Load, Message, Sampling
from tests.engine.engine_process import EMBEDDED, ROOT, EngineProcess, running

WORDS: Final = "The hearth keeps the house warm while it rains and the wind is loud. "
WORDS_TOKENS: Final = 15
READING: Final = 1.0
"""Seconds."""
SAMPLING: Final = Sampling(temperature=0.0, max_new_tokens=16)


def text_of(tokens: int) -> str:
    """About that many tokens of plain English."""
    return WORDS * max(1, tokens // WORDS_TOKENS)


def environment() -> dict[str, str]:
    """What was on the path beside Hearth stays there."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


class Conversation:
    """It begins with `name`, so that nothing of an earlier one is reused."""

    def __init__(self, process: EngineProcess, name: str, tokens: int) -> None:
        self._process = process
        self._name = name
        self._begin = f"{name}. {text_of(tokens)} "
        self._messages: tuple[Message, ...] = ()

    def turn(self, question: str) -> Finished:
        content = question if self._messages else self._begin + question
        asked = (*self._messages, Message(role="user", content=content))
        request = f"{self._name} {len(asked)}"
        reply, end = self._process.reply(
            Generate(request=request, messages=asked, sampling=SAMPLING)
        )
        self._messages = (*asked, Message(role="assistant", content=reply))
        return end


def turns(new: Conversation, before: Conversation | None) -> dict[str, Any]:
    time.sleep(READING)
    first, second = new.turn("What is loud?"), new.turn("And what is warm?")
    ratio = first.time_to_first_token_ms / second.time_to_first_token_ms
    found = {"first": figures(first), "next": figures(second), "times shorter": round(ratio, 1)}
    if before:
        time.sleep(READING)
        found["back"] = figures(before.turn("And what keeps it warm?"))
    return found


def figures(end: Finished) -> dict[str, float]:
    return {
        "prompt_tokens": end.prompt_tokens,
        "reused_tokens": end.reused_tokens,
        "time_to_first_token_ms": round(end.time_to_first_token_ms, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=EMBEDDED)
    parser.add_argument("--history-tokens", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with running(environment=environment()) as process:
        loaded = process.load(Load(model=options.model))
        if isinstance(loaded, Error):
            raise SystemExit(f"{loaded.title}: {loaded.detail} {loaded.hint}")
        rounds, before = [], None
        for number in range(options.rounds):
            new = Conversation(process, f"Round {number}", options.history_tokens)
            rounds.append(turns(new, before))
            before = new
            print(json.dumps(rounds[-1]), flush=True)
    medians = {
        turn: statistics.median(
            found[turn]["time_to_first_token_ms"] for found in rounds if turn in found
        )
        for turn in ("first", "next", "back")
        if turn in rounds[-1]
    }
    ratio = statistics.median(found["times shorter"] for found in rounds)
    print(json.dumps({"median": medians, "times shorter": ratio}))


if __name__ == "__main__":
    main()
