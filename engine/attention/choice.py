"""Which kernel to use: a pure function of device, shape and wish, with a reason for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import torch

from engine.attention import latent
from engine.attention.latent import Latent
from engine.device.facts import MINIMUM_CAPABILITY, DeviceFacts
from engine.errors import AttentionError

Requested = Literal["auto", "on", "off"]
NOTHING_REFUSED: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Shape:
    """What a model asks of an attention kernel. Sizes in elements, windows in tokens."""

    heads: int
    kv_heads: int
    head_size: int
    dtype: torch.dtype
    windows: tuple[int, ...] = ()
    """The distinct sliding windows of its layers; 0 is none."""
    softcap: float = 0.0
    """Attention logit softcap; 0 is none."""
    sinks: bool = False
    """Whether each head has an attention sink."""
    latent: Latent | None = None
    """If the cache holds latents; the kernels see them expanded."""
    others: tuple[Shape, ...] = ()
    """Of layers with other heads, which the same kernel serves; these heads are the largest."""


@dataclass(frozen=True)
class Choice:
    kernel: str
    """A key of KERNELS."""
    label: str
    reason: str
    flash: bool


@dataclass(frozen=True)
class Rule:
    """One kernel and what forbids it: a sentence, or None where nothing does."""

    kernel: str
    label: Callable[[DeviceFacts], str]
    flash: bool
    objection: Callable[[DeviceFacts, Shape], str | None]


def no_flash_on_this_device(facts: DeviceFacts, shape: Shape) -> str | None:
    if facts.kind != "cuda":
        return f"flash attention needs a CUDA GPU, this is {facts.name}"
    if facts.rocm:
        return "flash attention on ROCm is not used yet"
    if facts.capability is None or facts.capability < MINIMUM_CAPABILITY:
        found = ".".join(map(str, facts.capability or ("unknown",)))
        return f"{facts.name} has compute capability {found}, flash attention needs 8.0"
    if shape.dtype not in (torch.float16, torch.bfloat16):
        return f"flash attention needs float16 or bfloat16, the weights are {name_of(shape.dtype)}"
    if shape.head_size > 256 or shape.head_size % 8:
        return f"flash attention takes head sizes up to 256 in steps of 8, not {shape.head_size}"
    return None


def no_flash_attn(facts: DeviceFacts, shape: Shape) -> str | None:
    if objection := no_flash_on_this_device(facts, shape):
        return objection
    return None if facts.flash_attn else "the flash-attn package is not installed"


def no_torch_flash(facts: DeviceFacts, shape: Shape) -> str | None:
    if objection := no_flash_on_this_device(facts, shape):
        return objection
    if not facts.torch_flash:
        return f"torch {facts.torch} was built without its flash kernel"
    return "torch's flash kernel has no logit softcap" if shape.softcap else None


def no_sdpa(_: DeviceFacts, shape: Shape) -> str | None:
    if shape.softcap:
        return "SDPA has no logit softcap"
    return "SDPA has no attention sinks" if shape.sinks else None


def no_cpp_decode(facts: DeviceFacts, shape: Shape) -> str | None:
    if not facts.cpp:
        return "Hearth's C++ kernels are not built, and there is no compiler"
    if shape.latent or shape.head_size % 8:
        return "Hearth's C++ attention takes keys and values in heads of 8, 16, 24, ..."
    return None


RULES = (
    Rule("flash_attn", lambda facts: f"flash-attn {facts.flash_attn}", True, no_flash_attn),
    Rule("torch_flash", lambda facts: f"torch {facts.torch} flash", True, no_torch_flash),
    Rule("sdpa", lambda facts: f"torch {facts.torch} SDPA", False, no_sdpa),
    Rule("math", lambda _: "plain math in float32", False, lambda *_: None),
)


def choose(
    facts: DeviceFacts,
    shape: Shape,
    requested: Requested,
    refused: Mapping[str, str] = NOTHING_REFUSED,
) -> Choice:
    """The first kernel of RULES that nothing forbids.

    `refused` maps a kernel to why it failed or disagreed when it was tried on this machine.
    Raises AttentionError when `requested` is "on" and no flash kernel can run.
    """
    objections: list[str] = []
    for rule in (r for r in RULES if requested == "auto" or r.flash == (requested == "on")):
        objection = refused.get(rule.kernel) or rule.objection(facts, shape)
        if objection is None:
            return Choice(
                rule.kernel,
                rule.label(facts),
                reason(facts, shape, requested, objections),
                rule.flash,
            )
        if objection not in objections:
            objections.append(objection)
    raise AttentionError(sentence("; ".join(objections)))


def choose_decode(
    facts: DeviceFacts, shape: Shape, requested: Requested, prompt: Choice, refused: str = ""
) -> Choice:
    """The kernel for one token: Hearth's own where there is one, else the prompt's.

    `refused` is why Hearth's own failed or disagreed when it was tried on this machine.
    """
    if facts.kind == "cpu" and not (refused or no_cpp_decode(facts, shape)):
        return replace(prompt, kernel="cpp_decode", label="cpp_decode", flash=False)
    objection = refused or no_flash_on_this_device(facts, shape)
    if shape.latent:
        kernel = latent.CUT_KERNEL if objection else latent.KERNEL
        return Choice(kernel, latent.DECODE_LABEL, latent.DECODE_REASON, flash=False)
    if requested == "off" or objection or not facts.triton:
        return replace(prompt, reason=f"{prompt.reason} {sentence(refused)}") if refused else prompt
    label = f"flash_decode (Triton {facts.triton})"
    return Choice("flash_decode", label, reason(facts, shape, requested, []), flash=True)


def reason(facts: DeviceFacts, shape: Shape, requested: Requested, objections: list[str]) -> str:
    """A sentence for the badge: what was found, and what kept the kernels before this one out."""
    if requested == "off":
        return "Flash attention is switched off in the settings."
    if objections:
        return sentence("; ".join(objections))
    capability = ".".join(map(str, facts.capability or ()))
    dtype = name_of(shape.dtype)
    return f"{facts.name}, compute capability {capability}, {dtype}, head size {shape.head_size}."


def sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
