"""The integers of a weight, in planes of four, two and one bits that a kernel reads at full width.

A group is 32 values of a row. Its planes lie one after another along the row, so that the lanes of
a warp, a group each, read neighbouring bytes. Numbered in fours (`pack` 0 to 7 of a group, byte 0
to 3 of a pack), the bits of a group are:

    8 bits   32 bytes, as they are
    4 bits   16 bytes: byte 4j + b has pack j in its low half and pack 4 + j in its high half
    2 bits    8 bytes: byte 4w + b has packs 4w to 4w + 3, from the lowest bits on
    1 bit     4 bytes: byte b has packs 0 to 7, from the lowest bit on

A width of 5 is the planes of 4 and 1 bits, 6 is 4 and 2, 3 is 2 and 1.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

GROUP: Final = 32
"""Values whose codes lie together."""
PLANES: Final = {8: (8,), 6: (4, 2), 5: (4, 1), 4: (4,), 3: (2, 1), 2: (2,)}
"""Bits of a code -> the bits of its planes, from the lowest on."""


def packed(codes: Tensor, bits: int) -> list[Tensor]:
    """codes uint8 [rows, columns] -> the planes of so many bits, uint8 [rows, groups, bytes]."""
    fours = codes.view(codes.shape[0], -1, 8, 4)
    planes, shift = [], 0
    for width in PLANES[bits]:
        planes.append(_pack(fours >> shift & ((1 << width) - 1), width))
        shift += width
    return planes


def unpacked(planes: list[Tensor], bits: int) -> Tensor:
    """The reverse of `packed`: uint8 [rows, columns]."""
    rows, groups = planes[0].shape[:2]
    codes = torch.zeros((rows, groups, 8, 4), dtype=torch.uint8, device=planes[0].device)
    shift = 0
    for plane, width in zip(planes, PLANES[bits], strict=True):
        codes |= _unpack(plane, width) << shift
        shift += width
    return codes.view(rows, groups * GROUP)


def _pack(fours: Tensor, width: int) -> Tensor:
    """fours [rows, groups, 8 packs, 4] of so many bits -> [rows, groups, 4 x width]."""
    share = 8 // width
    """Packs that share a byte."""
    split = fours.view(*fours.shape[:2], *_order(width), 4)
    split = split.transpose(2, 3) if width == 4 else split
    out = split[:, :, :, 0].clone()
    for place in range(1, share):
        out |= split[:, :, :, place] << (place * width)
    return out.flatten(2)


def _unpack(plane: Tensor, width: int) -> Tensor:
    words = plane.view(*plane.shape[:2], width, 4)
    shares = [words >> (place * width) & ((1 << width) - 1) for place in range(8 // width)]
    return torch.stack(shares, 2 if width == 4 else 3).view(*plane.shape[:2], 8, 4)


def _order(width: int) -> tuple[int, int]:
    """The packs as (words, packs of a word); halves of a byte are 4 packs apart."""
    return (2, 4) if width == 4 else (width, 8 // width)
