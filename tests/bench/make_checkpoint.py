"""Writes a checkpoint of a known shape with random weights, for measuring; its text is noise.

python -m tests.bench.make_checkpoint llama-3.1-8b --tokenizer FOLDER --out FOLDER

FOLDER of the tokenizer holds tokenizer.json and tokenizer_config.json of any real model whose
vocabulary is no larger than the shape's.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM

SPREAD = 0.02
"""Standard deviation of the weights, as the models' own initialisation has it."""
SHARD_BYTES = 4 << 30

LLAMA_3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def llama(**sizes: Any) -> tuple[type, Any]:
    config = LlamaConfig(
        max_position_embeddings=131_072, rope_parameters=LLAMA_3_ROPE, dtype="bfloat16", **sizes
    )
    return LlamaForCausalLM, config


def gemma_3_4b() -> tuple[type, Any]:
    config = Gemma3TextConfig(
        vocab_size=262_208,
        hidden_size=2560,
        intermediate_size=10_240,
        num_hidden_layers=34,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=256,
        sliding_window=1024,
        max_position_embeddings=131_072,
        dtype="bfloat16",
    )
    return Gemma3ForCausalLM, config


SHAPES = {
    "llama-3.2-1b": lambda: llama(
        vocab_size=128_256,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=64,
        tie_word_embeddings=True,
    ),
    "llama-3.1-8b": lambda: llama(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
        tie_word_embeddings=False,
    ),
    "gemma-3-4b": gemma_3_4b,
}


def write(shape: str, tokenizer: Path, out: Path) -> None:
    """Writes config, weights in shards with an index, and the tokenizer's files."""
    model_class, config = SHAPES[shape]()
    config.architectures = [model_class.__name__]
    out.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(out)
    with torch.device("meta"):
        model = model_class(config)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    names = {name: value.shape for name, value in model.state_dict().items() if name not in tied}
    write_shards(names, out, 0.0 if config.model_type.startswith("gemma") else 1.0)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / file, out / file)


def write_shards(names: dict[str, torch.Size], out: Path, norm: float) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shard: dict[str, torch.Tensor] = {}
    where: dict[str, str] = {}
    count = 0
    for name, size in names.items():
        shard[name] = drawn(name, size, device, norm)
        where[name] = f"model-{count:05}.safetensors"
        full = sum(tensor.nbytes for tensor in shard.values()) >= SHARD_BYTES
        if full or len(where) == len(names):
            save_file(shard, out / where[name], metadata={"format": "pt"})
            shard, count = {}, count + 1
    index = {"metadata": {}, "weight_map": where}
    (out / "model.safetensors.index.json").write_text(json.dumps(index))


def drawn(name: str, size: torch.Size, device: str, norm: float) -> torch.Tensor:
    """Gemma stores its norms less 1: `norm` is what stands for one."""
    if name.endswith("norm.weight"):
        return torch.full(size, norm, dtype=torch.bfloat16)
    weights = torch.empty(size, dtype=torch.bfloat16, device=device).normal_(std=SPREAD)
    return weights.cpu()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    write(arguments.shape, arguments.tokenizer, arguments.out)


if __name__ == "__main__":
    main()
