"""Linear layers of one row on the CPU: what each of torch's ways to multiply reads a second.

python -m tests.programs.cpu_linears [--threads 1,2] [--rounds 7] [--patience 20]
    [--kinds NAME ...] [--shapes NAME ...] --out FOLDER

Distinct weights, more than caches hold, one after another, for the linear layers of SmolLM2 135M
and of Llama 3.2 1B's shape. A rate is bytes of weights as they are stored, a second: at one row a
product can be no faster than its weights are read. The kinds of a shape take turns, and rates are
medians of the rounds in which other programs computed least: where one has a core, torch's threads
wait. A shape that found no quiet rounds is marked with `!`. Writes cpu-linears.json.

- aten bf16: ATen's matrix-vector product, with oneDNN off, which is what Hearth decodes by;
- onednn: what torch does unasked in bfloat16; packed: with weights in oneDNN's own layout;
- plain fp32: what torch does unasked; mkl packed: in MKL's layout, where torch has MKL;
- compiled: inductor with weights as constants and max-autotune, where there is a C++ compiler;
- int8, int4: torch's products with quantised weights, for information: other numbers come out;
- read: no product but a sum of all weights, for what the memory gives.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.device.onednn import onednn

SHAPES: Final = {
    "SmolLM2 query, output": (576, 576),
    "SmolLM2 key, value": (192, 576),
    "SmolLM2 gate, up": (1536, 576),
    "SmolLM2 down": (576, 1536),
    "SmolLM2 logits": (49_152, 576),
    "1B query, output": (2048, 2048),
    "1B gate, up": (8192, 2048),
    "1B down": (2048, 8192),
}
"""Rows and columns of the weight."""
READ: Final = 96 << 20
"""Bytes of distinct weights of a shape: three times what these cores' last cache holds."""
COMPILED: Final = {"SmolLM2 gate, up": 64 << 20, "1B down": 96 << 20}
"""The same where they are compiled, of the shapes that are: it takes seconds a megabyte."""
GROUP: Final = 32
"""Weights of int4 that have a scale together."""
QUIET: Final = 0.1
"""Cores that other programs may take in a round: those of a service or two."""
PAUSE: Final = 0.5
"""Seconds, for a look at what others take."""
WRONG: Final = 0.02
"""Of the norm: bfloat16's products are a few thousandths off."""

Shape = tuple[int, int]
Product = Callable[[Tensor], Tensor]
Run = Callable[[], Sequence[Tensor]]
"""Multiplies the row with each weight once."""


@dataclass(frozen=True)
class Layers:
    """Linear layers of one shape, made ready in one way."""

    run: Run
    bytes: int
    made_s: float


@dataclass(frozen=True)
class Round:
    rates: dict[str, float]
    """Bytes/ns by kind; each had its turn."""
    others: float
    """Cores that other programs took meanwhile."""


def weight_of(shape: Shape) -> Tensor:
    source = torch.Generator().manual_seed(1)
    weight: Tensor = torch.randn(shape, generator=source) * shape[1] ** -0.5
    return weight


def row_of(shape: Shape) -> Tensor:
    return torch.randn(1, shape[1], generator=torch.Generator().manual_seed(2))


def copies(weight: Tensor, total: int) -> list[Tensor]:
    """As many as have so many bytes in all."""
    return [weight.clone() for _ in range(-(-total // weight.nbytes))]


def of_dtype(
    dtype: torch.dtype, prepared: Callable[[Tensor], Product], *, use_onednn: bool = True
) -> Callable[[Shape], Layers]:
    """`prepared` takes a weight and gives its product with a row."""

    def made(shape: Shape) -> Layers:
        weights = copies(weight_of(shape).to(dtype), READ)
        begin = time.perf_counter()
        products = [prepared(weight) for weight in weights]
        seconds = time.perf_counter() - begin
        row = row_of(shape).to(dtype)

        def run() -> Sequence[Tensor]:
            with onednn(enabled=use_onednn):
                return [product(row) for product in products]

        return Layers(run, sum(weight.nbytes for weight in weights), seconds)

    return made


def plain(weight: Tensor) -> Product:
    return lambda row: functional.linear(row, weight)


def packed_by_onednn(weight: Tensor) -> Product:
    ops = torch.ops.mkldnn
    packed = ops._reorder_linear_weight(weight, 1)
    return lambda row: ops._linear_pointwise(row, packed, None, "none", [], "")


def packed_by_mkl(weight: Tensor) -> Product:
    ops = torch.ops.mkl
    packed = ops._mkl_reorder_linear_weight(weight, 1)
    return lambda row: ops._mkl_linear(row, packed, weight, None, 1)


def int8(shape: Shape) -> Layers:
    begin = time.perf_counter()
    weight = weight_of(shape)
    scale = weight.abs().amax(1) / 127
    numbers = (weight / scale[:, None]).round().to(torch.int8)
    seconds = time.perf_counter() - begin
    weights, scales = copies(numbers, READ), scale.bfloat16()
    row = row_of(shape).bfloat16()

    def run() -> Sequence[Tensor]:
        return [torch._weight_int8pack_mm(row, weight, scales) for weight in weights]

    return Layers(run, sum(weight.nbytes for weight in weights), seconds)


def int4(shape: Shape) -> Layers:
    """Numbers 0 to 15 stand for -8 to 7 times the scale of their group."""
    ops = torch.ops.aten
    begin = time.perf_counter()
    groups = weight_of(shape).view(shape[0], -1, GROUP)
    scale = groups.abs().amax(-1) / 7
    numbers = ((groups / scale[..., None]).round() + 8).to(torch.int32).view(shape)
    packed = ops._convert_weight_to_int4pack_for_cpu(numbers, 1)
    seconds = time.perf_counter() - begin
    scales = torch.stack([scale, torch.zeros_like(scale)], -1).transpose(0, 1)
    scales = scales.contiguous().bfloat16()
    weights = copies(packed, READ)
    row = row_of(shape).bfloat16()

    def run() -> Sequence[Tensor]:
        return [ops._weight_int4pack_mm_for_cpu(row, weight, GROUP, scales) for weight in weights]

    return Layers(run, sum(weight.nbytes for weight in weights), seconds)


def read(shape: Shape) -> Layers:
    """No product: all of the weights summed up at once, a bound for what memory gives."""
    weights = weight_of(shape).repeat(-(-READ // (4 * shape[0] * shape[1])), 1)
    return Layers(lambda: [weights.sum()], weights.nbytes, 0.0)


class Together(nn.Module):
    """One graph: inductor packs the weights of what it compiles whole."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(w, requires_grad=False) for w in weights)

    def forward(self, row: Tensor) -> list[Tensor]:
        return [functional.linear(row, weight) for weight in self.weights]


def compiled(shape: Shape) -> Layers:
    from torch._inductor import config

    total = next(size for name, size in COMPILED.items() if SHAPES[name] == shape)
    weights = copies(weight_of(shape).bfloat16(), total)
    row = row_of(shape).bfloat16()
    torch._dynamo.reset()
    begin = time.perf_counter()
    # Inference tensors are no constants to inductor.
    with (
        config.patch(freezing=True, autotune_num_choices_displayed=0),
        torch.inference_mode(mode=False),
        torch.no_grad(),
    ):
        model = torch.compile(Together(weights).eval(), mode="max-autotune")
        model(row)
    seconds = time.perf_counter() - begin

    def run() -> Sequence[Tensor]:
        with torch.inference_mode(mode=False), torch.no_grad():
            found: list[Tensor] = model(row)
            return found

    return Layers(run, sum(weight.nbytes for weight in weights), seconds)


BFLOAT16: Final = torch.bfloat16
FLOAT32: Final = torch.float32
KINDS: Final[dict[str, Callable[[Shape], Layers]]] = {
    "aten bf16": of_dtype(BFLOAT16, plain, use_onednn=False),
    "onednn bf16": of_dtype(BFLOAT16, plain),
    "onednn packed bf16": of_dtype(BFLOAT16, packed_by_onednn),
    "compiled bf16": compiled,
    "plain fp32": of_dtype(FLOAT32, plain),
    "onednn packed fp32": of_dtype(FLOAT32, packed_by_onednn),
    "mkl packed fp32": of_dtype(FLOAT32, packed_by_mkl),
    "int8": int8,
    "int4": int4,
    "read": read,
}
UNCHECKED: Final = ("int8", "int4", "read")


def lacking(kind: str) -> str:
    """Why a kind cannot be had here; empty where it can."""
    if kind.startswith("mkl") and not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
        return "torch has no MKL here"
    if kind.startswith("compiled") and not (shutil.which("c++") or shutil.which("g++")):
        return "there is no C++ compiler"
    if kind.startswith("onednn") and not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return "torch has no oneDNN here"
    return ""


def made(kind: str, name: str) -> Layers | str:
    """Ready layers, or why there are none."""
    reason = lacking(kind)
    if kind == "compiled bf16" and name not in COMPILED:
        reason = "not measured at this shape"
    if reason:
        return reason
    shape = SHAPES[name]
    layers = KINDS[kind](shape)
    exact = functional.linear(row_of(shape), weight_of(shape))
    error = float((layers.run()[-1].float() - exact).norm() / exact.norm())
    if kind not in UNCHECKED and error > WRONG:
        raise RuntimeError(f"{kind} is {error:.3f} off at {name}")
    return layers


def taken_by_others() -> float:
    """CPU seconds of everything but this process, idling left out, what the host took included."""
    all_, own = psutil.cpu_times(), psutil.Process().cpu_times()
    idle = all_.idle + getattr(all_, "iowait", 0.0)
    guests = getattr(all_, "guest", 0.0) + getattr(all_, "guest_nice", 0.0)  # in user and nice too
    return float(sum(all_) - guests - idle - own.user - own.system)


def wait_for_quiet(deadline: float) -> None:
    """Or until then, by time.monotonic()."""
    while time.monotonic() < deadline:
        taken = taken_by_others()
        time.sleep(PAUSE)
        if taken_by_others() - taken < QUIET * PAUSE:
            return


def rounds_of(layers: dict[str, Layers], wanted: int, patience: float) -> list[Round]:
    """The quietest; waits and tries more for so many seconds where there are not enough of them."""
    deadline = time.monotonic() + patience
    found: list[Round] = []
    while len(found) < wanted or (quiet(found) < wanted and time.monotonic() < deadline):
        if found and found[-1].others >= QUIET:
            wait_for_quiet(deadline)
        taken, begin = taken_by_others(), time.perf_counter()
        rates = {kind: ready.bytes / seconds(ready.run) / 1e9 for kind, ready in layers.items()}
        elapsed = time.perf_counter() - begin
        found.append(Round(rates, (taken_by_others() - taken) / elapsed))
    return sorted(found, key=lambda one: one.others)[:wanted]


def quiet(rounds: Sequence[Round]) -> int:
    return sum(one.others < QUIET for one in rounds)


def seconds(run: Run) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    everything = {kind: made(kind, name) for kind in options.kinds}
    layers = {kind: ready for kind, ready in everything.items() if isinstance(ready, Layers)}
    found: dict[str, Any] = {
        kind: {"absent": reason} for kind, reason in everything.items() if isinstance(reason, str)
    }
    rounds = rounds_of(layers, options.rounds, options.patience)
    found["cores taken by others"] = [one.others for one in rounds]
    for kind, ready in layers.items():
        rates = [one.rates[kind] for one in rounds]
        found[kind] = {
            "GB/s": statistics.median(rates),
            "all": rates,
            "made ready, s": ready.made_s,
        }
    return found


def table(found: dict[str, dict[str, Any]], kinds: Sequence[str]) -> Iterator[str]:
    yield " " * 24 + "".join(f"{kind:>20}" for kind in kinds)
    for name, row in found.items():
        mark = "" if max(row["cores taken by others"]) < QUIET else " !"
        cells = (f"{row[kind]['GB/s']:.1f}" if "GB/s" in row[kind] else "-" for kind in kinds)
        yield f"{name + mark:24}" + "".join(f"{cell:>20}" for cell in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--patience", type=float, default=20, help="seconds to wait at a shape")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {
        "machine": platform.platform(),
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "rounds": options.rounds,
    }
    for threads in map(int, options.threads.split(",")):
        torch.set_num_threads(threads)
        with torch.inference_mode():
            rows = {name: measured(name, options) for name in options.shapes}
        found[f"threads {threads}"] = rows
        print(f"{threads} threads, GB/s", *table(rows, options.kinds), sep="\n", flush=True)
    (options.out / "cpu-linears.json").write_text(json.dumps(found, indent=1), "utf-8")


if __name__ == "__main__":
    main()
