"""From a command to a model that can run: weights, kernels, and a context that memory suffices for.

What is too large is said with numbers: what was tried, what is free, and which context would fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch

from engine import catalog, memory, model_shape, runner
from engine.attention import choice, facts, trial
from engine.attention.choice import Choice
from engine.attention.facts import DeviceFacts
from engine.errors import OutOfMemoryError, SettingError
from engine.kv_cache import KVCache
from engine.loading.checkpoint import Checkpoint
from engine.loading.load import load
from engine.model_shape import ModelShape
from engine.modeling import own_kernels
from engine.protocol import Attention, Flash, Load
from engine.runner import Runner

DEFAULT_CONTEXT: Final = 8192
SHORTEST_CONTEXT: Final = 256
"""Below which none is tried where memory is short."""
SHARE_OF_FREE_MEMORY: Final = 0.9
"""Of what is free after the weights, what the cache may take; the rest is for activations."""
SHARE_TO_KEEP: Final = 0.25
"""Of the computer's free memory, for the caches of conversations that were left."""
DTYPES: Final = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass
class Model:
    """A checkpoint that is loaded, with all that was decided about it."""

    checkpoint: Checkpoint
    shape: ModelShape
    dtype: torch.dtype
    requested: Flash
    choice: Choice
    decode_choice: Choice
    """For one token."""

    def cache_bytes(self, context: int) -> int:
        return context * self.shape.cache.bytes_per_token(self.dtype)


@dataclass
class Open(Model):
    """A model that can run."""

    runner: Runner
    attention: Attention | None = None


class Opening:
    def __init__(self, here: DeviceFacts, command: Load) -> None:
        self._facts = here
        self._device = torch.device(here.kind)
        self._command = command
        wanted = command.dtype
        self._dtype = facts.native_dtype(here) if wanted == "auto" else DTYPES[wanted]

    def opened(self, progress: Callable[[str, int, int], None]) -> Open:
        """Where nobody said which context: half the usual one, and half of that, until it fits.

        Raises OutOfMemoryError where the weights do not fit, or not with the context that is
        wanted; SettingError for one that the model does not have; what loading raises.
        """
        free = memory.free_bytes(self._device)
        model = memory.attempt(self._device, partial(self._model, progress))
        if model is None:
            raise OutOfMemoryError.offering(0, self._too_large(free))
        return Open(**vars(model), runner=self._runner(model))

    def _model(self, progress: Callable[[str, int, int], None]) -> Model:
        checkpoint = load(
            catalog.resolve(self._command.model),
            device=self._device,
            dtype=self._dtype,
            progress=progress,
        )
        checkpoint.prompts.start()
        own_kernels.give(checkpoint.model)
        shape = model_shape.of_layers(
            checkpoint.model.config.shapes, int(checkpoint.config.max_position_embeddings)
        )
        asked, flash = shape.attention(self._dtype), self._command.flash
        chosen = trial.for_prompt(self._facts, asked, flash)
        decode = trial.for_token(self._facts, asked, flash, chosen)
        return Model(checkpoint, shape, self._dtype, flash, chosen, decode)

    def _too_large(self, free: int) -> str:
        card = catalog.find(self._command.model)
        needed = card.parameters * self._dtype.itemsize or card.size_bytes
        return (
            f"The weights of {card.name} take about {memory.said(needed)} in "
            f"{choice.name_of(self._dtype)}, and {memory.said(free)} were free on "
            f"{self._facts.name}."
        )

    def _runner(self, model: Model) -> Runner:
        free = memory.free_bytes(self._device)
        asked = self._context_length(model, free)
        for context in halves(asked):
            ready = memory.attempt(self._device, partial(self._of_context, model, context))
            if ready:
                break
        if ready and (context == asked or self._command.context_length is None):
            return ready
        raise OutOfMemoryError.offering(
            context if ready else 0,
            f"A context of {asked:,} tokens takes {memory.said(model.cache_bytes(asked))} beside "
            f"the weights, and {self._facts.name} did not give it with {memory.said(free)} free.",
        )

    def _context_length(self, model: Model, free: int) -> int:
        longest, wanted = model.shape.context_length, self._command.context_length
        if wanted is not None and not 1 < wanted <= longest:
            raise SettingError(
                f"This model has no context of {wanted:,}: it goes up to {longest:,}.",
                f"Choose a context length from 2 to {longest:,}.",
            )
        fits = int(SHARE_OF_FREE_MEMORY * free) // model.cache_bytes(1)
        context = wanted or min(usual_context(model.shape), fits)
        if context > fits or context < 2:
            context = max(context, 2)
            raise OutOfMemoryError.offering(
                memory.rounded(fits) if fits >= 2 else 0,
                f"A context of {context:,} tokens takes {memory.said(model.cache_bytes(context))} "
                f"beside the weights, and {memory.said(free)} are free on {self._facts.name}.",
            )
        return context

    def _of_context(self, model: Model, context: int) -> Runner:
        rope = model.checkpoint.rope
        cache = KVCache(
            model.shape.cache,
            context,
            self._device,
            model.dtype,
            model.choice.kernel,
            model.decode_choice.kernel,
            # Keys that LongRoPE rotated for one length are of no use at another.
            keep_bytes=0 if rope else int(SHARE_TO_KEEP * memory.free_host_bytes()),
        )
        return runner.checked(model.checkpoint.model, cache, rope)


def usual_context(shape: ModelShape) -> int:
    return min(shape.context_length, DEFAULT_CONTEXT)


def halves(context: int) -> Iterator[int]:
    """The context, its half, and so on; in tokens."""
    yield context
    while context > SHORTEST_CONTEXT:
        context = max(SHORTEST_CONTEXT, context // 2)
        yield context


def notes(opened: Open, wanted: int | None) -> tuple[str, ...]:
    """What the user should know of a context that nobody asked for."""
    context, usual = opened.runner.cache.capacity, usual_context(opened.shape)
    if wanted is not None or context == usual:
        return ()
    return (f"The context is {context:,} tokens: there is no memory for the usual {usual:,}.",)


def no_room(opened: Open) -> OutOfMemoryError:
    """For what the model computes, once what it had taken was given back."""
    ready, context = opened.runner, opened.runner.cache.capacity
    free = memory.free_bytes(ready.device)
    detail = (
        f"The model needed more to run than the {memory.said(free)} that are free beside its "
        f"weights and a context of {context:,} tokens, which takes "
        f"{memory.said(opened.cache_bytes(context))}."
    )
    if ready.chunk_bytes:
        needed = memory.said(ready.chunk_bytes)
        detail += f" {ready.chunk:,} tokens of a prompt, run at once, take about {needed}."
    missing = max(0, ready.chunk_bytes - free)
    fits = memory.shorter(context, opened.cache_bytes(1), missing)
    return OutOfMemoryError.offering(fits if fits >= 2 else 0, detail)
