"""engine/kernels/cpu.cpp as a library: built by the machine's own compiler, once for each version.

`python -m engine.device.cpp` builds it into a folder beside the source, for installers to carry;
elsewhere the user's cache keeps it. Which compiler made a library does not matter to who calls it,
and is not in its name.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import torch

from engine import folders
from engine.errors import StorageError
from ground import private

SOURCE: Final = Path(folders.__file__).with_name("kernels") / "cpu.cpp"
COMPILERS: Final = ("c++", "g++", "clang++", "cl")
BUILT: Final = "built"
"""The folder beside the source that has libraries for its user's machine."""
SECONDS: Final = 300
"""A compiler that takes longer has hung."""
WIDEST: Final = "avx2"
PLAIN: Final = "plain"
X86: Final = ("x86_64", "amd64")
LEVELS: Final[dict[str, tuple[str, ...]]] = {WIDEST: ("-mavx2", "-mfma", "-mf16c"), PLAIN: ()}
"""The instructions that a library may use, and the options of GCC and Clang for them."""
WITH_AVX2: Final = ("AVX2", "AVX512")
"""torch's names of what processors can that have AVX2, FMA and F16C."""
OPTIONS: Final = (
    "-std=c++17",
    "-O2",
    "-shared",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-pthread",
)
OPTIONS_OF_CL: Final = ("/nologo", "/std:c++17", "/O2", "/LD", "/EHsc", "/fp:precise")
LEVELS_OF_CL: Final[dict[str, tuple[str, ...]]] = {WIDEST: ("/arch:AVX2",), PLAIN: ()}

_log = logging.getLogger(__name__)


class CompilerError(RuntimeError):
    """No compiler is there, or it refused; what it said is in the message."""


def level() -> str:
    """The widest instructions of LEVELS that this processor has."""
    return WIDEST if torch.backends.cpu.get_cpu_capability() in WITH_AVX2 else PLAIN


def levels() -> tuple[str, ...]:
    """Those that this kind of processor may have."""
    return tuple(LEVELS) if platform.machine().lower() in X86 else (PLAIN,)


def at_hand() -> bool:
    """Whether there is a library, or a compiler for one and a folder to put it."""
    name = name_of(level())
    if (_beside() / name).exists():
        return True
    try:
        own = _own()
    except StorageError:
        return False
    return (own / name).exists() or compiler() is not None


def _beside() -> Path:
    return SOURCE.parent / BUILT


def _own() -> Path:
    """Raises StorageError for a cache folder that cannot be used."""
    return folders.cache() / "kernels"


def library() -> ctypes.CDLL:
    """The one beside the source, the user's own, or one that is compiled now.

    Raises CompilerError if there is none and it cannot be made, StorageError for a cache folder
    that cannot be used.
    """
    name = name_of(level())
    for place in (_beside, _own):  # the second may be a folder that cannot be used
        try:
            return loaded(place() / name)
        except FileNotFoundError:
            continue
        except OSError as error:  # damaged, or for another system: another one is made
            _log.warning("a compiled library is made again: %s", error)
    try:
        return loaded(build(_own(), level()))
    except OSError as error:
        raise CompilerError(str(error)) from error


def name_of(level: str) -> str:
    """A file's name that no other source, level, system or set of options has."""
    key = hashlib.sha256(SOURCE.read_bytes())
    for part in (*OPTIONS, *OPTIONS_OF_CL, *LEVELS[level], sys.platform, platform.machine()):
        key.update(part.encode() + b"\0")
    end = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    return f"{SOURCE.stem}-{level}-{key.hexdigest()[:32]}{end}"


def build(into: Path, level: str) -> Path:
    """Compiles the source into a library of the folder. Raises CompilerError, or OSError."""
    private.make_folder(into)
    target = into / name_of(level)
    with tempfile.TemporaryDirectory(dir=into) as here:
        made = Path(here) / target.name
        _run(_command(_compiler(), made, level), Path(here))
        content = made.read_bytes()
        private.write(Path(here) / "sum", _sum(content))
        (Path(here) / "sum").replace(_sum_of(target))
        made.replace(target)
    return target


def compiler() -> str | None:
    """The compiler's path: CXX, or the first of the usual ones that is there."""
    named = os.environ.get("CXX")
    found = (shutil.which(each) for each in (named, *COMPILERS) if each)
    return next((path for path in found if path), None)


def _compiler() -> str:
    found = compiler()
    if found is None:
        raise CompilerError("there is no C++ compiler on this computer")
    return found


def _command(compiler: str, target: Path, level: str) -> list[str]:
    if Path(compiler).stem.lower() == "cl":
        options = (*OPTIONS_OF_CL, *LEVELS_OF_CL[level])
        return [compiler, *options, str(SOURCE), f"/Fe:{target}"]
    return [compiler, *OPTIONS, *LEVELS[level], str(SOURCE), "-o", str(target)]


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompilerError(str(error)) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise CompilerError(said[0] if said else f"{command[0]} ended with {done.returncode}")


def loaded(file: Path) -> ctypes.CDLL:
    """Raises OSError for a file that is missing, damaged or for another system."""
    content = file.read_bytes()
    if _sum_of(file).read_bytes() != _sum(content):  # loading half of one ends the process
        raise OSError(f"{file} is damaged")
    return ctypes.CDLL(str(file))


def _sum_of(file: Path) -> Path:
    return file.with_suffix(".sha256")


def _sum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def main() -> None:
    """Builds every level side by side. Raises CompilerError, or OSError."""
    with ThreadPoolExecutor() as pool:
        for built in pool.map(partial(build, _beside()), levels()):
            sys.stdout.write(f"{built}\n")


if __name__ == "__main__":
    main()
