"""How large the chunks of a prompt are on a CUDA GPU, by running some.

Large enough that launching does not take longer than computing, small enough to stop within; and
which short ones are captured.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from engine.device import memory, sizes
from engine.execution.forward import various
from engine.execution.prompt_graphs import Growing, Launching
from engine.execution.runner import Runner
from engine.local.memory_plan import DEFAULT_CONTEXT

CHUNKS: Final = (256, 512, 1024, 2048, 4096)
MOST_SECONDS: Final = 0.095
"""Of a chunk at the end of the usual context: Stop is to be there within 100 ms."""
ROOM_TO_LAUNCH: Final = 2.0
"""Times what launching took, for a chunk: Python has been seen to take twice as long the next time,
and the GPU would wait for it."""
LEAST_FAST: Final = 0.95
"""Of tokens/s, for a larger chunk: two measurements of the same differ by as much."""
LEAST_SHORTER: Final = 0.8
"""Of seconds, for which chunks of half the tokens are worth what they lose in tokens/s."""
MOST_BYTES: Final = 500_000_000
SHARE_FOR_A_CHUNK: Final = 0.25
"""Of free memory, for its activations."""

FEW: Final = 16
"""Tokens, which take hardly longer than launching them."""

_log = logging.getLogger(__name__)

Measured = tuple[float, int]
"""Seconds and bytes that a chunk takes."""


class Chunk(NamedTuple):
    tokens: int
    seconds: float
    taken: int
    """Bytes."""

    @property
    def rate(self) -> float:
        """Tokens/s."""
        return self.tokens / self.seconds


def settle(ready: Runner, longest: int, free: int) -> Launching | None:
    """Returns what launching takes; None where nothing could be run, or prompts cannot be captured.

    Prompts have `longest` tokens at most; `free` bytes, from before torch held what a first chunk
    took. The cache is empty afterwards.

    Chunks are measured at the end of the context, where attention takes longest; of a context
    longer than the usual one at the end of that, which keeps loading short.
    """
    if ready.prompts:
        ready.prompts.clear()
    end = min(longest, DEFAULT_CONTEXT)
    tokens = various(ready.model, end)
    written_out = ready.model.written_out_bytes
    """However many tokens a chunk has."""

    def measure(count: int, held: int) -> Measured | None:
        def run() -> None:
            ready.cache.tokens[:] = tokens[:held]
            ready.forward(tokens[:count])

        def second() -> Measured:
            """The first of a size loads kernels and takes memory."""
            run()
            seconds, taken = memory.measured(ready.device, run)
            return seconds, max(0, taken - written_out)

        return memory.attempt(ready.device, second)

    def at_end(count: int) -> Measured | None:
        return measure(count, end - count)

    few = at_end(min(FEW, longest))
    least = few[0] if few else 0.0
    ready.chunk, chunk = settled(at_end, least, ready.chunk, longest, free - written_out)
    ready.chunk_bytes = chunk.taken + written_out
    launching = None
    if ready.prompts and least and chunk.seconds and (first := measure(chunk.tokens, 0)):
        at_first = first[0] / chunk.tokens
        per_token = Growing(at_first, 1 / chunk.rate, max(1, end - chunk.tokens))
        launching = Launching(least, per_token)
    ready.cache.cut(0)
    _log.info(
        "prefill in chunks of %d tokens, which take %.1f ms and %s of %s",
        ready.chunk,
        1e3 * chunk.seconds,
        sizes.said(chunk.taken),
        sizes.said(free),
    )
    return launching


def capture_prompts(ready: Runner, launching: Launching | None, free: int) -> None:
    """With what `settle` returned, and its `free` bytes. Captured prompts keep as much as a chunk
    takes, about: they are no longer than one."""
    if ready.prompts and launching and 0 < ready.chunk_bytes <= SHARE_FOR_A_CHUNK * free:
        end = min(ready.cache.capacity, DEFAULT_CONTEXT)
        ready.prompts.capture(launching, ready.chunk, end)
        if ready.graphs:
            ready.graphs.register_anew()


def settled(
    measure: Callable[[int], Measured | None],
    least: float,
    begin: int,
    longest: int,
    free: int,
) -> tuple[int, Chunk]:
    """How many tokens a chunk is to have, and what was measured, of the same number or of as many
    as there can be; prompts have `longest` tokens at most.

    `measure` runs so many tokens, or finds no memory for them; `least` is the seconds in which a
    chunk is launched. Each size is measured, not scaled from another: a chunk takes as long as
    launching its kernels or as computing them, whichever takes longer, and launching takes as long
    for few tokens as for many. `begin` is measured in any case.
    """
    room = min(MOST_BYTES, int(SHARE_FOR_A_CHUNK * free))

    def run(tokens: int) -> Chunk | None:
        found = measure(tokens)
        return found and Chunk(tokens, *found)

    chunk = run(min(begin, longest))
    if chunk is None:
        return CHUNKS[0], Chunk(0, 0.0, 0)
    if fits(chunk, room):
        chunk = larger(run, chunk, least, longest, room)
    else:
        chunk = smaller(run, chunk, room)
    return next(size for size in CHUNKS if size >= chunk.tokens), chunk


def fits(chunk: Chunk, room: int) -> bool:
    return chunk.seconds <= MOST_SECONDS and chunk.taken <= room


def larger(
    run: Callable[[int], Chunk | None], chunk: Chunk, least: float, longest: int, room: int
) -> Chunk:
    """Twice the tokens, and twice those, until there is room to launch them, while that is as fast
    and fits `room` bytes."""
    token = 0.0
    """Seconds of one more. The next takes no less: the more tokens, the more of them computing."""
    while chunk.seconds < ROOM_TO_LAUNCH * least:
        tokens = min(2 * chunk.tokens, longest, CHUNKS[-1])
        if tokens <= chunk.tokens:
            break
        seconds = chunk.seconds + token * (tokens - chunk.tokens)
        if not fits(Chunk(tokens, seconds, chunk.taken * tokens // chunk.tokens), room):
            break
        found = run(tokens)
        if found is None or not fits(found, room) or found.rate < LEAST_FAST * chunk.rate:
            break
        token = (found.seconds - chunk.seconds) / (found.tokens - chunk.tokens)
        chunk = found
    return chunk


def smaller(run: Callable[[int], Chunk | None], chunk: Chunk, room: int) -> Chunk:
    """The next of CHUNKS, and the next, until it fits or takes as long as the one before."""
    while not fits(chunk, room) and chunk.tokens > CHUNKS[0]:
        found = run(max(size for size in CHUNKS if size < chunk.tokens))
        if found is None:
            break
        if chunk.taken <= room and found.seconds > LEAST_SHORTER * chunk.seconds:
            break
        chunk = found
    return chunk
