"""Brings the database to this version before the window opens, and says so if that takes long."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QEventLoop, QSize, Qt, QTimer
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from app import language, plain, theming
from app.background import Background
from app.store.database import is_older, open_database
from app.words import translate

SIZE: Final = QSize(440, 150)

QUIET_MS: Final = 300
"""In which it may be done without a word."""

WORDS: Final = translate(
    "Upgrade",
    "Your chats are being brought to this version of Hearth. A copy of them is made first. This "
    "happens once.",
)


class UpgradeNotice(QWidget):
    """Stands there while the chats cannot be shown yet. It cannot be closed: half of the work is
    none."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setWindowTitle("Hearth")
        self.setWindowIcon(theming.icon("flame", "accent"))
        plain.set_name(self, WORDS)
        self.setFixedSize(SIZE)
        self.is_done = False
        busy = QProgressBar()
        busy.setRange(0, 0)
        busy.setTextVisible(False)
        plain.set_name(busy, translate("Upgrade", "Working"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(12)
        layout.addWidget(plain.Label(translate("Upgrade", "One moment"), "heading"))
        layout.addWidget(plain.Label(WORDS, "muted", wraps=True))
        layout.addWidget(busy)

    def closeEvent(self, event: QCloseEvent) -> None:
        event.setAccepted(self.is_done)


def upgrade(path: Path) -> None:
    """Returns when the database at this path is of this version, or cannot be brought to it: then
    whoever opens it says why."""
    if not is_older(path):
        return
    language.choose("")  # the system's, as the chosen one is in the database
    notice, loop, worker = UpgradeNotice(), QEventLoop(), Background()
    shows = QTimer(singleShot=True, interval=QUIET_MS)
    shows.timeout.connect(notice.show)
    shows.start()
    worker.run(lambda: open_database(path).close(), lambda _: loop.quit())
    loop.exec()
    shows.stop()
    worker.close()
    notice.is_done = True
    notice.close()
