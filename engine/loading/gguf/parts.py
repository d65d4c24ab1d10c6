"""A GGUF model that is split into files: NAME-00001-of-00003.gguf and its neighbours.

Any of them stands for all. Which files belong together is told by their names, which never leave
the folder, and checked against what each file says of itself (`split.*`).

Format: llama.cpp's gguf-split; `split.no` counts from 0, the names from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engine.errors import CheckpointError, shown
from engine.loading.gguf import header as gguf_header
from engine.loading.gguf.header import GGUFHeader, TensorInfo

_NAME: Final = re.compile(
    r"(?P<model>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.gguf)",
    re.DOTALL | re.IGNORECASE,
)
_MISSING: Final = "Download the missing files into the same folder."


@dataclass(frozen=True)
class Part:
    """What a file's name says."""

    model: str
    number: int
    """From 1."""
    count: int
    suffix: str
    """`.gguf`, in capitals where the name has them."""

    def file(self, number: int) -> str:
        return f"{self.model}-{number:05}-of-{self.count:05}{self.suffix}"


def part_of(path: Path) -> Part | None:
    """None for a file that is named as a whole model."""
    found = _NAME.fullmatch(path.name)
    if found is None:
        return None
    part = Part(found["model"], int(found["number"]), int(found["count"]), found["suffix"])
    return part if 1 <= part.number <= part.count > 1 else None


def first(path: Path) -> Path:
    """The file that stands for the model: its first where that is here, else `path` itself."""
    part = part_of(path)
    if part is None:
        return path
    begin = path.with_name(part.file(1))
    return begin if begin.exists() else path


def one_each(paths: Iterable[Path]) -> list[Path]:
    """`paths` with one file for each model."""
    models: dict[tuple[Path, str, int], Path] = {}
    for path in paths:
        part = part_of(path)
        key = (path.parent, part.model, part.count) if part else (path, "", 0)
        models.setdefault(key, path)
    return list(models.values())


def read(path: Path, size: int | None = None) -> GGUFHeader:
    """As `gguf_header.read`, of the whole model where `path` is one of its files.

    Raises CheckpointError for a file that is missing or belongs elsewhere.
    """
    part = part_of(path)
    if part is None:
        header = gguf_header.read(path, size)
        _check_whole(header)
        return header
    paths = [path.with_name(part.file(number)) for number in range(1, part.count + 1)]
    # Before the others are looked for: a name may say that there are 99,999.
    _check_place(gguf_header.read(path), part.number, part.count)
    _check_all_here(paths, part)
    headers = [gguf_header.read(found) for found in paths]
    for number, header in enumerate(headers, 1):
        _check_place(header, number, part.count)
    files = tuple(header.files[0] for header in headers)
    tensors = _joined(headers, part)
    return replace(headers[0], paths=tuple(paths), files=files, tensors=tensors)


def _check_whole(header: GGUFHeader) -> None:
    count = _said(header, "split.count", 1)
    if count > 1:
        raise CheckpointError(
            f"{header.path.name} is file {_said(header, 'split.no', 0) + 1} of {count} of a model, "
            "and is not named so.",
            f"Give it its name back, which ends in -of-{count:05}.gguf.",
        )


def _check_place(header: GGUFHeader, number: int, count: int) -> None:
    """Raises CheckpointError where the file says otherwise than its name."""
    said = _said(header, "split.count", 1)
    if said != count:
        raise CheckpointError(
            f"{header.path.name} belongs to another model: it says that the model has {said} "
            f"{'file' if said == 1 else 'files'}.",
            "Download the files of one model into a folder of their own.",
        )
    said = _said(header, "split.no", 0) + 1
    if said != number:
        raise CheckpointError(
            f"{header.path.name} is not what its name says: it says that it is file {said} of "
            f"{count}.",
            "Download the file again, or give the files their names back.",
        )


def _check_all_here(paths: list[Path], part: Part) -> None:
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise CheckpointError(
            f"{part.model} lacks {len(missing)} of {part.count} files, such as {missing[0]}.",
            _MISSING,
        )


def _joined(headers: list[GGUFHeader], part: Part) -> dict[str, TensorInfo]:
    tensors: dict[str, TensorInfo] = {}
    for header in headers:
        for name, tensor in header.tensors.items():
            if name in tensors:
                raise CheckpointError(
                    f"{header.path.name} belongs to another model: tensor {shown(name)} is in "
                    f"{tensors[name].path.name} too.",
                    "Download the files of one model into a folder of their own.",
                )
            tensors[name] = tensor
    for header in headers:
        said = _said(header, "split.tensors.count", len(tensors))
        if said != len(tensors):
            raise CheckpointError(
                f"The files of {part.model} have {len(tensors)} tensors, and {header.path.name} "
                f"says {said}.",
                "Download the files of one model into a folder of their own.",
            )
    return tensors


def _said(header: GGUFHeader, key: str, default: int) -> int:
    value = header.metadata.get(key, default)
    if not isinstance(value, int):
        raise CheckpointError(f"{header.path.name} is damaged: its {key} is no number.")
    return value
