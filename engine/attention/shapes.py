"""What each layer of a model asks of attention, seen by running the model once without memory.

A config says it in other words for each family, and not always all of it; what reaches the
attention function is what will be computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.attention.interface import window_of
from engine.attention.latent import Latent, of_module

OBSERVER = "hearth_shapes"


@dataclass(frozen=True)
class LayerShape:
    """Sizes in elements, the window in tokens."""

    heads: int
    kv_heads: int
    head_size: int
    window: int
    """Positions that a token sees; 0 is all."""
    softcap: float
    sinks: bool
    latent: Latent | None = None
    """Where the cache holds latents; heads are then those that they are expanded to."""


def observed(model: nn.Module) -> tuple[LayerShape, ...]:
    """Of a causal model of transformers on the meta device, whose attention must be `OBSERVER`.

    Ordered by `layer_idx`, which is where a layer's buffers are.
    """
    seen: dict[int, LayerShape] = {}
    one = torch.zeros((1, 1), dtype=torch.long, device="meta")
    with torch.inference_mode():
        model(input_ids=one, position_ids=one, use_cache=False, kv_shapes=seen)
    return tuple(seen[index] for index in sorted(seen))


def register() -> None:
    """Makes `OBSERVER` known to transformers."""
    from transformers.modeling_utils import AttentionInterface

    AttentionInterface.register(OBSERVER, _attention)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _mask: Tensor | None,
    *,
    kv_shapes: dict[int, LayerShape],
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Takes what `interface.attention` takes; computes nothing."""
    layer: int = module.layer_idx  # type: ignore[assignment]
    latent = of_module(module) if key.shape[3] != value.shape[3] else None
    heads, size = query.shape[1], query.shape[3]
    kv_shapes[layer] = LayerShape(
        heads=heads,
        kv_heads=heads if latent else key.shape[1],
        head_size=size,
        window=window_of(module, rest),
        softcap=softcap or 0.0,
        sinks=s_aux is not None,
        latent=latent,
    )
    return query.new_empty(1, query.shape[2], heads, latent.value if latent else size), None
