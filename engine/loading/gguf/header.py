"""The header of a GGUF file: metadata and where tensors lie, every number checked before use.

This is the gate against hostile files: nothing else may read a GGUF file that has not passed it.
Long arrays (vocabularies) are stepped over and read only when asked for, which keeps a scan of
SmolLM2 at a hundredth of GGUFReader's time. Imports neither torch nor numpy.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import math
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from engine.errors import CheckpointError, UnsupportedError, shown
from engine.loading import pickle_files, steady_file
from engine.loading.gguf.types import TENSOR_TYPES, TensorType
from engine.loading.steady_file import SteadyFile, Version

MAGIC: Final = b"GGUF"
OLDER_MAGICS: Final = (b"lmgg", b"fmgg", b"tjgg", b"algg")
"""Of the formats before it: GGML, GGMF, GGJT and GGLA."""
VERSIONS: Final = (2, 3)
LONG_ARRAY: Final = 64
"""Arrays of more items are stepped over."""
MAX_DIMENSIONS: Final = 4
MAX_HEADER: Final = 128_000_000
"""Bytes; Gemma's vocabulary, the largest of the supported families, makes one of 12 million."""
AHEAD: Final = 1 << 20
"""Bytes of a header that are read at once."""
MAX_ENTRIES: Final = 65_536
"""Tensors, and pairs of metadata; a mixture of experts has two thousand tensors."""
MAX_ITEMS: Final = 2_000_000
"""Strings of all lists together, and items of one that is read; gpt-oss has 650,000 tokens and
merges."""
MAX_TEXT: Final = 1_000_000
"""Bytes of a value that is text; longer ones, such as a whole tokenizer.json, are stepped over."""
MAX_NAME: Final = 65_535
"""Bytes of a key or tensor name, as the format says."""
STRING: Final = 8
ARRAY: Final = 9
SCALARS: Final = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")
_SMALLEST_PAIR: Final = 13
"""Bytes of a metadata pair: length of the key, type, and one byte of value."""
_SMALLEST_TENSOR: Final = 24
"""Bytes of a tensor's entry without name and dimensions."""


@dataclass(frozen=True)
class LongArray:
    """An array that was stepped over; `GGUFHeader.items` reads it."""

    kind: int
    count: int
    offset: int


@dataclass(frozen=True)
class LongText:
    """A text that was stepped over."""

    size: int
    """Bytes."""


Scalar: TypeAlias = int | float | bool | str
Value: TypeAlias = Scalar | tuple[Scalar, ...] | LongArray | LongText
Entry: TypeAlias = tuple[str, tuple[int, ...], int, int]
"""Name, shape, type and offset of a tensor, not yet checked."""


@dataclass(frozen=True)
class TensorInfo:
    path: Path
    """The file it lies in."""
    name: str
    shape: tuple[int, ...]
    """Outermost dimension first, as torch has it; the file has it the other way round."""
    type: TensorType
    type_id: int
    offset: int
    """Bytes from the file's beginning."""
    size: int
    """Bytes."""


@dataclass(frozen=True)
class GGUFHeader:
    """Of one file, or of all the files of a model that is split: see gguf_parts."""

    paths: tuple[Path, ...]
    """The first has the metadata."""
    files: tuple[Version, ...]
    """Each as it was when its header was read."""
    version: int
    """Of the format."""
    metadata: dict[str, Value]
    tensors: dict[str, TensorInfo]

    @property
    def path(self) -> Path:
        return self.paths[0]

    @property
    def architecture(self) -> str:
        """Empty where the file does not say it."""
        value = self.metadata.get("general.architecture", "")
        return value if isinstance(value, str) else ""

    @property
    def parameters(self) -> int:
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())

    @property
    def tensor_bytes(self) -> int:
        return sum(tensor.size for tensor in self.tensors.values())

    def file_of(self, tensor: TensorInfo) -> Version:
        """The version of the file that `tensor` lies in."""
        return self.files[self.paths.index(tensor.path)]

    def number(self, key: str) -> float | None:
        """The value of `<architecture>.<key>`, or None; raises CheckpointError for a non-number."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        if isinstance(value, LongArray) or (isinstance(value, tuple) and len(set(value)) > 1):
            raise UnsupportedError(f"{self.path.name} has a different {key} for each layer.")
        if isinstance(value, tuple):
            value = value[0] if value else None
        if value is None or (isinstance(value, int | float) and math.isfinite(value)):
            return value
        raise CheckpointError(f"{self.path.name} says {shown(value)} where {key} must be a number.")

    def count(self, key: str) -> int:
        """The number of items of an array; 0 where there is none."""
        value = self.metadata.get(key, ())
        if isinstance(value, tuple):
            return len(value)
        if isinstance(value, LongArray):
            return value.count
        raise CheckpointError(
            f"{self.path.name} has one value where {key} must be a list.", "Choose another file."
        )

    def items(self, key: str, most: int | None = None) -> list[Scalar]:
        """The items of an array, long or not, or the first `most`; empty when there is none."""
        count = self.count(key)
        if count > MAX_ITEMS:
            raise CheckpointError(
                f"{self.path.name} has {count:,} items in {key}: no model has so many.",
                "Choose another model.",
            )
        count = count if most is None else min(most, count)
        value = self.metadata.get(key, ())
        if not isinstance(value, LongArray):
            return list(value)[:count] if isinstance(value, tuple) else []
        with steady_file.opened(self.path, self.files[0]) as file:
            return _Cursor(file, file.size, value.offset).array_items(value.kind, count)


def read(path: Path, size: int | None = None) -> GGUFHeader:
    """Reads and checks the header of one file.

    `size` is the whole file's size in bytes where `path` is only the first part of one. Raises
    CheckpointError for what is no GGUF file, is cut off or contradicts itself, and
    UnsupportedError for what is one that Hearth cannot read.
    """
    with steady_file.opened(path) as file:
        return _Cursor(file, size or file.size).header()


def begins_as_one(path: Path) -> bool:
    """Whether it is a file that begins as a GGUF file does, whatever its name is."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited on
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _decoded(text: bytes) -> str:
    """A vocabulary may hold pieces that are no UTF-8; they must stay distinct."""
    return text.decode("utf-8", "backslashreplace")


class _Cursor:
    """A place in the file that never leaves it; what lies before it has been read."""

    def __init__(self, file: SteadyFile, size: int, position: int = 0) -> None:
        self.file = file
        self.size = size
        self.name = file.path.name
        self.position = position
        self.data = bytearray()
        """The file's beginning."""
        self.strings = 0
        """Of lists, so far."""

    def header(self) -> GGUFHeader:
        version = self._version()
        tensor_count = self._count(_SMALLEST_TENSOR)
        pair_count = self._count(_SMALLEST_PAIR)
        if max(tensor_count, pair_count) > MAX_ENTRIES:
            raise self._broken("its header has too many entries")
        metadata = self._metadata(pair_count)
        entries = [self._tensor_entry() for _ in range(tensor_count)]
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            raise self._broken(f"its alignment is {shown(alignment)}")
        begin = -(-self.position // alignment) * alignment
        path = self.file.path
        tensors = self._placed(path, entries, begin, alignment)
        return GGUFHeader((path,), (self.file.version,), version, metadata, tensors)

    def array_items(self, kind: int, count: int) -> list[Scalar]:
        if kind == STRING:
            return [self.string() for _ in range(count)]
        layout = struct.Struct(f"<{count}{SCALARS[kind].format[1:]}")
        return list(layout.unpack(self._take(layout.size)))

    def string(self, limit: int | None = None) -> str:
        length = self._u64()
        if limit is not None and length > limit:
            raise self._broken("one of its names is too long")
        return _decoded(self._take(length))

    def _version(self) -> int:
        magic = self._take(min(4, self.file.size))
        if magic in OLDER_MAGICS:
            raise UnsupportedError(
                f"{self.name} has the format that models had before GGUF, until August 2023.",
                "Choose a GGUF file of this model.",
            )
        if magic != MAGIC:
            if self.name.endswith(pickle_files.SUFFIXES):
                raise pickle_files.refusal(self.name)
            raise CheckpointError(
                f"{self.name} is not a GGUF file.",
                "Choose a .gguf file, or a folder with config.json and safetensors.",
            )
        version = self._u32()
        if version in VERSIONS:
            return version
        if int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS:
            raise UnsupportedError(
                f"{self.name} is a big-endian GGUF file.", "Download the little-endian file."
            )
        raise UnsupportedError(
            f"{self.name} is a GGUF file of version {version}; Hearth reads 2 and 3.",
            "Download the model again in a newer conversion.",
        )

    def _metadata(self, count: int) -> dict[str, Value]:
        metadata: dict[str, Value] = {}
        for _ in range(count):
            key = self.string(MAX_NAME)
            if key in metadata:
                raise self._broken(f"{shown(key)} occurs twice")
            metadata[key] = self._value(self._u32())
        return metadata

    def _value(self, kind: int) -> Value:
        if kind == STRING:
            return self._text()
        if kind == ARRAY:
            return self._array()
        if kind not in SCALARS:
            raise self._broken(f"it has a value of the unknown type {kind}")
        scalar: Scalar = SCALARS[kind].unpack(self._take(SCALARS[kind].size))[0]
        return scalar

    def _text(self) -> str | LongText:
        length = self._u64()
        if length > MAX_TEXT:
            self._skip(length)
            return LongText(length)
        return _decoded(self._take(length))

    def _array(self) -> Value:
        kind = self._u32()
        if kind == ARRAY:
            raise UnsupportedError(
                f"{self.name} has a list of lists, which Hearth does not read.",
                "Choose another file of this model.",
            )
        if kind != STRING and kind not in SCALARS:
            raise self._broken(f"it has a list of the unknown type {kind}")
        item_size = _U64.size if kind == STRING else SCALARS[kind].size
        count = self._count(item_size)
        if kind == STRING:
            self.strings += count
        if self.strings > MAX_ITEMS:
            raise CheckpointError(
                f"{self.name} lists more than {MAX_ITEMS:,} texts; no model has so many.",
                "Choose another model.",
            )
        if count <= LONG_ARRAY:
            return tuple(self.array_items(kind, count))
        array = LongArray(kind, count, self.position)
        if kind == STRING:
            self._skip_strings(count)
        else:
            self._skip(count * item_size)
        return array

    def _skip_strings(self, count: int) -> None:
        """The one loop that takes time: a vocabulary has up to a quarter million strings."""
        position, data, unpack = self.position, self.data, _U64.unpack_from
        last = len(data) - 8
        for _ in range(count):
            if position > last:
                self._read_to(position + 8)
                last = len(data) - 8
            position += 8 + unpack(data, position)[0]
        self.position = position
        self._read_to(position)

    def _tensor_entry(self) -> Entry:
        name = self.string(MAX_NAME)
        dimensions = self._u32()
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise self._broken(f"tensor {shown(name)} has {dimensions} dimensions")
        shape = tuple(reversed([self._u64() for _ in range(dimensions)]))
        return name, shape, self._u32(), self._u64()

    def _placed(
        self, path: Path, entries: list[Entry], begin: int, alignment: int
    ) -> dict[str, TensorInfo]:
        tensors: dict[str, TensorInfo] = {}
        for name, shape, type_id, offset in entries:
            if name in tensors:
                raise self._broken(f"tensor {shown(name)} occurs twice")
            if type_id not in TENSOR_TYPES:
                raise UnsupportedError(
                    f"{self.name} has weights of a type that Hearth does not know ({type_id}).",
                    "Download another quantisation of this model, such as Q4_K_M.",
                )
            kind = TENSOR_TYPES[type_id]
            if 0 in shape or shape[-1] % kind.block:
                raise self._broken(f"tensor {shown(name)} cannot be {list(shape)} of {kind.name}")
            size = math.prod(shape) // kind.block * kind.size
            if offset % alignment:
                raise self._broken(f"tensor {shown(name)} is not aligned")
            if begin + offset + size > self.size:
                raise self._cut_off(f"tensor {shown(name)} lies outside of it")
            tensors[name] = TensorInfo(path, name, shape, kind, type_id, begin + offset, size)
        self._check_overlaps(tensors)
        return tensors

    def _check_overlaps(self, tensors: dict[str, TensorInfo]) -> None:
        end = 0
        for tensor in sorted(tensors.values(), key=lambda tensor: tensor.offset):
            if tensor.offset < end:
                raise self._broken(f"tensor {shown(tensor.name)} overlaps another")
            end = tensor.offset + tensor.size

    def _count(self, item_size: int) -> int:
        """A number of items, each of at least `item_size` bytes: more than fit cannot be true."""
        count = self._u64()
        if count * item_size > self.file.size - self.position:
            raise self._cut_off()
        return count

    def _u32(self) -> int:
        return int(_U32.unpack(self._take(4))[0])

    def _u64(self) -> int:
        return int(_U64.unpack(self._take(8))[0])

    def _take(self, count: int) -> bytes:
        begin = self.position
        self._skip(count)
        return bytes(self.data[begin : self.position])

    def _skip(self, count: int) -> None:
        self.position += count
        self._read_to(self.position)

    def _read_to(self, end: int) -> None:
        """Has `data` reach to `end`, and beyond as far as is worth one call."""
        if end > self.file.size:
            raise self._cut_off()
        if end > MAX_HEADER:
            raise self._broken("its header is too long")
        begin = len(self.data)
        if end > begin:
            self.data += self.file.read(begin, min(max(end - begin, AHEAD), self.file.size - begin))

    def _cut_off(self, how: str = "it ends too early") -> CheckpointError:
        return CheckpointError(
            f"{self.name} is not complete: {how}.",
            "The download may have been interrupted: download the file again.",
        )

    def _broken(self, how: str) -> CheckpointError:
        return CheckpointError(f"{self.name} is damaged: {how}.")
