"""Builds a model of transformers without memory and fills it weight by weight."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from engine.errors import CheckpointError, OutOfMemoryError, reason
from engine.loading import config_gate
from engine.loading.families import Config, Family
from engine.loading.weights import Extremes, Weight

Progress = Callable[[str, int, int], None]


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
) -> nn.Module:
    """Returns the model in eval, its parameters in `dtype` on `device` without gradients.

    `total` is in bytes of the weights' source. Raises CheckpointError for a weight that is missing,
    of no use, of the wrong shape or not finite, OutOfMemoryError when the device is full.
    """
    model = _empty_model(family, config)
    try:
        _fill_buffers(model, device)
        _fill_parameters(model, weights, total, device, dtype, progress)
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(
            f"The model's weights do not fit into the memory of {device}."
        ) from error
    return model.eval().requires_grad_(requires_grad=False)


def _empty_model(family: Family, config: Any) -> nn.Module:
    try:
        with torch.device("meta"):
            model: nn.Module = family.model_type()(config)
    except Exception as error:  # sizes that contradict each other, an unknown activation
        raise CheckpointError(
            f"This model's settings make no sense together: {reason(error)}."
        ) from error
    return model


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
        for name in [name for name in vars(module) if name.endswith("original_inv_freq")]:
            setattr(module, name, torch.empty_like(getattr(module, name), device=device))
        with torch.no_grad():
            model._init_weights(module)  # type: ignore[operator]  # noqa: SLF001


def _fill_parameters(
    model: nn.Module,
    weights: Iterable[Weight],
    total: int,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress,
) -> None:
    empty = dict(model.named_parameters())
    extremes = Extremes()
    done = 0
    for weight in weights:
        parameter = empty.pop(weight.name, None)
        if parameter is not None:
            extremes.add(weight.name, _place(model, weight, parameter.shape, device, dtype))
        elif weight.name != "lm_head.weight":
            raise CheckpointError(f"This model has a weight too many: {weight.name}.")
        done += weight.size
        progress("weights", done, total)
    model.tie_weights()  # type: ignore[operator]
    missing = [name for name, value in model.named_parameters() if value.is_meta]
    if missing:
        raise CheckpointError(f"This model lacks {len(missing)} weights, such as {missing[0]}.")
    for name, buffer in model.named_buffers():
        extremes.add(name, buffer)
    extremes.check()


def _place(
    model: nn.Module,
    weight: Weight,
    shape: torch.Size,
    device: torch.device,
    dtype: torch.dtype,
) -> torch.Tensor:
    if weight.tensor.shape != shape:
        raise CheckpointError(
            f"The weight {weight.name} is {list(weight.tensor.shape)}, not {list(shape)}."
        )
    owner, _, name = weight.name.rpartition(".")
    placed = weight.tensor.to(device=device, dtype=dtype)
    setattr(model.get_submodule(owner), name, nn.Parameter(placed, requires_grad=False))
    return placed
