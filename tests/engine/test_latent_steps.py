"""Steps over latents whose place is known on the device alone, as a captured step takes them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from engine.attention import latent
from engine.cache.kv_cache import KVCache
from engine.execution import decode_graphs
from engine.execution.decode_graphs import DecodeGraphs
from engine.execution.runner import Runner
from engine.execution.sampling import Sampler, SamplingOptions
from engine.loading import load
from engine.loading.checkpoint import Checkpoint
from engine.local import model_shape
from tests.engine import tiny
from tests.engine.family_models import MODELS

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
PROMPT = 250
STEPS = 14
"""Beyond the end of a view at 256 positions."""


@pytest.fixture(scope="module", params=[name for name in MODELS if name.startswith("deepseek")])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp(request.param)
    tiny.write_folder(folder, MODELS[request.param].make())
    return load.load(
        folder,
        device=CPU,
        dtype=torch.float32,
        progress=lambda *_: None,
    )


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_graphs, "Slot", object)


def held(loaded: Checkpoint, *prompts: Sequence[int]) -> Runner:
    """Holds the last prompt, with what the others left behind it."""
    shape = model_shape.of_layers(loaded.model.config.shapes, 1024)
    cache = KVCache(shape.cache, 600, CPU, torch.float32, "sdpa", latent.CUT_KERNEL)
    ready = Runner(loaded.model, cache)
    for prompt in prompts:
        for _ in ready.prefill(prompt[ready.reuse(prompt) :]):
            pass
    return ready


def by_single_steps(ready: Runner) -> list[int]:
    for _ in range(STEPS):
        ready.forward([int(ready.logits.argmax())])
    return ready.cache.tokens[-STEPS:]


@torch.inference_mode()
def on_device(ready: Runner) -> list[int]:
    ready.cache.decode_kernel = latent.KERNEL
    steps = DecodeGraphs(ready.model, ready.cache)
    sampler = Sampler(ready.logits.shape[0], CPU)
    sampler.begin(SamplingOptions(temperature=0), ready.cache.tokens)
    steps._token.fill_(int(ready.logits.argmax()))
    steps._positions.fill_(len(ready.cache))
    for _ in range(STEPS):
        span = ready.cache.decode_span(len(ready.cache) + 1)
        ready.cache.tokens.append(int(steps._token))
        steps._run(span, sampler)
    return ready.cache.tokens[-STEPS:]


ONE = tiny.tokens_of(PROMPT)
LONGER = [*ONE[:200], *tiny.tokens_of(150, seed=1)]
"""Leaves a hundred latents behind those of `ONE`, on both sides of the end of a view."""


@pytest.mark.parametrize("prompts", [(ONE,), (LONGER, ONE)], ids=["zeros behind", "stale behind"])
def test_steps_on_the_device_are_single_steps(
    loaded: Checkpoint, prompts: tuple[list[int], ...]
) -> None:
    single, replayed = held(loaded, ONE), held(loaded, *prompts)
    assert on_device(replayed) == by_single_steps(single)
    assert len(replayed.cache) == PROMPT + STEPS
    torch.testing.assert_close(
        *(r.cache.buffers[0].keys[:, :, : len(r.cache)] for r in (replayed, single))
    )


def test_what_lies_behind_changes_nothing(loaded: Checkpoint) -> None:
    clean, spoilt = held(loaded, ONE), held(loaded, ONE)
    spoilt.cache.buffers[0].keys[:, :, PROMPT:] = 1e4
    assert on_device(spoilt) == on_device(clean)
    last = len(clean.cache)
    assert torch.equal(
        spoilt.cache.buffers[0].keys[:, :, :last], clean.cache.buffers[0].keys[:, :, :last]
    )
