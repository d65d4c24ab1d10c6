"""SentencePiece's `tokenizer.model`, read as data: a ModelProto in protobuf's wire format.

https://protobuf.dev/programming-guides/encoding/, sentencepiece_model.proto. Linear in the file;
fields that are of no use here are stepped over.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_FILE: Final = 16_000_000
"""Bytes; Gemma's has 4.2 million."""
MAX_PIECES: Final = 1_000_000
"""Gemma has 262,144."""
MAX_VARINT: Final = 10
"""Bytes of a whole number."""
BPE: Final = 2
KINDS: Final = {1: "Unigram", BPE: "BPE", 3: "words", 4: "characters"}
"""What `trainer_spec.model_type` stands for."""
TIKTOKEN: Final = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+\r?\n")
"""The first line of a tiktoken file, which may be called tokenizer.model too."""
POINTER: Final = b"version https://git-lfs"
"""Begins a file that Git leaves in place of a large one."""

PIECE: Final = (1, 2, 3)
"""Fields of a piece: its text, score and kind."""
TRAINER: Final = (3, 40, 41, 42)
"""Fields of a trainer_spec: the model's type, the ids of unk, bos and eos."""
NORMALIZER: Final = (2, 3, 4)
"""Fields of a normalizer_spec: characters, whether a space is added in front, whether runs of
spaces become one."""
VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
"""Wire types."""
Value = int | memoryview


class DamagedError(Exception):
    """No ModelProto. Its message goes on from "is damaged: "."""


@dataclass(frozen=True)
class SentencePieceModel:
    pieces: list[str]
    scores: list[float]
    """Of each piece; NaN and infinity among them, if the file says so."""
    kinds: list[int]
    """As `vocabulary.RESERVED` and its neighbours number them."""
    trainer: dict[int, Value]
    """Field -> value of the trainer_spec."""
    normalizer: dict[int, Value]
    """Field -> value of the normalizer_spec."""

    @property
    def model_type(self) -> int:
        return _number(self.trainer, 3, 1)

    @property
    def named(self) -> dict[str, int]:
        """The ids of unk, bos and eos; a negative one where there is none."""
        return {
            name: _number(self.trainer, field, default)
            for name, field, default in (("unk", 40, 0), ("bos", 41, 1), ("eos", 42, 2))
        }

    @property
    def adds_prefix_space(self) -> bool:
        return bool(_number(self.normalizer, 3, 1))

    @property
    def removes_extra_spaces(self) -> bool:
        """Only said by a normalizer_spec: without one nothing is changed."""
        return bool(self.normalizer) and bool(_number(self.normalizer, 4, 1))

    @property
    def character_map(self) -> bytes:
        """How characters are normalised: empty for not at all."""
        value = self.normalizer.get(2, b"")
        return b"" if isinstance(value, int) else bytes(value)


def read(content: bytes) -> SentencePieceModel:
    """Raises DamagedError."""
    pieces: list[str] = []
    scores: list[float] = []
    kinds: list[int] = []
    trainer: dict[int, Value] = {}
    normalizer: dict[int, Value] = {}
    for field, value in _fields(memoryview(content)):
        if field not in (1, 2, 3):
            continue
        if isinstance(value, int):
            raise DamagedError("it has a number where a message should be")
        if field == 2:
            trainer |= _chosen(value, TRAINER)
        elif field == 3:
            normalizer |= _chosen(value, NORMALIZER)
        else:
            if len(pieces) >= MAX_PIECES:
                raise DamagedError(f"it has more than {MAX_PIECES:,} pieces")
            said = _chosen(value, PIECE)
            pieces.append(_text(said.get(1, memoryview(b""))))
            scores.append(_float(said.get(2, memoryview(bytes(4)))))
            kinds.append(_number(said, 3, 1))
    if not pieces:
        raise DamagedError("it has no pieces")
    return SentencePieceModel(pieces, scores, kinds, trainer, normalizer)


def _chosen(data: memoryview, wanted: tuple[int, ...]) -> dict[int, Value]:
    return {field: value for field, value in _fields(data) if field in wanted}


def _fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """(field, value) as they come; numbers of a fixed length as their bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == VARINT:
            number, at = _varint(data, at)
            yield key >> 3, number
            continue
        if wire == LENGTH:
            length, at = _varint(data, at)
        elif wire in (FOUR_BYTES, EIGHT_BYTES):
            length = 4 if wire == FOUR_BYTES else 8
        else:
            raise DamagedError("it is no SentencePiece model")
        if length > len(data) - at:
            raise DamagedError("it ends early")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number at `at`, and where the next field begins."""
    number = 0
    for index, byte in enumerate(data[at : at + MAX_VARINT]):
        number |= (byte & 127) << (7 * index)
        if byte < 128:
            return number, at + index + 1
    raise DamagedError("it has a number that does not end")


def _number(said: dict[int, Value], field: int, default: int) -> int:
    """An int32: a negative one is written as the 64 bits of its complement."""
    value = said.get(field, default)
    if not isinstance(value, int):
        raise DamagedError("it has no number where one should be")
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


def _text(value: Value) -> str:
    try:
        return "" if isinstance(value, int) else bytes(value).decode()
    except UnicodeDecodeError as error:
        raise DamagedError("one of its pieces is no text") from error


def _float(value: Value) -> float:
    if isinstance(value, int) or len(value) != 4:
        raise DamagedError("a score is no number")
    return float(struct.unpack("<f", value)[0])
