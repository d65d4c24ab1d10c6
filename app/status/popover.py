"""What the badge opens: requested, resolved and observed, for prefill and decode."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QGridLayout,
    QVBoxLayout,
    QWidget,
)

from app import motion, plain
from app.engine_sentences import as_sentences
from app.status.verdict import Check, Verdict, report, weights_sentence
from app.widgets.floating import Floating, shadow
from app.words import joined, translate
from engine import protocol

WIDTH: Final = 468


class AttentionPopover(Floating):
    """Made for the badge, above which it opens."""

    def __init__(
        self,
        verdict: Verdict,
        loaded: protocol.Loaded | None,
        attention: Check,
        opener: QWidget,
    ) -> None:
        super().__init__(opener)
        self.setObjectName("popover")
        plain.set_name(self, verdict.title)
        self.setGraphicsEffect(shadow(self))
        self._report = report(loaded, attention)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 12)
        layout.setSpacing(12)
        layout.addWidget(_label(verdict.title, "cellName"))
        if verdict.sentence:
            layout.addWidget(_label(verdict.sentence, "cell"))
        if isinstance(attention, protocol.Attention):
            layout.addWidget(_label(translate("StatusPopover", "Technical details"), "columnName"))
            layout.addLayout(_table(attention))
        if sentence := weights_sentence(loaded):
            layout.addWidget(_label(sentence, "secondary"))
        layout.addWidget(_label(_reason(loaded, attention), "secondary"))
        self.copy = plain.Button(translate("StatusPopover", "Copy report"), "accentLink")
        self.copy.clicked.connect(self._copy)
        layout.addWidget(self.copy, 0, Qt.AlignmentFlag.AlignLeft)
        self.ensurePolished()
        needed = max(WIDTH, self.minimumSizeHint().width())  # more than usual in a wide font
        self._width = min(needed, opener.window().width() - 24)
        self.setFixedWidth(self._width)

    def open_above(self, corner: QPoint) -> None:
        """Shows it with its lower left corner here, in the window's coordinates."""
        layout = self.layout()
        assert layout is not None  # noqa: S101
        self.setFixedHeight(layout.totalHeightForWidth(self._width))
        self.move(corner.x(), corner.y() - self.height())
        self.show()
        self.raise_()
        motion.slide(self, motion.RISE, motion.SHORT_MS)
        self.copy.setFocus()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._report)
        self.close()


def _table(attention: protocol.Attention) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(12)
    for column, name in enumerate(
        (
            translate("StatusPopover", "Asked for"),
            translate("StatusPopover", "Chosen"),
            translate("StatusPopover", "Seen running"),
        ),
        1,
    ):
        grid.addWidget(_label(name, "columnName"), 0, column)
    phases = (
        (translate("StatusPopover", "Reading"), attention.prefill),
        (translate("StatusPopover", "Writing"), attention.decode),
    )
    for row, (name, phase) in enumerate(phases, 1):
        observed = plain.breakable(phase.observed or protocol.NOT_OBSERVED)
        cells = (phase.requested, phase.resolved, observed)
        grid.addWidget(_label(name, "cellName"), row, 0, Qt.AlignmentFlag.AlignTop)
        for column, text in enumerate(cells, 1):
            grid.addWidget(_label(text, "cell"), row, column, Qt.AlignmentFlag.AlignTop)
    grid.setColumnStretch(2, 2)
    grid.setColumnStretch(3, 3)
    return grid


def _reason(loaded: protocol.Loaded | None, attention: Check) -> str:
    if loaded is None:
        return translate("StatusPopover", "Load a model to see which attention kernel it runs.")
    if attention is None:
        return translate(
            "StatusPopover", "The model is ready. A short run shows which kernels it really uses."
        )
    if isinstance(attention, protocol.Error):
        return as_sentences(attention)
    reasons = dict.fromkeys((attention.prefill.reason, attention.decode.reason))
    errors = [p.max_error for p in (attention.prefill, attention.decode) if p.max_error is not None]
    checked = translate("StatusPopover", "Checked against float32: error {error}.")
    said = [checked.format(error=f"{max(errors):.2g}")] if errors else []
    return joined(" ", (*reasons, *said))


def _label(text: str, name: str) -> plain.Label:
    return plain.Label(text, name, wraps=name in ("secondary", "cell"))
