"""Every rule of the choice, on machines that need not be here."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engine.attention.choice import Shape, choose, choose_decode
from engine.attention.kernels import KERNELS
from engine.attention.latent import Latent
from engine.device.facts import DeviceFacts
from engine.errors import AttentionError

H200 = DeviceFacts(
    "cuda", "NVIDIA H200", (9, 0), flash_attn="2.8.3", torch_flash=True, torch="2.13"
)
RTX_2070 = replace(H200, name="NVIDIA RTX 2070", capability=(7, 5))
CPU = DeviceFacts("cpu", "CPU", torch="2.13")
LLAMA = Shape(32, 8, 128, torch.bfloat16)
GEMMA_2 = replace(LLAMA, head_size=256, softcap=50.0, windows=(0, 4096))


@pytest.mark.parametrize(
    ("facts", "shape", "requested", "kernel", "reason"),
    [
        (H200, LLAMA, "auto", "flash_attn", "compute capability 9.0, bfloat16, head size 128"),
        (H200, LLAMA, "on", "flash_attn", "compute capability 9.0"),
        (H200, LLAMA, "off", "sdpa", "switched off"),
        (replace(H200, flash_attn=""), LLAMA, "auto", "torch_flash", "not installed"),
        (H200, GEMMA_2, "auto", "flash_attn", "head size 256"),
        (replace(H200, flash_attn=""), GEMMA_2, "auto", "math", "no logit softcap"),
        (replace(H200, flash_attn="", torch_flash=False), LLAMA, "auto", "sdpa", "built without"),
        (H200, replace(LLAMA, dtype=torch.float32), "auto", "sdpa", "weights are float32"),
        (H200, replace(LLAMA, head_size=512), "auto", "sdpa", "head sizes up to 256"),
        (replace(H200, rocm=True), LLAMA, "auto", "sdpa", "ROCm"),
        (RTX_2070, LLAMA, "auto", "sdpa", "compute capability 7.5, flash attention needs 8.0"),
        (CPU, LLAMA, "auto", "sdpa", "needs a CUDA GPU, this is CPU"),
        (CPU, GEMMA_2, "auto", "math", "no logit softcap"),
        (CPU, LLAMA, "off", "sdpa", "switched off"),
    ],
)
def test_choice_and_its_reason(
    facts: DeviceFacts, shape: Shape, requested: str, kernel: str, reason: str
) -> None:
    chosen = choose(facts, shape, requested)  # type: ignore[arg-type]
    assert chosen.kernel == kernel
    assert reason in chosen.reason
    assert chosen.flash == (kernel in {"flash_attn", "torch_flash"})


@pytest.mark.parametrize("facts", [CPU, RTX_2070])
def test_on_where_impossible_is_an_error_that_says_why(facts: DeviceFacts) -> None:
    with pytest.raises(AttentionError, match="lash attention needs"):
        choose(facts, LLAMA, "on")


def test_a_kernel_that_failed_gives_way_and_the_reason_says_so() -> None:
    chosen = choose(H200, LLAMA, "auto", {"flash_attn": "flash-attn 2.8.3 does not run here"})
    assert chosen.kernel == "torch_flash"
    assert chosen.reason == "Flash-attn 2.8.3 does not run here."


def test_one_token_has_a_kernel_of_its_own_or_is_told_why_not() -> None:
    facts = replace(H200, triton="3.7.1")
    prompt = choose(facts, LLAMA, "auto")
    assert choose_decode(facts, LLAMA, "auto", prompt).kernel == "flash_decode"
    assert choose_decode(H200, LLAMA, "auto", prompt) is prompt
    assert choose_decode(facts, LLAMA, "off", choose(facts, LLAMA, "off")).kernel == "sdpa"
    refused = choose_decode(facts, LLAMA, "auto", prompt, "flash_decode disagrees")
    assert refused.kernel == prompt.kernel
    assert refused.reason == f"{prompt.reason} Flash_decode disagrees."


def test_latents_are_masked_where_steps_are_captured_and_cut_elsewhere() -> None:
    deepseek = replace(LLAMA, latent=Latent(rank=512, rotated=64, value=128))
    captured = choose_decode(H200, deepseek, "auto", choose(H200, deepseek, "auto"))
    assert KERNELS[captured.kernel].captured
    single = choose_decode(CPU, deepseek, "auto", choose(CPU, deepseek, "auto"))
    assert not KERNELS[single.kernel].captured
    assert (captured.label, captured.reason) == (single.label, single.reason)
