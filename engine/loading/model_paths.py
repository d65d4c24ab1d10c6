"""Where models lie, and which of them a path means.

Nothing is read but the names in folders, the first bytes of files whose names say nothing, and,
where several GGUF files lie together, their headers. Imports neither torch nor transformers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.errors import CheckpointError, HearthError, shown
from engine.loading.gguf import header as gguf_header
from engine.loading.gguf import kinds as gguf_kinds
from engine.loading.gguf import parts as gguf_parts

DEPTH: Final = 3
"""Folders below the one that is looked through: publisher/model/file, and the layout of
huggingface_hub's cache, models--publisher--model/snapshots/revision/file."""
MAX_ENTRIES: Final = 10_000
"""Files and folders that are looked at; what lies beyond is not found."""
MAX_REVISION: Final = 64
"""Letters of a revision's name: a commit's hash."""
SUFFIX: Final = ".gguf"
WEIGHTS: Final = ".safetensors"
CONFIG: Final = "config.json"
NAMED: Final = 8
"""Files that a message names at most."""

_log = logging.getLogger(__name__)


def models_below(folder: Path) -> list[Path]:
    """GGUF files, one for each model, and folders with a config; not `folder` itself.

    A folder that cannot be read has none: its neighbours may have.
    """
    found = [path for path in _walk(folder, DEPTH, [MAX_ENTRIES]) if path != folder]
    return gguf_parts.one_each(found)


def meant(path: Path) -> Path:
    """The file or folder that opens the model at `path`.

    Of a GGUF model in several files the first; of a file of safetensors its folder; of a folder
    of huggingface_hub's cache the version that `main` was last; of another folder without
    safetensors the model in it. Raises CheckpointError where there are several.
    """
    if not path.is_dir():
        return path.parent if path.suffix == WEIGHTS else gguf_parts.first(path)
    if any(entry.suffix == WEIGHTS for entry in _listed(path)):
        return path
    snapshot = _snapshot(path)
    if snapshot:
        return snapshot
    below = models_below(path)
    files = [found for found in below if not found.is_dir()]
    if not files and not (path / CONFIG).exists():
        files = below
    models = files if len(files) == 1 else [file for file in files if _may_be_a_model(file)]
    if len(models) > 1:
        names = [shown(file.relative_to(path).as_posix()) for file in models[:NAMED]]
        more = f" and {len(models) - NAMED} more" if len(models) > NAMED else ""
        raise CheckpointError(
            f"The folder {path.name} holds {len(models)} models: {', '.join(names)}{more}.",
            "Choose one of these.",
        )
    return models[0] if models else path


def is_gguf(path: Path) -> bool:
    """By its name; by its first bytes if the name has no suffix, as in the stores of Ollama."""
    if path.suffix.lower() == SUFFIX:
        return True
    return not path.suffix and gguf_header.begins_as_one(path)


def _walk(folder: Path, depth: int, left: list[int]) -> Iterator[Path]:
    """`left` has one number: of entries that may still be looked at."""
    entries = _listed(folder)[: left[0]]
    left[0] -= len(entries)
    folders = [path for path in entries if _is_folder(path)]
    ggufs = [path for path in entries if path not in folders and is_gguf(path)]
    weights = any(path.suffix == WEIGHTS for path in entries)
    has_config = folder / CONFIG in entries
    if has_config and (weights or not ggufs):
        yield folder
    yield from ggufs
    if depth and not (has_config and weights):
        for below in folders:
            yield from _walk(below, depth - 1, left)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        _log.warning("models in %s are not listed: %s", folder, error.strerror)
        return []


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _snapshot(folder: Path) -> Path | None:
    """Of models--PUBLISHER--MODEL: snapshots/REVISION, where refs/main names the revision."""
    try:
        revision = (folder / "refs" / "main").read_text("ascii")[:MAX_REVISION].strip()
    except (OSError, ValueError):
        return None
    found = folder / "snapshots" / revision
    return found if revision.isalnum() and found.is_dir() else None


def _may_be_a_model(file: Path) -> bool:
    """A file that cannot be read may be one: whoever opens it is told what is wrong with it."""
    try:
        return file.is_dir() or gguf_kinds.other_than_a_model(gguf_parts.read(file)) is None
    except HearthError:
        return True
