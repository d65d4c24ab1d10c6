"""A decoder with kernels says what it says without them, and what would not is found out.

The kernels themselves need a GPU (test_row_kernels.py and test_token_kernels.py in tests/gpu); here
torch stands in for them, so that it is the decoder's use of them that is tested.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.attention import kernels
from engine.attention.kernels import Kernel
from engine.attention.layer_step import LayerStep, Scoring
from engine.cache.kv_cache import KVCache
from engine.execution import runner
from engine.execution.runner import Runner
from engine.kernels import cpu
from engine.kernels.prologue import Norm, Prologue
from engine.local import model_shape
from engine.modeling import own_kernels
from engine.modeling.decoder import Decoder
from tests.engine import tiny
from tests.engine.family_models import MODELS

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
FAMILIES = [name for name in MODELS if "-" not in name]
LAYERS = 4


def normed(x: Tensor, by: Norm, residual: Tensor | None = None) -> Tensor:
    scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + by.epsilon)
    out = x * scale * (by.weight + by.offset)
    return out if residual is None else residual + out


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    before: Norm | None = None,
    residual: Tensor | None = None,
) -> Tensor:
    assert x.shape[0] == 1
    out = functional.linear(x if before is None else normed(x, before), weight, bias)
    return out if residual is None else residual + out


def gate_up(x: Tensor, weight: Tensor, activation: str, before: Norm | None = None) -> Tensor:
    return gated(linear(x, weight, None, before), activation)


def gated(both: Tensor, activation: str) -> Tensor:
    gate, up = both.chunk(2, -1)
    out: Tensor = ACTIVATIONS[activation](gate) * up
    return out


ACTIVATIONS: dict[str, Any] = {
    "silu": functional.silu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
}


def halves_rotated(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """x [..., size], of which as many dimensions as cosine has are rotated."""
    size = cosine.shape[-1]
    turned, rest = x[..., :size], x[..., size:]
    swapped = torch.cat([-turned[..., size // 2 :], turned[..., : size // 2]], -1)
    return torch.cat([turned * cosine + swapped * sine, rest], -1)


def rope(query: Tensor, key: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
    """query and key [1, heads, tokens, size], cosine and sine [1, tokens, rotated size]."""
    cosine, sine = cosine[:, None], sine[:, None]
    return halves_rotated(query, cosine, sine), halves_rotated(key, cosine, sine)


def route(
    logits: Tensor,
    correction: Tensor | None,
    score: str,
    active: int,
    factor: float,
    *,
    normalised: bool,
) -> tuple[Tensor, Tensor]:
    """logits [tokens, experts] -> experts and weights [tokens, active]."""
    raw = logits.float()
    scores = {"softmax": raw.softmax(-1), "sigmoid": raw.sigmoid()}.get(score, raw)
    experts = (scores if correction is None else scores + correction).topk(active, -1).indices
    weights = scores.gather(1, experts)
    if score == "softmax of the chosen":
        weights = weights.softmax(-1)
    if normalised:
        weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
    return experts, weights * factor


class Counted:
    """The kernels by torch, each call counted."""

    def __init__(self) -> None:
        self.kernels: dict[str, Any] = {
            "linear": linear,
            "gate_up": gate_up,
            "gated": gated,
            "norm": normed,
            "rope": rope,
            "route": route,
        }
        self.calls = dict.fromkeys(self.kernels, 0)

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            self.calls[name] += 1
            return self.kernels[name](*args, **named)

        return call


def made(name: str, capacity: int = 512) -> Runner:
    loaded = tiny.assembled(MODELS[name].make())
    shape = model_shape.of_layers(loaded.model.config.shapes, 512)
    kernel = "math" if shape.softcap or shape.sinks else "sdpa"
    return Runner(loaded.model, KVCache(shape.cache, capacity, CPU, torch.float32, kernel))


def logits(ready: Runner, count: int) -> Tensor:
    ready.cache.cut(0)
    return ready.forward(tiny.tokens_of(count, seed=1)).clone()


@pytest.mark.parametrize("name", FAMILIES)
def test_one_row_and_many_give_the_same_logits(name: str) -> None:
    ready, rows = made(name), Counted()
    expected, prompt = logits(ready, 1), logits(ready, 300)
    ready.model.use(rows)
    torch.testing.assert_close(logits(ready, 1), expected, rtol=1e-4, atol=1e-4)
    of_one_row = rows.calls["linear"], rows.calls["gate_up"]
    assert of_one_row[0] > 0
    torch.testing.assert_close(logits(ready, 300), prompt, rtol=1e-4, atol=1e-4)
    # The head of the model reads one row of a prompt too.
    assert (rows.calls["linear"], rows.calls["gate_up"]) == (of_one_row[0] + 1, of_one_row[1])


def test_a_layer_of_llama_takes_four_products_and_no_norm_for_one_row() -> None:
    """Query, key and value at once, output, gate and up, down; the model's own norm and head. The
    layers' norms are in the first products, the sums in the last."""
    ready, rows = made("llama"), Counted()
    ready.model.use(rows)
    logits(ready, 1)
    expected = {"linear": 3 * LAYERS + 1, "gate_up": LAYERS, "gated": 0, "norm": 1}
    assert rows.calls == expected | {"rope": LAYERS, "route": 0}


def test_a_layer_of_llama_takes_two_norms_a_rotation_and_a_gate_for_many_rows() -> None:
    ready, rows = made("llama"), Counted()
    ready.model.use(rows)
    logits(ready, 300)
    expected = {"linear": 1, "gate_up": 0, "gated": LAYERS, "norm": 2 * LAYERS + 1}
    assert rows.calls == expected | {"rope": LAYERS, "route": 0}


def test_what_is_stored_as_one_is_the_same_weights() -> None:
    model = MODELS["llama"].make()
    decoder = tiny.assembled(model).model
    published, stored = decoder.published(), model.state_dict()
    assert published.keys() == stored.keys()
    assert all(torch.equal(published[name], stored[name]) for name in stored)
    at = "model.layers.0.self_attn"
    storages = {
        published[f"{at}.{name}.weight"].untyped_storage().data_ptr()
        for name in ("q_proj", "k_proj", "v_proj")
    }
    assert len(storages) == 1


@pytest.mark.parametrize("name", ["glm", "cohere", "deepseek_v3"])
def test_pairs_that_became_halves_are_published_as_they_were_stored(name: str) -> None:
    model = MODELS[name].make()
    published, stored = tiny.assembled(model).model.published(), model.state_dict()
    assert all(torch.equal(published[key], stored[key]) for key in published)


@pytest.mark.parametrize("kernel", ["linear", "gate_up", "gated", "norm"])
def test_a_kernel_that_computes_something_else_is_found_out(kernel: str) -> None:
    ready, rows = made("llama"), Counted()
    ready.model.use(rows)
    runs = [lambda: logits(ready, 9 if kernel == "gated" else 1)] * 2
    assert own_kernels.disagreement(ready.model, runs) < 1e-4
    right = rows.kernels[kernel]
    rows.kernels[kernel] = lambda *args: right(*args).flip(-1)
    assert own_kernels.disagreement(ready.model, runs) > 0.25


def test_a_rotation_that_computes_something_else_is_found_out() -> None:
    """By several tokens: one attends to itself alone, however its key was turned."""
    ready, rows = made("llama"), Counted()
    ready.model.use(rows)
    runs = [lambda: logits(ready, 9)]
    assert own_kernels.disagreement(ready.model, runs) < 1e-4
    rows.kernels["rope"] = lambda query, key, *_: (query.flip(-1), key)
    assert own_kernels.disagreement(ready.model, runs) > 0.05


@pytest.mark.parametrize("right", [True, False])
def test_a_runner_goes_without_what_moves_the_logits(right: bool) -> None:
    ready, rows = made("llama"), Counted()
    if not right:
        rows.kernels["norm"] = lambda x, *_: x.flip(-1)
    ready.model.use(rows)
    found = runner.checked(ready.model, ready.cache, None)
    assert (found.model.kernels is rows) == right
    assert not found.cache.tokens


def test_no_kernels_are_given_without_a_gpu_and_a_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpu, "library", lambda: None)
    model = made("llama").model
    assert own_kernels.give(model) is False
    assert model.kernels is None


def on_gpu(model: Decoder) -> Any:
    """The decoder as `give` sees one on a GPU."""
    weight = SimpleNamespace(is_cuda=True)
    return SimpleNamespace(tensors=lambda: iter([weight]), dtype=torch.bfloat16, use=model.use)


def test_a_kernel_that_does_not_compile_leaves_the_model_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("ptxas: no bfloat16 here")

    monkeypatch.setattr(own_kernels, "own_kernels", Counted)
    monkeypatch.setattr(own_kernels, "tune", broken)
    model = made("llama").model
    assert own_kernels.give(on_gpu(model)) is False
    assert model.kernels is None


def test_a_kernel_that_fails_is_further_away_than_any_number() -> None:
    ready, rows = made("llama"), Counted()
    ready.model.use(rows)

    def broken(*_: Any) -> None:
        raise RuntimeError("out of resources")

    rows.kernels["rope"] = broken
    assert own_kernels.disagreement(ready.model, [lambda: logits(ready, 1)]) == float("inf")


@pytest.mark.parametrize("by_kernels", [False, True])
@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("20 MiB"), RuntimeError("Triton Error [CUDA]: out of memory")]
)
def test_a_lack_of_memory_is_raised_and_leaves_the_kernels_in_force(
    by_kernels: bool, error: Exception
) -> None:
    """Whichever of the two forwards it is that has no room; a shorter context is tried next."""
    ready, rows = made("llama"), Counted()
    ready.model.use(rows)

    def run() -> Tensor:
        if (ready.model.kernels is not None) == by_kernels:
            raise error
        return logits(ready, 1)

    with pytest.raises(type(error)):
        own_kernels.disagreement(ready.model, [run])
    assert ready.model.kernels is rows
    assert own_kernels.disagreement(ready.model, [lambda: logits(ready, 1)]) < 1e-4


# ---------------------------------------------------------------------------- attention's kernel


@pytest.mark.parametrize(
    ("name", "rotations", "norms"),
    [
        ("llama", 4, 0),
        ("gemma3", 4, 4),
        ("qwen3", 4, 4),
        ("exaone4", 2, 4),  # two layers without rotation
        ("olmo2", 4, 0),  # norms of all heads together
        ("phi", 4, 0),  # a part of each head
        ("glm", 4, 0),  # pairs side by side, made halves when the weights were loaded
        ("cohere", 0, 0),  # its norms of heads are layer norms
        ("ministral3", 0, 0),  # the query is scaled after its rotation
        ("hunyuan", 0, 0),  # the norms come after the rotation
    ],
)
def test_what_is_left_to_attention_is_done_there(
    name: str, rotations: int, norms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch stands in for the kernel: norms and rotation, then SDPA."""
    left_out: list[Prologue] = []

    def prepared(x: Tensor, by: Norm | None, left: Prologue) -> Tensor:
        x = x if by is None else normed(x, by)
        if left.cosine is None or left.sine is None:
            return x
        return halves_rotated(x, left.cosine[:, None], left.sine[:, None])

    def kernel(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        layer: LayerStep,
        scoring: Scoring,
        left: Prologue | None = None,
    ) -> Tensor:
        if left is not None:
            left_out.append(left)
            of_query, of_key = left.norms or (None, None)
            query, key = prepared(query, of_query, left), prepared(key, of_key, left)
        return kernels.sdpa(query, key, value, layer, scoring)

    monkeypatch.setitem(kernels.KERNELS, "flash_decode", Kernel(kernel, prepares=True))
    ready, tokens = made(name), tiny.tokens_of(20)

    def logits_of_steps() -> Tensor:
        ready.cache.cut(0)
        ready.forward(tokens[:9])
        return torch.stack([ready.forward([token]).clone() for token in tokens[9:]])

    expected = logits_of_steps()
    ready.cache.decode_kernel = "flash_decode"
    torch.testing.assert_close(logits_of_steps(), expected, rtol=1e-4, atol=1e-4)
    steps = 11
    assert sum(left.cosine is not None for left in left_out) == steps * rotations
    assert sum(left.norms is not None for left in left_out) == steps * norms


@pytest.mark.parametrize("name", ["llama", "llama-yarn", "gemma3", "gpt_oss", "deepseek_v2"])
def test_angles_are_looked_up_as_they_are_computed(name: str) -> None:
    rotaries = made(name).model.rotaries
    asked = [torch.tensor(positions) for positions in ((0,), (99,), (7, 5, 98))]
    expected = {n: [rotary(positions) for positions in asked] for n, rotary in rotaries.items()}
    for count in (100, 200, 50):  # a shorter one leaves what is there
        for which, rotary in rotaries.items():
            rotary.tabulate(count)
            found = [rotary(positions) for positions in asked]
            for one, other in zip(found, expected[which], strict=True):
                assert all(torch.equal(*pair) for pair in zip(one[:3], other[:3], strict=True))
