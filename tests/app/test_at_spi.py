"""A finished reply through AT-SPI, as a screen reader of Linux gets it: on a real window."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import at_spi

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(at_spi.missing() != "", reason=at_spi.missing())
def test_a_screen_reader_reads_a_finished_reply_and_hears_of_it(tmp_path: Path) -> None:
    environment = os.environ | {"HEARTH_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    tmp_path.chmod(0o700)
    bus = shutil.which("dbus-run-session")
    assert bus is not None
    done = subprocess.run(
        [bus, "--", sys.executable, "-m", "tests.programs.at_spi"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "button 'Send'" in done.stdout
    assert "text 'Prompt'" in done.stdout
    assert "paragraph 'You wrote: Why is it round?'" in done.stdout
    assert "paragraph 'Reply: A rainbow is light that rain has sorted by colour." in done.stdout
    assert "announced: The reply is finished. A rainbow is light" in done.stdout
