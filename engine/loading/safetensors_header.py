"""The header of a safetensors file, every number checked before anything is mapped.

Format: https://github.com/huggingface/safetensors#format. Imports neither torch nor numpy.
"""

from __future__ import annotations

import json
import math
import stat
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from engine.errors import CheckpointError, UnsupportedError, shown

MAX_HEADER: Final = 16_000_000
"""Bytes: a hundred thousand tensors. The safetensors library's limit of 100 million would let lists
of nothing take gigabytes as objects."""
BITS: Final = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
}


@dataclass(frozen=True)
class StoredTensor:
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    """Bytes from the end of the header."""
    end: int

    @property
    def size(self) -> int:
        return self.end - self.begin

    @property
    def parameters(self) -> int:
        return math.prod(self.shape)


def read(path: Path) -> dict[str, StoredTensor]:
    """Tensors by name. Raises CheckpointError for what is cut off or contradicts itself."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _broken(path, "it is not a file")  # a pipe would be waited on
        size = status.st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not size:
                raise CheckpointError(f"{path.name} is empty.")
            if size < 8 or length > size - 8:
                raise _cut_off(path, "its header is not all there")
            if length > MAX_HEADER:
                raise _broken(path, "its header is too long")
            text = file.read(length)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read: {error.strerror}.", "Check the permissions of the file."
        ) from error
    try:
        entries = json.loads(text, object_pairs_hook=partial(_once, path))
    except (ValueError, RecursionError) as error:
        raise _broken(path, "its header is no JSON") from error
    if not isinstance(entries, dict):
        raise _broken(path, "its header is no list of tensors")
    entries.pop("__metadata__", None)
    found = {name: _tensor(path, name, entry) for name, entry in entries.items()}
    _check_layout(path, found, size - 8 - length)
    return found


def _once(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Which of two would be meant, two readers may see differently."""
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise _broken(path, f"{shown(name)} occurs twice")
    return found


def _tensor(path: Path, name: str, entry: Any) -> StoredTensor:
    try:
        begin, end = map(_natural, entry["data_offsets"])
        shape = tuple(map(_natural, entry["shape"]))
        dtype = str(entry["dtype"])
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(path, f"tensor {shown(name)} is not described") from error
    if dtype not in BITS:
        raise UnsupportedError(
            f"{path.name} has weights of a type that is not known: {shown(dtype)}."
        )
    if (end - begin) * 8 != math.prod(shape) * BITS[dtype]:
        raise _broken(path, f"tensor {shown(name)} has not the size of its shape")
    return StoredTensor(name, dtype, shape, begin, end)


def _natural(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(value)
    return value


def _check_layout(path: Path, tensors: dict[str, StoredTensor], size: int) -> None:
    reached = 0
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.begin, tensor.end)):
        if tensor.end > size:
            raise _cut_off(path, f"tensor {shown(tensor.name)} lies outside of it")
        if tensor.begin < reached:
            raise _broken(path, f"tensor {shown(tensor.name)} overlaps another")
        if tensor.begin > reached:
            raise _broken(path, f"there is a hole before tensor {shown(tensor.name)}")
        reached = tensor.end
    if reached != size:
        raise _broken(path, "there is more in it than its tensors")


def _cut_off(path: Path, how: str) -> CheckpointError:
    return CheckpointError(
        f"{path.name} is not complete: {how}.",
        "The download may have been interrupted: download the file again.",
    )


def _broken(path: Path, how: str) -> CheckpointError:
    return CheckpointError(f"{path.name} is damaged: {how}.")
