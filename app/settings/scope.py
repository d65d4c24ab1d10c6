"""For what the settings on the page hold: all chats, a preset, or a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLineEdit, QWidget

from app import plain
from app.settings.layers import LONGEST_NAME, Kind, Layers
from app.settings.values import OF_CHATS, OF_MODELS, ROWS, Row
from app.widgets.choice import ChoiceBox
from app.widgets.icon_button import IconButton
from app.words import Words, joined, now, translate


@dataclass(frozen=True)
class Scope:
    kind: Kind | None = None
    """None for all chats."""
    id: str = ""
    """Of the preset or the model."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """That can be set in it."""
        if self.kind is None:
            return ROWS
        return OF_CHATS if self.kind == "presets" else OF_MODELS


ALL: Final = Scope()


class ScopeBar(QFrame):
    """`chosen()`: another scope; `changed(Layers)`: a preset was added, renamed or deleted."""

    chosen = Signal()
    changed = Signal(object)

    def __init__(
        self, layers: Layers, models: Sequence[tuple[str, str]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("settingRow")
        self._layers = layers
        self._models = models
        self._scopes: list[Scope] = [ALL]
        self.box: QComboBox = ChoiceBox()
        plain.set_name(self.box, translate("ScopeBar", "These settings hold for"))
        self.box.setMinimumWidth(160)
        self.box.setMaximumWidth(280)
        self.name = QLineEdit()
        self.name.setMaxLength(LONGEST_NAME)
        plain.set_name(self.name, translate("ScopeBar", "Name of the preset"))
        self.name.setMaximumWidth(200)
        self.add = plain.Button(translate("ScopeBar", "New preset"))
        self.delete = IconButton(
            "trash",
            translate("ScopeBar", "Delete this preset"),
            translate("ScopeBar", "Delete this preset"),
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 12)
        layout.setSpacing(8)
        layout.addWidget(self.box)
        layout.addWidget(self.name)
        layout.addWidget(self.delete)
        layout.addStretch()
        layout.addWidget(self.add)
        self.box.activated.connect(lambda _: self._on_chosen())
        self.name.editingFinished.connect(self._rename)
        self.add.clicked.connect(self._add)
        self.delete.clicked.connect(self._delete)
        self._fill(ALL)

    @property
    def scope(self) -> Scope:
        return self._scopes[max(0, self.box.currentIndex())]

    def choose(self, scope: Scope) -> None:
        if scope != self.scope and scope in self._scopes:
            self.box.setCurrentIndex(self._scopes.index(scope))
            self._on_chosen()

    def show_layers(self, layers: Layers) -> None:
        self._layers = layers

    def retranslate(self) -> None:
        self._fill(self.scope)

    def _fill(self, chosen: Scope) -> None:
        preset, model = translate("ScopeBar", "Preset"), translate("ScopeBar", "Model")
        shown: list[tuple[Scope, str]] = [(ALL, translate("ScopeBar", "All chats"))]
        presets = self._layers.names.items()
        shown += ((Scope("presets", key), _named(preset, name)) for key, name in presets)
        shown += ((Scope("models", key), _named(model, name)) for key, name in self._models)
        self._scopes = [scope for scope, _ in shown]
        self.box.clear()
        self.box.addItems([now(words) for _, words in shown])
        self.box.setCurrentIndex(self._scopes.index(chosen) if chosen in self._scopes else 0)
        self._show_name()

    def _show_name(self) -> None:
        is_preset = self.scope.kind == "presets"
        self.name.setVisible(is_preset)
        self.delete.setVisible(is_preset)
        self.name.setText(self._layers.names.get(self.scope.id, ""))

    def _on_chosen(self) -> None:
        self._show_name()
        self.chosen.emit()

    def _add(self) -> None:
        layers, made = self._layers.with_preset(now(translate("ScopeBar", "New preset")), {})
        self._change(layers, Scope("presets", made))
        self.name.setFocus()
        self.name.selectAll()

    def _rename(self) -> None:
        scope, wanted = self.scope, self.name.text().strip()
        if scope.kind != "presets" or wanted == self._layers.names[scope.id]:
            return
        layers = self._layers.renamed(scope.id, wanted) if wanted else self._layers
        self._change(layers, scope)

    def _delete(self) -> None:
        if self.scope.kind == "presets":
            self._change(self._layers.without_preset(self.scope.id), ALL)

    def _change(self, layers: Layers, chosen: Scope) -> None:
        self._layers = layers
        self._fill(chosen)
        self.changed.emit(layers)
        self.chosen.emit()


def _named(kind: str, name: str) -> Words:
    return joined(": ", (kind, plain.one_line(name)))
