"""SECURITY.md names modules and tests: each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_file_that_the_security_page_names_is_there() -> None:
    named = re.findall(r"`([\w/.]+\.(?:py|lock))`", (ROOT / "SECURITY.md").read_text("utf-8"))
    assert len(named) > 30
    assert [name for name in named if not (ROOT / name).is_file()] == []
