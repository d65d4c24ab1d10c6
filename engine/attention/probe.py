"""Finds out which attention kernel really ran, and whether its numbers are right.

What ran is read from torch.profiler's record of the path in use, never from the branch that our
own code took. Numbers are checked against plain float32 attention on fresh random inputs.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from engine.attention import latent
from engine.attention.choice import Shape
from engine.attention.kernels import KERNELS
from engine.attention.latent import Latent
from engine.attention.layer_step import LayerStep, Scoring
from engine.device import memory
from engine.kernels import cpu
from engine.protocol import NOT_OBSERVED

os.environ.setdefault("KINETO_LOG_LEVEL", "99")
"""The profiler's library writes progress lines to stderr; it reads this at its first use."""

HELD = 37
HELD_AT_DECODE = 1337
"""Positions before the tokens that are checked, odd; many at decode, which is split by them."""

UNOBSERVED_STEPS: Final = 4
"""Tokens before the one that is observed: a graph is captured at the third."""

TOLERANCE = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 2e-2}
"""Largest error relative to the reference's largest value: a few roundings of the dtype."""


@dataclass(frozen=True)
class Signature:
    """A kernel or operator name that only one kind of attention leaves in a profile."""

    pattern: re.Pattern[str]
    label: str
    flash: bool


SIGNATURES = tuple(
    Signature(re.compile(pattern), label, flash)
    for pattern, label, flash in (
        (r"pytorch_flash::flash_fwd_splitkv_kernel", "torch's flash_fwd_splitkv_kernel", True),
        (r"pytorch_flash::flash_fwd_kernel", "torch's flash_fwd_kernel", True),
        (r"flash::flash_fwd_splitkv_kernel", "flash-attn's flash_fwd_splitkv_kernel", True),
        (r"flash::flash_fwd_kernel", "flash-attn's flash_fwd_kernel", True),
        (r"_flash_decode", "Hearth's flash_decode", True),
        (cpu.ATTENTION, "Hearth's C++ for the CPU", False),
        (r"fmha_cutlassF", "memory-efficient fmha_cutlassF", False),
        (
            r"_scaled_dot_product_flash_attention_for_cpu",
            "torch's CPU kernel flash_attention_for_cpu",
            False,
        ),
        (r"_scaled_dot_product_attention_math", "SDPA, plain math", False),
        (r"softmax", "plain math (softmax kernel)", False),
    )
)


@dataclass(frozen=True)
class Observation:
    label: str
    flash: bool


def observe(run: Callable[[], object]) -> Observation:
    """Runs once under the profiler and names the attention kernel that it recorded."""
    cuda = torch.cuda.is_available()
    activities = [ProfilerActivity.CUDA] if cuda else [ProfilerActivity.CPU]
    try:
        with profile(activities=activities, acc_events=True) as record:
            run()
            if cuda:
                torch.cuda.synchronize()
        return identify(event.key for event in record.key_averages())
    except RuntimeError as fault:
        if memory.is_used_up(fault):
            raise
        return Observation(NOT_OBSERVED, False)


def observe_step(steps: Generator[int, None, None]) -> Observation:
    """What computes one of the tokens, once steps are captured. No more are taken."""
    for _ in islice(steps, UNOBSERVED_STEPS):
        pass
    seen = observe(partial(next, steps, None))
    steps.close()
    return seen


def both(first: Observation, second: Observation) -> Observation:
    """Of two runs that may take different kernels."""
    if first == second:
        return first
    if NOT_OBSERVED in (first.label, second.label):
        return Observation(NOT_OBSERVED, False)
    return Observation(f"{first.label} and {second.label}", first.flash and second.flash)


def identify(names: Iterable[str]) -> Observation:
    """The first row of SIGNATURES that any of the names matches."""
    seen = list(names)
    for signature in SIGNATURES:
        if any(signature.pattern.search(name) for name in seen):
            return Observation(signature.label, signature.flash)
    return Observation(NOT_OBSERVED, False)


def check(kernel: str, shape: Shape, device: torch.device, tokens: int) -> float:
    """Largest error of the kernel against float32 math over the model's layers, relative.

    Infinite for a kernel that returns what is no number: NaN would be lost in a maximum.
    `tokens` queries follow positions whose number is odd, so that no tile boundary flatters.
    """
    if shape.latent and KERNELS[kernel].of_latents:
        return check_latent(kernel, shape, shape.latent, device)
    return max(
        check_window(kernel, kind, device, tokens, window)
        for kind in (shape, *shape.others)
        for window in kind.windows or (0,)
    )


def check_latent(kernel: str, shape: Shape, sizes: Latent, device: torch.device) -> float:
    """Of one token's way to the latents, against float32 math on what they expand to.

    What lies behind the token is as large as what it sees: a mask that lets it through shows.
    """
    held, span = HELD, 2 * HELD

    def draw(*size: int) -> Tensor:
        return torch.randn(size, device=device, dtype=shape.dtype)

    plain = shape.head_size - sizes.rotated
    up = draw(shape.heads, plain + sizes.value, sizes.rank) * sizes.rank**-0.5
    query, buffer = draw(1, 1, shape.heads, shape.head_size), draw(1, span, 1, sizes.size)
    new = draw(1, 1, 1, sizes.size)
    scoring = Scoring(shape.head_size**-0.5)
    at = torch.tensor([held], device=device)
    lengths, after = at.int(), at.int() + 1
    mask = latent.mask_of(span, lengths, shape.dtype) if KERNELS[kernel].masked else None
    step = LayerStep(buffer, buffer, held, lengths, after, at)
    found = latent.attend(query, new, up, step, kernel, scoring, mask)
    keys, values = latent.expanded(torch.cat([buffer[:, :held], new], 1).float(), up.float(), plain)
    step = LayerStep(keys, values, held, lengths, after, at)
    last = (keys[:, held:].clone(), values[:, held:].clone())
    reference = KERNELS["math"](query.float(), *last, step, scoring)
    return relative(found.float(), reference[..., : sizes.value])


def relative(found: Tensor, reference: Tensor) -> float:
    error = float((found - reference).abs().max() / reference.abs().max())
    return error if math.isfinite(error) else math.inf


def check_window(
    kernel: str, shape: Shape, device: torch.device, tokens: int, window: int
) -> float:
    held = HELD if tokens > 1 else HELD_AT_DECODE
    span = 1 << (held + tokens).bit_length()

    def draw(*size: int) -> Tensor:
        return torch.randn(size, device=device, dtype=shape.dtype)

    query = draw(1, tokens, shape.heads, shape.head_size)
    key, value = (draw(1, tokens, shape.kv_heads, shape.head_size) for _ in range(2))
    keys, values = (draw(1, span, shape.kv_heads, shape.head_size) for _ in range(2))

    sinks = draw(shape.heads) if shape.sinks else None
    scoring = Scoring(shape.head_size**-0.5, window, shape.softcap, sinks)

    def attend(name: str, *, on_device: bool = False) -> Tensor:
        step = LayerStep(
            keys.clone(),
            values.clone(),
            0 if on_device else held,
            torch.tensor([held], dtype=torch.int32, device=device),
            torch.tensor([held + tokens], dtype=torch.int32, device=device),
            torch.arange(held, held + tokens, device=device),
            on_device,
        )
        return KERNELS[name](query, key, value, step, scoring).float()

    reference = attend("math")
    error = relative(attend(kernel), reference)
    if KERNELS[kernel].several_on_device and tokens > 1:  # of one token both are the same
        error = max(error, relative(attend(kernel, on_device=True), reference))
    return error
