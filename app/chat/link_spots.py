"""Links of a text that the keyboard reaches: one place a link, which has the focus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt, Signal, SignalInstance
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QWidget

from app import plain, theming
from app.chat.flow import Flow
from app.chat.paragraph import Paragraph
from app.chat.typesetting import Inline
from app.words import joined, translate

MOST: Final = 60
"""Links of a block that are reached; a text of links alone has more than anybody steps through."""

AROUND: Final = 3
"""Px between a link and its focus ring."""

LONGEST: Final = 80
"""Characters of a link's words that are read out."""


@dataclass(frozen=True)
class Link:
    words: str
    target: str
    box: QRectF
    """Around its first line, px in the widget."""


class LinkSpots:
    """Those of one widget. They are used again, so that the focus stays while a reply grows."""

    def __init__(self, parent: QWidget, chosen: SignalInstance) -> None:
        """`chosen(target)` is the widget's own signal."""
        self._parent = parent
        self._chosen = chosen
        self._spots: list[_Spot] = []

    def show(self, links: Sequence[Link]) -> None:
        for link, spot in zip(links, self._enough(min(len(links), MOST)), strict=False):
            spot.show_link(link)
        for spot in self._spots[len(links) :]:
            spot.hide()

    def _enough(self, count: int) -> list[_Spot]:
        while len(self._spots) < count:
            spot = _Spot(self._parent)
            spot.pressed_link.connect(self._chosen)
            self._spots.append(spot)
        return self._spots

    @property
    def widgets(self) -> list[QWidget]:
        return [spot for spot in self._spots if not spot.isHidden()]


class _Spot(QAbstractButton):
    pressed_link = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._target = ""
        self.clicked.connect(lambda: self.pressed_link.emit(self._target))

    def show_link(self, link: Link) -> None:
        self._target = link.target
        words = plain.one_line(link.words, LONGEST)
        target = plain.one_line(link.target, LONGEST)
        told = translate("LinkSpots", "Link: {words}").format(words=words)
        plain.set_name(self, told if words == target else joined(", ", (told, target)))
        around = link.box.adjusted(-AROUND, -AROUND, AROUND, AROUND)
        self.setGeometry(around.toAlignedRect())
        self.show()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        if self.hasFocus():
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(theming.theme().accent), 2))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 4, 4)
            painter.end()


def links_of(paragraph: Paragraph, marks: Sequence[Inline], at: QPointF) -> list[Link]:
    """Of a paragraph that stands at a point."""
    found = []
    for mark in marks:
        box = next(paragraph.boxes(mark.start, mark.stop), None) if mark.link else None
        if box is not None:
            words = paragraph.text[mark.start : mark.stop]
            found.append(Link(words, mark.link, box.translated(at)))
    return found


def has_links(flow: Flow) -> bool:
    return any(run.link for leaf in flow.leaves for run in leaf.runs)
