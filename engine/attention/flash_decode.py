"""Flash attention of one token on a GPU, in one launch, split by the tokens that are there.

Each KV head's positions are dealt out to several programs, as many to each as the held length says,
which is read on the device: one captured step serves every length. A program keeps the running
maximum and sum of an online softmax; the last one to end puts the parts together. The new key and
value are appended on the way, and query and key normed and rotated first where that was left to do.

Dao, Haziza, Massa and Sizov, Flash-Decoding for long-context inference, 2023.
"""

from __future__ import annotations

from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from engine.attention.layer_step import LayerStep, Scoring
from engine.kernels import dependent_launch
from engine.kernels.prologue import Norm, Prologue

FEWEST_ROWS = 16
"""Query heads of a KV head are filled up to what a tensor core takes."""
PROGRAMS = 256
"""To keep every multiprocessor busy, two each on the largest."""


@triton.jit
def _prepared(
    heads, real, column, norm, cosine, sine, half, epsilon, norm_offset, SIZE: tl.constexpr,
    NORM: tl.constexpr, ROTATE: tl.constexpr,
):  # fmt: skip
    """Heads [rows, size] after the norm of each and the rotation in two halves."""
    x = tl.load(heads + column[None, :], real, 0.0)
    if NORM or ROTATE:
        # The other one of a pair that is rotated is the same head's, half the rotated size away.
        partner = tl.where(
            column < half, column + half, tl.where(column < 2 * half, column - half, column)
        )
        exact = x.to(tl.float32)
        paired = tl.load(heads + partner[None, :], real, 0.0).to(tl.float32)
        if NORM:
            inside = column < SIZE
            height = tl.rsqrt(tl.sum(exact * exact, 1) / SIZE + epsilon)[:, None]
            scales = tl.load(norm + column, inside, 0.0).to(tl.float32) + norm_offset
            others = tl.load(norm + partner, inside, 0.0).to(tl.float32) + norm_offset
            exact = exact * height * scales[None, :]
            paired = paired * height * others[None, :]
        if ROTATE:
            turning = column < 2 * half
            c = tl.load(cosine + column, turning, 1.0).to(tl.float32)
            s = tl.load(sine + column, turning, 0.0).to(tl.float32)
            s = s * tl.where(column < half, -1.0, 1.0)
            exact = exact * c[None, :] + paired * s[None, :]
        x = tl.where(real, exact, 0.0).to(x.dtype)
    return x


@triton.jit
def _flash_decode(
    query, key, value, keys, values, lengths, sinks, out, parts, heights, counters,
    cosine, sine, query_norm, key_norm, half, epsilon, norm_offset,
    scale, softcap, window, position_stride, GROUP: tl.constexpr, SIZE: tl.constexpr,
    SPLITS: tl.constexpr, SOFTCAP: tl.constexpr, SINKS: tl.constexpr, ROTATE: tl.constexpr,
    NORM: tl.constexpr, EARLY: tl.constexpr, BLOCK: tl.constexpr, WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    head = tl.program_id(0)
    split = tl.program_id(1)
    length = tl.load(lengths)
    row = tl.arange(0, ROWS)
    column = tl.arange(0, WIDTH)
    inside = column < SIZE
    real = (row < GROUP)[:, None] & inside[None, :]
    q = _prepared(
        query + (head * GROUP + row)[:, None] * SIZE, real, column, query_norm, cosine, sine,
        half, epsilon, norm_offset, SIZE, NORM, ROTATE,
    )  # fmt: skip

    first = tl.where(window > 0, tl.maximum(length + 1 - window, 0), 0)
    share = tl.cdiv(tl.cdiv(length - first, SPLITS), BLOCK) * BLOCK
    share = tl.maximum(share, BLOCK)
    # Programs that get no positions end here; the first always has the new token.
    active = tl.maximum(tl.cdiv(length - first, share), 1)
    if split >= active:
        return
    begin = first + split * share
    end = tl.minimum(begin + share, length)
    highest = tl.full((ROWS,), -1.0e30, tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    gathered = tl.zeros((ROWS, WIDTH), tl.float32)

    for start in range(begin, end, BLOCK):
        at = start + tl.arange(0, BLOCK)
        there = (at < end)[:, None] & (column < SIZE)[None, :]
        place = at[:, None].to(tl.int64) * position_stride + head * SIZE + column[None, :]
        k = tl.load(keys + place, there, 0.0)
        v = tl.load(values + place, there, 0.0)
        scores = tl.dot(q, tl.trans(k)) * scale
        if SOFTCAP:
            scores = softcap * (1.0 - 2.0 / (1.0 + tl.exp(2.0 * scores / softcap)))
        scores = tl.where((at < end)[None, :], scores * 1.4426950408889634, -1.0e30)
        higher = tl.maximum(highest, tl.max(scores, 1))
        weights = tl.exp2(scores - higher[:, None])
        shrink = tl.exp2(highest - higher)
        total = total * shrink + tl.sum(weights, 1)
        gathered = gathered * shrink[:, None] + tl.dot(weights.to(v.dtype), v)
        highest = higher

    if split == 0:
        # One real row, so that the sum over all is that row.
        only = (row == 0)[:, None] & inside[None, :]
        tile = _prepared(
            key + head * SIZE + row[:, None] * 0, only, column, key_norm, cosine, sine,
            half, epsilon, norm_offset, SIZE, NORM, ROTATE,
        )  # fmt: skip
        new_key = tl.sum(tile.to(tl.float32), 0)
        new_value = tl.load(value + head * SIZE + column, inside, 0.0)
        place = length.to(tl.int64) * position_stride + head * SIZE + column
        tl.store(keys + place, new_key, inside)
        tl.store(values + place, new_value, inside)
        score = tl.sum(q.to(tl.float32) * new_key[None, :], 1) * scale
        if SOFTCAP:
            score = softcap * (1.0 - 2.0 / (1.0 + tl.exp(2.0 * score / softcap)))
        score = score * 1.4426950408889634
        higher = tl.maximum(highest, score)
        weight = tl.exp2(score - higher)
        shrink = tl.exp2(highest - higher)
        total = total * shrink + weight
        gathered = gathered * shrink[:, None] + weight[:, None] * new_value.to(tl.float32)[None, :]
        highest = higher

    mine = (head * SPLITS + split) * ROWS
    tl.store(heights + mine * 2 + row, highest)
    tl.store(heights + mine * 2 + ROWS + row, total)
    tl.store(parts + (mine + row)[:, None] * WIDTH + column[None, :], gathered, real)
    tl.debug_barrier()
    ended = tl.atomic_add(counters + head, 1, sem="acq_rel")
    if ended == active - 1:
        number = tl.arange(0, SPLITS)
        ran = (number < active)[:, None]
        theirs = (head * SPLITS + number)[:, None] * (2 * ROWS) + row[None, :]
        tops = tl.load(heights + theirs, ran, -1.0e30, cache_modifier=".cg")
        totals = tl.load(heights + theirs + ROWS, ran, 0.0, cache_modifier=".cg")
        highest = tl.max(tops, 0)
        if SINKS:
            sink = tl.load(sinks + head * GROUP + row, row < GROUP, 0.0).to(tl.float32)
            sink = sink * 1.4426950408889634
            highest = tl.maximum(highest, sink)
        total = tl.sum(totals * tl.exp2(tops - highest[None, :]), 0)
        if SINKS:
            total += tl.exp2(sink - highest)
        gathered = tl.zeros((ROWS, WIDTH), tl.float32)
        for base in range(0, active, 8):
            # Eight loads in flight, as none depends on another.
            for offset in tl.static_range(8):
                other = row * 0 + base + offset
                there = other < active
                whose = (head * SPLITS + other) * ROWS
                top = tl.load(heights + whose * 2 + row, there, -1.0e30, cache_modifier=".cg")
                part = tl.load(
                    parts + (whose + row)[:, None] * WIDTH + column[None, :],
                    real & there[:, None], 0.0, cache_modifier=".cg",
                )  # fmt: skip
                gathered += part * tl.exp2(top - highest)[:, None]
        place = (head * GROUP + row)[:, None] * SIZE + column[None, :]
        tl.store(out + place, gathered / total[:, None], real)
        tl.store(counters + head, 0)


def flash_decode(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    step: LayerStep,
    scoring: Scoring,
    left: Prologue | None = None,
) -> Tensor:
    """As every kernel of engine/attention/kernels.py, for one token.

    `left` is what was not yet done to query and key.
    """
    kv_heads, size = key.shape[2:]
    group = query.shape[2] // kv_heads
    splits = splits_of(kv_heads)
    rows = max(FEWEST_ROWS, triton.next_power_of_2(group))
    width = triton.next_power_of_2(size)
    query = query.contiguous()
    out = torch.empty_like(query)
    parts = query.new_empty((kv_heads, splits, rows, width), dtype=torch.float32)
    heights = query.new_empty((kv_heads, splits, 2, rows), dtype=torch.float32)
    sinks = query if scoring.sinks is None else scoring.sinks
    left = left or Prologue()
    cosine, sine = left.cosine, left.sine
    norms = left.norms or (Norm(query, 0.0, 0.0), Norm(query, 0.0, 0.0))
    _flash_decode[(kv_heads, splits)](
        query, key.contiguous(), value.contiguous(), step.keys, step.values, step.lengths, sinks,
        out, parts, heights, counters(query.device, kv_heads),
        query if cosine is None else cosine.contiguous(),
        query if sine is None else sine.contiguous(), norms[0].weight, norms[1].weight,
        0 if cosine is None else cosine.shape[-1] // 2, norms[0].epsilon, norms[0].offset,
        scoring.scale, scoring.softcap, scoring.window, step.keys.stride(1), GROUP=group,
        SIZE=size, SPLITS=splits, SOFTCAP=scoring.softcap > 0,
        SINKS=scoring.sinks is not None, ROTATE=cosine is not None, NORM=left.norms is not None,
        BLOCK=32 if width > 128 else 64, WIDTH=width, ROWS=rows, num_warps=4,
        num_stages=2, **dependent_launch.options(),
    )  # fmt: skip
    return out


def splits_of(kv_heads: int) -> int:
    """Programs a KV head: a power of two, 64 at most."""
    return max(1, min(64, 1 << (PROGRAMS // kv_heads).bit_length() - 1))


@cache
def counters(device: torch.device, kv_heads: int) -> Tensor:
    """int32 [KV heads], zero between launches: the last program of a head sets its own back."""
    return torch.zeros(kv_heads, dtype=torch.int32, device=device)
