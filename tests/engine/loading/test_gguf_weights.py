"""Tensors of real and written GGUF files against gguf's own reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from engine.catalog.packaged import PACKAGED
from engine.errors import UnsupportedError
from engine.loading.gguf import config as gguf_config
from engine.loading.gguf import families as gguf_families
from engine.loading.gguf import header as gguf_header
from engine.loading.gguf import types as gguf_types
from engine.loading.gguf import weights as gguf_weights
from engine.loading.gguf.header import GGUFHeader
from engine.loading.weights import Weight
from tests.engine import tiny

SMOLLM2 = PACKAGED[0].file()
Q = gguf.GGMLQuantizationType
READABLE = sorted({Q.F32, Q.F16, *gguf.quants._type_traits})


@pytest.fixture(scope="module")
def header() -> GGUFHeader:
    return gguf_header.read(SMOLLM2)


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(SMOLLM2).tensors}


@pytest.mark.parametrize(
    "name", ["blk.0.attn_q.weight", "blk.7.ffn_down.weight", "blk.29.attn_norm.weight"]
)
def test_values_are_those_that_gguf_dequantises(
    name: str, header: GGUFHeader, stored: dict[str, Any]
) -> None:
    expected = gguf.dequantize(stored[name].data, stored[name].tensor_type)
    found = gguf_weights.values(header, name)
    np.testing.assert_array_equal(found, expected.reshape(found.shape))


def written(path: Path, raw: Any, kind: Any) -> GGUFHeader:
    writer = tiny.gguf_writer(path)
    writer.add_tensor("one", raw, raw_dtype=kind)
    tiny.finish(writer)
    return gguf_header.read(path)


@pytest.mark.parametrize("kind", READABLE, ids=lambda kind: kind.name)
@pytest.mark.parametrize("rows", [1, 3, 700])
def test_every_type_is_read_as_gguf_reads_it(kind: Any, rows: int, tmp_path: Path) -> None:
    """Bytes of any kind, scales that are no numbers too; last rows fill no turn of ROWS_BYTES."""
    _, size = gguf.GGML_QUANT_SIZES[kind]
    raw = np.random.default_rng(rows).integers(0, 256, (rows, 3 * size), np.uint8)
    header = written(tmp_path / "x.gguf", raw, kind)
    with np.errstate(all="ignore"):
        found = gguf_weights.values(header, "one")
        np.testing.assert_array_equal(found, gguf.dequantize(raw, kind).reshape(found.shape))


@pytest.mark.parametrize("piece", [1, 1 << 17, 1 << 40])
def test_pieces_of_a_tensor_are_all_of_it(
    piece: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gguf_weights, "PIECE_BYTES", piece)
    raw = gguf.quantize(np.random.default_rng(0).standard_normal((999, 512), np.float32), Q.Q8_0)
    header = written(tmp_path / "x.gguf", raw, Q.Q8_0)
    found = gguf_weights.values(header, "one")
    np.testing.assert_array_equal(found, gguf.dequantize(raw, Q.Q8_0))


def test_every_other_type_is_refused_by_name() -> None:
    for kind in set(Q) - set(READABLE):
        with pytest.raises(UnsupportedError, match=f"type {kind.name} cannot be read") as caught:
            gguf_types.check([gguf_types.TENSOR_TYPES[kind]])
        assert "Q4_K_M" in caught.value.hint


def test_type_that_an_older_gguf_does_not_know(header: GGUFHeader) -> None:
    info = header.tensors["blk.0.attn_q.weight"]
    unknown = replace(info, shape=(1,), type_id=99, size=info.type.size)
    with pytest.raises(UnsupportedError, match="cannot be read"):
        gguf_weights.dequantise(header, unknown)


def smollm2_weights(header: GGUFHeader) -> Iterator[Weight]:
    row = gguf_families.of(header)
    config = gguf_config.settings(header, row)
    return gguf_weights.weights(header, gguf_weights.stored(header, row, config), {})


def filled(weight: Weight) -> torch.Tensor:
    target = torch.empty(weight.shape)
    weight.fill(target)
    return target


def test_queries_and_keys_are_turned_into_halves(
    header: GGUFHeader, stored: dict[str, Any]
) -> None:
    """What convert_hf_to_gguf.py did, done again, gives back what stands in the file."""
    wanted = {
        "model.layers.0.self_attn.q_proj.weight": 9,
        "model.layers.0.self_attn.k_proj.weight": 3,
    }
    found = {w.name: filled(w) for w in smollm2_weights(header) if w.name in wanted}
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
