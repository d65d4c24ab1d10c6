"""What may be done to one token's query and key in the attention kernel instead of before it.

Between the projections and attention, transformers' modules norm each head of query and key (Qwen
3, Gemma 3) and rotate them: three launches that take as long as they would with a thousand times
the numbers. Where nothing else happens between, the norms and the rotation are left out there and
handed to the kernel. Which modules those are is watched in one step of the whole model (`Watch`):
the tensors that come out of one must be the ones that go into the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from torch import Tensor

KERNEL: Final = "flash_decode"
"""Which knows how."""


class Norm(NamedTuple):
    """Root-mean-square norm: x / sqrt(mean of x squared + epsilon), times weight + offset.

    Zhang and Sennrich, 2019.
    """

    weight: Tensor
    """[size]."""
    epsilon: float
    offset: float
    """1 in Gemma's, else 0."""


@dataclass
class Prologue:
    """What an attention module leaves to the kernel; cosine and sine are the current step's."""

    rotates: bool = False
    norms: tuple[Norm, Norm] | None = None
    """Of each head of query and key; their epsilon and offset are the same."""
    cosine: Tensor | None = None
    """[1, 1, rotated size]: that many dimensions are rotated, in two halves."""
    sine: Tensor | None = None


_current: Prologue | None = None


@contextmanager
def leaving(what: Prologue) -> Iterator[None]:
    """For the time of one module's forward."""
    global _current
    _current = what
    try:
        yield
    finally:
        _current = what.cosine = what.sine = None


def current() -> Prologue | None:
    return _current


def leave_rotation(cosine: Tensor, sine: Tensor) -> bool:
    """Whether the rotation is the kernel's."""
    if _current is None or not _current.rotates:
        return False
    _current.cosine, _current.sine = cosine, sine
    return True


# ---------------------------------------------------------------------------- watching


class Seen(NamedTuple):
    """A tensor at one moment, kept so that no other takes its place in memory."""

    tensor: Tensor
    version: int

    def is_still(self, other: Tensor) -> bool:
        """Whether `other` is a view of all of it, unchanged."""
        return (
            other.data_ptr() == self.tensor.data_ptr()
            and other.numel() == self.tensor.numel()
            and version_of(other) == self.version
        )


def seen(tensor: Tensor) -> Seen:
    return Seen(tensor, version_of(tensor))


def version_of(tensor: Tensor) -> int:
    """Counts what was written into it in place."""
    return int(tensor._version)  # noqa: SLF001 - torch has no other way to ask


@dataclass
class Watch:
    """Stands for a step of the KV cache while the model runs one token, and computes nothing."""

    kernel: str = "watch"
    found: dict[Any, Prologue] = field(default_factory=dict)
    """What the attention modules can leave to the kernel."""
    normed: dict[int, tuple[Norm, Seen]] = field(default_factory=dict)
    """By the address of the output."""
    rotated: tuple[tuple[Seen, Seen], tuple[Seen, Seen]] | None = None

    def attend(self, module: Any, query: Tensor, key: Tensor) -> Tensor:
        """query [1, tokens, heads, head size] and key as they come to the kernel."""
        leaves = Prologue()
        before = (seen(query), seen(key))
        if self.rotated is not None:
            into, out = self.rotated
            leaves.rotates = out[0].is_still(query) and out[1].is_still(key)
            before = into
        if leaves.rotates or self.rotated is None:
            norms = [self.normed.get(part.tensor.data_ptr()) for part in before]
            if all(
                norm is not None and norm[1].is_still(part.tensor)
                for norm, part in zip(norms, before, strict=True)
            ):
                first, second = (norm[0] for norm in norms if norm is not None)
                of_heads = {norm.weight.shape[0] for norm in (first, second)} == {query.shape[3]}
                if of_heads and first[1:] == second[1:]:
                    leaves.norms = (first, second)
        self.found[module] = leaves
        self.normed, self.rotated = {}, None
        return query.new_zeros(query.shape)


_watch: Watch | None = None


@contextmanager
def watching() -> Iterator[Watch]:
    global _watch
    _watch = Watch()
    try:
        yield _watch
    finally:
        _watch = None


def rotated(before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> None:
    """Says that the rotation made `after` of `before`."""
    if _watch is not None:
        _watch.rotated = (
            (seen(before[0]), seen(before[1])),
            (seen(after[0]), seen(after[1])),
        )


def normed(norm: Norm, after: Tensor) -> None:
    """Says that a norm of each head made `after`."""
    if _watch is not None:
        _watch.normed[after.data_ptr()] = (norm, seen(after))
