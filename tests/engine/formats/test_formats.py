"""Weights in blocks hold the values that gguf's own `dequantize` gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize

from engine.formats import codes
from engine.formats.format import Format
from engine.formats.registry import FORMATS

ROWS, COLUMNS = 3, 512


def random_rows(form: Format, seed: int = 0) -> np.ndarray:
    """uint8 [rows, bytes]: random bits, but where a float of a block would not be finite."""
    source = np.random.default_rng(seed)
    raw = source.integers(0, 256, (ROWS * COLUMNS // form.block, form.size), np.uint8)
    with np.errstate(all="ignore"):
        values = dequantize(raw, GGMLQuantizationType[form.name])
    raw[~np.isfinite(values).all(1)] &= 0xBB  # an exponent of float16 without its highest bit
    return raw.reshape(ROWS, -1)


@pytest.mark.parametrize("name", FORMATS)
def test_repacked_blocks_have_gguf_s_own_values_bit_for_bit(name: str) -> None:
    form = FORMATS[name]
    raw = random_rows(form)
    planes = form.repacked(torch.from_numpy(raw))
    wanted = dequantize(raw, GGMLQuantizationType[name])
    assert np.array_equal(form.dequantised(planes).numpy(), wanted)


@pytest.mark.parametrize("name", FORMATS)
def test_planes_have_the_shapes_and_bytes_that_the_format_says(name: str) -> None:
    form = FORMATS[name]
    planes = form.repacked(torch.from_numpy(random_rows(form)))
    assert [(tuple(p.shape), p.dtype) for p in planes] == form.planes(ROWS, COLUMNS)
    assert sum(p.nbytes for p in planes) == form.bytes_of(ROWS, COLUMNS)


@pytest.mark.parametrize("name", FORMATS)
def test_block_sizes_are_those_of_gguf(name: str) -> None:
    form = FORMATS[name]
    assert (form.block, form.size) == GGML_QUANT_SIZES[GGMLQuantizationType[name]]


@pytest.mark.parametrize("bits", codes.PLANES)
def test_unpacking_is_the_reverse_of_packing(bits: int) -> None:
    wanted = torch.randint(1 << bits, (2, 64), dtype=torch.uint8)
    planes = codes.packed(wanted, bits)
    assert torch.equal(codes.unpacked(planes, bits), wanted)
    assert [plane.shape[2] for plane in planes] == [4 * width for width in codes.PLANES[bits]]


def test_values_are_quantised_to_8_bits_as_ggml_does() -> None:
    source = np.random.default_rng(1)
    values = source.standard_normal((ROWS, COLUMNS), np.float32)
    values[0, :32] = 0
    values[1, :3] = (127, 0.5, -2.5)
    values[1, 3:32] = 0
    raw = quantize(values, GGMLQuantizationType.Q8_0)
    form = FORMATS["Q8_0"]
    wanted = form.repacked(torch.from_numpy(raw))
    found = form.quantised(torch.from_numpy(values))
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_a_format_without_a_quantiser_says_so() -> None:
    with pytest.raises(ValueError, match="weights cannot be quantised to Q4_K"):
        FORMATS["Q4_K"].quantised(torch.zeros(1, 256))


def test_columns_that_end_within_a_block_are_refused() -> None:
    with pytest.raises(ValueError, match="160 columns are no multiple of a block of 256"):
        FORMATS["Q4_K"].planes(1, 160)
