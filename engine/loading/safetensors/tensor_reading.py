"""From a place in a safetensors file to a tensor in memory, on whichever device it is."""

from __future__ import annotations

from typing import Final

import torch

from engine.errors import UnsupportedError
from engine.loading.safetensors.header import StoredTensor
from engine.loading.steady_file import SteadyFile
from engine.loading.weights import Fill

DTYPES: Final = {
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
"""Types that hold values; whole numbers are values only beside their scales."""
PIECE: Final = 1 << 23
"""Bytes: what is converted, or copied to a GPU, is read in pieces of so many."""


class Reader:
    """Reads tensors of one model, one after the other, through one buffer of `PIECE` bytes."""

    def __init__(self, device: torch.device) -> None:
        """`device` is that of the tensors which are filled."""
        self._piece = torch.empty(PIECE, dtype=torch.uint8, pin_memory=device.type == "cuda")

    def fill(self, file: SteadyFile, stored: StoredTensor) -> Fill:
        """What writes the values of `stored` into a contiguous tensor of as many.

        That raises CheckpointError for a file that was cut since its header was read,
        UnsupportedError for a type whose values mean something else by themselves.
        """

        def into(target: torch.Tensor) -> None:
            flat = target.view(-1)
            dtype = DTYPES.get(stored.dtype)
            if dtype is None:
                raise UnsupportedError(
                    f"{file.path.name} is quantised in a way that Hearth cannot read: "
                    f"{stored.name} is of the type {stored.dtype}.",
                    "Choose the model's original folder, or a quantised .gguf file.",
                )
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
