"""Builds the decoder of a family without memory and fills it weight by weight."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from engine.errors import CheckpointError, OutOfMemoryError, UnsupportedError, reason
from engine.formats.format import Format
from engine.loading import config_gate
from engine.loading.families import Config, Family
from engine.loading.weights import Extremes, Weight, whole
from engine.modeling import reading, rope
from engine.modeling.blueprint import AnyPlace, Blueprint, Place, PlaceInBlocks
from engine.modeling.decoder import Decoder
from engine.modeling.rope import LongRope

Progress = Callable[[str, int, int], None]
Planned = Callable[[Decoder, Any], None]
"""Takes the decoder without memory, and transformers' config."""


def anything(_: Decoder, __: Any) -> None:
    """Finds no decoder too large."""


@dataclass(frozen=True)
class Assembled:
    model: Decoder
    rope: LongRope | None
    left_out: tuple[str, ...]
    """Names of weights that the model has no place for."""
    untied: tuple[str, ...]
    """Weights that the config ties to another one, and that differ from it: used as stored."""


def config_object(
    family: Family, settings: Config, shapes: Iterable[tuple[int, ...]], name: str
) -> Any:
    """transformers' config of the settings that pass the gate, for weights of these `shapes`.

    Raises CheckpointError for settings of `name` that do not pass, or that transformers refuses.
    """
    known = config_gate.passed(settings, family.config_type(), shapes, name)
    try:
        return family.config(known)
    except Exception as error:  # a validator's, a missing key's, a division by zero
        raise CheckpointError(f"{name} does not describe a model: {reason(error)}.") from error


def assemble(
    family: Family,
    config: Any,
    weights: Iterable[Weight],
    total: int,
    *,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress,
    planned: Planned = anything,
    forms: Mapping[str, Format] | None = None,
    rest: Format | None = None,
) -> Assembled:
    """Returns the decoder with its weights in `dtype` on `device`, or in blocks of `forms`; `rest`
    is the format to which other matrices are quantised, None to leave them in `dtype`.

    `planned` is given the decoder before any weight is read, and may raise what it finds too large.
    `total` is in bytes of the weights' source. Raises CheckpointError for a weight that is missing,
    of the wrong shape or not finite, OutOfMemoryError when the device is full.
    """
    try:
        blueprint, decoder, longrope = built(family, config, device, dtype, forms, rest)
        planned(decoder, config)
        state = _fill_state(blueprint, decoder, weights, total, device, dtype, progress)
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(
            f"The model's weights do not fit into the memory of {device}."
        ) from error
    left_out, untied = tuple(state.left_out), tuple(state.untied)
    return Assembled(decoder, longrope, left_out, untied)


def built(
    family: Family,
    config: Any,
    device: torch.device,
    dtype: torch.dtype,
    forms: Mapping[str, Format] | None = None,
    rest: Format | None = None,
) -> tuple[Blueprint, Decoder, LongRope | None]:
    """The decoder of a family, without memory but for its rotary frequencies.

    Raises CheckpointError for settings that contradict each other, UnsupportedError for those that
    the decoder cannot run.
    """
    try:
        with torch.device("meta"):
            blueprint = Blueprint(family.model_type()(config), forms, dtype)
        if rest is not None:
            blueprint.quantise(rest)
        rope.refuse_unstable(reading.rope_kinds(blueprint.reference))
        rotaries, longrope = reading.rotaries(blueprint.reference, dtype, device)
        decoder = Decoder(blueprint, reading.model_config(blueprint.reference, dtype), rotaries)
    except (UnsupportedError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # sizes that contradict each other, an unknown activation
        raise CheckpointError(
            f"This model's settings make no sense together: {reason(error)}."
        ) from error
    if homeless := blueprint.without_place():
        raise UnsupportedError(f"Its weight {homeless[0]} is of a kind that Hearth cannot run.")
    return blueprint, decoder, longrope


def _fill_state(
    blueprint: Blueprint,
    decoder: Decoder,
    weights: Iterable[Weight],
    total: int,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress,
) -> _State:
    state = _State(blueprint, decoder, device, dtype)
    done = 0
    for weight in weights:
        state.place(weight)
        done += weight.size
        progress("weights", done, total)
    state.tie()
    missing = state.missing()
    if missing:
        raise CheckpointError(
            f"This model lacks {len(missing)} weights, such as {missing[0]}.",
            "Its other files are missing, or it was published without them: choose a complete one.",
        )
    for name, rotary in decoder.rotaries.items():
        state.extremes.add(f"rotary frequencies of {name}", rotary.frequencies)
    state.extremes.check()
    return state


def _ignored(model: Any) -> re.Pattern[str]:
    """Weights that transformers expects and does not use: layers that predict ahead, keys and
    values of layers that read another's."""
    named = {
        pattern
        for part in (model, model.model)
        for pattern in getattr(part, "_keys_to_ignore_on_load_unexpected", None) or ()
    }
    return re.compile("|".join(f"(?:{pattern})" for pattern in named) or r"(?!)")


class _State:
    """The weights of a decoder, being filled."""

    def __init__(
        self, blueprint: Blueprint, decoder: Decoder, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.decoder = decoder
        self.device = device
        self.extremes = Extremes()
        self.dtype = dtype
        self.places: dict[str, AnyPlace] = blueprint.places
        self.parts: dict[str, dict[int, int]] = {}
        """Elements that are filled of each, by where in it they begin."""
        self.ignored = _ignored(blueprint.reference)
        self.left_out: list[str] = []
        self.tied = blueprint.tied
        """By the config: a weight that is another one -> that one."""
        self.stored_tied: dict[str, torch.Tensor] = {}
        self.untied: list[str] = []

    def place(self, weight: Weight) -> None:
        if weight.name not in self.places:
            self._place_beside(weight)
            return
        begin = self._check(weight)
        parts = self.parts.setdefault(weight.name, {})
        if begin in parts:
            raise CheckpointError(f"This model has a weight twice: {weight.name}.")
        parts[begin] = math.prod(weight.shape)
        place = self.places[weight.name]
        if isinstance(place, PlaceInBlocks):
            self._place_blocks(weight, place)
            return
        place.allocate(self.device, self.dtype)

        def write(room: torch.Tensor) -> torch.Tensor:
            part = weight.into(room)
            weight.fill(part)
            return part

        self.extremes.add(weight.name, place.fill(write))

    def _place_blocks(self, weight: Weight, place: PlaceInBlocks) -> None:
        form, rows = place.part.form, place.rows(weight.into)
        place.allocate(self.device)
        if weight.planes is None or weight.form is not form:
            self._quantise(weight, place, rows)
            return
        for piece, planes in weight.planes(self.device):
            place.fill(planes, rows[piece])
            for plane in planes:
                self.extremes.add(weight.name, plane)

    def _quantise(self, weight: Weight, place: PlaceInBlocks, rows: torch.Tensor) -> None:
        if place.part.form.quantise is None:
            raise CheckpointError(f"The parts of {weight.name} are stored in different ways.")
        values = torch.empty(weight.shape, device=self.device, dtype=torch.float32)
        weight.fill(values)
        self.extremes.add(weight.name, values)
        if place.transposed and weight.into is whole:
            values = values.transpose(-1, -2)
        flat = values.reshape(len(rows), place.part.columns)
        place.fill(place.part.form.quantised(flat), rows)

    def _place_beside(self, weight: Weight) -> None:
        """One that has no place of its own in the model."""
        source = self.tied.get(weight.name)
        if source in self.places:
            if weight.shape != self.places[source].shape:
                raise _wrong_shape(weight, self.places[source].shape)
            held = torch.empty(weight.shape, device=self.device, dtype=self.dtype)
            weight.fill(held)
            self.stored_tied[weight.name] = held
        elif not self.ignored.search(weight.name):
            self.left_out.append(weight.name)

    def tie(self) -> None:
        """Leaves tied what the config ties, but for weights that are stored too and differ.

        One that is stored in place of what it is tied to is used for both.
        """
        for name, held in self.stored_tied.items():
            source = self.tied[name]
            place = self.places[source]
            if source not in self.parts and isinstance(place, Place):
                setattr(place.owner, place.attribute, held)
                self.parts[source] = {0: held.numel()}
            here = place.tensor if isinstance(place, Place) else place.published(self.dtype)
            if not torch.equal(held, here):
                self.decoder.untie(held)
                self.parts[name] = {0: held.numel()}
                self.untied.append(name)
            self.extremes.add(name, held)

    def _check(self, weight: Weight) -> int:
        """Where the weight begins in its parameter, in elements."""
        room = torch.empty(self.places[weight.name].shape, device="meta")
        try:
            view = weight.into(room)
        except (IndexError, RuntimeError) as error:
            raise CheckpointError(f"This model has a weight too many: {weight.name}.") from error
        if weight.shape != view.shape:
            raise _wrong_shape(weight, view.shape)
        return int(view.storage_offset())

    def missing(self) -> list[str]:
        """Weights without all of their elements."""
        return [
            name
            for name, place in self.places.items()
            if sum(self.parts.get(name, {}).values()) != place.shape.numel()
        ]


def _wrong_shape(weight: Weight, shape: torch.Size) -> CheckpointError:
    return CheckpointError(
        f"The weight {weight.name} is {list(weight.shape)}, not {list(shape)}.",
        "Its settings and its weights are of different models: take all files from one place.",
    )
