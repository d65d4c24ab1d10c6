"""A result as Markdown: one table a question, and the claim of old beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from engine.bench.result import OUT_OF_MEMORY, Machine, Measurement, Model, Result, Way, What
from engine.bench.settings import GIB, REPLY_PROMPT, REPLY_TOKENS

FLASH: Final = Way(program="Hearth", attention="flash")
STANDARD: Final = Way(program="transformers", attention="eager")
CLAIMED_SPEED: Final = {
    512: "2.5 times",
    1024: "3.3 times",
    2048: "4.0 times",
    4096: "1,200 ms against out of memory",
}
"""Of flash over standard attention, by prompt tokens."""
CLAIMED_REPLY: Final = "2 times"
NOTHING: Final = "-"
FIGURES: Final = (
    "the median of {rounds} rounds, with the least and the most beside it. Batch 1, greedy, "
    "prompts of random tokens. `eager` is standard attention: the whole matrix of scores, the "
    "prompt in one forward"
)
CLAIM: Final = (
    "The claim is of flash attention against standard attention, with 50 to 75 % less memory. "
    "Flash is Hearth's, standard is transformers' eager."
)


@dataclass(frozen=True)
class Table:
    """A row a context, a column a way."""

    what: What
    title: str
    text: str
    """What the figures are."""
    shown: Callable[[float], str]
    of_row: str = "context"


def whole(value: float) -> str:
    """Three digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def megabytes(size: float) -> str:
    return whole(size / 1e6)


TABLES: Final = (
    Table("prefill", "Prefill, ms", "From the prompt's tokens to the first logits.", whole),
    Table(
        "memory",
        "Peak extra memory, MB",
        "Beyond the weights: activations, and the prompt's keys and values.",
        megabytes,
    ),
    Table("decode", "Decode, tokens/s", "Behind so many tokens, after the first new one.", whole),
    Table("first_token", "Time to first token, ms", "Of a new prompt, nothing reused.", whole),
    Table(
        "reply",
        f"{REPLY_TOKENS} new tokens after {REPLY_PROMPT}, ms",
        "Prefill and decode together.",
        whole,
    ),
    Table(
        "longest",
        "Longest context, tokens",
        "By real prefills within so much memory for torch, weights included.",
        whole,
        of_row="GiB",
    ),
)


def markdown(result: Result) -> str:
    parts = [f"# Benchmark of {result.model.name}", about(result), kernels(result)]
    parts += [table(result, one) for one in TABLES if result.ways(one.what)]
    if result.ways("prefill"):
        parts.append(claim(result))
    parts.append(absent(result))
    return "\n\n".join(filter(None, parts)) + "\n"


def about(result: Result) -> str:
    begun = f"{result.begun}, {result.seconds:,.0f} s"
    facts = {
        "Begun": begun if result.complete else f"{begun}, **not complete**",
        "Device": device(result.machine),
        "Machine": machine(result.machine),
        "Versions": ", ".join(f"{name} {version}" for name, version in result.versions.items()),
        "Model": model(result.model),
        "Figures": FIGURES.format(rounds=result.settings.rounds),
    }
    lines = [f"- {name}: {fact}." for name, fact in facts.items()]
    return "\n".join([*lines, *(f"- {note}." for note in result.notes)])


def device(machine: Machine) -> str:
    memory = f"{machine.gpu_memory_bytes / GIB:.1f} GiB" if machine.gpu_memory_bytes else ""
    driver = f"driver {machine.driver}" if machine.driver else ""
    return ", ".join(filter(None, (machine.device, memory, driver)))


def machine(machine: Machine) -> str:
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.threads} threads, "
        f"{machine.ram_bytes / GIB:.0f} GiB, {machine.system}"
    )


def model(model: Model) -> str:
    weights = "random weights" if model.random_weights else "its own weights"
    return (
        f"{model.architecture}, {weights}, {model.parameters / 1e6:,.0f} M parameters, "
        f"{model.dtype}, {model.weight_bytes / 1e9:.2f} GB, {model.layers} layers, "
        f"{model.heads} heads, {model.kv_heads} KV heads, head size {model.head_size}, "
        f"{model.kv_bytes_per_token:,} bytes of keys and values a token"
    )


def kernels(result: Result) -> str:
    if not result.kernels:
        return ""
    rows = [
        (k.way.label, k.resolved or "does not run", k.prefill or NOTHING, k.decode or NOTHING)
        for k in result.kernels
    ]
    head = ("way", "attention chosen", "observed in prefill", "observed in decode")
    return "## Kernels\n\nAs torch.profiler recorded them.\n\n" + lined(head, rows)


def table(result: Result, wanted: Table) -> str:
    ways = result.ways(wanted.what)
    contexts = dict.fromkeys(m.context for m in result.measurements if m.what == wanted.what)
    rows = []
    for context in sorted(contexts):
        found = (result.find(way, wanted.what, context) for way in ways)
        rows.append((f"{context:,}", *(cell(one, wanted.shown) for one in found)))
    head = (wanted.of_row, *(way.label for way in ways))
    return f"## {wanted.title}\n\n{wanted.text}\n\n{lined(head, rows)}"


def cell(found: Measurement | None, shown: Callable[[float], str]) -> str:
    if found is None:
        return NOTHING
    if found.figure is None:
        return OUT_OF_MEMORY if found.why_not == OUT_OF_MEMORY else NOTHING
    figure = found.figure
    median = shown(figure.median)
    if len(figure.rounds) == 1:
        return median
    return f"{median} ({shown(figure.least)} to {shown(figure.most)})"


def claim(result: Result) -> str:
    """Flash beside standard attention, per context: how much sooner, and how much memory less."""
    contexts = sorted({m.context for m in result.measurements if m.what == "prefill"})
    contexts = [context for context in contexts if context]
    rows = []
    for context in sorted({*contexts, *CLAIMED_SPEED}):
        flash, eager = pair(result, "prefill", context)
        rows.append(
            (
                f"prefill of {context:,}",
                CLAIMED_SPEED.get(context, NOTHING),
                cell(flash, whole),
                cell(eager, whole),
                ratio(flash, eager),
                saving(*pair(result, "memory", context)),
            )
        )
    flash, eager = pair(result, "reply", REPLY_PROMPT)
    rows.append(
        (
            f"{REPLY_TOKENS} tokens after {REPLY_PROMPT}",
            CLAIMED_REPLY,
            cell(flash, whole),
            cell(eager, whole),
            ratio(flash, eager),
            NOTHING,
        )
    )
    head = ("", "claimed", "flash, ms", "eager, ms", "measured", "memory saved")
    return f"## Claim against measured\n\n{CLAIM}\n\n{lined(head, rows)}"


def pair(result: Result, what: What, context: int) -> tuple[Measurement | None, Measurement | None]:
    return result.find(FLASH, what, context), result.find(STANDARD, what, context)


def ratio(flash: Measurement | None, eager: Measurement | None) -> str:
    """How many times sooner flash attention is done; less than 1 where it is later."""
    if flash is None or eager is None or flash.figure is None:
        return NOTHING
    if eager.figure is None:
        return "eager: " + OUT_OF_MEMORY if eager.why_not == OUT_OF_MEMORY else NOTHING
    return f"{eager.figure.median / flash.figure.median:.2f} times"


def saving(flash: Measurement | None, eager: Measurement | None) -> str:
    if flash is None or eager is None or flash.figure is None or eager.figure is None:
        return NOTHING
    return f"{100 * (1 - flash.figure.median / eager.figure.median):.0f} %"


def absent(result: Result) -> str:
    """Why something is not there, each reason once."""
    reasons: dict[str, list[str]] = {}
    for kernel in result.kernels:
        if kernel.why_not:
            reasons.setdefault(f"{kernel.way.label}: {kernel.why_not}", [])
    for one in result.measurements:
        if one.why_not:
            place = f"{one.what.replace('_', ' ')} {one.context:,}"
            reasons.setdefault(f"{one.way.label}: {one.why_not}", []).append(place)
    if not reasons:
        return ""
    lines = [f"- {why}" + (f" ({', '.join(at)})" if at else "") for why, at in reasons.items()]
    return "## What did not run\n\n" + "\n".join(lines)


def lined(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
