"""Tensors of real and written GGUF files against gguf's own reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from engine.loading import gguf_config, gguf_families, gguf_header, gguf_weights
from engine.loading.gguf_header import GGUFHeader
from engine.packaged import PACKAGED
from tests.engine import tiny

SMOLLM2 = PACKAGED[0].file()
Q = gguf.GGMLQuantizationType
WRITABLE = (Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0)


@pytest.fixture(scope="module")
def header() -> GGUFHeader:
    return gguf_header.read(SMOLLM2)


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(SMOLLM2).tensors}


def mapped(path: Path) -> Any:
    return np.memmap(path, np.uint8, mode="r")


@pytest.mark.parametrize(
    "name", ["blk.0.attn_q.weight", "blk.7.ffn_down.weight", "blk.29.attn_norm.weight"]
)
def test_values_are_those_that_gguf_dequantises(
    name: str, header: GGUFHeader, stored: dict[str, Any]
) -> None:
    expected = gguf.dequantize(stored[name].data, stored[name].tensor_type)
    found = gguf_weights.dequantise(mapped(SMOLLM2), header.tensors[name])
    np.testing.assert_array_equal(found, expected.reshape(found.shape))


@pytest.mark.parametrize("kind", WRITABLE, ids=lambda kind: kind.name)
@pytest.mark.parametrize("shape", [(32,), (3, 64), (2048, 96)])
def test_every_type_and_size_is_read_whole(kind: Any, shape: Any, tmp_path: Path) -> None:
    """The last rows, which fill no turn of ROWS_BYTES, too."""
    values = np.random.default_rng(0).standard_normal(shape, np.float32)
    raw = gguf.quantize(values, kind)
    writer = tiny.gguf_writer(tmp_path / "x.gguf")
    writer.add_tensor("one", raw, raw_dtype=kind)
    tiny.finish(writer)
    info = gguf_header.read(tmp_path / "x.gguf").tensors["one"]
    found = gguf_weights.dequantise(mapped(tmp_path / "x.gguf"), info)
    np.testing.assert_array_equal(found, gguf.dequantize(raw, kind).reshape(shape))


def smollm2_weights(header: GGUFHeader) -> Iterator[Any]:
    row = gguf_families.of(header)
    config = gguf_config.settings(header, row)
    return gguf_weights.weights(header, gguf_weights.stored(header, row, config))


def test_queries_and_keys_are_turned_into_halves(
    header: GGUFHeader, stored: dict[str, Any]
) -> None:
    """What convert_hf_to_gguf.py did, done again, gives back what stands in the file."""
    wanted = {
        "model.layers.0.self_attn.q_proj.weight": 9,
        "model.layers.0.self_attn.k_proj.weight": 3,
    }
    found = {w.name: w.tensor for w in smollm2_weights(header) if w.name in wanted}
    for (name, heads), part in zip(wanted.items(), "qk", strict=True):
        tensor = found[name]
        again = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, -1).swapaxes(1, 2)
        raw = stored[f"blk.0.attn_{part}.weight"]
        expected = torch.from_numpy(gguf.dequantize(raw.data, raw.tensor_type))
        assert torch.equal(again.reshape(tensor.shape), expected)
        assert not torch.equal(tensor, expected)


def test_few_tensors_wait_to_be_taken(header: GGUFHeader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of 8 billion weights would fill 32 GB, dequantised faster than it is taken."""
    begun: list[Any] = []
    real = gguf_weights._pieces

    def counted(*arguments: Any) -> Any:
        begun.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(gguf_weights, "_pieces", counted)
    weights = smollm2_weights(header)
    for _ in range(3):
        next(weights)
    weights.close()  # type: ignore[attr-defined]  # a generator; ends what still runs
    assert len(begun) <= 3 + gguf_weights.AHEAD
