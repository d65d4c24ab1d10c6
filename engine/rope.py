"""Rotary frequencies that depend on how long the sequence is: LongRoPE, as Phi-3 and Phi-4 have it.

Up to the length of first training one set of frequencies holds, beyond it another, for all tokens.
Keys in the cache were rotated by the set in force when they were computed, so that a sequence that
outgrows the first set must be computed again. transformers looks at the positions of each forward;
here whoever runs the model says which set holds, and chunks of one prompt cannot differ.

Ding and others, LongRoPE: extending LLM context window beyond 2 million tokens, 2024.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import UnsupportedError


@dataclass(frozen=True)
class Rotary:
    """One rotary module's buffer and the two sets that it may hold: [rotated size / 2] each."""

    buffer: Tensor
    short: Tensor
    long: Tensor


class LongRope:
    def __init__(self, rotaries: list[Rotary], limit: int) -> None:
        self._rotaries = rotaries
        self._limit = limit
        """The longest sequence, in tokens, that the short set is for."""
        self._long = False

    @property
    def end(self) -> int | None:
        """The longest sequence that the set in force is for; None where it has no end."""
        return None if self._long else self._limit

    def fits(self, length: int) -> bool:
        """Whether the set in force is the one for a sequence of `length` tokens."""
        return (length > self._limit) == self._long

    @torch.inference_mode()
    def fit(self, length: int) -> None:
        """Puts that set in force; what is in the cache is of no use any more if it changes."""
        self._long = length > self._limit
        for rotary in self._rotaries:
            rotary.buffer.copy_(rotary.long if self._long else rotary.short)


def of_model(model: nn.Module) -> LongRope | None:
    """None for a model whose frequencies never change.

    Takes the choice away from transformers' own modules, which would look at each chunk alone.
    """
    modules = _long(model)
    if not modules:
        return None
    limits = {int(_parameters(module)["original_max_position_embeddings"]) for module in modules}
    return LongRope([_taken_over(module) for module in modules], min(limits))


def refuse_unstable(model: nn.Module) -> None:
    """Raises UnsupportedError for frequencies that change with every token ("dynamic" scaling)."""
    if any("dynamic" in kind_of(module) for module in model.modules()):
        raise UnsupportedError(
            "This model changes its rotary frequencies with every token (dynamic scaling), so that "
            "nothing that was computed could be kept.",
            "Set the rope_scaling in its config.json to yarn, or choose another model.",
        )


@contextmanager
def standing_still(model: nn.Module) -> Iterator[None]:
    """For a run without memory, in which no length can be looked at."""
    modules = _long(model)
    for module in modules:
        module.rope_type = "default"
    try:
        yield
    finally:
        for module in modules:
            module.rope_type = "longrope"


def _long(model: nn.Module) -> list[Any]:
    return [module for module in model.modules() if kind_of(module) == "longrope"]


def kind_of(module: nn.Module) -> str:
    kind = getattr(module, "rope_type", "")
    return kind if isinstance(kind, str) else " ".join(map(str, kind.values()))


def _parameters(module: Any) -> dict[str, Any]:
    found: dict[str, Any] = module.config.rope_parameters
    return found


def _taken_over(module: Any) -> Rotary:
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    buffer: Tensor = module.inv_freq
    beyond = int(_parameters(module)["original_max_position_embeddings"]) + 1
    long, _ = ROPE_INIT_FUNCTIONS["longrope"](module.config, buffer.device, seq_len=beyond)
    module.rope_type = "default"
    return Rotary(buffer, buffer.clone(), long.to(buffer))
