from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.store.store import Store
from app.widgets.name_dialog import NameDialog
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


def test_several_go_into_the_trash_and_come_back_together(
    make_window: MakeWindow, store: Store
) -> None:
    chats = [store.add_conversation(f"Chat {number}") for number in range(3)]
    window = make_window()
    window._list()
    window.chats.delete_all(chats[:2])
    assert [known.title for known in store.conversations()] == ["Chat 2"]
    (notice,) = window.notices.waiting
    assert notice.title == "Moved 2 chats to the trash"
    assert notice.action
    notice.action()
    assert len(store.conversations()) == 3


@POPUP
def test_a_new_folder_is_named_and_kept(make_window: MakeWindow, store: Store) -> None:
    chats = [store.add_conversation(f"Chat {number}") for number in range(2)]
    window = make_window()
    window._list()
    window.sidebar.move_requested.emit(chats, None)
    dialog = window.findChild(NameDialog)
    assert isinstance(dialog, NameDialog)
    assert not dialog.accept_button.isEnabled()
    dialog.field.setText(" Work ")
    dialog.accept_button.click()
    assert {known.folder for known in store.conversations()} == {"Work"}
    assert window.chats.folders == ["Work"]
    window.sidebar.move_requested.emit(chats, "")
    assert window.chats.folders == []
