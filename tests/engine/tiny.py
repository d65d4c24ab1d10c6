"""Tiny random checkpoints, written as their makers write them: GGUF files and safetensors folders.

Names come from gguf's own table and transformers' own writer, not from the code under test.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import nn
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from engine.cache.kv_cache import KVCache
from engine.execution.runner import Runner
from engine.loading import assembly, families
from engine.loading import load as loading
from engine.loading.assembly import Assembled
from engine.loading.checkpoint import Checkpoint
from engine.loading.weights import Weight, copied
from engine.local import model_shape
from engine.local.model_shape import ModelShape
from engine.modeling.decoder import Decoder

CPU = torch.device("cpu")
TRANSFORMERS_OWN = ("eager", "sdpa")
"""Attention that transformers takes unasked, and no stranger's kernel."""
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = (("h", "e"), ("Ġ", "t"), ("Ġt", "he"))
WORDS = ("he", "Ġt", "Ġthe")
VOCABULARY = [*BYTES, *WORDS, *CONTROL]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SIZES: dict[str, Any] = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,
    "bos_token_id": VOCABULARY.index("<|endoftext|>"),
    "eos_token_id": VOCABULARY.index("<|im_end|>"),
    "pad_token_id": None,
}
LLAMA_31: dict[str, Any] = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 100,
}
LINEAR: dict[str, Any] = {"rope_type": "linear", "rope_theta": 50_000.0, "factor": 4.0}
GEMMA_3_ROPE = {
    "full_attention": LINEAR,
    "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
}
WINDOW: dict[str, Any] = {"sliding_window": 8, "query_pre_attn_scalar": 8}
SOFTCAPS: dict[str, Any] = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}

FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "llama-tied": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "llama-3.1": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=LLAMA_31)),
    "llama-linear": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=LINEAR)),
    "gemma": lambda: GemmaForCausalLM(GemmaConfig(**SIZES)),
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES, **WINDOW, **SOFTCAPS)),
    "gemma3": lambda: Gemma3ForCausalLM(
        Gemma3TextConfig(**SIZES, **WINDOW, rope_parameters=GEMMA_3_ROPE)
    ),
}


def model(family: str) -> Any:
    """Eager attention, float32; norms are random too, so that each of them matters."""
    torch.manual_seed(3)
    made: Any = FAMILIES[family]()
    made.config._attn_implementation = "eager"
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "norm" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return made.eval()


def shape_of(made: Any) -> ModelShape:
    """What a model of transformers asks of attention and cache."""
    config = copy.deepcopy(made.config)
    _, decoder, _ = assembly.built(families.of_name(config.model_type), config, CPU, torch.float32)
    return model_shape.of_layers(decoder.config.shapes, config.max_position_embeddings)


def assembled(
    made: Any, device: torch.device = CPU, dtype: torch.dtype = torch.float32
) -> Assembled:
    """A model of transformers as Hearth's decoder, with its weights copied."""
    weights = (Weight(name, t.shape, copied(t), t.nbytes) for name, t in made.state_dict().items())
    return assembly.assemble(
        families.of_name(made.config.model_type),
        copy.deepcopy(made.config),
        weights,
        total=1,
        device=device,
        dtype=dtype,
        progress=lambda *_: None,
    )


def tokens_of(length: int, seed: int = 0) -> list[int]:
    source = torch.Generator().manual_seed(seed)
    return torch.randint(0, len(BYTES), (length,), generator=source).tolist()


def runner(loaded: Checkpoint) -> Runner:
    """In float32 on the CPU, for 256 tokens."""
    shape = model_shape.of_layers(loaded.model.config.shapes, 512)
    kernel = "math" if shape.softcap or shape.sinks else "sdpa"
    cache = KVCache(shape.cache, 256, torch.device("cpu"), torch.float32, kernel)
    return Runner(loaded.model, cache, loaded.rope)


def logits(of: Any, tokens: int = 40) -> torch.Tensor:
    """[tokens, vocabulary] for fixed random tokens, more than a sliding window holds.

    `of` is a model of transformers or Hearth's decoder.
    """
    torch.manual_seed(5)
    ids = torch.randint(0, len(BYTES), (1, tokens))
    with torch.inference_mode():
        if isinstance(of, Decoder):
            shape = model_shape.of_layers(of.config.shapes, 512)
            step = KVCache(shape.cache, 256, CPU, of.config.dtype, "math").step(tokens)
            return of.logits(of(ids[0], step))
        found: torch.Tensor = of(input_ids=ids, use_cache=False).logits[0]
    return found


def assert_close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    """Logits of the decoder and of transformers, which add up in another order."""
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------------------- GGUF


def gguf_writer(path: Path, architecture: str = "llama") -> Any:
    return gguf.GGUFWriter(path, architecture)


def finish(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def zeros(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


def write_gguf(
    path: Path,
    made: Any,
    change: Callable[[Any], None] = lambda _: None,
    *,
    template: str = TEMPLATE,
    leave_out: str = "nothing",
) -> Path:
    """The model as float32 tensors; `change` may add to the metadata and tensors."""
    config = made.config
    architecture = config.model_type.removesuffix("_text")
    writer = gguf_writer(path, architecture)
    _write_sizes(writer, config)
    write_vocabulary(writer, template)
    change(writer)
    names = gguf.get_tensor_name_map(
        next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture),
        config.num_hidden_layers,
    )
    for name, tensor in made.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        written = str(names.get_name(name, try_suffixes=(".weight",)))
        if leave_out not in written:
            writer.add_tensor(written, _as_stored(name, tensor, config).numpy())
    _write_rope_factors(writer, config)
    finish(writer)
    return path


def write_huge_gguf(path: Path, size: int) -> Path:
    """A tiny model's header that declares feed-forward weights of `size` bytes, and a file with a
    hole where they would lie."""
    made = model("llama")
    config = copy.deepcopy(made.config)
    config.intermediate_size = size // (3 * 2 * config.hidden_size * config.num_hidden_layers)
    writer = gguf_writer(path)
    _write_sizes(writer, config)
    write_vocabulary(writer)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in made.state_dict().items():
        written = str(names.get_name(name, try_suffixes=(".weight",)))
        wide, usual = config.intermediate_size, made.config.intermediate_size
        shape = [wide if "ffn" in written and n == usual else n for n in tensor.shape]
        writer.add_tensor_info(written, shape, np.dtype(np.float16), 2 * math.prod(shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + size + 100_000_000)
    return path


def _write_sizes(writer: Any, config: Any) -> None:
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    rope = rope.get("full_attention", rope)
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if getattr(config, "sliding_window", None):
        writer.add_sliding_window(config.sliding_window)
    if getattr(config, "attn_logit_softcapping", None):
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def write_vocabulary(writer: Any, template: str = TEMPLATE) -> None:
    kinds = [
        gguf.TokenType.CONTROL if token in CONTROL else gguf.TokenType.NORMAL
        for token in VOCABULARY
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(VOCABULARY)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in MERGES])
    writer.add_bos_token_id(SIZES["bos_token_id"])
    writer.add_eos_token_id(SIZES["eos_token_id"])
    writer.add_add_bos_token(value=False)
    if template:
        writer.add_chat_template(template)


def _as_stored(name: str, tensor: torch.Tensor, config: Any) -> torch.Tensor:
    """As convert_hf_to_gguf.py: LlamaModel.permute, and norm_shift of the Gemma models."""
    if config.model_type.startswith("gemma"):
        return tensor + 1 if name.endswith("norm.weight") else tensor
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for part, count in heads.items():
        if part in name:
            split = tensor.reshape(count, 2, tensor.shape[0] // count // 2, *tensor.shape[1:])
            return split.swapaxes(1, 2).reshape(tensor.shape).contiguous()
    return tensor


def _write_rope_factors(writer: Any, config: Any) -> None:
    """convert_hf_to_gguf.py, LlamaModel.generate_extra_tensors."""
    rope = config.rope_parameters
    if rope.get("rope_type") == "llama3":
        factors = rope_factors(rope, config.head_dim)
        writer.add_tensor("rope_freqs.weight", np.array(factors, np.float32))


def rope_factors(rope: dict[str, Any], size: int) -> list[float]:
    """What Llama 3.1 divides the frequencies of a head of `size` by."""
    factors = []
    old = rope["original_max_position_embeddings"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    for i in range(0, size, 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (i / size)
        if wavelength < old / high:
            factors.append(1.0)
        elif wavelength > old / low:
            factors.append(rope["factor"])
        else:
            smooth = (old / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    assert len(set(factors)) > 2, "the three ways to scale must all occur"
    return factors


# ---------------------------------------------------------------------------- safetensors


def write_folder(
    path: Path, made: Any, *, template: str = TEMPLATE, max_shard_size: str = "5GB"
) -> Path:
    made.save_pretrained(path, max_shard_size=max_shard_size)
    tokenizer().save(str(path / "tokenizer.json"))
    settings = {
        "bos_token": "<|endoftext|>",
        "eos_token": {"content": "<|im_end|>", "special": True},
        "chat_template": template,
    }
    write_json(path / "tokenizer_config.json", settings)
    return path


def write_multimodal(path: Path, made: Any, prefix: str) -> Path:
    """Gemma 3 as published: the text model beside a vision tower, config and weights nested."""
    write_folder(path, made)
    tensors = load_file(path / "model.safetensors")
    nested = {prefix + name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    vision = {
        "vision_tower.vision_model.post_layernorm.weight": torch.zeros(8),
        "multi_modal_projector.mm_input_projection_weight": torch.zeros(8, 8),
    }
    save_file({**nested, **vision}, path / "model.safetensors", {"format": "pt"})
    text = json.loads((path / "config.json").read_text("utf-8"))
    whole = {
        "model_type": "gemma3",
        "architectures": ["Gemma3ForConditionalGeneration"],
        "text_config": text,
        "vision_config": {"model_type": "siglip_vision_model", "num_hidden_layers": 27},
    }
    write_json(path / "config.json", whole)
    return path


def load(
    path: Path,
    dtype: torch.dtype = torch.float32,
    *,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Checkpoint:
    return loading.load(
        path,
        device=torch.device("cpu"),
        dtype=dtype,
        progress=progress,
    )


def tokenizer() -> Tokenizer:
    ids = {token: index for index, token in enumerate(VOCABULARY)}
    made = Tokenizer(models.BPE(ids, list(MERGES)))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in CONTROL])
    return made


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), "utf-8")


def edit_json(path: Path, **changes: object) -> None:
    """None takes a key away."""
    value = json.loads(path.read_text("utf-8")) | changes
    write_json(path, {key: item for key, item in value.items() if item is not None})
