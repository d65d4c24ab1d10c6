"""Triton kernels for one token: what a decode step consists of, in few launches.

At one row a product reads each weight once and computes next to nothing, so that one program a row
of the weight, with wide loads and sums in float32, reaches the memory's rate. The other kernels are
here because a launch costs as much as they do. Sums and rotations are in float32 throughout.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from engine import row_tuning
from engine.row_tuning import GATE_UP, LINEAR, Blocks

ACTIVATIONS = {"silu": 0, "gelu_tanh": 1, "gelu": 2}


@triton.jit
def _row_linear(x, weight, bias, out, columns, HAS_BIAS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    total = tl.zeros((BLOCK,), tl.float32)
    for begin in range(0, columns, BLOCK):
        at = begin + tl.arange(0, BLOCK)
        inside = at < columns
        values = tl.load(x + at, inside, 0.0).to(tl.float32)
        weights = tl.load(weight + row * columns + at, inside, 0.0, eviction_policy="evict_first")
        total += values * weights.to(tl.float32)
    found = tl.sum(total, 0)
    if HAS_BIAS:
        found += tl.load(bias + row).to(tl.float32)
    tl.store(out + row, found)


@triton.jit
def _row_gate_up(x, weight, out, rows, columns, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    gate_sum = tl.zeros((BLOCK,), tl.float32)
    up_sum = tl.zeros((BLOCK,), tl.float32)
    for begin in range(0, columns, BLOCK):
        at = begin + tl.arange(0, BLOCK)
        inside = at < columns
        values = tl.load(x + at, inside, 0.0).to(tl.float32)
        gates = tl.load(weight + row * columns + at, inside, 0.0, eviction_policy="evict_first")
        ups = tl.load(
            weight + (rows + row) * columns + at, inside, 0.0, eviction_policy="evict_first"
        )
        gate_sum += values * gates.to(tl.float32)
        up_sum += values * ups.to(tl.float32)
    gate = tl.sum(gate_sum, 0)
    up = tl.sum(up_sum, 0)
    if ACTIVATION == 0:
        active = gate / (1.0 + tl.exp(-gate))
    elif ACTIVATION == 1:
        inner = 0.7978845608028654 * (gate + 0.044715 * gate * gate * gate)
        # tanh by the exponential, which every version of Triton has.
        active = gate * (1.0 - 1.0 / (1.0 + tl.exp(2.0 * inner)))
    else:
        active = 0.5 * gate * (1.0 + tl.erf(gate * 0.7071067811865476))
    tl.store(out + row, active * up)


@triton.jit
def _row_norm(x, weight, out, columns, epsilon, offset, BLOCK: tl.constexpr):
    begin = tl.program_id(0) * columns
    at = tl.arange(0, BLOCK)
    inside = at < columns
    values = tl.load(x + begin + at, inside, 0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(values * values, 0) / columns + epsilon)
    weights = tl.load(weight + at, inside, 0.0).to(tl.float32) + offset
    tl.store(out + begin + at, values * scale * weights, inside)


@triton.jit
def _row_rope(
    query, key, cosine, sine, query_out, key_out, query_heads,
    query_stride, key_stride, half, SIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
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
def _row_append(key, value, keys, values, position, size, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    begin = tl.load(position).to(tl.int64) * size
    tl.store(keys + begin + at, tl.load(key + at, inside), inside)
    tl.store(values + begin + at, tl.load(value + at, inside), inside)


def try_out() -> None:
    """Raises, in one of many ways, where Triton cannot compile and launch here."""
    x = torch.ones(1, 8, device="cuda", dtype=torch.float16)
    if not bool((norm(x, x[0], 0.0, 0.0) == x).all()):
        raise RuntimeError("a norm of ones is not ones")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x [..., columns] with one row in all, weight [rows, columns]; returns [..., rows]."""
    rows, columns = weight.shape
    out = x.new_empty((*x.shape[:-1], rows))
    block, warps = blocks(LINEAR, rows, columns)
    _row_linear[(rows,)](
        x, weight, weight if bias is None else bias, out, columns,
        HAS_BIAS=bias is not None, BLOCK=block, num_warps=warps,
    )  # fmt: skip
    return out


def gate_up(x: Tensor, weight: Tensor, activation: str) -> Tensor:
    """weight [2 x rows, columns], gates first: activation(gate) times up, [..., rows]."""
    rows, columns = weight.shape[0] // 2, weight.shape[1]
    out = x.new_empty((*x.shape[:-1], rows))
    block, warps = blocks(GATE_UP, rows, columns)
    _row_gate_up[(rows,)](
        x, weight, out, rows, columns,
        ACTIVATION=ACTIVATIONS[activation], BLOCK=block, num_warps=warps,
    )  # fmt: skip
    return out


def norm(x: Tensor, weight: Tensor, epsilon: float, offset: float) -> Tensor:
    """Root-mean-square norm of each row, times weight + offset (Zhang and Sennrich, 2019)."""
    columns = weight.shape[0]
    out = torch.empty_like(x)
    block = triton.next_power_of_2(columns)
    warps = min(16, block // 256 or 1)
    _row_norm[(x.numel() // columns,)](
        x, weight, out, columns, epsilon, offset, BLOCK=block, num_warps=warps
    )
    return out


def rope(query: Tensor, key: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
    """query and key [1, heads, 1, head size], cosine and sine [..., rotated size], of one token."""
    heads, size = query.shape[1], query.shape[3]
    query_out = query.new_empty(query.shape)
    key_out = key.new_empty(key.shape)
    _row_rope[(heads + key.shape[1],)](
        query, key, cosine, sine, query_out, key_out, heads,
        query.stride(1), key.stride(1), cosine.shape[-1] // 2,
        SIZE=size, BLOCK=triton.next_power_of_2(size), num_warps=1,
    )  # fmt: skip
    return query_out, key_out


def append(key: Tensor, value: Tensor, keys: Tensor, values: Tensor, position: Tensor) -> None:
    """key and value [1, 1, heads, head size] into keys and values [1, positions, heads, size]."""
    size = key.shape[2] * key.shape[3]
    block = min(1024, triton.next_power_of_2(size))
    _row_append[(triton.cdiv(size, block),)](
        key, value, keys, values, position, size, BLOCK=block, num_warps=4
    )


def blocks(kind: str, rows: int, columns: int) -> Blocks:
    """As tuned on this machine, else what is seldom far from the best."""
    tuned = row_tuning.TABLE.get((kind, rows, columns))
    return tuned or Blocks(min(2048, max(256, triton.next_power_of_2(columns) // 2)), 4)
