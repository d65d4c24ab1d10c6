"""A text too long to be edited, as one letter of a plain text field: it is shown as a pill."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRect, QRectF, QSizeF, Qt
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QPainter,
    QPyTextObject,
    QTextCharFormat,
    QTextDocument,
    QTextFormat,
)

from app import plain, theming
from app.words import translate

OBJECT: Final = "\N{OBJECT REPLACEMENT CHARACTER}"
"""The letter that stands for it in the document."""

WIDEST: Final = 160
"""Px of the text's beginning at most."""

KIND: Final = QTextFormat.ObjectTypes.UserObject.value + 1
"""The type of object that a pill is to Qt."""

_NUMBER: Final = QTextFormat.Property.UserProperty.value
_WORDS: Final = _NUMBER + 1
_PAD: Final = 8


def pill(number: int, text: str) -> QTextCharFormat:
    """The format that makes of OBJECT the pill of this text; the number tells it from others."""
    made = QTextCharFormat()
    made.setObjectType(KIND)
    made.setProperty(_NUMBER, number)
    made.setProperty(
        _WORDS,
        (
            plain.one_line(text, 40),
            translate("Pasted", "%n characters", "", 1).of(len(text)),
        ),
    )
    return made


def number_of(letter: QTextCharFormat) -> int | None:
    """The number of the pill with this format; None for any other letter."""
    return int(letter.property(_NUMBER)) if letter.objectType() == KIND else None


class Pill(QPyTextObject):
    """Draws them: the text's beginning, and how long it is."""

    def intrinsicSize(
        self,
        doc: QTextDocument,
        posInDocument: int,  # noqa: ARG002, N803
        format: QTextFormat,  # noqa: A002
    ) -> QSizeF:
        metrics = _metrics(doc)
        words = "  ".join(part for part in _words(metrics, format) if part)
        return QSizeF(metrics.horizontalAdvance(words) + 2 * _PAD, metrics.height())

    def drawObject(
        self,
        painter: QPainter,
        rect: QRectF | QRect,
        doc: QTextDocument,
        posInDocument: int,  # noqa: N803
        format: QTextFormat,  # noqa: A002
    ) -> None:
        box = QRectF(rect).translated(0, _descent(doc, posInDocument))
        inside = box.adjusted(_PAD, 0, -_PAD, 0)
        beginning, length = _words(_metrics(doc), format)
        shown = theming.theme()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(shown.line))
        painter.setBrush(QColor(shown.raised))
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        painter.setFont(doc.defaultFont())
        painter.setPen(QColor(shown.text))
        painter.drawText(inside, Qt.AlignmentFlag.AlignLeft, beginning)
        painter.setPen(QColor(shown.muted))
        painter.drawText(inside, Qt.AlignmentFlag.AlignRight, length)
        painter.restore()


def _descent(document: QTextDocument, position: int) -> float:
    """Px under the base line of the line at this position, where Qt puts a pill's lower edge."""
    block = document.findBlock(position)
    return block.layout().lineForTextPosition(position - block.position()).descent()


def _metrics(document: QTextDocument) -> QFontMetricsF:
    return QFontMetricsF(document.defaultFont())


def _words(metrics: QFontMetricsF, letter: QTextFormat) -> tuple[str, str]:
    """The beginning, none where its first letter is too wide, and the length."""
    beginning, length = letter.property(_WORDS)
    shown = metrics.elidedText(beginning, Qt.TextElideMode.ElideRight, WIDEST)
    return shown if shown != "…" else "", length
