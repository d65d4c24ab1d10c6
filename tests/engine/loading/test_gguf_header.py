"""The gate against hostile GGUF files: what is true is read, what is not is refused."""

from __future__ import annotations

import contextlib
import os
import random
import struct
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from engine.catalog.packaged import PACKAGED
from engine.errors import CheckpointError, HearthError, UnsupportedError
from engine.loading.gguf import header as gguf_header
from engine.loading.gguf import types as gguf_types
from engine.loading.gguf.header import LongArray
from tests.engine import tiny

SMOLLM2 = PACKAGED[0].file()
ALIGNMENT = 32


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two tensors of one alignment each, so that not one byte can be spared."""
    path = tmp_path / "tiny.gguf"
    writer = tiny.gguf_writer(path)
    writer.add_block_count(2)
    writer.add_array("tokenizer.ggml.tokens", [f"{index}" for index in range(66)])
    writer.add_tensor("first", np.arange(8, dtype=np.float32))
    writer.add_tensor("second", np.arange(8, dtype=np.float32).reshape(2, 4))
    tiny.finish(writer)
    return path


def pair(key: str, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", kind) + value


def entry(name: str, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
    return struct.pack("<Q", len(name)) + name.encode() + sizes + struct.pack("<IQ", kind, offset)


def written(
    path: Path,
    entries: list[bytes],
    pairs: list[bytes] | None = None,
    *,
    data: int = 256,
    counts: tuple[int, int] | None = None,
    version: int = 3,
) -> Path:
    """A file put together by hand, as GGUFWriter refuses to write what is wrong."""
    pairs = pairs or []
    tensors, metadata = counts or (len(entries), len(pairs))
    header = b"GGUF" + struct.pack("<IQQ", version, tensors, metadata)
    header += b"".join(pairs) + b"".join(entries)
    path.write_bytes(header + bytes(-len(header) % ALIGNMENT) + bytes(data))
    return path


def refusal(path: Path, kind: type[HearthError] = CheckpointError) -> str:
    with pytest.raises(HearthError) as caught:
        gguf_header.read(path)
    assert type(caught.value) is kind
    assert caught.value.hint.endswith(".") or " --" in caught.value.hint
    assert len(caught.value.detail) < 300
    assert "Traceback" not in caught.value.detail
    return caught.value.detail


# ---------------------------------------------------------------------------- what is true


def test_reads_what_ggufs_own_reader_reads() -> None:
    header = gguf_header.read(SMOLLM2)
    reference = gguf.GGUFReader(SMOLLM2)
    assert header.version == 3
    assert set(header.metadata) == {key for key in reference.fields if key[:5] != "GGUF."}
    assert len(header.tensors) == len(reference.tensors) == 272
    for tensor in reference.tensors:
        found = header.tensors[tensor.name]
        assert found.shape == tuple(map(int, reversed(tensor.shape)))
        assert found.type_id == tensor.tensor_type
        assert (found.offset, found.size) == (tensor.data_offset, tensor.n_bytes)
    for key, field in reference.fields.items():
        if key[:5] != "GGUF.":
            assert value(header, key) == field.contents(), key


def value(header: gguf_header.GGUFHeader, key: str) -> Any:
    found = header.metadata[key]
    return header.items(key) if isinstance(found, LongArray | tuple) else found


def test_a_vocabulary_is_stepped_over_until_asked_for(file: Path) -> None:
    header = gguf_header.read(file)
    assert isinstance(header.metadata["tokenizer.ggml.tokens"], LongArray)
    assert header.items("tokenizer.ggml.tokens")[65] == "65"


def test_every_scalar_and_array_type_is_read(tmp_path: Path) -> None:
    writer = tiny.gguf_writer(tmp_path / "types.gguf")
    scalars = {
        "uint8": 200, "int8": -3, "uint16": 60_000, "int16": -300, "uint32": 4_000_000_000,
        "int32": -70_000, "uint64": 1 << 63, "int64": -(1 << 62), "float32": 0.5,
        "float64": 0.1, "bool": True, "string": "ä 🔥",
    }  # fmt: skip
    for kind, scalar in scalars.items():
        getattr(writer, f"add_{kind}")(f"of.{kind}", scalar)
    arrays: dict[str, list[Any]] = {
        "few": [1, 2, 3],
        "many": list(range(1000)),
        "floats": [0.5] * 100,
        "flags": [True, False] * 50,
    }
    for name, items in arrays.items():
        writer.add_array(name, items)
    writer.add_tensor("first", np.zeros(8, np.float32))
    tiny.finish(writer)
    header = gguf_header.read(tmp_path / "types.gguf")
    assert {kind: header.metadata[f"of.{kind}"] for kind in scalars} == scalars
    assert {name: header.items(name) for name in arrays} == arrays


def test_table_of_tensor_types_is_ggufs_own() -> None:
    sizes = {
        int(kind): (kind.name, *gguf.GGML_QUANT_SIZES[kind])
        for kind in gguf.GGMLQuantizationType
        if int(kind) in gguf_types.TENSOR_TYPES
    }
    assert {k: v[:3] for k, v in gguf_types.TENSOR_TYPES.items()} == sizes


def test_table_of_file_types_is_ggufs_own() -> None:
    names = {int(kind): kind.name.partition("_")[2] for kind in gguf.LlamaFileType}
    assert {number: names[number] for number in gguf_types.FILE_TYPES} == gguf_types.FILE_TYPES


def test_pieces_that_are_no_utf8_stay_distinct(tmp_path: Path) -> None:
    strings = b"".join(struct.pack("<Q", 1) + bytes([byte]) for byte in (0xFE, 0xFF))
    path = written(tmp_path / "x.gguf", [], [pair("tokens", 9, struct.pack("<IQ", 8, 2) + strings)])
    first, second = gguf_header.read(path).items("tokens")
    assert first != second


# ---------------------------------------------------------------------------- what is no GGUF file


def test_missing_file(tmp_path: Path) -> None:
    assert "There is no file" in refusal(tmp_path / "none.gguf")


def test_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").touch()
    assert refusal(tmp_path / "x.gguf") == "x.gguf is empty."


@pytest.mark.parametrize("content", [b"GG", b"PK\x03\x04 a zip file", b"\x80\x02 a pickle" * 99])
def test_another_kind_of_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    assert refusal(tmp_path / "x.gguf") == "x.gguf is not a GGUF file."


def test_a_pickle_file(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    assert "Pickle files can run code" in refusal(tmp_path / "pytorch_model.bin")


def test_a_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path).endswith("is not a file.")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_named_pipe_is_not_waited_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.gguf")
    assert refusal(tmp_path / "x.gguf") == "x.gguf is not a file."


@pytest.mark.parametrize(
    ("version", "said"), [(1, "version 1"), (4, "version 4"), (3 << 24, "big-endian")]
)
def test_versions_that_cannot_be_read(tmp_path: Path, version: int, said: str) -> None:
    path = written(tmp_path / "x.gguf", [], version=version)
    assert said in refusal(path, UnsupportedError)


# ---------------------------------------------------------------------------- what is not true


def test_cut_off_at_any_byte(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in range(4, len(whole)):
        cut.write_bytes(whole[:length])
        assert "cut.gguf is not complete" in refusal(cut)


def test_any_byte_changed_is_read_or_refused(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    changed = tmp_path / "changed.gguf"
    random.seed(0)
    for position in range(len(whole) - 64):
        byte = random.choice((0, 0x7F, 0xFF, random.randrange(256)))
        changed.write_bytes(whole[:position] + bytes([byte]) + whole[position + 1 :])
        with contextlib.suppress(CheckpointError, UnsupportedError):
            tensors = gguf_header.read(changed).tensors.values()
            assert all(tensor.offset + tensor.size <= len(whole) for tensor in tensors)


@pytest.mark.parametrize("counts", [(2**63, 0), (0, 2**63), (10**9, 0), (0, 10**9)])
def test_huge_counts(tmp_path: Path, counts: tuple[int, int]) -> None:
    assert "not complete" in refusal(written(tmp_path / "x.gguf", [], counts=counts))


@pytest.mark.parametrize("kind", [0, 8, 10])
def test_huge_array(tmp_path: Path, kind: int) -> None:
    array = pair("list", 9, struct.pack("<IQ", kind, 2**61))
    assert "not complete" in refusal(written(tmp_path / "x.gguf", [], [array]))


def test_array_of_arrays(tmp_path: Path) -> None:
    array = pair("list", 9, struct.pack("<IQ", 9, 1))
    path = written(tmp_path / "x.gguf", [], [array])
    assert "a list of lists" in refusal(path, UnsupportedError)


def test_huge_string(tmp_path: Path) -> None:
    text = pair("text", 8, struct.pack("<Q", 2**63))
    assert "not complete" in refusal(written(tmp_path / "x.gguf", [], [text]))


def test_key_that_occurs_twice(tmp_path: Path) -> None:
    twice = [pair("one", 0, b"1"), pair("one", 0, b"2")]
    assert "'one' occurs twice" in refusal(written(tmp_path / "x.gguf", [], twice))


def test_tensor_that_occurs_twice(tmp_path: Path) -> None:
    entries = [entry("one", (8,), 0, 0), entry("one", (8,), 0, 32)]
    assert "'one' occurs twice" in refusal(written(tmp_path / "x.gguf", entries))


def test_tensors_that_overlap(tmp_path: Path) -> None:
    entries = [entry("one", (16,), 0, 0), entry("two", (8,), 0, 32)]
    assert "'two' overlaps another" in refusal(written(tmp_path / "x.gguf", entries))


@pytest.mark.parametrize("offset", [256, 1 << 40, 2**64 - 32])
def test_tensor_outside_of_the_file(tmp_path: Path, offset: int) -> None:
    path = written(tmp_path / "x.gguf", [entry("one", (8,), 0, offset)])
    assert "'one' lies outside" in refusal(path)


def test_tensor_that_is_not_aligned(tmp_path: Path) -> None:
    path = written(tmp_path / "x.gguf", [entry("one", (8,), 0, 8)])
    assert "'one' is not aligned" in refusal(path)


@pytest.mark.parametrize("shape", [(2**63, 2**63), (0,), (2**32, 2**32, 2**32, 2**32)])
def test_impossible_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    why = refusal(written(tmp_path / "x.gguf", [entry("one", shape, 0, 0)]))
    assert why.endswith(("tensor 'one' lies outside of it.", "tensor 'one' cannot be [0] of F32."))


def test_rows_that_are_no_whole_blocks(tmp_path: Path) -> None:
    path = written(tmp_path / "x.gguf", [entry("one", (4, 31), 2, 0)])
    assert "cannot be [4, 31] of Q4_0" in refusal(path)


@pytest.mark.parametrize("dimensions", [0, 5, 2**32 - 1])
def test_wrong_number_of_dimensions(tmp_path: Path, dimensions: int) -> None:
    broken = struct.pack("<Q", 3) + b"one" + struct.pack("<I", dimensions) + bytes(64)
    assert f"{dimensions} dimensions" in refusal(written(tmp_path / "x.gguf", [broken]))


def test_type_that_is_not_known(tmp_path: Path) -> None:
    path = written(tmp_path / "x.gguf", [entry("one", (8,), 4, 0)])
    assert "type that Hearth does not know (4)" in refusal(path, UnsupportedError)


@pytest.mark.parametrize("alignment", [0, 3, 48])
def test_alignment_that_is_no_power_of_two(tmp_path: Path, alignment: int) -> None:
    key = pair("general.alignment", 4, struct.pack("<I", alignment))
    assert f"alignment is {alignment}" in refusal(written(tmp_path / "x.gguf", [], [key]))


def test_names_as_long_as_the_file_are_shown_in_part(tmp_path: Path) -> None:
    entries = [entry("n" * 60_000, (8,), 0, 8)]
    assert "nnn..." in refusal(written(tmp_path / "x.gguf", entries))


def test_value_that_is_no_number(tmp_path: Path) -> None:
    text = struct.pack("<Q", 5000) + b"n" * 5000
    architecture = pair("general.architecture", 8, struct.pack("<Q", 5) + b"llama")
    path = written(tmp_path / "x.gguf", [], [architecture, pair("llama.block_count", 8, text)])
    with pytest.raises(CheckpointError, match="block_count must be a number") as caught:
        gguf_header.read(path).number("block_count")
    assert len(caught.value.detail) < 300


def test_sizes_that_differ_from_layer_to_layer(tmp_path: Path) -> None:
    writer = tiny.gguf_writer(tmp_path / "x.gguf")
    writer.add_head_count_kv([4, 4, 2])
    writer.add_feed_forward_length([64, 64, 64])
    tiny.finish(writer)
    header = gguf_header.read(tmp_path / "x.gguf")
    assert header.number("feed_forward_length") == 64
    with pytest.raises(UnsupportedError, match="for each layer"):
        header.number("attention.head_count_kv")
