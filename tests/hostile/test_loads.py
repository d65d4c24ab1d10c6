"""Damaged headers and settings are refused with a sentence or load, and in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
EACH: Final = 50
"""Inputs of each kind."""
GROWTH: Final = 1 << 30
"""Bytes; more cannot be allocated there."""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits address space")
def test_fifty_of_each_kind_of_header_and_settings(tmp_path: Path) -> None:
    """In a process of their own: the peak is theirs, and a gigabyte more cannot be allocated."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.loads", str(tmp_path), str(EACH)],
        cwd=ROOT,
        env=os.environ | {"HEARTH_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert all(sum(ends.values()) == EACH for ends in found["ends"].values())
    for kind, ends in found["ends"].items():
        assert ends.get("refused"), kind
    assert sum(ends.get("loaded", 0) for ends in found["ends"].values()) > EACH
    assert found["grown"] < GROWTH
