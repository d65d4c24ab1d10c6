"""The page of settings: sections on one scrolling page, a search, everything saved at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import QPoint, QSize, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QKeyEvent, QResizeEvent, Qt
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app import plain, theming
from app.settings.controls import SettingRow, own_values
from app.settings.layers import Layers
from app.settings.scope import ALL, Scope, ScopeBar
from app.settings.values import REPLIES, ROWS, Settings, changed
from app.widgets.elided import ElidedLabel
from app.widgets.icon_button import IconButton
from app.widgets.search_field import SearchField
from app.words import joined, now, translate

WIDTH: Final = 720
SIDE: Final = 24
NAVIGATION: Final = 264
FOLDED: Final = 56
"""Px of the list of sections: with their names, and as icons."""

SMALL: Final = 720
"""Px of width under which they are icons."""

FOLDERS: Final = translate("SettingsPage", "Folders")
ICONS: Final = {0: "chat", 1: "model", 2: "settings", 3: "folder"}
"""Of the sections, in the order of the page."""

Folders = Sequence[tuple[str, Path]]
"""What lies there, and where."""


class SettingsPage(QWidget):
    """`changed(Settings)`, `layers_changed(Layers)`: a value was set; `left()`: back to the
    chats."""

    changed = Signal(object)
    layers_changed = Signal(object)
    left = Signal()

    def __init__(
        self,
        settings: Settings,
        layers: Layers | None = None,
        models: Sequence[tuple[str, str]] = (),
        folders: Folders = (),
        parent: QWidget | None = None,
    ) -> None:
        """`models`: id and name of each."""
        super().__init__(parent)
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._settings = settings
        self._layers = layers or Layers()
        self.search = SearchField(
            "search", translate("SettingsPage", "Search settings"), self._take_key
        )
        plain.set_placeholder(self.search, translate("SettingsPage", "Search settings"))
        self.search.setClearButtonEnabled(True)
        self.search.addAction(theming.icon("search"), SearchField.ActionPosition.LeadingPosition)
        self.search.textChanged.connect(self._narrow)
        self.rows = {row.name: SettingRow(row) for row in ROWS}
        self.scope = ScopeBar(self._layers, models)
        self.scope.chosen.connect(self._show_values)
        self.scope.changed.connect(self._set_layers)
        self._folders = [FolderRow(title, path) for title, path in folders]
        self._headings: dict[str, QWidget] = {}
        self._nothing = plain.Label(
            translate("SettingsPage", "No setting has these words"), "muted"
        )
        self._nothing.hide()
        for row in self.rows.values():
            row.set.connect(self._set)
        self._area = self._scrolled()
        self._navigation = self._sections()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._navigation)
        layout.addWidget(self._area, 1)
        self._show_values()

    @property
    def settings(self) -> Settings:
        """Of all chats."""
        return self._settings

    @property
    def layers(self) -> Layers:
        return self._layers

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a small window the sections are icons."""
        super().resizeEvent(event)
        small = event.size().width() < SMALL
        self._navigation.setFixedWidth(FOLDED if small else NAVIGATION)
        room = min(WIDTH, event.size().width() - self._navigation.width() - 2 * SIDE)
        for row in self.rows.values():
            row.set_room(room)
        for widget in (self.search, self._name):
            widget.setHidden(small)
        for section, button in self._section_buttons.items():
            button.setText("" if small else section)
            plain.set_tool_tip(button, section if small else "")

    def _take_key(self, event: QKeyEvent) -> bool:
        """Esc ends the search, then the page."""
        if event.key() != Qt.Key.Key_Escape:
            return False
        if self.search.text():
            self.search.clear()
        else:
            self.left.emit()
        return True

    # ------------------------------------------------------------------ building

    def _sections(self) -> QFrame:
        """Name, search, and the way to each section."""
        panel = QFrame()
        panel.setObjectName("sidebar")
        back = IconButton(
            "left",
            translate("SettingsPage", "Back to the chats"),
            translate("SettingsPage", "Back to the chats (Esc)"),
        )
        back.clicked.connect(self.left)
        head = QHBoxLayout()
        head.setSpacing(4)
        head.addWidget(back)
        self._name = plain.Label(translate("SettingsPage", "Settings"), "name")
        head.addWidget(self._name, 1)
        column = QVBoxLayout(panel)
        column.setContentsMargins(10, 10, 10, 12)
        column.setSpacing(1)
        column.addLayout(head)
        column.addSpacing(6)
        column.addWidget(self.search)
        column.addSpacing(12)
        self._section_buttons: dict[str, plain.Button] = {}
        for place, (section, heading) in enumerate(self._headings.items()):
            button = plain.Button(section, "sectionButton")
            button.setIcon(theming.icon(ICONS.get(place, "settings"), "text"))
            button.setIconSize(QSize(20, 20))
            button.clicked.connect(lambda _, to=heading: self._go_to(to))
            plain.set_name(button, section)
            self._section_buttons[section] = button
            column.addWidget(button)
        column.addStretch()
        return panel

    def _scrolled(self) -> QScrollArea:
        column = QWidget()
        column.setMaximumWidth(WIDTH)
        rows = QVBoxLayout(column)
        rows.setContentsMargins(0, 4, 0, 32)
        rows.setSpacing(0)
        for name, row in self.rows.items():
            section = row.row.section
            if section not in self._headings:
                self._add_heading(rows, section)
            if name == ROWS[0].name:
                rows.addWidget(self.scope)
            rows.addWidget(self.rows[name])
        if self._folders:
            self._add_heading(rows, FOLDERS)
        for folder in self._folders:
            rows.addWidget(folder)
        rows.addWidget(self._nothing)
        rows.addStretch()
        around = QWidget()
        sides = QHBoxLayout(around)
        sides.setContentsMargins(SIDE, 0, SIDE, 0)
        sides.addStretch(1)
        sides.addWidget(column, 1000)
        sides.addStretch(1)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(around)
        return area

    def _add_heading(self, rows: QVBoxLayout, section: str) -> None:
        label = plain.Label(section, "sectionName")
        label.setContentsMargins(0, 28, 0, 8)
        self._headings[section] = label
        rows.addWidget(label)

    # ------------------------------------------------------------------ values

    def _show_values(self) -> None:
        """What is set in the chosen scope, for each row that can be set there."""
        scope = self.scope.scope
        own = self._own(scope)
        below = None if scope == ALL else self._settings
        own_of_all = asdict(self._settings)
        for row in self.rows.values():
            if row.row in scope.rows:
                row.show_values(own, below)
            else:
                row.show_values(own_of_all, None)
        self._narrow(self.search.text())

    def _own(self, scope: Scope) -> dict[str, Any]:
        if scope.kind is None:
            return asdict(self._settings)
        return dict(getattr(self._layers, scope.kind).get(scope.id, {}))

    def _set(self, name: str, value: object) -> None:
        scope = self.scope.scope
        if scope.kind is not None and self.rows[name].row in scope.rows:
            values = own_values(self._own(scope), name, value)
            self._set_layers(self._layers.with_values(scope.kind, scope.id, values))
            return
        known = getattr(Settings(), name) if value is None else value
        settings = changed(self._settings, name, known)
        if settings is not None and settings != self._settings:
            self._settings = settings
            self.changed.emit(settings)

    def _set_layers(self, layers: Layers) -> None:
        self._layers = layers
        self.scope.show_layers(layers)
        self.layers_changed.emit(layers)

    # ------------------------------------------------------------------ finding

    def _narrow(self, words: str) -> None:
        """Shows the rows that have all of the words, of those that the scope has."""
        wanted = words.casefold().split()
        scope = self.scope.scope
        shown: set[str] = set()
        for row in self.rows.values():
            has = _has_all(wanted, row.row.section, row.row.title, row.row.sentence)
            here = scope == ALL or row.row in scope.rows
            row.setVisible(has and here)
            if has and here:
                shown.add(row.row.section)
        for folder in self._folders:
            has = _has_all(wanted, FOLDERS, folder.title) and scope == ALL
            folder.setVisible(has)
            if has:
                shown.add(FOLDERS)
        for section, heading in self._headings.items():
            heading.setVisible(section in shown)
        self.scope.setVisible(REPLIES in shown and not wanted)
        self._nothing.setVisible(not shown)

    def _go_to(self, heading: QWidget) -> None:
        self.search.clear()
        self.scope.choose(ALL)
        column = heading.parentWidget()
        assert column is not None  # noqa: S101
        self._area.verticalScrollBar().setValue(heading.mapTo(column, QPoint(0, 0)).y())


def _has_all(wanted: list[str], *texts: str) -> bool:
    has = " ".join(now(text) for text in texts).casefold()
    return all(word in has for word in wanted)


class FolderRow(QFrame):
    """Where something lies, and the way there."""

    def __init__(self, title: str, path: Path) -> None:
        super().__init__()
        self.setObjectName("settingRow")
        self.title = title
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(plain.Label(title, "settingName"))
        words.addWidget(ElidedLabel(str(path), "secondary"))
        self.open = plain.Button(translate("SettingsPage", "Open"))
        plain.set_name(self.open, joined(": ", (translate("SettingsPage", "Open"), title)))
        self.open.setEnabled(path.is_dir())
        self.open.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(path))))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 10, 0, 10)
        layout.setSpacing(24)
        layout.addLayout(words, 1)
        layout.addWidget(self.open)
