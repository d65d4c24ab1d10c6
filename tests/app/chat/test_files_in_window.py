"""Files that are dropped, pasted or chosen: in the composer, in the chat, and for the model."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolButton
from pytestqt.qtbot import QtBot

from app.chat.attachment_head import AttachmentHead
from app.chat.code_block import CodeBlock
from app.models.picker import ModelPicker
from app.store.records import Attachment
from app.store.store import Store
from app.window import MainWindow
from tests.app.conftest import POPUP, TIMEOUT_MS, MakeWindow
from tests.app.stand_in import ADDED

CODE = "def find(table):\n    return table\n"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "find.py"
    path.write_text(CODE)
    return path


def of(*paths: Path) -> QMimeData:
    source = QMimeData()
    source.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return source


def names(window: MainWindow) -> list[str]:
    return [each.name for each in window.page.composer.files.files]


def drop(window: MainWindow, source: QMimeData) -> None:
    at, copies, left = QPoint(300, 300), Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    keys = Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(at, copies, source, left, keys)
    QApplication.sendEvent(window, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(window, QDropEvent(at, copies, source, left, keys))


def attach(window: MainWindow, qtbot: QtBot, path: Path) -> None:
    window._drops.take([path])
    qtbot.waitUntil(lambda: path.name in names(window), timeout=TIMEOUT_MS)


def heads(window: MainWindow) -> list[AttachmentHead]:
    widgets = window.page.transcript.widgets().values()
    return [widget for widget in widgets if isinstance(widget, AttachmentHead)]


def test_files_that_are_pasted_or_dropped_are_attached(
    make_window: MakeWindow, qtbot: QtBot, script: Path, tmp_path: Path
) -> None:
    window = make_window()
    QGuiApplication.clipboard().setMimeData(of(script))
    window.page.composer.field.paste()
    qtbot.waitUntil(lambda: names(window) == ["find.py"], timeout=TIMEOUT_MS)
    assert window.page.composer.field.toPlainText() == ""
    other = tmp_path / "notes.md"
    other.write_text("# Notes")
    drop(window, of(script, other))
    qtbot.waitUntil(lambda: names(window) == ["find.py", "notes.md"], timeout=TIMEOUT_MS)
    window.page.composer.files.findChildren(QToolButton)[0].click()
    assert names(window) == ["notes.md"]


def test_a_file_that_is_refused_is_named_with_the_reason(
    make_window: MakeWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    window = make_window()
    drop(window, of(tmp_path / "gone.txt"))
    qtbot.waitUntil(lambda: bool(window.notices.waiting), timeout=TIMEOUT_MS)
    (notice,) = window.notices.waiting
    assert notice.title == "A file was not attached"
    assert notice.detail.startswith("gone.txt cannot be read: ")
    assert names(window) == []


def test_a_file_is_sent_with_the_prompt_and_can_be_unfolded(
    ready: MakeWindow, qtbot: QtBot, script: Path, store: Store
) -> None:
    window = ready()
    attach(window, qtbot, script)
    window.page.composer.set_text("What is this?")
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        QTest.keyClick(window.page.composer.field, Qt.Key.Key_Return)
    assert names(window) == []
    prompt = window.dialogue.path[0]
    assert prompt.attachments == (Attachment("find.py", CODE),)
    seen = window.dialogue.seen.messages(window.dialogue.conversation or 0, [prompt])
    assert seen[0].content == f"File find.py:\n```python\n{CODE}```\n\nWhat is this?"
    (head,) = heads(window)
    head._button.click()
    code = next(w for w in window.page.transcript.widgets().values() if isinstance(w, CodeBlock))
    assert code.text() == CODE.rstrip()
    assert "return table" in window.page.transcript.text()
    head._button.click()
    assert "return table" not in window.page.transcript.text()


def test_a_file_alone_is_a_prompt(ready: MakeWindow, qtbot: QtBot, script: Path) -> None:
    window = ready()
    attach(window, qtbot, script)
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        QTest.keyClick(window.page.composer.field, Qt.Key.Key_Return)
    assert window.chats.title == "find.py"


def test_files_come_back_with_a_prompt_that_is_changed(
    ready: MakeWindow, qtbot: QtBot, script: Path
) -> None:
    window = ready()
    attach(window, qtbot, script)
    window.page.composer.set_text("What is this?")
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        QTest.keyClick(window.page.composer.field, Qt.Key.Key_Return)
    window.page.edit_last()
    assert names(window) == ["find.py"]
    window.page.composer.set_text("And this?")
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        QTest.keyClick(window.page.composer.field, Qt.Key.Key_Return)
    again = window.dialogue.path[0]
    assert (again.content, [each.name for each in again.attachments]) == ("And this?", ["find.py"])
    assert names(window) == []


def test_a_draft_keeps_its_files_over_chats_and_restarts(
    make_window: MakeWindow, qtbot: QtBot, script: Path, store: Store
) -> None:
    window = make_window()
    attach(window, qtbot, script)
    other = store.add_conversation("Another")
    window.dialogue.open(other)
    assert names(window) == []
    window.new_chat()
    assert names(window) == ["find.py"]
    assert names(make_window()) == ["find.py"]


@POPUP
def test_the_file_of_a_model_goes_to_the_picker(
    ready: MakeWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    window = ready()
    folder = tmp_path / Path(ADDED.path).name
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    drop(window, of(folder))
    picker = window.findChild(ModelPicker)
    assert picker is not None
    assert picker._added == str(folder)
    assert names(window) == []
    picker.close()
