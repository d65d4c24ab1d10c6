"""Damage to bytes, JSON objects and single values, drawn from a `random.Random`."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any, Final

NUMBERS: Final = (
    0, 1, -1, 2, 3, 5, 8, 16, 127, 128, 255, 256, 1024, 4096, 65_535, 65_536, 10**6, 2**31 - 1,
    2**31, 2**32 - 1, 2**32, 10**12, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 10**30, 10**400,
    -(2**31), -(2**63), -(10**30),
)  # fmt: skip
OTHERS: Final[tuple[Any, ...]] = (
    None, True, False, "", "x", "silu", "default", "9" * 400, "\ud800", "\0", "-1", "x" * 10_000,
    "\x1b]52;c;aGk=\x07", "\u202e\u2066", "<b>x</b>", "../../x", "/dev/zero", "\U0001f600" * 50,
    0.5, 1.0, -0.0, -1.5, 1e-9, 1e-308, 1e9, 1e300, 1e308, float("nan"), float("inf"),
    float("-inf"), [], {}, [[]], [1], ["full_attention"], ["sliding_attention"] * 2, [0] * 5000,
    {"a": 1}, {"rope_type": "linear"}, {"rope_type": "yarn", "factor": 2.0},
    {"rope_type": "longrope"}, {"rope_type": "dynamic", "factor": 1e308},
    {"full_attention": {}}, [{"b": [None]}], {"": None}, [None] * 3, [float("nan")] * 4,
)  # fmt: skip
KEYS: Final = (
    "num_labels", "attn_implementation", "per_layer_config", "quantization_config", "dtype",
    "layers", "rope_scaling", "rope_parameters", "sliding_window", "sliding_window_pattern",
    "layer_types", "use_bidirectional_attention", "attention_bias", "mlp_bias", "hidden_act",
    "pretraining_tp", "attn_logit_softcapping", "final_logit_softcapping",
    "query_pre_attn_scalar", "tie_word_embeddings", "initializer_range", "text_config",
    "architectures", "model_type", "eos_token_id", "bos_token_id", "pad_token_id",
    "partial_rotary_factor", "topk_method", "n_group", "num_experts_per_tok", "q_lora_rank",
    "long_factor", "head_dim", "vocab_size", "max_position_embeddings", "__metadata__", "shape",
    "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "chat_template",
    "added_tokens_decoder", "bos_token", "add_bos_token", "extra_special_tokens",
    "additional_special_tokens", "tokenizer_class", "legacy", "model_max_length", "",
)  # fmt: skip


def number(random: Random) -> int:
    """One of the edges, near one, or any of 64 bits."""
    kind = random.randrange(4)
    if kind == 0:
        return random.randint(-(2**64), 2**64)
    return random.choice(NUMBERS) + (random.randint(-1, 1) if kind == 1 else 0)


def value(random: Random) -> Any:
    """Anything that JSON can say; one in fifty is large."""
    kind = random.randrange(50)
    if kind == 0:
        return large(random)
    if kind < 20:
        return number(random)
    if kind < 24:
        return random.uniform(-10, 10) * 10 ** random.randint(-300, 300)
    return copy.deepcopy(random.choice(OTHERS))


def large(random: Random) -> Any:
    """Megabytes, or hundreds of levels."""
    kind = random.randrange(5)
    if kind == 0:
        return "x" * random.choice((10**5, 10**6, 10**7))
    if kind == 1:
        return [number(random)] * random.choice((10**4, 10**5))
    if kind == 2:
        return {f"k{index}": index for index in range(random.choice((10**3, 10**4)))}
    if kind == 3:
        return ["y" * 100] * random.choice((10**3, 10**5))
    nested: Any = 1
    for _ in range(random.choice((20, 200, 400))):
        nested = [nested] if random.randrange(2) else {"a": nested}
    return nested


def places(whole: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in it."""
    found: list[tuple[Any, Any]] = []
    if isinstance(whole, dict | list):
        for key in whole if isinstance(whole, dict) else range(len(whole)):
            found += [(whole, key), *places(whole[key])]
    return found


def of_object(random: Random, whole: Any) -> Any:
    """Keys taken out, doubled under another name, added; values of another size or another type."""
    changed = copy.deepcopy(whole)
    every = places(changed)
    for container, key in random.sample(every, min(len(every), random.randint(1, 3))):
        if (key in container) if isinstance(container, dict) else (key < len(container)):
            _change(random, container, key)
    return changed


def _change(random: Random, container: Any, key: Any) -> None:
    kind = random.choice(("number", "value", "value", "remove", "double", "add", "nest"))
    if kind == "remove":
        del container[key]
    elif kind == "number" and isinstance(container[key], int | float):
        container[key] += random.choice((-1, 1, container[key], -2 * container[key]))
    elif kind == "double" and isinstance(container, dict):
        container[random.choice((*KEYS, f"{key}x"))] = copy.deepcopy(container[key])
    elif kind == "add" and isinstance(container, dict):
        container[random.choice(KEYS)] = value(random)
    elif kind == "nest":
        for _ in range(random.choice((1, 3, 60, 400))):
            container[key] = [container[key]]
    else:
        container[key] = value(random)


def json_text(random: Random, whole: Any) -> bytes:
    """The object as a file; one in ten is spelled in an unusual or a broken way."""
    text = json.dumps(whole)
    kind = random.randrange(60)
    if kind == 0:
        return b"\xef\xbb\xbf" + text.encode()
    if kind == 1:
        return text.encode("utf-16")
    if kind == 2 and text.endswith("}"):
        key = random.choice((*KEYS, *(whole if isinstance(whole, dict) else ())))
        return f"{text[:-1]}, {json.dumps(key)}: {json.dumps(value(random))}}}".encode()
    if kind == 3:
        return b"[" * random.choice((10**3, 10**5, 10**6))
    if kind == 4:
        return text.encode() + bytes(random.choice((1, 10**6)))
    if kind == 5:
        return text.replace('"', "'").encode()
    return text.encode()


def of_bytes(random: Random, whole: bytes, end: int | None = None) -> bytes:
    """Bytes changed, put in or taken out before `end`, or the file made shorter or longer."""
    data = bytearray(whole)
    for _ in range(random.randint(1, 4)):
        position = random.randrange(max(1, len(data) if end is None else min(end, len(data))))
        some = random.randbytes(random.randint(1, 9))
        kind = random.choice(("flip", "set", "insert", "remove", "cut", "extend", "repeat"))
        if kind == "flip" and data:
            data[position] ^= 1 << random.randrange(8)
        elif kind == "set":
            data[position : position + len(some)] = some
        elif kind == "insert":
            data[position:position] = some
        elif kind == "remove":
            del data[position : position + len(some)]
        elif kind == "cut":
            del data[max(1, position) :]
        elif kind == "extend":
            data += some * random.choice((1, 100))
        else:
            data[position:position] = data[position : position + 64]
    return bytes(data)
