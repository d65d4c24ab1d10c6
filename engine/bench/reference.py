"""transformers' own model on the decoder's weights, to measure beside and to compare with."""

from __future__ import annotations

import copy
from typing import Any

import torch

from engine.loading import families
from engine.modeling.decoder import HEAD, Decoder
from engine.modeling.reading import EVERY


def of_decoder(model: Decoder, config: Any) -> Any:
    """transformers' causal model in eval, eager, of a checkpoint's config.

    Weights that both hold alike are shared, others copied.
    """
    config = copy.deepcopy(config)
    weights = model.published()
    if f"{HEAD}.weight" in weights:
        config.tie_word_embeddings = False
    with torch.device("meta"):
        made: Any = families.of_name(config.model_type).model_type()(config)
    device = next(iter(weights.values())).device
    for module in made.modules():
        _fill_buffers(made, module, device)
    made.load_state_dict(weights, strict=False, assign=True)
    made.tie_weights()
    rotary = made.model.rotary_emb
    for name, ours in model.rotaries.items():
        prefix = "" if name == EVERY else f"{name}_"
        getattr(rotary, f"{prefix}inv_freq").copy_(ours.frequencies)
    made.set_attn_implementation("eager")
    return made.eval().requires_grad_(requires_grad=False)


def _fill_buffers(model: Any, module: Any, device: torch.device) -> None:
    """Rotary frequencies and embedding scales are in no checkpoint: the model computes them.

    Before it has its weights, which `_init_weights` would draw anew.
    """
    buffers = {n: b for n, b in module.named_buffers(recurse=False) if b.is_meta}
    for name, buffer in buffers.items():
        setattr(module, name, torch.empty_like(buffer, device=device))
    if buffers:
        with torch.no_grad():
            model._init_weights(module)  # noqa: SLF001
