"""What happens where a step cannot be captured; captured steps need a GPU (tests/gpu)."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.device import cuda_graph, memory
from engine.execution import decode_graphs
from engine.execution.decode_graphs import NO_ROOM, NOT_CAPTURABLE, Class, DecodeGraphs
from engine.execution.sampling import Kind

GREEDY, DRAWN = Kind(1, penalised=False), Kind(64, penalised=False)


class Cache:
    device = torch.device("cpu")

    def __len__(self) -> int:
        return 5

    def decode_span(self, _: int) -> int:
        return 256


class Graph:
    """In place of torch's."""

    def __init__(self, known: list[object]) -> None:
        self.register_generator_state = known.append


@dataclass
class Gpu:
    """What torch would do in a capture that fails, and what is set up anew after it."""

    fault: type[Exception] = RuntimeError
    captures: int = 0
    known: list[object] = field(default_factory=list)
    """Generators that a graph knows."""
    renewed: list[object] = field(default_factory=list)
    computed: weakref.ref[torch.Tensor] | None = None

    @contextmanager
    def graph(self, _: Graph, pool: object) -> Iterator[None]:
        self.captures += 1
        computed = torch.zeros(1)
        self.computed = weakref.ref(computed)
        yield
        raise self.fault("operation not permitted when stream is capturing")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    made = Gpu()
    stream = SimpleNamespace(device_index=0)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda to: made.renewed.append(to is stream))
    monkeypatch.setattr(torch.cuda, "default_generators", ("torch's",))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: Graph(made.known))
    monkeypatch.setattr(torch.cuda, "graph", made.graph)
    monkeypatch.setattr(cuda_graph, "renew", made.renewed.append)
    monkeypatch.setattr(decode_graphs, "Slot", object)
    return made


class Steps(DecodeGraphs):
    """Notes what runs."""

    ran = 0

    def _run(self, *_: Any) -> None:
        self.ran += 1


def sampler(kind: Kind) -> Any:
    return SimpleNamespace(kind=kind, generator="the sampler's")


def test_after_a_capture_that_failed_steps_go_on_and_can_draw(gpu: Gpu) -> None:
    steps = Steps(torch.nn.Identity(), Cache())  # type: ignore[arg-type]
    before: Any = SimpleNamespace(replay=lambda: pytest.fail("it draws from a generator in use"))
    steps._graphs[Class(256, GREEDY)] = before
    for _ in range(4):
        steps._step(sampler(DRAWN))
    assert (steps.ran, gpu.captures) == (5, 1), "one of them in the capture"
    assert gpu.known == ["the sampler's"]
    assert gpu.renewed == [True, "the sampler's", "torch's"]
    for _ in range(3):
        steps._step(sampler(GREEDY))
    assert (steps.ran, gpu.captures) == (8, 1)
    assert steps.refusal == NOT_CAPTURABLE


def test_a_capture_for_which_there_is_no_memory_is_said_and_gives_back_what_it_took(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[bool] = []

    def give_back(_: torch.device) -> None:
        assert gpu.computed is not None
        alive.append(gpu.computed() is not None)

    steps = Steps(torch.nn.Identity(), Cache())  # type: ignore[arg-type]
    gpu.fault = torch.OutOfMemoryError
    monkeypatch.setattr(memory, "give_back", give_back)
    for _ in range(4):
        steps._step(sampler(GREEDY))
    assert (steps.ran, gpu.captures, alive) == (5, 1, [False])
    assert steps.refusal == NO_ROOM
