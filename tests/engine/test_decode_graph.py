"""What happens where a step cannot be captured; captured steps need a GPU (tests/gpu)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine import decode_graph
from engine.decode_graph import Class, DecodeGraphs
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

    def _run(self, *_: Any) -> None:
        self.ran += 1

    def _captured(self, *_: Any) -> Any:
        self.captures += 1
        raise RuntimeError("operation not permitted when stream is capturing")


def test_after_a_capture_that_failed_steps_go_on_and_can_draw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = SimpleNamespace(device_index=0)
    streams: list[object] = []
    renewed: list[object] = []
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "set_stream", streams.append)
    monkeypatch.setattr(torch.cuda, "default_generators", ("torch's",))
    monkeypatch.setattr(decode_graph, "renew", renewed.append)
    monkeypatch.setattr(decode_graph, "Slot", object)

    steps = Steps(torch.nn.Identity(), Cache())  # type: ignore[arg-type]
    before: Any = SimpleNamespace(replay=lambda: pytest.fail("it draws from a generator in use"))
    steps._graphs[Class(256, GREEDY)] = before
    for _ in range(4):
        steps._step(SimpleNamespace(kind=DRAWN, generator="the sampler's"))  # type: ignore[arg-type]
    assert (steps.ran, steps.captures) == (4, 1)
    assert streams == [stream]
    assert renewed == ["the sampler's", "torch's"]
    for _ in range(3):
        steps._step(SimpleNamespace(kind=GREEDY))  # type: ignore[arg-type]
    assert (steps.ran, steps.captures) == (7, 1)
