"""Where Hearth keeps its files: the system's own places, or below HEARTH_HOME."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder() -> Path:
    """Conversations and settings."""
    home = os.environ.get("HEARTH_HOME")
    if home:
        return Path(home) / "data"
    import platformdirs

    return platformdirs.user_data_path("hearth", appauthor=False)
