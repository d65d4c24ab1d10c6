"""Every screen for people who use the keyboard, a screen reader, or both."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QAccessible, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from app.announcer import finished_words
from app.chat.find_bar import FindBar
from app.chat.reply_rows import Footer
from app.command.palette import Palette
from app.store.records import StoredMessage, Trouble
from app.store.store import Store
from app.widgets.floating import Floating
from app.window import MainWindow
from tests.app.conftest import POPUP, MakeWindow
from tests.programs.screens import filled_with

NO_ROLE: Final = {QAccessible.Role.NoRole, QAccessible.Role.Client}
MOST_TABS: Final = 120


def act(name: str) -> Callable[[MainWindow], object]:
    return lambda window: window.actions_table[name].trigger()


def popover(window: MainWindow) -> None:
    window.status.open_popover()


def chat(window: MainWindow) -> None:
    """With the figures of a reply, and a prompt that is being changed."""
    window.actions_table["edit_last"].trigger()
    footers = window.page.transcript.viewport().findChildren(Footer)
    next(f for f in footers if f.block.figures.new_tokens)._info.click()


SCREENS: Final[dict[str, Callable[[MainWindow], object]]] = {
    "welcome": act("new_chat"),
    "chat": chat,
    **{
        name: act(name)
        for name in ("find", "palette", "settings", "chat_settings", "shortcuts", "trash")
    },
    "models": act("choose_model"),
    "attention": popover,
}


@pytest.fixture(params=SCREENS)
def screen(request: pytest.FixtureRequest, make_window: MakeWindow, store: Store) -> QWidget:
    """What is in front of the person: the window, or what floats in it or above it."""
    filled_with(store)
    window = make_window()
    window.resize(1180, 760)
    window._list()
    window.dialogue.open(store.conversations()[0].id)
    window.activateWindow()
    assert QTest.qWaitForWindowActive(window)
    SCREENS[request.param](window)
    QTest.qWait(30)
    for kind in (QDialog, Floating, Palette):
        found = [each for each in window.findChildren(kind) if each.isVisible()]
        if found:
            return found[0]
    return window


def focusable(screen: QWidget) -> list[QWidget]:
    """What can have the focus by Tab, of what is in front."""
    return [
        widget
        for widget in screen.findChildren(QWidget)
        if widget.isVisible()
        and widget.isEnabled()
        and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.focusProxy() is None
        and widget.window() is screen.window()
    ]


def called(widget: QWidget) -> str:
    return f"{type(widget).__name__} {widget.objectName()} {widget.accessibleName()!r}"


@POPUP
def test_each_widget_that_can_have_the_focus_has_a_role_and_a_name(screen: QWidget) -> None:
    found = focusable(screen)
    assert found
    for widget in found:
        interface = QAccessible.queryAccessibleInterface(widget)
        assert interface.role() not in NO_ROLE, called(widget)
        assert interface.text(QAccessible.Text.Name), called(widget)


def tabbed(screen: QWidget) -> list[QWidget]:
    """What Tab leads to, until it is where it began."""
    focusable(screen)[0].setFocus(Qt.FocusReason.TabFocusReason)
    order: list[QWidget] = []
    for _ in range(MOST_TABS):
        widget = QApplication.focusWidget()
        assert widget is not None
        if widget in order:
            break
        order.append(widget)
        QTest.keyClick(widget, Qt.Key.Key_Tab)
    return order


def place_of(widget: QWidget, screen: QWidget) -> QRect:
    return QRect(widget.mapTo(screen.window(), QPoint(0, 0)), widget.size())


def parts_between(widget: QWidget, other: QWidget) -> tuple[QWidget, QWidget]:
    """The two children of their common ancestor in which they stand."""
    ancestors = [widget]
    while (parent := ancestors[-1].parentWidget()) is not None:
        ancestors.append(parent)
    at = other
    while at.parentWidget() not in ancestors:
        above = at.parentWidget()
        assert above is not None
        at = above
    common = at.parentWidget()
    return ancestors[max(0, ancestors.index(common) - 1)], at  # type: ignore[arg-type]


@POPUP
def test_tab_reaches_each_of_them_in_reading_order(screen: QWidget) -> None:
    order = tabbed(screen)
    missed = [called(widget) for widget in focusable(screen) if widget not in order]
    assert not missed
    for before, after in pairwise(order):
        if screen.window() is screen and type(before).__name__ == "PromptField":
            continue  # where one writes comes first, and then the window from its beginning
        if any(isinstance(part, FindBar) for part in parts_between(before, after)):
            continue  # it floats, and is reached by its key
        first, second = (place_of(part, screen) for part in parts_between(before, after))
        below = second.center().y() >= first.top()
        assert below or second.left() >= first.right(), (called(before), called(after))


def picture(widget: QWidget, screen: QWidget) -> QImage:
    around = place_of(widget, screen).adjusted(-4, -4, 4, 4)
    return screen.window().grab(around).toImage()


@POPUP
def test_the_focus_is_seen_wherever_it_is(screen: QWidget) -> None:
    first = focusable(screen)[0]
    first.setFocus(Qt.FocusReason.TabFocusReason)
    seen: list[QWidget] = []
    while (widget := QApplication.focusWidget()) not in seen:
        assert widget is not None
        seen.append(widget)
        QApplication.processEvents()
        with_focus = picture(widget, screen)
        widget.clearFocus()
        if not _covered(widget, screen):
            assert picture(widget, screen) != with_focus, called(widget)
        widget.setFocus(Qt.FocusReason.TabFocusReason)
        QTest.keyClick(widget, Qt.Key.Key_Tab)
    assert len(seen) == len(focusable(screen))


def _covered(widget: QWidget, screen: QWidget) -> bool:
    """Whether it is below the bar in which one finds words, until one scrolls or closes that."""
    bar = screen.findChild(FindBar)
    if bar is None or not bar.isVisible() or bar.isAncestorOf(widget):
        return False
    return place_of(bar, screen).intersects(place_of(widget, screen))


# ---------------------------------------------------------------------------- the conversation


def test_the_conversation_is_read_block_by_block_in_its_order(
    make_window: MakeWindow, store: Store
) -> None:
    filled_with(store)
    window = make_window()
    window.dialogue.open(store.conversations()[0].id)
    viewport = window.page.transcript.viewport()
    column = QAccessible.queryAccessibleInterface(viewport)
    assert column.role() is QAccessible.Role.Pane
    blocks = [column.child(index) for index in range(column.childCount())]
    tops = [block.rect().top() for block in blocks]
    assert tops == sorted(tops)
    said = [block.text(QAccessible.Text.Name) for block in blocks]
    assert any("sunlight" in words for words in said)
    assert any("def angle" in words for words in said)
    assert [column.indexOfChild(block) for block in blocks] == list(range(len(blocks)))


def test_what_is_said_of_a_reply_that_ends() -> None:
    reply = StoredMessage(1, "assistant", "Because of light.")
    assert finished_words(reply) == "The reply is finished. Because of light."
    failed = StoredMessage(1, "assistant", "", trouble=Trouble("There is not enough memory"))
    assert finished_words(failed) == "The reply failed. There is not enough memory"
