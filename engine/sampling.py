"""From logits to a token, on the device of the logits and without a look at it from the host.

Order and meaning follow transformers' logits processors: repetition penalty (Keskar et al. 2019),
presence and frequency penalty (of what was generated, as OpenAI's interface has them), temperature,
top-k, top-p (Holtzman et al. 2020), min-p (Nguyen et al. 2024). The parameters are tensors, so that
a captured step serves whatever they are; what decides which operations run is in `Kind`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from engine.errors import SettingError

FEWEST_CANDIDATES: Final = 64
STRIPES: Final = 64


@dataclass(frozen=True)
class SamplingOptions:
    """Resolved settings; raises SettingError at once for values that make no sense."""

    temperature: float = 0.8
    top_k: int = 40
    """0 keeps every token."""
    top_p: float = 0.95
    min_p: float = 0.05
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        allowed = {
            "temperature": self.temperature >= 0,
            "top-k": self.top_k >= 0,
            "top-p": 0 < self.top_p <= 1,
            "min-p": 0 <= self.min_p < 1,
            "repetition penalty": self.repetition_penalty > 0,
            "presence penalty": -100 <= self.presence_penalty <= 100,
            "frequency penalty": -100 <= self.frequency_penalty <= 100,
        }
        wrong = [name for name, fine in allowed.items() if not fine]
        if wrong:
            raise SettingError(
                f"The sampling setting {' and '.join(wrong)} is out of range.",
                "Temperature and top-k are 0 or more, top-p is in (0, 1], min-p in [0, 1), the "
                "repetition penalty above 0, the other penalties between -100 and 100.",
            )


@dataclass(frozen=True)
class Kind:
    """Which operations a draw consists of."""

    candidates: int
    """How many of the most probable tokens are looked at; 1 takes the most probable."""
    penalised: bool


def kind_of(options: SamplingOptions, vocabulary: int) -> Kind:
    """Candidates are a power of two, so that another top-k is seldom another kind."""
    penalised = (
        options.repetition_penalty != 1
        or options.presence_penalty != 0
        or options.frequency_penalty != 0
    )
    if options.temperature == 0:
        return Kind(1, penalised)
    kept = options.top_k or vocabulary
    candidates = max(FEWEST_CANDIDATES, 1 << (kept - 1).bit_length())
    return Kind(min(candidates, vocabulary), penalised)


class Sampler:
    """Draws the tokens of one reply after another; `begin` at each."""

    def __init__(self, vocabulary: int, device: torch.device) -> None:
        self.vocabulary = vocabulary
        self.kind = Kind(1, penalised=False)
        self.generator = torch.Generator(device)
        self._parameters = torch.zeros(7, device=device)
        self._seen = torch.zeros(vocabulary, dtype=torch.bool, device=device)
        """Tokens of prompt and reply, for the repetition penalty."""
        self._counts = torch.zeros(vocabulary, device=device)
        """Of the reply's tokens."""
        self._one = torch.ones(1, device=device)

    def begin(self, options: SamplingOptions, prompt: Sequence[int]) -> None:
        self.kind = kind_of(options, self.vocabulary)
        device = self._parameters.device
        values = (
            options.temperature,
            float(options.top_k or self.vocabulary),
            options.top_p if options.top_p < 1 else 2.0,  # sums of all may round to less than 1
            options.min_p,
            options.repetition_penalty,
            options.presence_penalty,
            options.frequency_penalty,
        )
        self._parameters.copy_(torch.tensor(values))
        if self.kind.penalised:
            self._counts.zero_()
            self._seen.zero_()
            self._seen[torch.tensor(sorted(set(prompt)), dtype=torch.long, device=device)] = True
        if options.seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(options.seed)

    @torch.inference_mode()
    def draw(self, logits: Tensor) -> Tensor:
        """The token [1] for logits [vocabulary] in float32, and notes that it was drawn."""
        temperature, top_k, mass, share, repetition, presence, frequency = self._parameters.unbind()
        if self.kind.penalised:
            logits = penalise(logits, self._seen, repetition)
            logits = logits - presence * (self._counts > 0) - frequency * self._counts
        if self.kind.candidates == 1:
            token = most_probable(logits)
        else:
            ordered, ids = (logits / temperature).topk(self.kind.candidates)
            probabilities = min_p(top_p(first(ordered, top_k).softmax(0), mass), share)
            # The largest of p / Exp(1) is a draw from p (the exponential race), and needs no sum.
            noise = torch.empty_like(probabilities).exponential_(generator=self.generator)
            token = ids[(probabilities / noise).argmax(0, keepdim=True)]
        if self.kind.penalised:
            self._seen.index_fill_(0, token, value=True)
            self._counts.index_add_(0, token, self._one)
        return token


def most_probable(logits: Tensor) -> Tensor:
    """The token [1]; in two stages on a GPU, which gives one long row to few of its processors."""
    if not logits.is_cuda or logits.shape[0] % STRIPES:
        return logits.argmax(0, keepdim=True)
    best, at = logits.view(STRIPES, -1).max(1)
    stripe = best.argmax(0, keepdim=True)
    return stripe * (logits.shape[0] // STRIPES) + at[stripe]


def penalise(logits: Tensor, seen: Tensor, penalty: Tensor) -> Tensor:
    """Divides positive logits of seen tokens by the penalty and multiplies negative ones."""
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def first(ordered: Tensor, count: Tensor) -> Tensor:
    """Keeps the first `count` of logits in falling order; the others become impossible."""
    rank = torch.arange(ordered.shape[0], device=ordered.device)
    return ordered.masked_fill(rank >= count, -torch.inf)


def top_p(ordered: Tensor, mass: Tensor) -> Tensor:
    """Of probabilities in falling order, those that together reach `mass`; the others become 0."""
    return ordered.masked_fill(ordered.cumsum(0) - ordered >= mass, 0)


def min_p(ordered: Tensor, share: Tensor) -> Tensor:
    """Those at least `share` as probable as the first; the others become 0."""
    return ordered.masked_fill(ordered < share * ordered[0], 0)
