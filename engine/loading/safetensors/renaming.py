"""Where the weights of published checkpoints go, by transformers' own table of conversions.

Checkpoints have a weight for each expert's projection; the models have one for all experts of a
layer, gate and up side by side. A conversion is read here as the view of that parameter that each
stored weight fills, so that it is copied once and straight to its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import torch

from engine.errors import UnsupportedError
from engine.loading.weights import View, whole

KNOWN: Final = (["MergeModulelist"], ["MergeModulelist", "Concatenate"])
"""Conversions that are understood: experts stacked, and their projections joined by rows."""


@dataclass(frozen=True)
class Part:
    """One expert's share of a layer's experts [experts, rows, columns]."""

    expert: int
    piece: int
    pieces: int

    def __call__(self, parameter: torch.Tensor) -> torch.Tensor:
        return parameter[self.expert].chunk(self.pieces)[self.piece]


@dataclass(frozen=True)
class Rename:
    pattern: re.Pattern[str]
    target: str


@dataclass(frozen=True)
class Merge:
    pattern: re.Pattern[str]
    """Its group is the number of the expert."""
    target: str
    piece: int
    pieces: int


@dataclass(frozen=True)
class Renaming:
    renames: tuple[Rename, ...] = ()
    merges: tuple[Merge, ...] = ()

    def place(self, name: str) -> tuple[str, View]:
        """The parameter that the weight `name` of a checkpoint belongs to, and its view of it."""
        for rename in self.renames:
            name = rename.pattern.sub(rename.target, name)
        for merge in self.merges:
            found = merge.pattern.search(name)
            if found:
                whole_name = name[: found.start()] + merge.target + name[found.end() :]
                return whole_name, Part(int(found[1]), merge.piece, merge.pieces)
        return name, whole


def of_model_type(model_type: str) -> Renaming:
    """Raises UnsupportedError for conversions that this version of transformers does otherwise."""
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    renames: list[Rename] = []
    merges: list[Merge] = []
    table: Any = get_checkpoint_conversion_mapping
    for rule in table(model_type) or ():
        operations = [type(operation).__name__ for operation in getattr(rule, "operations", ())]
        if not operations:
            renames += _renames(rule)
        elif operations in KNOWN:
            merges += _merges(rule)
        else:
            raise UnsupportedError(
                f"The installed transformers converts weights of {model_type} in a way that is "
                f"not known ({', '.join(operations)})."
            )
    return Renaming(tuple(renames), tuple(merges))


def _renames(rule: Any) -> list[Rename]:
    pairs = zip(rule.source_patterns, rule.target_patterns, strict=True)
    return [Rename(re.compile(source), target) for source, target in pairs]


def _merges(rule: Any) -> list[Merge]:
    [target] = rule.target_patterns
    sources = list(rule.source_patterns)
    return [
        Merge(_numbered(source), target, piece, len(sources))
        for piece, source in enumerate(sources)
    ]


def _numbered(pattern: str) -> re.Pattern[str]:
    before, _, after = pattern.partition("*")
    return re.compile(rf"{re.escape(before)}(\d{{1,9}}){re.escape(after)}$")
