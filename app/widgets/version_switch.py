"""The switch between versions of a message: the one before, which one it is, the next."""

from __future__ import annotations

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QWidget

from app import plain, theming
from app.words import translate


class VersionSwitch(QWidget):
    """`step_requested(-1 or 1)`. Hidden while there is one version alone."""

    step_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.before = _button("left", translate("VersionSwitch", "Show the version before"))
        self.next = _button("right", translate("VersionSwitch", "Show the next version"))
        self._which = plain.Label("", "secondary")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for widget in (self.before, self._which, self.next):
            layout.addWidget(widget)
        self.before.clicked.connect(lambda: self.step_requested.emit(-1))
        self.next.clicked.connect(lambda: self.step_requested.emit(1))
        self.show_version(1, 1)

    def show_version(self, which: int, count: int) -> None:
        """From 1; of how many."""
        self._which.setText(f"{which} / {count}")
        plain.set_name(
            self._which,
            translate("VersionSwitch", "Version {which} of {count}").format(
                which=which, count=count
            ),
        )
        self.before.setEnabled(which > 1)
        self.next.setEnabled(which < count)
        self.setVisible(count > 1)


def _button(icon: str, name: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(theming.icon(icon))
    button.setIconSize(QSize(16, 16))
    button.setFixedSize(24, 24)
    plain.set_name(button, name)
    plain.set_tool_tip(button, name)
    return button
