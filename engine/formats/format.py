"""What a format of a weight is: codes, the integers that they stand for, and scales."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from torch import Tensor

from engine.formats import codes
from engine.formats.codes import GROUP

Fields: TypeAlias = tuple[Tensor, ...]
"""Of blocks: codes uint8 [blocks, values], then the scale planes [blocks, ...]."""


@dataclass(frozen=True)
class Scales:
    """How the scale of a group, and what is taken off it, are kept."""

    cuda: str
    """The struct of kernels/blocks.cu that reads them."""
    planes: tuple[tuple[int, int, torch.dtype], ...]
    """Of each plane: the values that an entry is for, the numbers of an entry, and their dtype."""
    floats: Callable[[tuple[Tensor, ...]], tuple[Tensor, Tensor | None]]
    """The planes [rows, entries, numbers] -> float32 scale [rows, columns / group] and minimum, or
    None if nothing is taken off."""


@dataclass(frozen=True)
class Format:
    """A value is scale x level(code) - minimum, in float32, rounded after each operation."""

    name: str
    """ggml's."""
    block: int
    """Values a block of a file."""
    size: int
    """Bytes a block of a file."""
    bits: int
    """Of a code."""
    group: int
    """Values that share a scale: 32, or 16."""
    levels: tuple[int, ...]
    """The integer of each code."""
    scales: Scales
    fields: Callable[[Tensor], Fields]
    """Blocks as a file has them, uint8 [blocks, size], taken apart."""
    cuda: str = "Offset<0>"
    """The struct of kernels/blocks.cu that makes levels of codes."""
    quantise: Callable[[Tensor], Fields] | None = None
    """float32 [blocks, values] -> what `fields` gives; None if Hearth has no quantiser for it."""

    def planes(self, rows: int, columns: int) -> list[tuple[tuple[int, ...], torch.dtype]]:
        """Shapes and dtypes of the planes of such a weight: those of the codes, then the scales'.

        Raises ValueError for columns that are no multiple of a block.
        """
        if columns % self.block:
            raise ValueError(f"{columns} columns are no multiple of a block of {self.block}")
        groups = columns // GROUP
        of_codes = [((rows, groups, 4 * width), torch.uint8) for width in codes.PLANES[self.bits]]
        of_scales = [((rows, columns // per, n), dtype) for per, n, dtype in self.scales.planes]
        return [*of_codes, *of_scales]

    def bytes_of(self, rows: int, columns: int) -> int:
        """What a weight takes as it is held."""
        total = 0
        for shape, dtype in self.planes(rows, columns):
            total += torch.Size(shape).numel() * dtype.itemsize
        return total

    def repacked(self, raw: Tensor) -> list[Tensor]:
        """Rows as a file has them, uint8 [rows, bytes] -> planes, with the same values."""
        return self._planes(raw.shape[0], self.fields(raw.reshape(-1, self.size)))

    def quantised(self, values: Tensor) -> list[Tensor]:
        """Rows of any float dtype [rows, columns] -> planes, as ggml's quantiser has them. Raises
        ValueError for a format without one."""
        if self.quantise is None:
            raise ValueError(f"weights cannot be quantised to {self.name}")
        return self._planes(values.shape[0], self.quantise(values.reshape(-1, self.block).float()))

    def _planes(self, rows: int, fields: Fields) -> list[Tensor]:
        found, *scales = fields
        shaped = [
            plane.reshape(rows, -1, n).to(dtype).contiguous()
            for plane, (_, n, dtype) in zip(scales, self.scales.planes, strict=True)
        ]
        return [*codes.packed(found.reshape(rows, -1), self.bits), *shaped]

    def dequantised(self, planes: list[Tensor]) -> Tensor:
        """float32 [rows, columns], bit for bit what gguf's `dequantize` gives."""
        count = len(codes.PLANES[self.bits])
        table = torch.tensor(self.levels, dtype=torch.float32, device=planes[0].device)
        values = table[codes.unpacked(planes[:count], self.bits).int()]
        scale, minimum = self.scales.floats(tuple(planes[count:]))
        grouped = values.view(*scale.shape, -1)
        out = grouped * scale[..., None]
        if minimum is not None:
            out -= minimum[..., None]
        return out.view(values.shape)


def offset(bits: int, by: int) -> tuple[int, ...]:
    """Levels of unsigned codes."""
    return tuple(code - by for code in range(1 << bits))


SIGNED_BYTES: Final = tuple(code - 256 * (code > 127) for code in range(256))
"""Levels of int8."""


def halves(raw: Tensor) -> Tensor:
    """uint8 [..., 2n] -> float16 [..., n]; ggml stores little-endian."""
    return raw.contiguous().view(torch.float16)


def shifted(raw: Tensor, *shifts: int, mask: int) -> Tensor:
    """[blocks, bytes] -> [blocks, shifts, bytes]: the bits of every byte at each shift."""
    return torch.stack([raw >> shift & mask for shift in shifts], 1)
