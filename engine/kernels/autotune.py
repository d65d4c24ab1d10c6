"""Block sizes of the one-row kernels, measured once for each shape and kept in the user's cache.

A shape's rate differs by a fifth between block sizes, and which is best depends on the GPU.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor

from engine import folders
from engine.device.cuda_graph import captured
from ground import private

LINEAR: Final = "linear"
GATE_UP: Final = "gate_up"
ROUNDS: Final = 3
REVISION: Final = 4
"""Of the kernels: another one is tuned anew."""

_log = logging.getLogger(__name__)


class Blocks(NamedTuple):
    """What one program does at a time."""

    rows: int
    """Several share what they read of the input, and of its norm."""
    columns: int
    warps: int


Shape = tuple[str, int, int]
"""Kind of product, rows and columns of its weight (rows of its result, for gate and up)."""
CANDIDATES: Final = (
    Blocks(1, 1024, 4),
    Blocks(1, 2048, 4),
    Blocks(2, 1024, 2),
    Blocks(2, 1024, 4),
    Blocks(2, 2048, 4),
    Blocks(2, 2048, 8),
    Blocks(4, 256, 4),
    Blocks(4, 512, 2),
    Blocks(4, 512, 4),
    Blocks(8, 256, 4),
    Blocks(8, 256, 8),
    Blocks(8, 512, 4),
)
"""Of 31 measured for 15 shapes on an H200 those ten with which every shape is at its best; and two
of one row, which were the best before norms went into the products."""
TABLE: dict[Shape, Blocks] = {}


def tune(weights: Mapping[Shape, Sequence[Tensor]], run: Callable[[Shape, Tensor], object]) -> None:
    """Fills TABLE for the shapes that it lacks, from the cache or by measuring.

    `weights` are all of a model's of that shape: run one after another, none is still in the GPU's
    own cache when its turn comes. `run` computes one product by TABLE.
    """
    file = folders.cache() / "row-kernels.json"
    machine = f"{torch.cuda.get_device_name()}, torch {torch.__version__}, kernels {REVISION}"
    known = _read(file, machine)
    TABLE.update({shape: known[shape] for shape in weights if shape in known})
    missing = [shape for shape in weights if shape not in TABLE]
    for shape in missing:
        TABLE[shape] = _best(shape, weights[shape], run)
    if missing:
        _log.info("tuned one-row kernels: %s", {shape: TABLE[shape] for shape in missing})
        _write(file, machine, known | {shape: TABLE[shape] for shape in missing})


def _best(
    shape: Shape, weights: Sequence[Tensor], run: Callable[[Shape, Tensor], object]
) -> Blocks:
    times: dict[Blocks, float] = {}
    try:
        for blocks in CANDIDATES:
            TABLE[shape] = blocks
            times[blocks] = _milliseconds(shape, weights, run)
    finally:
        del TABLE[shape]  # what was tried last is not what was chosen
    return min(times, key=lambda blocks: times[blocks])


def _milliseconds(
    shape: Shape, weights: Sequence[Tensor], run: Callable[[Shape, Tensor], object]
) -> float:
    """The least of a few replays of one captured graph, in which launching costs nothing."""
    run(shape, weights[0])
    torch.cuda.synchronize()
    graph = captured(lambda: [run(shape, weight) for weight in weights])
    times: list[float] = []
    for _ in range(ROUNDS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return min(times)


def _read(file: Path, machine: str) -> dict[Shape, Blocks]:
    """Empty for a table that is not there, of another machine or damaged: it is made again."""
    try:
        found = json.loads(file.read_bytes())
        if found["machine"] != machine:
            return {}
        return {
            (str(kind), int(rows), int(columns)): Blocks(*blocks)
            for kind, rows, columns, *blocks in found["table"]
            if tuple(blocks) in CANDIDATES
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write(file: Path, machine: str, table: Mapping[Shape, Blocks]) -> None:
    rows = [[*shape, *blocks] for shape, blocks in table.items()]
    try:
        private.make_folder(file.parent)
        private.write(file, json.dumps({"machine": machine, "table": rows}).encode())
    except OSError as error:
        _log.warning("block sizes are not kept: %s", error)
