"""Rotary positions: cosines and sines of a step's positions, and the rotation of heads in halves.

Frequencies and their scaling (linear, YaRN, Llama 3's, LongRoPE) are those of transformers' own
rotary module. Families that rotate pairs side by side have the rows of their query and key put in
order when they are loaded, so that here all rotate halves (Su and others, RoFormer, 2021).

LongRoPE has two sets of frequencies: one up to the length of first training, the other beyond it,
for all tokens. Keys in the cache were rotated by the set in force when they were computed, so a
sequence that outgrows the first set must be computed again; who runs the model says which set
holds (Ding and others, LongRoPE, 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.errors import UnsupportedError


class Angles(NamedTuple):
    """Of a step's tokens: [tokens, rotated size] of the first dimensions of a head."""

    cosine: Tensor
    sine: Tensor
    signed: Tensor
    """The sines, negative for the first half of a head: what torch's operators take."""
    query_scale: Tensor | None
    """[tokens, 1, 1]: what each query is multiplied by (Llama 4, Ministral 3)."""


class Rotary:
    """Cosines and sines of positions for one set of frequencies [rotated size / 2]."""

    def __init__(
        self,
        frequencies: Tensor,
        scaling: float,
        dtype: torch.dtype,
        query_scaling: tuple[float, int] | None = None,
    ) -> None:
        """`scaling` is of cosines and sines; `query_scaling` the factor of a logarithm and the
        length of first training, in tokens."""
        self.frequencies = frequencies
        self.scaling = scaling
        self.dtype = dtype
        self.query_scaling = query_scaling
        self._table: Tensor | None = None

    @property
    def size(self) -> int:
        """Of a head, how many dimensions are rotated."""
        return 2 * self.frequencies.shape[0]

    def __call__(self, positions: Tensor) -> Angles:
        """positions int64 [tokens]."""
        if self._table is None:
            cosine, sine, signed = self._computed(positions)
        else:
            cosine, sine, signed = self._table.index_select(0, positions).unbind(1)
        return Angles(cosine, sine, signed, self._query_scale(positions))

    def tabulate(self, count: int) -> None:
        """Looks the angles of positions below `count` up from now on."""
        if self._table is None or self._table.shape[0] < count:
            every = torch.arange(count, device=self.frequencies.device)
            self._table = torch.stack(self._computed(every), 1)

    def _computed(self, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        angles = positions[:, None].float() * self.frequencies
        cosine = (angles.cos() * self.scaling).to(self.dtype)
        sine = (angles.sin() * self.scaling).to(self.dtype)
        both = torch.cat([sine, sine], -1)
        return torch.cat([cosine, cosine], -1), both, torch.cat([-sine, sine], -1)

    def _query_scale(self, positions: Tensor) -> Tensor | None:
        if self.query_scaling is None:
            return None
        factor, length = self.query_scaling
        scale = 1 + factor * torch.log1p(torch.floor(positions / length))
        return scale[:, None, None].to(self.dtype)


def rotated(x: Tensor, angles: Angles) -> Tensor:
    """x [tokens, heads, size], whose first dimensions are rotated and the others left."""
    size = angles.cosine.shape[-1]
    turning = x[..., :size]
    cosine, sine = angles.cosine[:, None], angles.signed[:, None]
    out = torch.addcmul(turning * cosine, turning.roll(size // 2, -1), sine).to(x.dtype)
    return out if size == x.shape[-1] else torch.cat([out, x[..., size:]], -1)


def halves_of_pairs(size: int, rotated: int, begin: int = 0) -> Tensor:
    """int64 [size]: where each dimension of a head goes so that pairs side by side become halves.

    `rotated` dimensions from `begin` on are rotated."""
    order = torch.arange(size)
    half = rotated // 2
    order[begin : begin + rotated : 2] = begin + torch.arange(half)
    order[begin + 1 : begin + rotated : 2] = begin + half + torch.arange(half)
    return order


def of_heads(order: Tensor, heads: int) -> Tensor:
    """int64 [heads x size]: the order of one head's dimensions, for heads one behind another."""
    starts = torch.arange(heads)[:, None] * len(order)
    return (starts + order).reshape(-1)


@dataclass(frozen=True)
class Sets:
    """The two sets of frequencies of one rotary module."""

    rotary: Rotary
    short: Tensor
    long: Tensor


class LongRope:
    def __init__(self, sets: list[Sets], limit: int) -> None:
        self._sets = sets
        self._limit = limit
        """The longest sequence, in tokens, that the short set is for."""
        self._long = False

    @property
    def end(self) -> int | None:
        """The longest sequence that the set in force is for; None if it has no end."""
        return None if self._long else self._limit

    def fits(self, length: int) -> bool:
        """Whether the set in force is the one for a sequence of `length` tokens."""
        return (length > self._limit) == self._long

    @torch.inference_mode()
    def fit(self, length: int) -> None:
        """Puts that set in force; what is in the cache is of no use any more if it changes.

        In place: captured steps read the frequencies by their address.
        """
        self._long = length > self._limit
        for one in self._sets:
            one.rotary.frequencies.copy_(one.long if self._long else one.short)


def refuse_unstable(kinds: Mapping[str, Any]) -> None:
    """Raises UnsupportedError for frequencies that change with every token ("dynamic" scaling)."""
    if any("dynamic" in str(kind) for kind in kinds.values()):
        raise UnsupportedError(
            "This model changes its rotary frequencies with every token (dynamic scaling), so that "
            "nothing that was computed could be kept.",
            "Set the rope_scaling in its config.json to yarn, or choose another model.",
        )
