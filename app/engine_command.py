"""The command and the environment that start the engine. Knows no Qt."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ground import environment

ROOT: Final = Path(__file__).resolve().parent.parent
"""Holds `app` and `engine`; neither is ever installed into site-packages."""


def engine_python() -> str:
    """The interpreter that has torch: our own in a source checkout, unless told otherwise."""
    return os.environ.get("HEARTH_ENGINE_PYTHON") or sys.executable


def engine_command(arguments: Sequence[str]) -> list[str]:
    """The command line of the engine with these arguments, such as `["serve"]`."""
    return [engine_python(), "-P", "-m", "engine", *arguments]


def engine_environment() -> dict[str, str]:
    """Our own environment; only what lies beside `app` is importable besides the interpreter's.

    HEARTH_PARENT names the process with which the engine ends; `engine/watchdog.py` reads it.
    """
    return environment.of_child(PYTHONPATH=str(ROOT), HEARTH_PARENT=str(os.getpid()))
