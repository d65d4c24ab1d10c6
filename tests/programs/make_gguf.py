"""Writes a GGUF file of a published shape with random weights: for speed and memory alone.

python -m tests.programs.make_gguf --shape llama-3.1-8b --mixture Q4_K_M --tokenizer FILE --out FILE

Mixtures are as llama.cpp's quantiser makes them: Q4_K_M has values and the MLP's output of half of
the layers in Q6_K, and the vocabulary. Words are those of a tokenizer.json, with further ones up to
the shape's vocabulary, so that Hearth and llama.cpp open the file.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

DISTINCT_BLOCKS: Final = 1 << 16
"""Random blocks of a tensor, repeated."""
SCALES: Final[dict[Type, tuple[tuple[int, float], ...]]] = {
    Type.Q4_K: ((0, 6e-5), (2, 4.5e-4)),
    Type.Q6_K: ((208, 1e-5),),
    Type.Q8_0: ((0, 2e-4),),
}
"""Where the float16 numbers of a block begin, and their value: weights of about 0.015. With larger
ones a rounding in the first layer is another reply, and Hearth's kernels fail their own check."""
MIXTURES: Final = {"Q4_K_M": (Type.Q4_K, Type.Q6_K), "Q8_0": (Type.Q8_0, Type.Q8_0)}
"""The type of most tensors, and of those that get more bits."""


@dataclass(frozen=True)
class Shape:
    architecture: str
    layers: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied: bool = False
    experts: int = 0
    active: int = 0
    expert_inner: int = 0


SHAPES: Final = {
    "llama-3.2-1b": Shape("llama", 16, 2048, 8192, 32, 8, 64, 128_256, tied=True),
    "llama-3.1-8b": Shape("llama", 32, 4096, 14_336, 32, 8, 128, 128_256),
    "qwen3-30b-a3b, 12 layers": Shape(
        "qwen3moe", 12, 2048, 6144, 32, 4, 128, 151_936, experts=128, active=8, expert_inner=768
    ),
}


def blocks(source: np.random.Generator, kind: Type, rows: int, columns: int) -> Any:
    """uint8 [rows, bytes]."""
    values, size = gguf.GGML_QUANT_SIZES[kind]
    count = rows * columns // values
    made = source.integers(0, 256, (min(count, DISTINCT_BLOCKS), size), dtype=np.uint8)
    for place, value in SCALES[kind]:
        made[:, place : place + 2] = np.frombuffer(np.float16(value).tobytes(), np.uint8)
    return np.tile(made, (-(-count // len(made)), 1))[:count].reshape(rows, -1)


def has_more_bits(layer: int, layers: int) -> bool:
    """As llama.cpp's use_more_bits."""
    first = layers // 8
    return layer < first or layer >= 7 * layers // 8 or (layer - first) % 3 == 2


def write_settings(writer: Any, shape: Shape) -> None:
    writer.add_block_count(shape.layers)
    writer.add_context_length(131_072)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_size)
    writer.add_value_length(shape.head_size)
    writer.add_rope_dimension_count(shape.head_size)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(500_000.0)
    writer.add_vocab_size(shape.vocabulary)
    if shape.experts:
        writer.add_expert_count(shape.experts)
        writer.add_expert_used_count(shape.active)
        writer.add_expert_feed_forward_length(shape.expert_inner)


def write_words(writer: Any, tokenizer: Path, vocabulary: int) -> None:
    found = json.loads(tokenizer.read_text(encoding="utf-8"))
    words = sorted(found["model"]["vocab"], key=found["model"]["vocab"].__getitem__)
    control = {token["content"] for token in found["added_tokens"] if token["special"]}
    merges = [m if isinstance(m, str) else " ".join(m) for m in found["model"]["merges"]]
    words += [f"further{i}word" for i in range(vocabulary - len(words))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    writer.add_token_types([3 if word in control else 1 for word in words])
    writer.add_token_merges(merges)
    writer.add_eos_token_id(2)


def write_tensors(writer: Any, shape: Shape, mixture: str) -> None:
    source = np.random.default_rng(0)
    usual, better = MIXTURES[mixture]

    def matrix(name: str, kind: Type, *size: int) -> None:
        *lead, rows, columns = size
        made = blocks(source, kind, int(np.prod(lead, dtype=int)) * rows, columns)
        writer.add_tensor(name, made.reshape(*lead, rows, -1), raw_dtype=kind)

    def ones(name: str, size: int) -> None:
        writer.add_tensor(name, np.ones(size, np.float32))

    hidden, heads = shape.hidden, shape.heads * shape.head_size
    kv = shape.kv_heads * shape.head_size
    matrix("token_embd.weight", better if shape.tied else usual, shape.vocabulary, hidden)
    if not shape.tied:
        matrix("output.weight", better, shape.vocabulary, hidden)
    ones("output_norm.weight", hidden)
    for layer in range(shape.layers):
        at = f"blk.{layer}"
        of_values = better if has_more_bits(layer, shape.layers) else usual
        matrix(f"{at}.attn_q.weight", usual, heads, hidden)
        matrix(f"{at}.attn_k.weight", usual, kv, hidden)
        matrix(f"{at}.attn_v.weight", of_values, kv, hidden)
        matrix(f"{at}.attn_output.weight", usual, hidden, heads)
        ones(f"{at}.attn_norm.weight", hidden)
        ones(f"{at}.ffn_norm.weight", hidden)
        if not shape.experts:
            matrix(f"{at}.ffn_gate.weight", usual, shape.inner, hidden)
            matrix(f"{at}.ffn_up.weight", usual, shape.inner, hidden)
            matrix(f"{at}.ffn_down.weight", of_values, hidden, shape.inner)
            continue
        ones(f"{at}.attn_q_norm.weight", shape.head_size)
        ones(f"{at}.attn_k_norm.weight", shape.head_size)
        router = source.standard_normal((shape.experts, hidden), np.float32) / 20
        writer.add_tensor(f"{at}.ffn_gate_inp.weight", router)
        matrix(f"{at}.ffn_gate_exps.weight", usual, shape.experts, shape.expert_inner, hidden)
        matrix(f"{at}.ffn_up_exps.weight", usual, shape.experts, shape.expert_inner, hidden)
        matrix(f"{at}.ffn_down_exps.weight", of_values, shape.experts, hidden, shape.expert_inner)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--mixture", choices=MIXTURES, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True, help="a tokenizer.json of BPE")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    shape = SHAPES[given.shape]
    writer: Any = gguf.GGUFWriter(given.out, shape.architecture)
    write_settings(writer, shape)
    write_words(writer, given.tokenizer, shape.vocabulary)
    write_tensors(writer, shape, given.mixture)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
