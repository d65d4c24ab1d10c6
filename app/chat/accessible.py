"""The conversation as screen readers see it: its blocks in their order, each with its text."""

from __future__ import annotations

from typing import Final

from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import QAccessibleWidget, QWidget
from shiboken6 import getCppPointer, invalidate, isValid

from app.chat.block_widget import BlockWidget
from app.chat.code_block import CodeBlock
from app.chat.table_block import TableBlock
from app.chat.text_block import TextBlock
from app.chat.virtual_column import VirtualColumn


def install() -> None:
    """From now on Qt asks here about each widget, once something reads the window."""
    QAccessible.installFactory(_interface)


def _interface(_class: str, target: object) -> QAccessibleInterface | None:
    """None leaves it to Qt, which knows its own widgets."""
    made: QAccessibleInterface | None = None
    match target:
        case TextBlock() | CodeBlock() | TableBlock():
            made = _Block(target)
        case VirtualColumn():
            made = QAccessibleWidget(target, QAccessible.Role.Document, target.accessibleName())
        case QWidget() if isinstance(column := target.parentWidget(), VirtualColumn):
            made = _Column(target, column) if column.viewport() is target else None
    if made is not None and isinstance(target, QWidget):
        _keep(made, target)
    return made


_kept: Final[dict[int, QAccessibleInterface]] = {}
"""By the address of its widget. Qt owns an interface as long as its widget lives, of which PySide
knows nothing: it would delete one that nobody in Python holds."""


def _keep(made: QAccessibleInterface, widget: QWidget) -> None:
    address = getCppPointer(widget)[0]
    _kept[address] = made
    widget.destroyed.connect(lambda: _let_go(address))


def _let_go(address: int) -> None:
    """Qt has deleted it, or is about to."""
    gone = _kept.pop(address, None)
    if gone is not None and isValid(gone):
        invalidate(gone)


class _Block(QAccessibleWidget):
    """Text, code or a table, named by what is shown.

    It has no interface for texts, by which it would be read letter by letter: with PySide 6.11 a
    process ends in Qt's bridge to AT-SPI as soon as Python overrides `interface_cast`.
    """

    def __init__(self, widget: BlockWidget) -> None:
        super().__init__(widget, QAccessible.Role.Paragraph)
        self._widget = widget

    def text(self, kind: QAccessible.Text) -> str:
        if kind is QAccessible.Text.Name:
            return f"{self._widget.accessibleName()}: {self._widget.accessibleDescription()}"
        return ""


class _Column(QAccessibleWidget):
    """The viewport: blocks near it, from above to below, whenever their widgets were made."""

    def __init__(self, viewport: QWidget, column: VirtualColumn) -> None:
        super().__init__(viewport, QAccessible.Role.Pane, column.accessibleName())
        self._column = column

    def childCount(self) -> int:
        return len(self._column.ordered_widgets())

    def child(self, index: int) -> QAccessibleInterface:
        widgets = self._column.ordered_widgets()
        if not 0 <= index < len(widgets):
            return None  # type: ignore[return-value]  # as Qt's own do
        return QAccessible.queryAccessibleInterface(widgets[index])

    def indexOfChild(self, child: QAccessibleInterface) -> int:
        widgets: list[object] = [*self._column.ordered_widgets()]
        return widgets.index(child.object()) if child.object() in widgets else -1
