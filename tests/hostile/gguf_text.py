"""A GGUF file as values that may each be changed, put together again unchecked."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PACKED: Final = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
STRING: Final = 8
ARRAY: Final = 9
ALIGNMENT: Final = 32


@dataclass
class Pair:
    key: str
    type: int
    value: Any
    """Of an array: (type, items)."""


@dataclass
class Tensor:
    name: str
    shape: list[int]
    type: int
    offset: int


@dataclass
class File:
    pairs: list[Pair]
    tensors: list[Tensor]
    data: bytes
    version: int = 3
    counts: tuple[int, int] | None = None
    """Of tensors and pairs, if the header lies."""

    def pair(self, key: str) -> Pair | None:
        return next((pair for pair in self.pairs if pair.key == key), None)

    def set(self, key: str, type: int, value: Any) -> None:  # noqa: A002
        self.remove(key)
        self.pairs.append(Pair(key, type, value))

    def remove(self, key: str) -> None:
        self.pairs = [pair for pair in self.pairs if pair.key != key]

    def encoded(self) -> bytes:
        tensors, pairs = self.counts or (len(self.tensors), len(self.pairs))
        head = [b"GGUF", struct.pack("<IQQ", self.version, tensors % 2**64, pairs % 2**64)]
        for pair in self.pairs:
            head += [text(pair.key), struct.pack("<I", pair.type % 2**32)]
            head.append(value(pair.type, pair.value))
        for tensor in self.tensors:
            head += [text(tensor.name), struct.pack("<I", len(tensor.shape))]
            head += [struct.pack("<Q", size % 2**64) for size in tensor.shape]
            head.append(struct.pack("<IQ", tensor.type % 2**32, tensor.offset % 2**64))
        joined = b"".join(head)
        return joined + bytes(-len(joined) % ALIGNMENT) + self.data


def text(said: str) -> bytes:
    data = said.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(data)) + data


def value(type: int, said: Any) -> bytes:  # noqa: A002
    """Wrapped around where it is too large for the type; of an unknown type, eight bytes."""
    if type == STRING:
        return text(str(said))
    if type == ARRAY:
        inner, items = said
        head = struct.pack("<IQ", inner % 2**32, len(items))
        if inner in PACKED and PACKED[inner] not in "fd":
            size = struct.calcsize(PACKED[inner])
            return head + b"".join(_wrapped(item, size) for item in items)
        return head + b"".join(value(inner, item) for item in items)
    code = PACKED.get(type, "Q")
    if code in "fd":
        return struct.pack(f"<{code}", _float(said, code))
    return _wrapped(said, struct.calcsize(code))


def _wrapped(said: Any, size: int) -> bytes:
    number = int(said) % (1 << 8 * size)
    return number.to_bytes(size, "little")


def _float(said: Any, code: str) -> float:
    try:
        struct.pack(f"<{code}", float(said))
    except (OverflowError, ValueError):
        return float("inf")
    return float(said)


def read(path: Path) -> File:
    """Of a whole file."""
    return Reader(path.read_bytes()).file()


class Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 4

    def file(self) -> File:
        version, tensors, pairs = self._numbers("IQQ")
        found = [Pair(self._text(), *self._typed()) for _ in range(pairs)]
        infos = [self._tensor() for _ in range(tensors)]
        begin = self._at + -self._at % ALIGNMENT
        return File(found, infos, self._data[begin:], version)

    def _numbers(self, codes: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{codes}", self._data, self._at)
        self._at += struct.calcsize(f"<{codes}")
        return found

    def _text(self) -> str:
        (length,) = self._numbers("Q")
        said = self._data[self._at : self._at + length].decode("utf-8", "surrogatepass")
        self._at += length
        return said

    def _typed(self) -> tuple[int, Any]:
        (kind,) = self._numbers("I")
        return kind, self._value(kind)

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._text()
        if kind == ARRAY:
            inner, count = self._numbers("IQ")
            return inner, [self._value(inner) for _ in range(count)]
        return self._numbers(PACKED[kind])[0]

    def _tensor(self) -> Tensor:
        name = self._text()
        (count,) = self._numbers("I")
        shape = list(self._numbers("Q" * count))
        return Tensor(name, shape, *self._numbers("IQ"))
