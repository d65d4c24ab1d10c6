"""A few of the kills of `tests/programs/kills.py`."""

from __future__ import annotations

import random
import sys

import pytest

from tests.programs import kills

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")


def test_kills_at_random_moments_lose_no_prompt_and_leave_no_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    planned = [("migration", "window"), ("migration", "window"), ("reply", "both")]
    for kill in kills.kill_all(planned, random.Random(1)):
        assert not kill.wrong, kill
