from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPoint, QPropertyAnimation
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app import motion


@pytest.fixture(autouse=True)
def still() -> None:
    """Here things move."""


@pytest.fixture
def widget(qtbot: QtBot) -> Iterator[QWidget]:
    around = QWidget()
    qtbot.addWidget(around)
    inside = QWidget(around)
    inside.move(100, 100)
    motion.choose("system")
    yield inside
    motion.choose("none")


def test_what_opens_comes_from_a_little_away_in_a_moment(qtbot: QtBot, widget: QWidget) -> None:
    motion.slide(widget, QPoint(0, 40), 60)
    assert widget.y() > 100
    qtbot.waitUntil(lambda: widget.pos() == QPoint(100, 100))


def test_another_motion_takes_the_place_of_one_that_runs(qtbot: QtBot, widget: QWidget) -> None:
    motion.slide(widget, QPoint(0, 40), 10_000)
    motion.slide(widget, QPoint(0, 8), 30)
    qtbot.waitUntil(lambda: widget.pos() == QPoint(100, 100))


def test_nothing_moves_if_the_person_wants_that(widget: QWidget) -> None:
    motion.choose("none")
    motion.slide(widget, QPoint(0, 40), 60)
    assert widget.pos() == QPoint(100, 100)
    assert widget.findChild(QPropertyAnimation) is None


def test_nothing_moves_if_the_system_wants_that(
    widget: QWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(widget.style()), "styleHint", lambda *_: 0)
    motion.slide(widget, QPoint(0, 40), 60)
    assert widget.pos() == QPoint(100, 100)
