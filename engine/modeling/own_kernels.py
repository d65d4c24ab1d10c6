"""Gives a decoder Hearth's own kernels, Triton's or C++, if they run here, and measures what they
change."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from engine.device import memory
from engine.errors import reason
from engine.kernels import autotune, cpu
from engine.kernels.autotune import GATE_UP, LINEAR, Shape
from engine.kernels.available import own_kernels
from engine.kernels.prologue import Norm
from engine.modeling.decoder import Decoder
from engine.modeling.linear import Dense, Linear
from engine.modeling.mlp import MLP, GateUp
from engine.modeling.norms import RMSNorm

HALVES: Final = (torch.bfloat16, torch.float16)

_log = logging.getLogger(__name__)


def give(model: Decoder) -> bool:
    """Whether the model runs by them from now on: not without Triton on a GPU or the C++ library on
    a CPU, nor if they fail. Raises what says that memory is used up."""
    on_gpu = next(model.tensors()).is_cuda
    if not on_gpu and next(model.tensors()).is_cpu:
        model.use(cpu if cpu.library() is not None and _fits_lanes(model) else None)
        return model.kernels is not None
    kernels = own_kernels() if on_gpu and model.dtype in HALVES else None
    if kernels is None:
        return False
    try:
        tune(model, kernels)
    except Exception as fault:  # a dtype that Triton has not here
        if memory.is_used_up(fault):
            raise
        _log.warning("Hearth's Triton kernels are not used: %s", reason(fault))
        return False
    model.use(kernels)
    return True


def _fits_lanes(model: Decoder) -> bool:
    """Whether the sizes of products, norms and rotations are multiples of what cpu.cpp takes."""
    for part in model.everything():
        if isinstance(part, Linear) and isinstance(part.weights, Dense):
            wrong = part.weights.tensor.shape[1] % cpu.COLUMNS
        elif isinstance(part, RMSNorm):
            wrong = part.weight.shape[-1] % cpu.LANES
        else:
            wrong = isinstance(part, GateUp) and part.product.weights.rows // 2 % cpu.LANES
        if wrong:
            return False
    sizes = (layer.attention.head_size for layer in model.config.layers)
    return model.dtype in cpu.ELEMENTS and not any(size % cpu.LANES for size in sizes)


def disagreement(
    model: Decoder, runs: Sequence[Callable[[], Tensor]], enough: float = 0.0
) -> float:
    """How far the kernels move the logits [vocabulary] that the runs return: the norm of the
    difference, relative, and the least of the runs up to the first that is not more than `enough`.

    The least, since a rounding may send a token to another expert, now and then, and moves the
    logits far; what computes something else does so every time. Infinite if they fail. The model
    runs by its kernels afterwards, whatever is raised.
    """
    kernels, found = model.kernels, []
    for run in runs:
        model.use(None)
        try:
            plain = run().float()
        finally:
            model.use(kernels)
        try:
            found.append(float((run().float() - plain).norm() / plain.norm()))
            if found[-1] <= enough:
                break
        except Exception as fault:  # as in `give`
            if memory.is_used_up(fault):
                raise
            _log.warning("Hearth's own kernels fail: %s", reason(fault))
            return math.inf
    return min(found)


def tune(model: Decoder, kernels: Any) -> None:
    """Measures block sizes for the model's products of one row that were not measured before."""
    weights: dict[Shape, list[Tensor]] = {}
    norms: dict[Shape, Norm] = {}
    for shape, weight, norm in products(model):
        weights.setdefault(shape, []).append(weight)
        if norm is not None:
            norms[shape] = norm

    def run(shape: Shape, weight: Tensor) -> object:
        row = torch.ones(1, weight.shape[1], device=weight.device, dtype=weight.dtype)
        if shape[0] == GATE_UP:
            return kernels.gate_up(row, weight, "silu", norms.get(shape))
        return kernels.linear(row, weight, None, norms.get(shape))

    with torch.inference_mode():
        autotune.tune(weights, run)


def products(model: Decoder) -> Iterator[tuple[Shape, Tensor, Norm | None]]:
    """Every weight that is multiplied with one row, and the norm that is computed in its product.

    Weights of a shape have a norm before them in all layers or in none, but for a few that are not
    worth another measurement.
    """
    normed = {id(linear): norm for linear, norm in _normed(model)}
    parts = list(model.parts())
    gated = {id(p.product) for p in parts if isinstance(p, GateUp) and p.one_launch}
    for part in parts:
        if isinstance(part, Linear) and isinstance(part.weights, Dense):
            weight, norm = part.weights.tensor, normed.get(id(part))
            rows, columns = weight.shape
            if id(part) in gated:
                yield (GATE_UP, rows // 2, columns), weight, norm
            else:
                yield (LINEAR, rows, columns), weight, norm


def _normed(model: Decoder) -> Iterator[tuple[Linear, Norm]]:
    for layer in model.layers:
        if isinstance(layer.before_attention, RMSNorm) and not layer.parallel:
            yield layer.attention.input, layer.before_attention
        if isinstance(layer.before_mlp, RMSNorm) and isinstance(layer.mlp, MLP):
            yield layer.mlp.up.product, layer.before_mlp
