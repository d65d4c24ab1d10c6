"""From a GGUF file's metadata to the settings of transformers' config class."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from engine.errors import CheckpointError, UnsupportedError, shown
from engine.loading.families import Config
from engine.loading.gguf.families import BLOCK, FACTORS, GGUF, size, without
from engine.loading.gguf.header import GGUFHeader, LongArray, LongText

VOCABULARY: Final = "tokenizer.ggml.tokens"
REQUIRED: Final = {
    "num_hidden_layers": "block_count",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "max_position_embeddings": "context_length",
}
DIFFERING: Final = ("intermediate_size",)
"""Of the required sizes, what a family's layers may differ in."""
LINEAR: Final = (None, "linear")
"""llama.cpp takes a factor without a word on its use for linear."""
UNSCALED: Final = "none"
YARN: Final = "yarn"
LONGROPE: Final = "longrope"
BETAS: Final = {"beta_fast": "yarn_beta_fast", "beta_slow": "yarn_beta_slow"}
MAX_TEMPLATE: Final = 1_000_000
"""Characters; gpt-oss's, one of the longest, has 17,000."""
TEMPLATES: Final = (
    "tokenizer.chat_template",
    "tokenizer.chat_template.default",
    "tokenizer.chat_template.tool_use",
)
"""The first of these that is there: llama.cpp, common_chat_templates_init."""
SAMPLING: Final = {
    "temperature": "general.sampling.temp",
    "top_k": "general.sampling.top_k",
    "top_p": "general.sampling.top_p",
    "min_p": "general.sampling.min_p",
    "repetition_penalty": "general.sampling.penalty_repeat",
}
"""generation_config.json's name of a setting that the maker recommends -> GGUF's."""
DEFAULT_IDS: Final = {"unknown": 0, "bos": 1, "eos": 2}
"""Of a vocabulary of SentencePiece that does not say them: llama_vocab::impl::load."""
DEFAULT_IDS_OF_GEMMA: Final = {"padding": 0, "eos": 1, "bos": 2, "unknown": 3}
"""Its order is another one, which llama.cpp does not know."""
ANGLED: Final = re.compile(r"<(?!0x).+>")
"""How special tokens are spelled, and bytes are not."""
TOKENS: Final = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
"""transformers' name of a special token -> GGUF's."""
NEUTRAL: Final[dict[str, tuple[object, ...]]] = {
    "attention.causal": (True,),
    "attention.clamp_kqv": (0,),
    "attention.key_length_swa": (0,),
    "attention.max_alibi_bias": (0,),
    "attention.output_scale": (0, 1),
    "attention.scale": (0,),
    "attention.shared_kv_layers": (0,),
    "attention.temperature_scale": (0,),
    "attn_logit_softcapping": (0,),
    "embedding_scale": (0, 1),
    "expert_group_count": (0, 1),
    "expert_group_scale": (0, 1),
    "expert_weights_scale": (0, 1),
    "final_logit_softcapping": (0,),
    "interleave_moe_layer_step": (0, 1),
    "logit_scale": (0, 1),
    "moe_every_n_layers": (0, 1),
    "residual_scale": (0, 1),
    "rope.dimension_count_swa": (0,),
    "rope.scaling.alpha": (0,),
    "rope.scaling.yarn_ext_factor": (-1, 1),
    "router_logit_softcapping": (0,),
    "swiglu_clamp_exp": (0,),
    "swiglu_clamp_shexp": (0,),
}
"""Keys that change what a model computes, with the values that do not: a family that does not read
one must not be run as if it were not there. gguf.constants.Keys."""


def settings(header: GGUFHeader, row: GGUF) -> Config:
    """Raises CheckpointError when a size is missing or nonsense, UnsupportedError for settings that
    this family does not have in transformers."""
    required = {k: v for k, v in REQUIRED.items() if not (row.layers_differ and k in DIFFERING)}
    found: Config = {name: size(header, key) for name, key in required.items()}
    found["num_hidden_layers"] = _layers(header, found["num_hidden_layers"])
    check(header, row)
    if not row.layers_differ:
        found["num_key_value_heads"] = _key_value_heads(header, found)
    found["vocab_size"] = embedding_rows(header)
    found["tie_word_embeddings"] = "output.weight" not in header.tensors
    found |= {name: _needed(header, key) for name, key in row.needs.items()}
    found |= {name: value for name, key in row.takes.items() if (value := header.number(key))}
    found |= {name: int(header.number(key) or 0) for name, key in row.also.items()}
    found |= {name: _holds(header, tensor) for name, tensor in row.flags.items()}
    found |= _sizes_of_tensors(header, row)
    found |= row.heads(header, found)
    found |= _windows(header, row, found)
    found["rope_parameters"] = _rope_parameters(header, row, found)
    found |= {f"{name}_token_id": token_id(header, key) for name, key in TOKENS.items()}
    return row.defaults | found


def token_id(header: GGUFHeader, name: str) -> int | None:
    """The id of the special token `name` (GGUF's: bos, eos, eot, ...), or None.

    As in llama.cpp, one beyond the vocabulary is as if it were not said. Raises CheckpointError for
    what is no number.
    """
    value = header.metadata.get(f"tokenizer.ggml.{name}_token_id")
    if value is not None and not isinstance(value, int):
        raise CheckpointError(
            f"{header.path.name} says {shown(value)} where the {name} token's number must be.",
            "Choose another file of this model.",
        )
    if value is not None and 0 <= value < header.count(VOCABULARY):
        return value
    return _default_id(header, name)


def _default_id(header: GGUFHeader, name: str) -> int | None:
    """What the first tokens are in every vocabulary of SentencePiece, if they are spelled so."""
    if header.metadata.get("tokenizer.ggml.model") != "llama":
        return None
    gemma = header.architecture.startswith("gemma")
    index = (DEFAULT_IDS_OF_GEMMA if gemma else DEFAULT_IDS).get(name)
    if index is None:
        return None
    first = header.items(VOCABULARY, index + 1)
    return index if index < len(first) and ANGLED.fullmatch(str(first[index])) else None


def _layers(header: GGUFHeader, blocks: int) -> int:
    """Without the blocks that predict further tokens, which stand after the layers.

    Checked before a model is built: one of a billion layers would fill the memory, weights or not.
    """
    layers = blocks - max(0, int(header.number("nextn_predict_layers") or 0))
    stored = {int(found[1]) for name in header.tensors if (found := BLOCK.match(name))}
    whole = stored == set(range(len(stored)))
    if layers < 1 or not whole or len(stored) not in (layers, blocks):
        raise CheckpointError(
            f"{header.path.name} is damaged: it names {blocks} layers, its weights have "
            f"{len(stored)}."
        )
    return layers


def check(header: GGUFHeader, row: GGUF) -> None:
    """Raises UnsupportedError for a setting that changes the model and that this family lacks."""
    known = row.reads()
    for key, neutral in NEUTRAL.items():
        value = header.number(key)
        if key not in known and value is not None and value not in neutral:
            raise _unknown(header, row, key, value)
    gating = header.number("expert_gating_func") or 0
    if gating not in row.gating:
        raise _unknown(header, row, "expert_gating_func", gating)


def _unknown(header: GGUFHeader, row: GGUF, key: str, value: object) -> UnsupportedError:
    return UnsupportedError(
        f"{header.path.name} sets {key} to {shown(value)}, which Hearth does not know for "
        f"{row.family.title}."
    )


def _needed(header: GGUFHeader, key: str) -> float:
    value = header.number(key)
    if value is None or value <= 0:
        raise without(header, key, value)
    return value


def _key_value_heads(header: GGUFHeader, found: Config) -> int:
    key = "attention.head_count_kv"
    return size(header, key) if header.number(key) is not None else found["num_attention_heads"]


def _holds(header: GGUFHeader, tensor: str) -> bool:
    """Queries may stand in one tensor with keys and values."""
    names = (tensor, tensor.replace("attn_q.", "attn_qkv."))
    return any(f"blk.0.{name}" in header.tensors for name in names)


def _sizes_of_tensors(header: GGUFHeader, row: GGUF) -> Config:
    """Without those whose tensor is in no block: all layers of the model are dense."""
    found: Config = {}
    for name, info in header.tensors.items():
        for setting, tensor in row.sizes.items():
            if name.endswith(f".{tensor}"):
                found.setdefault(setting, info.shape[-1])
    return found


def embedding_rows(header: GGUFHeader) -> int:
    if "token_embd.weight" not in header.tensors:
        raise CheckpointError(f"{header.path.name} has no token embedding.")
    return header.tensors["token_embd.weight"].shape[0]


def _windows(header: GGUFHeader, row: GGUF, found: Config) -> Config:
    """Kinds of layers, where the file says more than the family's own order.

    A number says that the last of so many layers has no window, a list which layers have one.
    """
    key = f"{header.architecture}.attention.sliding_window_pattern"
    pattern = header.metadata.get(key)
    layers = int(found["num_hidden_layers"])
    if row.windows and not found.get("sliding_window"):
        return {"layer_types": ["full_attention"] * layers}
    if not row.windows or pattern is None:
        return {}
    if isinstance(pattern, int):
        windowed = [bool((layer + 1) % max(pattern, 1)) for layer in range(layers)]
    else:
        windowed = list(map(bool, header.items(key)))
    if len(windowed) < layers:
        raise CheckpointError(f"{header.path.name} is damaged: its {key} is too short.")
    kinds = ("full_attention", "sliding_attention")
    return {"layer_types": [kinds[window] for window in windowed[:layers]]}


def _rope_parameters(header: GGUFHeader, row: GGUF, found: Config) -> Config:
    """Llama 3.1's scaling is no setting in GGUF but a tensor: see gguf_weights.ROPE_FACTORS."""
    theta = header.number("rope.freq_base") or 1e4
    rope: Config = {"rope_type": "default", "rope_theta": theta}
    rope |= _partial(header, row, found)
    if not row.two_ropes:
        return rope | _scaling(header, row, found)
    local = header.number("rope.freq_base_swa") or row.window_theta or theta
    scaled = rope | (_proportional(header) if row.proportional else _scaling(header, row, found))
    return {"full_attention": scaled, "sliding_attention": rope | {"rope_theta": local}}


def _proportional(header: GGUFHeader) -> Config:
    """The share of a head's frequencies that are not divided away."""
    from engine.loading.gguf.weights import ROPE_FACTORS, values  # as in `_longrope`

    if ROPE_FACTORS not in header.tensors:
        return {}
    share = float((values(header, ROPE_FACTORS) == 1).mean())
    return {"rope_type": "proportional", "partial_rotary_factor": share}


def _partial(header: GGUFHeader, row: GGUF, found: Config) -> Config:
    key = "rope.dimension_count"
    head = int(found.get("global_head_dim") or found["head_dim"])
    rotated = size(header, key) if header.number(key) is not None else head
    if row.partial_rotary:
        return {"partial_rotary_factor": rotated / head}
    if rotated != head:
        raise _unknown(header, row, key, rotated)
    return {}


def _scaling(header: GGUFHeader, row: GGUF, found: Config) -> Config:
    kind = header.metadata.get(f"{header.architecture}.rope.scaling.type")
    if kind == LONGROPE or FACTORS["long_factor"] in header.tensors:
        return _longrope(header)
    if kind == YARN:
        return _yarn(header, row, found)
    factor = header.number("rope.scaling.factor") or header.number("rope.scale_linear")
    if kind in LINEAR and factor:
        return {"rope_type": "linear", "factor": float(factor)}
    if kind in LINEAR or kind == UNSCALED:
        return {}
    raise UnsupportedError(
        f"{header.path.name} scales its positions in a way that Hearth does not know "
        f"({shown(kind)})."
    )


def _longrope(header: GGUFHeader) -> Config:
    from engine.loading.gguf.weights import values  # torch and numpy, at loading only

    rope: Config = {"rope_type": "longrope"}
    rope["original_max_position_embeddings"] = size(header, "rope.scaling.original_context_length")
    rope |= _said(header, {"attention_factor": "attn_factor"})
    for name, tensor in FACTORS.items():
        if tensor not in header.tensors:
            raise CheckpointError(f"{header.path.name} is damaged: it lacks {tensor}.")
        rope[name] = values(header, tensor).tolist()
    return rope


def _yarn(header: GGUFHeader, row: GGUF, found: Config) -> Config:
    """As transformers has it: an attention factor stands for all of it, unlike in llama.cpp, which
    multiplies its own by it."""
    rope: Config = {"rope_type": "yarn", "factor": _needed(header, "rope.scaling.factor")}
    rope["original_max_position_embeddings"] = found["max_position_embeddings"]
    rope |= _said(header, {"original_max_position_embeddings": "original_context_length"})
    rope |= row.rope
    rope |= _said(header, BETAS | {"attention_factor": "yarn_attn_factor"})
    rope |= {n: value for n, key in row.rope_takes.items() if (value := header.number(key))}
    if logarithm := header.number("rope.scaling.yarn_log_multiplier"):
        all_dimensions = logarithm / row.log_multiplier
        rope["mscale_all_dim"] = all_dimensions
        rope["mscale"] = row.mscale or all_dimensions
    elif "attention_factor" not in rope and (more := header.number("rope.scaling.attn_factor")):
        rope["attention_factor"] = more * (0.1 * math.log(max(rope["factor"], 1)) + 1)
    return rope


def _said(header: GGUFHeader, keys: dict[str, str]) -> dict[str, Any]:
    found = {name: header.number(f"rope.scaling.{key}") for name, key in keys.items()}
    return {name: value for name, value in found.items() if value}


def chat_template(header: GGUFHeader) -> str | None:
    """Raises CheckpointError for one that is too long to be one."""
    for key in TEMPLATES:
        value = header.metadata.get(key)
        if isinstance(value, LongText) or (isinstance(value, str) and len(value) > MAX_TEMPLATE):
            raise CheckpointError(
                f"{header.path.name} has a chat template of more than {MAX_TEMPLATE:,} characters.",
                "Choose another file of this model.",
            )
        if isinstance(value, str) and value.strip():
            return value
    return None


def sampling(header: GGUFHeader) -> Config:
    """What the maker recommends, under generation_config.json's names. llama.cpp takes a number
    that is written as text too, and every top-k below 1 for none."""
    found = {name: _number(header.metadata.get(key)) for name, key in SAMPLING.items()}
    if found["top_k"] is not None:
        found["top_k"] = max(0, found["top_k"])
    return {name: value for name, value in found.items() if value is not None}


def _number(value: object) -> float | None:
    """As it was meant: the file has 0.7 in 32 bits."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(f"{float(value):.7g}")
    except ValueError:
        return None


def flag(header: GGUFHeader, key: str, default: bool) -> bool:
    value = header.metadata.get(key, default)
    if isinstance(value, LongArray | tuple):
        raise CheckpointError(
            f"{header.path.name} has a list where {key} must be yes or no.",
            "Choose another file of this model.",
        )
    return bool(value)
