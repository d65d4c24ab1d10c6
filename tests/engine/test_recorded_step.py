"""A recorded step says, bit for bit, what its calls do; one with other operations is none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.cache.kv_cache import KVCache
from engine.execution import runner
from engine.execution.runner import Runner
from engine.kernels import cpu
from engine.local import model_shape
from engine.modeling import own_kernels
from tests.engine import tiny
from tests.engine.family_models import MODELS

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(cpu.library() is None, reason="no C++ compiler is here"),
]
COUNT = 6


def made(name: str) -> Runner:
    loaded = tiny.assembled(MODELS[name].make())
    own_kernels.give(loaded.model)
    shape = model_shape.of_layers(loaded.model.config.shapes, 64)
    device = torch.device("cpu")
    cache = KVCache(shape.cache, 64, device, torch.float32, "math", "cpp_decode")
    return runner.checked(loaded.model, cache, loaded.rope)


def said(ready: Runner) -> list[Tensor]:
    """Logits after each of some tokens behind a prompt."""
    ready.cache.cut(0)
    tokens = tiny.tokens_of(10 + COUNT)
    ready.forward(tokens[:10])
    return [ready.forward([token]).clone() for token in tokens[10:]]


@pytest.mark.parametrize("name", ["llama", "gemma3", "qwen3"])
def test_a_recorded_step_says_what_its_calls_say(name: str) -> None:
    ready = made(name)
    found, recorded = said(ready), ready.recorded
    assert recorded is not None
    assert recorded.objection == ""
    ready.recorded = None
    assert all(torch.equal(*each) for each in zip(found, said(ready), strict=True))


def test_a_step_in_which_torch_chooses_experts_is_not_recorded() -> None:
    ready = made("mixtral")
    found, recorded = said(ready), ready.recorded
    assert recorded is not None
    assert recorded.objection.startswith("torch computes aten::")
    ready.recorded = None
    assert all(torch.equal(*each) for each in zip(found, said(ready), strict=True))


def test_a_step_that_would_say_something_else_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ready = made("llama")
    recorded = ready.recorded
    assert recorded is not None
    monkeypatch.setattr(cpu.Recorded, "run", lambda *_: recorded._out.fill_(1.0))
    found = said(ready)
    assert recorded.objection == "what was recorded computes something else"
    ready.recorded = None
    assert all(torch.equal(*each) for each in zip(found, said(ready), strict=True))
