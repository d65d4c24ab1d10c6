"""The trash: chats that were deleted in the last 30 days, to be taken out again or deleted for
good."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app import plain
from app.chats import Chats
from app.store.records import Conversation
from app.words import translate

ID = Qt.ItemDataRole.UserRole


class TrashDialog(QDialog):
    def __init__(self, chats: Chats, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sheet")
        plain.set_title(self, translate("Trash", "Trash"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(480, 400)
        self._chats = chats
        self.list = QListWidget()
        self.list.setObjectName("trashList")
        plain.set_name(self.list, translate("Trash", "Chats in the trash"))
        self.list.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self._empty = plain.Label(translate("Trash", "The trash is empty."), "muted")
        self.restore = plain.Button(translate("Trash", "Take out again"))
        self.delete = plain.Button(translate("Trash", "Delete for good"))
        close = plain.Button(translate("Trash", "Close"))
        buttons = QHBoxLayout()
        buttons.addWidget(self.restore)
        buttons.addWidget(self.delete)
        buttons.addStretch()
        buttons.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(12)
        layout.addWidget(plain.Label(translate("Trash", "Trash"), "heading"))
        layout.addWidget(
            plain.Label(translate("Trash", "Chats are kept here for 30 days."), "muted")
        )
        layout.addWidget(self._empty, 1, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self.list, 1)
        layout.addLayout(buttons)
        self.restore.clicked.connect(self._restore)
        self.delete.clicked.connect(self._delete)
        close.clicked.connect(self.accept)
        self.list.itemSelectionChanged.connect(self._refresh)
        self._fill()

    def _fill(self) -> None:
        self.list.clear()
        for known in self._chats.trash():
            self.list.addItem(_item(known))
        self._empty.setVisible(not self.list.count())
        self.list.setVisible(bool(self.list.count()))
        self._refresh()

    def _refresh(self) -> None:
        some = bool(self.list.selectedItems())
        self.restore.setEnabled(some)
        self.delete.setEnabled(some)

    def _chosen(self) -> list[int]:
        return [item.data(ID) for item in self.list.selectedItems()]

    def _restore(self) -> None:
        for conversation in self._chosen():
            self._chats.restore(conversation)
        self._fill()

    def _delete(self) -> None:
        for conversation in self._chosen():
            self._chats.purge(conversation)
        self._fill()


def _item(known: Conversation) -> QListWidgetItem:
    item = QListWidgetItem(plain.one_line(known.title))
    item.setData(ID, known.id)
    plain.set_tool_tip(item, known.title)
    return item
