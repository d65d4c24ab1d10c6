"""Measures one model: a plain generator of progress and figures. Knows no files and no terminal.

What cannot run says why, and running out of memory is an answer like any other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import torch

from engine.attention import probe
from engine.bench.peak import UNTOLD, peak
from engine.bench.peers import Transformers
from engine.bench.program import Hearth, Program, Timing
from engine.bench.result import (
    OUT_OF_MEMORY,
    Kernels,
    Measurement,
    What,
    measured,
    missing,
)
from engine.bench.settings import (
    GIB,
    PEER_ATTENTIONS,
    REPLY_PROMPT,
    REPLY_TOKENS,
    Attention,
    Settings,
)
from engine.bench.subject import Subject
from engine.device.memory import give_back, is_used_up
from engine.errors import HearthError, reason

FAULTS: Final = (RuntimeError, ValueError, ImportError, NotImplementedError, HearthError)
"""What a way that does not run here raises, out of memory on the CPU included."""
PROGRAMS: Final[dict[Attention, Callable[[Subject], Program]]] = {
    "flash": lambda subject: Hearth(subject, "flash", "on"),
    "sdpa": lambda subject: Hearth(subject, "sdpa", "off"),
    "eager": lambda subject: Transformers(subject, "eager"),
}
LIMITED: Final = (("Hearth", "flash"), ("transformers", "eager"))
"""Whose longest context is looked for: flash and standard attention."""
STEP: Final = 256
"""Tokens to which the longest context is found."""
FINEST: Final = 32
"""Or this share of it, whichever is coarser."""


@dataclass(frozen=True)
class Started:
    """Measurement `number` of `total` begins."""

    what: str
    number: int
    total: int


Finding: TypeAlias = Started | Kernels | Measurement


@dataclass(frozen=True)
class Step:
    label: str
    whats: tuple[What, ...]
    context: int
    run: Callable[[], list[Measurement]]


def measure(subject: Subject, settings: Settings) -> Iterator[Finding]:
    """Of each way of running the model in turn; may be left at any time."""
    plans = [
        (program, steps(program, subject, settings)) for program in programs(subject, settings)
    ]
    total = sum(1 + len(planned) for _, planned in plans)
    number = 0
    for program, planned in plans:
        yield Started(f"{program.way.label}: kernels", number + 1, total)
        try:
            kernels = observed(program, subject, settings)
            yield kernels
            for count, step in enumerate([] if kernels.why_not else planned, number + 2):
                yield Started(f"{program.way.label}: {step.label}", count, total)
                yield from attempted(program, step, subject.device)
        finally:
            program.close()
            give_back(subject.device)
        number += 1 + len(planned)


def total_of(subject: Subject, settings: Settings) -> int:
    return sum(1 + len(steps(p, subject, settings)) for p in programs(subject, settings))


def programs(subject: Subject, settings: Settings) -> list[Program]:
    """Each way once, though transformers' eager may be asked for twice; Hearth's last, as they
    change the model's modules for their own use."""
    found = [PROGRAMS[attention](subject) for attention in settings.attention]
    if settings.generate:
        found += [Transformers(subject, attention) for attention in PEER_ATTENTIONS]
    once = {program.way: program for program in found}.values()
    return sorted(once, key=lambda program: isinstance(program, Hearth))


def steps(program: Program, subject: Subject, settings: Settings) -> list[Step]:
    found = []
    for context in settings.contexts:
        found += [
            Step(
                f"prefill of {context:,} tokens",
                ("prefill", "memory"),
                context,
                partial(prefill, program, subject, settings, context),
            ),
            Step(
                f"{settings.new_tokens} tokens behind {context:,}",
                ("first_token", "decode"),
                context,
                partial(decode, program, subject, settings, context),
            ),
        ]
    found.append(
        Step(
            f"{REPLY_TOKENS} tokens behind {REPLY_PROMPT}, the whole reply",
            ("reply",),
            REPLY_PROMPT,
            partial(reply, program, subject, settings),
        )
    )
    if (program.way.program, program.way.attention) in LIMITED:
        found += [
            Step(
                f"longest context in {limit} GiB",
                ("longest",),
                limit,
                partial(longest_within, program, subject, limit),
            )
            for limit in settings.memory_limits
        ]
    return found


def observed(program: Program, subject: Subject, settings: Settings) -> Kernels:
    """Opens the program for every context, or says why it cannot run here."""
    longest = max(*settings.contexts, REPLY_PROMPT) + max(settings.new_tokens, REPLY_TOKENS)
    try:
        program.open(min(longest, subject.context_length))
        behind = max(settings.new_tokens, probe.UNOBSERVED_STEPS + 1)
        context = min(settings.contexts[0], subject.context_length - behind)
        return program.observe(subject.draw(max(1, context), seed=0))
    except FAULTS as fault:
        return Kernels(way=program.way, why_not=why(fault))


def attempted(program: Program, step: Step, device: torch.device) -> list[Measurement]:
    try:
        return step.run()
    except FAULTS as fault:
        why_not = why(fault)
    # Only here does nothing refer any more to what the failed step had allocated.
    give_back(device)
    return [missing(program.way, what, step.context, why_not) for what in step.whats]


def why(fault: Exception) -> str:
    if isinstance(fault, torch.OutOfMemoryError):
        return OUT_OF_MEMORY
    return fault.detail if isinstance(fault, HearthError) else reason(fault)


def check_fits(subject: Subject, tokens: int) -> None:
    """Raises HearthError for more tokens than the model was made for."""
    if tokens > subject.context_length:
        raise HearthError(f"The model's context ends at {subject.context_length:,} tokens.")


# ---------------------------------------------------------------------------- what is measured


def prefill(
    program: Program, subject: Subject, settings: Settings, context: int
) -> list[Measurement]:
    """Time in ms, and the peak in bytes beyond the weights: activations, keys and values."""
    check_fits(subject, context)
    program.prefill(subject.draw(context, seed=0))
    times, peaks = [], []
    for number in range(settings.rounds):
        tokens = subject.draw(context, seed=1 + number)
        extra = peak(subject.device)
        begin = time.perf_counter()
        program.prefill(tokens)
        times.append(1e3 * (time.perf_counter() - begin))
        if extra is not None:
            peaks.append(float(extra() + program.held_bytes(context)))
    way = program.way
    return [
        measured(way, "prefill", context, times),
        measured(way, "memory", context, peaks)
        if peaks
        else missing(way, "memory", context, UNTOLD),
    ]


def decode(
    program: Program, subject: Subject, settings: Settings, context: int
) -> list[Measurement]:
    """Time to the first token in ms, and tokens/s from there on."""
    timings = replies(program, subject, context, settings.new_tokens, settings.rounds)
    rates = [(timing.new_tokens - 1) / timing.decode for timing in timings]
    return [
        measured(program.way, "first_token", context, [1e3 * t.first_token for t in timings]),
        measured(program.way, "decode", context, rates),
    ]


def reply(program: Program, subject: Subject, settings: Settings) -> list[Measurement]:
    """From the prompt to the last token, in ms."""
    timings = replies(program, subject, REPLY_PROMPT, REPLY_TOKENS, settings.rounds)
    times = [1e3 * (timing.first_token + timing.decode) for timing in timings]
    return [measured(program.way, "reply", REPLY_PROMPT, times)]


def replies(
    program: Program, subject: Subject, context: int, count: int, rounds: int
) -> list[Timing]:
    check_fits(subject, context + count)
    program.warm_up(subject.draw(context, seed=0), count)
    found = [
        program.reply(subject.draw(context, seed=1 + number), count) for number in range(rounds)
    ]
    if any(timing.new_tokens != count for timing in found):
        raise HearthError(f"A reply did not have {count} tokens.")
    return found


# ---------------------------------------------------------------------------- the longest context


def longest_within(program: Program, subject: Subject, limit: int) -> list[Measurement]:
    """The longest prompt whose prefill fits, weights included, into `limit` GiB of torch's memory.

    What CUDA itself takes is not counted.
    """
    total = torch.cuda.mem_get_info(subject.device)[1]
    if limit * GIB > total:
        raise HearthError(f"This GPU has {total / GIB:.1f} GiB.")
    program.close()
    give_back(subject.device)
    with limited(limit * GIB / total):
        found = longest(partial(fits, program, subject), subject.context_length)
    if not found:
        weights = subject.described().weight_bytes / GIB
        raise HearthError(f"Not even {STEP} tokens fit: the weights take {weights:.1f} GiB.")
    return [measured(program.way, "longest", limit, [float(found)])]


@contextmanager
def limited(share: float) -> Iterator[None]:
    """Of the GPU's memory, for torch."""
    torch.cuda.set_per_process_memory_fraction(share)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def fits(program: Program, subject: Subject, context: int) -> bool:
    """By a real prefill."""
    done = _prefilled(program, subject, context)
    program.close()
    give_back(subject.device)
    return done


def _prefilled(program: Program, subject: Subject, context: int) -> bool:
    try:
        program.open(context)
        program.prefill(subject.draw(context, seed=0))
    except Exception as fault:
        if not is_used_up(fault):
            raise
        return False
    return True


def longest(fits: Callable[[int], bool], highest: int) -> int:
    """Doubles from STEP until something does not fit, then halves the gap; 0 where nothing does."""
    good, bad = 0, min(STEP, highest)
    while fits(bad):
        good, bad = bad, min(2 * bad, highest)
        if good == highest:
            return good
    while bad - good > max(STEP, good // FINEST):
        middle = max(good + STEP, (good + bad) // 2 // STEP * STEP)
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good
