"""The attention function that transformers calls in every layer, under the name `NAME`.

transformers hands key and value straight through (no cache object is passed in), and the step's
buffers as the keyword `kv_step`. One custom op appends and attends, so that a compiled forward has
no break at it; outside a compiled graph the kernel is called directly, which saves the dispatcher's
20 microseconds a layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.attention.kernels import KERNELS, LayerStep

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
    positions: Tensor

    def layer(self, index: int) -> LayerStep:
        return LayerStep(
            self.keys[index], self.values[index], self.start, self.lengths, self.positions
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
    kv_step: Step,
    scaling: float,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Takes [1, heads, tokens, head size] three times; returns [1, tokens, heads, head size]."""
    layer: int = module.layer_idx  # type: ignore[assignment]
    query, key, value = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    window, cap = sliding_window or 0, softcap or 0.0
    if torch.compiler.is_compiling():
        step = kv_step
        out: Tensor = torch.ops.hearth.attend(
            query, key, value, step.keys[layer], step.values[layer], step.lengths, step.positions,
            step.start, step.kernel, scaling, window, cap,
        )  # fmt: skip
        return out, None
    run = KERNELS[kv_step.kernel]
    return run(
        query, key, value, kv_step.layer(layer), scale=scaling, window=window, softcap=cap
    ), None


@torch.library.custom_op("hearth::attend", mutates_args=("keys", "values"))
def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    keys: Tensor,
    values: Tensor,
    lengths: Tensor,
    positions: Tensor,
    start: int,
    kernel: str,
    scale: float,
    window: int,
    softcap: float,
) -> Tensor:
    step = LayerStep(keys, values, start, lengths, positions)
    out = KERNELS[kernel](query, key, value, step, scale=scale, window=window, softcap=softcap)
    return out.contiguous()


@attend.register_fake
def _(query: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(query, memory_format=torch.contiguous_format)
