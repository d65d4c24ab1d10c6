"""The environment that Hearth's processes give each other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

NOT_FOR_LIBRARIES: Final = ("PYTHONOPTIMIZE", "PYTHONWARNINGS")
"""With these a user debugs a program of their own. Without docstrings, or with each warning an
error, libraries of Hearth's fail when they are imported."""


def of_child(**changes: str) -> dict[str, str]:
    """This process's environment for one of Hearth's own, with changes."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_FOR_LIBRARIES}
    return {**kept, **changes}


def leave_lost_folder() -> None:
    """Works in the root where the working folder is gone: MKL ends a process that has none.

    A HEARTH_HOME that is relative to the lost folder stays an error.
    """
    try:
        Path.cwd()
    except OSError:
        if Path(os.environ.get("HEARTH_HOME") or "/").is_absolute():
            os.chdir("/")
