"""From a place in a safetensors file to a tensor in memory, on whichever device it is."""

from __future__ import annotations

from typing import Final

import torch

from engine.loading.safetensors_header import StoredTensor
from engine.loading.steady_file import SteadyFile
from engine.loading.weights import Fill

DTYPES: Final = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F8_E8M0": torch.float8_e8m0fnu,
    "I16": torch.int16,
    "U16": torch.uint16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I32": torch.int32,
    "U32": torch.uint32,
    "F32": torch.float32,
    "I64": torch.int64,
    "U64": torch.uint64,
    "F64": torch.float64,
    "C64": torch.complex64,
}
PIECE: Final = 1 << 23
"""Bytes: what is converted, or copied to a GPU, is read in pieces of so many."""


class Reader:
    """Reads tensors of one model, one after the other, through one buffer of `PIECE` bytes."""

    def __init__(self, device: torch.device) -> None:
        """`device` is that of the tensors which are filled."""
        self._piece = torch.empty(PIECE, dtype=torch.uint8, pin_memory=device.type == "cuda")

    def fill(self, file: SteadyFile, stored: StoredTensor) -> Fill:
        """What writes the values of `stored` into a contiguous tensor of as many.

        That raises CheckpointError for a file that was cut since its header was read.
        """

        def into(target: torch.Tensor) -> None:
            flat = target.view(-1)
            dtype = DTYPES[stored.dtype]
            if flat.dtype == dtype and flat.device.type == "cpu":
                file.read_into(stored.begin, _bytes(flat))
                return
            step = PIECE // dtype.itemsize
            for first in range(0, len(flat), step):
                part = flat[first : first + step]
                piece = self._piece[: len(part) * dtype.itemsize]
                file.read_into(stored.begin + first * dtype.itemsize, _bytes(piece))
                # To the device first: a GPU converts faster.
                part.copy_(piece.view(dtype).to(part.device))

        return into


def _bytes(tensor: torch.Tensor) -> memoryview:
    return tensor.view(torch.uint8).numpy().data
