"""From transformers' config and class of a family to the decoder's config.

The class says by its modules what a config says in other words for each family. What neither says
as a value stands in the tables here, by `model_type`.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from engine.attention.latent import Latent
from engine.modeling.config import (
    AltUpConfig,
    AttentionConfig,
    LayerConfig,
    ModelConfig,
    RouterConfig,
)
from engine.modeling.rope import LongRope, Rotary, Sets

PAIRS: Final = ("cohere", "cohere2", "deepseek_v2", "ernie4_5", "glm", "glm4", "helium")
"""Families that rotate pairs side by side."""
EXACT_ANGLES: Final = ("ernie4_5", "olmo3")
"""Families whose cosines and sines are float32 whatever the weights are."""
WINDOWS_ALONE_ROTATED: Final = ("cohere2", "exaone4")
"""Families whose layers without a window have no positions."""
NORMS_ROTATED: Final = ("hunyuan_v1_dense",)
ROUTER_OF_CHOSEN: Final = ("gpt_oss", "granitemoe", "granitemoeshared")
ROUTER_NORMALISED: Final = ("mixtral",)
WINDOW: Final = "sliding_attention"
EVERY: Final = "every layer"
"""The name of the set of frequencies of a model that has one."""


def model_config(reference: Any, dtype: torch.dtype) -> ModelConfig:
    """Of transformers' causal model on the meta device."""
    config = reference.config
    layers = reference.model.layers
    scale = getattr(reference.model.embed_tokens, "scalar_embed_scale", None)
    if scale is not None:  # Gemma's, which is rounded as the weights are
        scale = float(torch.tensor(scale, dtype=dtype))
    return ModelConfig(
        architecture=type(reference).__name__,
        vocabulary=int(config.vocab_size),
        layers=tuple(layer_config(config, layer, index) for index, layer in enumerate(layers)),
        dtype=dtype,
        embedding_scale=scale or float(getattr(config, "embedding_multiplier", 1.0)),
        logit_scale=_logit_scale(config),
        logit_softcap=float(getattr(config, "final_logit_softcapping", None) or 0.0),
        per_layer_scale=_per_layer_scale(reference.model, dtype),
        altup=altup_config(config),
    )


def _per_layer_scale(model: Any, dtype: torch.dtype) -> float:
    """Rounded as the weights are."""
    table = getattr(model, "embed_tokens_per_layer", None)
    return 0.0 if table is None else float(torch.tensor(table.scalar_embed_scale, dtype=dtype))


def altup_config(config: Any) -> AltUpConfig | None:
    streams = getattr(config, "altup_num_inputs", None)
    if streams is None:
        return None
    return AltUpConfig(
        int(streams), int(config.altup_active_idx), scaled=bool(config.altup_correct_scale)
    )


def _logit_scale(config: Any) -> float:
    if scale := getattr(config, "logit_scale", None):
        return float(scale)
    return 1.0 / float(getattr(config, "logits_scaling", None) or 1.0)


def layer_config(config: Any, layer: Any, index: int) -> LayerConfig:
    return LayerConfig(
        attention=attention_config(config, layer.self_attn, index),
        router=router_config(config, layer),
        multiplier=float(getattr(config, "residual_multiplier", 1.0)),
    )


def attention_config(config: Any, module: Any, index: int) -> AttentionConfig:
    heads = int(config.num_attention_heads)
    common: dict[str, Any] = {
        "heads": heads,
        "scale": float(module.scaling),
        "rotary": _rotary_name(config, module, index),
    }
    if hasattr(module, "kv_lora_rank"):
        rotated = int(module.qk_rope_head_dim)
        pairs = config.model_type in PAIRS or getattr(config, "rope_interleave", False)
        return AttentionConfig(
            **common,
            kv_heads=heads,
            head_size=int(module.qk_head_dim),
            pairs=rotated if pairs else 0,
            latent=Latent(int(module.kv_lora_rank), rotated, int(module.v_head_dim)),
        )
    size = int(module.head_dim)
    shared = getattr(config, "num_kv_shared_layers", None)
    """How many of the last layers share keys and values; None for families that have no such
    layers, whose layers do not differ in their heads either."""
    may_differ = shared is not None
    groups = int(module.num_key_value_groups) if may_differ else 0
    kv_heads = heads // groups if groups else config.num_key_value_heads
    values = getattr(module, "v_norm", None)
    return AttentionConfig(
        **common,
        kv_heads=int(kv_heads),
        head_size=size,
        window=_window(config, module, index),
        softcap=float(getattr(module, "attn_logit_softcapping", None) or 0.0),
        pairs=_rotated_size(config, size) if config.model_type in PAIRS else 0,
        norms_rotated=config.model_type in NORMS_ROTATED,
        sinks=hasattr(module, "sinks"),
        clip=float(getattr(config, "clip_qkv", None) or 0.0),
        source=_source(config, shared, index) if shared else None,
        keys_as_values=may_differ and getattr(module, "v_proj", module) is None,
        value_epsilon=None if values is None else float(values.eps),
    )


def _source(config: Any, shared: int, index: int) -> int | None:
    """The layer whose keys and values one of the last `shared` layers reads, the last one of its
    kind before them; None for a layer that has its own."""
    kinds = list(config.layer_types)
    first = len(kinds) - shared
    if index < first:
        return None
    return max(i for i in range(first) if kinds[i] == kinds[index])


def _window(config: Any, module: Any, index: int) -> int:
    """Some classes keep a layer's window, others have it in the config, for layers of a kind."""
    if not getattr(module, "is_sliding", True):
        return 0
    kinds = getattr(config, "layer_types", None)
    if hasattr(module, "sliding_window"):
        return int(module.sliding_window or 0)
    if kinds and kinds[index] != WINDOW:
        return 0
    return int(getattr(config, "sliding_window", None) or 0)


def _rotary_name(config: Any, module: Any, index: int) -> str:
    """Which set of frequencies; "" for a layer without positions."""
    if not getattr(module, "use_rope", True):  # SmolLM3
        return ""
    kinds: Any = getattr(config, "layer_types", None)
    if config.model_type in WINDOWS_ALONE_ROTATED and config.sliding_window:
        return EVERY if kinds[index] == WINDOW else ""
    of_kinds = kinds and kinds[index] in (config.rope_parameters or {})
    return str(kinds[index]) if of_kinds else EVERY


def _rotated_size(config: Any, head_size: int) -> int:
    factor = (config.rope_parameters or {}).get("partial_rotary_factor", 1.0)
    return int(head_size * factor)


# ---------------------------------------------------------------------------- mixtures


def router_config(config: Any, layer: Any) -> RouterConfig | None:
    """None for a layer without experts."""
    if getattr(layer, "enable_moe_block", False):
        router = layer.router
        return RouterConfig(
            int(config.top_k_experts), "softmax", normalised=True, epsilon=float(router.eps)
        )
    block = getattr(layer, "block_sparse_moe", None) or layer.mlp
    if not hasattr(block, "experts"):
        return None
    kind, active = config.model_type, int(config.num_experts_per_tok)
    router = getattr(block, "gate", None) or block.router
    if kind in ROUTER_OF_CHOSEN:
        return RouterConfig(active, "softmax of the chosen")
    factor = float(getattr(router, "routed_scaling_factor", 1.0))
    if hasattr(router, "e_score_correction_bias"):
        return RouterConfig(
            active,
            "sigmoid",
            exact=True,
            groups=int(router.num_group),
            groups_used=int(router.topk_group),
            group_score="two best",
            normalised=bool(router.norm_topk_prob),
            factor=factor,
        )
    if hasattr(router, "topk_method"):  # DeepSeek V2
        in_groups = router.topk_method == "group_limited_greedy"
        return RouterConfig(
            active,
            "softmax",
            exact=True,
            groups=int(router.num_group) if in_groups else 1,
            groups_used=int(router.topk_group) if in_groups else 1,
            factor=factor,
        )
    normalised = kind in ROUTER_NORMALISED or bool(getattr(router, "norm_topk_prob", False))
    return RouterConfig(active, "softmax", normalised=normalised)


# ---------------------------------------------------------------------------- rotary positions


def rope_kinds(reference: Any) -> dict[str, str]:
    """The kind of scaling of each set of frequencies."""
    kind = reference.model.rotary_emb.rope_type
    return dict(kind) if isinstance(kind, dict) else {EVERY: kind}


def rotaries(
    reference: Any, dtype: torch.dtype, device: torch.device
) -> tuple[dict[str, Rotary], LongRope | None]:
    """Every set of frequencies, by the name that `attention_config` gives it."""
    config = reference.config
    made = type(reference.model.rotary_emb)(config)
    """Once more, with memory: frequencies are in no checkpoint."""
    exact = torch.float32 if config.model_type in EXACT_ANGLES else dtype
    found: dict[str, Rotary] = {}
    sets: list[Sets] = []
    for name, kind in rope_kinds(reference).items():
        prefix = "" if name == EVERY else f"{name}_"
        frequencies: Tensor = getattr(made, f"{prefix}inv_freq").float().to(device)
        scaling = float(getattr(made, f"{prefix}attention_scaling"))
        rotary = Rotary(frequencies, scaling, exact, _query_scaling(config))
        found[name] = rotary
        if kind == "longrope":
            sets.append(_sets(config, rotary))
    if not sets:
        return found, None
    limit = int(config.rope_parameters["original_max_position_embeddings"])
    return found, LongRope(sets, limit)


def _query_scaling(config: Any) -> tuple[float, int] | None:
    parameters = config.rope_parameters or {}
    factor = parameters.get("llama_4_scaling_beta")
    if factor is None:
        return None
    return float(factor), int(parameters["original_max_position_embeddings"])


def _sets(config: Any, rotary: Rotary) -> Sets:
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    device = rotary.frequencies.device
    beyond = int(config.rope_parameters["original_max_position_embeddings"]) + 1
    long, _ = ROPE_INIT_FUNCTIONS["longrope"](config, device, seq_len=beyond)
    return Sets(rotary, rotary.frequencies.clone(), long.to(rotary.frequencies))
