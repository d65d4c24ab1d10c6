"""The share of the hostile inputs that CI runs: every kind, and those that an engine failed at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.hostile import inputs, run
from tests.hostile.engines import END_LIMIT
from tests.hostile.inputs import KINDS

ROOT: Final = Path(__file__).parents[2]
EACH: Final = 2
"""Inputs of each kind."""
FAILED_AT: Final = (56, 61, 68, 266, 365, 391, 462, 688, 790, 1455, 4350)
"""Inputs for which an engine was stuck, or said too much, before it was mended."""


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")
def test_each_is_answered_or_refused_in_time_and_memory_and_ends_at_stop(tmp_path: Path) -> None:
    some = [number for kind in KINDS for number in inputs.first_of(kind, EACH)]
    numbers = sorted({*some, *FAILED_AT})
    results = tmp_path / "results.jsonl"
    where = ("--folder", str(tmp_path / "run"), "--results", str(results))
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.run", *where, "--only", *map(str, numbers)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    trials, ends = run.read(results)
    assert {trial.number for trial in trials} == set(numbers)
    assert {trial.kind for trial in trials} == set(KINDS)
    found = {trial.end for trial in trials}
    assert found >= {"answered", "stopped", "refused by the list", "refused at the load"}
    assert sum(ending.left for ending in ends) == 0
    assert max(ending.seconds for ending in ends) < END_LIMIT
