"""Brings the texts of all languages up to date: `python -m tests.programs.translations`.

lupdate reads the sources into resources/translations/*.ts, where a person writes the other
languages, and lrelease makes of these the .qm files that the window reads. Both files are in the
repository: a start needs no tool and writes nothing, and a test compares them with the sources.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import PySide6

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "resources" / "translations"
TOOLS: Final = Path(PySide6.__file__).parent
ENGLISH: Final = "en"
LANGUAGES: Final = (ENGLISH, "de")


def update(folder: Path) -> None:
    """Brings the .ts files in this folder up to date with the sources."""
    sources = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "app").rglob("*.py"))]
    for language in LANGUAGES:
        plural_only = ["-pluralonly"] if language == ENGLISH else []
        options = ["-no-obsolete", "-locations", "none", "-source-language", "en", *plural_only]
        target = folder / f"hearth_{language}.ts"
        _run("lupdate", *options, "-target-language", language, *sources, "-ts", str(target))


def compile_texts(folder: Path) -> None:
    """Makes the .qm files in this folder of its .ts files."""
    for language in LANGUAGES:
        source = folder / f"hearth_{language}.ts"
        _run("lrelease", "-silent", str(source), "-qm", str(source.with_suffix(".qm")))


def _run(tool: str, *arguments: str) -> None:
    """Raises CalledProcessError with what the tool says."""
    suffix = ".exe" if sys.platform == "win32" else ""
    command = [str(TOOLS / f"{tool}{suffix}"), *arguments]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


if __name__ == "__main__":
    update(FOLDER)
    compile_texts(FOLDER)
