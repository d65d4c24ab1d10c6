"""The settings of one chat, in a drawer at the right edge."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPoint, QRect, Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app import motion, plain
from app.settings.controls import SettingRow, own_values
from app.settings.keeper import SettingsKeeper
from app.settings.values import OF_CHATS
from app.widgets.choice import ChoiceBox
from app.widgets.floating import Floating
from app.widgets.icon_button import IconButton
from app.words import now, translate

WIDTH: Final = 360
SIDE: Final = 20


class ChatDrawer(Floating):
    """What is set here holds for this chat alone; what is not is that of its preset, of the model,
    of all chats. `preset_made(id)`: what is set became a preset."""

    preset_made = Signal(str)

    def __init__(
        self, keeper: SettingsKeeper, conversation: int | None, opener: QWidget, around: QWidget
    ) -> None:
        """It lies over the right edge of `around`."""
        super().__init__(opener)
        self.setObjectName("drawer")
        plain.set_name(self, translate("ChatDrawer", "Settings of this chat"))
        self._keeper = keeper
        self._conversation = conversation
        self._around = around
        self.rows = {row.name: SettingRow(row, narrow=True) for row in OF_CHATS}
        for row in self.rows.values():
            row.set.connect(self._set)
        self.preset = ChoiceBox()
        plain.set_name(self.preset, translate("ChatDrawer", "Preset"))
        self.preset.activated.connect(self._choose_preset)
        self.save = plain.Button(translate("ChatDrawer", "Save as a preset"))
        self.save.clicked.connect(self._save)
        self.reset = plain.Button(translate("ChatDrawer", "Reset"))
        plain.set_tool_tip(
            self.reset, translate("ChatDrawer", "Nothing is set for this chat alone any more")
        )
        self.reset.clicked.connect(self._reset)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(self._head())
        layout.addWidget(self._scrolled(), 1)
        self._show()

    def open(self) -> None:
        self.fit()
        self.show()
        self.raise_()
        motion.slide(self, QPoint(self.width() // 4, 0), motion.DRAWER_MS)
        self.preset.setFocus()

    def fit(self) -> None:
        corner = self._around.mapTo(self.window(), self._around.rect().topLeft())
        width = min(WIDTH, self._around.width())
        place = QRect(corner, self._around.size())
        place.setLeft(place.right() - width + 1)
        self.setGeometry(place)

    def _head(self) -> QHBoxLayout:
        close = IconButton(
            "close", translate("ChatDrawer", "Close"), translate("ChatDrawer", "Close (Esc)")
        )
        close.clicked.connect(self.close)
        head = QHBoxLayout()
        head.setContentsMargins(SIDE, 10, 12, 6)
        head.addWidget(plain.Label(translate("ChatDrawer", "This chat"), "name"), 1)
        head.addWidget(close)
        return head

    def _scrolled(self) -> QScrollArea:
        column = QWidget()
        rows = QVBoxLayout(column)
        rows.setContentsMargins(SIDE, 0, SIDE, 20)
        rows.setSpacing(0)
        rows.addWidget(plain.Label(translate("ChatDrawer", "Preset"), "settingName"))
        rows.addSpacing(6)
        rows.addWidget(self.preset)
        rows.addSpacing(8)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.save)
        buttons.addWidget(self.reset)
        buttons.addStretch()
        rows.addLayout(buttons)
        rows.addSpacing(8)
        for row in self.rows.values():
            rows.addWidget(row)
        rows.addStretch()
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(column)
        return area

    def _show(self) -> None:
        chat = self._keeper.chat(self._conversation)
        names = self._keeper.layers.names
        self._presets = ["", *names]
        self.preset.clear()
        self.preset.addItem(now(translate("ChatDrawer", "None")))
        self.preset.addItems([plain.one_line(name) for name in names.values()])
        known = self._presets.index(chat.preset) if chat.preset in self._presets else 0
        self.preset.setCurrentIndex(known)
        below = self._keeper.below_chat(self._conversation)
        for row in self.rows.values():
            row.show_values(chat.own, below)
        self.save.setEnabled(bool(chat.own))
        self.reset.setEnabled(bool(chat.own))

    def _set(self, name: str, value: object) -> None:
        own = own_values(self._keeper.chat(self._conversation).own, name, value)
        self._keeper.set_chat(self._conversation, own=own)
        self.save.setEnabled(bool(own))
        self.reset.setEnabled(bool(own))

    def _choose_preset(self, place: int) -> None:
        self._keeper.set_chat(self._conversation, preset=self._presets[place])
        self._show()

    def _save(self) -> None:
        """What is set here becomes a preset, which this chat uses."""
        chat = self._keeper.chat(self._conversation)
        before = self._keeper.layers
        values = {**before.presets.get(chat.preset, {}), **chat.own}
        layers, made = before.with_preset(now(translate("ChatDrawer", "New preset")), values)
        self._keeper.set_layers(layers)
        self._keeper.set_chat(self._conversation, preset=made, own={})
        self._show()
        self.preset_made.emit(made)

    def _reset(self) -> None:
        self._keeper.set_chat(self._conversation, own={})
        self._show()
