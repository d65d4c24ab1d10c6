"""Damaged checkpoints are refused with a sentence or load: nothing else, and in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.loading import fuzz

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits address space")
def test_four_thousand_damaged_checkpoints(tmp_path: Path) -> None:
    """In a process of their own: the peak is theirs, and a gigabyte more cannot be allocated."""
    environment = os.environ | {"HEARTH_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "tests.engine.loading.fuzz", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["ends"].keys() == fuzz.KINDS.keys()
    for ends in found["ends"].values():
        assert ends["refused"] + ends["loaded"] >= fuzz.EXAMPLES
        assert min(ends["refused"], ends["loaded"]) > 0
    assert found["grown"] < fuzz.GROWTH
