"""One model on the GPU: run by Hearth and by transformers' eager attention, compared in logits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch

from engine.attention import probe, trial
from engine.cache.kv_cache import KVCache
from engine.device import facts
from engine.execution.prompt_graphs import Growing, Launching
from engine.execution.runner import Runner, checked
from engine.execution.sampling import SamplingOptions
from engine.local import model_shape
from engine.modeling import own_kernels
from tests.engine import tiny

CUDA = torch.device("cuda")
PROMPT = 301
DECODED = 4
PROMPTS = 12
"""One tells little: a mixture of experts may send a token elsewhere for a rounding."""


@dataclass(frozen=True)
class Run:
    kernel: str
    reason: str
    prefill: probe.Observation
    decode: probe.Observation
    errors: list[float]
    """Of the logits after prefill and after decode, against eager float32, over all prompts."""
    typical: list[float]
    """The same of the median prompt."""


class GpuModel:
    """A model of transformers in bfloat16, and Hearth's decoder of the same weights."""

    def __init__(self, model: Any) -> None:
        self.reference = model
        source = torch.Generator().manual_seed(4)
        size = (PROMPTS, PROMPT + DECODED)
        draw = torch.randint(0, model.config.vocab_size, size, generator=source)
        self.prompts: list[list[int]] = draw.tolist()
        self.tokens = self.prompts[0]
        cast(model, torch.bfloat16)
        cast(model, torch.float32)
        self.exact = self._last_logits()
        cast(model, torch.bfloat16)
        rounded = self._last_logits()
        self.eager, self.eager_typical = self.errors(rounded), self.typical(rounded)
        loaded = tiny.assembled(model, CUDA, torch.bfloat16)
        self.model, self.rope = loaded.model, loaded.rope
        length = model.config.max_position_embeddings
        self.shape = model_shape.of_layers(self.model.config.shapes, length)
        self.has_kernels = own_kernels.give(self.model)

    @torch.inference_mode()
    def _last_logits(self) -> torch.Tensor:
        """[prompts, 2, vocabulary]. Each length by itself, as LongRoPE has it."""
        rows = [
            self.reference(self.ids(prompt[:end]), use_cache=False, logits_to_keep=1)
            for prompt in self.prompts
            for end in (PROMPT, PROMPT + DECODED)
        ]
        logits = torch.stack([row.logits[0, -1].float() for row in rows])
        return logits.reshape(PROMPTS, 2, -1)

    def errors(self, logits: torch.Tensor) -> list[float]:
        """Norm of the difference to eager float32 over all prompts, relative: [2]."""
        difference = (logits - self.exact).norm(dim=(0, 2)) / self.exact.norm(dim=(0, 2))
        found: list[float] = difference.tolist()
        return found

    def typical(self, logits: torch.Tensor) -> list[float]:
        """Norm of the difference to eager float32, relative, of the median prompt: [2].

        Where a rounding sends a token to another expert the error is as large as the logits; that
        happens to eager bfloat16 as to any other, and to each in other prompts.
        """
        difference = (logits - self.exact).norm(dim=2) / self.exact.norm(dim=2)
        found: list[float] = difference.median(0).values.tolist()
        return found

    def ids(self, tokens: Sequence[int]) -> torch.Tensor:
        return torch.tensor([tokens], device=CUDA)

    def runner(self, *, flash_attn: bool) -> tuple[Runner, str]:
        """By the kernel that Hearth chooses here, and why; as if the flash-attn package were not
        there unless `flash_attn`."""
        here, asked = facts.current(), self.shape.attention(torch.bfloat16)
        if not flash_attn:
            here = dataclasses.replace(here, flash_attn="")
        chosen = trial.for_prompt(here, asked, "auto")
        decode = trial.for_token(here, asked, "auto", chosen)
        cache = KVCache(self.shape.cache, 1024, CUDA, torch.bfloat16, chosen.kernel, decode.kernel)
        ready = checked(self.model, cache, self.rope)
        if (self.model.kernels is not None) != self.has_kernels:
            raise AssertionError("Hearth's own kernels move the logits")
        return ready, chosen.reason

    def run(self, *, flash_attn: bool) -> Run:
        ready, reason = self.runner(flash_attn=flash_attn)
        ready.chunk = 97
        logits = torch.stack([self._logits_of(ready, prompt) for prompt in self.prompts])
        ready.cache.tokens.clear()
        prompt, one = (partial(ready.forward, self.tokens[:count]) for count in (PROMPT, 1))
        return Run(
            ready.cache.kernel,
            reason,
            probe.observe(prompt),
            probe.observe(one),
            self.errors(logits),
            self.typical(logits),
        )

    def replayed(self, *, flash_attn: bool) -> list[float] | None:
        """The errors of the median prompt where its chunks are captured forwards of more tokens;
        None where that cannot be."""
        ready, _ = self.runner(flash_attn=flash_attn)
        if ready.prompts is None:
            return None
        ready.prompts.capture(Launching(math.inf, Growing(0, 0, 1)), 1024, ready.cache.capacity)
        if not ready.prompts.sizes:
            return None
        ready.chunk = 97
        logits = torch.stack([self._logits_of(ready, prompt) for prompt in self.prompts])
        return self.typical(logits)

    def _logits_of(self, ready: Runner, tokens: Sequence[int]) -> torch.Tensor:
        """[2, vocabulary] after the prompt and after the tokens that are decoded."""
        ready.cache.tokens.clear()
        ready.reuse(tokens[:PROMPT])
        for _ in ready.prefill(tokens[:PROMPT]):
            pass
        after_prompt = ready.logits.clone()
        for token in tokens[PROMPT:]:
            ready.forward([token])
        return torch.stack([after_prompt, ready.logits.clone()])


def reply(ready: Runner, prompt: list[int], options: SamplingOptions, count: int) -> list[int]:
    """So many tokens behind a prompt of which the cache holds nothing, by the steps of replies."""
    ready.cache.tokens.clear()
    ready.reuse(prompt)
    for _ in ready.prefill(prompt):
        pass
    tokens = ready.decode(options, prompt, lambda: False)
    found = list(islice(tokens, count))
    tokens.close()
    return found


def cast(model: Any, dtype: torch.dtype) -> None:
    """The parameters alone: rotary frequencies stay float32, as every loader leaves them."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
