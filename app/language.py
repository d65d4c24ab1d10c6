"""The language of the window: its texts, its numbers, and Qt's own dialogs."""

from __future__ import annotations

from typing import Final, Literal, Protocol, runtime_checkable

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator
from PySide6.QtWidgets import QApplication

import resources
from app import plain, words

Language = Literal["en", "de"]
LANGUAGES: Final[dict[Language, str]] = {"en": "English", "de": "Deutsch"}
"""As their speakers write them, which no language translates."""

SIGNS: Final[dict[Language, tuple[str, str]]] = {"en": words.ENGLISH, "de": (".", ",")}
"""Between thousands, and before decimals."""


@runtime_checkable
class Retranslates(Protocol):
    """A widget that shows texts which `plain` does not set."""

    def retranslate(self) -> None: ...


def of_system() -> Language:
    """The first of the system's languages that there is; English if there is none."""
    codes = (code.split("-")[0] for code in QLocale.system().uiLanguages())
    return next((known for code in codes for known in LANGUAGES if code == known), "en")


def choose(name: str) -> None:
    """Shows everything in this language from now on; any other name is the system's language."""
    language = next((known for known in LANGUAGES if known == name), None) or of_system()
    QLocale.setDefault(QLocale(language))
    own, qt = QTranslator(), QTranslator()
    own.load(str(resources.translation(language)))
    qt.load(f"qtbase_{language}", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath))
    words.use(own.translate, SIGNS[language])
    _show_qt(qt)
    for widget in QApplication.allWidgets():
        for shown in (widget, *widget.actions()):
            plain.say_again(shown)
        if isinstance(widget, Retranslates):
            widget.retranslate()
        widget.update()


def _show_qt(translator: QTranslator) -> None:
    """Qt's own texts: file dialogs, menus of text fields."""
    application = QCoreApplication.instance()
    if application is None:
        return
    before = application.findChild(QTranslator, _QT)
    if before is not None:
        application.removeTranslator(before)
        before.deleteLater()
    translator.setObjectName(_QT)
    translator.setParent(application)
    application.installTranslator(translator)


_QT: Final = "qt texts"
