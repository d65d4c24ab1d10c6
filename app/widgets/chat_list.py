"""The list of chats: under headings, each with one sign and a menu; renamed in place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, time, timedelta
from functools import partial
from itertools import groupby
from typing import Final, Literal, NamedTuple

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPen,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QStyle,
    QStyleOptionViewItem,
    QWidget,
)

from app import plain, theming
from app.actions import Actions
from app.store.records import Conversation
from app.widgets.row_delegate import Index, RowDelegate
from app.words import now, translate

Sign = Literal["", "writes", "waits", "new", "pinned"]
ROW: Final = 33
"""Px of a row and the gap below it."""

SIDE: Final = 8
SLOT: Final = 28
"""Px at the end of a row for its sign or its menu."""

MARK: Final = QSize(3, 16)
"""Px of the mark at the row that is open."""

ID: Final = Qt.ItemDataRole.UserRole
SIGN: Final = Qt.ItemDataRole.UserRole + 1
FOLDER: Final = Qt.ItemDataRole.UserRole + 2
"""Role of the heading of a folder: whether it is folded."""

SELECTS: Final = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier

PINNED: Final = translate("ChatList", "Pinned")
DAYS: Final = (
    (translate("ChatList", "Today"), 0),
    (translate("ChatList", "Yesterday"), 1),
    (translate("ChatList", "Last 7 days"), 6),
    (translate("ChatList", "Last 30 days"), 29),
)
"""Headings, and the days before today at which what stands under them begins."""


class Row(NamedTuple):
    """What a row of the list shows; a heading has no id."""

    id: int | None
    text: str
    sign: Sign = ""
    folder: str | None = None
    """Of the heading of a folder: its name."""
    folded: bool = False


def day_groups(today: date) -> Callable[[float], str]:
    """Finds the heading under which a conversation stands, whatever its time is said to be."""
    begins = [(heading, _midnight(today - timedelta(days=days))) for heading, days in DAYS]

    def heading_of(updated_at: float) -> str:
        return next(
            (heading for heading, begin in begins if updated_at >= begin),
            translate("ChatList", "Older"),
        )

    return heading_of


def _midnight(day: date) -> float:
    """When a day begins here, seconds since the epoch."""
    return datetime.combine(day, time()).astimezone().timestamp()


def rows_of(
    conversations: list[Conversation],
    signs: Mapping[int, Sign],
    today: date,
    folded: Collection[str] = (),
) -> list[Row]:
    """Pinned ones first, then folders by their names, then by the day of the last message.
    `folded`: the folders of which only the heading is shown."""
    pinned = [known for known in conversations if known.pinned]
    rows: list[Row] = [Row(None, now(PINNED))] if pinned else []
    rows += [Row(known.id, known.title, signs.get(known.id, "pinned")) for known in pinned]
    others = [known for known in conversations if not known.pinned]
    folders = sorted({known.folder for known in others if known.folder}, key=str.casefold)
    for folder in folders:
        rows.append(Row(None, folder, folder=folder, folded=folder in folded))
        inside = [] if folder in folded else [each for each in others if each.folder == folder]
        rows += [Row(known.id, known.title, signs.get(known.id, "")) for known in inside]
    heading_of = day_groups(today)
    loose = (known for known in others if not known.folder)
    for heading, group in groupby(loose, lambda known: heading_of(known.updated_at)):
        rows.append(Row(None, now(heading)))
        rows += [Row(known.id, known.title, signs.get(known.id, "")) for known in group]
    return rows


class ChatList(QListWidget):
    """Enter opens, F2 renames, Delete puts into the trash; Shift and Ctrl select several.

    `opened(id)`, `renamed(id, title)`, `pin_requested(id)`, `delete_requested(ids)`,
    `export_requested(ids)`, `move_requested(ids, folder)`: None asks for the name of a new one.
    """

    opened = Signal(object)
    renamed = Signal(object, str)
    pin_requested = Signal(object)
    delete_requested = Signal(object)
    export_requested = Signal(object)
    move_requested = Signal(object, object)

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._actions = actions
        self._rows: list[Row] = []
        self._current: int | None = None
        self._folded: set[str] = set()
        self._listed: tuple[list[Conversation], Mapping[int, Sign]] = ([], {})
        self.setObjectName("chats")
        plain.set_name(self, translate("ChatList", "Chats"))
        self.setMouseTracking(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setUniformItemSizes(True)
        self.setItemDelegate(_ChatDelegate(self))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.clicked.connect(self._open)
        self.itemEntered.connect(self._explain)

    def show_conversations(
        self,
        conversations: list[Conversation],
        current: int | None,
        signs: Mapping[int, Sign] | None = None,
    ) -> None:
        """Lists them; scrolls to the current one when it is another than before."""
        today = datetime.now().astimezone().date()
        self._listed = (conversations, signs or {})
        rows = rows_of(*self._listed, today, self._folded)
        scrolled = self.verticalScrollBar().value()
        self._replace(rows)
        same, self._current = current == self._current, current
        chosen = next((n for n, row in enumerate(rows) if current and row.id == current), None)
        if chosen is None:
            self.setCurrentRow(-1)
        elif self.currentRow() != chosen:
            self.setCurrentRow(chosen)
        if same:
            self.doItemsLayout()
            self.verticalScrollBar().setValue(scrolled)
        elif chosen is not None:
            self.scrollToItem(self.item(chosen))

    def retranslate(self) -> None:
        conversations, signs = self._listed
        self.show_conversations(conversations, self._current, signs)

    @property
    def chosen(self) -> int | None:
        """The chat in the row that the keyboard is at."""
        item = self.currentItem()
        conversation: int | None = None if item is None else item.data(ID)
        return conversation

    @property
    def selected(self) -> list[int]:
        """The chats that are selected, from above to below."""
        rows = sorted(self.row(item) for item in self.selectedItems())
        ids = (self._rows[row].id for row in rows)
        return [conversation for conversation in ids if conversation is not None]

    def selected_with(self, conversation: int) -> list[int]:
        """Those that are selected if this is one of them, else this alone."""
        return self.selected if conversation in self.selected else [conversation]

    def rename(self, conversation: int) -> None:
        """Opens the name for editing where it stands."""
        for row, known in enumerate(self._rows):
            if known.id == conversation:
                self.scrollToItem(self.item(row))
                self.editItem(self.item(row))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        conversation = self.chosen
        if conversation is None:
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Space) and self._toggle_folder():
                return
            super().keyPressEvent(event)
            return
        match Qt.Key(event.key()):
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self.opened.emit(conversation)
            case Qt.Key.Key_F2:
                self.rename(conversation)
            case Qt.Key.Key_Delete:
                self.delete_requested.emit(self.selected_with(conversation))
            case _:
                super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        by_key = event.reason() is QContextMenuEvent.Reason.Keyboard
        item = self.currentItem() if by_key else self.itemAt(event.pos())
        if item is not None and item.data(ID) is not None:
            at = self.visualItemRect(item).bottomRight() if by_key else event.pos()
            self._show_menu(item.data(ID), at)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """The keyboard is at the first chat if it was at none, which selects nothing."""
        super().focusInEvent(event)
        first = next((place for place, row in enumerate(self._rows) if row.id is not None), None)
        if self.currentRow() < 0 and first is not None:
            index = self.model().index(first, 0)
            self.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.viewport().update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        item = self.itemAt(event.position().toPoint())
        if item is not None and self._is_on_menu(item, event.position().toPoint()):
            self._show_menu(item.data(ID), event.position().toPoint())
            return
        super().mouseReleaseEvent(event)

    # ------------------------------------------------------------------ rows

    def _replace(self, rows: list[Row]) -> None:
        """Changes only what is between the first row that differs and the last."""
        old, begin = self._rows, 0
        while begin < min(len(old), len(rows)) and old[begin] == rows[begin]:
            begin += 1
        end = 0
        while end < min(len(old), len(rows)) - begin and old[-1 - end] == rows[-1 - end]:
            end += 1
        self._rows = rows
        self.setUpdatesEnabled(False)
        if begin == 0 and end == 0:
            self.clear()
        else:
            for _ in range(len(old) - begin - end):
                self.takeItem(begin)
        for place in range(begin, len(rows) - end):
            self.insertItem(place, _item(rows[place]))
        self.setUpdatesEnabled(True)

    def _explain(self, item: QListWidgetItem) -> None:
        """The whole name, made when the mouse comes: for thousands of rows it would take long."""
        if item.data(ID) is not None and not item.toolTip():
            plain.set_tool_tip(item, self._rows[self.row(item)].text)

    def _open(self, index: QModelIndex) -> None:
        """With Shift and Ctrl rows are selected, and none is opened."""
        conversation = index.data(ID)
        if conversation is None:
            self._toggle_folder()
        elif not QApplication.keyboardModifiers() & SELECTS:
            self.opened.emit(conversation)

    def _toggle_folder(self) -> bool:
        """Shows or hides what is in the folder in whose row one is; whether it is one."""
        row = self.currentRow()
        folder = self._rows[row].folder if 0 <= row < len(self._rows) else None
        if folder is None:
            return False
        self._folded ^= {folder}
        self.retranslate()
        self.setCurrentRow(row)
        return True

    # ------------------------------------------------------------------ the menu

    def has_menu(self, index: Index) -> bool:
        """Whether the row shows the way to its menu: the mouse is over it, or it has the focus."""
        under = self.viewport().mapFromGlobal(self.cursor().pos())
        hovered = self.viewport().underMouse() and self.indexAt(under) == index
        return hovered or (self.hasFocus() and self.currentIndex() == index)

    def _is_on_menu(self, item: QListWidgetItem, at: QPoint) -> bool:
        rect = self.visualItemRect(item)
        return item.data(ID) is not None and at.x() >= rect.right() - SLOT

    def _show_menu(self, conversation: int, at: QPoint) -> None:
        """The actions of the table, done with this chat, or with all that are selected."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chats = self.selected_with(conversation)
        pinned = any(row.id == conversation and row.sign == "pinned" for row in self._rows)
        if len(chats) == 1:
            unpin = translate("ChatList", "Unpin this chat")
            words = unpin if pinned else self._actions.text("pin")
            self._add(menu, "rename", self._actions.text("rename"), self.rename, conversation)
            self._add(menu, "pin", words, self.pin_requested.emit, conversation)
            export, delete = self._actions.text("export"), self._actions.text("delete")
        else:
            export = translate("ChatList", "Export %n chats…", "", 1).of(len(chats))
            delete = translate("ChatList", "Move %n chats to the trash", "", 1).of(len(chats))
        self._add_folders(menu, chats)
        self._add(menu, "export", export, self.export_requested.emit, chats)
        self._add(menu, "delete", delete, self.delete_requested.emit, chats)
        menu.popup(self.viewport().mapToGlobal(at))

    def _add(
        self, menu: QMenu, name: str, words: str, does: Callable[..., object], what: object
    ) -> None:
        plain.add_to_menu(menu, now(words), lambda: does(what), self._actions[name].icon())

    def _add_folders(self, menu: QMenu, chats: list[int]) -> None:
        conversations, _ = self._listed
        inside = {known.folder for known in conversations if known.id in chats}
        folders = sorted({known.folder for known in conversations} - {""}, key=str.casefold)
        into = menu.addMenu(translate("ChatList", "Move to a folder"))
        into.setIcon(theming.icon("folder", "text"))
        for folder in folders:
            plain.add_to_menu(into, folder, partial(self.move_requested.emit, chats, folder))
        if inside != {""}:
            words = translate("ChatList", "Out of the folder")
            plain.add_to_menu(into, words, partial(self.move_requested.emit, chats, ""))
        words = translate("ChatList", "New folder…")
        plain.add_to_menu(into, words, partial(self.move_requested.emit, chats, None))


def _item(row: Row) -> QListWidgetItem:
    item = QListWidgetItem(plain.one_line(row.text))
    item.setData(ID, row.id)
    item.setData(SIGN, row.sign)
    if row.folder is not None:
        item.setData(FOLDER, row.folded)
        item.setFlags(Qt.ItemFlag.ItemIsEnabled)
    elif row.id is None:
        item.setFlags(Qt.ItemFlag.NoItemFlags)
    else:
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
    return item


class _ChatDelegate(RowDelegate):
    """Draws a row, and lets its name be edited in it."""

    def __init__(self, chats: ChatList) -> None:
        super().__init__(ROW, chats)
        self._chats = chats
        self._signs = {
            "waits": theming.icon("clock"),
            "pinned": theming.icon("pin"),
            "menu": theming.icon("more", "text"),
        }
        self._folders = {True: theming.icon("right"), False: theming.icon("folder")}

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = QRect(option.rect).adjusted(0, 0, 0, -1)
        if index.data(ID) is None:
            self._paint_heading(painter, room, option, index)
        else:
            self._paint_chat(painter, room, option, index)
        painter.restore()

    def _paint_heading(
        self, painter: QPainter, room: QRect, option: QStyleOptionViewItem, index: Index
    ) -> None:
        words, folded = str(index.data()), index.data(FOLDER)
        font = option.font
        font.setPixelSize(max(11, round(theming.pixel_size(font) * 12 / 14)))
        painter.setFont(font)
        painter.setPen(QColor(theming.theme().muted))
        where = room.adjusted(SIDE, 8, -SIDE, 0)
        if folded is not None:
            icon = QRect(where.left(), where.center().y() - 7, 14, 14)
            self._folders[folded].paint(painter, icon)
            where.setLeft(icon.right() + 6)
            if self._chats.hasFocus() and self._chats.currentIndex() == index:
                painter.setPen(QPen(QColor(theming.theme().accent), 2))
                painter.drawRoundedRect(QRectF(room).adjusted(1, 7, -1, -1), 7, 7)
                painter.setPen(QColor(theming.theme().muted))
        painter.drawText(where, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, words)

    def _paint_chat(
        self, painter: QPainter, room: QRect, option: QStyleOptionViewItem, index: Index
    ) -> None:
        theme = theming.theme()
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        if selected or hovered:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.selected if selected else theme.raised))
            painter.drawRoundedRect(room, 8, 8)
        if selected:
            mark = QRect(room.left(), room.center().y() - MARK.height() // 2, *MARK.toTuple())
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.accent))
            painter.drawRoundedRect(mark, 1.5, 1.5)
        if self._chats.hasFocus() and self._chats.currentIndex() == index:
            painter.setPen(QPen(QColor(theme.accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(room).adjusted(1, 1, -1, -1), 7, 7)
        sign = "menu" if self._chats.has_menu(index) else index.data(SIGN)
        end = SLOT if sign else SIDE
        words = room.adjusted(SIDE, 0, -end, 0)
        font = option.font
        font.setWeight(font.Weight.Medium if selected else font.Weight.Normal)
        painter.setFont(font)
        painter.setPen(QColor(theme.text))
        shown = painter.fontMetrics().elidedText(
            str(index.data()), Qt.TextElideMode.ElideRight, words.width()
        )
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, shown)
        if sign:
            self._paint_sign(painter, QPointF(room.right() - SLOT / 2, room.center().y()), sign)

    def _paint_sign(self, painter: QPainter, centre: QPointF, sign: str) -> None:
        where = QRectF(centre - QPointF(8, 8), QSize(16, 16))
        if sign == "writes":
            ring = where.adjusted(2, 2, -2, -2)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theming.theme().edge), 2))
            painter.drawEllipse(ring)
            painter.setPen(QPen(QColor(theming.theme().accent), 2))
            painter.drawArc(ring, 90 * 16, -100 * 16)
        elif sign == "new":
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theming.theme().accent))
            painter.drawEllipse(centre, 4, 4)
        else:
            self._signs[sign].paint(painter, where.toRect())

    # ------------------------------------------------------------------ editing

    def createEditor(
        self,
        parent: QWidget,
        option: QStyleOptionViewItem,  # noqa: ARG002
        index: Index,  # noqa: ARG002
    ) -> QWidget:
        editor = QLineEdit(parent)
        editor.setObjectName("rename")
        plain.set_name(editor, translate("ChatList", "Name of this chat"))
        return editor

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        assert isinstance(editor, QLineEdit)  # noqa: S101
        editor.setText(str(index.data()))
        editor.selectAll()

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:  # noqa: ARG002
        assert isinstance(editor, QLineEdit)  # noqa: S101
        if editor.text().strip() and editor.text() != str(index.data()):
            self._chats.renamed.emit(index.data(ID), editor.text().strip())
