"""From logits to a token: small pure functions of logits [vocabulary], in the usual order.

Order and meaning follow transformers' logits processors: repetition penalty (Keskar et al. 2019),
temperature, top-k, top-p (Holtzman et al. 2020), min-p (Nguyen et al. 2024).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import SettingError


@dataclass(frozen=True)
class SamplingOptions:
    """Resolved settings; raises SettingError at once for values that make no sense."""

    temperature: float = 0.8
    top_k: int = 40
    """0 keeps every token."""
    top_p: float = 0.95
    min_p: float = 0.05
    repetition_penalty: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        allowed = {
            "temperature": self.temperature >= 0,
            "top-k": self.top_k >= 0,
            "top-p": 0 < self.top_p <= 1,
            "min-p": 0 <= self.min_p < 1,
            "repetition penalty": self.repetition_penalty > 0,
        }
        wrong = [name for name, fine in allowed.items() if not fine]
        if wrong:
            raise SettingError(
                f"The sampling setting {' and '.join(wrong)} is out of range.",
                "Temperature and top-k are 0 or more, top-p is in (0, 1], min-p in [0, 1), "
                "the repetition penalty above 0.",
            )


def sample(
    logits: Tensor, history: Collection[int], options: SamplingOptions, generator: torch.Generator
) -> int:
    """One token id. `history` is prompt and reply, for the repetition penalty."""
    if options.repetition_penalty != 1.0:
        logits = penalise(logits, history, options.repetition_penalty)
    if options.temperature == 0:
        return int(logits.argmax())
    logits = logits / options.temperature
    candidates = torch.arange(logits.shape[-1], device=logits.device)
    if 0 < options.top_k < logits.shape[-1]:
        logits, candidates = logits.topk(options.top_k)
    probabilities = min_p(top_p(logits.softmax(-1), options.top_p), options.min_p)
    return int(candidates[torch.multinomial(probabilities, 1, generator=generator)])


def penalise(logits: Tensor, history: Collection[int], penalty: float) -> Tensor:
    """Divides positive logits of seen tokens by the penalty and multiplies negative ones."""
    seen = torch.tensor(sorted(set(history)), device=logits.device)
    before = logits[seen]
    return logits.index_put((seen,), torch.where(before > 0, before / penalty, before * penalty))


def top_p(probabilities: Tensor, mass: float) -> Tensor:
    """Keeps the most probable tokens that together reach `mass`, renormalised."""
    if mass >= 1:
        return probabilities
    ordered, order = probabilities.sort(descending=True)
    kept = ordered.masked_fill(ordered.cumsum(-1) - ordered >= mass, 0)
    return normalise(torch.zeros_like(probabilities).scatter(0, order, kept))


def min_p(probabilities: Tensor, share: float) -> Tensor:
    """Keeps the tokens at least `share` as probable as the most probable one, renormalised."""
    return normalise(probabilities.masked_fill(probabilities < share * probabilities.max(), 0))


def normalise(probabilities: Tensor) -> Tensor:
    return probabilities / probabilities.sum()
