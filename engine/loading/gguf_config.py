"""From a GGUF file's metadata to the settings of transformers' config class."""

from __future__ import annotations

import re
from typing import Final

from engine.errors import CheckpointError, UnsupportedError, shown
from engine.loading.families import Config, Family
from engine.loading.gguf_header import GGUFHeader, LongArray

REQUIRED: Final = {
    "num_hidden_layers": "block_count",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "max_position_embeddings": "context_length",
}
SIZES: Final = {
    "num_key_value_heads": "attention.head_count_kv",
    "sliding_window": "attention.sliding_window",
}
SOFTCAPS: Final = {
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
}
BLOCK: Final = re.compile(r"blk\.(\d{1,9})\.")
UNSCALED: Final = (None, "none", "linear")
"""Ways to scale rotary positions that are understood here, beside Llama 3.1's tensor."""
TOKENS: Final = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
"""transformers' name of a special token -> GGUF's."""
HEAD_SIZE_OF_GEMMA: Final = 256
"""Gemma's GGUF files of the first conversions leave it unsaid."""
LAYERS_OF_GEMMA_27B: Final = {"gemma2": 46, "gemma3_text": 62}
"""Only these scale attention by hidden size / heads instead of head size: llama.cpp, gemma*.cpp."""


def settings(header: GGUFHeader, family: Family) -> Config:
    """Raises CheckpointError when a size is missing or nonsense."""
    found: Config = {name: _size(header, key) for name, key in REQUIRED.items()}
    _check_layers(header, found["num_hidden_layers"])
    found |= {n: _size(header, key) for n, key in SIZES.items() if header.number(key) is not None}
    found |= {n: value for n, key in SOFTCAPS.items() if (value := header.number(key)) is not None}
    found.setdefault("num_key_value_heads", found["num_attention_heads"])
    found["head_dim"] = _head_size(header, family, found)
    found["rms_norm_eps"] = header.number("attention.layer_norm_rms_epsilon") or 1e-6
    found["vocab_size"] = embedding_rows(header)
    found["tie_word_embeddings"] = "output.weight" not in header.tensors
    found |= _rope(header, family)
    if family.name in LAYERS_OF_GEMMA_27B:
        found["query_pre_attn_scalar"] = _attention_scale(family, found)
    found |= {f"{name}_token_id": token_id(header, key) for name, key in TOKENS.items()}
    return family.gguf.defaults | found


def token_id(header: GGUFHeader, name: str) -> int | None:
    """The id of the special token `name` (GGUF's: bos, eos, eot, ...), or None."""
    value = header.metadata.get(f"tokenizer.ggml.{name}_token_id")
    if value is None or (isinstance(value, int) and 0 <= value < embedding_rows(header)):
        return value
    raise CheckpointError(f"{header.path.name} is damaged: its {name} token is {shown(value)}.")


def _size(header: GGUFHeader, key: str) -> int:
    value: object = header.number(key)
    if not isinstance(value, int) or not 0 < value < 2**31:
        said = "missing" if value is None else value
        raise CheckpointError(f"{header.path.name} is damaged: its {key} is {said}.")
    return value


def _check_layers(header: GGUFHeader, declared: int) -> None:
    """Before a model is built: one of a billion layers would fill the memory, weights or not."""
    stored = {int(found[1]) for name in header.tensors if (found := BLOCK.match(name))}
    if declared != len(stored) or stored != set(range(declared)):
        raise CheckpointError(
            f"{header.path.name} is damaged: it names {declared} layers, its weights have "
            f"{len(stored)}."
        )


def _head_size(header: GGUFHeader, family: Family, found: Config) -> int:
    for key in ("attention.key_length", "rope.dimension_count"):
        if header.number(key):
            return _size(header, key)
    if family.name != "llama":
        return HEAD_SIZE_OF_GEMMA
    return int(found["hidden_size"]) // int(found["num_attention_heads"])


def embedding_rows(header: GGUFHeader) -> int:
    if "token_embd.weight" not in header.tensors:
        raise CheckpointError(f"{header.path.name} has no token embedding.")
    return header.tensors["token_embd.weight"].shape[0]


def _rope(header: GGUFHeader, family: Family) -> Config:
    """Gemma 3 scales the rotary positions of its full-attention layers only.

    Llama 3.1's scaling is no setting in GGUF but a tensor: see gguf_weights.ROPE_FACTORS.
    """
    rope: Config = {"rope_type": "default", "rope_theta": header.number("rope.freq_base") or 1e4}
    scaling = header.metadata.get(f"{header.architecture}.rope.scaling.type")
    if scaling not in UNSCALED:
        raise UnsupportedError(
            f"{header.path.name} scales its positions in a way that Hearth does not know "
            f"({shown(scaling)})."
        )
    factor = header.number("rope.scaling.factor")
    if scaling == "linear" and factor:
        rope |= {"rope_type": "linear", "factor": float(factor)}
    if family.name != "gemma3_text":
        return {"rope_parameters": rope}
    local = {
        "rope_type": "default",
        "rope_theta": header.number("rope.freq_base_swa") or 1e4,
    }
    return {"rope_parameters": {"full_attention": rope, "sliding_attention": local}}


def _attention_scale(family: Family, found: Config) -> int:
    if found["num_hidden_layers"] == LAYERS_OF_GEMMA_27B[family.name]:
        return int(found["hidden_size"]) // int(found["num_attention_heads"])
    return int(found["head_dim"])


def chat_template(header: GGUFHeader) -> str | None:
    value = header.metadata.get("tokenizer.chat_template")
    return value if isinstance(value, str) and value.strip() else None


def flag(header: GGUFHeader, key: str, default: bool) -> bool:
    value = header.metadata.get(key, default)
    if isinstance(value, LongArray | tuple):
        raise CheckpointError(f"{header.path.name} is damaged: its {key} is a list.")
    return bool(value)
