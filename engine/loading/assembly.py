"""Builds a model of transformers without memory and fills it weight by weight."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from engine import experts, rope
from engine.attention import shapes
from engine.attention.shapes import LayerShape
from engine.errors import CheckpointError, OutOfMemoryError, UnsupportedError, reason
from engine.loading import config_gate
from engine.loading.families import Config, Family
from engine.loading.weights import Extremes, Weight
from engine.rope import LongRope

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Assembled:
    model: nn.Module
    layers: tuple[LayerShape, ...]
    """What each layer asks of attention."""
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
    attn_implementation: str,
    progress: Progress,
) -> Assembled:
    """Returns the model in eval, its parameters in `dtype` on `device` without gradients.

    `total` is in bytes of the weights' source. Raises CheckpointError for a weight that is missing,
    of the wrong shape or not finite, OutOfMemoryError when the device is full.
    """
    model, layers = empty_model(family, config)
    config._attn_implementation = attn_implementation  # noqa: SLF001
    try:
        _fill_buffers(model, device)
        state = _fill_state(model, weights, total, device, dtype, progress)
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(
            f"The model's weights do not fit into the memory of {device}."
        ) from error
    model.eval().requires_grad_(requires_grad=False)
    left_out, untied = tuple(state.left_out), tuple(state.untied)
    return Assembled(model, layers, rope.of_model(model), left_out, untied)


def empty_model(family: Family, config: Any) -> tuple[nn.Module, tuple[LayerShape, ...]]:
    """A model without memory, and what each layer asks of attention."""
    shapes.register()
    experts.register()
    config._attn_implementation = shapes.OBSERVER  # noqa: SLF001
    config._experts_implementation = experts.NAME  # noqa: SLF001
    try:
        with torch.device("meta"):
            model: nn.Module = family.model_type()(config).eval()
            family.mend(model)
            rope.refuse_unstable(model)
            with rope.standing_still(model):
                layers = shapes.observed(model)
    except UnsupportedError:
        raise
    except Exception as error:  # sizes that contradict each other, an unknown activation
        raise CheckpointError(
            f"This model's settings make no sense together: {reason(error)}."
        ) from error
    return model, layers


def _fill_buffers(model: nn.Module, device: torch.device) -> None:
    """Rotary frequencies and embedding scales are in no checkpoint: the model computes them.

    `_init_weights` is how `from_pretrained` does it. Run before any parameter is there.
    """
    for module in model.modules():
        buffers = dict(module.named_buffers(recurse=False))
        for name, buffer in buffers.items():
            setattr(module, name, torch.empty_like(buffer, device=device))
        if not buffers:
            continue
        for name in [name for name in vars(module) if name.endswith("inv_freq")]:
            setattr(module, name, torch.empty_like(getattr(module, name), device=device))
        with torch.no_grad():
            model._init_weights(module)  # type: ignore[operator]  # noqa: SLF001


def _fill_state(
    model: nn.Module,
    weights: Iterable[Weight],
    total: int,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress,
) -> _State:
    state = _State(model, device, dtype)
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
    for name, buffer in model.named_buffers():
        state.extremes.add(name, buffer)
    state.extremes.check()
    return state


def _ignored(model: nn.Module) -> re.Pattern[str]:
    """Weights that transformers expects and does not use: layers that predict ahead."""
    named = getattr(model, "_keys_to_ignore_on_load_unexpected", None) or ()
    return re.compile("|".join(f"(?:{pattern})" for pattern in named) or r"(?!)")


class _State:
    """The parameters of a model and the buffers that checkpoints have, being filled."""

    def __init__(self, model: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self.model = model
        self.device = device
        self.extremes = Extremes()
        self.dtype = dtype
        stored = model.state_dict().keys()
        # They keep their own dtype: a router's corrections are float32.
        self.buffers = {name for name, _ in model.named_buffers() if name in stored}
        self.shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
        self.shapes |= {name: model.get_buffer(name).shape for name in self.buffers}
        self.parts: dict[str, dict[int, int]] = {}
        """Elements that are filled of each, by where in it they begin."""
        self.ignored = _ignored(model)
        self.left_out: list[str] = []
        self.tied: dict[str, str] = dict(getattr(model, "all_tied_weights_keys", None) or {})
        """By the config: a weight that is another one -> that one."""
        self.stored_tied: dict[str, torch.Tensor] = {}
        self.untied: list[str] = []

    def place(self, weight: Weight) -> None:
        if weight.name not in self.shapes:
            self._place_beside(weight)
            return
        begin = self._check(weight)
        parts = self.parts.setdefault(weight.name, {})
        if begin in parts:
            raise CheckpointError(f"This model has a weight twice: {weight.name}.")
        parts[begin] = math.prod(weight.shape)
        placed = weight.into(self._room(weight.name))
        with torch.no_grad():
            weight.fill(placed)
        self.extremes.add(weight.name, placed)

    def _place_beside(self, weight: Weight) -> None:
        """One that has no place of its own in the model."""
        source = self.tied.get(weight.name)
        if source in self.shapes:
            if weight.shape != self.shapes[source]:
                raise _wrong_shape(weight, self.shapes[source])
            held = torch.empty(weight.shape, device=self.device, dtype=self.dtype)
            weight.fill(held)
            self.stored_tied[weight.name] = held
        elif not self.ignored.search(weight.name):
            self.left_out.append(weight.name)

    def tie(self) -> None:
        """Ties what the config ties, but for weights that are stored too and differ.

        One that is stored in place of what it is tied to is used for both.
        """
        for name, held in self.stored_tied.items():
            source = self.tied[name]
            if source not in self.parts:
                self._set(source, held)
                self.parts[source] = {0: held.numel()}
        self.model.tie_weights()  # type: ignore[operator]
        for name, held in self.stored_tied.items():
            if not torch.equal(held, self.model.get_parameter(self.tied[name])):
                self._set(name, held)
                self.untied.append(name)
                config: Any = self.model.config
                config.tie_word_embeddings = False
            self.extremes.add(name, held)

    def _check(self, weight: Weight) -> int:
        """Where the weight begins in its parameter, in elements."""
        room = torch.empty(self.shapes[weight.name], device="meta")
        try:
            view = weight.into(room)
        except (IndexError, RuntimeError) as error:
            raise CheckpointError(f"This model has a weight too many: {weight.name}.") from error
        if weight.shape != view.shape:
            raise _wrong_shape(weight, view.shape)
        return int(view.storage_offset())

    def _room(self, name: str) -> torch.Tensor:
        """The parameter or buffer to fill, allocated at the first of its parts."""
        if name in self.buffers:
            return self.model.get_buffer(name)
        held: torch.Tensor = self.model.get_parameter(name).data
        if held.is_meta:
            held = torch.empty(self.shapes[name], device=self.device, dtype=self.dtype)
            self._set(name, held)
        return held

    def _set(self, name: str, tensor: torch.Tensor) -> None:
        owner, _, attribute = name.rpartition(".")
        parameter = nn.Parameter(tensor, requires_grad=False)
        setattr(self.model.get_submodule(owner), attribute, parameter)

    def missing(self) -> list[str]:
        """Parameters and buffers without all of their elements, tied ones being another's."""
        tied = {
            name
            for name, parameter in self.model.named_parameters(remove_duplicate=False)
            if name not in self.parts and not parameter.is_meta
        }
        return [
            name
            for name, shape in self.shapes.items()
            if name not in tied and sum(self.parts.get(name, {}).values()) != shape.numel()
        ]


def _wrong_shape(weight: Weight, shape: torch.Size) -> CheckpointError:
    return CheckpointError(
        f"The weight {weight.name} is {list(weight.shape)}, not {list(shape)}.",
        "Its settings and its weights are of different models: take all files from one place.",
    )
