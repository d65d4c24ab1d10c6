"""Rebuilds a loaded model: fewer launches, and for one token weights read at full rate.

Works on transformers' own modules, whatever the family: a module is replaced where it is recognised
by what it holds and where it computes, on random numbers, what its replacement would.

- Projections of the same input (query, key and value; gate and up) are stored as one weight, and
  are one product.
- Linear layers of one row go through a kernel of their own (engine/row_kernels.py).
- A gated MLP's activation and product are one launch (engine/token_kernels.py); of one row they
  happen in the kernel of its first projection.
- Root-mean-square norms and rotary embeddings are one launch each; of one row none, where a norm is
  followed by a product, a sum preceded by one, or a rotation followed by attention.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine import memory, row_tuning
from engine.attention.kernels import own_kernels
from engine.attention.prologue import Norm
from engine.errors import reason
from engine.fusion import state
from engine.fusion.layers import (
    fuse_layer,
    leave_to_kernel,
    looks_like_layer,
    names_of,
    watched,
)
from engine.fusion.linears import RowLinear, Sibling, join_siblings, replace_linears
from engine.fusion.mlps import activation_of, fuse_mlp, looks_gated
from engine.fusion.norms import fuse_norm, looks_like_norm, offset_of
from engine.fusion.rotary import fuse_rope, tabulate

__all__ = ["disagreement", "forget", "fuse", "is_on", "replace", "switch", "tabulate"]

_log = logging.getLogger(__name__)


def fuse(model: nn.Module) -> bool:
    """Changes the model in place, once; False where there is no CUDA GPU or no Triton, or where
    the kernels fail: what was replaced until then computes as before."""
    weights = next(model.parameters())
    row_kernels = own_kernels() if weights.is_cuda and weights.dtype in state.HALVES else None
    if row_kernels is None:
        switch(on=False)
        return False
    if not hasattr(model, "fused"):
        model.fused = _fused(model, row_kernels)  # type: ignore[assignment]
    switch(on=bool(model.fused))
    return state.on


def _fused(model: nn.Module, row_kernels: Any) -> bool:
    switch(on=True)
    try:
        replace(model, row_kernels)
        _tune(model)
        _leave_to_attention(model)
    except Exception as fault:  # a dtype that Triton has not here, an odd module
        if memory.is_used_up(fault):
            raise
        _log.warning("Hearth's Triton kernels are not used: %s", reason(fault))
        return False
    # The weights that were joined are free, but too small each for what comes, and torch holds
    # them: as many bytes as all gate and up projections have.
    torch.cuda.empty_cache()
    return True


@torch.inference_mode()
def replace(model: nn.Module, row_kernels: Any) -> None:
    """Each replacement is tried on one module of a class; where its numbers differ from the
    module's own, the class is left as it is."""
    state.kernels = row_kernels
    counts = {
        "siblings": join_siblings(model),
        "gated MLPs": _replace(model, looks_gated, activation_of, fuse_mlp),
        "norms": _replace(model, looks_like_norm, offset_of, fuse_norm),
        "rotary": fuse_rope(model),
        "linear": replace_linears(model),
        # The last, since they put what the others made into each other.
        "layers": _replace(model, looks_like_layer, names_of, fuse_layer),
    }
    _log.info("fused: %s", ", ".join(f"{n} {name}" for name, n in counts.items()))


def _leave_to_attention(model: nn.Module) -> None:
    """What a model computes does not depend on it: where watching fails nothing is left out."""
    try:
        found = watched(model).found
    except Exception as fault:  # a forward that looks at the step
        if memory.is_used_up(fault):
            raise
        _log.info("rotations are not left to attention: %s", reason(fault))
        return
    useful = {module: what for module, what in found.items() if what.rotates or what.norms}
    for module, what in useful.items():
        leave_to_kernel(module, what)
    _log.info("rotations and norms of %d layers are left to attention", len(useful))


def forget(model: nn.Module) -> None:
    """What a forward that failed has left in the modules."""
    for module in model.modules():
        if isinstance(module, Sibling):
            module.siblings.forget()
        elif isinstance(module, RowLinear):
            module.residual = None


def switch(*, on: bool) -> None:
    """For the one model that the process runs."""
    state.on = on


def is_on() -> bool:
    return state.on


def disagreement(runs: Sequence[Callable[[], Tensor]]) -> float:
    """How far the replacements move the logits [vocabulary] that the runs return: the norm of the
    difference, relative, and the least of all runs.

    The least, since a rounding may send a token to another expert, now and then, and moves the
    logits far; what computes something else does so every time. Infinite where they fail.
    """
    found: list[float] = []
    for run in runs:
        switch(on=False)
        try:
            plain = run().float()
        finally:
            switch(on=True)
        try:
            found.append(float((run().float() - plain).norm() / plain.norm()))
        except Exception as fault:  # as in `_fused`
            if memory.is_used_up(fault):
                raise
            _log.warning("Hearth's Triton kernels fail: %s", reason(fault))
            return math.inf
    return min(found)


def _tune(model: nn.Module) -> None:
    weights: dict[row_tuning.Shape, list[Tensor]] = {}
    norms: dict[row_tuning.Shape, Norm] = {}
    joined: set[int] = set()
    """Addresses of gate and up, which no linear layer reads for one row."""
    for module in model.modules():
        before: Norm | None = None
        if hasattr(module, "gate_up"):
            weight: Any = module.gate_up
            joined.add(weight.data_ptr())
            shape = (row_tuning.GATE_UP, weight.shape[0] // 2, weight.shape[1])
        elif isinstance(module, RowLinear):
            weight, before = module.weight, module.before
            shape = (row_tuning.LINEAR, *weight.shape)
        elif isinstance(module, Sibling) and module.index == 0 and module.siblings.used:
            weight, before = module.siblings.weight, module.siblings.before
            shape = (row_tuning.LINEAR, *weight.shape)
        else:
            continue
        if shape[0] == row_tuning.GATE_UP or weight.data_ptr() not in joined:
            weights.setdefault(shape, []).append(weight)
        if before is not None:
            norms[shape] = before

    def run(shape: row_tuning.Shape, weight: Tensor) -> Tensor:
        """With a norm before where a layer has one; gate and up nearly always do."""
        row = torch.ones(1, weight.shape[1], device=weight.device, dtype=weight.dtype)
        if shape[0] == row_tuning.GATE_UP:
            norm = Norm(row[0], 1e-6, 0.0)
            out: Tensor = state.kernels.gate_up(row, weight, "silu", norm)
        else:
            out = state.kernels.linear(row, weight, None, norms.get(shape))
        return out

    with torch.inference_mode():
        row_tuning.tune(weights, run)


def _replace(
    model: nn.Module,
    looks: Callable[[Any], bool],
    verified: Callable[[Any], Any],
    replace: Callable[[Any, Any], None],
) -> int:
    """`verified` gives what `replace` needs to know of a class, or None where it does not fit."""
    known: dict[type, Any] = {}
    count = 0
    for module in list(model.modules()):
        if not looks(module):
            continue
        kind = type(module)
        if kind not in known:
            known[kind] = verified(module)
            if known[kind] is None:
                _log.info("%s is left as it is: it computes something else", kind.__name__)
        if known[kind] is not None:
            replace(module, known[kind])
            count += 1
    return count
