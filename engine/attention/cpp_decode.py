"""Attention of one token on the CPU by Hearth's own C++ (engine/kernels/cpu.cpp).

Query and key are normed and rotated and the new ones appended on the way. Positions are dealt out
in splits of 256, each with a maximum and a sum of its own, and put together at the end (Dao and
others, Flash-Decoding, 2023); the query heads of a KV head share each read of it.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor

from engine.attention.layer_step import LayerStep, Scoring
from engine.kernels import cpu
from engine.kernels.prologue import Prologue

NOTHING_LEFT: Final = Prologue()


def cpp_decode(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    step: LayerStep,
    scoring: Scoring,
    left: Prologue | None = None,
) -> Tensor:
    """As engine.attention.kernels says, for one token whose heads lie one behind another."""
    query, key, value = (x.contiguous() for x in (query, key, value))
    out = query.new_empty((*query.shape[:3], value.shape[3]))
    call = _call(query, key, value, step, scoring, left or NOTHING_LEFT, out)
    cpu.attend(call)
    return out


def _call(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    step: LayerStep,
    scoring: Scoring,
    left: Prologue,
    out: Tensor,
) -> cpu.Attention:
    of_query, of_key = left.norms or (None, None)
    held = key.untyped_storage().data_ptr() == step.keys.untyped_storage().data_ptr()
    return cpu.Attention(
        query.data_ptr(),
        None if held else key.data_ptr(),  # a layer that reads what another one has put there
        None if held else value.data_ptr(),
        step.keys.data_ptr(),
        step.values.data_ptr(),
        None if of_query is None else of_query.weight.data_ptr(),
        None if of_key is None else of_key.weight.data_ptr(),
        cpu.address(left.cosine),
        cpu.address(left.sine),
        cpu.address(scoring.sinks),
        out.data_ptr(),
        step.start,
        cpu.ELEMENTS[query.dtype],
        query.shape[2],
        key.shape[2],
        query.shape[3],
        value.shape[3],
        0 if left.cosine is None else left.cosine.shape[-1] // 2,
        scoring.window,
        0,
        scoring.scale,
        scoring.softcap,
        0.0 if of_query is None else of_query.epsilon,
        0.0 if of_query is None else of_query.offset,
    )
