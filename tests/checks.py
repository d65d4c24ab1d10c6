"""Everything that CI runs, one after another: `python3 start.py test`. Arguments go to pytest."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Final

MODULE: Final = [sys.executable, "-P", "-m"]
MAX_WORKERS: Final = 4
"""Processes of pytest. Each imports torch and Qt: 1 GB, more in tests that load a real model."""
CORES: Final = os.cpu_count() or 1
WORKERS: Final = min(CORES, MAX_WORKERS)
IMPORT_LINTER = (
    "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"
)
CHECKS = {
    "lint": [*MODULE, "ruff", "check", "."],
    "format": [*MODULE, "ruff", "format", "--check", "."],
    "types": [*MODULE, "mypy"],
    "imports": [sys.executable, "-P", "-c", IMPORT_LINTER],
    "lock": [sys.executable, "-P", "tests/lock.py", "--check"],
    # By file: a file's fixtures (an engine process, a loaded model) are made once.
    "tests": [*MODULE, "pytest", "-n", str(WORKERS), "--dist", "loadfile"],
}
THREADS: Final = {"OMP_NUM_THREADS": str(CORES // WORKERS), "OMP_WAIT_POLICY": "PASSIVE"}
"""For torch: workers that each take every core, and spin on it while they wait, slow each other."""


def passes(name: str, command: list[str]) -> bool:
    print(f"--- {name}", flush=True)
    start = time.monotonic()
    code = subprocess.call(command, env={**os.environ, **THREADS})
    verdict = "passed" if code == 0 else f"FAILED (exit {code})"
    print(f"--- {name} {verdict} in {time.monotonic() - start:.1f} s\n", flush=True)
    return code == 0


def main(pytest_args: list[str]) -> int:
    CHECKS["tests"] += pytest_args
    failed = [name for name, command in CHECKS.items() if not passes(name, command)]
    if failed:
        print("Failed: " + ", ".join(failed))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
