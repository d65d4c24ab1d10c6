"""The gate between a stranger's config and transformers: known settings, of possible values.

transformers sets an attribute for every key that it is given and acts on some of them: one fetches
and runs a kernel repository (attn_implementation, CVE-2026-4372), one makes a table of as many
labels as it says (num_labels), others change what a step gives back (return_dict). A list of what
is forbidden is never complete, so only what the family's config class itself declares is let
through. Imports neither torch nor transformers.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterable
from typing import Any, Final

from engine.errors import CheckpointError, shown
from engine.loading.families import Config

UNDECLARED: Final = {
    "global_head_dim",
    "head_dim",
    "num_global_key_value_heads",
    "original_max_position_embeddings",
    "partial_rotary_factor",
    "per_layer_config",
    "rope_local_base_freq",
    "rope_scaling",
    "rope_theta",
    "sliding_window",
    "sliding_window_pattern",
}
"""Settings that the classes take without declaring them: published configs have them."""
OF_LAYERS: Final = "per_layer_config"
"""An object for each layer that differs from the others (Gemma 4)."""
TRAINING: Final = {"initializer_range", "initializer_factor", "init_std"}
"""How weights begin: a negative one fails where transformers computes its buffers."""
OURS: Final = "dtype"
"""Declared for every model, and never the stranger's: whoever reads a checkpoint sets it."""
MAX_DEPTH: Final = 4
"""Of lists and objects in one another; rotary settings for each kind of layer have two."""
MAX_ITEMS: Final = 4096
"""Of a list or an object: kinds of layers, factors of half a head's frequencies."""
MAX_TEXT: Final = 256
DIMENSIONS: Final = {
    "vocab_size": 1 << 24,
    "hidden_size": 1 << 20,
    "intermediate_size": 1 << 20,
    "global_head_dim": 1 << 12,
    "head_dim": 1 << 12,
    "num_attention_heads": 1 << 12,
    "num_global_key_value_heads": 1 << 12,
    "num_key_value_heads": 1 << 12,
}
"""Every family's, each a dimension of a weight or a factor of one: no larger than the weights'."""
LARGEST: Final = (
    (re.compile("experts$|heads$|layers$"), 1 << 12),
    (re.compile("_dim$|_rank$"), 1 << 16),
    (re.compile("_size$"), 1 << 24),
    (re.compile(""), 2**31 - 1),
)
"""Of whole numbers, by how the setting's name ends: eight times what published models have."""
RANGES: Final[dict[str, tuple[float, float]]] = {
    "num_hidden_layers": (1, 1024),
    "max_position_embeddings": (1, 2**31 - 1),
    "original_max_position_embeddings": (1, 2**31 - 1),
    "sliding_window": (0, 2**31 - 1),
    "sliding_window_pattern": (1, 1024),
    "rms_norm_eps": (0, 1),
    "rope_theta": (1, 1e15),
    "rope_local_base_freq": (1, 1e15),
    "query_pre_attn_scalar": (1e-6, 1e9),
    "attn_logit_softcapping": (1e-6, 1e9),
    "final_logit_softcapping": (1e-6, 1e9),
}
"""Between which values a setting makes sense, wherever it stands."""

_log = logging.getLogger(__name__)


def passed(
    settings: Config, config_class: type[Any], shapes: Iterable[tuple[int, ...]], name: str
) -> Config:
    """The settings that `config_class` knows; `name` says whose, `shapes` are the weights'.

    Raises CheckpointError for a number that no model has, or that its weights have not: a model
    built from it could fill the memory, or never be finished.
    """
    known = _declared(config_class)
    let_through = {key: value for key, value in settings.items() if key in known}
    if isinstance(of_layers := let_through.get(OF_LAYERS), dict):
        let_through[OF_LAYERS] = {
            index: {key: value for key, value in changes.items() if key in known - {OF_LAYERS}}
            for index, changes in of_layers.items()
            if isinstance(changes, dict)
        }
    if left_out := settings.keys() - let_through.keys():
        _log.info("settings left out: %s", ", ".join(map(shown, sorted(left_out)[:50])))
    largest = max((size for shape in shapes for size in shape), default=0)
    for key, value in let_through.items():
        if key != OURS:
            _check(key, value, largest, name)
    return let_through


def _declared(config_class: type[Any]) -> set[str]:
    """What describes this family's models, without what every config of transformers has."""
    base = next(c for c in config_class.__mro__ if c.__name__ == "PreTrainedConfig")
    own = {field.name for field in dataclasses.fields(config_class)}
    common = {field.name for field in dataclasses.fields(base)}
    aliases = config_class.attribute_map
    own = own - common - TRAINING
    return own | set(aliases) | set(aliases.values()) | UNDECLARED | {OURS}


def _check(key: str, value: object, largest: int, name: str, depth: int = 0) -> None:
    if isinstance(value, dict | list):
        inside = list(value.items()) if isinstance(value, dict) else [("", v) for v in value]
        if depth == MAX_DEPTH or len(inside) > MAX_ITEMS:
            raise CheckpointError(f"{name} has too much in its {shown(key)}.")
        for inner, item in inside:
            _check(str(inner), item, largest, name, depth + 1)
        return
    if not _possible(key, value, largest):
        raise CheckpointError(f"{name} says {shown(value)} for {shown(key)}, which cannot be.")


def _possible(key: str, value: object, largest: int) -> bool:
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    if not isinstance(value, int | float):
        return False
    if key in DIMENSIONS:
        return isinstance(value, int) and 1 <= value <= min(DIMENSIONS[key], largest)
    cap = next(cap for ending, cap in LARGEST if ending.search(key))
    low, high = RANGES.get(key, (-cap, cap))
    return low <= value <= high  # NaN is in no range
