"""What the headers of a checkpoint tell about it. Imports neither torch nor transformers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

import msgspec

from engine.errors import SHOWN, HearthError
from engine.loading.gguf import config as gguf_config
from engine.loading.gguf import families as gguf_families
from engine.loading.gguf import kinds as gguf_kinds
from engine.loading.gguf import parts as gguf_parts
from engine.loading.gguf import pretokenizers as gguf_pretokenizers
from engine.loading.gguf import types as gguf_types
from engine.loading.gguf.header import GGUFHeader
from engine.loading.gguf.types import FILE_TYPES
from engine.loading.safetensors import folder_tokenizer, model_folder
from engine.protocol import ModelInfo

MAX_HEADERS: Final = 6_000_000
"""Bytes of the headers of a folder's weights, and of their index, that a list of models reads:
45,000 tensors, 0.2 s. Of a folder with more it tells the size alone."""

Source = Literal["embedded", "imported", "folder", "package"]


def read(card: ModelInfo) -> ModelInfo:
    """`card` filled from the headers of its path; what is wrong with them stands in `problem`.

    A card that has `size_bytes` already is of a GGUF file in parts, the first of them at its path.
    One that has a problem already is left as it is.
    """
    if card.problem:
        return card
    path = Path(card.path)
    filled = card
    try:
        if path.is_dir():
            filled = _of_config(card, path)
            return _of_folder(filled, path)
        header = gguf_parts.read(path, card.size_bytes or None)
        filled = _of_gguf(card, header)
        gguf_kinds.check(header)
        gguf_config.check(header, gguf_families.of(header))
        gguf_types.check(tensor.type for tensor in header.tensors.values())
        gguf_pretokenizers.check(header)
    except HearthError as error:
        return msgspec.structs.replace(filled, problem=f"{error.detail} {error.hint}")
    except OSError as error:
        problem = f"{path} cannot be read: {error.strerror}. Check the permissions of the folder."
        return msgspec.structs.replace(filled, problem=problem)
    return filled


def _of_gguf(card: ModelInfo, header: GGUFHeader) -> ModelInfo:
    return msgspec.structs.replace(
        card,
        format="gguf",
        architecture=header.architecture[:SHOWN],
        parameters=header.parameters,
        weights=_weights_of(header),
        size_bytes=card.size_bytes or sum(path.stat().st_size for path in header.paths),
        context_length=_context(header.number("context_length")),
    )


def _weights_of(header: GGUFHeader) -> str:
    """As the file calls itself (Q4_K_M is a mixture of types), else its commonest type."""
    named = header.metadata.get("general.file_type")
    if isinstance(named, int) and named in FILE_TYPES:
        return FILE_TYPES[named]
    return _commonest((tensor.type.name, tensor.size) for tensor in header.tensors.values())


def _of_config(card: ModelInfo, path: Path) -> ModelInfo:
    """What is known of a folder that may be of no use."""
    config = model_folder.config_of(path)
    architecture = str(config.get("model_type") or "")[:SHOWN]
    return msgspec.structs.replace(card, format="safetensors", architecture=architecture)


def _of_folder(card: ModelInfo, path: Path) -> ModelInfo:
    folder = model_folder.open_folder(path)
    folder_tokenizer.check(folder)
    if folder.header_bytes() > MAX_HEADERS:
        return msgspec.structs.replace(card, size_bytes=folder.file_bytes())
    return msgspec.structs.replace(
        card,
        parameters=sum(tensor.parameters for tensor in folder.tensors),
        weights=_commonest((tensor.dtype.lower(), tensor.size) for tensor in folder.tensors),
        size_bytes=sum(tensor.size for tensor in folder.tensors),
        context_length=_context(folder.text_config.get("max_position_embeddings")),
    )


def _context(value: object) -> int:
    """0 where it is not said, or nonsense."""
    return value if isinstance(value, int) and 0 < value < 2**31 else 0


def _commonest(weights: Iterable[tuple[str, int]]) -> str:
    """The type that holds the most bytes."""
    bytes_of: Counter[str] = Counter()
    for name, size in weights:
        bytes_of[name] += size
    return bytes_of.most_common(1)[0][0] if bytes_of else ""
