"""One model, loaded: what the engine thread drives. Knows commands and events, no threads."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec
import torch
import transformers

from engine.attention import choice
from engine.catalog import listing
from engine.device import facts, memory
from engine.errors import HearthError, PromptError, reason
from engine.execution.sampling import SamplingOptions
from engine.kernels import cpu
from engine.loading.checkpoint import Checkpoint, end_texts
from engine.loading.sandbox.child import StoppedError
from engine.loading.sandbox.prompts import TIME_LIMIT
from engine.local import held_weights, open_model
from engine.local.open_model import Open, no_room, notes
from engine.protocol import (
    SAMPLING_SETTINGS,
    Attention,
    Count,
    Counted,
    Device,
    Finished,
    Generate,
    LeftOut,
    Load,
    Loaded,
    Message,
    Prefill,
    Rethought,
    Sampling,
    Text,
    Thinking,
    Weights,
)
from engine.reply import context, generation, thinking

_log = logging.getLogger(__name__)

Reply = Prefill | LeftOut | Thinking | Rethought | Text | Finished


REMEMBERED: Final = 8
"""Replies whose tokens are kept."""


@dataclasses.dataclass
class Written:
    """A reply: what it answers, its tokens, and what was told of it."""

    prompt: tuple[int, ...]
    begun: dataclasses.InitVar[generation.Begun | None]
    thinking: str = ""
    answer: str = ""
    tokens: tuple[int, ...] = ()

    def __post_init__(self, begun: generation.Begun | None) -> None:
        if begun:
            self.thinking, self.answer, self.tokens = begun.thinking, begun.answer, begun.tokens

    def is_of(self, prompt: Sequence[int], thinking: str, answer: str) -> bool:
        told = (self.thinking, self.answer)
        return told == (thinking, answer) and self.prompt == tuple(prompt)


class Session:
    """Raises HearthError for everything that a person can mend."""

    def __init__(self) -> None:
        self._facts = facts.current()
        self._device = self._facts.device
        self._open: Open | None = None
        self._weights = Weights()
        self._written: list[Written] = []
        """The last replies, of which one may go on."""
        if self._device.type == "cpu":  # compiled, the first time, while a model is chosen
            threading.Thread(target=cpu.library, name="hearth-kernels", daemon=True).start()

    def device(self) -> Device:
        return Device(
            kind=self._device.type,  # type: ignore[arg-type]
            name=self._facts.name,
            torch=str(torch.__version__),
            transformers=transformers.__version__,
            flash_attn=self._facts.flash_attn,
            compute_capability=".".join(map(str, self._facts.capability or ())),
            threads=torch.get_num_threads(),
        )

    def load(self, command: Load, progress: Callable[[str, int, int], None]) -> Loaded:
        """Loads weights and allocates the cache. The model before it is gone whatever happens."""
        begin = time.perf_counter()
        self.unload()
        try:
            opened = self._open = open_model.opened(self._facts, command, progress)
        except HearthError as error:
            # A copy: what the error passed through holds the weights.
            failure = type(error)(error.detail, error.hint)
        else:
            return self._told(opened, command, begin)
        self.unload()
        raise failure

    def _told(self, opened: Open, command: Load, begin: float) -> Loaded:
        context, dtype = opened.runner.cache.capacity, choice.name_of(opened.dtype)
        _log.info(
            "loaded architecture=%s use_flash_attn=%s kernel=%s dtype=%s context=%d reason=%s",
            opened.checkpoint.architecture,
            opened.choice.flash,
            opened.choice.label,
            dtype,
            context,
            opened.choice.reason,
        )
        model = listing.find(command.model)
        self._weights = held_weights.told(opened.checkpoint.model, model.weights)
        return Loaded(
            model=model,
            weights=self._weights,
            device=self._facts.name,
            dtype=dtype,
            context_length=context,
            use_flash_attn=opened.choice.flash,
            load_ms=1e3 * (time.perf_counter() - begin),
            notes=opened.checkpoint.notes + notes(opened, command.context_length),
        )

    def probe(self) -> Attention:
        """Warms the model up and observes its attention; see `open_model.observed`.

        Raises OutOfMemoryError if nothing can be run; the model stays loaded.
        """
        opened = self._opened()
        opened.attention = open_model.observed(opened)
        return opened.attention

    def unload(self) -> None:
        self._open = None
        self._written = []
        memory.give_back(self._device)

    def generate(self, command: Generate, stopped: Callable[[], bool]) -> Iterator[Reply]:
        """Raises OutOfMemoryError where memory is used up; the cache holds what was run."""
        opened = self._opened()
        try:
            yield from self._reply(opened, command, stopped)
            return
        except Exception as error:
            if not memory.is_used_up(error):
                raise
            _log.warning("memory was used up in a reply: %s", reason(error))
        # Not before the error is gone: it holds what was computed.
        memory.give_back(self._device)
        raise no_room(opened)

    def _reply(
        self, opened: Open, command: Generate, stopped: Callable[[], bool]
    ) -> Iterator[Reply]:
        check_asked(command)
        tokenizer = opened.checkpoint.tokenizer
        try:
            prompt, left_out = self._prompt(opened, command, stopped)
            tail = tokenizer.decode(prompt[-thinking.TAIL :], skip_special_tokens=False)
            begun = self._begun(opened, command, prompt, tail, stopped)
        except StoppedError:
            yield self._finished(command.request, generation.STOPPED)
            return
        if left_out:
            yield LeftOut(request=command.request, messages=left_out)
        options = self._options(command.sampling, thinking.opened_by(tail), begun)
        memory.reset_peak(self._device)
        written = Written(tuple(prompt), begun)

        def decode(ids: object) -> str:
            return str(tokenizer.decode(ids, skip_special_tokens=False))

        is_text = text_tokens(opened.checkpoint)
        for part in generation.generate(opened.runner, prompt, options, decode, stopped, is_text):
            if isinstance(part, str):
                written.answer += part
                yield Text(request=command.request, text=part)
            elif isinstance(part, thinking.Thought):
                written.thinking += part.text
                yield Thinking(request=command.request, text=part.text)
            elif isinstance(part, thinking.Rethought):
                written.thinking, written.answer = written.thinking + written.answer, ""
                yield Rethought(request=command.request)
            elif isinstance(part, generation.Progress):
                yield Prefill(
                    request=command.request, done=part.done, total=part.total, reused=part.reused
                )
            else:
                written.tokens = part.tokens
                self._written = [*self._written[1 - REMEMBERED :], written]
                yield self._finished(command.request, part, effective(options))

    def _prompt(
        self, opened: Open, command: Generate, stopped: Callable[[], bool]
    ) -> tuple[list[int], int]:
        """Its token ids, and how many of the oldest messages it does not have."""
        encode, capacity = encoder(opened, stopped), opened.runner.cache.capacity
        messages = pairs(command.messages[:-1] if command.continues else command.messages)
        if command.overflow == "refuse" or command.continues:
            return encode(messages), 0
        made = context.fitted(messages, capacity, command.sampling.max_new_tokens, encode)
        return made.ids, made.left_out

    def _begun(
        self,
        opened: Open,
        command: Generate,
        prompt: list[int],
        tail: str,
        stopped: Callable[[], bool],
    ) -> generation.Begun | None:
        """The reply that goes on, if one does: the tokens that were drawn for it, if they are
        known, else those that its text is made of. `tail`: the end of the prompt."""
        if not command.continues:
            return None
        thought, answer = command.messages[-1].thinking, command.messages[-1].content
        for written in reversed(self._written):
            if written.is_of(prompt, thought, answer):
                return generation.Begun(written.tokens, thought, answer)
        vocabulary = opened.checkpoint.tokenizer.backend_tokenizer
        pieces = thinking.written(
            thought, answer, tail, lambda text: vocabulary.token_to_id(text) is not None
        )
        if not pieces:
            return None
        longest = opened.runner.cache.capacity
        ids = opened.checkpoint.prompts.reply_ids(pieces, longest, stopped)
        return generation.Begun(tuple(ids), thought, answer)

    def count(self, command: Count, stopped: Callable[[], bool]) -> Counted | None:
        """None if it was stopped."""
        opened = self._opened()
        capacity = opened.runner.cache.capacity
        encode = encoder(opened, stopped)
        try:
            counted = context.count(
                pairs(command.messages), capacity, command.longest_reply, encode
            )
        except StoppedError:
            return None
        return Counted(
            request=command.request, context_length=capacity, **dataclasses.asdict(counted)
        )

    def prepare(self) -> bool:
        """A little of what a later request would wait for; False where there is nothing to do."""
        return self._open is not None and self._open.runner.cache.prepare()

    def _opened(self) -> Open:
        if self._open is None:
            raise HearthError("No model is loaded.", "Choose a model first.")
        return self._open

    def _options(
        self,
        wanted: Sampling,
        opened_thinking: thinking.Markers | None,
        begun: generation.Begun | None,
    ) -> generation.GenerationOptions:
        """The request's settings, else the checkpoint's, else Hearth's own."""
        checkpoint = self._opened().checkpoint
        settings: dict[str, Any] = {}
        for name in SAMPLING_SETTINGS:
            given = getattr(wanted, name)
            value = given if given is not None else getattr(checkpoint.generation, name, None)
            if value is not None:
                settings[name] = value
        return generation.GenerationOptions(
            SamplingOptions(**settings, seed=wanted.seed),
            stop=wanted.stop,
            end_texts=end_texts(checkpoint.chat_template, checkpoint.tokenizer),
            max_new_tokens=wanted.max_new_tokens,
            end_tokens=checkpoint.generation.eos_token_ids,
            opened_thinking=opened_thinking,
            lone_markers=self._lone_markers(),
            begun=begun,
        )

    def _lone_markers(self) -> tuple[thinking.Markers, ...]:
        vocabulary = self._opened().checkpoint.tokenizer.backend_tokenizer
        return thinking.may_come_alone(lambda text: vocabulary.token_to_id(text) is not None)

    def _finished(
        self, request: str, end: generation.End, sampling: Sampling | None = None
    ) -> Finished:
        return Finished(
            request=request,
            finish_reason=end.reason,  # type: ignore[arg-type]
            prompt_tokens=end.prompt_tokens,
            reused_tokens=end.reused_tokens,
            new_tokens=end.new_tokens,
            thinking_tokens=end.thinking_tokens,
            time_to_first_token_ms=1e3 * end.first_token_s,
            prefill_tokens_per_second=rate(end.prompt_tokens - end.reused_tokens, end.prefill_s),
            decode_tokens_per_second=rate(end.new_tokens - 1, end.decode_s),
            peak_memory_bytes=memory.peak_bytes(self._device),
            attention=told(self._opened()),
            weights=self._weights,
            sampling=sampling,
        )


def check_asked(command: Generate) -> None:
    """Raises PromptError if there is nothing to answer, or no reply to go on with."""
    messages = command.messages
    if command.continues:
        if not messages or messages[-1].role != "assistant":
            raise PromptError("There is no reply to go on with.", "Regenerate it.")
        messages = messages[:-1]
    if not messages or not messages[-1].content.strip():
        raise PromptError("The prompt is empty.", "Write something first.")


def effective(options: generation.GenerationOptions) -> Sampling:
    """What a reply is drawn with, as the protocol says it."""
    return Sampling(
        **dataclasses.asdict(options.sampling),
        stop=options.stop,
        max_new_tokens=options.max_new_tokens,
    )


def pairs(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """(role, content) of each."""
    return [(message.role, message.content) for message in messages]


def encoder(opened: Open, stopped: Callable[[], bool]) -> context.Encode:
    """Of the loaded model's prompts: one time limit for all that it is called for.

    Raises StoppedError besides.
    """
    longest = opened.runner.cache.capacity
    deadline = time.monotonic() + TIME_LIMIT

    def encode(messages: context.Messages) -> list[int]:
        left = max(0.0, deadline - time.monotonic())
        return opened.checkpoint.prompts.ids(messages, longest, stopped, left)

    return encode


def text_tokens(checkpoint: Checkpoint) -> Callable[[int], bool]:
    """Whether a token is text: no special one but those of markers, and one that has a spelling."""
    vocabulary = checkpoint.tokenizer.backend_tokenizer
    added = vocabulary.get_added_tokens_decoder().items()
    special = {index for index, token in added if token.special}
    hidden = special - thinking.marker_tokens(checkpoint.control_tokens)
    return lambda index: index not in hidden and vocabulary.id_to_token(index) is not None


def told(opened: Open) -> Attention | None:
    """What was observed, and why steps are launched one by one if they came to be."""
    refusal = opened.runner.graphs.refusal if opened.runner.graphs else ""
    seen = opened.attention
    if seen and refusal and refusal not in seen.decode.reason:
        decode = msgspec.structs.replace(seen.decode, reason=f"{seen.decode.reason} {refusal}")
        opened.attention = msgspec.structs.replace(seen, decode=decode)
    return opened.attention


def rate(count: int, seconds: float) -> float:
    return count / seconds if count > 0 and seconds > 0 else 0.0
