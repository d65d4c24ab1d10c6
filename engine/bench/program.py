"""What can be measured: a program that prefills and replies. Hearth is one, by its own runner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.attention import probe
from engine.attention.choice import Choice, Requested
from engine.bench.result import Kernels, Way
from engine.bench.subject import Subject
from engine.errors import HearthError
from engine.execution.runner import Runner
from engine.execution.sampling import SamplingOptions
from engine.reply import generation
from engine.reply.generation import End, GenerationOptions


@dataclass(frozen=True)
class Timing:
    """Seconds."""

    first_token: float
    decode: float
    """From the first token to the last."""
    new_tokens: int


class Program(Protocol):
    """Opened before use and closed after it. Methods end when the device has."""

    way: Way

    def open(self, capacity: int) -> None:
        """For sequences of up to `capacity` tokens. Raises where it cannot run here."""

    def close(self) -> None: ...

    def prefill(self, tokens: Sequence[int]) -> None: ...

    def reply(self, tokens: Sequence[int], count: int) -> Timing:
        """`count` new tokens, greedy, whatever they are."""

    def warm_up(self, tokens: Sequence[int], count: int) -> None:
        """What the first reply of that size would wait for alone."""

    def held_bytes(self, context: int) -> int:
        """Bytes that were allocated beforehand: the prompt's keys and values, captured forwards."""

    def observe(self, tokens: Sequence[int]) -> Kernels:
        """What the profiler sees in a prefill of the tokens and in the steps behind it."""


class Hearth:
    def __init__(self, subject: Subject, attention: str, requested: Requested) -> None:
        self.way = Way(program="Hearth", attention=attention)
        self._subject = subject
        self._requested = requested
        self._choices: tuple[Choice, Choice] | None = None
        """For a prompt and for one token."""
        self._runner: Runner | None = None

    def open(self, capacity: int) -> None:
        """Kernels are chosen, and checked, once. Raises AttentionError where there is none."""
        self._choices = self._choices or self._subject.chosen(self._requested)
        self._runner = self._subject.runner(*self._choices, capacity)

    def close(self) -> None:
        self._runner = None

    def prefill(self, tokens: Sequence[int]) -> None:
        runner = self._opened()
        runner.cache.cut(0)
        runner.reuse(tokens)
        for _ in runner.prefill(tokens):
            pass

    def reply(self, tokens: Sequence[int], count: int) -> Timing:
        self._opened().cache.cut(0)
        return self._generate(tokens, count)

    def warm_up(self, tokens: Sequence[int], count: int) -> None:
        """All of it: a graph is captured at each length that a reply comes to."""
        self.reply(tokens, count)

    def held_bytes(self, context: int) -> int:
        prompts = self._opened().prompts
        graphs = prompts.held_bytes if prompts else 0
        return context * self._subject.shape.cache.bytes_per_token(self._subject.dtype) + graphs

    def observe(self, tokens: Sequence[int]) -> Kernels:
        if self._choices is None:
            raise HearthError("Nothing was chosen yet.")
        chosen, _ = self._choices
        self.prefill(tokens)
        prefill = probe.observe(lambda: self.prefill(tokens))
        steps = self._opened().decode(SamplingOptions(temperature=0.0), (), lambda: False)
        decode = probe.observe_step(steps)
        return Kernels(
            way=self.way,
            resolved=chosen.label,
            reason=chosen.reason,
            prefill=prefill.label,
            decode=decode.label,
        )

    def _generate(self, tokens: Sequence[int], count: int) -> Timing:
        parts: Iterator[object] = generation.generate(
            self._opened(),
            tokens,
            GenerationOptions(SamplingOptions(temperature=0.0), max_new_tokens=count),
            decode=lambda _: "",
            stopped=lambda: False,
        )
        end = [part for part in parts if isinstance(part, End)][-1]
        return Timing(end.first_token_s, end.decode_s, end.new_tokens)

    def _opened(self) -> Runner:
        if self._runner is None:
            raise HearthError("It was not opened.")
        return self._runner
