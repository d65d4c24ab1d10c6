"""The attention function that transformers calls in every layer, under the name `NAME`.

transformers hands key and value straight through (no cache object is passed in), and the step's
buffers as the keyword `kv_step`. One custom op appends and attends, so that a compiled forward has
no break at it; outside a compiled graph the kernel is called directly, which saves the dispatcher's
20 microseconds a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from engine.attention import latent, prologue
from engine.attention.kernels import KERNELS, LayerStep, Scoring, flash_decode
from engine.attention.prologue import Watch

NAME = "hearth"
"""Must not contain "flash": transformers would then look for a package of its own choosing."""


@dataclass(frozen=True)
class Step:
    """What one forward may see of the KV cache, and the kernel that it must use."""

    kernel: str
    keys: tuple[Tensor, ...]
    """A layer each: [1, positions, KV heads, head size]."""
    values: tuple[Tensor, ...]
    start: int
    lengths: Tensor
    after: Tensor | None
    positions: Tensor
    mask: Tensor | None = None
    """[positions of the views], for one token over latents; made once for all layers."""
    on_device: bool = False
    """Whether the host does not know `start`, which is 0 then."""

    def layer(self, index: int) -> LayerStep:
        return LayerStep(
            self.keys[index],
            self.values[index],
            self.start,
            self.lengths,
            self.after,
            self.positions,
            self.on_device,
        )


def register() -> None:
    """Makes `NAME` known to transformers, without a mask: the kernels know what may be seen."""
    from transformers.modeling_utils import AttentionInterface

    AttentionInterface.register(NAME, attention)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _mask: Tensor | None,
    *,
    kv_step: Step | Watch,
    scaling: float,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Takes [1, heads, tokens, head size] three times; returns [1, tokens, heads, head size].

    Where `latent.keep_latents` was at work, key and value stand for latents.
    """
    layer: int = module.layer_idx  # type: ignore[assignment]
    query, key, value = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    if isinstance(kv_step, Watch):
        return kv_step.attend(module, query, key), None
    if key.shape[-1] != value.shape[-1]:
        return latent_attention(module, query, key, kv_step, scaling), None
    window, cap = window_of(module, rest), softcap or 0.0
    if torch.compiler.is_compiling():
        step = kv_step
        out: Tensor = torch.ops.hearth.attend(
            query, key, value, step.keys[layer], step.values[layer], step.lengths, step.after,
            step.positions, step.start, step.kernel, scaling, window, cap, s_aux,
        )  # fmt: skip
    else:
        left = prologue.current()
        run = partial(flash_decode, left=left) if left else KERNELS[kv_step.kernel]
        scoring = Scoring(scaling, window, cap, s_aux)
        out = run(query, key, value, kv_step.layer(layer), scoring)
    return out, None


def latent_attention(
    module: Any, query: Tensor, latents: Tensor, step: Step, scale: float
) -> Tensor:
    layer: int = module.layer_idx
    up: Tensor = module.kv_b_proj.weight.view(query.shape[2], -1, module.kv_lora_rank)
    if torch.compiler.is_compiling():
        out: Tensor = torch.ops.hearth.attend_latent(
            query, latents, up, step.keys[layer], step.lengths, step.after, step.positions,
            step.start, step.kernel, scale, step.mask,
        )  # fmt: skip
        return out
    scoring = Scoring(scale)
    return latent.attend(query, latents, up, step.layer(layer), step.kernel, scoring, step.mask)


def window_of(module: nn.Module, given: Mapping[str, Any]) -> int:
    """Some models hand their window over, others (qwen2_moe) keep it and tell the mask alone."""
    kept = getattr(module, "sliding_window", None)
    return int(given.get("sliding_window", kept) or 0)


@torch.library.custom_op("hearth::attend", mutates_args=("keys", "values"))
def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    keys: Tensor,
    values: Tensor,
    lengths: Tensor,
    after: Tensor | None,
    positions: Tensor,
    start: int,
    kernel: str,
    scale: float,
    window: int,
    softcap: float,
    sinks: Tensor | None,
) -> Tensor:
    step = LayerStep(keys, values, start, lengths, after, positions)
    out = KERNELS[kernel](query, key, value, step, Scoring(scale, window, softcap, sinks))
    return out.contiguous()


@torch.library.custom_op("hearth::attend_latent", mutates_args=("keys",))
def attend_latent(
    query: Tensor,
    latents: Tensor,
    up: Tensor,
    keys: Tensor,
    lengths: Tensor,
    after: Tensor | None,
    positions: Tensor,
    start: int,
    kernel: str,
    scale: float,
    mask: Tensor | None,
) -> Tensor:
    step = LayerStep(keys, keys, start, lengths, after, positions)
    return latent.attend(query, latents, up, step, kernel, Scoring(scale), mask).contiguous()


@attend_latent.register_fake
def _(query: Tensor, latents: Tensor, up: Tensor, *_: Any) -> Tensor:
    value_size = up.shape[1] - query.shape[3] + latents.shape[3] - up.shape[2]
    return query.new_empty((*query.shape[:3], value_size))


@attend.register_fake
def _(query: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(query, memory_format=torch.contiguous_format)
