"""The header of a safetensors file, every number checked before anything is read by it.

Format: https://github.com/huggingface/safetensors#format. Imports neither torch nor numpy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec

from engine.errors import CheckpointError, UnsupportedError, shown
from engine.loading import steady_file
from engine.loading.steady_file import SteadyFile, Version

MAX_HEADER: Final = 16_000_000
"""Bytes: a hundred thousand tensors."""
MAX_NAME: Final = 512
"""Characters of a tensor's name."""
MAX_ENTRY: Final = 4096
"""Bytes of what a header says about one tensor: a list of millions of dimensions is not read."""
MAX_DIMENSIONS: Final = 64
"""Of a tensor: torch computes with no more."""
BITS: Final = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2": 8,
    "F8_E5M2FNUZ": 8,
    "F8_E8M0": 8,
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
    "C64": 64,
}


class StoredTensor(msgspec.Struct, frozen=True):
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    """Bytes from the file's beginning."""
    end: int
    parameters: int
    """The product of its dimensions."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.begin


class _Name:
    """A key that equals no other: msgspec keeps the last of two equal ones, and says nothing."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Entry(msgspec.Struct):
    dtype: str
    shape: Annotated[tuple[_Natural, ...], msgspec.Meta(max_length=MAX_DIMENSIONS)]
    data_offsets: tuple[_Natural, _Natural]


_HEADER: Final = msgspec.json.Decoder(
    dict[_Name, msgspec.Raw], dec_hook=lambda _, text: _Name(text)
)
_ENTRY: Final = msgspec.json.Decoder(_Entry)


class Header(NamedTuple):
    version: Version
    """Of the file, so that its tensors are not read from another one."""
    tensors: dict[str, StoredTensor]


def read(path: Path) -> Header:
    """Raises CheckpointError for what is cut off or contradicts itself."""
    with steady_file.opened(path) as file:
        header = _length(file)
        tensors = _tensors(path, file.read(8, header), 8 + header, file.size)
    return Header(file.version, tensors)


def length(path: Path) -> int:
    """Of the header, in bytes, which is not read. Raises CheckpointError as `read` does."""
    with steady_file.opened(path) as file:
        return _length(file)


def _length(file: SteadyFile) -> int:
    if file.size < 8:
        raise _cut_off(file.path, "its header is not all there")
    said = int.from_bytes(file.read(0, 8), "little")
    if said > file.size - 8:
        raise _cut_off(file.path, "its header is not all there")
    if said > MAX_HEADER:
        raise _broken(file.path, "its header is too long")
    return said


def _tensors(path: Path, text: bytearray, data: int, size: int) -> dict[str, StoredTensor]:
    """`data` is where the tensors begin, `size` where the file ends, in bytes."""
    found: dict[str, StoredTensor] = {}
    for name, entry in _entries(path, text).items():
        if name.text == "__metadata__":
            continue
        if len(name.text) > MAX_NAME:
            raise _broken(path, f"the name {shown(name.text)} is too long")
        if name.text in found:
            raise _broken(path, f"{shown(name.text)} occurs twice")
        found[name.text] = _tensor(path, name.text, entry, data, size)
    _check_layout(path, found, data, size)
    return found


def _entries(path: Path, text: bytearray) -> dict[_Name, msgspec.Raw]:
    """What is no tensor is refused where it begins: as objects it could take gigabytes."""
    try:
        return _HEADER.decode(text)
    except msgspec.ValidationError as error:
        raise _broken(path, "its header is no list of tensors") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _broken(path, "its header is no JSON") from error


def _tensor(path: Path, name: str, raw: msgspec.Raw, data: int, size: int) -> StoredTensor:
    try:
        if memoryview(raw).nbytes > MAX_ENTRY:
            raise _broken(path, f"tensor {shown(name)} is described by too much")
        entry = _ENTRY.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _broken(path, f"tensor {shown(name)} is not described") from error
    if entry.dtype not in BITS:
        raise UnsupportedError(
            f"{path.name} has weights of a type that is not known: {shown(entry.dtype)}."
        )
    begin, end = entry.data_offsets
    parameters = _product(entry.shape, 8 * size)
    if parameters is None or (end - begin) * 8 != parameters * BITS[entry.dtype]:
        raise _broken(path, f"tensor {shown(name)} has not the size of its shape")
    return StoredTensor(name, entry.dtype, entry.shape, data + begin, data + end, parameters)


def _product(shape: tuple[int, ...], largest: int) -> int | None:
    """None where it, or a dimension of an empty tensor, is larger than a file of so many bits."""
    if max(shape, default=0) > largest:
        return None
    if 0 in shape:
        return 0
    product = 1
    for dimension in shape:
        product *= dimension
        if product > largest:
            return None
    return product


def _check_layout(path: Path, tensors: dict[str, StoredTensor], reached: int, size: int) -> None:
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
