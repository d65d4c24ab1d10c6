"""The line at the lower edge, the only place where numbers live all the time."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from app import number_format, plain, theming
from app.status.popover import AttentionPopover
from app.status.verdict import CHECK_FAULTS, CHECKING, NO_MODEL, Check, Verdict, verdict
from app.words import translate
from engine import protocol

HEIGHT: Final = 32
DOT: Final = 7
LONGEST_NAME: Final = 32
"""Characters of a GPU's name."""

TONES: Final = {"good": "good", "caution": "caution", "neutral": "muted"}


class Badge(plain.Button):
    """A pill with a dot in its tone."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", "badge", parent)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.show_verdict(NO_MODEL)

    def show_verdict(self, shown: Verdict) -> None:
        self.verdict = shown
        self.setText(shown.words)
        plain.set_name(
            self, translate("StatusLine", "Attention: {words}").format(words=shown.words)
        )
        self.setProperty("tone", shown.tone)
        self.style().unpolish(self)
        self.style().polish(self)
        self._tone = shown.tone

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(getattr(theming.theme(), TONES[self._tone])))
        painter.drawEllipse(QPointF(15, self.height() / 2), DOT / 2, DOT / 2)
        painter.end()


class StatusLine(QFrame):
    """Shows telemetry and the last reply's figures; says nothing that was not measured."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("statusLine")
        plain.set_name(self, translate("StatusLine", "Status"))
        self.setFixedHeight(HEIGHT)
        self._device = "cpu"
        self._loaded: protocol.Loaded | None = None
        self._attention: Check = None
        self.badge = Badge()
        self.badge.clicked.connect(self._toggle_popover)
        self._popover: AttentionPopover | None = None
        self.memory = _words(translate("StatusLine", "Memory"))
        self.rate = _words(translate("StatusLine", "Speed of the reply"), "figure")
        self.unit = _words(translate("StatusLine", "Speed of the reply"))
        self.reply = _words(translate("StatusLine", "Last reply"))
        self.machine = _words(translate("StatusLine", "Computer"))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 0, 12, 0)
        layout.setSpacing(20)
        speed = QHBoxLayout()
        speed.setSpacing(4)
        speed.addWidget(self.rate)
        speed.addWidget(self.unit)
        layout.addWidget(self.badge)
        layout.addWidget(self.memory)
        layout.addLayout(speed)
        layout.addWidget(self.reply)
        layout.addStretch()
        layout.addWidget(self.machine)

    def take(self, event: protocol.Event) -> None:
        """Shows what an event of the engine says about the computer."""
        match event:
            case protocol.Device():
                self._device = event.kind
            case protocol.Loading():
                self._loaded = self._attention = None
            case protocol.Loaded():
                self._loaded, self._attention = event, None
            case protocol.AttentionObserved():
                self._attention = event.attention
            case protocol.Error(request="", code=code) if code in CHECK_FAULTS:
                if self._verdict() is CHECKING:
                    self._attention = event
            case protocol.Unloaded():
                self._loaded = self._attention = None
            case protocol.Telemetry():
                self._show_telemetry(event)
                return
            case protocol.Finished():
                self._show_finished(event)
                self._attention = event.attention or self._attention
            case _:
                return
        self._refresh_badge()

    def clear(self) -> None:
        """There is no engine any more."""
        self._loaded = self._attention = None
        for label in (self.memory, self.rate, self.unit, self.reply, self.machine):
            label.clear()
        self._refresh_badge()

    def show_narrow(self, narrow: bool) -> None:
        """In a small window badge, memory and tokens/s stay."""
        self.reply.setVisible(not narrow)
        self.machine.setVisible(not narrow)

    def open_popover(self) -> AttentionPopover:
        popover = AttentionPopover(self._verdict(), self._loaded, self._attention, self.badge)
        popover.destroyed.connect(self._forget_popover)
        popover.open_above(self.mapTo(self.window(), QPoint(12, -8)))
        self._popover = popover
        return popover

    def _toggle_popover(self) -> None:
        if self._popover:
            self._popover.close()
        else:
            self.open_popover()

    def _forget_popover(self) -> None:
        self._popover = None

    def _verdict(self) -> Verdict:
        return verdict(self._loaded, self._attention, self._device)

    def _refresh_badge(self) -> None:
        shown = self._verdict()
        if shown != self.badge.verdict:
            self.badge.show_verdict(shown)

    def _show_telemetry(self, event: protocol.Telemetry) -> None:
        if event.gpu_memory_total_bytes:
            name = plain.one_line(event.gpu_name.removeprefix("NVIDIA "), LONGEST_NAME)
            used, total = event.gpu_memory_used_bytes, event.gpu_memory_total_bytes
            self.memory.setText(
                translate("StatusLine", "{name}  {used} / {total} GB").format(
                    name=name, used=number_format.gb(used), total=number_format.gb(total)
                )
            )
        else:
            used, total = event.ram_used_bytes, event.ram_total_bytes
            self.memory.setText(
                translate("StatusLine", "{name}  {used} / {total} GB").format(
                    name="RAM", used=number_format.gb(used), total=number_format.gb(total)
                )
            )
        ram = number_format.gb(event.engine_ram_bytes)
        self.machine.setText(
            translate("StatusLine", "CPU {share} % · Engine {ram} GB").format(
                share=number_format.count(event.cpu_percent), ram=ram
            )
        )
        if event.tokens_per_second > 0:
            self._show_rate(event.tokens_per_second)

    def _show_finished(self, event: protocol.Finished) -> None:
        if event.decode_tokens_per_second > 0:
            self._show_rate(event.decode_tokens_per_second)
        if event.new_tokens:
            self.reply.setText(
                translate("StatusLine", "first token {ms} ms · %n reused", "", 1)
                .of(event.reused_tokens)
                .format(ms=number_format.count(event.time_to_first_token_ms))
            )

    def _show_rate(self, rate: float) -> None:
        self.rate.setText(number_format.rate(rate))
        self.unit.setText(translate("StatusLine", "tokens/s"))


def _words(name: str, style: str = "status") -> plain.Label:
    label = plain.Label("", style)
    plain.set_description(label, name)
    return label
