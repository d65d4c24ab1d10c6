"""Triton kernels for the products of one token, with what stands before and after them.

At one row a product reads each weight once and computes next to nothing, so that one program for
each row of the weight, or for a few, with wide loads and sums in float32, reaches the memory's
rate. Kernels that treat each token by itself are in `engine.kernels.elementwise`, and named here
too, so that one module has all that a decoder computes with.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from engine.kernels import autotune, dependent_launch
from engine.kernels.activations import ACTIVATIONS
from engine.kernels.autotune import GATE_UP, LINEAR, Blocks
from engine.kernels.elementwise import activated, append, gated, norm, rope, try_out
from engine.kernels.experts import route, weighted_sum
from engine.kernels.prologue import Norm

__all__ = [
    "append",
    "gate_up",
    "gated",
    "linear",
    "norm",
    "rope",
    "route",
    "try_out",
    "weighted_sum",
]


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
    tl.store(out + row, activated(gate, ACTIVATION) * up, real)


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
        ROWS=by.rows, BLOCK=by.columns, num_warps=by.warps, **dependent_launch.options(),
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
        num_warps=by.warps, **dependent_launch.options(),
    )  # fmt: skip
    return out


def _of(norm: Norm | None, instead: Tensor) -> tuple[Tensor, float, float]:
    return (instead, 0.0, 0.0) if norm is None else (norm.weight, norm.epsilon, norm.offset)


def blocks(kind: str, rows: int, columns: int) -> Blocks:
    """As tuned on this machine, else what is seldom far from the best."""
    tuned = autotune.TABLE.get((kind, rows, columns))
    return tuned or Blocks(1, min(2048, max(256, triton.next_power_of_2(columns) // 2)), 4)
