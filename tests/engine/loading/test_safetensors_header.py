"""The gate against hostile safetensors files."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from engine.errors import CheckpointError, HearthError, UnsupportedError
from engine.loading.safetensors import header as safetensors_header

TWO: dict[str, Any] = {
    "one": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
    "two": {"dtype": "BF16", "shape": [4], "data_offsets": [16, 24]},
}


def written(path: Path, entries: object, data: int = 24, length: int | None = None) -> Path:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    stated = len(text) if length is None else length
    path.write_bytes(stated.to_bytes(8, "little") + text + bytes(data))
    return path


def changed(name: str, **changes: object) -> dict[str, Any]:
    return TWO | {name: TWO[name] | changes}


def refusal(path: Path, kind: type[HearthError] = CheckpointError) -> str:
    with pytest.raises(HearthError) as caught:
        safetensors_header.read(path)
    assert type(caught.value) is kind
    assert caught.value.hint
    assert len(caught.value.detail) < 300
    return caught.value.detail


def test_reads_what_the_library_reads(tmp_path: Path) -> None:
    tensors = {
        "float32": torch.zeros(3, 4),
        "bfloat16": torch.zeros(5, dtype=torch.bfloat16),
        "int64": torch.zeros(2, dtype=torch.int64),
        "scalar": torch.zeros((), dtype=torch.float16),
        "empty": torch.zeros(0, 4),
    }
    save_file(tensors, tmp_path / "x.safetensors", {"format": "pt"})
    found = safetensors_header.read(tmp_path / "x.safetensors").tensors
    assert found.keys() == tensors.keys()
    whole = (tmp_path / "x.safetensors").stat().st_size
    for name, tensor in tensors.items():
        assert found[name].shape == tuple(tensor.shape)
        assert found[name].size == tensor.nbytes
        assert found[name].parameters == tensor.numel()
        assert found[name].end <= whole


def test_missing_file(tmp_path: Path) -> None:
    assert "There is no file" in refusal(tmp_path / "none.safetensors")


def test_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").touch()
    assert refusal(tmp_path / "x.safetensors") == "x.safetensors is empty."


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_named_pipe_is_not_waited_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.safetensors")
    assert "not a file" in refusal(tmp_path / "x.safetensors")


def test_cut_off_at_any_byte(tmp_path: Path) -> None:
    whole = written(tmp_path / "x.safetensors", TWO).read_bytes()
    cut = tmp_path / "cut.safetensors"
    for length in range(1, len(whole)):
        cut.write_bytes(whole[:length])
        assert "not complete" in refusal(cut)


def test_any_byte_changed_is_refused_or_as_the_library_has_it(tmp_path: Path) -> None:
    whole = written(tmp_path / "x.safetensors", TWO).read_bytes()
    path = tmp_path / "changed.safetensors"
    random.seed(0)
    for position in range(len(whole) - 24):
        for byte in (0x20, 0x30, 0xFF, random.randrange(256)):
            path.write_bytes(whole[:position] + bytes([byte]) + whole[position + 1 :])
            with contextlib.suppress(CheckpointError, UnsupportedError):
                found = safetensors_header.read(path).tensors
                with safe_open(path, framework="pt") as file:
                    assert set(file.keys()) == found.keys()
                    shapes = {name: tuple(file.get_slice(name).get_shape()) for name in found}
                assert shapes == {name: tensor.shape for name, tensor in found.items()}


@pytest.mark.parametrize("length", [10_000, 2**40, 2**64 - 1])
def test_header_longer_than_the_file(length: int, tmp_path: Path) -> None:
    assert "not all there" in refusal(written(tmp_path / "x.safetensors", TWO, length=length))


def test_huge_header_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes((200_000_000).to_bytes(8, "little"))
    os.truncate(path, 300_000_000)  # a hole: takes no room on the disk
    assert "too long" in refusal(path)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"no JSON", b"\xff\xfe", b'{"a":' + b"[" * 200_000, b'{"\xff":7}'],
    ids=lambda text: repr(text[:9]),
)
def test_header_that_is_no_json(text: bytes, tmp_path: Path) -> None:
    assert "no JSON" in refusal(written(tmp_path / "x.safetensors", text))


@pytest.mark.parametrize("text", [[], 7, "text", None, b"[" * 200_000, b"9" * 5000])
def test_header_that_is_no_object(text: object, tmp_path: Path) -> None:
    assert "no list of tensors" in refusal(written(tmp_path / "x.safetensors", text))


@pytest.mark.parametrize(
    "entry",
    [
        7, [], {}, {"dtype": "F32"},
        {**TWO["one"], "data_offsets": [0]},
        {**TWO["one"], "data_offsets": ["0", "16"]},
        {**TWO["one"], "data_offsets": [-16, 0]},
        {**TWO["one"], "data_offsets": [0.0, 16.0]},
        {**TWO["one"], "shape": [2, -2]},
        {**TWO["one"], "shape": 4},
        {**TWO["one"], "shape": [True, 4]},
        {**TWO["one"], "shape": [1] * 65},
        {**TWO["one"], "shape": [10**300, 0]},
        {**TWO["one"], "data_offsets": [2**70, 2**70 + 16]},
    ],
)  # fmt: skip
def test_tensor_that_is_not_described(entry: object, tmp_path: Path) -> None:
    assert "'one' is not described" in refusal(written(tmp_path / "x.safetensors", {"one": entry}))


@pytest.mark.parametrize("shape", [[3, 2], [2**62, 2**62], [0], [2**62] * 64, [1] * 63 + [5]])
def test_size_that_is_not_the_shapes(shape: list[int], tmp_path: Path) -> None:
    path = written(tmp_path / "x.safetensors", changed("one", shape=shape))
    assert "'one' has not the size of its shape" in refusal(path)


def test_an_empty_tensor_has_no_dimension_larger_than_the_file(tmp_path: Path) -> None:
    """How large a model's dimensions may be is told by those of its weights."""
    empty = {"empty": {"dtype": "F32", "shape": [0, 2**40], "data_offsets": [0, 0]}}
    path = written(tmp_path / "x.safetensors", empty, data=0)
    assert "'empty' has not the size of its shape" in refusal(path)


HUGE = b'{"a":{"dtype":"F32","shape":[%b],"data_offsets":[0,4]}}'
MEGABYTES: dict[str, bytes] = {
    "huge dimensions": HUGE % b",".join([b"1" + b"0" * 300] * 50_000),
    "many dimensions": HUGE % b",".join([b"1"] * 7_900_000),
    "long dimensions": HUGE % b",".join([b"1" * 4000] * 3900),
    "lists": b'{"a":[' + b",".join([b"[]"] * 5_000_000) + b"]}",
    "a long name": b'{"' + b"n" * 15_000_000 + b'":' + (HUGE % b"1")[5:],
}


@pytest.mark.parametrize("header", MEGABYTES.values(), ids=MEGABYTES)
def test_megabytes_of_a_header_are_refused_at_once(header: bytes, tmp_path: Path) -> None:
    """Each took seconds, gigabytes or hours."""
    path = written(tmp_path / "x.safetensors", header, data=4)
    begin = time.process_time()
    assert "is damaged" in refusal(path)
    assert time.process_time() - begin < 2


def test_ten_thousand_tensors_are_read(tmp_path: Path) -> None:
    entries = {
        f"model.layers.{i // 256}.mlp.experts.{i % 256}.down_proj.weight": {
            "dtype": "BF16", "shape": [1], "data_offsets": [2 * i, 2 * i + 2]
        }
        for i in range(10_000)
    }  # fmt: skip
    path = written(tmp_path / "x.safetensors", entries, data=20_000)
    assert len(safetensors_header.read(path).tensors) == 10_000


def test_type_that_is_not_known(tmp_path: Path) -> None:
    path = written(tmp_path / "x.safetensors", changed("one", dtype="F128" * 99))
    assert "'F128F128" in refusal(path, UnsupportedError)


@pytest.mark.parametrize("begin", [24, 2**62])
def test_tensor_outside_of_the_file(begin: int, tmp_path: Path) -> None:
    outside = changed("two", data_offsets=[begin, begin + 8])
    assert "'two' lies outside" in refusal(written(tmp_path / "x.safetensors", outside))


def test_tensors_that_overlap(tmp_path: Path) -> None:
    overlapping = changed("two", data_offsets=[8, 16])
    assert "overlaps" in refusal(written(tmp_path / "x.safetensors", overlapping, data=16))


def test_hole_between_tensors(tmp_path: Path) -> None:
    apart = changed("two", data_offsets=[24, 32])
    assert "hole" in refusal(written(tmp_path / "x.safetensors", apart, data=32))


def test_more_than_the_tensors(tmp_path: Path) -> None:
    assert "more in it" in refusal(written(tmp_path / "x.safetensors", TWO, data=32))


def test_names_are_shown_in_part_and_printable(tmp_path: Path) -> None:
    entries = {"\ud800\n" + "n" * 10_000: 7}
    said = refusal(written(tmp_path / "x.safetensors", entries))
    assert said.isascii()
    assert "\n" not in said
