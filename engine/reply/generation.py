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
from engine.reply.thinking import Markers, Piece, Sections


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
    check_fits(prompt, runner.cache.capacity)
    begin = time.perf_counter()
    reused = runner.reuse(prompt)
    yield Progress(reused, len(prompt), reused)
    for done in runner.prefill(prompt[reused:]):
        yield Progress(reused + done, len(prompt), reused)
        if stopped():
            yield End("stopped", len(prompt), reused, 0, 0, 0.0, time.perf_counter() - begin, 0.0)
            return
    prefilled = time.perf_counter()
    reply = Reply(runner, prompt, options, decode, stopped, is_text)
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
        self.reason = ""
        self.new_tokens = 0
        self.thinking_tokens = 0
        self.first_token_at = self.last_token_at = 0.0

    def __iter__(self) -> Iterator[Piece]:
        tokens = self._runner.decode(self._options.sampling, self._prompt, self._stopped)
        for token in tokens:
            self._count()
            if token in self._options.end_tokens:
                self.reason = "stop"
                break
            before = self._sections.closed
            text = self._ends.push(self._detokenizer.push(token))
            yield from self._cut(self._sections.push(text))
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
                yield from self._cut(self._sections.push(text))
            yield from self._cut(self._sections.flush())
            if rest := self._stops.flush():
                yield rest

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
