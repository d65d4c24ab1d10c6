"""From a command to a model that can run, one step after another.

`opened`: headers, plan and kernels chosen and tried; weights, a cache for the context, numbers
checked on it. `observed`: how large chunks are, what is captured, which kernels run. What is too
large is said with numbers: what was tried, what is free, and which context would fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import torch

from engine.attention import probe, trial
from engine.attention.choice import Choice
from engine.cache.kv_cache import KVCache
from engine.catalog import fit, listing
from engine.device import facts, memory, sizes
from engine.device.facts import DeviceFacts
from engine.errors import OutOfMemoryError, SettingError
from engine.execution import runner
from engine.execution.forward import various
from engine.execution.runner import Runner
from engine.execution.sampling import SamplingOptions
from engine.formats.format import Format
from engine.formats.registry import FORMATS
from engine.kernels import blocks
from engine.loading.checkpoint import Checkpoint
from engine.loading.load import load
from engine.local import chunk_size, memory_plan, model_shape
from engine.local.memory_plan import Context, Needs
from engine.local.model_shape import ModelShape
from engine.modeling import own_kernels
from engine.modeling.decoder import Decoder
from engine.modeling.rope import LongRope
from engine.protocol import Attention, AttentionPhase, Flash, Load, ModelInfo

DTYPES: Final = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class Runnable(Protocol):
    """What is run: a checkpoint, or the bench's subject."""

    @property
    def model(self) -> Decoder: ...
    @property
    def rope(self) -> LongRope | None: ...


BLOCK_TYPES: Final = ("Q", "IQ", "TQ", "MXFP4", "NVFP4")
"""How the names of types begin whose weights lie in blocks."""


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
        return limits_of(self.shape, self.dtype)

    def cache_bytes(self, tokens: int) -> int:
        return tokens * self.context.bytes_per_token


@dataclass
class Open(Model):
    """A model that can run."""

    runner: Runner
    attention: Attention | None = None


def opened(here: DeviceFacts, command: Load, progress: Callable[[str, int, int], None]) -> Open:
    """Headers, plan, kernels, weights, then a cache for the context and numbers checked on it.

    Nothing is read from a file whose plan does not fit.

    Without a wish: half of the usual context, and half of that, until it can be allocated. Raises
    OutOfMemoryError if the weights do not fit, or not with the context that is wanted;
    SettingError for one that the model does not have; what loading raises.
    """
    device = here.device
    card, free = listing.find(command.model), memory.free_bytes(device)
    needs = needs_of(here, command, card)
    memory_plan.check_weights(needs, free, here.name)
    plan = Plan(here, command, dtype_of(here, command, card), free - needs.weight_bytes)
    model = memory.attempt(device, partial(_loaded, plan, command, progress))
    if model is None:
        raise plan.refusal or memory_plan.too_large(needs, free, here.name)
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


def limits_of(shape: ModelShape, dtype: torch.dtype) -> Context:
    return Context(shape.cache.bytes_per_token(dtype), shape.context_length)


def dtype_of(here: DeviceFacts, command: Load, card: ModelInfo) -> torch.dtype:
    """Of activations, keys and values.

    On a CPU that computes with blocks it is float32: as fast there as bfloat16, and between two
    words that are near it chooses as the exact model does.
    """
    named = DTYPES.get(command.dtype)
    if named is not None:
        return named
    exact = here.kind == "cpu" and blocks.run_on(here.device, torch.float32)
    if exact and (command.dtype == "q8" or _is_in_blocks(card)):
        return torch.float32
    return facts.native_dtype(here)


def _is_in_blocks(card: ModelInfo) -> bool:
    return card.format == "gguf" and card.weights.startswith(BLOCK_TYPES)


def quantised_to(here: DeviceFacts, command: Load) -> Format | None:
    """Raises SettingError if this device does not compute with weights in blocks."""
    if command.dtype != "q8":
        return None
    if not blocks.run_on(here.device, facts.native_dtype(here)):
        raise SettingError(
            f"{here.name} does not compute with weights in 8 bits.",
            "Load the model with its numbers as they are (dtype auto).",
        )
    return FORMATS["Q8_0"]


def needs_of(here: DeviceFacts, command: Load, card: ModelInfo) -> Needs:
    """By the model's header."""
    in_blocks = blocks.run_on(here.device, dtype_of(here, command, card))
    return Needs(card.name, fit.weight_bytes(card, command.dtype, in_blocks=in_blocks))


def _loaded(plan: Plan, command: Load, progress: Callable[[str, int, int], None]) -> Model:
    """Plan and kernels by the headers, then the weights, and Hearth's kernels for them."""
    checkpoint = load(
        listing.resolve(command.model),
        device=plan.here.device,
        dtype=plan.dtype,
        progress=progress,
        planned=plan.make,
        rest=quantised_to(plan.here, command),
    )
    checkpoint.prompts.start()
    own_kernels.give(checkpoint.model)
    memory.trim()
    return Model(checkpoint, plan.shape, plan.dtype, command.flash, plan.choice, plan.decode_choice)


class Plan:
    """What is decided of a model whose headers were read and whose weights were not."""

    shape: ModelShape
    choice: Choice
    decode_choice: Choice

    def __init__(self, here: DeviceFacts, command: Load, dtype: torch.dtype, beside: int) -> None:
        """`beside` is how many bytes are free beside the weights, about."""
        self.dtype = dtype
        self.here = here
        self._command = command
        self._beside = beside
        self.refusal: OutOfMemoryError | None = None
        """Why the context that was asked for does not fit."""

    def make(self, decoder: Decoder, config: Any) -> None:
        """Raises OutOfMemoryError for a context that was asked for and does not fit, SettingError
        for one that the model does not have, AttentionError for attention that cannot be."""
        self.shape = model_shape.of_layers(
            decoder.config.shapes, int(config.max_position_embeddings)
        )
        if self._command.context_length is not None:
            self._check(self._command.context_length)
        asked, flash = self.shape.attention(self.dtype), self._command.flash
        self.choice = trial.for_prompt(self.here, asked, flash)
        self.decode_choice = trial.for_token(self.here, asked, flash, self.choice)

    def _check(self, context: int) -> None:
        limits = limits_of(self.shape, self.dtype)
        try:
            memory_plan.context(limits, context, self._beside, self.here.name)
        except OutOfMemoryError as error:
            self.refusal = OutOfMemoryError(error.detail, error.hint)
            raise


def _runner(model: Model, device: torch.device, context: int) -> Runner:
    reusable = model.checkpoint.rope is None
    kept = memory_plan.kept_bytes(memory.free_host_bytes(), reusable=reusable)
    chosen = model.choice, model.decode_choice
    return checked_runner(model.checkpoint, model.shape, model.dtype, chosen, device, context, kept)


def checked_runner(
    checkpoint: Runnable,
    shape: ModelShape,
    dtype: torch.dtype,
    chosen: tuple[Choice, Choice],
    device: torch.device,
    context: int,
    keep_bytes: int = 0,
) -> Runner:
    """With a cache of `context` tokens, for a prompt and for one token by the `chosen` kernels;
    Hearth's own kernels are taken away from the model if they change what it says."""
    prompt, token = chosen
    cache = KVCache(
        shape.cache, context, device, dtype, prompt.kernel, token.kernel, keep_bytes=keep_bytes
    )
    return runner.checked(checkpoint.model, cache, checkpoint.rope)


# ---------------------------------------------------------------------------- warm-up


def observed(opened: Open) -> Attention:
    """Runs one prefill and one decode step under the profiler; leaves the cache empty.

    On a GPU the prefill is a whole chunk, which loads the kernels that the first prompt would
    otherwise wait for; others are timed, which settles how large chunks are. The decode step is a
    replay of the graph that replies use.

    Raises OutOfMemoryError if nothing can be run.
    """
    ready, device = opened.runner, opened.runner.device
    tries = [(trial.PROMPT_TOKENS, False)]
    if times_chunks(device):
        tries = [(ready.chunk, True), (chunk_size.CHUNKS[0], False)]
    for chunk, capture in tries:
        found = memory.attempt(device, partial(_observed, opened, chunk, capture=capture))
        if found:
            return found
        if ready.prompts:
            ready.prompts.clear()
            memory.give_back(device)
    raise no_room(opened)


def times_chunks(device: torch.device) -> bool:
    """Whether chunks are timed and prompts captured: on a CUDA GPU."""
    return device.type == "cuda"


def _observed(opened: Open, chunk: int, *, capture: bool) -> Attention:
    """`capture` short prompts too, if that is worth it."""
    ready, device = opened.runner, opened.runner.device
    on_gpu = times_chunks(device)
    ready.cache.cut(0)
    if on_gpu:
        ready.chunk = chunk
    longest = max(1, ready.cache.capacity - probe.UNOBSERVED_STEPS - 2)
    count = min(chunk, longest)
    prompt = various(ready.model, count)
    free = memory.free_bytes(device)
    try:
        prefill = probe.observe(partial(ready.forward, prompt))
        launching = None
        if on_gpu:
            launching = chunk_size.settle(ready, longest, free)
            ready.forward(prompt)
        step = probe.observe_step(ready.decode(SamplingOptions(temperature=0), (), lambda: False))
        if on_gpu:
            # After the step, which is captured too and has more need of the memory.
            ready.cache.cut(0)
            if capture:
                chunk_size.capture_prompts(ready, launching, free)
            few = probe.observe(partial(list, ready.prefill(prompt[:2])))
            prefill = probe.both(prefill, few)
    finally:
        ready.cache.cut(0)
    shape = opened.shape.attention(opened.dtype)

    def phase(chosen: Choice, seen: probe.Observation, tokens: int) -> AttentionPhase:
        return AttentionPhase(
            requested=opened.requested,
            resolved=chosen.label,
            observed=seen.label,
            reason=chosen.reason,
            flash=seen.flash,
            max_error=probe.check(chosen.kernel, shape, device, tokens),
        )

    return Attention(
        prefill=phase(opened.choice, prefill, trial.PROMPT_TOKENS),
        decode=phase(opened.decode_choice, step, 1),
    )


# ---------------------------------------------------------------------------- what is told


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
