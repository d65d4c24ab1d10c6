"""What the badge opens: requested, resolved and observed, for prefill and decode."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.status.verdict import Verdict, report
from engine import protocol

WIDTH: Final = 468


class AttentionPopover(QFrame):
    """Closes on a click elsewhere and on Esc; is deleted then."""

    def __init__(
        self,
        verdict: Verdict,
        loaded: protocol.Loaded | None,
        attention: protocol.Attention | None,
        parent: QWidget,
    ) -> None:
        super().__init__(parent, Qt.WindowType.Popup | Qt.WindowType.FramelessWindowHint)
        self.setObjectName("popover")
        self.setAccessibleName(verdict.title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(WIDTH)
        self._report = report(loaded, attention)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 12)
        layout.setSpacing(12)
        layout.addWidget(_label(verdict.title, "cellName"))
        if attention:
            layout.addLayout(_table(attention))
        layout.addWidget(_label(_reason(loaded, attention), "secondary"))
        copy = QPushButton("Copy report")
        copy.setObjectName("accentLink")
        copy.clicked.connect(self._copy)
        layout.addWidget(copy, 0, Qt.AlignmentFlag.AlignLeft)

    def open_above(self, corner: QPoint) -> None:
        """Shows it with its lower left corner here, in global coordinates."""
        layout = self.layout()
        assert layout is not None  # noqa: S101
        self.ensurePolished()
        self.setFixedHeight(layout.totalHeightForWidth(WIDTH))
        self.move(corner.x(), corner.y() - self.height())
        self.show()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._report)
        self.close()


def _table(attention: protocol.Attention) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(12)
    for column, name in enumerate(("Requested", "Resolved", "Observed"), 1):
        grid.addWidget(_label(name, "columnName"), 0, column)
    phases = (("Prefill", attention.prefill), ("Decode", attention.decode))
    for row, (name, phase) in enumerate(phases, 1):
        cells = (phase.requested, phase.resolved, breakable(phase.observed) or "not observed")
        grid.addWidget(_label(name, "cellName"), row, 0, Qt.AlignmentFlag.AlignTop)
        for column, text in enumerate(cells, 1):
            grid.addWidget(_label(text, "cell"), row, column, Qt.AlignmentFlag.AlignTop)
    grid.setColumnStretch(2, 2)
    grid.setColumnStretch(3, 3)
    return grid


def breakable(kernel: str) -> str:
    """The name of a kernel with places where a line may end."""
    return kernel.replace("_", "_\u200b").replace("::", "::\u200b").replace("<", "\u200b<")


def _reason(loaded: protocol.Loaded | None, attention: protocol.Attention | None) -> str:
    if loaded is None:
        return "Load a model to see which attention kernel it runs."
    if attention is None:
        return "The model is ready. A short run shows which kernels it really uses."
    reasons = dict.fromkeys((attention.prefill.reason, attention.decode.reason))
    errors = [p.max_error for p in (attention.prefill, attention.decode) if p.max_error is not None]
    checked = f" Checked against float32: error {max(errors):.2g}." if errors else ""
    return " ".join(reason for reason in reasons if reason) + checked


def _label(text: str, name: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(name in ("secondary", "cell"))
    return label
