"""Everything one can do, in one table: menus, buttons, palette and shortcut sheet are drawn from
it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

from app import plain, theming


@dataclass(frozen=True)
class Row:
    name: str
    section: str
    """Heading in the sheet of shortcuts."""
    text: str
    keys: str = ""
    """As Qt writes them in English."""
    icon: str = ""
    tip: str = ""
    """What a button says of it, if that is more than the text."""


ROWS: Final[tuple[Row, ...]] = (
    Row("new_chat", "Chats", "New chat", "Ctrl+N", "newchat"),
    Row("search", "Chats", "Search all chats", "Ctrl+Shift+F", "search"),
    Row("rename", "Chats", "Rename this chat", "F2", "edit"),
    Row("pin", "Chats", "Pin this chat", "Ctrl+Shift+P", "pin"),
    Row("export", "Chats", "Export this chat…", "Ctrl+E", "export"),
    Row("export_all", "Chats", "Export all chats…", "", "export"),
    Row("import", "Chats", "Import chats…", "", "download"),
    Row("delete", "Chats", "Move this chat to the trash", "", "trash"),
    Row("trash", "Chats", "Show the trash", "", "trash"),
    Row("find", "This chat", "Find in this chat", "Ctrl+F", "search"),
    Row("stop", "This chat", "Stop the reply", "Esc", "stop"),
    Row("regenerate", "This chat", "Write the last reply again", "Ctrl+R", "regen"),
    Row("edit_last", "This chat", "Change the last prompt", "Ctrl+Up", "edit"),
    Row("previous_version", "This chat", "Show the version before", "Alt+Left", "left"),
    Row("next_version", "This chat", "Show the next version", "Alt+Right", "right"),
    Row("to_end", "This chat", "Go to the end", "Ctrl+End", "end"),
    Row("choose_model", "Model", "Choose a model", "Ctrl+M", "model"),
    Row("start_engine", "Model", "Start the engine again", "", "engine"),
    Row("sidebar", "Window", "Show or hide the chats", "Ctrl+B", "sidebar", "Chats"),
    Row("palette", "Window", "Do anything by its name", "Ctrl+K", "search"),
    Row("settings", "Window", "Settings", "Ctrl+,", "settings"),
    Row("shortcuts", "Window", "Shortcuts", "F1", "help"),
    Row("quit", "Window", "Quit Hearth", "Ctrl+Q", "close"),
)


class Actions:
    """One QAction for each row. Its shortcut works in the whole window."""

    def __init__(self, window: QWidget) -> None:
        self._rows = {row.name: row for row in ROWS}
        self._actions: dict[str, QAction] = {}
        made: list[QAction] = []
        for row in ROWS:
            action = plain.action(row.text, window)
            action.setObjectName(row.name)
            if row.icon:
                action.setIcon(theming.icon(row.icon, "text"))
            action.setShortcut(QKeySequence(row.keys))
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
            made.append(action)
            self._actions[row.name] = action
        window.addActions(made)

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def __iter__(self) -> Iterator[QAction]:
        return iter(self._actions.values())

    def sections(self) -> dict[str, list[QAction]]:
        """The actions under their headings, in the order of the table."""
        found: dict[str, list[QAction]] = {}
        for row in ROWS:
            found.setdefault(row.section, []).append(self._actions[row.name])
        return found

    def text(self, name: str) -> str:
        """What it is called, whatever the text of its action says of the moment."""
        return self._rows[name].text

    def icon(self, name: str) -> str:
        """The name of its icon."""
        return self._rows[name].icon

    def tip(self, name: str) -> str:
        """What the tooltip of its button says: what it does, and its key."""
        row, keys = self._rows[name], self.keys(name)
        words = row.tip or row.text.removesuffix("…")
        return f"{words} ({keys})" if keys else words

    def keys(self, name: str) -> str:
        """Its shortcut as this system writes it; empty if it has none."""
        return self._actions[name].shortcut().toString(QKeySequence.SequenceFormat.NativeText)
