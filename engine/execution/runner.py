"""Runs a loaded model over its KV cache: prefill in chunks, then one token after another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor

from engine.attention.kernels import KERNELS
from engine.cache.kv_cache import KVCache
from engine.device.onednn import onednn
from engine.execution import prompt_graphs
from engine.execution.cpu_threads import Pace
from engine.execution.decode_graphs import DecodeGraphs
from engine.execution.forward import last_logits
from engine.execution.prompt_graphs import PromptGraphs
from engine.execution.recorded_step import RecordedStep
from engine.execution.sampling import Sampler, SamplingOptions
from engine.kernels import cpu
from engine.modeling import own_kernels
from engine.modeling.decoder import Decoder
from engine.modeling.rope import LongRope

CHUNK = {"cuda": 1024, "mps": 512, "cpu": 128}
"""Tokens a prefill step: large enough to fill the device, small enough to stop within.

On CUDA until chunks were measured (`engine.local.chunk_size`). Not paced by the clock from then
on, so that the same prompt is computed in the same way for as long as the model is loaded.
"""
CHECKED_TOKENS = {"cuda": 37, "cpu": 5}
"""Before the one whose logits are compared. A CPU takes seconds for many."""
MOST_MOVED = 0.25
"""Relative, in bfloat16: two right ways of computing are a hundredth to a tenth apart."""

_log = logging.getLogger(__name__)


class Runner:
    """`graphs` decode if the kernel can be captured; else each token is a forward of its own.

    For a model with Hearth's own kernels by `checked` alone, whose tables of cosines end where the
    cache does.
    """

    def __init__(
        self,
        model: Decoder,
        cache: KVCache,
        rope: LongRope | None = None,
    ) -> None:
        self.model = model
        self.cache = cache
        self.rope = rope
        self.device = cache.device
        self.chunk = CHUNK[self.device.type]
        self.chunk_bytes = 0
        """What the activations of a chunk take; 0 where that was not measured."""
        paced = (1, self.chunk) if self.device.type == "cpu" else ()
        self._paces = {count: Pace(torch.get_num_threads()) for count in paced}
        """By the tokens of a step: what steps of one size take can be compared."""
        captures = KERNELS[cache.decode_kernel].captured
        self.graphs = DecodeGraphs(model, cache) if captures else None
        self.recorded: RecordedStep | None = None
        """On a CPU with Hearth's own kernels, once they were checked."""
        # LongRoPE changes the frequencies that a captured forward would read.
        of_prompts = prompt_graphs.possible(cache) and rope is None
        self.prompts = PromptGraphs(model, cache) if of_prompts else None
        """Empty until `engine.local.chunk_size` found which are worth it."""
        self._sampler: Sampler | None = None
        self.logits = torch.empty(0)
        """Logits [vocabulary] of the last token that `forward` ran, in the model's dtype."""

    def reuse(self, prompt: Sequence[int]) -> int:
        """Keeps what the cache holds of the prompt's beginning; returns how many tokens it is."""
        self._fit(len(prompt))
        return self.cache.reuse(prompt)

    def outgrown(self) -> list[int]:
        """What the cache held, all of it to be run again, where one more token changes its keys.

        Empty for every model but those of LongRoPE, and for those but once in a conversation.
        """
        if self.rope is None or self.rope.fits(len(self.cache) + 1):
            return []
        held = list(self.cache.tokens)
        self._fit(len(held) + 1)
        return held

    def _fit(self, length: int) -> None:
        if self.rope and not self.rope.fits(length):
            self.rope.fit(length)
            self.cache.cut(0)

    def prefill(self, tokens: Sequence[int]) -> Iterator[int]:
        """Appends the tokens chunk by chunk; yields how many are done after each.

        Waits for a GPU at each: it would otherwise be chunks behind what was yielded, and have
        those still to do after a stop.
        """
        done = 0
        while done < len(tokens):
            chunk = tokens[done : done + self.chunk]
            count = self._replayed(chunk)
            if not count:
                self.forward(chunk)
                count = len(chunk)
            if self.device.type != "cpu":
                torch.accelerator.synchronize(self.device)
            done += count
            yield done

    def decode(
        self,
        options: SamplingOptions,
        prompt: Sequence[int],
        stopped: Callable[[], bool],
        reply: Sequence[int] = (),
    ) -> Generator[int, None, None]:
        """Tokens of the reply to what was prefilled, until the cache is full.

        `prompt` is for the penalties, and so is `reply`, the tokens of a reply that goes on;
        `stopped` is asked where a token takes longer than one step. The cache holds what was run
        whenever the generator is left.
        """
        if self._sampler is None:
            vocabulary, dtype = self.logits.shape[0], self.logits.dtype
            self._sampler = Sampler(vocabulary, self.device, dtype)
        self._sampler.begin(options, prompt, reply)
        tokens = self.graphs.tokens if self.graphs else one_token
        while True:
            # LongRoPE's frequencies hold up to a length, and then all is to be run again.
            end = min((self.rope and self.rope.end) or self.cache.capacity, self.cache.capacity)
            last = 0
            for token in tokens(self.logits, self._sampler, end):
                last = token
                yield token
            if not self.cache.free:
                return
            for _ in self.prefill(self.outgrown()):
                if stopped():
                    return
            self.forward([last])

    def _paced(self, count: int) -> AbstractContextManager[None]:
        return self._paces[count].step() if count in self._paces else nullcontext()

    def _replayed(self, tokens: Sequence[int]) -> int:
        """As `forward`, of the first of the tokens; how many, 0 where launching is better."""
        found = self.prompts.run(tokens) if self.prompts else None
        if found is None:
            return 0
        count, self.logits = found
        self.cache.tokens.extend(tokens[:count])
        return count

    @torch.inference_mode()
    def forward(self, tokens: Sequence[int]) -> Tensor:
        """Appends the tokens in one launched step; returns the last one's logits [vocabulary]."""
        step = self.cache.step(len(tokens))
        ids = torch.tensor(tokens, device=self.device)
        with onednn(enabled=len(tokens) > 1), self._paced(len(tokens)):
            if self.recorded is not None and len(tokens) == 1:
                self.logits = self.model.logits(self.recorded.hidden(ids, step))[0]
            else:
                self.logits = last_logits(self.model, ids, step)
        self.cache.tokens.extend(tokens)
        return self.logits


def one_token(logits: Tensor, sampler: Sampler, _end: int) -> Iterator[int]:
    """As `DecodeGraphs.tokens`, with no step that runs ahead: the token that follows."""
    yield int(sampler.draw(logits))


def checked(model: Decoder, cache: KVCache, rope: LongRope | None) -> Runner:
    """Takes Hearth's own kernels from the model if they change what it says."""
    ready = Runner(model, cache, rope)
    if model.kernels is None:
        return ready
    if rope is None:
        model.tabulate(cache.capacity)

    def logits_after(seed: int) -> Tensor:
        source = torch.Generator().manual_seed(seed)
        count = min(CHECKED_TOKENS[cache.device.type], cache.capacity - 1)
        tokens = torch.randint(model.config.vocabulary, (count + 1,), generator=source).tolist()
        cache.cut(0)
        ready.forward(tokens[:count])
        logits = ready.forward(tokens[count:])
        cache.cut(0)
        return logits

    runs = [partial(logits_after, seed) for seed in range(3)]
    error = own_kernels.disagreement(model, runs, enough=MOST_MOVED)
    if not error <= MOST_MOVED:
        model.use(None)
        _log.warning("Hearth's own kernels are not used: they move the logits by %.3g", error)
    elif model.kernels is cpu:
        ready.recorded = RecordedStep(model)
    return ready
