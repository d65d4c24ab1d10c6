"""Triton kernels for what happens to each token by itself: norms, rotation, activation, appending.

For any number of tokens. Written with torch's operators each of these is three to ten launches,
which for one token cost more than what they compute, and for many read and write everything as
often. Here all is in float32 between one read and one write.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from engine.kernels import dependent_launch
from engine.kernels.activations import ACTIVATIONS
from engine.kernels.prologue import Norm
from engine.kernels.rows import lined_up

FEW = 256
"""Rows of a norm to which a program each is given, as all of them run at once."""
TOGETHER = 1024
"""Numbers of a program, about, where there are more, and of the other kernels."""


@triton.jit
def activated(gate, ACTIVATION: tl.constexpr):
    if ACTIVATION == 0:
        active = gate / (1.0 + tl.exp(-gate))
    elif ACTIVATION == 1:
        inner = 0.7978845608028654 * (gate + 0.044715 * gate * gate * gate)
        # tanh by the exponential, which every version of Triton has.
        active = gate * (1.0 - 1.0 / (1.0 + tl.exp(2.0 * inner)))
    else:
        active = 0.5 * gate * (1.0 + tl.erf(gate * 0.7071067811865476))
    return active


# The numbers of rows change from prompt to prompt, and no prompt is to wait for a compiler.
@triton.jit(do_not_specialize=["rows", "inner"])
def _norm(
    x, weight, residual, out, rows, inner, outer_stride, inner_stride, columns, epsilon, offset,
    SUM: tl.constexpr, EARLY: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    at = tl.arange(0, BLOCK)
    inside = (row < rows)[:, None] & (at < columns)[None, :]
    weights = tl.load(weight + at, at < columns, 0.0).to(tl.float32) + offset
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    begin = (row // inner) * outer_stride + (row % inner) * inner_stride
    values = tl.load(x + begin[:, None] + at[None, :], inside, 0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(values * values, 1) / columns + epsilon)
    found = values * scale[:, None] * weights[None, :]
    place = row[:, None] * columns + at[None, :]
    if SUM:
        found += tl.load(residual + place, inside, 0.0).to(tl.float32)
    tl.store(out + place, found, inside)


@triton.jit
def _rope(
    query, key, cosine, sine, query_out, key_out, query_heads, key_heads, query_blocks,
    query_head_stride, query_token_stride, key_head_stride, key_token_stride, angle_stride, half,
    SIZE: tl.constexpr, EARLY: tl.constexpr, HEADS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    token = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    rotated = at < 2 * half
    partner = tl.where(at < half, at + half, tl.where(rotated, at - half, at))
    sign = tl.where(at < half, -1.0, 1.0)
    c = tl.load(cosine + token * angle_stride + at, rotated, 1.0).to(tl.float32)
    s = tl.load(sine + token * angle_stride + at, rotated, 0.0).to(tl.float32) * sign
    block = tl.program_id(1)
    if block < query_blocks:
        head = block * HEADS + tl.arange(0, HEADS)
        heads = query_heads
        source = query + token * query_token_stride + head[:, None] * query_head_stride
        target = query_out + (token * heads + head[:, None]) * SIZE
    else:
        head = (block - query_blocks) * HEADS + tl.arange(0, HEADS)
        heads = key_heads
        source = key + token * key_token_stride + head[:, None] * key_head_stride
        target = key_out + (token * heads + head[:, None]) * SIZE
    inside = (head < heads)[:, None] & (at < SIZE)[None, :]
    values = tl.load(source + at[None, :], inside, 0.0).to(tl.float32)
    others = tl.load(source + partner[None, :], inside, 0.0).to(tl.float32)
    tl.store(target + at[None, :], values * c[None, :] + others * s[None, :], inside)


@triton.jit
def _gated(
    both, out, size, ACTIVATION: tl.constexpr, EARLY: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    gate = tl.load(both + row * 2 * size + at, inside, 0.0).to(tl.float32)
    up = tl.load(both + (row * 2 + 1) * size + at, inside, 0.0).to(tl.float32)
    tl.store(out + row * size + at, activated(gate, ACTIVATION) * up, inside)


@triton.jit
def _append(
    key, value, keys, values, positions, key_stride, value_stride, size, EARLY: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    token = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    begin = tl.load(positions + token).to(tl.int64) * size
    tl.store(keys + begin + at, tl.load(key + token * key_stride + at, inside), inside)
    tl.store(values + begin + at, tl.load(value + token * value_stride + at, inside), inside)


def norm(x: Tensor, by: Norm, residual: Tensor | None = None) -> Tensor:
    """Root-mean-square norm of each row of x [..., columns] (Zhang and Sennrich, 2019).

    Added to `residual` [..., columns] where there is one.
    """
    columns = by.weight.shape[0]
    out = x.new_empty(x.shape)
    rows = x.numel() // columns
    x, inner, outer_stride, inner_stride = lined_up(x)
    block = triton.next_power_of_2(columns)
    together = 1 if rows <= FEW else max(1, TOGETHER // block)
    warps = min(16, block * together // 256 or 1)
    _norm[(triton.cdiv(rows, together),)](
        x, by.weight, x if residual is None else residual.contiguous(), out, rows, inner,
        outer_stride, inner_stride, columns, by.epsilon, by.offset, SUM=residual is not None,
        ROWS=together, BLOCK=block, num_warps=warps, **dependent_launch.options(),
    )  # fmt: skip
    return out


def rope(query: Tensor, key: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
    """Rotates the first dimensions of each head in two halves (Su and others, RoFormer, 2021).

    query and key [1, heads, tokens, head size], cosine and sine [1, tokens, rotated size]. What is
    returned lies as [1, tokens, heads, head size], as attention takes it.
    """
    heads, tokens, size = query.shape[1:]
    key_heads = key.shape[1]
    query_out = query.new_empty(1, tokens, heads, size)
    key_out = key.new_empty(1, tokens, key_heads, size)
    block = triton.next_power_of_2(size)
    together = 1 if tokens == 1 else max(1, TOGETHER // block)
    blocks = triton.cdiv(heads, together)
    _rope[(tokens, blocks + triton.cdiv(key_heads, together))](
        query, key, cosine, sine, query_out, key_out, heads, key_heads, blocks,
        query.stride(1), query.stride(2), key.stride(1), key.stride(2), cosine.stride(1),
        cosine.shape[-1] // 2, SIZE=size, HEADS=together, BLOCK=block,
        num_warps=1 if tokens == 1 else 4, **dependent_launch.options(),
    )  # fmt: skip
    return query_out.transpose(1, 2), key_out.transpose(1, 2)


def gated(both: Tensor, activation: str) -> Tensor:
    """both [..., 2 x size], gates first: activation(gate) times up, [..., size]."""
    size = both.shape[-1] // 2
    out = both.new_empty((*both.shape[:-1], size))
    block = min(TOGETHER, triton.next_power_of_2(size))
    _gated[(both.numel() // (2 * size), triton.cdiv(size, block))](
        both.contiguous(), out, size, ACTIVATION=ACTIVATIONS[activation], BLOCK=block,
        num_warps=4, **dependent_launch.options(),
    )  # fmt: skip
    return out


def append(key: Tensor, value: Tensor, keys: Tensor, values: Tensor, positions: Tensor) -> None:
    """key and value [1, tokens, heads, head size] into keys and values [1, positions, heads, size].

    Token i goes to positions[i].
    """
    tokens, heads, each = key.shape[1:]
    key, value = (
        x if x.stride(3) == 1 and x.stride(2) == each else x.contiguous() for x in (key, value)
    )
    size = heads * each
    block = min(TOGETHER, triton.next_power_of_2(size))
    _append[(tokens, triton.cdiv(size, block))](
        key, value, keys, values, positions, key.stride(1), value.stride(1), size, BLOCK=block,
        num_warps=4, **dependent_launch.options(),
    )  # fmt: skip


def try_out() -> None:
    """Raises, in one of many ways, where Triton cannot compile and launch here."""
    dependent_launch.find_out(_norm_of_ones)


def _norm_of_ones() -> None:
    x = torch.ones(1, 8, device="cuda", dtype=torch.float16)
    torch.cuda.synchronize()  # a launch that begins early reads its weight before that is written
    ones = Norm(x[0], 0.0, 0.0)
    if not bool((norm(norm(x, ones), ones) == x).all()):
        raise RuntimeError("a norm of ones is not ones")
