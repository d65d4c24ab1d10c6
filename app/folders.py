"""Where the window keeps what it writes."""

from __future__ import annotations

from pathlib import Path

from app.words import translate
from ground import places

MODELS = "models"
"""Within the data folder: whatever lies there is listed by the engine."""


def data_folder() -> Path:
    """Of conversations and settings. Raises NoPlaceError."""
    return places.place("data")


def named_folders() -> list[tuple[str, Path]]:
    """What a person may look for, and where it lies; none if there is no place for it."""
    try:
        data, log = data_folder(), places.place("log")
    except places.NoPlaceError:
        return []
    return [
        (translate("Folders", "Chats and settings"), data),
        (translate("Folders", "Models that are listed by themselves"), data / MODELS),
        (translate("Folders", "What the engine writes down"), log),
    ]
