from __future__ import annotations

import subprocess
import sys

from app.engine_command import engine_environment
from app.uncaught import place
from app.window import MainWindow
from tests.app.conftest import MakeWindow

PLACE_TO_BREAK = "\u200b"
FAILING = """
import sys, threading
from PySide6.QtCore import QCoreApplication, QTimer
from app.uncaught import Uncaught

class Dying:
    def __del__(self):
        fail(KeyError)

def fail(kind):
    try:
        "secret".encode("utf-16-le").decode("ascii")
        {}["secret"]
    except KeyError as error:
        raise kind("secret") from error

told = []
uncaught = Uncaught()
uncaught.install()
uncaught.tell = told.append
app = QCoreApplication([])
for _ in range(2):
    QTimer.singleShot(0, lambda: fail(ValueError))
QTimer.singleShot(10, app.quit)
app.exec()
thread = threading.Thread(target=fail, args=[OSError])
thread.start()
thread.join()
Dying()
print(*told, sep="\\n")
fail(LookupError)
"""


def test_an_error_is_told_by_its_place_and_never_by_its_words() -> None:
    left = subprocess.run(
        [sys.executable, "-P", "-c", FAILING],
        check=False,
        capture_output=True,
        text=True,
        env=engine_environment(),
        timeout=60,
    )
    assert left.returncode == 1
    assert "secret" not in left.stdout + left.stderr
    for kind in ("KeyError", "ValueError", "OSError", "LookupError"):
        assert f"hearth: {kind}, which nobody caught" in left.stderr
    assert "in fail" in left.stderr
    assert left.stdout.count("ValueError in fail") == 1


def test_the_window_tells_an_error_and_goes_on(make_window: MakeWindow) -> None:
    window: MainWindow = make_window()
    try:
        raise KeyError("secret")
    except KeyError as error:
        window.tell_fault(place(error))
    assert window.page.banner.isVisible()
    said = window.page.banner.detail.text().replace(PLACE_TO_BREAK, "")
    assert said.startswith("KeyError in test_the_window_tells")
    assert "secret" not in said
