"""Microseconds of a draw within a CUDA graph, as decode steps have it.

python -m tests.programs.sampling --out FOLDER

For each vocabulary and each kind of sampling: Hearth's kernels, torch's operations in two stages,
and torch's operations with one topk (or argmax) over the whole row. A graph holds DRAWS draws one
after another, so that the launch of the graph itself is next to nothing in each; the median of
REPLAYS replays. Needs a CUDA GPU. Writes sampling.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import torch
from torch import Tensor

from engine.execution import sampling
from engine.execution.sampling import Sampler, SamplingOptions

VOCABULARIES: Final = (32_000, 49_152, 128_256, 262_144)
KINDS: Final = {
    "greedy": SamplingOptions(temperature=0),
    "default": SamplingOptions(seed=1),
    "penalised": SamplingOptions(
        seed=1, repetition_penalty=1.1, presence_penalty=0.1, frequency_penalty=0.1
    ),
}
PATHS: Final = ("kernels", "two stages", "one topk")
DRAWS: Final = 20
REPLAYS: Final = 50


@contextmanager
def path_of(name: str, sampler: Sampler) -> Iterator[None]:
    if name != "kernels":
        sampler._kernels = None
    if name != "one topk":
        yield
        return
    with (
        patch.object(sampling, "largest", lambda logits, count: logits.topk(count)),
        patch.object(sampling, "most_probable", lambda logits: logits.argmax(0, keepdim=True)),
    ):
        yield


def captured(sampler: Sampler, logits: Tensor) -> torch.cuda.CUDAGraph:
    for _ in range(3):
        sampler.draw(logits)
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(sampler.generator)
    with torch.cuda.graph(graph):
        for _ in range(DRAWS):
            sampler.draw(logits)
    return graph


def event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def microseconds(graph: torch.cuda.CUDAGraph) -> float:
    """Of one draw."""
    found: list[float] = []
    for _ in range(REPLAYS):
        begin, end = event(), event()
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        found.append(begin.elapsed_time(end) * 1000 / DRAWS)
    return statistics.median(found)


def measured(vocabulary: int, kind: str, path: str) -> dict[str, Any]:
    device = torch.device("cuda", torch.cuda.current_device())
    sampler = Sampler(vocabulary, device)
    row = {"vocabulary": vocabulary, "sampling": kind, "path": path}
    if path == "kernels" and sampler._kernels is None:
        return row | {"microseconds": None}
    logits = 3 * torch.randn(vocabulary, device=device)
    sampler.begin(KINDS[kind], [1, 2, 3])
    with path_of(path, sampler):
        graph = captured(sampler, logits)
    microseconds(graph)
    return row | {"microseconds": round(microseconds(graph), 1)}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    if not torch.cuda.is_available():
        print("This needs a CUDA GPU.")
        return 1
    rows = []
    for vocabulary in VOCABULARIES:
        for kind in KINDS:
            for path in PATHS:
                rows.append(measured(vocabulary, kind, path))
                print(json.dumps(rows[-1]), flush=True)
    out.mkdir(parents=True, exist_ok=True)
    result = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "rows": rows}
    (out / "sampling.json").write_text(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
