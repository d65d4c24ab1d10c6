"""One reply as a plain generator: prompt tokens in, progress and text out. Knows no threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from engine.errors import PromptError, SettingError
from engine.execution.runner import Runner
from engine.execution.sampling import SamplingOptions
from engine.reply.detokenizer import Decode, Detokenizer, StopStrings, always
from engine.reply.thinking import Markers, Piece, Rethought, Sections, Thought


@dataclass(frozen=True)
class Begun:
    """A reply that ended in the middle."""

    tokens: tuple[int, ...]
    thinking: str
    answer: str
    """What of it was told."""


@dataclass(frozen=True)
class GenerationOptions:
    sampling: SamplingOptions
    stop: tuple[str, ...] = ()
    """Strings that end the answer. In thinking they are text."""
    end_texts: tuple[str, ...] = ()
    """Strings that end the reply, in thinking too."""
    max_new_tokens: int | None = None
    """None goes on to the end of the context."""
    end_tokens: frozenset[int] = frozenset()
    opened_thinking: Markers | None = None
    """The markers of thinking that the prompt itself opens."""
    lone_markers: tuple[Markers, ...] = ()
    """Those whose closing marker this model may write without the opening one."""
    begun: Begun | None = None
    """The reply that goes on; None begins one."""

    def __post_init__(self) -> None:
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise SettingError(
                "The reply was limited to less than one token.", "Allow at least 1 new token."
            )


@dataclass(frozen=True)
class Progress:
    done: int
    """Prompt tokens in the cache, reused ones included."""
    total: int
    reused: int


@dataclass(frozen=True)
class End:
    reason: str
    prompt_tokens: int
    reused_tokens: int
    new_tokens: int
    thinking_tokens: int
    """Of the new ones, those up to the end of the thinking."""
    first_token_s: float
    prefill_s: float
    decode_s: float
    """From the first token to the last."""
    tokens: tuple[int, ...] = ()
    """Of the reply, those that it went on from included, without one that ends a turn."""


STOPPED: Final = End("stopped", 0, 0, 0, 0, 0.0, 0.0, 0.0)
"""Of a reply that was stopped before its prompt was known."""


def generate(
    runner: Runner,
    prompt: Sequence[int],
    options: GenerationOptions,
    decode: Decode,
    stopped: Callable[[], bool],
    is_text: Callable[[int], bool] = always,
) -> Iterator[Progress | Piece | End]:
    """Yields Progress while prefilling, then pieces of thinking and answer, then one End.

    `is_text` is False for tokens that a reply may have and that are no part of its text.

    Raises PromptError for an empty prompt or one that leaves no room for a reply. The cache stays
    valid whenever the generator is left: it holds exactly the tokens that were run.
    """
    answered, begun = prompt, options.begun.tokens if options.begun else ()
    prompt = [*answered, *begun]
    check_fits(prompt, runner.cache.capacity)
    begin = time.perf_counter()
    reused = runner.reuse(prompt)
    yield Progress(reused, len(prompt), reused)
    for done in runner.prefill(prompt[reused:]):
        yield Progress(reused + done, len(prompt), reused)
        if stopped():
            took = time.perf_counter() - begin
            yield End("stopped", len(prompt), reused, 0, 0, 0.0, took, 0.0, begun)
            return
    prefilled = time.perf_counter()
    reply = Reply(runner, answered, options, decode, stopped, is_text)
    yield from reply
    yield End(
        reply.reason,
        len(prompt),
        reused,
        reply.new_tokens,
        reply.thinking_tokens,
        reply.first_token_at - begin,
        prefilled - begin,
        max(0.0, reply.last_token_at - reply.first_token_at),
        tuple(reply.tokens),
    )


def check_fits(prompt: Sequence[int], capacity: int) -> None:
    if not prompt:
        raise PromptError("The prompt is empty.", "Write something first.")
    if len(prompt) >= capacity:
        raise PromptError(
            f"The conversation has {len(prompt):,} tokens and the context holds {capacity:,}.",
            "Start a new chat, shorten the prompt, or load the model with a longer context.",
        )


class Reply:
    """The decode loop; iterate for the pieces of text, then read why it ended."""

    def __init__(
        self,
        runner: Runner,
        prompt: Sequence[int],
        options: GenerationOptions,
        decode: Decode,
        stopped: Callable[[], bool],
        is_text: Callable[[int], bool],
    ) -> None:
        self._runner = runner
        self._options = options
        self._stopped = stopped
        self._prompt = prompt
        self._detokenizer = Detokenizer(decode, is_text)
        self._ends = StopStrings(options.end_texts)
        self._sections = Sections(options.opened_thinking, options.lone_markers)
        self._stops = StopStrings(options.stop)
        self.tokens: list[int] = []
        """Of the reply, those that it went on from included."""
        self._told = {Thought: 0, str: 0}
        """Characters of thinking and of the answer that came out."""
        self._before = {Thought: 0, str: 0}
        """The same of those that were told before the reply went on."""
        self.reason = ""
        self.new_tokens = 0
        self.thinking_tokens = 0
        self.first_token_at = self.last_token_at = 0.0

    def __iter__(self) -> Iterator[Piece]:
        begun = self._options.begun
        if begun:
            self._go_through(begun)
        tokens = self._runner.decode(
            self._options.sampling, self._prompt, self._stopped, begun.tokens if begun else ()
        )
        for token in tokens:
            self._count()
            if token in self._options.end_tokens:
                self.reason = "stop"
                break
            self.tokens.append(token)
            before = self._sections.closed
            text = self._ends.push(self._detokenizer.push(token))
            yield from self._fresh(self._cut(self._sections.push(text)))
            if self._sections.open or self._sections.closed != before:
                self.thinking_tokens = self.new_tokens
            self.reason = self._ended()
            if self.reason:
                break
        else:
            self.reason = "context" if not self._runner.cache.free else "stopped"
        tokens.close()
        if not self._stops.found:
            if not self._ends.found:
                text = self._ends.push(self._detokenizer.flush()) + self._ends.flush()
                yield from self._fresh(self._cut(self._sections.push(text)))
            yield from self._fresh(self._cut(self._sections.flush()))
            if rest := self._stops.flush():
                yield from self._fresh([rest])

    def _go_through(self, begun: Begun) -> None:
        """Comes to where the reply would be if it had not ended: what was held back is held back
        again, and what was told of it at its end is not told again."""
        for token in begun.tokens:
            self.tokens.append(token)
            text = self._ends.push(self._detokenizer.push(token))
            for _ in self._fresh(self._cut(self._sections.push(text))):
                pass
        self._before = {Thought: len(begun.thinking), str: len(begun.answer)}
        self._sections.was_told |= bool(begun.answer)

    def _fresh(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """What was not told before the reply went on."""
        for piece in pieces:
            if isinstance(piece, Rethought):
                for lengths in (self._told, self._before):
                    lengths[Thought] += lengths[str]
                    lengths[str] = 0
                yield piece
                continue
            kind, text = (str, piece) if isinstance(piece, str) else (Thought, piece.text)
            known = max(0, self._before[kind] - self._told[kind])
            self._told[kind] += len(text)
            if text := text[known:]:
                yield text if kind is str else Thought(text)

    def _cut(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """The answer up to a stop string."""
        for piece in pieces:
            if isinstance(piece, str):
                if text := self._stops.push(piece):
                    yield text
                continue
            if rest := self._stops.flush():
                yield rest
            yield piece

    def _count(self) -> None:
        self.last_token_at = time.perf_counter()
        self.first_token_at = self.first_token_at or self.last_token_at
        self.new_tokens += 1

    def _ended(self) -> str:
        if self._stops.found or self._ends.found:
            return "stop"
        if self._stopped():
            return "stopped"
        if self.new_tokens == self._options.max_new_tokens:
            return "length"
        return ""
