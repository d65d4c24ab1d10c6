"""The theme that is shown: its palette, style sheet and icons, made here and nowhere else."""

from __future__ import annotations

from dataclasses import asdict
from string import Template
from typing import Final

from PySide6.QtCore import QByteArray, QObject, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QFontInfo,
    QGuiApplication,
    QIcon,
    QIconEngine,
    QPainter,
    QPaintEvent,
    QPalette,
    QPixmap,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication, QWidget

import resources
from resources.theme import DARK, DARK_CONTRAST, LIGHT, Theme
from resources.theme import theme as theme_of

_theme: Theme = LIGHT

CHOICES: Final = {"light": LIGHT, "dark": DARK, "contrast": DARK_CONTRAST}


def choose(name: str) -> None:
    """The colours of the running application: light, dark, contrast, or system."""
    application = QApplication.instance()
    look = application.findChild(Look) if application else None
    if look is not None:
        look.choose(name)


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


def scale(percent: int) -> None:
    """The size of the running application's texts, in percent of the system's."""
    application = QApplication.instance()
    look = application.findChild(Look) if application else None
    if look is not None:
        look.scale(percent)


class Look(QObject):
    """Keeps the application in the system's colours as they change. `changed()` tells painters."""

    changed = Signal()

    def __init__(self, application: QApplication) -> None:
        super().__init__(application)
        self._application = application
        self._chosen: Theme | None = None
        self._font = application.font()
        """The system's."""
        self.percent = 100
        """Of the system's size, in which texts are."""
        application.setStyle("Fusion")
        hints = QGuiApplication.styleHints()
        hints.colorSchemeChanged.connect(self.follow_system)
        hints.accessibility().contrastPreferenceChanged.connect(self.follow_system)
        self.follow_system()

    def follow_system(self) -> None:
        if self._chosen is None:
            self.show(system_theme())

    def choose(self, name: str) -> None:
        """light, dark or contrast; anything else follows the system."""
        self._chosen = CHOICES.get(name)
        self.show(self._chosen or system_theme())

    def scale(self, percent: int) -> None:
        """Texts in this size, in percent of the system's."""
        self.percent = percent
        font = QFont(self._font)
        font.setPixelSize(round(pixel_size(font) * percent / 100))
        self._application.setFont(font)
        self.show(_theme)

    def show(self, shown: Theme) -> None:
        global _theme
        _theme = shown
        self._application.setPalette(palette(shown))
        font = self._application.font()
        self._application.setStyleSheet(style_sheet(shown, font))
        self.changed.emit()


READING: Final = 14
"""Px of what is read and written at least; interface fonts of 12 px are for short words."""


SMALLEST: Final = 12
"""Px of the interface font at least, where its size is not known."""


def style_sheet(shown: Theme, font: QFont) -> str:
    """The style sheet in these colours, with sizes after the system's interface font."""
    size = pixel_size(font)
    sizes = {
        "small": max(11, round(size * 12 / 14)),
        "reading": max(READING, round(size * 15 / 14)),
        "normal": size,
        "large": round(size * 16 / 14),
        "heading": round(size * 22 / 14),
    }
    return Template(resources.style_source()).substitute(
        asdict(shown),
        medium=medium_weight(QFontInfo(font).family()),
        **{name: f"{value}px" for name, value in sizes.items()},
    )


SELECTED: Final = 48
"""Of 255: how much of the accent lies behind what is selected."""


def selection_colour() -> QColor:
    """Behind selected text, which keeps its colour."""
    colour = QColor(_theme.accent)
    colour.setAlpha(SELECTED)
    return colour


def pixel_size(font: QFont) -> int:
    """Px of a font. Where no font is installed Qt draws boxes, and knows no size of them."""
    known = QFontInfo(font).pixelSize()
    return known if known > 0 else max(font.pixelSize(), SMALLEST)


def medium_weight(family: str) -> int:
    """550 where the family has such a face. Where it has not, Qt would draw it bold."""
    weights = (QFontDatabase.weight(family, style) for style in QFontDatabase.styles(family))
    return 550 if any(500 <= weight <= 600 for weight in weights) else 400


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
        """Kept for the next time: drawing an SVG takes 0.3 ms, and a button asks at each paint."""
        role = "muted" if mode is QIcon.Mode.Disabled else self._role
        key = (self._name, getattr(theme(), role), size.width(), size.height())
        if key not in _pixmaps:
            pixmap = QPixmap(size)
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            self.paint(painter, QRect(0, 0, size.width(), size.height()), mode, state)
            painter.end()
            _pixmaps[key] = pixmap
        return _pixmaps[key]

    def clone(self) -> QIconEngine:
        return _ThemedIcon(self._name, self._role)


_pixmaps: Final[dict[tuple[str, str, int, int], QPixmap]] = {}
"""By icon, colour, width and height; a window has a few dozen."""

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


class IconLabel(QWidget):
    """One of our icons on its own, at this size in px."""

    def __init__(self, name: str, role: str, size: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon = icon(name, role)
        self.setFixedSize(size, size)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        self._icon.paint(painter, self.rect())
        painter.end()
