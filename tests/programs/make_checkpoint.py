"""Writes a checkpoint of a known shape with random weights, for measuring; its text is noise.

python -m tests.programs.make_checkpoint llama-3.1-8b --tokenizer FOLDER --out FOLDER

FOLDER of the tokenizer holds tokenizer.json and tokenizer_config.json of any real model whose
vocabulary is no larger than the shape's.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file

from engine.bench.shapes import SHAPES, drawn

SHARD_BYTES = 4 << 30


def write(name: str, tokenizer: Path, out: Path) -> None:
    """Writes config, weights in shards with an index, and the tokenizer's files."""
    shape = SHAPES[name]
    config = shape.config()
    config.architectures = [shape.family.architecture]
    out.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(out)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    write_shards(drawn(shape, config, device, torch.bfloat16), out)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / file, out / file)


def write_shards(weights: Iterable[tuple[str, torch.Tensor]], out: Path) -> None:
    where: dict[str, str] = {}
    for number, shard in enumerate(shards(weights)):
        file = f"model-{number:05}.safetensors"
        save_file(shard, out / file, metadata={"format": "pt"})
        where |= dict.fromkeys(shard, file)
    index = {"metadata": {}, "weight_map": where}
    (out / "model.safetensors.index.json").write_text(json.dumps(index))


def shards(weights: Iterable[tuple[str, torch.Tensor]]) -> Iterator[dict[str, torch.Tensor]]:
    """Of SHARD_BYTES and up to one weight more; the last is what is left."""
    shard: dict[str, torch.Tensor] = {}
    for name, weight in weights:
        shard[name] = weight.cpu()
        if sum(tensor.nbytes for tensor in shard.values()) >= SHARD_BYTES:
            yield shard
            shard = {}
    if shard:
        yield shard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    write(arguments.shape, arguments.tokenizer, arguments.out)


if __name__ == "__main__":
    main()
