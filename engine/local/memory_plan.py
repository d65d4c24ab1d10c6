"""How a device's free memory is divided: weights, context, and what is kept beside it.

Pure: bytes and the wish go in, a plan or an error with numbers comes out. Nothing is read from a
file whose plan does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from engine.device import memory, sizes
from engine.errors import OutOfMemoryError, SettingError

DEFAULT_CONTEXT: Final = 8192
SHORTEST_CONTEXT: Final = 256
"""Tokens; the shortest context that is tried unasked."""
SHARE_OF_FREE_MEMORY: Final = 0.9
"""Of what is free beside the weights, what the cache may take; the rest is for activations."""
SHARE_TO_KEEP: Final = 0.25
"""Of the host's free memory, for the caches of conversations that were left."""


@dataclass(frozen=True)
class Needs:
    """What a model takes."""

    name: str
    weight_bytes: int
    """In the form that they are held in; by its header, before anything is read."""


@dataclass(frozen=True)
class Context:
    """What a token of context takes, and how many there may be."""

    bytes_per_token: int
    longest: int

    @property
    def usual(self) -> int:
        return min(self.longest, DEFAULT_CONTEXT)


def check_weights(needs: Needs, free: int, device: str) -> None:
    """Raises OutOfMemoryError if the weights alone are more than what is free."""
    if needs.weight_bytes > free:
        raise too_large(needs, free, device)


def too_large(needs: Needs, free: int, device: str) -> OutOfMemoryError:
    missing = needs.weight_bytes - free
    return OutOfMemoryError.offering(
        0,
        f"The weights of {needs.name} take about {sizes.said(needs.weight_bytes)}, and "
        f"{sizes.said(free)} were free on {device}"
        + (f": {sizes.said(missing)} are missing." if missing > 0 else "."),
    )


def context(limits: Context, wanted: int | None, free: int, device: str) -> int:
    """How many tokens the cache is to hold, `free` bytes being left beside the weights.

    Raises SettingError for a context that the model does not have, OutOfMemoryError for one that
    does not fit, with the longest that does.
    """
    if wanted is not None and not 1 < wanted <= limits.longest:
        raise SettingError(
            f"This model has no context of {wanted:,}: it goes up to {limits.longest:,}.",
            f"Choose a context length from 2 to {limits.longest:,}.",
        )
    fits = int(SHARE_OF_FREE_MEMORY * free) // limits.bytes_per_token
    chosen = wanted or min(limits.usual, fits)
    if chosen > fits or chosen < 2:
        chosen = max(chosen, 2)
        takes = sizes.said(chosen * limits.bytes_per_token)
        raise OutOfMemoryError.offering(
            memory.rounded(fits) if fits >= 2 else 0,
            f"A context of {chosen:,} tokens takes {takes} beside the weights, and "
            f"{sizes.said(free)} are free on {device}.",
        )
    return chosen


def halves(tokens: int) -> Iterator[int]:
    """A context, its half, and so on: what is tried if memory turns out to be shorter."""
    yield tokens
    while tokens > SHORTEST_CONTEXT:
        tokens = max(SHORTEST_CONTEXT, tokens // 2)
        yield tokens


def kept_bytes(host_free: int, *, reusable: bool) -> int:
    """Of the host's memory, for caches of other conversations; `reusable` is false if keys are of
    no use at another length (LongRoPE)."""
    return int(SHARE_TO_KEEP * host_free) if reusable else 0
