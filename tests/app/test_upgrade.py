"""The first start of a version with chats of an older one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app import upgrade
from app.store.database import connect, is_older, migrate
from app.upgrade import UpgradeNotice


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    path = tmp_path / "hearth.sqlite3"
    with closing(connect(str(path))) as connection:
        migrate(connection, 4)
        connection.execute(
            "INSERT INTO conversations (title, created_at, updated_at) VALUES ('A chat', 1, 1)"
        )
        connection.executemany(
            "INSERT INTO messages (conversation_id, role, content, state, created_at) "
            "VALUES (1, 'user', ?, 'complete', 1)",
            ((f"word{n} " * 50,) for n in range(500)),
        )
    return path


def test_chats_of_an_older_version_are_upgraded_while_a_notice_says_so(
    qapp: QApplication, qtbot: QtBot, old_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "QUIET_MS", 0)
    seen: list[str] = []

    def look() -> None:
        for widget in qapp.topLevelWidgets():
            if isinstance(widget, UpgradeNotice) and widget.isVisible():
                seen.append(widget.accessibleName())
                assert not widget.close()

    timer = QTimer(interval=5)
    timer.timeout.connect(look)
    timer.start()
    upgrade.upgrade(old_file)
    timer.stop()
    assert seen
    assert "brought to this version" in seen[0]
    assert not is_older(old_file)
    assert not any(isinstance(w, UpgradeNotice) and w.isVisible() for w in qapp.topLevelWidgets())


def test_without_a_file_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    upgrade.upgrade(tmp_path / "hearth.sqlite3")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_upgraded_is_left_to_whoever_opens_it(
    qapp: QApplication, old_file: Path
) -> None:
    whole = old_file.read_bytes()
    old_file.write_bytes(whole[:5000])
    upgrade.upgrade(old_file)
