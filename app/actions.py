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
from app.words import Words, now, translate


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


CHATS: Final = translate("Actions", "Chats")
CHAT: Final = translate("Actions", "This chat")
MODEL: Final = translate("Actions", "Model")
WINDOW: Final = translate("Actions", "Window")

ROWS: Final[tuple[Row, ...]] = (
    Row("new_chat", CHATS, translate("Actions", "New chat"), "Ctrl+N", "newchat"),
    Row("search", CHATS, translate("Actions", "Search all chats"), "Ctrl+Shift+F", "search"),
    Row("rename", CHATS, translate("Actions", "Rename this chat"), "F2", "edit"),
    Row("pin", CHATS, translate("Actions", "Pin this chat"), "Ctrl+Shift+P", "pin"),
    Row("export", CHATS, translate("Actions", "Export this chat…"), "Ctrl+E", "export"),
    Row("print", CHATS, translate("Actions", "Print this chat…"), "Ctrl+P", "file"),
    Row("export_all", CHATS, translate("Actions", "Export all chats…"), "", "export"),
    Row("import", CHATS, translate("Actions", "Import chats…"), "", "download"),
    Row("delete", CHATS, translate("Actions", "Move this chat to the trash"), "", "trash"),
    Row("trash", CHATS, translate("Actions", "Show the trash"), "", "trash"),
    Row("find", CHAT, translate("Actions", "Find in this chat"), "Ctrl+F", "search"),
    Row("stop", CHAT, translate("Actions", "Stop the reply"), "Esc", "stop"),
    Row("regenerate", CHAT, translate("Actions", "Write the last reply again"), "Ctrl+R", "regen"),
    Row(
        "continue",
        CHAT,
        translate("Actions", "Go on with the last reply"),
        "Ctrl+Shift+R",
        "goon",
    ),
    Row(
        "attach",
        CHAT,
        translate("Actions", "Attach text or code"),
        "Ctrl+Shift+A",
        "attach",
    ),
    Row("edit_last", CHAT, translate("Actions", "Change the last prompt"), "Ctrl+Up", "edit"),
    Row(
        "previous_version",
        CHAT,
        translate("Actions", "Show the version before"),
        "Alt+Left",
        "left",
    ),
    Row("next_version", CHAT, translate("Actions", "Show the next version"), "Alt+Right", "right"),
    Row("to_end", CHAT, translate("Actions", "Go to the end"), "Ctrl+End", "end"),
    Row(
        "chat_settings",
        CHAT,
        translate("Actions", "Settings of this chat"),
        "Ctrl+Shift+,",
        "settings",
    ),
    Row("choose_model", MODEL, translate("Actions", "Choose a model"), "Ctrl+M", "model"),
    Row("unload", MODEL, translate("Actions", "Unload the model"), "", "power"),
    Row("start_engine", MODEL, translate("Actions", "Start the engine again"), "", "engine"),
    Row(
        "sidebar",
        WINDOW,
        translate("Actions", "Show or hide the chats"),
        "Ctrl+B",
        "sidebar",
        translate("Actions", "Chats"),
    ),
    Row("palette", WINDOW, translate("Actions", "Do anything by its name"), "Ctrl+K", "search"),
    Row("settings", WINDOW, translate("Actions", "Settings"), "Ctrl+,", "settings"),
    Row("larger", WINDOW, translate("Actions", "Larger text"), "Ctrl++", "plus"),
    Row("smaller", WINDOW, translate("Actions", "Smaller text"), "Ctrl+-", "minus"),
    Row("normal_size", WINDOW, translate("Actions", "Normal text size"), "Ctrl+0", "textsize"),
    Row("shortcuts", WINDOW, translate("Actions", "Shortcuts"), "F1", "help"),
    Row("quit", WINDOW, translate("Actions", "Quit Hearth"), "Ctrl+Q", "close"),
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
        words = row.tip or Words(lambda: now(row.text).removesuffix("…"))
        return Words(lambda: f"{now(words)} ({now(keys)})" if keys else now(words))

    def keys(self, name: str) -> Words:
        """Its shortcut as this system writes it; empty if it has none."""
        shortcut = self._actions[name].shortcut()
        return Words(lambda: shortcut.toString(QKeySequence.SequenceFormat.NativeText))
