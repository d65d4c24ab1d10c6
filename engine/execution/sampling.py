"""From logits to a token, on the device of the logits and without a look at it from the host.

Order and meaning follow transformers' logits processors: repetition penalty (Keskar et al. 2019),
presence and frequency penalty (of what was generated, as OpenAI's interface has them), temperature,
top-k, top-p (Holtzman et al. 2020), min-p (Nguyen et al. 2024). The parameters are tensors, so that
a captured step serves whatever they are; what decides which operations run is in `Kind`.

A GPU gives a search along one long row to few of its processors. The most probable tokens are
therefore looked for in two stages: the maximum of each of many short stripes of the vocabulary,
then among the stripes whose maxima are the largest. If Triton runs, `kernels/sampling.py` does the
whole search and the draw in two launches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from engine.errors import SettingError
from engine.kernels.available import tried
from engine.protocol import SAMPLING_SETTINGS as SETTINGS

FEWEST_CANDIDATES: Final = 64
SHORTEST_STRIPE: Final = 8
"""Shorter ones would leave the two searches with a quarter of the vocabulary and more."""


SMALLEST: Final = torch.finfo(torch.float32).tiny
"""Temperature: the next smaller ones are 0 on some devices, and 0 / 0 is no number."""


@dataclass(frozen=True)
class SamplingOptions:
    """`protocol.Sampling` with every setting resolved; raises SettingError at once for a value that
    its setting does not allow."""

    temperature: float = SETTINGS["temperature"].default
    top_k: int = int(SETTINGS["top_k"].default)
    """0 keeps every token."""
    top_p: float = SETTINGS["top_p"].default
    min_p: float = SETTINGS["min_p"].default
    repetition_penalty: float = SETTINGS["repetition_penalty"].default
    presence_penalty: float = SETTINGS["presence_penalty"].default
    frequency_penalty: float = SETTINGS["frequency_penalty"].default
    seed: int | None = None

    def __post_init__(self) -> None:
        wrong = [
            name.replace("_", " " if "penalty" in name else "-")
            for name, setting in SETTINGS.items()
            if not setting.allows(getattr(self, name))
        ]
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

    def __init__(
        self, vocabulary: int, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        """`dtype` is that of the logits; the first draw from others waits for a compiler."""
        self.vocabulary = vocabulary
        self.kind = Kind(1, penalised=False)
        self.generator = torch.Generator(device)
        self._parameters = torch.zeros(7, device=device)
        self._seen = torch.zeros(vocabulary, dtype=torch.bool, device=device)
        """Tokens of prompt and reply, for the repetition penalty."""
        self._counts = torch.zeros(vocabulary, device=device)
        """Of the reply's tokens."""
        self._one = torch.ones(1, device=device)
        self._kernels = kernels(vocabulary, device, dtype) if device.type == "cuda" else None

    def begin(
        self, options: SamplingOptions, prompt: Sequence[int], reply: Sequence[int] = ()
    ) -> None:
        """`reply`: tokens that were drawn before for the same reply, which goes on."""
        self.kind = kind_of(options, self.vocabulary)
        device = self._parameters.device
        values = (
            max(options.temperature, SMALLEST),
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
            seen = sorted({*prompt, *reply})
            self._seen[torch.tensor(seen, dtype=torch.long, device=device)] = True
            drawn_before = torch.tensor(reply, dtype=torch.long, device=device)
            self._counts += torch.bincount(drawn_before, minlength=self.vocabulary)
        if options.seed is None:
            self.generator.seed()
            return
        self.generator.manual_seed(options.seed)
        if self.kind.candidates > 1:
            for _ in reply:
                self._noise()

    @torch.inference_mode()
    def draw(self, logits: Tensor, into: Tensor | None = None) -> Tensor:
        """The token [1] for logits [vocabulary], written into `into` where that is given.

        Computed in float32. Notes that the token was drawn.
        """
        token = logits.new_empty(1, dtype=torch.long) if into is None else into
        if self.kind.penalised:
            repetition, presence, frequency = self._parameters[4:].unbind()
            logits = penalise(logits.float(), self._seen, repetition)
            logits = logits - presence * (self._counts > 0) - frequency * self._counts
        self._choose(logits, token)
        if self.kind.penalised:
            self._seen.index_fill_(0, token, value=True)
            self._counts.index_add_(0, token, self._one)
        return token

    def _noise(self) -> Tensor:
        count = self.kind.candidates
        return self._parameters.new_empty(count).exponential_(generator=self.generator)

    def _choose(self, logits: Tensor, token: Tensor) -> None:
        by, count = self._kernels, self.kind.candidates
        if count == 1:
            if by:
                by.most_probable(logits, token)
            else:
                token.copy_(most_probable(logits.float()))
            return
        noise = self._noise()
        if by and by.sorts(count):
            by.drawn(logits, self._parameters, noise, token)
        else:
            token.copy_(drawn(logits.float(), self._parameters, noise))


@cache
def kernels(vocabulary: int, device: torch.device, dtype: torch.dtype) -> ModuleType | None:
    """engine.kernels.sampling, or None where they do not run: no Triton, no C compiler."""

    def tried_out() -> ModuleType:
        from engine.kernels import sampling

        sampling.try_out(vocabulary, device, dtype)
        return sampling

    return tried("sampling", tried_out)


def drawn(logits: Tensor, parameters: Tensor, noise: Tensor) -> Tensor:
    """The token [1] for logits [vocabulary]; the first four parameters are those of `begin`.

    noise [candidates] is drawn from Exp(1). The largest of p / Exp(1) is a draw from p (the
    exponential race), and needs no sum.
    """
    temperature, top_k, mass, share = parameters[:4].unbind()
    ordered, ids = largest(logits, noise.shape[0])
    # The most probable stands at 0, so that no temperature is too small.
    probabilities = first((ordered - ordered[0]) / temperature, top_k).softmax(0)
    raced = min_p(top_p(probabilities, mass), share) / noise
    return ids[raced.argmax(0, keepdim=True)]


def most_probable(logits: Tensor) -> Tensor:
    """The token [1], the first of those that are alike."""
    if not logits.is_cuda:
        return logits.argmax(0, keepdim=True)
    stripes = striped(logits, stripe_length(logits.shape[0], 1))
    best, at = stripes.max(1)
    stripe = best.argmax(0, keepdim=True)
    return stripe * stripes.shape[1] + at[stripe]


def largest(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest logits in falling order, and their tokens; as topk, in two stages.

    The `count` stripes with the largest maxima hold them. Let m be the least of those maxima. Each
    of these stripes has a logit of at least m, which makes `count` of them, and in the others no
    logit is above m. One outside can thus only be as large as the least of those found, and which
    of equals are taken is open in topk too. There are `count` stripes, as none is longer than
    vocabulary / count.
    """
    length = stripe_length(logits.shape[0], count)
    if length < SHORTEST_STRIPE:
        ordered, ids = logits.topk(count)
        return ordered, ids
    stripes = striped(logits, length)
    chosen = stripes.amax(1).topk(count, sorted=False).indices
    ordered, at = stripes[chosen].flatten().topk(count)
    return ordered, chosen[at // length] * length + at % length


def striped(logits: Tensor, length: int) -> Tensor:
    """[stripes, length]. What fills up the last one is as impossible as a token can be."""
    missing = -logits.shape[0] % length
    if missing:
        logits = functional.pad(logits, (0, missing), value=-torch.inf)
    return logits.view(-1, length)


def stripe_length(vocabulary: int, count: int) -> int:
    """The power of two next to sqrt(vocabulary / count), and at most vocabulary / count.

    There are then about as many stripes as logits in `count` of them: 4,008 and 2,048 for 64 of
    128,256.
    """
    return 1 << ((vocabulary // count).bit_length() // 2)


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
