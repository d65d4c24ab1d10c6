"""Triton kernels for one token: what a decode step consists of, in few launches.

At one row a product reads each weight once and computes next to nothing, so that one program for
each row of the weight, or for a few, with wide loads and sums in float32, reaches the memory's
rate. The other kernels are here because a launch costs as much as they do. Sums and rotations are
in float32 throughout.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from engine import memory, row_tuning
from engine.attention.prologue import Norm
from engine.row_tuning import GATE_UP, LINEAR, Blocks

EARLY_CAPABILITY: Final = (9, 0)
"""Below it the processor has no programmatic dependent launch."""
ACTIVATIONS = {"silu": 0, "gelu_tanh": 1, "gelu": 2}

_early = False
_log = logging.getLogger(__name__)


@triton.jit
def _row_linear(
    x, weight, bias, norm_weight, residual, out, rows, columns, epsilon, offset,
    HAS_BIAS: tl.constexpr, NORM: tl.constexpr, SUM: tl.constexpr, EARLY: tl.constexpr,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    real = row < rows
    at = tl.arange(0, BLOCK)
    line = weight + row.to(tl.int64)[:, None] * columns + at[None, :]
    there = real[:, None] & (at < columns)[None, :]
    weights = tl.load(line, there, 0.0, eviction_policy="evict_first")
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    total = tl.zeros((ROWS, BLOCK), tl.float32)
    squares = tl.zeros((BLOCK,), tl.float32)
    for begin in range(0, columns, BLOCK):
        here = begin + at
        ahead = real[:, None] & (here + BLOCK < columns)[None, :]
        following = tl.load(line + begin + BLOCK, ahead, 0.0, eviction_policy="evict_first")
        values = tl.load(x + here, here < columns, 0.0).to(tl.float32)
        if NORM:
            squares += values * values
            scales = tl.load(norm_weight + here, here < columns, 0.0).to(tl.float32) + offset
            values *= scales
        total += values[None, :] * weights.to(tl.float32)
        weights = following
    found = tl.sum(total, 1)
    if NORM:
        found *= tl.rsqrt(tl.sum(squares, 0) / columns + epsilon)
    if HAS_BIAS:
        found += tl.load(bias + row, real, 0.0).to(tl.float32)
    if SUM:
        found += tl.load(residual + row, real, 0.0).to(tl.float32)
    tl.store(out + row, found, real)


@triton.jit
def _row_gate_up(
    x, weight, norm_weight, out, rows, columns, epsilon, offset, ACTIVATION: tl.constexpr,
    NORM: tl.constexpr, EARLY: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    real = row < rows
    at = tl.arange(0, BLOCK)
    gate_line = weight + row.to(tl.int64)[:, None] * columns + at[None, :]
    up_line = weight + (rows + row).to(tl.int64)[:, None] * columns + at[None, :]
    there = real[:, None] & (at < columns)[None, :]
    gates = tl.load(gate_line, there, 0.0, eviction_policy="evict_first")
    ups = tl.load(up_line, there, 0.0, eviction_policy="evict_first")
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    gate_sum = tl.zeros((ROWS, BLOCK), tl.float32)
    up_sum = tl.zeros((ROWS, BLOCK), tl.float32)
    squares = tl.zeros((BLOCK,), tl.float32)
    for begin in range(0, columns, BLOCK):
        here = begin + at
        ahead = real[:, None] & (here + BLOCK < columns)[None, :]
        next_gates = tl.load(
            gate_line + begin + BLOCK, ahead, 0.0, eviction_policy="evict_first"
        )  # fmt: skip
        next_ups = tl.load(up_line + begin + BLOCK, ahead, 0.0, eviction_policy="evict_first")
        values = tl.load(x + here, here < columns, 0.0).to(tl.float32)
        if NORM:
            squares += values * values
            scales = tl.load(norm_weight + here, here < columns, 0.0).to(tl.float32) + offset
            values *= scales
        gate_sum += values[None, :] * gates.to(tl.float32)
        up_sum += values[None, :] * ups.to(tl.float32)
        gates = next_gates
        ups = next_ups
    gate = tl.sum(gate_sum, 1)
    up = tl.sum(up_sum, 1)
    if NORM:
        scale = tl.rsqrt(tl.sum(squares, 0) / columns + epsilon)
        gate *= scale
        up *= scale
    if ACTIVATION == 0:
        active = gate / (1.0 + tl.exp(-gate))
    elif ACTIVATION == 1:
        inner = 0.7978845608028654 * (gate + 0.044715 * gate * gate * gate)
        # tanh by the exponential, which every version of Triton has.
        active = gate * (1.0 - 1.0 / (1.0 + tl.exp(2.0 * inner)))
    else:
        active = 0.5 * gate * (1.0 + tl.erf(gate * 0.7071067811865476))
    tl.store(out + row, active * up, real)


@triton.jit
def _row_norm(
    x, weight, residual, out, columns, epsilon, offset, SUM: tl.constexpr, EARLY: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    begin = tl.program_id(0) * columns
    at = tl.arange(0, BLOCK)
    inside = at < columns
    weights = tl.load(weight + at, inside, 0.0).to(tl.float32) + offset
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    values = tl.load(x + begin + at, inside, 0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(values * values, 0) / columns + epsilon)
    found = values * scale * weights
    if SUM:
        found += tl.load(residual + begin + at, inside, 0.0).to(tl.float32)
    tl.store(out + begin + at, found, inside)


@triton.jit
def _row_rope(
    query, key, cosine, sine, query_out, key_out, query_heads,
    query_stride, key_stride, half, SIZE: tl.constexpr, EARLY: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    head = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < SIZE
    rotated = at < 2 * half
    partner = tl.where(at < half, at + half, tl.where(rotated, at - half, at))
    sign = tl.where(at < half, -1.0, 1.0)
    c = tl.load(cosine + at, rotated, 1.0).to(tl.float32)
    s = tl.load(sine + at, rotated, 0.0).to(tl.float32) * sign
    if head < query_heads:
        source = query + head * query_stride
        target = query_out + head * SIZE
    else:
        source = key + (head - query_heads) * key_stride
        target = key_out + (head - query_heads) * SIZE
    values = tl.load(source + at, inside, 0.0).to(tl.float32)
    others = tl.load(source + partner, inside, 0.0).to(tl.float32)
    tl.store(target + at, values * c + others * s, inside)


@triton.jit
def _row_append(key, value, keys, values, position, size, EARLY: tl.constexpr, BLOCK: tl.constexpr):
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    begin = tl.load(position).to(tl.int64) * size
    tl.store(keys + begin + at, tl.load(key + at, inside), inside)
    tl.store(values + begin + at, tl.load(value + at, inside), inside)


def try_out() -> None:
    """Raises, in one of many ways, where Triton cannot compile and launch here.

    Also finds out whether launches can begin early, which needs a GPU of compute capability 9.0.
    """
    global _early
    _early = torch.cuda.get_device_capability() >= EARLY_CAPABILITY
    try:
        _norm_of_ones()
    except Exception as error:
        if not _early or memory.is_used_up(error):
            raise
        _log.info("launches do not begin early: %s", error)
        _early = False
        _norm_of_ones()


def _norm_of_ones() -> None:
    x = torch.ones(1, 8, device="cuda", dtype=torch.float16)
    ones = Norm(x[0], 0.0, 0.0)
    if not bool((norm(norm(x, ones), ones) == x).all()):
        raise RuntimeError("a norm of ones is not ones")


def early() -> dict[str, Any]:
    """What every launch here is given: whether it begins while the kernel before it ends.

    It then loads its weights, which nothing before it changes, and waits before it touches the
    rest (programmatic dependent launch). All that wait have waited for all before them.
    """
    return {"EARLY": True, "launch_pdl": True} if _early else {"EARLY": False}


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    before: Norm | None = None,
    residual: Tensor | None = None,
) -> Tensor:
    """x [..., columns] with one row in all, weight [rows, columns]; returns [..., rows].

    `before` is a norm of x, `residual` [..., rows] is added to the result.
    """
    rows, columns = weight.shape
    out = x.new_empty((*x.shape[:-1], rows))
    by = blocks(LINEAR, rows, columns)
    norm_weight, epsilon, offset = _of(before, weight)
    _row_linear[(triton.cdiv(rows, by.rows),)](
        x, weight, weight if bias is None else bias, norm_weight,
        weight if residual is None else residual, out, rows, columns, epsilon, offset,
        HAS_BIAS=bias is not None, NORM=before is not None, SUM=residual is not None,
        ROWS=by.rows, BLOCK=by.columns, num_warps=by.warps, **early(),
    )  # fmt: skip
    return out


def gate_up(x: Tensor, weight: Tensor, activation: str, before: Norm | None = None) -> Tensor:
    """weight [2 x rows, columns], gates first: activation(gate) times up, [..., rows]."""
    rows, columns = weight.shape[0] // 2, weight.shape[1]
    out = x.new_empty((*x.shape[:-1], rows))
    by = blocks(GATE_UP, rows, columns)
    norm_weight, epsilon, offset = _of(before, weight)
    _row_gate_up[(triton.cdiv(rows, by.rows),)](
        x, weight, norm_weight, out, rows, columns, epsilon, offset,
        ACTIVATION=ACTIVATIONS[activation], NORM=before is not None, ROWS=by.rows, BLOCK=by.columns,
        num_warps=by.warps, **early(),
    )  # fmt: skip
    return out


def norm(x: Tensor, by: Norm, residual: Tensor | None = None) -> Tensor:
    """Root-mean-square norm of each row (Zhang and Sennrich, 2019), added to `residual`."""
    columns = by.weight.shape[0]
    out = torch.empty_like(x)
    block = triton.next_power_of_2(columns)
    warps = min(16, block // 256 or 1)
    _row_norm[(x.numel() // columns,)](
        x, by.weight, x if residual is None else residual, out, columns, by.epsilon, by.offset,
        SUM=residual is not None, BLOCK=block, num_warps=warps, **early(),
    )  # fmt: skip
    return out


def rope(query: Tensor, key: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
    """query and key [1, heads, 1, head size], cosine and sine [..., rotated size], of one token."""
    heads, size = query.shape[1], query.shape[3]
    query_out = query.new_empty(query.shape)
    key_out = key.new_empty(key.shape)
    _row_rope[(heads + key.shape[1],)](
        query, key, cosine, sine, query_out, key_out, heads,
        query.stride(1), key.stride(1), cosine.shape[-1] // 2,
        SIZE=size, BLOCK=triton.next_power_of_2(size), num_warps=1, **early(),
    )  # fmt: skip
    return query_out, key_out


def append(key: Tensor, value: Tensor, keys: Tensor, values: Tensor, position: Tensor) -> None:
    """key and value [1, 1, heads, head size] into keys and values [1, positions, heads, size]."""
    size = key.shape[2] * key.shape[3]
    block = min(1024, triton.next_power_of_2(size))
    _row_append[(triton.cdiv(size, block),)](
        key, value, keys, values, position, size, BLOCK=block, num_warps=4, **early()
    )


def _of(norm: Norm | None, instead: Tensor) -> tuple[Tensor, float, float]:
    return (instead, 0.0, 0.0) if norm is None else norm


def blocks(kind: str, rows: int, columns: int) -> Blocks:
    """As tuned on this machine, else what is seldom far from the best."""
    tuned = row_tuning.TABLE.get((kind, rows, columns))
    return tuned or Blocks(1, min(2048, max(256, triton.next_power_of_2(columns) // 2)), 4)
