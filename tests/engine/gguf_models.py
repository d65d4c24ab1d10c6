"""Models of transformers written as GGUF, as llama.cpp's conversion/*.py write each family.

From the published tensors and config of a model to a float32 file. Names come from gguf's own
tables and metadata from its writer's methods, not from the code under test; what a family's
conversion does besides is a row of `CONVERSIONS`.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import gguf
import numpy as np
import torch
from gguf import ExpertGatingFuncType, RopeScalingType
from safetensors.torch import load_file
from torch import Tensor

from tests.engine import tiny

Named: TypeAlias = Iterator[tuple[str, Tensor]]
EXPERT = re.compile(r"(?P<before>.+\.experts)\.(?P<number>\d+)\.(?P<after>\w+\.weight)")
ALTUP = re.compile(r"(?P<before>model\.altup_\w+)\.(?P<number>\d+)\.(?P<after>weight)")
TOP = ("blk.", "token_embd", "output", "rope_f", "per_layer", "altup_")
HEAD_NORM = re.compile(r"(?P<before>.+_layernorm)\.norms\.(?P<number>\d+)\.(?P<after>weight)")


@dataclass(frozen=True)
class Options:
    """Ways to write the same model that exist in the wild."""

    stack_experts: bool = True
    """Files of before April 2024 have a tensor for each expert."""
    split_latent: bool = True
    """DeepSeek's files of before April 2025 have kv_b whole and sizes of real heads."""
    fuse_qkv: bool = False
    """Files converted from the first Phi 2 and GLM-4 have queries, keys and values in one."""
    further_block: bool = False
    """Files of models that also predict further tokens have a block for it."""
    architecture: str = ""
    """Another than the family's own."""


@dataclass(frozen=True)
class Conversion:
    architecture: str
    sizes: Callable[[Any, Any, Options], None]
    """Writer and config -> what metadata are added."""
    turn: Callable[[str, Tensor, Any, Options], Named] = lambda name, tensor, *_: iter(
        [(name, tensor)]
    )
    """A published tensor -> those that are written, under names that gguf's tables know."""
    permute: bool = False
    """As LlamaModel and its subclasses."""


def write(
    path: Path,
    made: Any,
    options: Options | None = None,
    change: Callable[[Any], None] = lambda _: None,
    type_of: Callable[[str], str] = lambda _: "F32",
) -> Path:
    """`change` may alter the metadata; `type_of` a tensor's name is ggml's name of its type, for
    matrices whose rows are whole blocks of it."""
    options = options or Options()
    config = made.config
    conversion = CONVERSIONS[config.model_type]
    named = options.architecture or conversion.architecture
    writer = tiny.gguf_writer(path, named)
    blocks = config.num_hidden_layers + options.further_block
    conversion.sizes(writer, config, options)
    writer.add_block_count(blocks)
    if options.further_block:
        writer.add_nextn_predict_layers(1)
    tiny.write_vocabulary(writer)
    change(writer)
    architecture = next(a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == named)
    names = gguf.get_tensor_name_map(architecture, blocks)
    for name, tensor in _written(made, conversion, options):
        known = names.get_name(name, try_suffixes=(".weight", ".bias")) or name
        assert known.startswith(TOP), name
        data = np.ascontiguousarray(tensor.float().numpy())
        kind = gguf.GGMLQuantizationType[type_of(known)]
        if data.ndim < 2 or data.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0]:
            kind = gguf.GGMLQuantizationType.F32
        blocks = gguf.quants.quantize(data, kind)
        writer.add_tensor(known, blocks, raw_dtype=kind)
    for name, factors in _rope_factors(config):
        writer.add_tensor(name, np.array(factors, np.float32))
    if options.further_block:
        last = f"blk.{config.num_hidden_layers}"
        writer.add_tensor(f"{last}.attn_norm.weight", tiny.zeros(8))
        writer.add_tensor(f"{last}.nextn.eh_proj.weight", tiny.zeros(8, 16))
    tiny.finish(writer)
    return path


def published(made: Any) -> dict[str, Tensor]:
    with tempfile.TemporaryDirectory() as folder:
        made.save_pretrained(folder)
        return load_file(Path(folder) / "model.safetensors")


def _written(made: Any, conversion: Conversion, options: Options) -> Named:
    config = made.config
    tensors = _stacked(_stacked(published(made), HEAD_NORM), ALTUP)
    if options.stack_experts:
        tensors = _stacked(tensors, EXPERT)
    for name, tensor in tensors.items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        permuted = _permuted(name, tensor, config) if conversion.permute else tensor
        found = conversion.turn(name, permuted, config, options)
        yield from _fused(found, tensors, config) if options.fuse_qkv else found


def _stacked(tensors: dict[str, Tensor], pattern: re.Pattern[str]) -> dict[str, Tensor]:
    """One tensor for all of those that differ by a number only: [numbers, ...]."""
    stacks: dict[str, dict[int, Tensor]] = {}
    rest = {}
    for name, tensor in tensors.items():
        if found := pattern.fullmatch(name):
            stack = stacks.setdefault(f"{found['before']}.{found['after']}", {})
            stack[int(found["number"])] = tensor
        else:
            rest[name] = tensor
    return rest | {name: torch.stack([s[i] for i in sorted(s)]) for name, s in stacks.items()}


def _permuted(name: str, tensor: Tensor, config: Any) -> Tensor:
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for part, count in heads.items():
        if name.endswith((f"{part}.weight", f"{part}.bias")):
            split = tensor.reshape(count, 2, tensor.shape[0] // count // 2, *tensor.shape[1:])
            return split.swapaxes(1, 2).reshape(tensor.shape)
    return tensor


def _fused(found: Named, tensors: dict[str, Tensor], config: Any) -> Named:
    """Queries stand for all three."""
    for name, tensor in found:
        if "k_proj" in name or "v_proj" in name:
            continue
        if "q_proj" not in name:
            yield name, tensor
            continue
        parts = [tensors[name.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")]
        block = name.split(".")[2]
        yield f"blk.{block}.attn_qkv.{name.rpartition('.')[2]}", torch.cat(parts)


# ---------------------------------------------------------------------------- metadata


def base_sizes(writer: Any, config: Any, _: Options) -> None:
    """TextModel.set_gguf_parameters."""
    said = config.to_dict()
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    for add, keys in {
        writer.add_layer_norm_rms_eps: ("rms_norm_eps",),
        writer.add_layer_norm_eps: ("layer_norm_eps", "norm_epsilon"),
        writer.add_expert_count: ("num_local_experts", "num_experts"),
        writer.add_expert_used_count: ("num_experts_per_tok",),
        writer.add_expert_group_count: ("n_group",),
        writer.add_expert_group_used_count: ("topk_group",),
        writer.add_key_length: ("head_dim",),
        writer.add_value_length: ("head_dim",),
    }.items():
        for key in keys:
            if said.get(key) is not None:
                add(said[key])
    rope = config.rope_parameters
    whole = rope.get("full_attention", rope)
    writer.add_rope_freq_base(whole["rope_theta"])
    if "sliding_attention" in rope:
        writer.add_rope_freq_base_swa(rope["sliding_attention"]["rope_theta"])
    _scaling(writer, whole)


def _scaling(writer: Any, rope: dict[str, Any]) -> None:
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_type(RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        if "attention_factor" in rope:
            writer.add_rope_scaling_yarn_attn_factor(rope["attention_factor"])
        if "beta_fast" in rope:
            writer.add_rope_scaling_yarn_beta_fast(rope["beta_fast"])
            writer.add_rope_scaling_yarn_beta_slow(rope["beta_slow"])
    if rope["rope_type"] == "longrope":
        writer.add_rope_scaling_type(RopeScalingType.LONGROPE)


def and_then(*more: Callable[[Any, Any], None]) -> Callable[[Any, Any, Options], None]:
    def sizes(writer: Any, config: Any, options: Options) -> None:
        base_sizes(writer, config, options)
        for add in more:
            add(writer, config)

    return sizes


def head_size(config: Any) -> int:
    found = getattr(config, "head_dim", None)
    return int(found or config.hidden_size // config.num_attention_heads)


def all_rotated(writer: Any, config: Any) -> None:
    """LlamaModel."""
    writer.add_vocab_size(config.vocab_size)
    writer.add_rope_dimension_count(head_size(config))


def partly_rotated(writer: Any, config: Any) -> None:
    part = config.rope_parameters["partial_rotary_factor"]
    writer.add_rope_dimension_count(int(head_size(config) * part))


def window(writer: Any, config: Any) -> None:
    if config.sliding_window is not None:
        writer.add_sliding_window(config.sliding_window)


def window_pattern(writer: Any, config: Any) -> None:
    if config.sliding_window is not None:
        kinds = [kind == "sliding_attention" for kind in config.layer_types]
        writer.add_sliding_window_pattern(kinds)


def _per_layer(writer: Any, config: Any) -> None:
    """What Gemma 3n and 4 share. add_sliding_window and the final softcap are Gemma3Model's."""
    writer.add_sliding_window(config.sliding_window)
    writer.add_final_logit_softcapping(config.final_logit_softcapping)
    writer.add_shared_kv_layers(config.num_kv_shared_layers)
    writer.add_embedding_length_per_layer_input(config.hidden_size_per_layer_input)
    window_pattern(writer, config)


def gemma_3n(writer: Any, config: Any) -> None:
    _per_layer(writer, config)
    writer.add_altup_active_idx(config.altup_active_idx)
    writer.add_altup_num_inputs(config.altup_num_inputs)
    shares = torch.tensor(config.activation_sparsity_pattern)
    writer.add_activation_sparsity_scale(torch.special.ndtri(shares).tolist())


def gemma_4(writer: Any, config: Any, _: Options) -> None:
    """Gemma4Model.set_gguf_parameters, which corrects what TextModel's writes."""
    windowed = [kind == "sliding_attention" for kind in config.layer_types]
    of_all, of_window = (config.per_layer_config[windowed.index(w)] for w in (False, True))
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_key_length(of_all.head_dim)
    writer.add_value_length(of_all.head_dim)
    writer.add_key_length_swa(of_window.head_dim)
    writer.add_value_length_swa(of_window.head_dim)
    writer.add_rope_dimension_count(of_all.head_dim)
    writer.add_rope_dimension_count_swa(of_window.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["full_attention"]["rope_theta"])
    writer.add_rope_freq_base_swa(config.rope_parameters["sliding_attention"]["rope_theta"])
    counts = [(of_window if w else of_all).num_key_value_heads for w in windowed]
    writer.add_head_count_kv(counts if len(set(counts)) > 1 else counts[0])
    size, first = config.intermediate_size, len(windowed) - config.num_kv_shared_layers
    widths = [size * (2 if i >= first else 1) for i in range(len(windowed))]
    writer.add_feed_forward_length(widths if config.use_double_wide_mlp else size)
    if config.enable_moe_block:
        writer.add_expert_count(config.num_experts)
        writer.add_expert_used_count(config.top_k_experts)
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    _per_layer(writer, config)


def softcaps(writer: Any, config: Any) -> None:
    if config.attn_logit_softcapping:
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def logit_scale(writer: Any, config: Any) -> None:
    writer.add_logit_scale(config.logit_scale)
    writer.add_rope_scaling_type(RopeScalingType.NONE)


def granite_scales(writer: Any, config: Any) -> None:
    writer.add_attention_scale(config.attention_multiplier)
    writer.add_embedding_scale(config.embedding_multiplier)
    writer.add_residual_scale(config.residual_multiplier)
    writer.add_logit_scale(config.logits_scaling)
    if getattr(config, "shared_intermediate_size", 0):
        writer.add_expert_shared_feed_forward_length(config.shared_intermediate_size)


def expert_sizes(writer: Any, config: Any) -> None:
    writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    if shared := getattr(config, "shared_expert_intermediate_size", None):
        writer.add_expert_shared_feed_forward_length(shared)


def one_expert_size(writer: Any, config: Any) -> None:
    writer.add_expert_feed_forward_length(config.intermediate_size)


def routed_experts(writer: Any, config: Any) -> None:
    writer.add_leading_dense_block_count(config.first_k_dense_replace)
    writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    writer.add_expert_count(config.n_routed_experts)
    writer.add_expert_shared_count(config.n_shared_experts)
    writer.add_expert_weights_scale(config.routed_scaling_factor)
    if config.norm_topk_prob:
        writer.add_expert_weights_norm(config.norm_topk_prob)


def sigmoid(writer: Any, _: Any) -> None:
    writer.add_expert_gating_func(ExpertGatingFuncType.SIGMOID)


def ministral_3(writer: Any, config: Any) -> None:
    rope = config.rope_parameters
    writer.add_rope_scaling_yarn_log_mul(rope["mscale_all_dim"])
    writer.add_attn_temperature_scale(rope["llama_4_scaling_beta"])


def deepseek(writer: Any, config: Any, options: Options) -> None:
    base_sizes(writer, config, options)
    routed_experts(writer, config)
    rotated, latent = config.qk_rope_head_dim, config.kv_lora_rank
    key, value = config.qk_nope_head_dim + rotated, config.v_head_dim
    if config.q_lora_rank is not None:
        writer.add_q_lora_rank(config.q_lora_rank)
    writer.add_kv_lora_rank(latent)
    if options.split_latent:
        writer.add_head_count_kv(1)
        writer.add_key_length(latent + rotated)
        writer.add_value_length(latent)
        writer.add_key_length_mla(key)
        writer.add_value_length_mla(value)
    else:
        writer.add_key_length(key)
        writer.add_value_length(value)
    writer.add_rope_dimension_count(rotated)
    writer.add_rope_scaling_yarn_log_mul(0.1 * config.rope_parameters["mscale_all_dim"])


def deepseek_3(writer: Any, config: Any, options: Options) -> None:
    deepseek(writer, config, options)
    sigmoid(writer, config)


def phi_2(writer: Any, config: Any, _: Options) -> None:
    """No base of rotary frequencies."""
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(4 * config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_attention_heads)
    writer.add_layer_norm_eps(config.layer_norm_eps)
    partly_rotated(writer, config)
    writer.add_add_bos_token(value=False)


def phi_3(writer: Any, config: Any, _: Options) -> None:
    rope = config.rope_parameters
    old = config.original_max_position_embeddings
    writer.add_context_length(config.max_position_embeddings)
    writer.add_rope_scaling_orig_ctx_len(old)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    partly_rotated(writer, config)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_sliding_window(config.sliding_window or 0)
    if "long_factor" in rope:
        scale = config.max_position_embeddings / old
        factor = math.sqrt(1 + math.log(scale) / math.log(old))
        writer.add_rope_scaling_attn_factors(factor)


def stablelm(writer: Any, config: Any, _: Options) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    partly_rotated(writer, config)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_parallel_residual(config.use_parallel_residual)
    writer.add_layer_norm_eps(config.layer_norm_eps)


def chatglm(writer: Any, config: Any, _: Options) -> None:
    """Without the head's size, and with the base that all of these models have."""
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    partly_rotated(writer, config)
    writer.add_add_bos_token(value=False)
    writer.add_rope_freq_base(10000)


def hunyuan(writer: Any, config: Any, options: Options) -> None:
    base_sizes(writer, config, options)
    rope = config.rope_parameters
    if rope["rope_type"] == "dynamic":
        size = config.head_dim
        writer.add_rope_freq_base(rope["rope_theta"] * rope["alpha"] ** (size / (size - 2)))
        writer.add_rope_scaling_type(RopeScalingType.NONE)
        writer.add_rope_scaling_factor(1)
        writer.add_rope_scaling_orig_ctx_len(256 * 1024)
        writer.add_context_length(256 * 1024)


def nemotron(writer: Any, config: Any, options: Options) -> None:
    base_sizes(writer, config, options)
    writer.add_layer_norm_eps(config.norm_eps)
    partly_rotated(writer, config)
    writer.add_rope_scaling_type(RopeScalingType.NONE)


# ---------------------------------------------------------------------------- tensors


def norms_plus_one(name: str, tensor: Tensor, *_: Any) -> Named:
    yield name, tensor + 1 if name.endswith("norm.weight") else tensor


def score_correction(name: str, tensor: Tensor, *_: Any) -> Named:
    yield name.replace("e_score_correction_bias", "e_score_correction.bias"), tensor


def latent(name: str, tensor: Tensor, config: Any, options: Options) -> Named:
    if not name.endswith("kv_b_proj.weight") or not options.split_latent:
        yield from score_correction(name, tensor)
        return
    keys = config.qk_nope_head_dim
    by_head = tensor.view(config.num_attention_heads, -1, tensor.shape[-1])
    k_b, v_b = by_head[:, :keys], by_head[:, keys:]
    yield name.replace("kv_b_proj", "k_b_proj"), k_b.transpose(1, 2)
    yield name.replace("kv_b_proj", "v_b_proj"), v_b


def granite_experts(name: str, tensor: Tensor, *_: Any) -> Named:
    if "block_sparse_moe.input_linear" in name or "shared_mlp.input_linear" in name:
        block = name.split(".")[2]
        kind = "exps" if "sparse" in name else "shexp"
        gate, up = tensor.chunk(2, -2)
        yield f"blk.{block}.ffn_gate_{kind}.weight", gate
        yield f"blk.{block}.ffn_up_{kind}.weight", up
    else:
        yield name, tensor


def gpt_oss(name: str, tensor: Tensor, *_: Any) -> Named:
    if name.endswith("_bias"):
        tensor_of = tensor
        name = name.removesuffix("_bias") + ".bias"
    elif name.endswith("_proj"):
        tensor_of = tensor.transpose(-1, -2)
        name += ".weight"
    else:
        yield (f"{name}.weight" if "sinks" in name else name), tensor
        return
    if "gate_up_proj" not in name:
        yield name, tensor_of
        return
    for part, begin in (("gate_proj", 0), ("up_proj", 1)):
        yield name.replace("gate_up_proj", part), tensor_of[:, begin::2]


def matrices_stacked(name: str, tensor: Tensor, *_: Any) -> Named:
    """Gemma 3n's `..._scale` is a weight's name in GGUF."""
    yield (f"{name}.weight" if name.endswith("_scale") else name), tensor


def gemma_4_scales(name: str, tensor: Tensor, *_: Any) -> Named:
    layer = name.split(".")[2]
    if name.endswith("router.scale"):
        yield f"blk.{layer}.ffn_gate_inp.scale", tensor
    elif name.endswith("router.proj.weight"):
        yield f"blk.{layer}.ffn_gate_inp.weight", tensor
    elif name.endswith("per_expert_scale"):
        yield f"blk.{layer}.ffn_down_exps.scale", tensor
    elif ".experts." in name:
        part = "gate_up" if "gate_up" in name else "down"
        yield f"blk.{layer}.ffn_{part}_exps.weight", tensor
    else:
        yield (f"{name}.weight" if name.endswith("layer_scalar") else name), tensor


def one_expert_each(name: str, tensor: Tensor, _: Any, options: Options) -> Named:
    found = EXPERT.fullmatch(name)
    if options.stack_experts or not found:
        yield name, tensor
        return
    block = name.split(".")[2]
    part = {"w1": "gate", "w2": "down", "w3": "up"}[found["after"].removesuffix(".weight")]
    yield f"blk.{block}.ffn_{part}.{found['number']}.weight", tensor


def _rope_factors(config: Any) -> Iterator[tuple[str, list[float]]]:
    rope = config.rope_parameters
    if "long_factor" in rope:
        yield "rope_factors_long.weight", rope["long_factor"]
        yield "rope_factors_short.weight", rope["short_factor"]
    if rope.get("rope_type") == "llama3":
        yield "rope_freqs.weight", tiny.rope_factors(rope, head_size(config))
    whole = rope.get("full_attention", {})
    if whole.get("rope_type") == "proportional":
        half = config.per_layer_config["full_attention"].head_dim // 2
        rotated = int(half * whole["partial_rotary_factor"])
        yield "rope_freqs.weight", [1.0] * rotated + [1e30] * (half - rotated)


LLAMA = Conversion("llama", and_then(all_rotated), permute=True)
DEEPSEEK = Conversion("deepseek2", deepseek, latent)
CONVERSIONS: dict[str, Conversion] = {
    "llama": LLAMA,
    "mistral": LLAMA,
    "mixtral": Conversion("llama", and_then(all_rotated), one_expert_each, permute=True),
    "ministral3": Conversion("mistral3", and_then(all_rotated, ministral_3), permute=True),
    "gemma": Conversion("gemma", base_sizes, norms_plus_one),
    "gemma2": Conversion("gemma2", and_then(window, softcaps), norms_plus_one),
    "gemma3_text": Conversion("gemma3", and_then(window, window_pattern), norms_plus_one),
    "gemma3n_text": Conversion("gemma3n", and_then(gemma_3n), matrices_stacked),
    "gemma4_text": Conversion("gemma4", gemma_4, gemma_4_scales),
    "qwen2": Conversion("qwen2", base_sizes),
    "qwen2_moe": Conversion("qwen2moe", and_then(expert_sizes)),
    "qwen3": Conversion("qwen3", base_sizes),
    "qwen3_moe": Conversion("qwen3moe", and_then(expert_sizes)),
    "phi": Conversion("phi2", phi_2),
    "phi3": Conversion("phi3", phi_3),
    "stablelm": Conversion("stablelm", stablelm),
    "granite": Conversion("granite", and_then(all_rotated, granite_scales), permute=True),
    "granitemoe": Conversion(
        "granitemoe", and_then(all_rotated, granite_scales), granite_experts, permute=True
    ),
    "granitemoeshared": Conversion(
        "granitemoe", and_then(all_rotated, granite_scales), granite_experts, permute=True
    ),
    "deepseek_v2": DEEPSEEK,
    "deepseek_v3": Conversion("deepseek2", deepseek_3, latent),
    "dots1": Conversion("dots1", and_then(expert_sizes, routed_experts, sigmoid), score_correction),
    "smollm3": Conversion("smollm3", and_then(all_rotated), permute=True),
    "olmo": Conversion(
        "olmo",
        and_then(
            lambda writer, _: writer.add_layer_norm_eps(1e-5),
            lambda writer, config: writer.add_clamp_kqv(config.clip_qkv),
        ),
        permute=True,
    ),
    "olmo2": Conversion("olmo2", base_sizes),
    "olmo3": Conversion("olmo2", and_then(window, window_pattern)),
    "olmoe": Conversion("olmoe", base_sizes),
    "cohere": Conversion("command-r", and_then(logit_scale)),
    "cohere2": Conversion("cohere2", and_then(logit_scale, window, all_rotated)),
    "glm": Conversion("chatglm", chatglm),
    "glm4": Conversion("glm4", and_then(partly_rotated)),
    "glm4_moe": Conversion(
        "glm4moe", and_then(partly_rotated, routed_experts, sigmoid), score_correction
    ),
    "gpt_oss": Conversion("gpt-oss", and_then(window, one_expert_size), gpt_oss),
    "exaone4": Conversion("exaone4", and_then(window, window_pattern)),
    "starcoder2": Conversion("starcoder2", base_sizes),
    "nemotron": Conversion("nemotron", nemotron, norms_plus_one),
    "seed_oss": Conversion("seed_oss", base_sizes),
    "hunyuan_v1_dense": Conversion("hunyuan-dense", hunyuan),
    "ernie4_5": Conversion("ernie4_5", base_sizes),
    "arcee": Conversion("arcee", and_then(all_rotated), permute=True),
}
