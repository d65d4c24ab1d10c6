"""What a benchmark found, as bench.json has it. Figures keep every round that they are made of."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from engine.bench.settings import LlamaBench, Settings
from engine.errors import StorageError

SCHEMA: Final = 1
"""Changes when a reader of bench.json would have to."""
OUT_OF_MEMORY: Final = "out of memory"
"""As `why_not`: an answer, and not a fault."""

What = Literal["prefill", "memory", "first_token", "decode", "reply", "longest"]
UNITS: Final[dict[What, str]] = {
    "prefill": "ms",
    "memory": "bytes",
    "first_token": "ms",
    "decode": "tokens/s",
    "reply": "ms",
    "longest": "tokens",
}


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Way(Struct, frozen=True, kw_only=True):
    """Who computes, and with which attention."""

    program: str
    """Hearth, transformers or llama.cpp."""
    attention: str

    @property
    def label(self) -> str:
        return f"{self.program} {self.attention}"


class Figure(Struct, frozen=True, kw_only=True):
    median: float
    least: float
    most: float
    rounds: tuple[float, ...]
    """In the order in which they came."""


class Measurement(Struct, frozen=True, kw_only=True):
    way: Way
    what: What
    context: int
    """Prompt tokens; for "longest" the limit in GiB."""
    unit: str
    figure: Figure | None = None
    why_not: str = ""
    """Why there is no figure."""


class Kernels(Struct, frozen=True, kw_only=True):
    """What a way's rules chose, and what the profiler then saw."""

    way: Way
    resolved: str = ""
    reason: str = ""
    prefill: str = ""
    decode: str = ""
    why_not: str = ""
    """Why this way could not be gone at all."""


class Machine(Struct, frozen=True, kw_only=True):
    system: str
    cpu: str
    cores: int
    threads: int
    """That torch computes with on the CPU."""
    ram_bytes: int
    device: str
    gpu_memory_bytes: int = 0
    driver: str = ""


class Model(Struct, frozen=True, kw_only=True):
    name: str
    random_weights: bool
    architecture: str
    parameters: int
    weight_bytes: int
    dtype: str
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    kv_bytes_per_token: int
    context_length: int


class Result(Struct, frozen=True, kw_only=True):
    schema: int = SCHEMA
    complete: bool = False
    begun: str
    """ISO 8601, UTC."""
    seconds: float = 0.0
    settings: Settings
    llama_bench: LlamaBench | None = None
    machine: Machine
    versions: dict[str, str]
    model: Model
    kernels: tuple[Kernels, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    notes: tuple[str, ...] = ()

    def find(self, way: Way, what: What, context: int) -> Measurement | None:
        for found in self.measurements:
            if (found.way, found.what, found.context) == (way, what, context):
                return found
        return None

    def ways(self, what: What) -> tuple[Way, ...]:
        """Those that have a measurement of that kind, in the order in which they came."""
        return tuple(dict.fromkeys(m.way for m in self.measurements if m.what == what))


def measured(way: Way, what: What, context: int, rounds: Sequence[float]) -> Measurement:
    figure = Figure(
        median=statistics.median(rounds),
        least=min(rounds),
        most=max(rounds),
        rounds=tuple(rounds),
    )
    return Measurement(way=way, what=what, context=context, unit=UNITS[what], figure=figure)


def missing(way: Way, what: What, context: int, why_not: str) -> Measurement:
    return Measurement(way=way, what=what, context=context, unit=UNITS[what], why_not=why_not)


def decoded(text: bytes) -> Result:
    """Reads bench.json. Raises msgspec.ValidationError for another schema's."""
    return msgspec.json.decode(text, type=Result)


def encoded(result: Result) -> bytes:
    return msgspec.json.format(msgspec.json.encode(result), indent=1)


def write(path: Path, content: bytes) -> None:
    """Whoever reads meanwhile sees the old file or the new one. Raises StorageError."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.") from error
