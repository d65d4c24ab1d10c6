"""What presets and models set anew. Knows no Qt."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import msgspec

from app.settings.values import OF_CHATS, OF_MODELS, Row, Values, fitting, read_object

LONGEST_NAME: Final = 60
"""Letters of a preset's name."""

Kind = Literal["presets", "models"]


@dataclass(frozen=True)
class Layers:
    """By id, what each preset and each model sets. A chat knows its preset by the id, so that it
    keeps it when the name changes."""

    presets: dict[str, Values] = field(default_factory=dict)
    models: dict[str, Values] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Of the presets."""

    def with_values(self, kind: Kind, known_as: str, values: Values) -> Layers:
        known = getattr(self, kind)
        return replace(self, **{kind: {**known, known_as: dict(values)}})

    def with_preset(self, wanted: str, values: Values) -> tuple[Layers, str]:
        """With a new preset; its id."""
        made = uuid.uuid4().hex
        layers = self.with_values("presets", made, values)
        return replace(layers, names={**self.names, made: self._free_name(wanted)}), made

    def without_preset(self, preset: str) -> Layers:
        presets = {key: kept for key, kept in self.presets.items() if key != preset}
        names = {key: kept for key, kept in self.names.items() if key != preset}
        return replace(self, presets=presets, names=names)

    def renamed(self, preset: str, wanted: str) -> Layers:
        return replace(self, names={**self.names, preset: self._free_name(wanted)})

    def _free_name(self, wanted: str) -> str:
        """The wanted name, with a number behind it if a preset has it."""
        name, number = str(wanted), 1
        while name in self.names.values():
            number += 1
            name = f"{wanted} {number}"
        return name


def read(text: str) -> Layers:
    """The layers in this JSON, without what is none."""
    found = read_object(text)
    presets = _values(found.get("presets"), OF_CHATS)
    names = found.get("names")
    known = names if isinstance(names, dict) else {}
    return Layers(
        presets,
        _values(found.get("models"), OF_MODELS),
        {key: str(known.get(key) or key)[:LONGEST_NAME] for key in presets},
    )


def write(layers: Layers) -> str:
    """Models for which nothing is set are left out."""
    models = {key: values for key, values in layers.models.items() if values}
    stored = {"presets": layers.presets, "models": models, "names": layers.names}
    return msgspec.json.encode(stored).decode()


def _values(found: object, rows: tuple[Row, ...]) -> dict[str, Values]:
    if not isinstance(found, dict):
        return {}
    return {key: fitting(values, rows) for key, values in found.items()}
