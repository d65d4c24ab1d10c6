"""Triton kernels for mixtures of experts: the experts of a token, and the sum of their results.

With torch's operators the first is eight launches and the second three, each of them longer than
what it computes for one token.
"""

from __future__ import annotations

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from engine.kernels import dependent_launch

SCORES: Final = {"softmax": 0, "sigmoid": 1, "softmax of the chosen": 2}
TOGETHER: Final = 1024
"""Numbers of a program of the sum."""


@triton.jit
def _route(
    logits, correction, experts, weights, count, factor, epsilon,
    SCORE: tl.constexpr, CORRECTED: tl.constexpr, NORMALISED: tl.constexpr, ACTIVE: tl.constexpr,
    SLOTS: tl.constexpr, EARLY: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """1. scores of all experts; 2. the best one after another, at equal scores the first;
    3. their weights."""
    token = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    real = at < count
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    raw = tl.load(logits + token * count + at, real, -float("inf")).to(tl.float32)
    if SCORE == 0:
        powers = tl.exp(raw - tl.max(raw, 0))
        scores = powers / tl.sum(powers, 0)
    elif SCORE == 1:
        scores = 1.0 / (1.0 + tl.exp(-raw))
    else:
        scores = raw
    ranked = scores
    if CORRECTED:
        ranked += tl.load(correction + at, real, 0.0)
    ranked = tl.where(real, ranked, -float("inf"))
    slot = tl.arange(0, SLOTS)
    chosen = tl.full((SLOTS,), -float("inf"), tl.float32)
    places = tl.zeros((SLOTS,), tl.int64)
    for k in tl.static_range(ACTIVE):
        best = tl.min(tl.where(ranked == tl.max(ranked, 0), at, BLOCK), 0)
        best = tl.minimum(best, count - 1)  # scores that are no numbers equal nothing
        chosen = tl.where(slot == k, tl.sum(tl.where(at == best, scores, 0.0), 0), chosen)
        places = tl.where(slot == k, best.to(tl.int64), places)
        ranked = tl.where(at == best, -float("inf"), ranked)
    if SCORE == 2:
        powers = tl.exp(chosen - tl.max(chosen, 0))
        chosen = powers / tl.sum(powers, 0)
    if NORMALISED:
        chosen /= tl.sum(tl.where(slot < ACTIVE, chosen, 0.0), 0) + epsilon
    here = token * ACTIVE + slot
    tl.store(experts + here, places, slot < ACTIVE)
    tl.store(weights + here, chosen * factor, slot < ACTIVE)


@triton.jit
def _weighted_sum(
    values, weights, out, slots, size, EARLY: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real = at < size
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    total = tl.zeros((BLOCK,), tl.float32)
    for slot in range(slots):
        each = tl.load(values + slot * size + at, real, 0.0).to(tl.float32)
        total += each * tl.load(weights + slot)
    tl.store(out + at, total, real)


def route(
    logits: Tensor,
    correction: Tensor | None,
    score: str,
    active: int,
    factor: float,
    *,
    normalised: bool,
) -> tuple[Tensor, Tensor]:
    """logits [tokens, experts] -> experts int64 and weights float32 [tokens, active], the best
    first. `correction` float32 [experts] is added to the scores for the choice alone; `score` is a
    key of SCORES."""
    tokens, count = logits.shape
    logits = logits.contiguous()
    experts = torch.empty((tokens, active), dtype=torch.int64, device=logits.device)
    weights = torch.empty((tokens, active), dtype=torch.float32, device=logits.device)
    _route[(tokens,)](
        logits, logits if correction is None else correction, experts, weights, count, factor,
        1e-20, SCORE=SCORES[score], CORRECTED=correction is not None, NORMALISED=normalised,
        ACTIVE=active, SLOTS=triton.next_power_of_2(active),
        BLOCK=triton.next_power_of_2(count), num_warps=1 if tokens == 1 else 4,
        **dependent_launch.options(),
    )  # fmt: skip
    return experts, weights


def weighted_sum(values: Tensor, weights: Tensor) -> Tensor:
    """values [slots, size], weights float32 [slots] -> [1, size] in the dtype of the values."""
    slots, size = values.shape
    out = values.new_empty((1, size))
    _weighted_sum[(triton.cdiv(size, TOGETHER),)](
        values.contiguous(), weights, out, slots, size, BLOCK=TOGETHER, num_warps=4,
        **dependent_launch.options(),
    )  # fmt: skip
    return out
