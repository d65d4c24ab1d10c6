"""What happens where a step cannot be captured; captured steps need a GPU (tests/gpu)."""

from __future__ import annotations

import weakref
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine import decode_graph, memory
from engine.decode_graph import NO_ROOM, NOT_CAPTURABLE, Class, DecodeGraphs
from engine.sampling import Kind

GREEDY, DRAWN = Kind(1, penalised=False), Kind(64, penalised=False)


class Cache:
    device = torch.device("cpu")

    def __len__(self) -> int:
        return 5

    def decode_span(self, _: int) -> int:
        return 256


class Steps(DecodeGraphs):
    """Notes what runs, and captures nothing."""

    ran = captures = 0
    fault: type[Exception] = RuntimeError
    captured: weakref.ref[torch.Tensor]

    def _run(self, *_: Any) -> None:
        self.ran += 1

    def _captured(self, *_: Any) -> Any:
        self.captures += 1
        computed = torch.zeros(1)
        self.captured = weakref.ref(computed)
        raise self.fault("operation not permitted when stream is capturing")


@pytest.fixture
def renewed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is set up anew after a capture that failed, in its order; there is no GPU."""
    found: list[object] = []
    stream = SimpleNamespace(device_index=0)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda to: found.append(to is stream))
    monkeypatch.setattr(torch.cuda, "default_generators", ("torch's",))
    monkeypatch.setattr(decode_graph, "renew", found.append)
    monkeypatch.setattr(decode_graph, "Slot", object)
    return found


def test_after_a_capture_that_failed_steps_go_on_and_can_draw(renewed: list[object]) -> None:
    steps = Steps(torch.nn.Identity(), Cache())  # type: ignore[arg-type]
    before: Any = SimpleNamespace(replay=lambda: pytest.fail("it draws from a generator in use"))
    steps._graphs[Class(256, GREEDY)] = before
    for _ in range(4):
        steps._step(SimpleNamespace(kind=DRAWN, generator="the sampler's"))  # type: ignore[arg-type]
    assert (steps.ran, steps.captures) == (4, 1)
    assert renewed == [True, "the sampler's", "torch's"]
    for _ in range(3):
        steps._step(SimpleNamespace(kind=GREEDY))  # type: ignore[arg-type]
    assert (steps.ran, steps.captures) == (7, 1)
    assert steps.refusal == NOT_CAPTURABLE


@pytest.mark.usefixtures("renewed")
def test_a_capture_for_which_there_is_no_memory_is_said_and_gives_back_what_it_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alive: list[bool] = []
    steps = Steps(torch.nn.Identity(), Cache())  # type: ignore[arg-type]
    steps.fault = torch.OutOfMemoryError
    monkeypatch.setattr(memory, "give_back", lambda _: alive.append(steps.captured() is not None))
    for _ in range(4):
        steps._step(SimpleNamespace(kind=GREEDY, generator=None))  # type: ignore[arg-type]
    assert (steps.ran, steps.captures, alive) == (4, 1, [False])
    assert steps.refusal == NO_ROOM
