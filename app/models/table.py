"""The models as rows: what is known of each, and whether this computer can use it."""

from __future__ import annotations

import re
from typing import Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QFont

from app import number_format, plain
from app.words import now, translate
from engine import protocol

Index = QModelIndex | QPersistentModelIndex

COLUMNS: Final = (
    translate("ModelsTable", "Name"),
    translate("ModelsTable", "Family"),
    translate("ModelsTable", "Size"),
    translate("ModelsTable", "Weights"),
    translate("ModelsTable", "On disk"),
    translate("ModelsTable", "Context"),
    translate("ModelsTable", "This computer"),
)
RIGHT: Final = frozenset({2, 4, 5})
LAST: Final = len(COLUMNS) - 1
USABLE: Final = Qt.ItemDataRole.UserRole
"""Role: whether the model can be loaded."""


def cells(model: protocol.ModelInfo) -> tuple[str, ...]:
    return (
        plain.one_line(model.name),
        plain.one_line(family(model.architecture)),
        number_format.parameters(model.parameters),
        plain.one_line(model.weights),
        number_format.disk(model.size_bytes) if model.size_bytes else "",
        number_format.count(model.context_length) if model.context_length else "",
        translate("ModelsTable", "Cannot be used")
        if model.problem
        else translate("ModelsTable", "Ready to load"),
    )


def family(architecture: str) -> str:
    """LlamaForCausalLM and llama are both Llama to a person, gemma3 is Gemma 3."""
    name = architecture.removesuffix("ForCausalLM").removesuffix("ForConditionalGeneration")
    return re.sub(r"([a-z])(\d+)$", r"\1 \2", name[:1].upper() + name[1:])


class ModelTable(QAbstractTableModel):
    def __init__(self) -> None:
        super().__init__()
        self._models: tuple[protocol.ModelInfo, ...] = ()

    def show_models(self, models: tuple[protocol.ModelInfo, ...]) -> None:
        self.beginResetModel()
        self._models = models
        self.endResetModel()

    def model_at(self, row: int) -> protocol.ModelInfo:
        return self._models[row]

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._models)

    def columnCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return now(COLUMNS[section])
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        model = self._models[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return cells(model)[index.column()]
        if role == USABLE:
            return not model.problem
        if role == Qt.ItemDataRole.ToolTipRole:
            told = model.problem if index.column() == LAST and model.problem else model.path
            return plain.tool_tip(told)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        if role == Qt.ItemDataRole.FontRole and index.column() == 0:
            font = QFont()
            font.setWeight(QFont.Weight(650))
            return font
        return None


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in RIGHT else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
