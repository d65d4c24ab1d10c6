"""Time to first token of a long first turn, and of the next one on its history.

python -m tests.bench.next_turn [--model MODEL] [--history-tokens 1500] [--rounds 5]

By the engine process, as the window has it. Prints a JSON object a round, then the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from typing import Any, Final

from engine.protocol import Error, Finished, Generate, Load, Message, Sampling
from tests.engine.engine_process import EMBEDDED, ROOT, EngineProcess, running

WORDS: Final = "The hearth keeps the house warm while it rains and the wind is loud. "
WORDS_TOKENS: Final = 15
SAMPLING: Final = Sampling(temperature=0.0, max_new_tokens=16)


def text_of(tokens: int) -> str:
    """About that many tokens of plain English."""
    return WORDS * max(1, tokens // WORDS_TOKENS)


def environment() -> dict[str, str]:
    """What was on the path beside Hearth stays there."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


def turns(process: EngineProcess, name: str, tokens: int) -> dict[str, Any]:
    """The first turn begins with `name`, so that nothing of an earlier round is reused."""
    history = Message(role="user", content=f"{name}. {text_of(tokens)} What is loud?")
    reply, first = process.reply(
        Generate(request=f"{name} 1", messages=(history,), sampling=SAMPLING)
    )
    messages = (
        history,
        Message(role="assistant", content=reply),
        Message(role="user", content="And what is warm?"),
    )
    _, second = process.reply(Generate(request=f"{name} 2", messages=messages, sampling=SAMPLING))
    ratio = first.time_to_first_token_ms / second.time_to_first_token_ms
    return {"first": figures(first), "next": figures(second), "times shorter": round(ratio, 1)}


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
        rounds = []
        for number in range(options.rounds):
            rounds.append(turns(process, f"Round {number}", options.history_tokens))
            print(json.dumps(rounds[-1]), flush=True)
    medians = {
        turn: statistics.median(found[turn]["time_to_first_token_ms"] for found in rounds)
        for turn in ("first", "next")
    }
    ratio = statistics.median(found["times shorter"] for found in rounds)
    print(json.dumps({"median": medians, "times shorter": ratio}))


if __name__ == "__main__":
    main()
