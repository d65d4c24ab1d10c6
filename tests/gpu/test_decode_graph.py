"""Captured steps on the GPU: a capture that fails, frequencies that change, caches that return."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from engine.attention import probe
from engine.cache.kv_cache import KVCache
from engine.execution.sampling import SamplingOptions
from tests.engine import tiny
from tests.engine.family_models import LONGROPE, MODELS
from tests.gpu.family_runs import CUDA, GpuModel, reply

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
DRAWN = SamplingOptions(seed=3)
GREEDY = SamplingOptions(temperature=0)


def made(name: str) -> GpuModel:
    return GpuModel(MODELS[name].make().to(CUDA))


@pytest.mark.parametrize("options", [DRAWN, GREEDY], ids=["drawn", "greedy"])
def test_a_model_that_cannot_be_captured_goes_on(options: SamplingOptions) -> None:
    model, prompt = made("llama"), tiny.tokens_of(40)
    single, _ = model.runner(flash_attn=False)
    single.graphs = None
    expected = reply(single, prompt, options, 30)

    layers: list[Any] = model.model.layers
    plain = layers[0]

    class LooksAtItsInput:
        config = plain.config

        def __call__(self, x: Tensor, *given: Any) -> Tensor:
            assert float(x.abs().sum().item()) >= 0
            result: Tensor = plain(x, *given)
            return result

    layers[0] = LooksAtItsInput()
    ready, _ = model.runner(flash_attn=False)
    for _ in range(2):
        assert reply(ready, prompt, options, 30) == expected
    assert ready.graphs is not None
    assert not ready.graphs._graphs
    assert probe.observe(lambda: ready.forward([1])).label
    layers[0] = plain
    again, _ = model.runner(flash_attn=False)
    assert reply(again, prompt, options, 30) == expected
    assert again.graphs is not None
    assert again.graphs._graphs, "a runner that can capture does so after one that could not"


def test_drawn_tokens_are_those_of_single_steps() -> None:
    model, prompt = made("llama"), tiny.tokens_of(40)
    single, _ = model.runner(flash_attn=False)
    single.graphs = None
    replayed, _ = model.runner(flash_attn=False)
    expected = reply(single, prompt, DRAWN, 40)
    assert [reply(replayed, prompt, DRAWN, 40) for _ in range(2)] == [expected, expected]
    assert len(set(expected)) > 10


@pytest.mark.parametrize("name", ["phi3-longrope", "phi4-mini"])
def test_replayed_steps_stop_where_the_frequencies_change(name: str) -> None:
    model = made(name)
    change = int(LONGROPE["original_max_position_embeddings"])
    prompt = tiny.tokens_of(change - 12)
    single, _ = model.runner(flash_attn=False)
    single.graphs = None
    replayed, _ = model.runner(flash_attn=False)
    if replayed.graphs is None:
        pytest.skip(f"{replayed.cache.decode_kernel} is not captured")
    expected = reply(single, prompt, GREEDY, 30)
    for _ in range(2):
        assert reply(replayed, prompt, GREEDY, 30) == expected
    assert len(replayed.cache) == len(prompt) + 30


def test_a_conversation_that_was_left_comes_back_as_it_was() -> None:
    model = made("llama")
    first, second = tiny.tokens_of(400, seed=5), tiny.tokens_of(400, seed=6)
    ready, _ = model.runner(flash_attn=False)
    held = ready.cache
    ready.cache = KVCache(
        model.shape.cache, 1024, CUDA, torch.bfloat16, held.kernel, held.decode_kernel, 1 << 30
    )
    ready.reuse(first)
    for _ in ready.prefill(first):
        pass
    keys, values = (
        b[:, :, : len(first)].clone()
        for b in (ready.cache.buffers[0].keys, ready.cache.buffers[0].values)
    )
    ready.reuse(second)
    for _ in ready.prefill(second):
        pass
    assert ready.reuse([*first, 7]) == len(first)
    assert torch.equal(ready.cache.buffers[0].keys[:, :, : len(first)], keys)
    assert torch.equal(ready.cache.buffers[0].values[:, :, : len(first)], values)
