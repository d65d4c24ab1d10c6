"""Where the window keeps what it writes."""

from __future__ import annotations

from pathlib import Path

from ground import places


def data_folder() -> Path:
    """Of conversations and settings. Raises NoPlaceError."""
    return places.place("data")
