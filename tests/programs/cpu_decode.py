"""A GGUF model on the CPU: Hearth beside llama.cpp's own benchmark, turn by turn.

python -m tests.programs.cpu_decode --llama-bench PROGRAM [--model MODEL] [--threads 2] [--rounds 3]

Prints JSON: of each round, and their medians, tokens/s of a prompt of 512 tokens and of 64 decoded
tokens (Hearth behind 100, llama.cpp behind none), and the megabytes of this process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Final

import psutil
import torch

from engine.catalog import listing
from engine.execution.runner import Runner
from engine.local.session import Session
from engine.protocol import Load

PROMPT: Final = 512
BEHIND: Final = 100
DECODED: Final = 64


def hearth(runner: Runner) -> tuple[float, float]:
    """Tokens/s of the prompt and decoded."""
    runner.cache.cut(0)
    begin = time.perf_counter()
    for _ in runner.prefill([11 + i % 7 for i in range(PROMPT)]):
        pass
    prefilled = time.perf_counter() - begin
    runner.cache.cut(BEHIND)
    begin = time.perf_counter()
    for _ in range(DECODED):
        int(runner.forward([11]).argmax())
    return PROMPT / prefilled, DECODED / (time.perf_counter() - begin)


def llama_cpp(program: Path, model: Path, threads: int) -> tuple[float, float]:
    counts = ["-p", str(PROMPT), "-n", str(DECODED), "-t", str(threads), "-r", "1", "-o", "json"]
    done = subprocess.run(
        [str(program), "-m", str(model), *counts], capture_output=True, text=True, check=True
    )
    prompt, decoded = json.loads(done.stdout)
    return prompt["avg_ts"], decoded["avg_ts"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llama-bench", type=Path, required=True)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    session = Session()
    session.load(Load(model=arguments.model), lambda *_: None)
    runner = session._opened().runner
    hearth(runner)
    found: dict[str, list[tuple[float, float]]] = {"hearth": [], "llama.cpp": []}
    path = listing.resolve(arguments.model)
    for _ in range(arguments.rounds):
        found["hearth"].append(hearth(runner))
        found["llama.cpp"].append(llama_cpp(arguments.llama_bench, path, arguments.threads))
    medians = {
        name: [round(statistics.median(each), 1) for each in zip(*rounds, strict=True)]
        for name, rounds in found.items()
    }
    resident = round(psutil.Process().memory_info().rss / 1e6)
    print(json.dumps({"prompt, decode": medians, "resident_mb": resident, "all": found}))


if __name__ == "__main__":
    main()
