"""Rebuilding a model changes no number, and what would is found out.

The kernels themselves need a GPU (test_row_kernels.py and test_token_kernels.py in tests/gpu); here
torch stands in for them, so that it is the surgery on the modules that is tested.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine import experts, fusion, runner
from engine.attention import interface, kernels, prologue
from engine.attention.kernels import LayerStep, Scoring
from engine.attention.prologue import Norm, Prologue
from engine.fusion import layers, state
from engine.fusion.mlps import ACTIVATIONS
from engine.fusion.rotary import ROPE, halves_rotated
from engine.kv_cache import KVCache
from engine.loading import families
from tests.engine import tiny
from tests.engine.family_models import MODELS

FAMILIES = [name for name in MODELS if "-" not in name]


def norm(x: Tensor, by: Norm, residual: Tensor | None = None) -> Tensor:
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
    out = functional.linear(x if before is None else norm(x, before), weight, bias)
    return out if residual is None else residual + out


def gate_up(x: Tensor, weight: Tensor, activation: str, before: Norm | None = None) -> Tensor:
    return gated(linear(x, weight, None, before), activation)


def gated(both: Tensor, activation: str) -> Tensor:
    gate, up = both.chunk(2, -1)
    return ACTIVATIONS[activation](gate) * up


def rope(query: Tensor, key: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
    cosine, sine = cosine[:, None], sine[:, None]
    return halves_rotated(query, cosine, sine), halves_rotated(key, cosine, sine)


class Counted:
    """The kernels by torch, each call counted."""

    def __init__(self) -> None:
        self.kernels: dict[str, Any] = {
            "linear": linear,
            "gate_up": gate_up,
            "gated": gated,
            "norm": norm,
            "rope": rope,
        }
        self.calls = dict.fromkeys(self.kernels, 0)

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> Any:
            self.calls[name] += 1
            return self.kernels[name](*args)

        return call


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    monkeypatch.setattr(state, "usable", lambda x: state.on)
    monkeypatch.setattr(state, "kernels", None)
    before = {
        name: module.apply_rotary_pos_emb
        for name, module in sys.modules.items()
        if name.startswith("transformers.models.") and hasattr(module, ROPE)
    }
    yield Counted()
    fusion.switch(on=False)
    for name, function in before.items():
        setattr(sys.modules[name], ROPE, function)


def logits(model: Any, tokens: int) -> Tensor:
    source = torch.Generator().manual_seed(1)
    ids = torch.randint(250, (1, tokens), generator=source)
    with torch.inference_mode():
        found: Tensor = model(ids, use_cache=False).logits[0, -1]
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_one_row_and_many_give_the_same_logits(name: str, rows: Counted) -> None:
    model = MODELS[name].make()
    expected, prompt = logits(model, 1), logits(model, 300)
    fusion.replace(model, rows)
    fusion.switch(on=True)
    torch.testing.assert_close(logits(model, 1), expected, rtol=1e-4, atol=1e-4)
    of_one_row = rows.calls["linear"], rows.calls["gate_up"]
    assert of_one_row[0] > 0
    torch.testing.assert_close(logits(model, 300), prompt, rtol=1e-4, atol=1e-4)
    assert (rows.calls["linear"], rows.calls["gate_up"]) == of_one_row


def test_llama_is_fused_as_far_as_it_goes(rows: Counted) -> None:
    model = MODELS["llama"].make()
    fusion.replace(model, rows)
    fusion.switch(on=True)
    logits(model, 1)
    layers = 4
    # A layer: query, key and value at once, output, down; and the head of the model. The norms of
    # the layers are in the first products, the sums in the last.
    expected = {"linear": 3 * layers + 1, "gate_up": layers, "gated": 0, "norm": 1}
    assert rows.calls == expected | {"rope": layers}
    logits(model, 300)
    expected |= {"gated": layers, "norm": 2 * layers + 2}
    assert rows.calls == expected | {"rope": 2 * layers}


def test_what_is_stored_as_one_is_the_same_parameters(rows: Counted) -> None:
    model = MODELS["llama"].make()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fusion.replace(model, rows)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    attention = model.model.layers[0].self_attn
    storages = {getattr(attention, name).weight.untyped_storage().data_ptr() for name in
                ("q_proj", "k_proj", "v_proj")}  # fmt: skip
    assert len(storages) == 1


@pytest.mark.parametrize("kernel", ["linear", "gate_up", "gated", "norm", "rope"])
def test_a_kernel_that_computes_something_else_is_found_out(kernel: str, rows: Counted) -> None:
    model = MODELS["llama"].make()
    fusion.replace(model, rows)
    runs = [lambda: logits(model, 9 if kernel == "gated" else 1)] * 2
    assert fusion.disagreement(runs) < 1e-4
    right = rows.kernels[kernel]

    def wrong(*args: Any) -> Any:
        out = right(*args)
        return tuple(part.flip(-1) for part in out) if kernel == "rope" else out.flip(-1)

    rows.kernels[kernel] = wrong
    moved = fusion.disagreement(runs)
    # One token attends to itself alone: how its key was turned cannot matter.
    assert moved > 0.25 or kernel == "rope"


@pytest.mark.parametrize("right", [True, False])
def test_a_runner_goes_without_what_moves_the_logits(rows: Counted, right: bool) -> None:
    model = MODELS["llama"].make()
    shape = tiny.shape_of(model)
    interface.register()
    model.config._attn_implementation = interface.NAME
    fusion.replace(model, rows)
    if not right:
        rows.kernels["norm"] = lambda x, *_: x.flip(-1)
    fusion.switch(on=True)
    cache = KVCache(shape.cache, 64, torch.device("cpu"), torch.float32, "sdpa")
    ready = runner.checked(model, cache, None)
    assert fusion.is_on() == right
    assert not ready.cache.tokens


def test_a_class_that_computes_something_else_is_left_as_it_is(rows: Counted) -> None:
    class OddRMSNorm(torch.nn.Module):
        eps = 1e-6

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.rand(8) + 0.5)

        def forward(self, x: Tensor) -> Tensor:
            return x * self.weight

    model = torch.nn.Sequential(OddRMSNorm(), torch.nn.Linear(8, 8))
    x = torch.randn(1, 8)
    expected = model(x)
    fusion.replace(model, rows)
    fusion.switch(on=True)
    torch.testing.assert_close(model(x), expected)
    assert rows.calls["norm"] == 0


def test_nothing_is_replaced_without_a_gpu() -> None:
    model = SimpleNamespace(parameters=lambda: iter([torch.zeros(1)]))
    assert fusion.fuse(model) is False  # type: ignore[arg-type]


class OnGpu(torch.nn.Module):
    """As `fuse` sees a model on a GPU."""

    def parameters(self, recurse: bool = True) -> Iterator[Any]:
        yield SimpleNamespace(is_cuda=True, dtype=torch.bfloat16)


def test_a_kernel_that_does_not_compile_leaves_the_model_as_it_was(
    monkeypatch: pytest.MonkeyPatch, rows: Counted
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("ptxas: no bfloat16 here")

    monkeypatch.setattr(fusion, "own_kernels", lambda: rows)
    monkeypatch.setattr(fusion, "_tune", broken)
    model = OnGpu()
    assert fusion.fuse(model) is False
    assert fusion.fuse(model) is False, "nor when it is run once more"
    assert not fusion.is_on()


def test_what_joined_weights_leave_behind_is_given_back(
    monkeypatch: pytest.MonkeyPatch, rows: Counted
) -> None:
    emptied: list[bool] = []
    monkeypatch.setattr(fusion, "own_kernels", lambda: rows)
    monkeypatch.setattr(fusion, "_tune", lambda _: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(fusion.is_on()))
    assert fusion.fuse(OnGpu())
    assert emptied == [True]


def test_a_kernel_that_fails_is_further_away_than_any_number(rows: Counted) -> None:
    model = MODELS["llama"].make()
    fusion.replace(model, rows)

    def broken(*_: Any) -> None:
        raise RuntimeError("out of resources")

    rows.kernels["rope"] = broken
    assert fusion.disagreement([lambda: logits(model, 1)]) == float("inf")


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("20 MiB"), RuntimeError("Triton Error [CUDA]: out of memory")]
)
def test_a_lack_of_memory_is_told_and_leaves_the_kernels_in_force(
    rows: Counted, fused: bool, error: Exception
) -> None:
    """Whichever of the two forwards it is that has no room; a shorter context is tried next."""
    model = MODELS["llama"].make()
    fusion.replace(model, rows)
    fusion.switch(on=True)

    def run() -> Tensor:
        if fusion.is_on() == fused:
            raise error
        return logits(model, 1)

    with pytest.raises(type(error)):
        fusion.disagreement([run])
    assert fusion.is_on()
    assert fusion.disagreement([lambda: logits(model, 1)]) < 1e-4


def test_a_forward_that_fails_leaves_nothing_of_the_prompt(rows: Counted) -> None:
    model = MODELS["qwen3"].make()
    fusion.replace(model, rows)
    fusion.switch(on=True)
    attention = model.model.layers[1].self_attn

    def broken(*_: Any) -> None:
        raise torch.OutOfMemoryError

    handle = attention.q_norm.register_forward_pre_hook(broken)
    with pytest.raises(torch.OutOfMemoryError):
        logits(model, 9)
    assert attention.q_proj.siblings._parts
    fusion.forget(model)
    assert not attention.q_proj.siblings._parts
    assert attention.q_proj.siblings._input is None
    handle.remove()
    assert logits(model, 9).isfinite().all()


# ---------------------------------------------------------------------------- layers


class Plain(torch.nn.Module):
    """A layer of the names that are known; `forward` is a test's own."""

    input_layernorm: Any
    post_attention_layernorm: Any
    self_attn: Any
    mlp: Any

    def __init__(self) -> None:
        super().__init__()
        for name in ("input_layernorm", "post_attention_layernorm", "self_attn", "mlp"):
            setattr(self, name, torch.nn.Identity())


class PreNorm(Plain):
    factor = 1.0

    def forward(self, hidden_states: Tensor, **given: Any) -> Tensor:
        attended, _ = self.self_attn(hidden_states=self.input_layernorm(hidden_states), **given)
        h = hidden_states + attended * self.factor
        out: Tensor = h + self.mlp(self.post_attention_layernorm(h))
        return out


class Scaled(PreNorm):
    factor = 0.22


class Parallel(Plain):
    def forward(self, hidden_states: Tensor, **given: Any) -> Tensor:
        normed = self.input_layernorm(hidden_states)
        attended, _ = self.self_attn(hidden_states=normed, **given)
        out: Tensor = hidden_states + attended + self.mlp(self.post_attention_layernorm(normed))
        return out


class Forgetful(Plain):
    def forward(self, hidden_states: Tensor, **given: Any) -> Tensor:
        del given["kv_step"]
        return PreNorm.forward(self, hidden_states, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "known"), [(PreNorm, True), (Scaled, False), (Parallel, False), (Forgetful, False)]
)
def test_a_layer_is_known_by_what_it_computes(kind: type[Plain], known: bool) -> None:
    assert layers.looks_like_layer(kind())
    assert (layers.names_of(kind()) is not None) == known


def watched(name: str, rows: Counted) -> tuple[Any, list[Prologue]]:
    model = MODELS[name].make()
    families.of_name(model.config.model_type).mend(model)
    model.config._attn_implementation = interface.NAME
    model.config._experts_implementation = experts.NAME
    experts.register()
    interface.register()
    fusion.replace(model, rows)
    fusion.switch(on=True)
    return model, list(layers.watched(model).found.values())


@pytest.mark.parametrize(
    ("name", "rotations", "norms"),
    [
        ("llama", 4, 0),
        ("qwen3", 4, 4),
        ("exaone4", 2, 4),  # two layers without rotation
        ("olmo2", 4, 0),  # norms of all heads together
        ("ministral3", 0, 0),  # the query is scaled after its rotation
        ("hunyuan", 0, 0),  # the norms come after the rotation
        ("phi", 0, 0),  # part of a head is rotated and joined to the rest
        ("glm", 0, 0),  # pairs side by side, not halves
    ],
)
def test_what_can_be_left_to_attention_is_seen(
    name: str, rotations: int, norms: int, rows: Counted
) -> None:
    _, found = watched(name, rows)
    assert len(found) == 4
    assert sum(what.rotates for what in found) == rotations
    assert sum(what.norms is not None for what in found) == norms


@pytest.mark.parametrize("name", ["llama", "gemma3", "qwen3", "exaone4", "olmo2", "ministral3"])
def test_what_was_left_to_attention_is_done_there(
    name: str, rows: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch stands in for the kernel: norms and rotation, then SDPA."""
    left_out: list[Prologue] = []

    def prepared(x: Tensor, by: Norm | None, left: Prologue) -> Tensor:
        x = x if by is None else norm(x, by)
        if left.cosine is None or left.sine is None:
            return x
        return halves_rotated(x, left.cosine[:, None], left.sine[:, None])

    def kernel(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        step: LayerStep,
        scoring: Scoring,
        left: Prologue | None = None,
    ) -> Tensor:
        if left is not None:
            left_out.append(left)
            of_query, of_key = left.norms or (None, None)
            query, key = prepared(query, of_query, left), prepared(key, of_key, left)
        return kernels.sdpa(query, key, value, step, scoring)

    monkeypatch.setattr(interface, "flash_decode", kernel)
    monkeypatch.setitem(kernels.KERNELS, "flash_decode", kernel)
    model, found = watched(name, rows)
    cache = KVCache(tiny.shape_of(model).cache, 64, torch.device("cpu"), torch.float32, "sdpa")
    ready = runner.Runner(model, cache)
    cache.decode_kernel = "flash_decode"  # now, since its steps would be captured

    def logits_of(tokens: list[int]) -> Tensor:
        cache.tokens.clear()
        ready.forward(tokens[:9])
        return torch.stack([ready.forward([token]).clone() for token in tokens[9:]])

    tokens = tiny.tokens_of(20)
    fusion.switch(on=False)
    expected = logits_of(tokens)
    fusion.switch(on=True)
    fusion._leave_to_attention(model)
    torch.testing.assert_close(logits_of(tokens), expected, rtol=1e-4, atol=1e-4)
    useful = sum(what.rotates or what.norms is not None for what in found)
    assert len(left_out) == 11 * useful
    assert prologue.current() is None


@pytest.mark.parametrize("name", ["llama", "llama-yarn", "gemma3", "gpt_oss", "deepseek_v2"])
def test_cosines_and_sines_are_looked_up_as_they_are_computed(name: str, rows: Counted) -> None:
    model = MODELS[name].make()
    state.kernels = rows
    given: list[Any] = []
    for module in model.modules():
        if type(module).__name__.endswith("RotaryEmbedding"):
            module.register_forward_hook(lambda *call: given.append(call[2]))

    def at(*positions: int) -> list[Any]:
        """What the layers get; one token by itself would not tell."""
        given.clear()
        places, ids = torch.tensor([positions]), torch.full((1, len(positions)), 7)
        with torch.inference_mode():
            model(ids, position_ids=places, use_cache=False)
        return list(given)

    asked = ((0,), (3,), (99,), (0, 1, 2), (7, 5, 98))
    expected = [at(*positions) for positions in asked]
    assert all(expected)
    fusion.switch(on=True)
    for positions in (100, 200, 50):  # a shorter one leaves what is there
        fusion.tabulate(model, positions)
        found = [at(*positions) for positions in asked]
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
