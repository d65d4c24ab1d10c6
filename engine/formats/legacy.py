"""ggml's first formats: blocks of 32 with a scale in float16, and a minimum in those named _1."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from engine.formats.format import SIGNED_BYTES, Fields, Format, Scales, halves, offset, shifted


def _scale(planes: tuple[Tensor, ...]) -> tuple[Tensor, None]:
    return planes[0].float()[..., 0], None


def _scale_and_minimum(planes: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    both = planes[0].float()
    return both[..., 0], -both[..., 1]


SCALE: Final = Scales("Scale", ((32, 1, torch.float16),), _scale)
SCALE_AND_MINIMUM: Final = Scales("ScaleAndMinimum", ((32, 2, torch.float16),), _scale_and_minimum)


def nibbles(raw: Tensor) -> Tensor:
    """[blocks, bytes] -> [blocks, 2 x bytes]: all low halves, then all high halves."""
    return shifted(raw, 0, 4, mask=15).flatten(1)


def _fifth_bits(raw: Tensor) -> Tensor:
    """[blocks, 4] -> [blocks, 32]: each bit at the place of a fifth one."""
    return shifted(raw, *range(8), mask=1).transpose(1, 2).flatten(1) << 4


def _four(raw: Tensor) -> Fields:
    return nibbles(raw[:, 2:]), halves(raw[:, :2])


def _four_1(raw: Tensor) -> Fields:
    return nibbles(raw[:, 4:]), halves(raw[:, :4])


def _five(raw: Tensor) -> Fields:
    return nibbles(raw[:, 6:]) | _fifth_bits(raw[:, 2:6]), halves(raw[:, :2])


def _five_1(raw: Tensor) -> Fields:
    return nibbles(raw[:, 8:]) | _fifth_bits(raw[:, 4:8]), halves(raw[:, :4])


def _eight(raw: Tensor) -> Fields:
    return raw[:, 2:], halves(raw[:, :2])


def _to_eight(values: Tensor) -> Fields:
    """As ggml's quantize_row_q8_0: halves are rounded away from zero."""
    scale = values.abs().amax(1, keepdim=True) / 127
    scaled = values * torch.where(scale > 0, 1 / scale, 0)
    rounded = torch.trunc(scaled + torch.copysign(torch.full_like(scaled, 0.5), scaled))
    return rounded.to(torch.int8).view(torch.uint8), scale.half()


FORMATS: Final = (
    Format("Q4_0", 32, 18, 4, 32, offset(4, 8), SCALE, _four, "Offset<8>"),
    Format("Q4_1", 32, 20, 4, 32, offset(4, 0), SCALE_AND_MINIMUM, _four_1),
    Format("Q5_0", 32, 22, 5, 32, offset(5, 16), SCALE, _five, "Offset<16>"),
    Format("Q5_1", 32, 24, 5, 32, offset(5, 0), SCALE_AND_MINIMUM, _five_1),
    Format("Q8_0", 32, 34, 8, 32, SIGNED_BYTES, SCALE, _eight, "Signed", _to_eight),
)
