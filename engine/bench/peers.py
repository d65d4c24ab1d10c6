"""Who Hearth is measured beside: transformers on the same weights, and llama.cpp's llama-bench."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

import torch
from transformers.generation.streamers import BaseStreamer

from engine.attention import probe
from engine.bench import reference
from engine.bench.program import Timing
from engine.bench.result import Kernels, Measurement, Way, What, measured, missing
from engine.bench.settings import LlamaBench, Settings
from engine.bench.subject import Subject
from engine.errors import REASON, HearthError

WARM_UP_TOKENS: Final = 8
LLAMA: Final = Way(program="llama.cpp", attention="flash")


class Clock(BaseStreamer):  # type: ignore[misc]
    """When generate() handed over the prompt, and then each token, in seconds."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, _: Any) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        pass


def generated(model: Any, ids: torch.Tensor, count: int, streamer: Any = None) -> torch.Tensor:
    """[1, tokens + count]: transformers' greedy reply of so many tokens, whatever they are."""
    out: torch.Tensor = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        min_new_tokens=count,
        max_new_tokens=count,
        pad_token_id=0,
        streamer=streamer,
    )
    return out


class Transformers:
    """One forward for the whole prompt, and generate() for replies; a cache that grows."""

    def __init__(self, subject: Subject, attention: str) -> None:
        self.way = Way(program="transformers", attention=attention)
        self._subject = subject
        self._model: Any = None

    def open(self, _: int) -> None:
        """Raises ImportError or ValueError if transformers has not that attention here."""
        self._model = reference.of_decoder(self._subject.model, self._subject.config)
        self._model.set_attn_implementation(self.way.attention)

    def close(self) -> None:
        self._model = None

    def prefill(self, tokens: Sequence[int]) -> None:
        self._forward(tokens)
        self._wait()

    def reply(self, tokens: Sequence[int], count: int) -> Timing:
        clock = Clock()
        ids = self._subject.ids(tokens)
        begin = time.perf_counter()
        generated(self._model, ids, count, clock)
        _, first, *rest = clock.times
        last = rest[-1] if rest else first
        return Timing(first - begin, last - first, 1 + len(rest))

    def warm_up(self, tokens: Sequence[int], count: int) -> None:
        self.reply(tokens, min(count, WARM_UP_TOKENS))

    def held_bytes(self, _: int) -> int:
        return 0

    def observe(self, tokens: Sequence[int]) -> Kernels:
        self.prefill(tokens)
        prefill = probe.observe(lambda: self.prefill(tokens))
        held = self._forward(tokens).past_key_values
        decode = probe.observe(lambda: self._forward(tokens[-1:], held))
        return Kernels(
            way=self.way,
            resolved=f"transformers' {self.way.attention}",
            prefill=prefill.label,
            decode=decode.label,
        )

    @torch.inference_mode()
    def _forward(self, tokens: Sequence[int], held: Any = None) -> Any:
        ids = self._subject.ids(tokens)
        return self._model(ids, past_key_values=held, use_cache=True, logits_to_keep=1)

    def _wait(self) -> None:
        if self._subject.device.type != "cpu":
            torch.accelerator.synchronize(self._subject.device)


# ---------------------------------------------------------------------------- llama.cpp

LlamaRun: TypeAlias = tuple[What, list[str]]
"""What it measures, and the command."""


def llama_runs(bench: LlamaBench, settings: Settings) -> list[LlamaRun]:
    """Prefill of every context in one run, decode behind every context in another."""
    contexts = ",".join(map(str, settings.contexts))
    new = str(settings.new_tokens)
    common = [bench.binary, "-m", bench.gguf, "-o", "json", "-r", str(settings.rounds)]
    common += ["-ngl", "99", "-fa", "1"]
    return [
        ("prefill", [*common, "-p", contexts, "-n", new, "-d", "0"]),
        ("decode", [*common, "-p", "0", "-n", new, "-d", contexts]),
    ]


def llama_measurements(command: list[str]) -> Iterator[Measurement | str]:
    """What one run found, and its build as text. Raises HearthError, and says why."""
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise HearthError(f"llama-bench cannot be run: {error.strerror}.") from error
    if made.returncode:
        said = made.stderr.strip().splitlines() or ["it said nothing"]
        raise HearthError(f"llama-bench ended with {made.returncode}: {said[-1][:REASON]}.")
    try:
        rows = json.loads(made.stdout)
        yield "{build_commit} ({build_number}), {model_type}, {model_n_params:,} parameters".format(
            **rows[0]
        )
        for row in rows:
            yield from _of_row(row)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise HearthError(f"llama-bench printed what cannot be read: {error!r}.") from error


def _of_row(row: dict[str, Any]) -> Iterator[Measurement]:
    """A prompt's time in ms, or the rate of new tokens behind `n_depth` others."""
    if row["n_prompt"] and not row["n_gen"]:
        times = [nanoseconds / 1e6 for nanoseconds in row["samples_ns"]]
        yield measured(LLAMA, "prefill", row["n_prompt"], times)
    elif row["n_gen"] and not row["n_prompt"]:
        yield measured(LLAMA, "decode", row["n_depth"], row["samples_ts"])


def llama_missing(what: What, settings: Settings, why_not: str) -> list[Measurement]:
    return [missing(LLAMA, what, context, why_not) for context in settings.contexts]
