"""The conversation as screen readers see it: its blocks in their order, each with its text."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QAccessible, QAccessibleInterface, QAccessibleTextInterface
from PySide6.QtWidgets import QAccessibleWidget, QWidget

from app.chat.block_widget import BlockWidget
from app.chat.code_block import CodeBlock
from app.chat.table_block import TableBlock
from app.chat.text_block import TextBlock
from app.chat.virtual_column import VirtualColumn

PARAGRAPH = QAccessible.Role.Paragraph


def install() -> None:
    """From now on Qt asks here about each widget, once something reads the window."""
    QAccessible.installFactory(_interface)


def _interface(_class: str, target: object) -> QAccessibleInterface | None:
    """None leaves it to Qt, which knows its own widgets."""
    if isinstance(target, TextBlock | CodeBlock | TableBlock):
        return _Block(target)
    if isinstance(target, VirtualColumn):
        return QAccessibleWidget(target, QAccessible.Role.Document, target.accessibleName())
    if isinstance(target, QWidget) and isinstance(target.parentWidget(), VirtualColumn):
        column = target.parentWidget()
        if isinstance(column, VirtualColumn) and column.viewport() is target:
            return _Column(target, column)
    return None


class _Block(QAccessibleWidget):
    """Text, code or a table: what is shown, to be read by letters, words and lines."""

    def __init__(self, widget: BlockWidget) -> None:
        super().__init__(widget, PARAGRAPH)
        self._text = _Text(widget)

    def interface_cast(self, kind: QAccessible.InterfaceType) -> int:
        """In truth what answers for the kind: PySide's stubs say int for a pointer."""
        if kind is QAccessible.InterfaceType.TextInterface:
            return self._text  # type: ignore[return-value]
        return super().interface_cast(kind)


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


class _Text(QAccessibleTextInterface):
    """Read only, without a cursor: what is selected belongs to the conversation."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__()
        self._widget = widget

    @property
    def _said(self) -> str:
        return self._widget.accessibleDescription()

    def text(self, start: int, stop: int) -> str:
        return self._said[max(0, start) : stop if stop >= 0 else None]

    def characterCount(self) -> int:
        return len(self._said)

    def cursorPosition(self) -> int:
        return 0

    def setCursorPosition(self, position: int) -> None:
        pass

    def selectionCount(self) -> int:
        return 0

    def selection(self, index: int) -> tuple[int, int]:  # noqa: ARG002
        return 0, 0

    def addSelection(self, start: int, stop: int) -> None:
        pass

    def setSelection(self, index: int, start: int, stop: int) -> None:
        pass

    def removeSelection(self, index: int) -> None:
        pass

    def scrollToSubstring(self, start: int, stop: int) -> None:
        pass

    def attributes(self, offset: int) -> tuple[str, int, int]:  # noqa: ARG002
        return "", 0, len(self._said)

    def characterRect(self, offset: int) -> QRect:  # noqa: ARG002
        """Of the whole block: letters are drawn, and have no widget."""
        return QRect(self._widget.mapToGlobal(QPoint(0, 0)), self._widget.size())

    def offsetAtPoint(self, point: QPoint) -> int:  # noqa: ARG002
        return 0
