"""The model under measurement: one set of weights, which every way of running it shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.attention import choice, trial
from engine.attention.choice import Choice, Requested
from engine.bench import result
from engine.bench.shapes import SHAPES, drawn
from engine.catalog import listing
from engine.device import facts, memory
from engine.execution.runner import Runner
from engine.loading.assembly import assemble
from engine.loading.checkpoint import Checkpoint
from engine.loading.load import load
from engine.loading.weights import Weight, copied
from engine.local import chunk_size, model_shape, open_model
from engine.local.model_shape import ModelShape
from engine.modeling import own_kernels
from engine.modeling.decoder import Decoder
from engine.modeling.rope import LongRope
from engine.protocol import Load


@dataclass(frozen=True)
class Subject:
    name: str
    model: Decoder
    config: Any
    """transformers' own."""
    rope: LongRope | None
    shape: ModelShape
    dtype: torch.dtype
    device: torch.device
    random_weights: bool = False

    @property
    def vocabulary(self) -> int:
        return self.model.config.vocabulary

    @property
    def context_length(self) -> int:
        return self.shape.context_length

    def draw(self, count: int, seed: int) -> list[int]:
        """Random token ids, the same for the same seed: what is fast does not depend on them."""
        generator = torch.Generator().manual_seed(seed)
        ids: list[int] = torch.randint(self.vocabulary, (count,), generator=generator).tolist()
        return ids

    def chosen(self, requested: Requested) -> tuple[Choice, Choice]:
        """For a prompt and for one token. Raises AttentionError where that is nothing."""
        here, shape = facts.current(), self.shape.attention(self.dtype)
        prompt = trial.for_prompt(here, shape, requested)
        return prompt, trial.for_token(here, shape, requested, prompt)

    def runner(self, prompt: Choice, decode: Choice, capacity: int) -> Runner:
        """As a session makes it, for a cache of `capacity` tokens."""
        own_kernels.give(self.model)
        ready = open_model.checked_runner(
            self, self.shape, self.dtype, (prompt, decode), self.device, capacity
        )
        if self.device.type == "cuda":
            free = memory.allowed_bytes()
            launching = chunk_size.settle(ready, max(1, capacity - 1), free)
            chunk_size.capture_prompts(ready, launching, free)
        return ready

    def ids(self, tokens: Sequence[int]) -> Tensor:
        """int64 [1, tokens]."""
        return torch.tensor([tokens], device=self.device)

    def described(self) -> result.Model:
        parameters = list(self.model.tensors())
        shape = self.shape
        return result.Model(
            name=self.name,
            random_weights=self.random_weights,
            architecture=self.model.config.architecture,
            parameters=sum(parameter.numel() for parameter in parameters),
            weight_bytes=sum(parameter.nbytes for parameter in parameters),
            dtype=choice.name_of(self.dtype),
            layers=len(shape.layers),
            heads=shape.heads,
            kv_heads=shape.kv_heads,
            head_size=shape.head_size,
            kv_bytes_per_token=shape.cache.bytes_per_token(self.dtype),
            context_length=shape.context_length,
        )


def of_model(model: str) -> Subject:
    """By id or path, loaded as any user's model. Raises what loading raises."""
    here = facts.current()
    device, dtype = here.device, open_model.dtype_of(here, Load(model=model), listing.find(model))
    checkpoint = load(
        listing.resolve(model),
        device=device,
        dtype=dtype,
        progress=lambda *_: None,
    )
    return of_checkpoint(model, checkpoint, device, dtype)


def of_checkpoint(
    name: str, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype
) -> Subject:
    length = int(checkpoint.config.max_position_embeddings)
    shape = model_shape.of_layers(checkpoint.model.config.shapes, length)
    return Subject(name, checkpoint.model, checkpoint.config, checkpoint.rope, shape, dtype, device)


def of_shape(name: str) -> Subject:
    """A key of SHAPES, with random weights made on the device. Raises OutOfMemoryError."""
    device, dtype = device_and_dtype()
    published = SHAPES[name]
    config = published.config()
    torch.manual_seed(0)
    assembled = assemble(
        published.family,
        config,
        (
            Weight(name, tensor.shape, copied(tensor), tensor.nbytes)
            for name, tensor in drawn(published, config, device, dtype)
        ),
        total=0,
        device=device,
        dtype=dtype,
        progress=lambda *_: None,
    )
    shape = model_shape.of_layers(
        assembled.model.config.shapes, int(config.max_position_embeddings)
    )
    return Subject(
        name,
        assembled.model,
        config,
        assembled.rope,
        shape,
        dtype,
        device,
        random_weights=True,
    )


def device_and_dtype() -> tuple[torch.device, torch.dtype]:
    here = facts.current()
    return here.device, facts.native_dtype(here)
