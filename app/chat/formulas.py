"""Formulas as pictures: asked of a child process, kept, and drawn in the colour of the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from PySide6.QtCore import QByteArray, QObject, QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from app.chat.child_process import ChildProcess
from app.chat.flow import BREAK, PLACE, Flow, Leaf, Picture, Run, Style

LONGEST: Final = 4000
"""Characters of a formula that is drawn."""

PATIENCE_MS: Final = 10_000
"""For one, the child's start included, after which the child is killed."""

KEPT: Final = 1000
"""Pictures that are kept, of 2 to 20 KB."""

MOST_WANTED: Final = 200
"""Formulas that wait to be drawn; more than are near the viewport."""

TOGETHER_MS: Final = 40
"""In which pictures come into the text together, as each lays it out again."""

Key = tuple[str, bool]
"""The source of a formula, and whether it stands alone."""


class Formulas(QObject):
    """`drawn(set of Key)`: of these there is a picture now."""

    drawn = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._child = ChildProcess("app.chat.formula_child", PATIENCE_MS, self)
        self._child.answered.connect(self._take)
        self._asked: Key | None = None
        """What the child draws now."""
        self._wanted: dict[Key, None] = {}
        """What it is to draw, in the order in which it was wanted: the last one comes first, as it
        is what one looks at."""
        self._kept: dict[Key, Picture | None] = {}
        self._fresh: set[Key] = set()
        self._tell = QTimer(self, singleShot=True, interval=TOGETHER_MS)
        self._tell.timeout.connect(self._on_fresh)

    def with_pictures(self, flow: Flow) -> tuple[Flow, set[Key]]:
        """The text with pictures in the place of its formulas, as far as there are any; and the
        formulas that have none yet, which are asked for."""
        if not any(run.style & Style.MATH for leaf in flow.leaves for run in leaf.runs):
            return flow, set()
        missing: set[Key] = set()
        return Flow([self._with_pictures(leaf, missing) for leaf in flow.leaves]), missing

    def _with_pictures(self, leaf: Leaf, missing: set[Key]) -> Leaf:
        if leaf.kind == "math":
            source = "".join(run.text for run in leaf.runs).replace(BREAK, "\n")
            picture = self._find((source, True), missing)
            if not picture:
                return leaf
            first, last = leaf.runs[0], leaf.runs[-1]
            span = last.source + last.span - first.source
            return replace(leaf, runs=(_pictured(first, picture, span),))
        runs = []
        for run in leaf.runs:
            picture = self._find((run.text, False), missing) if run.style & Style.MATH else None
            runs.append(_pictured(run, picture, run.span) if picture else run)
        return replace(leaf, runs=tuple(runs))

    def _find(self, key: Key, missing: set[Key]) -> Picture | None:
        if key in self._kept:
            return self._kept[key]
        if len(key[0]) <= LONGEST and key[0].strip():
            missing.add(key)
            if key != self._asked:
                self._wanted.pop(key, None)
                self._wanted[key] = None
                self._ask()
        return None

    def _ask(self) -> None:
        while len(self._wanted) > MOST_WANTED:  # those are long out of sight
            del self._wanted[next(iter(self._wanted))]
        if self._asked is None and self._wanted:
            self._asked, _ = self._wanted.popitem()
            self._child.ask(*self._asked)

    def _take(self, _number: int, answer: Mapping[str, Any] | None) -> None:
        key, self._asked = self._asked, None
        if key is None:
            return
        self._kept[key] = None
        if answer:
            svg = answer["svg"].encode()
            self._kept[key] = Picture(answer["width"], answer["ascent"], answer["descent"], svg)
            self._fresh.add(key)
            self._tell.start()
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        self._ask()

    def _on_fresh(self) -> None:
        fresh, self._fresh = self._fresh, set()
        self.drawn.emit(fresh)


def _pictured(run: Run, picture: Picture, span: int) -> Run:
    return replace(run, text=PLACE, picture=picture, span=span)


def draw(painter: QPainter, picture: Picture, size: float, at: QPointF) -> None:
    """Draws a formula with letters of `size` px in the colour of the pen; `at`: the left end of its
    base line."""
    device = painter.device()
    ratio = device.devicePixelRatio() if device else 1.0
    whole = QRectF(0, 0, picture.width * size, (picture.ascent + picture.descent) * size)
    pixmap = _pixmap(picture, whole, ratio, painter.pen().color())
    top = at.y() - picture.ascent * size
    painter.drawPixmap(QPointF(round(at.x() * ratio) / ratio, round(top * ratio) / ratio), pixmap)


_pixmaps: Final[dict[tuple[int, int, int, int], QPixmap]] = {}
"""By picture, its width and height in the device's px, and colour."""

MOST_PIXMAPS: Final = 200


def _pixmap(picture: Picture, whole: QRectF, ratio: float, colour: QColor) -> QPixmap:
    size = QSize(max(1, round(whole.width() * ratio)), max(1, round(whole.height() * ratio)))
    key = (id(picture), size.width(), size.height(), colour.rgba())
    found = _pixmaps.get(key)
    if found is None:
        found = QPixmap(size)
        found.fill(Qt.GlobalColor.transparent)
        painter = QPainter(found)
        QSvgRenderer(QByteArray(picture.svg)).render(painter)
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
        painter.fillRect(found.rect(), colour)
        painter.end()
        found.setDevicePixelRatio(ratio)
        _pixmaps[key] = found
        while len(_pixmaps) > MOST_PIXMAPS:
            del _pixmaps[next(iter(_pixmaps))]
    return found
