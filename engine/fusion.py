"""Rebuilds a loaded model for decoding one token: fewer launches, and weights read at full rate.

Works on transformers' own modules, whatever the family: a module is replaced where it is recognised
by what it holds and where it computes, on random numbers, what its replacement would. Several rows
(prefill) run as before, on the same weights.

- Projections of the same input (query, key and value; gate and up) are stored as one weight.
- Linear layers of one row go through a kernel of their own (engine/row_kernels.py).
- A gated MLP's activation and product happen in the kernel of its first projection.
- Root-mean-square norms and rotary embeddings of one token are one launch each.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine import row_tuning
from engine.attention.kernels import one_row_kernels
from engine.errors import reason

SIBLINGS: Final = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
ROPE: Final = "apply_rotary_pos_emb"
MOST_HEADS: Final = 128
HALVES: Final = (torch.bfloat16, torch.float16)

_log = logging.getLogger(__name__)


def usable(x: Tensor) -> bool:
    return _on and x.is_cuda and x.dtype in HALVES


def one_row(x: Tensor) -> bool:
    return x.numel() == x.shape[-1] and usable(x)


def few_rows(x: Tensor) -> bool:
    """One token's: one row, or one for each of its heads."""
    return x.numel() // x.shape[-1] <= MOST_HEADS and x.is_contiguous() and usable(x)


class RowLinear(nn.Linear):
    """A linear layer whose products of one row go through the row kernel."""

    def forward(self, x: Tensor) -> Tensor:
        if one_row(x):
            return _row.linear(x, self.weight, self.bias)  # type: ignore[no-any-return]
        return functional.linear(x, self.weight, self.bias)


class Siblings:
    """Linear layers of the same input; their weights are parts of one."""

    def __init__(self, members: Sequence[nn.Linear]) -> None:
        with torch.no_grad():
            self.weight = torch.cat([member.weight.data for member in members])
            biases = [member.bias.data for member in members if member.bias is not None]
            self.bias = torch.cat(biases) if biases else None
        self.used = True
        """Whether its members are called for one row, and not an MLP as a whole."""
        self._input: Tensor | None = None
        self._parts: tuple[Tensor, ...] = ()
        self._sizes = [member.out_features for member in members]
        self._last = len(members) - 1
        weights = torch.split(self.weight, self._sizes)
        for index, (member, weight) in enumerate(zip(members, weights, strict=True)):
            member.weight = nn.Parameter(weight, requires_grad=False)
            member.__class__ = Sibling
            member.siblings, member.index = self, index  # type: ignore[assignment]
        if self.bias is not None:
            for member, bias in zip(members, torch.split(self.bias, self._sizes), strict=True):
                member.bias = nn.Parameter(bias, requires_grad=False)

    def part(self, x: Tensor, index: int) -> Tensor:
        """All parts are computed when the first is asked for, and held until the last."""
        if self._input is not x:
            self._parts = _row.linear(x, self.weight, self.bias).split(self._sizes, -1)
            self._input = x
        found = self._parts[index]
        if index == self._last:
            self._input, self._parts = None, ()
        return found


class Sibling(nn.Linear):
    siblings: Siblings
    index: int

    def forward(self, x: Tensor) -> Tensor:
        if one_row(x):
            return self.siblings.part(x, self.index)
        return functional.linear(x, self.weight, self.bias)


_row: Any = None
"""engine.row_kernels, once a model was fused."""
_on = False
"""Whether replacements are in force: a model whose logits they change runs without."""


def fuse(model: nn.Module) -> bool:
    """Changes the model in place, once; False where there is no CUDA GPU or no Triton, or where
    the kernels fail: what was replaced until then computes as before."""
    weights = next(model.parameters())
    row_kernels = one_row_kernels() if weights.is_cuda and weights.dtype in HALVES else None
    if row_kernels is None:
        switch(on=False)
        return False
    if not hasattr(model, "fused"):
        model.fused = _fused(model, row_kernels)  # type: ignore[assignment]
    switch(on=bool(model.fused))
    return _on


def _fused(model: nn.Module, row_kernels: Any) -> bool:
    switch(on=True)
    try:
        replace(model, row_kernels)
        _tune(model)
    except torch.OutOfMemoryError:
        raise
    except Exception as fault:  # noqa: BLE001 - a dtype that Triton has not here, an odd module
        _log.warning("one-row kernels are not used: %s", reason(fault))
        return False
    # The weights that were joined are free, but too small each for what comes, and torch holds
    # them: as many bytes as all gate and up projections have.
    torch.cuda.empty_cache()
    return True


@torch.inference_mode()
def replace(model: nn.Module, row_kernels: Any) -> None:
    """Each replacement is tried on one module of a class; where its numbers differ from the
    module's own, the class is left as it is."""
    global _row
    _row = row_kernels
    counts = {
        "siblings": _fuse_siblings(model),
        "gated MLPs": _replace(model, _looks_gated, _gated_activation, _gate),
        "norms": _replace(model, _looks_like_norm, _norm_offset, _fuse_norm),
        "rotary": _fuse_rope(model),
        "linear": 0,
    }
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = RowLinear
            counts["linear"] += 1
    _log.info("fused for one row: %s", ", ".join(f"{n} {name}" for name, n in counts.items()))


def switch(*, on: bool) -> None:
    """For the one model that the process runs."""
    global _on
    _on = on


def is_on() -> bool:
    return _on


def disagreement(runs: Sequence[Callable[[], Tensor]]) -> float:
    """How far the replacements move the logits [vocabulary] that the runs return: the norm of the
    difference, relative, and the least of all runs.

    The least, since a rounding may send a token to another expert, now and then, and moves the
    logits far; what computes something else does so every time. Infinite where they fail.
    """
    found: list[float] = []
    for run in runs:
        switch(on=False)
        plain = run().clone()
        switch(on=True)
        try:
            found.append(float((run() - plain).norm() / plain.norm()))
        except torch.OutOfMemoryError:
            raise
        except Exception as fault:  # noqa: BLE001 - as in `_fused`
            _log.warning("one-row kernels fail: %s", reason(fault))
            return math.inf
    return min(found)


def _tune(model: nn.Module) -> None:
    weights: dict[row_tuning.Shape, list[Tensor]] = {}
    for module in model.modules():
        if hasattr(module, "gate_up"):
            weight: Any = module.gate_up
            shape = (row_tuning.GATE_UP, weight.shape[0] // 2, weight.shape[1])
        elif isinstance(module, RowLinear):
            weight = module.weight
            shape = (row_tuning.LINEAR, *weight.shape)
        elif isinstance(module, Sibling) and module.index == 0 and module.siblings.used:
            weight = module.siblings.weight
            shape = (row_tuning.LINEAR, *weight.shape)
        else:
            continue
        weights.setdefault(shape, []).append(weight)

    def run(shape: row_tuning.Shape, weight: Tensor) -> Tensor:
        row = torch.zeros(1, weight.shape[1], device=weight.device, dtype=weight.dtype)
        if shape[0] == row_tuning.GATE_UP:
            out: Tensor = _row.gate_up(row, weight, "silu")
        else:
            out = _row.linear(row, weight, None)
        return out

    with torch.inference_mode():
        row_tuning.tune(weights, run)


def _fuse_siblings(model: nn.Module) -> int:
    count = 0
    for module in model.modules():
        for names in SIBLINGS:
            members = [getattr(module, name, None) for name in names]
            if _belong_together(members):
                Siblings(members)  # type: ignore[arg-type]
                count += 1
    return count


def _belong_together(members: Sequence[Any]) -> bool:
    return (
        all(type(member) is nn.Linear for member in members)
        and len({member.in_features for member in members}) == 1
        and len({member.bias is None for member in members}) == 1
    )


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


# ---------------------------------------------------------------------------- gated MLPs

ACTIVATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "silu": functional.silu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu": functional.gelu,
}


def _looks_gated(module: Any) -> bool:
    names = ("gate_proj", "up_proj", "down_proj")
    return all(isinstance(getattr(module, name, None), nn.Linear) for name in names)


def _gated_activation(module: Any) -> str | None:
    """The activation with which down(activation(gate) * up) is what the module computes."""
    if not isinstance(module.gate_proj, Sibling):
        return None
    rows = torch.randn(3, module.gate_proj.in_features).to(module.gate_proj.weight)
    expected = module(rows)
    gate, up = module.gate_proj(rows), module.up_proj(rows)
    for name, activation in ACTIVATIONS.items():
        if torch.equal(module.down_proj(activation(gate) * up), expected):
            return name
    return None


def _gate(module: Any, activation: str) -> None:
    plain = module.forward
    weight = module.gate_proj.siblings.weight
    if module.gate_proj.bias is not None:
        return

    module.gate_up = weight  # for the tuning, and to tell it from others
    module.gate_proj.siblings.used = False

    def forward(x: Tensor) -> Tensor:
        if one_row(x):
            out: Tensor = module.down_proj(_row.gate_up(x, weight, activation))
        else:
            out = plain(x)
        return out

    module.forward = forward


# ---------------------------------------------------------------------------- norms


def _looks_like_norm(module: Any) -> bool:
    weight = getattr(module, "weight", None)
    return (
        type(module).__name__.endswith("RMSNorm")
        and isinstance(weight, nn.Parameter)
        and weight.dim() == 1
        and _epsilon(module) is not None
    )


def _epsilon(module: Any) -> float | None:
    for name in ("variance_epsilon", "eps"):
        found = getattr(module, name, None)
        if isinstance(found, float):
            return found
    return None


def _norm_offset(module: Any) -> float | None:
    """What is added to the weight: 0, or 1 in Gemma's; None where neither is what it computes."""
    rows = torch.randn(3, module.weight.shape[0]).to(module.weight)
    expected = module(rows).float()
    values = rows.float()
    epsilon = _epsilon(module) or 0.0
    normed = values * torch.rsqrt(values.pow(2).mean(-1, keepdim=True) + epsilon)
    for offset in (0.0, 1.0):
        found = normed * (module.weight.float() + offset)
        if torch.allclose(found, expected, rtol=2e-2, atol=1e-2):
            return offset
    return None


def _fuse_norm(module: Any, offset: float) -> None:
    plain, weight, epsilon = module.forward, module.weight, _epsilon(module)

    def forward(x: Tensor) -> Tensor:
        if few_rows(x):
            out: Tensor = _row.norm(x, weight, epsilon, offset)
        else:
            out = plain(x)
        return out

    module.forward = forward


# ---------------------------------------------------------------------------- rotary embeddings


def _fuse_rope(model: nn.Module) -> int:
    """Replaces the function of the family's module of code that its attention layers call."""
    count = 0
    for name in {type(module).__module__ for module in model.modules()}:
        source = sys.modules[name]
        plain = getattr(source, ROPE, None)
        if plain is not None and not hasattr(plain, "plain") and _rotates_halves(plain):
            setattr(source, ROPE, _fused_rope(plain))
            count += 1
    return count


def _rotates_halves(function: Callable[..., Any]) -> bool:
    """Whether the first dimensions are rotated in two halves, the others left."""
    query, key = torch.randn(1, 4, 1, 16), torch.randn(1, 2, 1, 16)
    for rotated in (16, 8):
        cosine, sine = torch.randn(2, 1, 1, rotated).unbind(0)
        try:
            found = function(query, key, cosine, sine)
        except (RuntimeError, TypeError):
            return rotated == 8  # it takes whole heads only
        for got, x in zip(found, (query, key), strict=True):
            if not torch.allclose(got, halves_rotated(x, cosine, sine), atol=1e-5):
                return False
    return True


def halves_rotated(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    size = cosine.shape[-1]
    turned, rest = x[..., :size], x[..., size:]
    swapped = torch.cat([-turned[..., size // 2 :], turned[..., : size // 2]], -1)
    return torch.cat([turned * cosine + swapped * sine, rest], -1)


def _fused_rope(plain: Callable[..., Any]) -> Callable[..., Any]:
    def rope(
        query: Tensor, key: Tensor, cosine: Tensor, sine: Tensor, *rest: Any, **more: Any
    ) -> Any:
        single = query.dim() == 4 and query.shape[0] == 1 and query.shape[2] == 1
        if single and usable(query) and not rest and not more:
            return _row.rope(query, key, cosine, sine)
        return plain(query, key, cosine, sine, *rest, **more)

    rope.plain = plain  # type: ignore[attr-defined]
    return rope
