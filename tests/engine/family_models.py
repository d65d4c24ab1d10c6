"""A tiny random model of every row of the families' table, made by transformers itself.

Head sizes are those of published models; layers alternate where a family has two kinds; windows and
changes of rotary frequencies lie within the prompts that the tests use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING

from tests.engine import tiny

WINDOW = 24
BASE: dict[str, Any] = {
    "vocab_size": len(tiny.VOCABULARY),
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.15,
    "bos_token_id": tiny.SIZES["bos_token_id"],
    "eos_token_id": tiny.SIZES["eos_token_id"],
    "pad_token_id": None,
    "tie_word_embeddings": False,
}
SLIDING = ["sliding_attention", "full_attention"] * 2
YARN: dict[str, Any] = {
    "rope_type": "yarn",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 128,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
}
MLA: dict[str, Any] = {
    "num_key_value_heads": 4,
    "q_lora_rank": 48,
    "kv_lora_rank": 32,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
    "routed_scaling_factor": 1.5,
    "rope_parameters": YARN | {"mscale": 0.707, "mscale_all_dim": 0.707},
}
PER_LAYER: dict[str, Any] = {
    "head_dim": 256,
    "sliding_window": WINDOW,
    "layer_types": SLIDING,
    "num_kv_shared_layers": 2,
    "hidden_size_per_layer_input": 16,
    "vocab_size_per_layer_input": len(tiny.VOCABULARY),
    "tie_word_embeddings": True,
    "final_logit_softcapping": 30.0,
}
"""Gemma 3n's, and of Gemma 4's the smaller ones'."""
GEMMA_4: dict[str, Any] = {
    "head_dim": 256,
    "global_head_dim": 512,
    "sliding_window": WINDOW,
    "layer_types": SLIDING,
    "hidden_size_per_layer_input": 0,
    "tie_word_embeddings": True,
    "final_logit_softcapping": 30.0,
    "initializer_range": 0.08,
}
KEYS_AS_VALUES: dict[str, Any] = {
    "attention_k_eq_v": True,
    "num_global_key_value_heads": 1,
    "use_bidirectional_attention": "vision",
}
EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2, "moe_intermediate_size": 32}
FACTORS = {"short_factor": [1.0 + i / 40 for i in range(48)]}
FACTORS |= {"long_factor": [1.5 + i / 8 for i in range(48)]}
LONGROPE: dict[str, Any] = {
    "original_max_position_embeddings": 80,
    "rope_parameters": {"rope_type": "longrope", "rope_theta": 10_000.0, **FACTORS}
    | {"original_max_position_embeddings": 80},
}


@dataclass(frozen=True)
class Model:
    """One test line: the family's `model_type`, and what of its config differs from BASE."""

    family: str
    changes: dict[str, Any] = field(default_factory=dict)

    def config(self) -> Any:
        return CONFIG_MAPPING[self.family](**(BASE | self.changes))

    def make(self) -> Any:
        """Eager attention and experts, float32; norms, biases and sinks are random too."""
        torch.manual_seed(3)
        config = self.config()
        model_type: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
        made = model_type(config)
        made.config._attn_implementation = "eager"
        made.config._experts_implementation = "eager"
        with torch.no_grad():
            for name, tensor in made.state_dict().items():
                if tensor.dim() == 1 and "inv_freq" not in name:
                    tensor.add_(0.2 * torch.randn_like(tensor))
        return made.eval()


def heads_of(size: int, **more: Any) -> dict[str, Any]:
    """For the families whose head size is the hidden size divided by the heads."""
    return {"hidden_size": 4 * size, "initializer_range": 0.6 * size**-0.5, **more}


MODELS: dict[str, Model] = {
    "llama": Model("llama", {"head_dim": 64, "attention_bias": True}),
    "llama-yarn": Model("llama", {"head_dim": 128, "rope_parameters": YARN}),
    "gemma": Model("gemma", {"head_dim": 256, "num_key_value_heads": 1}),
    "gemma2": Model(
        "gemma2", {"head_dim": 256, "sliding_window": WINDOW, "attn_logit_softcapping": 5.0}
    ),
    "gemma3": Model(
        "gemma3_text",
        {"head_dim": 256, "sliding_window": WINDOW, "layer_types": SLIDING},
    ),
    "gemma3n": Model(
        "gemma3n_text", PER_LAYER | {"activation_sparsity_pattern": [0.95, 0.95, 0.0, 0.0]}
    ),
    "gemma4-e4b": Model("gemma4_text", GEMMA_4 | PER_LAYER),
    "gemma4-e2b": Model("gemma4_text", GEMMA_4 | PER_LAYER | {"use_double_wide_mlp": True}),
    "gemma4-31b": Model("gemma4_text", GEMMA_4 | KEYS_AS_VALUES),
    "gemma4-26b": Model(
        "gemma4_text",
        GEMMA_4
        | KEYS_AS_VALUES
        | {"enable_moe_block": True, "num_experts": 8, "top_k_experts": 2}
        | {"moe_intermediate_size": 32},
    ),
    "mistral": Model("mistral", {"head_dim": 128, "sliding_window": WINDOW}),
    "ministral": Model(
        "ministral", {"head_dim": 128, "sliding_window": WINDOW, "layer_types": SLIDING}
    ),
    "ministral3": Model("ministral3", {"head_dim": 128}),
    "mixtral": Model(
        "mixtral", {"head_dim": 128, "num_local_experts": 8, "initializer_range": 0.05}
    ),
    "deepseek_v2": Model("deepseek_v2", MLA),
    "deepseek_v2-lite": Model(
        "deepseek_v2",
        MLA
        | {"q_lora_rank": None, "topk_method": "group_limited_greedy", "n_group": 4}
        | {"topk_group": 2},
    ),
    "deepseek_v3": Model("deepseek_v3", MLA | {"n_group": 4, "topk_group": 2}),
    "dots1": Model(
        "dots1",
        {"head_dim": 128, "n_routed_experts": 8, "n_shared_experts": 2, "norm_topk_prob": True}
        | {"first_k_dense_replace": 1, "routed_scaling_factor": 2.5}
        | EXPERTS,
    ),
    "phi": Model("phi", heads_of(80, num_key_value_heads=4, hidden_act="gelu_new")),
    "phi3": Model("phi3", heads_of(96, num_key_value_heads=4, sliding_window=WINDOW)),
    "phi3-longrope": Model("phi3", heads_of(96, num_key_value_heads=4) | LONGROPE),
    "phi4-mini": Model(
        "phi3",
        heads_of(128, tie_word_embeddings=True)
        | LONGROPE
        | {"rope_parameters": LONGROPE["rope_parameters"] | {"partial_rotary_factor": 0.75}},
    ),
    "qwen2": Model(
        "qwen2", heads_of(64, sliding_window=WINDOW, use_sliding_window=True, max_window_layers=2)
    ),
    "qwen2_moe": Model(
        "qwen2_moe", heads_of(64, num_experts=8, shared_expert_intermediate_size=48) | EXPERTS
    ),
    "qwen3": Model("qwen3", {"head_dim": 128, "tie_word_embeddings": True}),
    "qwen3_moe": Model("qwen3_moe", {"head_dim": 128, "num_experts": 8} | EXPERTS),
    "stablelm": Model("stablelm", heads_of(80, num_key_value_heads=4)),
    "stablelm-parallel": Model(
        "stablelm",
        heads_of(64, use_parallel_residual=True, qk_layernorm=True, use_qkv_bias=True),
    ),
    "granite": Model(
        "granite",
        heads_of(64)
        | {"embedding_multiplier": 12.0, "residual_multiplier": 0.22}
        | {"attention_multiplier": 0.0156, "logits_scaling": 8.0},
    ),
    "granitemoe": Model(
        "granitemoe",
        heads_of(64, num_local_experts=8, num_experts_per_tok=2, attention_multiplier=0.0156),
    ),
    "granitemoeshared": Model(
        "granitemoeshared",
        heads_of(
            64,
            num_local_experts=8,
            num_experts_per_tok=2,
            shared_intermediate_size=48,
            attention_multiplier=0.0156,
        ),
    ),
    "helium": Model("helium", heads_of(128, head_dim=128, num_key_value_heads=4)),
    "smollm3": Model("smollm3", heads_of(128, no_rope_layers=[1, 1, 1, 0])),
    "olmo": Model("olmo", heads_of(128, clip_qkv=8.0)),
    "olmo2": Model("olmo2", heads_of(128)),
    "olmo3": Model("olmo3", heads_of(128, sliding_window=WINDOW, layer_types=SLIDING)),
    "olmoe": Model("olmoe", heads_of(128, num_experts=8, num_experts_per_tok=2)),
    "cohere": Model("cohere", heads_of(128, use_qk_norm=True, tie_word_embeddings=True)),
    "cohere2": Model(
        "cohere2",
        heads_of(128, sliding_window=WINDOW, layer_types=SLIDING, tie_word_embeddings=True),
    ),
    "glm": Model("glm", {"head_dim": 128, "attention_bias": True}),
    "glm4": Model("glm4", {"head_dim": 128, "attention_bias": True}),
    "glm4_moe": Model(
        "glm4_moe",
        {"head_dim": 128, "n_routed_experts": 8, "n_shared_experts": 1, "use_qk_norm": True}
        | {"first_k_dense_replace": 1, "n_group": 1, "topk_group": 1}
        | EXPERTS,
    ),
    "gpt_oss": Model(
        "gpt_oss",
        {"head_dim": 64, "sliding_window": WINDOW, "layer_types": SLIDING}
        | {"num_local_experts": 8, "num_experts_per_tok": 2, "initializer_range": 0.05},
    ),
    "exaone4": Model(
        "exaone4", {"head_dim": 128, "sliding_window": WINDOW, "layer_types": SLIDING}
    ),
    "starcoder2": Model("starcoder2", heads_of(128, sliding_window=WINDOW)),
    "nemotron": Model("nemotron", {"head_dim": 128}),
    "seed_oss": Model("seed_oss", {"head_dim": 128}),
    "hunyuan": Model("hunyuan_v1_dense", {"head_dim": 128}),
    "ernie4_5": Model("ernie4_5", {"head_dim": 128}),
    "arcee": Model("arcee", {"head_dim": 128}),
}
