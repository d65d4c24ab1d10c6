"""Triton kernels for a draw: the most probable tokens of a vocabulary, and one of them.

Two launches instead of a dozen, whose time is mostly that of being launched. The first finds the
maximum of each stripe of FAN logits, of each stripe of FAN of those maxima, and so on (many
programs); the second goes down again from the few that are left. At each level it keeps the `count`
largest, whose stripes hold the `count` largest of the level below: `largest` of
`engine.execution.sampling` says why. One program would take longer to search all maxima of a single
level.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from engine.kernels import dependent_launch

MOST_CANDIDATES = 128
"""More are more than one program should sort, and take it 10 s and longer to be compiled."""
FAN = 8
FAN_OF_ONE = 1024
"""Of the search for the most probable alone, which compares much and sorts nothing."""
BLOCK = 1024
"""Logits of a program of the first launch: 126 programs for 128,256."""

_LEAST = tl.constexpr(-(2**31))
_LAST = tl.constexpr(2**31 - 1)
_NOTHING = tl.constexpr(-(2**63))


@triton.jit
def _flipped(bits):
    """Bits of float32 as int32 in the order of the floats, NaN above all; and back again."""
    return bits ^ ((bits >> 31) & _LAST)


@triton.jit
def _place(key):
    return (key & _LAST).to(tl.int32) ^ _LAST


@triton.jit
def _best_of(values, at, size, COUNT: tl.constexpr):
    """[COUNT] keys in falling order: int64 of the value and, so that the first of equals is the
    larger key, the place counted from the end."""
    inside = at < size
    numbers = tl.load(values + at, inside, 0.0).to(tl.float32)
    order = _flipped(numbers.to(tl.int32, bitcast=True))
    keys = tl.where(inside, (order.to(tl.int64) << 32) | (at ^ _LAST), _NOTHING)
    if COUNT == 1:
        return tl.max(keys, 0, keep_dims=True)
    else:  # noqa: RET505 - what follows a return is compiled too
        return tl.topk(keys, COUNT)


@triton.jit
def _search(
    logits, maxima, sizes, begins, COUNT: tl.constexpr, FAN: tl.constexpr, LEVELS: tl.constexpr
):
    """Keys as of `_best_of`, with tokens for places.

    Every level that has a next one is longer than COUNT x FAN, so that the next one is longer than
    COUNT: there is a stripe for each key.
    """
    at = tl.arange(0, COUNT * FAN)
    for up in tl.static_range(LEVELS):
        best = _best_of(maxima + begins[LEVELS - up], at, sizes[LEVELS - up], COUNT)
        at = _place(best)[:, None] * FAN + tl.arange(0, FAN)[None, :]
        at = tl.reshape(at, (COUNT * FAN,))
    return _best_of(logits, at, sizes[0], COUNT)


@triton.jit
def _maxima(
    logits, maxima, sizes, begins, FAN: tl.constexpr, LEVELS: tl.constexpr, EARLY: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < sizes[0]
    numbers = tl.load(logits + at, inside, 0.0).to(tl.float32)
    order = tl.where(inside, _flipped(numbers.to(tl.int32, bitcast=True)), _LEAST)
    for level in tl.static_range(1, LEVELS + 1):
        order = tl.max(tl.reshape(order, (BLOCK // FAN**level, FAN)), 1)
        stripe = tl.program_id(0) * (BLOCK // FAN**level) + tl.arange(0, BLOCK // FAN**level)
        values = _flipped(order).to(tl.float32, bitcast=True)
        tl.store(maxima + begins[level] + stripe, values, stripe < sizes[level])


@triton.jit
def _most_probable(
    logits, maxima, token, sizes, begins, FAN: tl.constexpr, LEVELS: tl.constexpr,
    EARLY: tl.constexpr,
):  # fmt: skip
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    best = _search(logits, maxima, sizes, begins, 1, FAN, LEVELS)
    tl.store(token + tl.arange(0, 1), _place(best).to(tl.int64))


@triton.jit
def _draw(
    logits, maxima, noise, parameters, token, sizes, begins, COUNT: tl.constexpr,
    FAN: tl.constexpr, LEVELS: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    best = _search(logits, maxima, sizes, begins, COUNT, FAN, LEVELS)
    ordered = _flipped((best >> 32).to(tl.int32)).to(tl.float32, bitcast=True)
    temperature, top_k = tl.load(parameters), tl.load(parameters + 1)
    mass, share = tl.load(parameters + 2), tl.load(parameters + 3)
    rank = tl.arange(0, COUNT)
    # The most probable stands at 0, so that no temperature is too small.
    scaled = tl.where(rank < top_k, (ordered - tl.max(ordered, 0)) / temperature, float("-inf"))
    weights = tl.exp(scaled)
    kept = weights / tl.sum(weights, 0)
    kept = tl.where(tl.cumsum(kept, 0) - kept >= mass, 0.0, kept)
    kept = tl.where(kept < share * tl.max(kept, 0), 0.0, kept)
    winner = tl.argmax(kept / tl.load(noise + rank), 0)
    drawn = tl.sum(tl.where(rank == winner, _place(best), 0), 0)
    tl.store(token, drawn.to(tl.int64))


class Levels(NamedTuple):
    """Sizes of the levels, the vocabulary first, and where their maxima begin in one buffer."""

    sizes: tuple[int, ...]
    begins: tuple[int, ...]

    @property
    def above(self) -> int:
        return len(self.sizes) - 1


def levels_of(vocabulary: int, count: int, fan: int) -> Levels:
    sizes, begins = [vocabulary], [0]
    while sizes[-1] > count * fan:
        begins.append(sum(sizes[1:]))
        sizes.append(triton.cdiv(sizes[-1], fan))
    return Levels(tuple(sizes), tuple(begins))


def sorts(count: int) -> bool:
    """Whether one program can; a count that the whole vocabulary decides is no power of two."""
    return count <= MOST_CANDIDATES and count.bit_count() == 1


def try_out(vocabulary: int, device: torch.device, dtype: torch.dtype) -> None:
    """Raises, in one of many ways, where Triton cannot compile and launch here.

    Compiles what the usual settings need for this vocabulary, for which the first reply would wait:
    penalised logits are float32.
    """
    count = 64
    certain = torch.tensor([1.0, 1.0, 2.0, 0.0], device=device)
    token = torch.zeros(1, dtype=torch.long, device=device)
    for kind in {dtype, torch.float32}:
        logits = torch.zeros(vocabulary, dtype=kind, device=device)
        logits[-1] = 1
        most_probable(logits, token)
        found = [int(token)]
        if count < vocabulary:
            drawn(logits, certain, torch.ones(count, device=device), token)
            found.append(int(token))
        if set(found) != {vocabulary - 1}:
            raise RuntimeError("the most probable token is not the last")


def most_probable(logits: Tensor, token: Tensor) -> None:
    """Into `token` [1] that of the largest logit [vocabulary], the first of those alike."""
    logits = logits.contiguous()
    levels = levels_of(len(logits), 1, FAN_OF_ONE)
    maxima = maxima_of(logits, levels, FAN_OF_ONE)
    _most_probable[(1,)](
        logits, maxima, token, *levels, FAN=FAN_OF_ONE, LEVELS=levels.above, num_warps=4,
        **dependent_launch.options(),
    )  # fmt: skip


def drawn(logits: Tensor, parameters: Tensor, noise: Tensor, token: Tensor) -> None:
    """`drawn` of `engine.execution.sampling`, into `token`, for as many candidates as `sorts`."""
    logits, count = logits.contiguous(), len(noise)
    levels = levels_of(len(logits), count, FAN)
    maxima = maxima_of(logits, levels, FAN)
    _draw[(1,)](
        logits, maxima, noise, parameters, token, *levels,
        COUNT=count, FAN=FAN, LEVELS=levels.above, num_warps=8, **dependent_launch.options(),
    )  # fmt: skip


def maxima_of(logits: Tensor, levels: Levels, fan: int) -> Tensor:
    """Those of all levels above the logits, one level after another."""
    block = max(BLOCK, fan**levels.above)
    maxima = logits.new_empty(sum(levels.sizes[1:]), dtype=torch.float32)
    if levels.above:
        _maxima[(triton.cdiv(len(logits), block),)](
            logits, maxima, *levels, FAN=fan, LEVELS=levels.above, BLOCK=block, num_warps=4,
            **dependent_launch.options(),
        )  # fmt: skip
    return maxima
