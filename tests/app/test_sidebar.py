from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QMenu, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.actions import Actions
from app.models.loader import FailedModel, LoadingModel, NoModel, ReadyModel
from app.store.records import Conversation
from app.theming import Look
from app.widgets.chat_list import ID, SIGN, day_groups
from app.widgets.elided import ElidedLabel
from app.widgets.header import Header
from app.widgets.sidebar import Sidebar
from engine import protocol
from tests.app.conftest import POPUP
from tests.app.stand_in import MODEL

LONG = "Rust lifetimes, once more: a title so long that no sidebar has room for all of it"
DAY = 86400


def conversations(count: int) -> list[Conversation]:
    now = time.time()
    return [Conversation(n, f"Chat {n}", now - n) for n in range(1, count + 1)]


@pytest.fixture
def actions(look: Look) -> Iterator[Actions]:
    window = QWidget()
    yield Actions(window)
    window.deleteLater()


@pytest.fixture
def sidebar(qtbot: QtBot, actions: Actions) -> Sidebar:
    made = Sidebar(actions)
    qtbot.addWidget(made)
    made.resize(264, 600)
    made.show()
    qtbot.waitExposed(made)
    return made


def titles(sidebar: Sidebar) -> list[str]:
    items = (sidebar.chats.item(row) for row in range(sidebar.chats.count()))
    return [item.text() for item in items if item.data(ID) is not None]


@pytest.mark.parametrize(
    ("days", "heading"),
    [
        (-1, "Today"),
        (0, "Today"),
        (1, "Yesterday"),
        (2, "Last 7 days"),
        (6, "Last 7 days"),
        (7, "Last 30 days"),
        (29, "Last 30 days"),
        (30, "Older"),
    ],
)
def test_conversations_stand_under_their_day(days: int, heading: str) -> None:
    noon = datetime(2026, 3, 15, 12).astimezone()
    updated = (noon - timedelta(days=days)).timestamp()
    assert day_groups(date(2026, 3, 15))(updated) == heading


def test_headings_cannot_be_chosen(sidebar: Sidebar) -> None:
    now = time.time()
    sidebar.show_conversations(
        [Conversation(1, "New", now), Conversation(2, "Old", now - 40 * DAY)], current=1
    )
    assert titles(sidebar) == ["New", "Old"]
    assert sidebar.chats.count() == 4
    heading = sidebar.chats.item(0)
    assert not heading.flags() & Qt.ItemFlag.ItemIsSelectable
    opened = QSignalSpy(sidebar.opened)
    QTest.mouseClick(
        sidebar.chats.viewport(),
        Qt.MouseButton.LeftButton,
        pos=sidebar.chats.visualItemRect(heading).center(),
    )
    assert opened.count() == 0


def test_a_click_or_enter_opens(sidebar: Sidebar) -> None:
    sidebar.show_conversations(conversations(3), current=1)
    opened = QSignalSpy(sidebar.opened)
    row = sidebar.chats.item(2)
    QTest.mouseClick(
        sidebar.chats.viewport(),
        Qt.MouseButton.LeftButton,
        pos=sidebar.chats.visualItemRect(row).center(),
    )
    QTest.keyClick(sidebar.chats, Qt.Key.Key_Down)
    QTest.keyClick(sidebar.chats, Qt.Key.Key_Return)
    assert [opened.at(i)[0] for i in range(opened.count())] == [2, 3]


def test_the_open_conversation_is_marked_and_in_sight(sidebar: Sidebar) -> None:
    sidebar.show_conversations(conversations(300), current=250)
    item = sidebar.chats.currentItem()
    assert item is not None
    assert item.data(ID) == 250
    assert sidebar.chats.viewport().rect().intersects(sidebar.chats.visualItemRect(item))


def test_listing_again_keeps_where_one_has_scrolled(sidebar: Sidebar) -> None:
    sidebar.show_conversations(conversations(300), current=1)
    sidebar.chats.verticalScrollBar().setValue(2000)
    sidebar.show_conversations(conversations(300), current=1)
    assert sidebar.chats.verticalScrollBar().value() == 2000


def test_a_long_title_is_cut_at_its_end_and_whole_in_the_tooltip(sidebar: Sidebar) -> None:
    sidebar.show_conversations([Conversation(1, LONG, time.time())], current=None)
    item = sidebar.chats.item(1)
    where = sidebar.chats.visualItemRect(item).center()
    QTest.mouseMove(sidebar.chats.viewport(), where)
    sidebar.chats.itemEntered.emit(item)
    assert item.toolTip() == LONG
    assert sidebar.chats.textElideMode() is Qt.TextElideMode.ElideRight
    assert not sidebar.chats.horizontalScrollBar().isVisible()


@pytest.mark.parametrize(
    ("updated_at", "heading"),
    [
        *((9e18, "Today"), (math.inf, "Today")),
        *((-9e18, "Older"), (-math.inf, "Older"), (math.nan, "Older")),
    ],
)
def test_a_time_that_no_calendar_has_stands_under_a_heading(
    updated_at: float, heading: str
) -> None:
    assert day_groups(date(2026, 7, 1))(updated_at) == heading


def test_a_title_is_never_markup(sidebar: Sidebar) -> None:
    title = "<b>bold</b> & <img src=x>"
    sidebar.show_conversations([Conversation(1, title, time.time())], current=None)
    assert titles(sidebar) == [title]


def editor_of(sidebar: Sidebar) -> QLineEdit:
    editor = sidebar.chats.findChild(QLineEdit, "rename")
    assert isinstance(editor, QLineEdit)
    return editor


def press(editor: QLineEdit, key: Qt.Key) -> None:
    """Without letting the key go: the editor is gone by then."""
    QTest.keyPress(editor, key)
    QApplication.processEvents()


def test_f2_renames_in_place(sidebar: Sidebar) -> None:
    sidebar.show_conversations(conversations(2), current=2)
    renamed = QSignalSpy(sidebar.renamed)
    QTest.keyClick(sidebar.chats, Qt.Key.Key_F2)
    editor = editor_of(sidebar)
    assert editor.text() == "Chat 2"
    assert editor.selectedText() == "Chat 2"
    QTest.keyClicks(editor, "  Better ")
    press(editor, Qt.Key.Key_Return)
    assert renamed.at(0) == [2, "Better"]


@pytest.mark.parametrize("written", ["  ", "Chat 1"])
def test_an_empty_name_or_the_same_changes_nothing(sidebar: Sidebar, written: str) -> None:
    sidebar.show_conversations(conversations(1), current=1)
    renamed = QSignalSpy(sidebar.renamed)
    QTest.keyClick(sidebar.chats, Qt.Key.Key_F2)
    QTest.keyClicks(editor_of(sidebar), written)
    press(editor_of(sidebar), Qt.Key.Key_Return)
    assert renamed.count() == 0
    assert titles(sidebar) == ["Chat 1"]


def test_esc_keeps_the_name(sidebar: Sidebar) -> None:
    sidebar.show_conversations(conversations(1), current=1)
    renamed = QSignalSpy(sidebar.renamed)
    QTest.keyClick(sidebar.chats, Qt.Key.Key_F2)
    QTest.keyClicks(editor_of(sidebar), "Other")
    press(editor_of(sidebar), Qt.Key.Key_Escape)
    assert renamed.count() == 0


def test_delete_asks_for_deletion(sidebar: Sidebar) -> None:
    sidebar.show_conversations(conversations(2), current=2)
    asked = QSignalSpy(sidebar.delete_requested)
    QTest.keyClick(sidebar.chats, Qt.Key.Key_Delete)
    assert asked.at(0) == [[2]]


def menu_of(sidebar: Sidebar) -> QMenu:
    menu = sidebar.chats.findChild(QMenu)
    assert isinstance(menu, QMenu)
    return menu


def press_dots(sidebar: Sidebar, row: int) -> None:
    place = sidebar.chats.visualItemRect(sidebar.chats.item(row))
    where = QPoint(place.right() - 10, place.center().y())
    QTest.mouseClick(sidebar.chats.viewport(), Qt.MouseButton.LeftButton, pos=where)


@POPUP
def test_the_menu_of_a_row_has_its_actions(sidebar: Sidebar) -> None:
    sidebar.show_conversations(conversations(2), current=None)
    asked = {
        name: QSignalSpy(getattr(sidebar, f"{name}_requested"))
        for name in ("pin", "export", "delete")
    }
    opened = QSignalSpy(sidebar.opened)
    press_dots(sidebar, 1)
    rename, pin, folders, *others = menu_of(sidebar).actions()
    assert [action.text() for action in (rename, pin, folders, *others)] == [
        "Rename this chat",
        "Pin this chat",
        "Move to a folder",
        "Export this chat…",
        "Move this chat to the trash",
    ]
    pin.trigger()
    assert asked.pop("pin").at(0) == [1]
    for action, spy in zip(others, asked.values(), strict=True):
        action.trigger()
        assert spy.at(0) == [[1]]
    rename.trigger()
    assert editor_of(sidebar).text() == "Chat 1"
    assert opened.count() == 0
    menu_of(sidebar).close()


@POPUP
def test_the_menu_opens_by_right_click_and_by_key(sidebar: Sidebar) -> None:
    sidebar.show_conversations(conversations(2), current=2)
    place = sidebar.chats.visualItemRect(sidebar.chats.item(1)).center()
    for reason in (QContextMenuEvent.Reason.Mouse, QContextMenuEvent.Reason.Keyboard):
        where = sidebar.chats.viewport().mapToGlobal(place)
        QApplication.sendEvent(sidebar.chats.viewport(), QContextMenuEvent(reason, place, where))
        menu = menu_of(sidebar)
        menu.close()
        menu.deleteLater()
        QApplication.sendPostedEvents(menu, QEvent.Type.DeferredDelete)
    below = QPoint(10, 500)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, below, below)
    QApplication.sendEvent(sidebar.chats.viewport(), event)
    assert sidebar.chats.findChild(QMenu) is None


def test_pinned_chats_stand_first_under_their_own_heading(sidebar: Sidebar) -> None:
    old = Conversation(9, "Old", time.time() - 60 * DAY, pinned=True)
    sidebar.show_conversations([*conversations(2), old], current=None)
    texts = [sidebar.chats.item(row).text() for row in range(sidebar.chats.count())]
    assert texts == ["Pinned", "Old", "Today", "Chat 1", "Chat 2"]
    assert sidebar.chats.item(1).data(SIGN) == "pinned"


def test_a_chat_that_writes_or_waits_has_a_sign(sidebar: Sidebar) -> None:
    sidebar.show_conversations(conversations(4), None, {1: "writes", 3: "waits", 4: "new"})
    signs = [sidebar.chats.item(row).data(SIGN) for row in range(1, 5)]
    assert signs == ["writes", "", "waits", "new"]
    sidebar.grab()  # every sign can be drawn


def test_listing_again_changes_only_what_is_another(sidebar: Sidebar) -> None:
    sidebar.show_conversations(conversations(100), current=None)
    kept = sidebar.chats.item(60)
    changed = conversations(100)
    changed[5] = Conversation(6, "Renamed", changed[5].updated_at)
    sidebar.show_conversations(changed, current=None)
    assert sidebar.chats.item(60) is kept
    assert titles(sidebar) == [known.title for known in changed]
    sidebar.show_conversations(changed[50:], current=None)
    assert titles(sidebar) == [known.title for known in changed[50:]]


def test_new_chat(sidebar: Sidebar, actions: Actions) -> None:
    asked = QSignalSpy(actions["new_chat"].triggered)
    button = sidebar.findChild(QPushButton, "newChat")
    assert isinstance(button, QPushButton)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert asked.count() == 1


# ---------------------------------------------------------------------------- header


@pytest.fixture
def header(qtbot: QtBot, look: Look) -> Header:
    made = Header()
    qtbot.addWidget(made)
    made.resize(900, 52)
    made.show()
    qtbot.waitExposed(made)
    return made


def ready(name: str = MODEL.name) -> ReadyModel:
    return ReadyModel(
        protocol.Loaded(
            model=protocol.ModelInfo(
                id="m", name=name, path="/m", source="embedded", format="gguf"
            ),
            device="cpu",
            dtype="bfloat16",
            context_length=8192,
            use_flash_attn=False,
            load_ms=1.0,
        )
    )


def test_the_header_tells_how_far_a_model_is_loaded(header: Header) -> None:
    header.show_model(LoadingModel("m", "SmolLM2", "weights", 45_000_000, 270_000_000))
    assert header.progress_words.text() == "Loading weights 45 of 270 MB"
    assert header.bar.isVisible()
    assert header.bar.value() == 166
    assert header.model.text() == "SmolLM2"
    cancelled = QSignalSpy(header.cancel_requested)
    QTest.mouseClick(header.cancel, Qt.MouseButton.LeftButton)
    assert cancelled.count() == 1


def test_unknown_length_of_loading_is_shown_as_that(header: Header) -> None:
    header.show_model(LoadingModel("m", "SmolLM2", "converting"))
    assert header.progress_words.text() == "Preparing the model"
    assert header.bar.maximum() == 0


@pytest.mark.parametrize(
    ("state", "text", "spoken"),
    [
        (NoModel(), "Choose a model", "Choose a model"),
        (ready("SmolLM2"), "SmolLM2", "Model: SmolLM2"),
        (
            FailedModel("m", "m", protocol.Error(title="", detail="", hint="")),
            "Choose a model",
            "Choose a model",
        ),
    ],
)
def test_the_header_names_the_model(
    header: Header, state: NoModel | ReadyModel | FailedModel, text: str, spoken: str
) -> None:
    header.show_model(LoadingModel("m", "SmolLM2", "weights", 1, 2))
    header.show_model(state)
    assert header.model.text() == text
    assert header.model.accessibleName() == spoken
    assert not header.bar.isVisible()
    assert not header.cancel.isVisible()


@pytest.mark.parametrize("width", [480, 640, 916])
@pytest.mark.parametrize("state", [ready(LONG), LoadingModel("m", LONG, "weights", 1, 3 * 10**9)])
def test_nothing_in_the_header_overlaps_or_is_cut(
    header: Header, width: int, state: ReadyModel | LoadingModel
) -> None:
    header.resize(width, 52)
    header.show_title(LONG)
    header.show_model(state)
    assert header.minimumSizeHint().width() <= width
    header.layout().activate()  # type: ignore[union-attr]
    shown = [header.menu, header.title, header.progress_words, header.bar, header.cancel]
    row = [widget for widget in [*shown, header.model] if widget.isVisible()]
    for left, right in pairwise(row):
        assert left.geometry().right() < right.x()
    assert row[-1].geometry().right() <= width
    for widget in (header.progress_words, header.cancel, header.model):
        assert not widget.isVisible() or widget.width() >= widget.sizeHint().width()
    assert header.title.width() >= 60
    if isinstance(state, LoadingModel):
        assert header.cancel.isVisible()


def test_a_cut_title_is_whole_in_the_tooltip(qtbot: QtBot, look: Look) -> None:
    label = ElidedLabel(LONG)
    qtbot.addWidget(label)
    label.resize(120, 20)
    label.grab()
    assert label.toolTip() == LONG
    label.resize(2000, 20)
    label.grab()
    assert label.toolTip() == ""


# ---------------------------------------------------------------------------- several, folders


def shown_rows(sidebar: Sidebar) -> list[str]:
    return [str(sidebar.chats.item(row).data(0)) for row in range(sidebar.chats.count())]


def click(sidebar: Sidebar, row: int, key: Qt.KeyboardModifier) -> None:
    place = sidebar.chats.visualItemRect(sidebar.chats.item(row)).center()
    QTest.mouseClick(sidebar.chats.viewport(), Qt.MouseButton.LeftButton, key, place)


def test_shift_and_ctrl_select_several_and_open_none(
    sidebar: Sidebar, monkeypatch: pytest.MonkeyPatch
) -> None:
    sidebar.show_conversations(conversations(4), current=None)
    opened, deleted = QSignalSpy(sidebar.opened), QSignalSpy(sidebar.delete_requested)
    click(sidebar, 1, Qt.KeyboardModifier.NoModifier)
    shift = Qt.KeyboardModifier.ShiftModifier
    monkeypatch.setattr(QApplication, "keyboardModifiers", lambda: shift)
    click(sidebar, 3, shift)
    assert sidebar.chats.selected == [1, 2, 3]
    assert opened.count() == 1
    QTest.keyClick(sidebar.chats, Qt.Key.Key_Delete)
    assert deleted.at(0) == [[1, 2, 3]]


@POPUP
def test_the_menu_of_several_is_about_all_of_them(sidebar: Sidebar) -> None:
    sidebar.show_conversations(conversations(3), current=None)
    sidebar.chats.selectAll()
    press_dots(sidebar, 1)
    texts = [action.text() for action in menu_of(sidebar).actions()]
    assert texts == ["Move to a folder", "Export 3 chats…", "Move 3 chats to the trash"]
    menu_of(sidebar).close()


def test_a_folder_stands_above_the_days_and_can_be_folded(sidebar: Sidebar) -> None:
    listed = [replace(known, folder="Work" if known.id < 3 else "") for known in conversations(3)]
    sidebar.show_conversations(listed, current=None)
    assert shown_rows(sidebar)[:3] == ["Work", "Chat 1", "Chat 2"]
    click(sidebar, 0, Qt.KeyboardModifier.NoModifier)
    assert shown_rows(sidebar)[:1] == ["Work"]
    assert "Chat 1" not in shown_rows(sidebar)
    QTest.keyClick(sidebar.chats, Qt.Key.Key_Return)
    assert shown_rows(sidebar)[:3] == ["Work", "Chat 1", "Chat 2"]


@POPUP
def test_chats_are_moved_into_folders_by_the_menu(sidebar: Sidebar) -> None:
    listed = [replace(known, folder="Work" if known.id == 1 else "") for known in conversations(2)]
    sidebar.show_conversations(listed, current=None)
    moved = QSignalSpy(sidebar.move_requested)
    press_dots(sidebar, 1)
    into = next(a.menu() for a in menu_of(sidebar).actions() if a.text() == "Move to a folder")
    assert isinstance(into, QMenu)
    assert [action.text() for action in into.actions()] == [
        "Work",
        "Out of the folder",
        "New folder…",
    ]
    for action, folder in zip(into.actions(), ("Work", "", None), strict=True):
        action.trigger()
        assert moved.at(moved.count() - 1) == [[1], folder]
    menu_of(sidebar).close()
