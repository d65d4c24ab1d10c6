"""Formats whose codes stand in a table: ggml's IQ4, and the microscaling MXFP4 (OCP, 2023)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from engine.formats.format import Fields, Format, Scales, halves, shifted
from engine.formats.k import of_groups
from engine.formats.legacy import SCALE, nibbles

IQ4: Final = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
E2M1: Final = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)
"""Twice the values of a float of two bits exponent and one of mantissa."""


def _of_32(planes: tuple[Tensor, ...]) -> tuple[Tensor, None]:
    small, whole = planes[0].float()[..., 0], planes[1].float()[..., 0]
    return of_groups(whole, small.shape[1]) * small, None


def _powers(planes: tuple[Tensor, ...]) -> tuple[Tensor, None]:
    """Half of 2 ** (e - 127), by its bits: the two smallest are no normal numbers."""
    exponent = planes[0][..., 0].int()
    bits = torch.where(exponent < 2, 0x00200000 << exponent, (exponent - 1) << 23)
    return bits.view(torch.float32), None


SIGNED_OF_32: Final = Scales("Signed32", ((32, 1, torch.int8), (256, 1, torch.float16)), _of_32)
POWER_OF_TWO: Final = Scales("PowerOfTwo", ((32, 1, torch.uint8),), _powers)


def _iq4_nl(raw: Tensor) -> Fields:
    return nibbles(raw[:, 2:]), halves(raw[:, :2])


def _iq4_xs(raw: Tensor) -> Fields:
    low = shifted(raw[:, 4:8], 0, 4, mask=15).transpose(1, 2).flatten(1)
    high = shifted(raw[:, 2:4], 0, 2, 4, 6, mask=3).transpose(1, 2).flatten(1)
    small = (low | high << 4).to(torch.int8) - 32
    return nibbles(raw[:, 8:].reshape(-1, 16)).view(-1, 256), small, halves(raw[:, :2])


def _mxfp4(raw: Tensor) -> Fields:
    return nibbles(raw[:, 1:]), raw[:, :1]


FORMATS: Final = (
    Format("IQ4_NL", 32, 18, 4, 32, IQ4, SCALE, _iq4_nl, "TableIQ4"),
    Format("IQ4_XS", 256, 136, 4, 32, IQ4, SIGNED_OF_32, _iq4_xs, "TableIQ4"),
    Format("MXFP4", 32, 17, 4, 32, E2M1, POWER_OF_TWO, _mxfp4, "TableE2M1"),
)
