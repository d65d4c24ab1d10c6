"""Short prompts that are replayed. Capturing needs a GPU (tests/gpu); here it all runs plainly."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.attention import kernels
from engine.attention.kernels import Kernel
from engine.attention.layer_step import LayerStep, Scoring
from engine.cache.kv_cache import KVCache
from engine.device import memory
from engine.execution import prompt_graphs
from engine.execution.prompt_graphs import Growing, Launching, PromptGraphs
from engine.execution.runner import Runner
from tests.engine import tiny

CPU = torch.device("cpu")
CAPACITY = 40
TOKENS = tiny.tokens_of(CAPACITY)


def flash(query: Tensor, key: Tensor, value: Tensor, step: LayerStep, scoring: Scoring) -> Tensor:
    """In place of a kernel that reads where tokens go on the device."""
    start = int(step.lengths) if step.on_device else step.start
    return kernels.math(query, key, value, replace(step, start=start), scoring)


class Graph:
    def __init__(self, run: Any, replayed: list[int]) -> None:
        self.prompt = run.__self__
        self._run = run
        self._replayed = replayed

    def replay(self) -> None:
        self._replayed.append(self.prompt.size)
        self._run()

    def pool(self) -> str:
        return "a pool"


class Gpu:
    """What capturing would do, and the seconds of a replay by size."""

    def __init__(self) -> None:
        self.seconds = {4: 0.001, 8: 0.002, 16: 0.003}
        self.faults: dict[int, Exception] = {}
        self.replayed: list[int] = []

    def measured(self, _: object, replay: Any) -> tuple[float, int]:
        """Behind 20 tokens and more twice as long."""
        prompt = replay.__self__.prompt
        start = int(prompt._given[-2])
        return self.seconds[prompt.size] * (1 + min(1, start / 20)), 0

    def captured(self, run: Any, pool: object) -> Graph:
        graph = Graph(run, self.replayed)
        if graph.prompt.size in self.faults:
            raise self.faults[graph.prompt.size]
        return graph


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    made = Gpu()
    monkeypatch.setattr(prompt_graphs, "captured", made.captured)
    monkeypatch.setattr(prompt_graphs, "SIZES", tuple(made.seconds))
    monkeypatch.setattr(memory, "measured", made.measured)
    monkeypatch.setitem(kernels.KERNELS, "flash_attn", Kernel(flash, several_on_device=True))
    return made


@pytest.fixture
def ready() -> Runner:
    made = tiny.model("llama")
    model, shape = tiny.assembled(made).model, tiny.shape_of(made).cache
    cache = KVCache(shape, CAPACITY, CPU, torch.float32, "flash_attn", "math")
    runner = Runner(model, cache)
    runner.prompts = PromptGraphs(model, cache)
    return runner


def launching(least: float, token: float) -> Launching:
    return Launching(least, Growing(token, 2 * token, 20))


def ran(ready: Runner, tokens: list[int]) -> Tensor:
    for _ in ready.prefill(tokens):
        pass
    return ready.logits.clone()


def captured(ready: Runner, longest: int = 100, end: int = CAPACITY) -> PromptGraphs:
    assert ready.prompts
    ready.prompts.capture(launching(0.01, 0.0001), longest, end)
    return ready.prompts


@pytest.mark.parametrize("start", [0, 1, 13])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 15, 16])
def test_what_is_replayed_is_what_is_launched(
    gpu: Gpu, ready: Runner, start: int, count: int
) -> None:
    def run() -> tuple[Tensor, Tensor]:
        """Logits of the tokens, and of the one behind them, which sees what the cache holds."""
        ready.cache.tokens.clear()
        if start:
            ready.forward(TOKENS[:start])
        return ran(ready, TOKENS[start : start + count]), ran(ready, TOKENS[start + count :][:1])

    expected = run()
    ready.cache.tokens.clear()
    assert captured(ready).sizes == (4, 8, 16)
    torch.testing.assert_close(run(), expected, rtol=1e-4, atol=1e-4)
    assert gpu.replayed[-2:] == [next(size for size in (4, 8, 16) if size >= count), 4]
    assert ready.cache.tokens == TOKENS[: start + count + 1]


def test_what_no_graph_is_for_is_launched(gpu: Gpu, ready: Runner) -> None:
    captured(ready)
    ready.forward(TOKENS[:35])
    assert gpu.replayed == []
    ran(ready, TOKENS[35:37])
    assert gpu.replayed == [4]
    ran(ready, TOKENS[37:39])
    assert gpu.replayed == [4], "four would not fit"
    assert ready.cache.tokens == TOKENS[:39]


def test_what_takes_as_long_as_launching_is_not_kept(gpu: Gpu, ready: Runner) -> None:
    gpu.seconds[8] = 0.0095
    prompts = captured(ready)
    assert prompts.sizes == (4,)


@pytest.mark.parametrize(
    ("least", "token", "count", "part", "behind"),
    [
        (0.01, 0.0001, 16, 16, 16),
        (0.005, 0.0001, 16, 16, 0),
        (0.01, 0.0001, 17, 16, 16),
        (0.01, 0.0001, 25, 16, 0),
        (0.015, 0.0001, 40, 16, 0),
        (0.01, 0.0001, 61, 0, 0),
        (0.01, 0.0003, 61, 16, 16),
        (0.01, 0.00015, 640, 0, 0),
        (0.01, 0.0003, 640, 16, 16),
    ],
)
def test_more_tokens_than_the_largest_graph_has_are_replayed_in_parts_while_that_is_faster(
    gpu: Gpu, ready: Runner, least: float, token: float, count: int, part: int, behind: int
) -> None:
    """`part` of `count` tokens, and how many behind many others; 0 where they are launched."""
    prompts = ready.prompts
    assert prompts

    def taken(held: int) -> int:
        ready.cache.tokens[:] = TOKENS[:held]
        found = prompts.run([TOKENS[0]] * count)
        return found[0] if found else 0

    assert taken(0) == 0, "nothing is captured yet"
    prompts.capture(launching(least, token), 100, CAPACITY)
    assert (taken(0), taken(CAPACITY - 16)) == (part, behind)


def test_a_prefill_in_parts_is_the_same_as_a_launched_one(gpu: Gpu, ready: Runner) -> None:
    ready.chunk = 22
    assert list(ready.prefill(TOKENS[:39])) == [22, 39]
    expected = ready.forward(TOKENS[39:]).clone()
    ready.cache.tokens.clear()
    captured(ready)
    assert list(ready.prefill(TOKENS[:39])) == [16, 32, 39]
    assert gpu.replayed == [16, 16, 8]
    torch.testing.assert_close(ready.forward(TOKENS[39:]), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "fault",
    [RuntimeError("operation not permitted when stream is capturing"), torch.OutOfMemoryError()],
)
def test_a_capture_that_fails_leaves_what_was_captured(
    gpu: Gpu, ready: Runner, fault: Exception
) -> None:
    gpu.faults[8] = fault
    assert captured(ready).sizes == (4,)
    ran(ready, TOKENS[:3])
    ran(ready, TOKENS[3:9])
    assert gpu.replayed == [4, 4, 4]


@pytest.mark.parametrize(("longest", "end", "sizes"), [(15, 40, (4, 8)), (100, 7, (4,))])
def test_nothing_is_captured_that_is_longer_than_a_chunk_or_the_cache(
    gpu: Gpu, ready: Runner, longest: int, end: int, sizes: tuple[int, ...]
) -> None:
    assert captured(ready, longest, end).sizes == sizes


def test_only_kernels_that_read_on_the_device_are_captured() -> None:
    cache = partial(KVCache, tiny.shape_of(tiny.model("llama")).cache, CAPACITY, CPU, torch.float32)
    assert prompt_graphs.possible(cache("torch_flash"))
    assert not prompt_graphs.possible(cache("sdpa"))
