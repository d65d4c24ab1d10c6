"""The attention kernels behind one signature: append this step's keys and values, then attend.

Every kernel takes query [1, tokens, heads, head size], key and value [1, tokens, KV heads, head
size], a `LayerStep` and a `Scoring`, writes key and value into the layer's buffers and returns
[1, tokens, heads, head size]. Query token i stands at position start + i and sees positions up to
its own, the last `window` of them where a window is set. `flash_decode` and `cpp_decode` also take
what was left to them to do to query and key (`engine.kernels.prologue`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from engine.attention.layer_step import LayerStep, Scoring
from engine.kernels.available import own_kernels
from engine.kernels.prologue import Prologue

EFFICIENT_OR_MATH = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def append(step: LayerStep, key: Tensor, value: Tensor) -> None:
    if key.is_cuda and (gemv := own_kernels()) is not None:
        gemv.append(key, value, step.keys, step.values, step.positions)
        return
    put(step.keys, key, step)
    put(step.values, value, step)


def put(buffer: Tensor, new: Tensor, step: LayerStep) -> None:
    if new.is_cuda:
        buffer.index_copy_(1, step.positions, new)
    else:
        buffer.narrow(1, step.start, new.shape[1]).copy_(new)


def flash_attn(
    query: Tensor, key: Tensor, value: Tensor, step: LayerStep, scoring: Scoring
) -> Tensor:
    """The flash-attn package's kernels (Dao, FlashAttention-2, 2023).

    One token, and what is captured, takes the kernel that appends by itself and reads the length on
    the device. It splits the work for few queries: a long prompt takes up to twice the time of the
    plain one, which knows where it begins.
    """
    from flash_attn import flash_attn_func, flash_attn_with_kvcache

    window = (scoring.window - 1, 0) if scoring.window else (-1, -1)
    out: Tensor
    if query.shape[1] > 1 and not step.on_device:
        append(step, key, value)
        out, logsumexp, _ = flash_attn_func(
            query,
            *step.held_behind(query.shape[1]),
            softmax_scale=scoring.scale,
            causal=True,
            window_size=window,
            softcap=scoring.softcap,
            return_attn_probs=True,
        )
    else:
        out, logsumexp = flash_attn_with_kvcache(
            query,
            step.keys,
            step.values,
            k=key,
            v=value,
            cache_seqlens=step.lengths,
            softmax_scale=scoring.scale,
            causal=True,
            window_size=window,
            softcap=scoring.softcap,
            return_softmax_lse=True,
        )
    return out if scoring.sinks is None else sunk(out, logsumexp[0], scoring.sinks)


def sunk(out: Tensor, logsumexp: Tensor, sinks: Tensor) -> Tensor:
    """The output with the sinks' share taken away: softmax over n + 1 scores from that over n.

    `logsumexp` is [heads, tokens] in float32, of the scores without the sinks.
    """
    share = torch.sigmoid(logsumexp - sinks[:, None].float())
    return out * share.t()[None, :, :, None].to(out.dtype)


def torch_flash(
    query: Tensor, key: Tensor, value: Tensor, step: LayerStep, scoring: Scoring
) -> Tensor:
    """torch's own FlashAttention-2 kernels.

    One token, and what is captured, takes the variable-length form, which reads the used length on
    the device (and is torch.nn.attention.varlen's, which takes one from 2.13 on only). It never
    splits the work: few tokens behind many others take up to six times as long by it as by the
    plain form.

    They have no softcap: the rules keep models with one away.
    """
    append(step, key, value)
    forward = torch.ops.aten._flash_attention_forward  # noqa: SLF001
    tokens, window = query.shape[1], scoring.window
    left, right = (window - 1, 0) if window else (None, None)
    options = {"scale": scoring.scale, "window_size_left": left, "window_size_right": right}
    out: Tensor
    if tokens > 1 and not step.on_device:
        keys, values = step.held_behind(tokens)
        held = keys.shape[1]
        out, logsumexp, *_ = forward(
            query, keys, values, None, None, tokens, held, 0.0, True, False, **options
        )
        logsumexp = logsumexp[0]
    else:
        if step.after is None:
            raise ValueError("torch_flash must know how much is held behind the step")
        span, device = step.keys.shape[1], query.device
        ends = bounds(tokens, device), bounds(span, device)
        out, logsumexp, *_ = forward(
            query[0], step.keys[0], step.values[0], *ends, tokens, span, 0.0, True, False,
            seqused_k=step.after, **options,
        )  # fmt: skip
        out = out.unsqueeze(0)
    return out if scoring.sinks is None else sunk(out, logsumexp, scoring.sinks)


@cache
def bounds(end: int, device: torch.device) -> Tensor:
    """int32 [2]: where the only sequence of a batch begins and ends.

    Kept, as every layer of every step would copy the same two numbers to the GPU; and kept for
    good, as captured steps read them by their address.
    """
    return torch.tensor([0, end], dtype=torch.int32, device=device)


def flash_decode(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    step: LayerStep,
    scoring: Scoring,
    left: Prologue | None = None,
) -> Tensor:
    """Hearth's own flash-decoding kernel, for one token; needs Triton.

    `left` is what it does to query and key first.
    """
    from engine.attention import flash_decode as own

    return own.flash_decode(query, key, value, step, scoring, left)


def cpp_decode(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    step: LayerStep,
    scoring: Scoring,
    left: Prologue | None = None,
) -> Tensor:
    """Hearth's own C++ for one token on the CPU; `left` is what it does to query and key first."""
    from engine.attention import cpp_decode as own

    return own.cpp_decode(query, key, value, step, scoring, left)


def sdpa(query: Tensor, key: Tensor, value: Tensor, step: LayerStep, scoring: Scoring) -> Tensor:
    """torch's scaled_dot_product_attention, on CUDA without its flash backend.

    It has neither softcap nor sinks: the rules keep models with one away.
    """
    append(step, key, value)
    first, last = visible(step.start, query.shape[1], scoring.window)
    keys = step.keys[:, first:last].transpose(1, 2)
    values = step.values[:, first:last].transpose(1, 2)
    if query.shape[1] == 1:
        return one_query(query, keys, values, scoring.scale)
    mask, causal = mask_for(step, query, first, last, scoring.window)
    groups = query.shape[2] // key.shape[2]
    with sdpa_kernel(EFFICIENT_OR_MATH) if query.is_cuda else nullcontext():
        out = functional.scaled_dot_product_attention(
            query.transpose(1, 2),
            keys.repeat_interleave(groups, 1),
            values.repeat_interleave(groups, 1),
            mask,
            is_causal=causal,
            scale=scoring.scale,
        )
    return out.transpose(1, 2)


def one_query(query: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """One token sees all positions, so the query heads of a KV head stand as so many queries.

    Each key is then read once and not once a query head: at 200 positions 27 us against 114 us
    with `enable_gqa` on two cores (9 heads, 3 KV heads, head size 64, bfloat16).
    """
    grouped = query.reshape(1, keys.shape[1], -1, query.shape[3])
    with sdpa_kernel(EFFICIENT_OR_MATH) if query.is_cuda else nullcontext():
        out = functional.scaled_dot_product_attention(grouped, keys, values, scale=scale)
    return out.reshape(query.shape)


def math(query: Tensor, key: Tensor, value: Tensor, step: LayerStep, scoring: Scoring) -> Tensor:
    """Attention as written down, in float32: the reference, and the kernel of last resort."""
    append(step, key, value)
    tokens = query.shape[1]
    first, last = visible(step.start, tokens, scoring.window)
    groups = query.shape[2] // key.shape[2]
    keys = step.keys[0, first:last].float().repeat_interleave(groups, 1)
    values = step.values[0, first:last].float().repeat_interleave(groups, 1)
    scores = torch.einsum("qhd,khd->hqk", query[0].float(), keys) * scoring.scale
    if scoring.softcap:
        scores = torch.tanh(scores / scoring.softcap) * scoring.softcap
    allowed = causal_mask(step, tokens, first, last, scoring.window, query.device)
    scores = scores.masked_fill(~allowed, -torch.inf)
    if scoring.sinks is not None:
        sinks = scoring.sinks.float()[:, None, None].expand(-1, tokens, 1)
        scores = torch.cat([scores, sinks], -1)
    weights = scores.softmax(-1)[..., : last - first]
    return torch.einsum("hqk,khd->qhd", weights, values).to(query.dtype).unsqueeze(0)


def visible(start: int, tokens: int, window: int) -> tuple[int, int]:
    """First and past-the-last position that any of the step's tokens can see."""
    return (max(0, start - window + 1) if window else 0), start + tokens


def mask_for(
    step: LayerStep, query: Tensor, first: int, last: int, window: int
) -> tuple[Tensor | None, bool]:
    """The mask that SDPA needs beside the cut to `first:last`, and whether plain causal does."""
    tokens = query.shape[1]
    if last - first == tokens and (not window or tokens <= window):
        return None, True
    return causal_mask(step, tokens, first, last, window, query.device), False


def causal_mask(
    step: LayerStep, tokens: int, first: int, last: int, window: int, device: torch.device
) -> Tensor:
    """bool [tokens, last - first], true where a query may look."""
    row = torch.arange(step.start, step.start + tokens, device=device)[:, None]
    column = torch.arange(first, last, device=device)[None, :]
    allowed = column <= row
    return allowed & (column > row - window) if window else allowed


def _keys_and_values_alone(*_: object) -> Tensor:
    raise ValueError("latents are attended to by engine.attention.latent")


@dataclass(frozen=True)
class Kernel:
    """A way to compute attention, and what may be asked of it."""

    run: Callable[..., Tensor]
    """As the module's docstring says."""
    several_on_device: bool = False
    """Takes several tokens of which only the device knows where they go: captured prompts."""
    captured: bool = False
    """Reads on the device how much the cache holds: steps of one token can be captured."""
    reads_end: bool = False
    """Reads `LayerStep.after`, for one token and for several on the device."""
    any_span: bool = False
    """Takes as long for a view of the whole cache as for one that ends behind what it holds."""
    prepares: bool = False
    """Takes a `Prologue`: norms and rotates query and key of one token itself."""
    of_latents: bool = False
    """Attends to latents (`engine.attention.latent`), for one token."""
    masked: bool = False
    """Multiplies what lies behind the held positions too, by a mask."""
    last_resort: bool = False
    """The reference: if it does not run, nothing does."""

    def __call__(self, *given: Any) -> Tensor:
        return self.run(*given)


KERNELS: dict[str, Kernel] = {
    "flash_attn": Kernel(flash_attn, several_on_device=True, captured=True),
    "torch_flash": Kernel(torch_flash, several_on_device=True, captured=True, reads_end=True),
    "flash_decode": Kernel(flash_decode, captured=True, any_span=True, prepares=True),
    "cpp_decode": Kernel(cpp_decode, prepares=True),
    "sdpa": Kernel(sdpa),
    "math": Kernel(math, last_resort=True),
    "latents": Kernel(_keys_and_values_alone, captured=True, of_latents=True, masked=True),
    "latents_cut": Kernel(_keys_and_values_alone, of_latents=True),
}
