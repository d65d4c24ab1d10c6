"""From a command to a model that can run, one step after another (`opened`).

What is too large is said with numbers: what was tried, what is free, and which context would fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch

from engine.attention import trial
from engine.attention.choice import Choice
from engine.cache.kv_cache import KVCache
from engine.catalog import fit, listing
from engine.device import facts, memory, sizes
from engine.device.facts import DeviceFacts
from engine.errors import OutOfMemoryError, SettingError
from engine.execution import runner
from engine.execution.runner import Runner
from engine.formats.format import Format
from engine.formats.registry import FORMATS
from engine.kernels import blocks
from engine.loading.checkpoint import Checkpoint
from engine.loading.load import load
from engine.local import memory_plan, model_shape
from engine.local.memory_plan import Context, Needs
from engine.local.model_shape import ModelShape
from engine.modeling import own_kernels
from engine.protocol import Attention, Flash, Load

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

    @property
    def context(self) -> Context:
        """What a token of context takes."""
        bytes_per_token = self.shape.cache.bytes_per_token(self.dtype)
        return Context(bytes_per_token, self.shape.context_length)

    def cache_bytes(self, tokens: int) -> int:
        return tokens * self.context.bytes_per_token


@dataclass
class Open(Model):
    """A model that can run."""

    runner: Runner
    attention: Attention | None = None


def opened(here: DeviceFacts, command: Load, progress: Callable[[str, int, int], None]) -> Open:
    """Header, plan, weights and kernels, then a cache for the context and numbers checked on it.

    Without a wish: half of the usual context, and half of that, until it can be allocated. Raises
    OutOfMemoryError if the weights do not fit, or not with the context that is wanted;
    SettingError for one that the model does not have; what loading raises.
    """
    device, dtype = here.device, dtype_of(here, command)
    needs, free = needs_of(command, device, dtype), memory.free_bytes(device)
    memory_plan.check_weights(needs, free, here.name)
    model = memory.attempt(device, partial(_loaded, here, command, dtype, progress))
    if model is None:
        raise memory_plan.too_large(needs, free, here.name)
    free = memory.free_bytes(device)
    asked = memory_plan.context(model.context, command.context_length, free, here.name)
    for context in memory_plan.halves(asked):
        ready = memory.attempt(device, partial(_runner, model, device, context))
        if ready:
            break
    if ready and (context == asked or command.context_length is None):
        return Open(**vars(model), runner=ready)
    raise OutOfMemoryError.offering(
        context if ready else 0,
        f"A context of {asked:,} tokens takes {sizes.said(model.cache_bytes(asked))} beside "
        f"the weights, and {here.name} did not give it with {sizes.said(free)} free.",
    )


def dtype_of(here: DeviceFacts, command: Load) -> torch.dtype:
    return DTYPES.get(command.dtype) or facts.native_dtype(here)


def quantised_to(here: DeviceFacts, command: Load) -> Format | None:
    """Raises SettingError if this device does not compute with weights in blocks."""
    if command.dtype != "q8":
        return None
    if not blocks.run_on(torch.device(here.kind), facts.native_dtype(here)):
        raise SettingError(
            f"{here.name} does not compute with weights in 8 bits.",
            "Load the model with its numbers as they are (dtype auto).",
        )
    return FORMATS["Q8_0"]


def needs_of(command: Load, device: torch.device, dtype: torch.dtype) -> Needs:
    """By the model's header."""
    card = listing.find(command.model)
    in_blocks = blocks.run_on(device, dtype)
    return Needs(card.name, fit.weight_bytes(card, command.dtype, in_blocks=in_blocks))


def _loaded(
    here: DeviceFacts,
    command: Load,
    dtype: torch.dtype,
    progress: Callable[[str, int, int], None],
) -> Model:
    """Weights, and the kernels for them."""
    checkpoint = load(
        listing.resolve(command.model),
        device=here.device,
        dtype=dtype,
        progress=progress,
        rest=quantised_to(here, command),
    )
    checkpoint.prompts.start()
    own_kernels.give(checkpoint.model)
    shape = model_shape.of_layers(
        checkpoint.model.config.shapes, int(checkpoint.config.max_position_embeddings)
    )
    asked, flash = shape.attention(dtype), command.flash
    chosen = trial.for_prompt(here, asked, flash)
    decode = trial.for_token(here, asked, flash, chosen)
    return Model(checkpoint, shape, dtype, flash, chosen, decode)


def _runner(model: Model, device: torch.device, context: int) -> Runner:
    rope = model.checkpoint.rope
    cache = KVCache(
        model.shape.cache,
        context,
        device,
        model.dtype,
        model.choice.kernel,
        model.decode_choice.kernel,
        keep_bytes=memory_plan.kept_bytes(memory.free_host_bytes(), reusable=rope is None),
    )
    return runner.checked(model.checkpoint.model, cache, rope)


def notes(opened: Open, wanted: int | None) -> tuple[str, ...]:
    """What the user should know of a context that nobody asked for."""
    context, usual = opened.runner.cache.capacity, opened.context.usual
    if wanted is not None or context == usual:
        return ()
    return (f"The context is {context:,} tokens: there is no memory for the usual {usual:,}.",)


def no_room(opened: Open) -> OutOfMemoryError:
    """For what the model computes, once what it had taken was given back."""
    ready, context = opened.runner, opened.runner.cache.capacity
    free = memory.free_bytes(ready.device)
    detail = (
        f"The model needed more to run than the {sizes.said(free)} that are free beside its "
        f"weights and a context of {context:,} tokens, which takes "
        f"{sizes.said(opened.cache_bytes(context))}."
    )
    if ready.chunk_bytes:
        needed = sizes.said(ready.chunk_bytes)
        detail += f" {ready.chunk:,} tokens of a prompt, run at once, take about {needed}."
    missing = max(0, ready.chunk_bytes - free)
    fits = memory.shorter(context, opened.cache_bytes(1), missing)
    return OutOfMemoryError.offering(fits if fits >= 2 else 0, detail)
