"""The CUDA kernels: numbers against float32, and the name that the profiler gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from engine.attention import kernels, probe
from engine.attention.choice import Shape, choose
from engine.attention.layer_step import LayerStep, Scoring
from engine.cache.kv_cache import KVCache
from engine.device import facts
from engine.execution.runner import Runner
from engine.kernels.prologue import Norm, Prologue
from engine.protocol import NOT_OBSERVED
from tests.engine import tiny
from tests.engine.modeling.test_own_kernels import halves_rotated

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
CUDA = torch.device("cuda")
FLASH = ("flash_attn", "torch_flash")


def available(kernel: str) -> bool:
    here = facts.current()
    return {"flash_attn": bool(here.flash_attn), "torch_flash": here.torch_flash}.get(kernel, True)


@pytest.fixture(params=["flash_attn", "torch_flash", "sdpa"])
def kernel(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if not available(name):
        pytest.skip(f"{name} is not installed here")
    return name


@pytest.mark.parametrize("head_size", [64, 96, 128, 256])
@pytest.mark.parametrize("windows", [(0,), (0, 16)])
@pytest.mark.parametrize("tokens", [1, 5, 300])
def test_kernel_agrees_with_float32(
    kernel: str, head_size: int, windows: tuple[int, ...], tokens: int
) -> None:
    shape = Shape(32, 8, head_size, torch.bfloat16, windows)
    error = probe.check(kernel, shape, CUDA, tokens)
    assert error <= probe.TOLERANCE[torch.bfloat16]


def test_softcap_agrees_with_float32() -> None:
    if not available("flash_attn"):
        pytest.skip("flash_attn is not installed here")
    shape = Shape(8, 4, 256, torch.bfloat16, (0, 16), softcap=50.0)
    assert probe.check("flash_attn", shape, CUDA, 37) <= probe.TOLERANCE[torch.bfloat16]


@pytest.mark.skipif(not facts.triton_version(), reason="Triton is not installed")
@pytest.mark.parametrize("head_size", [64, 80, 96, 128, 256])
@pytest.mark.parametrize("kv_heads", [1, 4, 32])
@pytest.mark.parametrize(("softcap", "sinks"), [(0.0, False), (30.0, False), (0.0, True)])
def test_flash_decode_agrees_with_float32(
    head_size: int, kv_heads: int, softcap: float, sinks: bool
) -> None:
    shape = Shape(32, kv_heads, head_size, torch.bfloat16, (0, 16, 700), softcap, sinks)
    for _ in range(3):
        error = probe.check("flash_decode", shape, CUDA, 1)
        assert error <= probe.TOLERANCE[torch.bfloat16]


@pytest.mark.skipif(not facts.triton_version(), reason="Triton is not installed")
@pytest.mark.parametrize(("head_size", "rotated"), [(64, 64), (80, 32), (128, 128), (256, 256)])
@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("held", [0, 5, 700])
def test_flash_decode_does_what_is_left_to_it(
    head_size: int, rotated: int, normed: bool, held: int
) -> None:
    """As norm and rotation before it would, but for a rounding to bfloat16 between them."""
    source = torch.Generator(CUDA).manual_seed(held)

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(size, device=CUDA, generator=source).bfloat16()

    keys, values = draw(2, 1, 1024, 4, head_size).unbind(0)
    query, key, value = (
        draw(1, 1, 16, head_size),
        draw(1, 1, 4, head_size),
        draw(1, 1, 4, head_size),
    )
    cosine, sine = draw(2, 1, 1, rotated).unbind(0)
    norms = (Norm(draw(head_size), 1e-6, 1.0), Norm(draw(head_size), 1e-6, 1.0))
    prepared = []
    for x, norm in zip((query, key), norms, strict=True):
        exact = x.float()
        if normed:
            scale = torch.rsqrt(exact.pow(2).mean(-1, keepdim=True) + norm.epsilon)
            exact = exact * scale * (norm.weight.float() + norm.offset)
        prepared.append(halves_rotated(exact, cosine.float(), sine.float()).bfloat16())
    place = torch.tensor([held], device=CUDA)
    found = []
    for left in (None, Prologue(norms if normed else None, cosine[0], sine[0])):
        held_keys, held_values = keys.clone(), values.clone()
        step = LayerStep(held_keys, held_values, held, place.int(), place.int() + 1, place)
        q, k = (query, key) if left else prepared
        out = kernels.flash_decode(q, k, value, step, Scoring(head_size**-0.5), left)
        found.append((out, held_keys, held_values))
    for one, other in zip(*found, strict=True):
        assert relative(other.float(), one.float()) < 5e-3


def llama(dtype: torch.dtype) -> Any:
    """transformers', eager."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=512,
        hidden_size=1024,
        intermediate_size=512,
        num_hidden_layers=3,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=128,
        initializer_range=0.05,
    )
    config._attn_implementation = "eager"
    model: Any = LlamaForCausalLM(config)
    return model.to(CUDA, dtype).eval()


def made(kernel: str) -> Runner:
    model = llama(torch.bfloat16)
    cache = KVCache(tiny.shape_of(model).cache, 1024, CUDA, torch.bfloat16, kernel)
    return Runner(tiny.assembled(model, CUDA, torch.bfloat16).model, cache)


def eager_logits(dtype: torch.dtype, tokens: list[int]) -> torch.Tensor:
    model = llama(dtype)
    with torch.inference_mode():
        ids = torch.tensor([tokens], device=CUDA)
        logits: torch.Tensor = model(ids, use_cache=False).logits[0, -1].float()
    return logits


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def test_logits_are_no_further_from_float32_than_eager_bfloat16(kernel: str) -> None:
    tokens = torch.randint(0, 512, (301,)).tolist()
    exact = eager_logits(torch.float32, tokens)
    ready = made(kernel)
    ready.chunk = 97
    list(ready.prefill(tokens[:-3]))
    for token in tokens[-3:]:
        ready.forward([token])
    assert relative(ready.logits, exact) <= 1.5 * relative(
        eager_logits(torch.bfloat16, tokens), exact
    )


@pytest.mark.parametrize("count", [200, 1])
def test_the_flash_kernel_is_observed(kernel: str, count: int) -> None:
    ready = made(kernel)
    list(ready.prefill([1] * 50))
    run: Callable[[], object] = lambda: ready.forward([2] * count)  # noqa: E731
    run()
    seen = probe.observe(run)
    assert seen.flash == (kernel in FLASH), seen.label
    assert seen.label != NOT_OBSERVED


def test_the_choice_here_is_a_flash_kernel() -> None:
    here = facts.current()
    if (here.capability or (0, 0)) < (8, 0):
        pytest.skip(f"compute capability {here.capability} is below 8.0")
    assert choose(here, Shape(32, 8, 128, torch.bfloat16), "on").flash
