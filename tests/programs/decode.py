"""Decoding alone, by the steps that replies use, and where each microsecond of one goes.

python -m tests.programs.decode --shape llama-3.1-8b [--contexts 512,7000] [--new-tokens 100]
    [--rounds 3] --out FOLDER

Random weights on the GPU, no engine process, no detokenizer: tokens/s of greedy replies and of
sampled ones (temperature 0.8, top-k 40, top-p 0.95, min-p 0.05), each token read by the host, and
torch.profiler's time of each kernel in one greedy step. Writes decode-SHAPE.json.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import islice
from pathlib import Path
from typing import Any, Final

import torch
from torch.profiler import ProfilerActivity, profile

from engine.bench import subject
from engine.bench.shapes import SHAPES
from engine.execution.runner import Runner
from engine.execution.sampling import SamplingOptions

WARM_UP: Final = 6
PROFILED: Final = 5
KINDS: Final = {"greedy": SamplingOptions(temperature=0), "sampled": SamplingOptions(seed=1)}


def rates(
    ready: Runner, prompt: list[int], options: SamplingOptions, count: int, rounds: int
) -> list[float]:
    """tokens/s of `count` tokens behind the prompt and a few more, in which steps are captured."""
    found: list[float] = []
    for _ in range(rounds):
        prefilled(ready, prompt)
        tokens = ready.decode(options, prompt, lambda: False)
        for _ in islice(tokens, WARM_UP):
            pass
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in islice(tokens, count):
            pass
        found.append(count / (time.perf_counter() - begin))
        tokens.close()
    return found


def prefilled(ready: Runner, prompt: list[int]) -> None:
    reused = ready.reuse(prompt)
    for _ in ready.prefill(prompt[reused:]):
        pass


def step(ready: Runner, prompt: list[int]) -> dict[str, Any]:
    """Microseconds and launches of each kernel in one greedy step, the longest first."""
    prefilled(ready, prompt)
    tokens = ready.decode(KINDS["greedy"], prompt, lambda: False)
    for _ in islice(tokens, WARM_UP):
        pass
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as record:
        for _ in islice(tokens, PROFILED):
            pass
        torch.cuda.synchronize()
    tokens.close()
    kernels = [
        {
            "us": event.self_device_time_total / PROFILED,
            "launches": event.count / PROFILED,
            "kernel": event.key[:120],
        }
        for event in record.key_averages()
    ]
    return {
        "us": sum(kernel["us"] for kernel in kernels),
        "launches": sum(kernel["launches"] for kernel in kernels),
        "kernels": sorted(kernels, key=lambda kernel: -kernel["us"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--contexts", default="512,7000")
    parser.add_argument("--new-tokens", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    made = subject.of_shape(options.shape)
    contexts = [int(context) for context in options.contexts.split(",")]
    prompt, decode = made.chosen("auto")
    ready = made.runner(prompt, decode, max(contexts) + options.new_tokens + 64)
    found: dict[str, Any] = {
        "gpu": torch.cuda.get_device_name(0),
        "torch": torch.__version__,
        "shape": options.shape,
        "bytes": sum(p.nbytes for p in made.model.tensors()),
        "kernels": {"prefill": prompt.label, "decode": decode.label},
    }
    for context in contexts:
        tokens = made.draw(context, seed=context)
        found[str(context)] = {
            name: rates(ready, tokens, kind, options.new_tokens, options.rounds)
            for name, kind in KINDS.items()
        } | {"step": step(ready, tokens)}
        shown = {name: found[str(context)][name] for name in KINDS}
        print(context, {name: [round(rate, 1) for rate in all_] for name, all_ in shown.items()})
    (options.out / f"decode-{options.shape}.json").write_text(json.dumps(found, indent=1), "utf-8")


if __name__ == "__main__":
    main()
