"""The dialog in which a model is chosen, added, or taken off the list."""

from __future__ import annotations

from typing import Final, get_args

from PySide6.QtCore import (
    QEvent,
    QMargins,
    QModelIndex,
    QObject,
    QSize,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from app import plain, theming
from app.engine_sentences import as_sentences
from app.models.loader import ModelLoader, ReadyModel
from app.models.table import COLUMNS, LAST, USABLE, Index, ModelTable
from app.widgets.choice import ChoiceBox
from app.words import now, translate
from engine import protocol

ROW: Final = 40
SIDE: Final = 24
_PAD: Final = QMargins(8, 3, 8, 3)
_AROUND: Final = QMargins(11, 0, 11, 0)

LONGEST_REASON: Final = 500
"""Characters under the table, which needs the room; the tooltip has more."""

NAME: Final = 200
"""Px of the first column below which others go."""

NEEDLESS: Final = (3, 5, 1, 2, 4)
"""Columns in the order in which they go: weights, context, family, size, disk."""

FLASH_WORDS: Final = {
    "auto": translate("ModelsPicker", "Flash attention: auto"),
    "on": translate("ModelsPicker", "Flash attention: on"),
    "off": translate("ModelsPicker", "Flash attention: off"),
}


class VerdictCell(QStyledItemDelegate):
    """The last column: a pill, good or not."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        words = option.fontMetrics.size(0, str(index.data()))
        return words.grownBy(_PAD).grownBy(_AROUND)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        words = str(index.data())
        blank = QStyleOptionViewItem(option)
        self.initStyleOption(blank, index)
        blank.text = ""
        blank.widget.style().drawControl(
            blank.widget.style().ControlElement.CE_ItemViewItem, blank, painter, blank.widget
        )
        usable = bool(index.data(USABLE))
        shown = theming.theme()
        metrics = option.fontMetrics
        pill = option.rect.adjusted(_AROUND.left(), 0, 0, 0)
        pill.setSize(metrics.size(0, words).grownBy(_PAD))
        pill.moveTop(option.rect.center().y() - pill.height() // 2)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(shown.good_back if usable else shown.caution_back))
        painter.drawRoundedRect(pill, 8, 8)
        painter.setPen(QColor(shown.good if usable else shown.caution))
        painter.drawText(pill, Qt.AlignmentFlag.AlignCenter, words)
        painter.restore()


class ModelPicker(QDialog):
    """Loads through the loader; closes when it began to."""

    def __init__(self, loader: ModelLoader, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._loader = loader
        self._added = ""
        plain.set_title(self, translate("ModelsPicker", "Models"))
        self.resize(980, 560)
        self.setMinimumSize(560, 360)
        self._table = ModelTable()
        self._rows = QSortFilterProxyModel(self)
        self._rows.setSourceModel(self._table)
        self._rows.setFilterKeyColumn(-1)
        self._rows.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.filter = QLineEdit()
        plain.set_placeholder(
            self.filter, translate("ModelsPicker", "Filter by name, family, size")
        )
        plain.set_name(self.filter, translate("ModelsPicker", "Filter the models"))
        self.filter.setClearButtonEnabled(True)
        self.filter.setMinimumWidth(120)
        self.filter.setMaximumWidth(280)
        self.filter.installEventFilter(self)
        self.view = self._view()
        self.empty = plain.Label("", "lead", wraps=True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.reason = plain.Label("", "secondary", wraps=True)
        self.trouble = plain.Label("", "trouble", wraps=True)
        self.trouble.hide()
        self.flash = self._flash_choice()
        self.remove = plain.Button(translate("ModelsPicker", "Remove from the list"))
        self.load = plain.Button(translate("ModelsPicker", "Load"), "primary")
        self.load.setDefault(True)
        self._build()
        self._connect()
        self._show_models(loader.models)
        loader.rescan()  # a file may have come or gone since the engine started

    def selected(self) -> protocol.ModelInfo | None:
        index = self.view.currentIndex()
        return (
            self._table.model_at(self._rows.mapToSource(index).row()) if index.isValid() else None
        )

    # ------------------------------------------------------------------ building

    def _view(self) -> QTableView:
        view = QTableView()
        view.setObjectName("models")
        plain.set_name(view, translate("ModelsPicker", "Models on this computer"))
        view.setModel(self._rows)
        view.setItemDelegateForColumn(LAST, VerdictCell(view))
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        view.setShowGrid(False)
        view.setFrameShape(QFrame.Shape.NoFrame)
        view.setTabKeyNavigation(False)
        view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        view.setWordWrap(False)
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(ROW)
        header = view.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        return view

    def _flash_choice(self) -> QComboBox:
        choice = ChoiceBox()
        plain.set_name(choice, translate("ModelsPicker", "Flash attention"))
        plain.set_tool_tip(
            choice, translate("ModelsPicker", "Used for the next model that is loaded")
        )
        for flash in get_args(protocol.Flash):
            choice.addItem(now(FLASH_WORDS[flash]), flash)
        choice.setCurrentIndex(choice.findData(self._loader.flash))
        return choice

    def _build(self) -> None:
        title = plain.Label(translate("ModelsPicker", "Models"), "name")
        self.add_folder = plain.Button(translate("ModelsPicker", "Add folder…"))
        self.add_file = plain.Button(translate("ModelsPicker", "Add GGUF file…"))
        self.cancel = plain.Button(translate("ModelsPicker", "Cancel"))
        for button in (self.add_folder, self.add_file, self.cancel, self.remove):
            button.setAutoDefault(False)
        head, foot = QHBoxLayout(), QHBoxLayout()
        head.setSpacing(12)
        foot.setSpacing(12)
        head.addWidget(title)
        head.addStretch(1)
        head.addWidget(self.filter, 1000)
        head.addWidget(self.add_folder)
        head.addWidget(self.add_file)
        foot.addWidget(self.flash)
        foot.addWidget(self.remove)
        foot.addStretch()
        foot.addWidget(self.cancel)
        foot.addWidget(self.load)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SIDE, 16, SIDE, 16)
        layout.setSpacing(12)
        layout.addLayout(head)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.empty, 1)
        layout.addWidget(self.reason)
        layout.addWidget(self.trouble)
        layout.addLayout(foot)

    def _connect(self) -> None:
        self.filter.textChanged.connect(self._filter)
        self.view.selectionModel().currentRowChanged.connect(lambda *_: self._refresh())
        self.view.doubleClicked.connect(self._load)
        self.view.activated.connect(self._load)
        self.load.clicked.connect(self._load)
        self.cancel.clicked.connect(self.reject)
        self.add_folder.clicked.connect(self._choose_folder)
        self.add_file.clicked.connect(self._choose_file)
        self.remove.clicked.connect(self._remove)
        self._loader.models_changed.connect(self._show_models)
        self._loader.trouble.connect(self._say)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_columns()

    def _fit_columns(self) -> None:
        """Hides as many columns as leave room for names, in whatever font."""
        header = self.view.horizontalHeader()
        for column in NEEDLESS:
            self.view.showColumn(column)  # a hidden one has no width to ask for
        widths = [
            max(header.sectionSizeHint(column), self.view.sizeHintForColumn(column))
            for column in range(1, len(COLUMNS))
        ]
        room = self.width() - 2 * SIDE - NAME - sum(widths)
        for column in NEEDLESS:
            self.view.setColumnHidden(column, room < 0)
            room += widths[column - 1] if room < 0 else 0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Up and Down choose a model while the filter is written."""
        if isinstance(event, QKeyEvent) and event.type() is QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()), 0)
            row = self.view.currentIndex().row() + step
            if step and 0 <= row < self._rows.rowCount():
                self.view.selectRow(row)
                return True
        return super().eventFilter(watched, event)

    # ------------------------------------------------------------------ showing

    def _show_models(self, models: tuple[protocol.ModelInfo, ...]) -> None:
        chosen = self.selected()
        state = self._loader.state
        wanted = self._new_among(models) or (chosen.id if chosen else "")
        if not wanted and isinstance(state, ReadyModel):
            wanted = state.loaded.model.id
        self._table.show_models(models)
        self._fit_columns()
        self._select(wanted)
        self._refresh()

    def _new_among(self, models: tuple[protocol.ModelInfo, ...]) -> str:
        """The model that was added from here, once it is listed."""
        new = next((model.id for model in models if self._added == model.path), "")
        if new:
            self._added = ""
            self.filter.clear()
        return new

    def _select(self, model: str) -> None:
        rows = range(self._rows.rowCount())
        ids = [
            self._table.model_at(self._rows.mapToSource(self._rows.index(r, 0)).row()).id
            for r in rows
        ]
        if ids:
            self.view.selectRow(ids.index(model) if model in ids else 0)

    def _filter(self, text: str) -> None:
        self._rows.setFilterFixedString(text)
        if not self.view.currentIndex().isValid():
            self._select("")
        self._refresh()

    def _refresh(self) -> None:
        model = self.selected()
        count = self._rows.rowCount()
        self.view.setVisible(count > 0)
        self.empty.setVisible(count == 0)
        self.empty.setText(self._why_empty())
        self.load.setEnabled(model is not None and not model.problem)
        self.remove.setVisible(model is not None and model.source == "imported")
        reason = (model.problem or model.path) if model else ""
        self.reason.setText(plain.several_lines(reason, LONGEST_REASON))

    def _why_empty(self) -> str:
        if self._loader.models:
            return translate("ModelsPicker", "No model matches the filter.")
        if self._loader.lists:
            return translate("ModelsPicker", "Looking for models…")
        return translate(
            "ModelsPicker",
            "There is no model on this computer yet. Add a folder with a checkpoint in "
            "safetensors format, or a GGUF file.",
        )

    def _say(self, error: protocol.Error) -> None:
        self._added = ""
        self.trouble.setText(as_sentences(error))
        self.trouble.show()

    # ------------------------------------------------------------------ doing

    def _load(self, index: QModelIndex | bool = False) -> None:  # noqa: ARG002
        model = self.selected()
        if model is None or model.problem:
            return
        self._loader.flash = self.flash.currentData()
        self._loader.load(model.id)
        self.accept()

    def _remove(self) -> None:
        model = self.selected()
        if model:
            self.trouble.hide()
            self._loader.remove(model.id)

    def add(self, path: str) -> None:
        """Lists a model's file or folder, too, and selects it."""
        self.trouble.hide()
        self._added = path
        self._loader.add(path)

    def _choose_folder(self) -> None:
        dialog = QFileDialog(self, translate("ModelsPicker", "Add a folder with a model"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        self._choose(dialog)

    def _choose_file(self) -> None:
        dialog = QFileDialog(self, translate("ModelsPicker", "Add a GGUF file"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilter(translate("ModelsPicker", "GGUF models (*.gguf)"))
        self._choose(dialog)

    def _choose(self, dialog: QFileDialog) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.add)
        dialog.open()
