"""One model, loaded: what the engine thread drives. Knows commands and events, no threads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch
import transformers

from engine import catalog, fusion, generation, memory, model_shape, runner, thinking
from engine.attention import choice, facts, interface, probe, trial
from engine.attention.choice import Choice
from engine.errors import HearthError, OutOfMemoryError, PromptError, SettingError
from engine.kv_cache import KVCache
from engine.loading.checkpoint import Checkpoint
from engine.loading.load import load
from engine.loading.template import encode_chat
from engine.model_shape import ModelShape
from engine.protocol import (
    Attention,
    AttentionPhase,
    Device,
    Finished,
    Flash,
    Generate,
    Load,
    Loaded,
    Prefill,
    Sampling,
    Text,
    Thinking,
)
from engine.runner import Runner
from engine.sampling import SamplingOptions

_log = logging.getLogger(__name__)

DEFAULT_CONTEXT = 8192
SHARE_OF_FREE_MEMORY = 0.9
"""Of what is free after the weights, what the cache may take; the rest is for activations."""
SHARE_TO_KEEP = 0.25
"""Of the computer's free memory, for the caches of conversations that were left."""
SAMPLING = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
)
UNOBSERVED_STEPS = 4
"""Tokens before the one that is observed: a graph is captured at the third."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass
class Open:
    """A checkpoint that is loaded, with all that was decided about it."""

    checkpoint: Checkpoint
    shape: ModelShape
    dtype: torch.dtype
    requested: Flash
    choice: Choice
    decode_choice: Choice
    """For one token."""
    runner: Runner
    attention: Attention | None = None


class Session:
    """Raises HearthError for everything that a person can mend."""

    def __init__(self) -> None:
        self._facts = facts.current()
        self._device = torch.device(self._facts.kind)
        self._open: Open | None = None
        interface.register()

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
        path = catalog.resolve(command.model)
        dtype = self._dtype(command.dtype)
        checkpoint = load(
            path,
            device=self._device,
            dtype=dtype,
            attn_implementation=interface.NAME,
            progress=progress,
        )
        # Before the cache takes what is free: fusing needs room for a layer's weights.
        fusion.fuse(checkpoint.model)
        shape = model_shape.of_layers(
            checkpoint.layers, int(checkpoint.config.max_position_embeddings)
        )
        asked = shape.attention(dtype)
        chosen = trial.for_prompt(self._facts, asked, command.flash)
        context = self._context_length(shape, dtype, command.context_length)
        decode = trial.for_token(self._facts, asked, command.flash, chosen)
        cache = KVCache(
            shape.cache,
            context,
            self._device,
            dtype,
            chosen.kernel,
            decode.kernel,
            # Keys that LongRoPE rotated for one length are of no use at another.
            keep_bytes=0 if checkpoint.rope else int(SHARE_TO_KEEP * memory.free_host_bytes()),
        )
        self._open = Open(
            checkpoint,
            shape,
            dtype,
            command.flash,
            chosen,
            decode,
            runner.checked(checkpoint.model, cache, checkpoint.rope),
        )
        _log.info(
            "loaded architecture=%s use_flash_attn=%s kernel=%s dtype=%s context=%d reason=%s",
            checkpoint.architecture,
            chosen.flash,
            chosen.label,
            choice.name_of(dtype),
            context,
            chosen.reason,
        )
        return Loaded(
            model=catalog.find(command.model),
            device=self._facts.name,
            dtype=choice.name_of(dtype),
            context_length=context,
            use_flash_attn=chosen.flash,
            load_ms=1e3 * (time.perf_counter() - begin),
            notes=checkpoint.notes,
        )

    def probe(self) -> Attention:
        """Runs one prefill and one decode step under the profiler; leaves the cache empty.

        On a GPU the prefill is a whole chunk, which loads the kernels that the first prompt would
        otherwise wait for, and the decode step is a replay of the graph that replies use.
        """
        opened = self._opened()
        shape = opened.shape.attention(opened.dtype)
        ready = opened.runner
        tokens = ready.chunk if self._device.type == "cuda" else trial.PROMPT_TOKENS
        room = max(1, min(tokens, ready.cache.capacity - UNOBSERVED_STEPS - 2))
        try:
            prefill = probe.observe(partial(ready.forward, [0] * room))
            decoded = ready.decode(SamplingOptions(temperature=0), (), lambda: False)
            for _ in islice(decoded, UNOBSERVED_STEPS):
                pass
            seen = (prefill, probe.observe(partial(next, decoded, None)))
            decoded.close()
        finally:
            ready.cache.tokens.clear()
        decode = opened.decode_choice
        errors = [
            probe.check(used.kernel, shape, self._device, count)
            for used, count in ((opened.choice, trial.PROMPT_TOKENS), (decode, 1))
        ]
        opened.attention = Attention(
            prefill=phase(opened, opened.choice, seen[0], errors[0]),
            decode=phase(opened, decode, seen[1], errors[1]),
        )
        return opened.attention

    def unload(self) -> None:
        self._open = None
        memory.give_back(self._device)

    def generate(
        self, command: Generate, stopped: Callable[[], bool]
    ) -> Iterator[Prefill | Thinking | Text | Finished]:
        opened = self._opened()
        if not command.messages or not command.messages[-1].content.strip():
            raise PromptError("The prompt is empty.", "Write something first.")
        tokenizer = opened.checkpoint.tokenizer
        prompt = encode_chat(opened.checkpoint, [(m.role, m.content) for m in command.messages])
        tail = tokenizer.decode(prompt[-thinking.TAIL :], skip_special_tokens=False)
        options = self._options(command.sampling, thinking.opened_by(tail))
        memory.reset_peak(self._device)

        def plain(ids: object) -> str:
            return str(tokenizer.decode(ids, skip_special_tokens=True))

        decode = thinking.with_markers(plain, opened.checkpoint.control_tokens)
        for part in generation.generate(opened.runner, prompt, options, decode, stopped):
            if isinstance(part, str):
                yield Text(request=command.request, text=part)
            elif isinstance(part, thinking.Thought):
                yield Thinking(request=command.request, text=part.text)
            elif isinstance(part, generation.Progress):
                yield Prefill(
                    request=command.request, done=part.done, total=part.total, reused=part.reused
                )
            else:
                yield self._finished(command.request, part)

    def _opened(self) -> Open:
        if self._open is None:
            raise HearthError("No model is loaded.", "Choose a model first.")
        return self._open

    def _dtype(self, requested: str) -> torch.dtype:
        return facts.native_dtype(self._facts) if requested == "auto" else DTYPES[requested]

    def _context_length(self, shape: ModelShape, dtype: torch.dtype, wanted: int | None) -> int:
        if wanted is not None and not 1 < wanted <= shape.context_length:
            raise SettingError(
                f"This model has no context of {wanted:,}: it goes up to {shape.context_length:,}.",
                f"Choose a context length from 2 to {shape.context_length:,}.",
            )
        room = SHARE_OF_FREE_MEMORY * memory.free_bytes(self._device)
        fits = int(room) // shape.cache.bytes_per_token(dtype)
        context = wanted or min(shape.context_length, DEFAULT_CONTEXT, fits)
        if context > fits or context < 2:
            raise OutOfMemoryError(
                f"A context of {max(context, 2):,} tokens does not fit; {fits:,} would.",
                "Choose a smaller model or a shorter context, or close other programs.",
            )
        return context

    def _options(
        self, wanted: Sampling, opened_thinking: thinking.Markers | None
    ) -> generation.GenerationOptions:
        """The request's settings, else the checkpoint's, else Hearth's own."""
        checkpoint = self._opened().checkpoint
        settings: dict[str, Any] = {}
        for name in SAMPLING:
            given = getattr(wanted, name)
            value = given if given is not None else getattr(checkpoint.generation, name, None)
            if value is not None:
                settings[name] = value
        return generation.GenerationOptions(
            SamplingOptions(**settings, seed=wanted.seed),
            wanted.stop,
            wanted.max_new_tokens,
            checkpoint.generation.eos_token_ids,
            opened_thinking,
        )

    def _finished(self, request: str, end: generation.End) -> Finished:
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
            attention=self._opened().attention,
        )


def phase(opened: Open, chosen: Choice, seen: probe.Observation, error: float) -> AttentionPhase:
    return AttentionPhase(
        requested=opened.requested,
        resolved=chosen.label,
        observed=seen.label,
        reason=chosen.reason,
        flash=seen.flash,
        max_error=error,
    )


def rate(count: int, seconds: float) -> float:
    return count / seconds if count > 0 and seconds > 0 else 0.0
