"""How everything is drawn: the one place that makes style sheet, palette and icons of a theme."""

from __future__ import annotations

from dataclasses import asdict
from string import Template
from typing import Final

from PySide6.QtCore import QByteArray, QObject, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontInfo,
    QGuiApplication,
    QIcon,
    QIconEngine,
    QPainter,
    QPalette,
    QPixmap,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

import resources
from resources.theme import LIGHT, Theme
from resources.theme import theme as theme_of

_theme: Theme = LIGHT


def theme() -> Theme:
    """The theme that is shown now."""
    return _theme


def system_theme() -> Theme:
    """What the system asks for."""
    hints = QGuiApplication.styleHints()
    contrast = hints.accessibility().contrastPreference()
    return theme_of(
        dark=hints.colorScheme() is Qt.ColorScheme.Dark,
        high_contrast=contrast is Qt.ContrastPreference.HighContrast,
    )


class Look(QObject):
    """Keeps the application in the system's colours as they change. `changed()` tells painters."""

    changed = Signal()

    def __init__(self, application: QApplication) -> None:
        super().__init__(application)
        self._application = application
        application.setStyle("Fusion")
        hints = QGuiApplication.styleHints()
        hints.colorSchemeChanged.connect(self.follow_system)
        hints.accessibility().contrastPreferenceChanged.connect(self.follow_system)
        self.follow_system()

    def follow_system(self) -> None:
        self.show(system_theme())

    def show(self, shown: Theme) -> None:
        global _theme
        _theme = shown
        self._application.setPalette(palette(shown))
        self._application.setStyleSheet(style_sheet(shown, base_size(self._application)))
        self.changed.emit()


def base_size(application: QApplication) -> int:
    """Px of the system's interface font."""
    return QFontInfo(application.font()).pixelSize()


def style_sheet(shown: Theme, size: int) -> str:
    """The style sheet in these colours, with text of this size in px."""
    sizes = {
        "small": max(11, round(size * 12 / 14)),
        "normal": size,
        "large": round(size * 16 / 14),
        "heading": round(size * 22 / 14),
    }
    return Template(resources.style_source()).substitute(
        asdict(shown), **{name: f"{value}px" for name, value in sizes.items()}
    )


def palette(shown: Theme) -> QPalette:
    roles = {
        QPalette.ColorRole.Window: shown.background,
        QPalette.ColorRole.WindowText: shown.text,
        QPalette.ColorRole.Base: shown.surface,
        QPalette.ColorRole.AlternateBase: shown.raised,
        QPalette.ColorRole.Text: shown.text,
        QPalette.ColorRole.PlaceholderText: shown.muted,
        QPalette.ColorRole.Button: shown.surface,
        QPalette.ColorRole.ButtonText: shown.text,
        QPalette.ColorRole.ToolTipBase: shown.surface,
        QPalette.ColorRole.ToolTipText: shown.text,
        QPalette.ColorRole.Highlight: shown.accent,
        QPalette.ColorRole.HighlightedText: shown.on_accent,
        QPalette.ColorRole.Accent: shown.accent,
        QPalette.ColorRole.Link: shown.accent,
    }
    made = QPalette()
    for role, colour in roles.items():
        made.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, role, QColor(shown.muted))
    return made


class _ThemedIcon(QIconEngine):
    """An SVG drawn in a role's colour of the theme at the time of drawing."""

    def __init__(self, name: str, role: str) -> None:
        super().__init__()
        self._name = name
        self._role = role

    def paint(
        self,
        painter: QPainter,
        rect: QRect,
        mode: QIcon.Mode,
        state: QIcon.State,  # noqa: ARG002
    ) -> None:
        role = "muted" if mode is QIcon.Mode.Disabled else self._role
        _renderer(self._name, getattr(theme(), role)).render(painter, QRectF(rect))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return pixmap

    def clone(self) -> QIconEngine:
        return _ThemedIcon(self._name, self._role)


_renderers: Final[dict[tuple[str, str], QSvgRenderer]] = {}


def _renderer(name: str, colour: str) -> QSvgRenderer:
    key = (name, colour)
    if key not in _renderers:
        source = resources.icon_source(name).replace("currentColor", colour)
        _renderers[key] = QSvgRenderer(QByteArray(source.encode()))
    return _renderers[key]


def icon(name: str, role: str = "muted") -> QIcon:
    """One of our icons in a role's colour; it changes with the theme."""
    return QIcon(_ThemedIcon(name, role))
