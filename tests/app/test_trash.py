from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.store.store import Store
from app.widgets.trash import TrashDialog
from tests.app.conftest import POPUP, MakeWindow


def opened(window: object) -> TrashDialog:
    window.actions_table["trash"].trigger()  # type: ignore[attr-defined]
    dialog = window.findChild(TrashDialog)  # type: ignore[attr-defined]
    assert isinstance(dialog, TrashDialog)
    return dialog


@POPUP
def test_chats_are_taken_out_of_the_trash_or_deleted_for_good(
    make_window: MakeWindow, store: Store
) -> None:
    first, second, third = (store.add_conversation(f"Chat {n}") for n in range(3))
    window = make_window()
    for chat in (first, second):
        window.chats.delete(chat)
    dialog = opened(window)
    assert [dialog.list.item(row).text() for row in range(2)] == ["Chat 1", "Chat 0"]
    assert not dialog.delete.isEnabled()
    dialog.list.setCurrentRow(0)
    QTest.mouseClick(dialog.restore, Qt.MouseButton.LeftButton)
    assert [known.title for known in store.conversations()] == ["Chat 2", "Chat 1"]
    dialog.list.setCurrentRow(0)
    QTest.mouseClick(dialog.delete, Qt.MouseButton.LeftButton)
    assert store.trash() == []
    assert dialog._empty.isVisible()
    assert {known.id for known in store.conversations()} == {second, third}
    dialog.accept()
