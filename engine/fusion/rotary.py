"""Rotary embeddings in one launch, or, of one token, left to the attention kernel.

Cosines and sines of all positions are computed by the model's own module when the first is asked
for, and looked up.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from engine.attention import prologue
from engine.fusion import state

ROPE: Final = "apply_rotary_pos_emb"


def fuse_rope(model: nn.Module) -> int:
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
    query, key = torch.randn(1, 4, 3, 16), torch.randn(1, 2, 3, 16)
    for rotated in (16, 8):
        cosine, sine = torch.randn(2, 1, 3, rotated).unbind(0)
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
        known = _one_angle_a_token(query, key, cosine, sine)
        if not known or rest or more or not state.usable(query):
            return plain(query, key, cosine, sine, *rest, **more)
        if prologue.leave_rotation(cosine, sine):
            return query, key
        found: tuple[Tensor, Tensor] = state.kernels.rope(query, key, cosine, sine)
        prologue.rotated((query, key), found)
        return found

    rope.plain = plain  # type: ignore[attr-defined]
    return rope


def _one_angle_a_token(query: Tensor, key: Tensor, cosine: Tensor, sine: Tensor) -> bool:
    """[1, heads, tokens, head size] twice, [1, tokens, rotated size] twice."""
    return (
        query.dim() == key.dim() == 4
        and cosine.shape == sine.shape == (1, query.shape[2], cosine.shape[-1])
        and query.shape[0] == 1
        and all(x.stride(-1) == 1 for x in (query, key, cosine, sine))
        and cosine.stride() == sine.stride()
    )


def tabulate(model: nn.Module, positions: int) -> None:
    """For tokens below `positions`, looked up where ten small kernels would compute it.

    Not for frequencies that change with the length (`engine.rope`).
    """
    for module in model.modules():
        if type(module).__name__.endswith("RotaryEmbedding"):
            _look_up(module, positions)


def _look_up(module: Any, positions: int) -> None:
    """A table that is there already serves a shorter cache too."""
    if positions <= getattr(module, "tabulated", 0):
        return
    computed = module.computed = getattr(module, "computed", module.forward)
    module.tabulated = positions
    tables: dict[Any, Tensor | None] = {}

    def forward(x: Tensor, position_ids: Tensor, *rest: Any, **more: Any) -> Any:
        if position_ids.shape[:-1] != (1,) or not state.usable(x):
            return computed(x, position_ids, *rest, **more)
        kind = (rest, *more.items())
        if kind not in tables:
            every = torch.arange(positions, device=x.device)[None]
            tables[kind] = _table(computed(x, every, *rest, **more), positions)
        table = tables[kind]
        if table is None:
            return computed(x, position_ids, *rest, **more)
        return table.index_select(0, position_ids[0]).unsqueeze(0).unbind(2)

    module.forward = forward


def _table(found: Any, positions: int) -> Tensor | None:
    """[positions, 2, size] of cosines and sines; None where they are not two tensors of such."""
    pair = isinstance(found, tuple) and len(found) == 2
    if not pair or any(part.dim() != 3 or part.shape[:2] != (1, positions) for part in found):
        return None
    return torch.stack([part[0] for part in found], 1)
