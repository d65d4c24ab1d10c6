"""Root-mean-square norms in one launch, recognised by what they compute."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engine.attention import prologue
from engine.attention.prologue import Norm
from engine.fusion import state


def looks_like_norm(module: Any) -> bool:
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


def offset_of(module: Any) -> float | None:
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


def fuse_norm(module: Any, offset: float) -> None:
    plain = module.forward
    norm = module.norm = Norm(module.weight, _epsilon(module) or 0.0, offset)

    def forward(x: Tensor) -> Tensor:
        if not state.usable(x):
            return plain(x)  # type: ignore[no-any-return]
        left = prologue.current()
        if left and left.norms and any(norm.weight is other.weight for other in left.norms):
            return x
        out: Tensor = state.kernels.norm(x, norm)
        prologue.normed(norm, out)
        return out

    module.forward = forward


def norm_of(module: Any) -> Norm | None:
    """None for a module that was not fused."""
    return getattr(module, "norm", None)
