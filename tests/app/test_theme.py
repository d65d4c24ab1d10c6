from __future__ import annotations

import re
from dataclasses import dataclass, fields
from string import Template

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtTest import QSignalSpy
from pytestqt.qtbot import QtBot

import resources
from app import theming
from app.theming import IconLabel, Look
from resources.theme import DARK, DARK_CONTRAST, LIGHT, LIGHT_CONTRAST, Theme, theme

THEMES = {"light": LIGHT, "dark": DARK, "light, high": LIGHT_CONTRAST, "dark, high": DARK_CONTRAST}
TEXT_ON: dict[str, tuple[str, ...]] = {
    "text": (
        "background",
        "panel",
        "surface",
        "raised",
        "user",
        "code_back",
        "caution_back",
        "hit",
        "hit_now",
    ),
    "muted": ("background", "panel", "surface", "raised"),
    "accent": ("background", "surface"),
    "on_accent": ("accent",),
    "good": ("good_back",),
    "caution": ("caution_back",),
    "background": ("text",),
    **dict.fromkeys(("keyword", "string", "function", "comment"), ("code_back",)),
}
"""Each text role, and every ground that the style sheet or a painter puts it on."""


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_the_standard_says() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("shown", THEMES.values(), ids=THEMES)
@pytest.mark.parametrize(
    ("text", "ground"), [(text, ground) for text, grounds in TEXT_ON.items() for ground in grounds]
)
def test_text_can_be_read_on_its_ground(shown: Theme, text: str, ground: str) -> None:
    assert contrast(getattr(shown, text), getattr(shown, ground)) >= 4.5


@pytest.mark.parametrize("shown", [LIGHT_CONTRAST, DARK_CONTRAST], ids=["light", "dark"])
def test_high_contrast_is_at_least_seven(shown: Theme) -> None:
    for text, grounds in TEXT_ON.items():
        for ground in grounds:
            assert contrast(getattr(shown, text), getattr(shown, ground)) >= 7


@pytest.mark.parametrize("shown", THEMES.values(), ids=THEMES)
def test_focus_can_be_seen_beside_what_it_surrounds(shown: Theme) -> None:
    for ground in ("background", "panel", "surface", "raised"):
        assert contrast(shown.accent, getattr(shown, ground)) >= 3


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("high", [False, True])
def test_a_theme_is_chosen_by_both_wishes(dark: bool, high: bool) -> None:
    chosen = theme(dark=dark, high_contrast=high)
    assert chosen.dark is dark
    assert (chosen in (LIGHT_CONTRAST, DARK_CONTRAST)) is high


@pytest.mark.parametrize("shown", THEMES.values(), ids=THEMES)
def test_the_style_sheet_has_a_value_for_every_word(look: Look, shown: Theme) -> None:
    sheet = theming.style_sheet(shown, QGuiApplication.font())
    assert "$" not in re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)
    assert shown.accent in sheet


def test_every_colour_role_is_used() -> None:
    used = set(Template(resources.style_source()).get_identifiers())
    painted = {
        *("dark", "user", "memory_cache", "memory_others", "memory_workspace"),
        *("hit", "hit_now", "code_back", "keyword", "string", "function", "comment", "thumb"),
    }
    assert {field.name for field in fields(Theme)} - used == painted


@dataclass
class Wishes:
    """Stands for the system's style hints, which the offscreen platform cannot change."""

    scheme: Qt.ColorScheme = Qt.ColorScheme.Light
    contrast: Qt.ContrastPreference = Qt.ContrastPreference.NoPreference

    def colorScheme(self) -> Qt.ColorScheme:  # noqa: N802
        return self.scheme

    def accessibility(self) -> Wishes:
        return self

    def contrastPreference(self) -> Qt.ContrastPreference:  # noqa: N802
        return self.contrast


def test_the_window_follows_the_system(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    hints = QGuiApplication.styleHints()
    wishes = Wishes()
    monkeypatch.setattr(QGuiApplication, "styleHints", lambda: wishes)
    changed = QSignalSpy(look.changed)
    wishes.scheme = Qt.ColorScheme.Dark
    hints.colorSchemeChanged.emit(wishes.scheme)
    assert theming.theme() is DARK
    window = QGuiApplication.palette().color(QPalette.ColorRole.Window)
    assert window == QColor(DARK.background)
    wishes.contrast = Qt.ContrastPreference.HighContrast
    hints.accessibility().contrastPreferenceChanged.emit(wishes.contrast)
    assert theming.theme() is DARK_CONTRAST
    wishes.scheme = Qt.ColorScheme.Light
    hints.colorSchemeChanged.emit(wishes.scheme)
    assert theming.theme() is LIGHT_CONTRAST
    assert changed.count() == 3


def test_an_icon_changes_with_the_theme(look: Look, qtbot: QtBot) -> None:
    flame = IconLabel("flame", "accent", 40)
    qtbot.addWidget(flame)
    flame.show()
    for shown in (LIGHT, DARK):
        look.show(shown)
        image = flame.grab().toImage()
        pixels = {
            image.pixelColor(x, y).name()
            for x in range(image.width())
            for y in range(image.height())
        }
        assert QColor(shown.accent).name() in pixels


def test_every_icon_can_be_drawn(look: Look) -> None:
    names = [path.stem for path in (resources.FOLDER / "icons").glob("*.svg")]
    assert "flame" in names
    for name in names:
        image = theming.icon(name, "text").pixmap(QSize(32, 32)).toImage()
        assert any(image.pixelColor(x, y).alpha() for x in range(32) for y in range(32)), name


def test_small_words_are_never_too_small_and_reading_is_larger(look: Look) -> None:
    font = QFont(QGuiApplication.font())
    font.setPixelSize(9)
    sheet = theming.style_sheet(LIGHT, font)
    assert "font-size: 11px" in sheet
    assert f"font-size: {theming.READING}px" in sheet
    font.setPixelSize(20)
    sheet = theming.style_sheet(LIGHT, font)
    assert "* { font-size: 20px; }" in sheet
    assert "font-size: 14px" not in sheet


def test_a_family_without_a_medium_face_is_not_drawn_bold(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = {"Book": 400, "Bold": 700}

    class Faces:
        @staticmethod
        def styles(family: str) -> list[str]:
            return list(faces)

        @staticmethod
        def weight(family: str, style: str) -> int:
            return faces[style]

    monkeypatch.setattr(theming, "QFontDatabase", Faces)
    assert theming.medium_weight("Any") == 400
    faces["Semibold"] = 600
    assert theming.medium_weight("Any") == 550
