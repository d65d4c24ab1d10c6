"""ggml's K formats: blocks of 256 with float16 scales, and small integers that scale each group."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from engine.formats.format import Fields, Format, Scales, halves, offset, shifted
from engine.formats.legacy import nibbles


def of_groups(whole: Tensor, groups: int) -> Tensor:
    """What a block has [rows, blocks], for each of its groups [rows, groups]."""
    return whole.repeat_interleave(groups // whole.shape[1], 1)


def _of_32(planes: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    small, whole = planes[0].float(), planes[1].float()
    groups = small.shape[1]
    scale = of_groups(whole[..., 0], groups) * small[..., 0]
    return scale, of_groups(whole[..., 1], groups) * small[..., 1]


def _of_16(planes: tuple[Tensor, ...]) -> tuple[Tensor, None]:
    small = planes[0].float().flatten(1)
    return of_groups(planes[1].float()[..., 0], small.shape[1]) * small, None


def _of_16_with_minimum(planes: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    small, whole = planes[0].flatten(1), planes[1].float()
    groups = small.shape[1]
    scale = of_groups(whole[..., 0], groups) * (small & 15).float()
    return scale, of_groups(whole[..., 1], groups) * (small >> 4).float()


SCALES_OF_32: Final = Scales("Of32", ((32, 2, torch.uint8), (256, 2, torch.float16)), _of_32)
"""A scale and a minimum in a byte each, in units of the block's two."""
SCALES_OF_16: Final = Scales("Of16", ((32, 2, torch.int8), (256, 1, torch.float16)), _of_16)
SCALES_AND_MINIMA_OF_16: Final = Scales(
    "Of16WithMinimum", ((32, 2, torch.uint8), (256, 2, torch.float16)), _of_16_with_minimum
)
"""A scale in the low half of a byte and a minimum in the high half."""


def _two(raw: Tensor) -> Fields:
    scales, values, whole = raw[:, :16], raw[:, 16:80], raw[:, 80:]
    return _quarters(values), scales, halves(whole)


def _quarters(raw: Tensor) -> Tensor:
    """[blocks, 64] -> two bits each [blocks, 256], 32 bytes having four groups of 32."""
    return shifted(raw.reshape(-1, 32), 0, 2, 4, 6, mask=3).view(raw.shape[0], 256)


def _three(raw: Tensor) -> Fields:
    high, low, small, whole = raw[:, :32], raw[:, 32:96], raw[:, 96:108], raw[:, 108:]
    bits = shifted(high, *range(8), mask=1).flatten(1)
    scales = shifted(small[:, :8], 0, 4, mask=15).flatten(1)
    scales = scales | shifted(small[:, 8:], 0, 2, 4, 6, mask=3).flatten(1) << 4
    return _quarters(low) | bits << 2, scales.to(torch.int8) - 32, halves(whole)


def _scales_and_minima(raw: Tensor) -> Tensor:
    """[blocks, 12] of six bits each -> [blocks, 8 groups, scale and minimum]."""
    scales, minima, low = raw.view(-1, 3, 4).unbind(1)
    scale = torch.cat([scales & 63, low & 15 | scales >> 2 & 48], 1)
    minimum = torch.cat([minima & 63, low >> 4 | minima >> 2 & 48], 1)
    return torch.stack([scale, minimum], 2)


def _pairs_of_groups(raw: Tensor) -> Tensor:
    """[blocks, 128] -> four bits each [blocks, 256], 32 bytes having two groups of 32."""
    return nibbles(raw.reshape(-1, 32)).view(raw.shape[0], 256)


def _four(raw: Tensor) -> Fields:
    small = _scales_and_minima(raw[:, 4:16].contiguous())
    return _pairs_of_groups(raw[:, 16:]), small, halves(raw[:, :4])


def _five(raw: Tensor) -> Fields:
    small = _scales_and_minima(raw[:, 4:16].contiguous())
    high = shifted(raw[:, 16:48], *range(8), mask=1).flatten(1)
    return _pairs_of_groups(raw[:, 48:]) | high << 4, small, halves(raw[:, :4])


def _six(raw: Tensor) -> Fields:
    low, high, small, whole = raw[:, :128], raw[:, 128:192], raw[:, 192:208], raw[:, 208:]
    values = nibbles(low.reshape(-1, 64)).view(-1, 256) | _quarters(high) << 4
    return values, small.view(torch.int8), halves(whole)


FORMATS: Final = (
    Format("Q2_K", 256, 84, 2, 16, offset(2, 0), SCALES_AND_MINIMA_OF_16, _two),
    Format("Q3_K", 256, 110, 3, 16, offset(3, 4), SCALES_OF_16, _three, "Offset<4>"),
    Format("Q4_K", 256, 144, 4, 32, offset(4, 0), SCALES_OF_32, _four),
    Format("Q5_K", 256, 176, 5, 32, offset(5, 0), SCALES_OF_32, _five),
    Format("Q6_K", 256, 210, 6, 16, offset(6, 32), SCALES_OF_16, _six, "Offset<32>"),
)
