"""GGUF files that are no language model: each is called what it is."""

from __future__ import annotations

from typing import Final

from engine.errors import HearthError, UnsupportedError, shown
from engine.loading.gguf.header import GGUFHeader

BESIDE: Final = "Choose the file of the language model itself; it often lies beside this one."
QUANTISED: Final = "Choose one of the models that were quantised with it."


def check(header: GGUFHeader) -> None:
    """Raises UnsupportedError for a file that is no language model, and says what it is."""
    other = other_than_a_model(header)
    if other is not None:
        raise other


def other_than_a_model(header: GGUFHeader) -> HearthError | None:
    """What opening the file raises; None for one that may be a language model."""
    name, architecture = header.path.name, header.architecture
    kind = header.metadata.get("general.type", "")
    if kind == "adapter" or "adapter.type" in header.metadata:
        return UnsupportedError(
            f"{name} is a LoRA adapter: changes to a model, and no model{_made_for(header)}.",
            "Hearth applies no adapters. Choose a model into which it is merged.",
        )
    if kind == "mmproj" or architecture == "clip":
        return UnsupportedError(
            f"{name} is a projector: the part of a model that sees images or hears sound.", BESIDE
        )
    if kind == "imatrix" or "imatrix.datasets" in header.metadata:
        return UnsupportedError(
            f"{name} is an importance matrix: it helps to quantise a model, and is none.", QUANTISED
        )
    if architecture == "controlvector" or "controlvector.layer_count" in header.metadata:
        return UnsupportedError(
            f"{name} is a control vector: it steers a model, and is none.", BESIDE
        )
    if not header.tensors:
        return UnsupportedError(
            f"{name} holds no weights, only what describes a model or its vocabulary.",
            "Choose a file with the weights.",
        )
    if not architecture:
        return UnsupportedError(
            f"{name} does not say which architecture it has (general.architecture).",
            "Choose another file of this model.",
        )
    if header.metadata.get(f"{architecture}.pooling_type", 0) not in (0, None):
        return UnsupportedError(
            f"{name} is an embedding model: it turns text into numbers, and writes none.",
            "Choose a model that is made for chats.",
        )
    return None


def _made_for(header: GGUFHeader) -> str:
    base = header.metadata.get("general.base_model.0.name")
    return f"; it is made for {shown(base)}" if base and isinstance(base, str) else ""
