"""The one place that makes labels, buttons, actions and tooltips: they may hold a stranger's words.

A model's name, a GPU's, a title or an error may hold markup, ampersands, ends of lines, characters
that are not seen or that turn the direction of text, or a megabyte. Qt takes for HTML what looks
like it, and reads the images that it names.
"""

from __future__ import annotations

import html
import re
import textwrap
import unicodedata
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import (
    QAction,
    QContextMenuEvent,
    QGuiApplication,
    QIcon,
    QKeyEvent,
    QKeySequence,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QLabel,
    QLineEdit,
    QListWidgetItem,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QSystemTrayIcon,
    QWidget,
)

from app.words import Words, now, translate

LONGEST_LINE: Final = 300
"""Characters of a text of one line that are shown."""

LONGEST_TEXT: Final = 2000
"""Characters of a text of several lines that are shown; the rest is counted."""

TIP_WIDTH: Final = 100
"""Characters in a line of a tooltip: Qt breaks no lines of plain ones."""

LONGEST_TIP: Final = 1000

_BREAK: Final = "\u200b"
"""A space without width: a line may end there, and no tag goes on behind it."""

_UNBROKEN: Final = re.compile(r"[^\s/\\\-,;:!?()\[\]{}\u200b]{40,}")
"""Characters between which no line would end, and which may be wider than the window."""

_JOINT: Final = re.compile(r"[^_.=+&]{1,39}[_.=+&]*|[_.=+&]{1,40}")
"""Parts of them: up to a joint of a name, or up to as many as a narrow place has room for."""

_LINE_ENDS: Final = re.compile(r"[^\S ]+")
_UNSEEN: Final = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that are not drawn: controls, half surrogate pairs, unassigned ones."""

_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows, also of our own words."""


def one_line(words: str, most: int = LONGEST_LINE) -> str:
    """Words for a place of one line."""
    cut = len(words) > most
    return _seen(_LINE_ENDS.sub(" ", words[:most])) + ("…" if cut else "")


def several_lines(words: str, most: int = LONGEST_TEXT) -> str:
    """Words for a place of several lines, each of which can be broken."""
    rest = len(words) - most
    shown = "\n".join(map(_seen, words[:most].splitlines()))
    more = translate("Plain", "… (%n more characters)", "", 1).of(rest) if rest > 0 else ""
    return _UNBROKEN.sub(_with_breaks, shown) + more


def tool_tip(words: str) -> str:
    """Words for a tooltip, such that Qt takes them for what they are."""
    lines = several_lines(words, LONGEST_TIP).replace(_BREAK, "").split("\n")
    shown = "\n".join("\n".join(textwrap.wrap(line, TIP_WIDTH)) for line in lines)
    return shown.replace("<", f"<{_BREAK}").replace("&lt;", f"&{_BREAK}lt;")


def set_tool_tip(target: QWidget | QListWidgetItem, words: str) -> None:
    _remember(target, set_tool_tip, words)
    target.setToolTip(tool_tip(now(words)))


def set_name(target: QWidget, words: str) -> None:
    """What a screen reader calls it."""
    _remember(target, set_name, words)
    target.setAccessibleName(now(words))


def set_description(target: QWidget, words: str) -> None:
    """What a screen reader says of it behind its name."""
    _remember(target, set_description, words)
    target.setAccessibleDescription(now(words))


def set_placeholder(target: QLineEdit | QPlainTextEdit, words: str) -> None:
    _remember(target, set_placeholder, words)
    target.setPlaceholderText(now(words))


def set_title(target: QWidget, words: str) -> None:
    """Of a window or a dialog."""
    _remember(target, set_title, words)
    target.setWindowTitle(now(words))


def say_again(target: QObject) -> None:
    """Sets the texts of a widget or an action that were set here in the language of now."""
    for does, words in list(getattr(target, _SAID, {}).items()):
        does(target, words.again())


_SAID: Final = "_said_texts"
"""Attribute: by the function that sets it, each text that can be made again."""


def _remember(target: object, does: Callable[..., None], words: str) -> None:
    said = getattr(target, _SAID, {})
    said.pop(does, None)
    if isinstance(words, Words):
        said[does] = words
    setattr(target, _SAID, said)


def breakable(name: str) -> str:
    """A name of code with places where a line may end."""
    return re.sub(r"(_|::)", rf"\1{_BREAK}", name).replace("<", f"{_BREAK}<")


class Label(QLabel):
    """Plain text in one line, or in as many as it takes if it wraps."""

    def __init__(
        self, text: str = "", name: str = "", *, wraps: bool = False, parent: QWidget | None = None
    ) -> None:
        """`name`: the style's."""
        super().__init__(parent)
        self.setObjectName(name)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(wraps)
        self.setText(text)

    def setText(self, text: str) -> None:
        _remember(self, type(self).setText, text)
        shown = now(text)
        super().setText(several_lines(shown) if self.wordWrap() else one_line(shown))


class SelectableLabel(Label):
    """A label that wraps, from which can be copied what was written: without places to break."""

    def __init__(self, text: str = "", name: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, name, wraps=True, parent=parent)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self._copy()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(translate("Plain", "Copy"), self._copy).setEnabled(self.hasSelectedText())
        menu.popup(event.globalPos())

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.selectedText().replace(_BREAK, ""))


class Button(QPushButton):
    """Words without a mnemonic: an ampersand is an ampersand, and no letter becomes a shortcut."""

    def __init__(self, text: str = "", name: str = "", parent: QWidget | None = None) -> None:
        """`name`: the style's."""
        super().__init__(parent)
        self.setObjectName(name)
        self.setText(text)

    def setText(self, text: str) -> None:
        _remember(self, type(self).setText, text)
        super().setText(one_line(now(text)).replace("&", "&&"))

    def text(self) -> str:
        return super().text().replace("&&", "&")


def action(text: str, parent: QObject) -> QAction:
    """Words without a mnemonic, as a button's."""
    made = QAction(parent)
    set_text(made, text)
    return made


def set_text(target: QAction | QAbstractButton, words: str) -> None:
    _remember(target, set_text, words)
    target.setText(one_line(now(words)).replace("&", "&&"))


def add_to_menu(
    menu: QMenu, text: str, does: Callable[[], object], icon: QIcon | None = None
) -> QAction:
    """An entry of a menu that lasts as long as the menu does."""
    entry = action(text, menu)
    if icon is not None:
        entry.setIcon(icon)
    entry.triggered.connect(lambda _: does())
    menu.addAction(entry)
    return entry


class RadioButton(QRadioButton):
    """Words without a mnemonic."""

    def setText(self, text: str) -> None:
        _remember(self, type(self).setText, text)
        super().setText(one_line(now(text)).replace("&", "&&"))


class TrayIcon(QSystemTrayIcon):
    """Speaks through the system, and is there only as long as it does. `clicked()`."""

    clicked = Signal()

    def __init__(self, icon: QIcon, parent: QObject) -> None:
        super().__init__(icon, parent)
        self.messageClicked.connect(self._on_click)
        self.activated.connect(lambda _: self._on_click())

    @staticmethod
    def can_speak() -> bool:
        return QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages()

    def say(self, title: str, words: str) -> None:
        """Some systems read markup in the words."""
        self.show()
        self.showMessage(title, html.escape(one_line(words), quote=False), self.icon())

    def _on_click(self) -> None:
        self.hide()
        self.clicked.emit()


def _with_breaks(word: re.Match[str]) -> str:
    return _BREAK.join(_JOINT.findall(word[0]))


def _seen(words: str) -> str:
    if words.isprintable():  # most are, and it is quick
        return words
    return "".join(map(_seen_letter, words))


def _seen_letter(letter: str) -> str:
    if letter in _TURNING:
        return ""
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(letter) in _UNSEEN else letter
