"""`python -P -m engine VERB`: the engine process itself, and what can be done without a window."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import msgspec

import engine
from engine import folders
from engine.bench.settings import ATTENTIONS, NEW_TOKENS, ROUNDS
from engine.bench.shapes import SHAPES
from engine.command_line import prompt_text
from engine.errors import HearthError
from engine.protocol import (
    SAMPLING_SETTINGS,
    Dtype,
    Flash,
    Generate,
    Load,
    Message,
    ModelInfo,
    Sampling,
    Setting,
)
from ground import environment, private, streams, terminal

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

INT64: Final = 2**63
"""Above it no seed is taken, and no count makes sense."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 for what went wrong, 2 for usage, 130 for Ctrl-C."""
    streams.prepare()
    environment.leave_lost_folder()
    with terminal.guarded_stderr():
        try:
            return _run(parser().parse_args(arguments))
        except HearthError as error:
            return _failed(f"{error.title}: {error.detail} {error.hint}")
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:
            streams.drop(sys.stdout)
            return FAILED
        except OSError as error:
            streams.drop(sys.stdout)
            return _failed(f"hearth: {error.strerror}")


def _run(options: argparse.Namespace) -> int:
    run: Callable[[argparse.Namespace], int] = options.run
    if run is not _bench and not streams.can_write(1):  # its results are files
        return _failed("hearth: stdout is closed, so there is nowhere to answer. Use `> FILE`.")
    folders.close_to_others()
    code = run(options)
    sys.stdout.flush()
    return code


def _failed(sentence: str) -> int:
    print(terminal.line(sentence), file=sys.stderr)
    return FAILED


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="hearth", description="Chat with language models that run on this computer."
    )
    top.add_argument("--version", action="version", version=f"Hearth {engine.__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)
    _add_ask(verbs.add_parser("ask", help="answer one prompt", description=_ASK))
    models = verbs.add_parser("models", help="list the models on this computer")
    models.add_argument("--json", action="store_true", help="one JSON list instead of a table")
    models.set_defaults(run=_models)
    doctor = verbs.add_parser(
        "doctor", help="check this computer, and say what to do about each problem"
    )
    doctor.set_defaults(run=_doctor)
    _add_bench(verbs.add_parser("bench", help="measure how fast a model runs", description=_BENCH))
    serve = verbs.add_parser(
        "serve",
        help="the engine process of the window",
        description="Reads commands from stdin and writes events to stdout, one JSON object a "
        "line; ends with stdin.",
    )
    serve.set_defaults(run=_serve)
    return top


def _add_ask(ask: argparse.ArgumentParser) -> None:
    ask.add_argument("prompt", metavar="PROMPT", help='the prompt, or "-" to read it from stdin')
    ask.add_argument("--json", action="store_true", help="print the engine's events as JSON lines")
    model = ask.add_argument_group("model")
    model.add_argument("--model", default="", help="an id from `models`, a folder or a GGUF file")
    model.add_argument("--flash", choices=get_args(Flash), default="auto", help="flash attention")
    model.add_argument(
        "--dtype",
        choices=get_args(Dtype),
        default="auto",
        help="of weights; q8 quantises them as they are loaded",
    )
    model.add_argument(
        "--context-length",
        type=_positive,
        metavar="N",
        help="tokens (default: the model's, 8,192 or what fits, whichever is least)",
    )
    sampling = ask.add_argument_group("sampling (default: what the model's maker recommends)")
    sampling.add_argument(
        "--max-new-tokens", type=_positive, metavar="N", help="end after N tokens"
    )
    for name, setting in SAMPLING_SETTINGS.items():
        sampling.add_argument(
            f"--{name.replace('_', '-')}",
            type=_count if name == "top_k" else _setting(setting),
            metavar=name[0].upper(),
            help=setting.meaning,
        )
    sampling.add_argument("--seed", type=_count, metavar="S", help="for the same answer again")
    ask.set_defaults(run=_ask)


def _ask(options: argparse.Namespace) -> int:
    from engine.command_line import ask

    prompt = _prompt(options.prompt)
    if not prompt.strip():
        print("hearth ask: the prompt is empty: write something", file=sys.stderr)
        return USAGE
    load = Load(
        model=options.model,
        flash=options.flash,
        dtype=options.dtype,
        context_length=options.context_length,
    )
    sampling = Sampling(
        **{name: getattr(options, name) for name in SAMPLING_SETTINGS},
        seed=options.seed,
        max_new_tokens=options.max_new_tokens,
    )
    generate = Generate(
        request="ask", messages=(Message(role="user", content=prompt),), sampling=sampling
    )
    show = ask.show_events if options.json else ask.Answer(sys.stdout, sys.stderr)
    return ask.ask(load, generate, show)


def _serve(_: argparse.Namespace) -> int:
    from engine.local.backend import LocalBackend
    from engine.process import pipes

    private.restrict_process()
    pipes.serve(LocalBackend())


def _doctor(_: argparse.Namespace) -> int:
    from engine.command_line import doctor

    return doctor.run()


def _add_bench(bench: argparse.ArgumentParser) -> None:
    bench.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for what is found"
    )
    bench.add_argument("--overwrite", action="store_true", help="also where a result is already")
    subject = bench.add_argument_group("what is measured (default: the embedded model)")
    one = subject.add_mutually_exclusive_group()
    one.add_argument("--model", default="", help="an id from `models`, a folder or a GGUF file")
    one.add_argument(
        "--shape", choices=SHAPES, default="", help="a published shape with random weights"
    )
    how = bench.add_argument_group("how")
    how.add_argument(
        "--contexts",
        type=_list_of(_positive),
        default=(),
        metavar="N[,N...]",
        help="prompt tokens (default: 512,1024,2048,4096,8192; on the CPU 128,256,512)",
    )
    how.add_argument(
        "--attention",
        type=_list_of(_one_of(ATTENTIONS)),
        default=ATTENTIONS,
        metavar="KIND[,KIND...]",
        help="flash and sdpa are Hearth's, eager is standard attention (default: all three)",
    )
    how.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="PEER",
        help="`generate` for transformers' generate() on the same weights, "
        "`llama-bench=PATH[:MODEL.gguf]` for llama.cpp; may be given twice",
    )
    how.add_argument(
        "--memory-limit",
        type=_limits,
        metavar="GIB[,GIB...]",
        help="find the longest context within so much GPU memory, or `none` "
        "(default on a CUDA GPU: 8,12,16,24)",
    )
    how.add_argument(
        "--rounds", type=_positive, default=ROUNDS, metavar="N", help=f"(default: {ROUNDS})"
    )
    how.add_argument(
        "--new-tokens",
        type=_at_least_2,
        default=NEW_TOKENS,
        metavar="N",
        help=f"decoded behind each context (default: {NEW_TOKENS})",
    )
    bench.set_defaults(run=_bench)


def _bench(options: argparse.Namespace) -> int:
    from engine.bench import run

    wish = run.Wish(
        out=options.out,
        model=options.model,
        shape=options.shape,
        contexts=tuple(sorted(options.contexts)),
        attention=options.attention,
        peers=tuple(options.peer),
        memory_limits=options.memory_limit,
        rounds=options.rounds,
        new_tokens=options.new_tokens,
        overwrite=options.overwrite,
    )
    return run.run(wish, lambda line: print(line, file=sys.stderr, flush=True))


def _models(options: argparse.Namespace) -> int:
    from engine.catalog import listing

    models = listing.scan()
    if options.json:
        text = msgspec.json.encode(models).decode()
        print(terminal.json(text) if sys.stdout.isatty() else text)
    else:
        print(table(models))
    return OK


def table(models: Sequence[ModelInfo]) -> str:
    """One line a model, and below each unusable one why."""
    if not models:
        return "No models were found. `python3 start.py doctor` says what to do."
    header = ("ID", "ARCHITECTURE", "PARAMETERS", "WEIGHTS", "SIZE", "CONTEXT")
    rows = [header, *(tuple(map(terminal.line, _row(model))) for model in models)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    problems = [terminal.line(f"{model.id}: {model.problem}") for model in models if model.problem]
    return "\n".join([*lines, *([""] if problems else []), *problems])


def _row(model: ModelInfo) -> tuple[str, ...]:
    return (
        model.id,
        model.architecture or "-",
        f"{model.parameters / 1e6:,.0f} M" if model.parameters else "-",
        model.weights or "-",
        f"{model.size_bytes / 1e6:,.0f} MB",
        f"{model.context_length:,}" if model.context_length else "-",
    )


def _prompt(argument: str) -> str:
    """Raises PromptError for bytes that are no text."""
    raw = sys.stdin.buffer.read() if argument == "-" else os.fsencode(argument)
    return prompt_text.decoded(raw)


N = TypeVar("N", int, float)


def _number(read: Callable[[str], N], allowed: Callable[[N], bool], said: str) -> Callable[..., N]:
    """A type for argparse, whose own message would name a Python function."""

    def parse(text: str) -> N:
        with contextlib.suppress(ValueError):
            if allowed(value := read(text)):
                return value
        raise argparse.ArgumentTypeError(f"{text!r} is not {said}")

    return parse


_count = _number(int, lambda n: 0 <= n < INT64, "a whole number from 0 up")
_positive = _number(int, lambda n: 1 <= n < INT64, "a whole number from 1 up")
_at_least_2 = _number(int, lambda n: 2 <= n < INT64, "a whole number from 2 up")


def _setting(setting: Setting) -> Callable[[str], float]:
    """A type for argparse, of numbers that the sampling setting allows."""
    low = f"{'above' if setting.open_low else 'from'} {setting.low:g}"
    if math.isinf(setting.high):
        high = "" if setting.open_low else " up"
    else:
        up_to = "to below" if setting.open_high else "and up to" if setting.open_low else "to"
        high = f" {up_to} {setting.high:g}"
    return _number(float, setting.allows, f"a number {low}{high}")


def _one_of(names: Sequence[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text in names:
            return text
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(names)}")

    return parse


def _list_of(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Values between commas, each once."""
    return lambda text: tuple(dict.fromkeys(parse(part.strip()) for part in text.split(",")))


def _limits(text: str) -> tuple[int, ...]:
    return () if text == "none" else tuple(sorted(_list_of(_positive)(text)))


_ASK: Final = """Streams the answer of a model to stdout, by way of the same engine process that
the window uses. Ctrl-C ends the answer. A model's thinking is shown too, dimmed, where stderr is a
terminal."""
_BENCH: Final = """Measures prefill, memory, decoding and the time to the first token at each
context, and the longest context that fits, with flash attention and without, and beside other
programs. Writes bench.json, bench.md and bench.svg into DIR after each measurement; Ctrl-C keeps
what is there. Nothing else should compute meanwhile."""
