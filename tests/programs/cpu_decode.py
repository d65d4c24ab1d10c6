"""Decode on the CPU: Hearth against the model's linears alone and transformers' generate().

The linears are measured twice: as torch runs them unasked, and by the path that Hearth takes.

python -m tests.programs.cpu_decode [--threads 2] [--rounds 5]

All run interleaved in one process on the same weights; prints tokens/s as JSON, with medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from engine.bench import reference
from engine.bench.peers import generated
from engine.device.onednn import onednn
from engine.local.session import Session
from engine.modeling.decoder import Decoder
from engine.modeling.linear import Dense, Linear
from engine.protocol import Load

MODEL = "smollm2-135m-instruct"
PROMPT_TOKENS = 100
TOKENS = 40


def tokens_per_second(step: Callable[[], object], tokens: int) -> float:
    begin = time.perf_counter()
    step()
    return tokens / (time.perf_counter() - begin)


def linears_alone(model: Decoder, dtype: torch.dtype, *, as_hearth: bool) -> Callable[[], None]:
    held = [part.weights for part in model.parts() if isinstance(part, Linear)]
    weights = [weight.tensor for weight in held if isinstance(weight, Dense)]
    rows = [torch.randn(1, weight.shape[1], dtype=dtype) for weight in weights]

    @torch.inference_mode()
    def run() -> None:
        with onednn(enabled=not as_hearth):
            for _ in range(TOKENS):
                for row, weight in zip(rows, weights, strict=True):
                    functional.linear(row, weight)

    return run


def hearth(session: Session) -> Callable[[], None]:
    runner = session._opened().runner

    def run() -> None:
        del runner.cache.tokens[PROMPT_TOKENS:]
        for _ in range(TOKENS):
            int(runner.forward([11]).argmax())

    return run


def generate(model: Any) -> float:
    """tokens/s of decode alone: the time of TOKENS more tokens after the first."""
    ids = torch.full((1, PROMPT_TOKENS), 11)

    def seconds(count: int) -> float:
        begin = time.perf_counter()
        generated(model, ids, count)
        return time.perf_counter() - begin

    return TOKENS / (seconds(TOKENS + 1) - seconds(1))


def measure(dtype: str, rounds: int) -> dict[str, list[float]]:
    session = Session()
    session.load(Load(model=MODEL, dtype=dtype), lambda *_: None)  # type: ignore[arg-type]
    opened = session._opened()
    model = opened.checkpoint.model
    theirs = reference.of_decoder(model, opened.checkpoint.config)
    theirs.set_attn_implementation("sdpa")
    for _ in opened.runner.prefill([11] * PROMPT_TOKENS):
        pass
    loops = {
        "hearth": hearth(session),
        "linears alone": linears_alone(model, opened.dtype, as_hearth=False),
        "linears alone, Hearth's path": linears_alone(model, opened.dtype, as_hearth=True),
    }
    found: dict[str, list[float]] = {name: [] for name in (*loops, "generate")}
    for loop in loops.values():
        loop()
    for _ in range(rounds):
        for name, loop in loops.items():
            found[name].append(tokens_per_second(loop, TOKENS))
        found["generate"].append(generate(theirs))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for dtype in ("float32", "bfloat16"):
        found = measure(dtype, arguments.rounds)
        medians = {name: round(statistics.median(rates), 1) for name, rates in found.items()}
        print(json.dumps({"dtype": dtype, "tokens_per_second": medians, "all": found}))


if __name__ == "__main__":
    main()
