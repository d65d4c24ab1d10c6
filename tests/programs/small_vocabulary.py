"""A real checkpoint made small enough to be carried, for a text that is known before.

python -m tests.programs.small_vocabulary --model MODEL [--text FILE ...] [--tokens 2512]
    [--vocabulary 1536] --out FILE.npz
python -m tests.programs.small_vocabulary --unpack FILE.npz --out FOLDER

MODEL is a GGUF file with byte-level BPE whose output is tied to its embedding, or an id of one. The
embedding keeps the rows of the text's tokens, of the special ones, and of the lowest ids up to
`--vocabulary`; the tokens are numbered anew, in the order that they had. Every other tensor stays
as it is, to the last bit. Probabilities are then those of the model among the tokens that are kept.

What is written is no GGUF file but one packed without loss: Q4_1's numbers compress where blocks of
like scales stand together. Unpacked, there are small.gguf and ids.json, which
`python -m tests.programs.drift --model FOLDER/small.gguf --ids FOLDER/ids.json` takes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np
from numpy.typing import NDArray

from engine.catalog import listing
from tests.programs.drift import TEXTS, ids_of, opened

Bytes = NDArray[np.uint8]
EMBEDDING: Final = "token_embd.weight"
SPECIAL: Final = "_token_id"
BLOCK: Final = 20
"""Bytes of a block of Q4_1: scale and minimum in float16, then 32 numbers of 4 bits."""
SCALES: Final = 4
NAMES: Final = ("small.gguf", "ids.json")


def kept_tokens(reader: Any, ids: Sequence[int], count: int) -> list[int]:
    """Old ids of the tokens that stay, in rising order. Raises ValueError if there are too many."""
    fields = reader.fields.items()
    special = {int(field.contents()) for name, field in fields if name.endswith(SPECIAL)}
    kept = special | set(ids)
    if len(kept) > count:
        raise ValueError(f"The text needs {len(kept):,} tokens, {count:,} are to be kept.")
    others = (token for token in range(count) if token not in kept)
    return sorted(
        kept | {token for token, _ in zip(others, range(count - len(kept)), strict=False)}
    )


def write_small(reader: Any, kept: Sequence[int], path: Path) -> None:
    """The file that `reader` reads with these tokens alone."""
    values = {name: field.contents() for name, field in reader.fields.items()}
    architecture = values["general.architecture"]
    tokens = values["tokenizer.ggml.tokens"]
    spelled = {tokens[token] for token in kept}
    new = {
        "tokenizer.ggml.tokens": [tokens[token] for token in kept],
        "tokenizer.ggml.token_type": [values["tokenizer.ggml.token_type"][token] for token in kept],
        "tokenizer.ggml.merges": [
            merge for merge in values["tokenizer.ggml.merges"] if makes(merge) <= spelled
        ],
        f"{architecture}.vocab_size": len(kept),
    } | {name: kept.index(value) for name, value in values.items() if name.endswith(SPECIAL)}
    writer = gguf.GGUFWriter(path, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind, *items = field.types
        writer.add_key_value(name, new.get(name, values[name]), kind, *items[-1:])
    for tensor in reader.tensors:
        data = tensor.data[list(kept)] if tensor.name == EMBEDDING else tensor.data
        writer.add_tensor(tensor.name, data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def makes(merge: str) -> set[str]:
    """The two parts of a merge, and what comes of them."""
    left, right = merge.split(" ")
    return {left, right, left + right}


def by_scale(scales: Bytes) -> NDArray[np.intp]:
    """The order of blocks [blocks, SCALES] by where 0 lies among their numbers."""
    scale, minimum = scales.view("<f2").astype(np.float32).T
    return np.argsort(minimum / np.where(scale == 0, 1, scale), kind="stable")


def pack(path: Path, ids: Sequence[int], out: Path) -> None:
    reader = gguf.GGUFReader(path)
    places = [
        (tensor.data_offset, tensor.n_bytes)
        for tensor in reader.tensors
        if tensor.tensor_type == gguf.GGMLQuantizationType.Q4_1
    ]
    content = np.fromfile(path, np.uint8)
    packed = in_places(len(content), places)
    blocks = content[packed].reshape(-1, BLOCK)
    scales = np.ascontiguousarray(blocks[:, :SCALES])
    np.savez(
        out,
        ids=np.array(ids, np.uint32),
        places=np.array(places),
        rest=coded(content[~packed]),
        scales=coded(scales.T),  # each byte's values by themselves
        numbers=coded(blocks[by_scale(scales), SCALES:]),
    )


def coded(values: Bytes) -> Bytes:
    """By Huffman codes alone, which is smaller: nothing in weights repeats."""
    coder = zlib.compressobj(9, strategy=zlib.Z_HUFFMAN_ONLY)
    return np.frombuffer(coder.compress(values.tobytes()) + coder.flush(), np.uint8)


def decoded(values: Bytes, columns: int) -> Bytes:
    """[values / columns, columns]"""
    return np.frombuffer(zlib.decompress(values.tobytes()), np.uint8).reshape(-1, columns)


def in_places(size: int, places: Any) -> NDArray[np.bool_]:
    found = np.zeros(size, np.bool_)
    for offset, length in places:
        found[offset : offset + length] = True
    return found


def unpack(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with np.load(file) as stored:
        planes = decoded(stored["scales"], 1).reshape(SCALES, -1)
        scales = np.ascontiguousarray(planes.T)
        blocks = np.empty((len(scales), BLOCK), np.uint8)
        blocks[:, :SCALES] = scales
        blocks[by_scale(scales), SCALES:] = decoded(stored["numbers"], BLOCK - SCALES)
        rest = decoded(stored["rest"], 1).ravel()
        packed = in_places(len(rest) + blocks.size, stored["places"])
        ids = stored["ids"].tolist()
    content = np.empty(len(packed), np.uint8)
    content[packed] = blocks.ravel()
    content[~packed] = rest
    model, text = (folder / name for name in NAMES)
    content.tofile(model)
    text.write_text(json.dumps(ids), "utf-8")


def make(options: argparse.Namespace) -> dict[str, int]:
    model = listing.resolve(options.model)
    ids = ids_of(opened(model).tokenizer, options.text, options.tokens)
    reader = gguf.GGUFReader(model)
    kept = kept_tokens(reader, ids, options.vocabulary)
    with tempfile.TemporaryDirectory() as made:
        small = Path(made) / "small.gguf"
        write_small(reader, kept, small)
        pack(small, [kept.index(token) for token in ids], options.out)
        unpack(options.out, Path(made) / "again")
        if small.read_bytes() != (Path(made) / "again" / NAMES[0]).read_bytes():
            raise ValueError("What was packed is not what comes out.")
        return {
            "tokens of the text": len(ids),
            "different ones": len(set(ids)),
            "kept": len(kept),
            "bytes": small.stat().st_size,
            "bytes packed": options.out.stat().st_size,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model")
    source.add_argument("--unpack", type=Path)
    parser.add_argument("--text", type=Path, nargs="+", default=TEXTS)
    parser.add_argument("--tokens", type=int, default=2512)
    parser.add_argument("--vocabulary", type=int, default=1536)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.unpack:
        unpack(options.unpack, options.out)
    else:
        print(json.dumps(make(options)))


if __name__ == "__main__":
    main()
