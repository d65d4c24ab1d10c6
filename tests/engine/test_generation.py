"""Prefill, decode, reuse and stop on small random models, against transformers' own eager path."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
)

from engine.cache.kv_cache import KVCache
from engine.errors import PromptError
from engine.execution.runner import Runner
from engine.execution.sampling import SamplingOptions
from engine.local import model_shape
from engine.reply.generation import End, GenerationOptions, Progress, generate
from tests.engine import tiny

CPU = torch.device("cpu")
SIZES: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 96,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
    "pad_token_id": None,
}
GEMMA: dict[str, Any] = {"sliding_window": 24, "query_pre_attn_scalar": 16}
LAYERS = ["sliding_attention", "full_attention"] * 2
MODELS = {
    "llama": (LlamaForCausalLM, LlamaConfig(**SIZES)),
    "gemma2": (Gemma2ForCausalLM, Gemma2Config(**SIZES, **GEMMA)),
    "gemma3": (Gemma3ForCausalLM, Gemma3TextConfig(**SIZES, **GEMMA, layer_types=LAYERS)),
}
GREEDY = SamplingOptions(temperature=0)


def decode(ids: Sequence[int]) -> str:
    return "".join(chr(0x100 + token) for token in ids)


def eager(family: str) -> Any:
    """transformers' model, with the same weights for every call of a family."""
    made, config = copy.deepcopy(MODELS[family])
    torch.manual_seed(1)
    config._attn_implementation = "eager"
    return made(config).eval()


def runner(family: str, capacity: int = 256) -> Runner:
    model = tiny.assembled(eager(family)).model
    shape = model_shape.of_layers(model.config.shapes, 512)
    kernel = "math" if shape.softcap else "sdpa"
    return Runner(model, KVCache(shape.cache, capacity, CPU, torch.float32, kernel))


def prompt(length: int, seed: int = 0) -> list[int]:
    source = torch.Generator().manual_seed(seed)
    return torch.randint(3, 320, (length,), generator=source).tolist()


def eager_logits(family: str, tokens: Sequence[int]) -> torch.Tensor:
    """[vocabulary] after the last token, without any cache."""
    with torch.inference_mode():
        logits: torch.Tensor = eager(family)(torch.tensor([tokens]), use_cache=False).logits[0, -1]
    return logits


def run(ready: Runner, tokens: Sequence[int], **options: Any) -> tuple[str, End, list[Progress]]:
    settings = GenerationOptions(**{"sampling": GREEDY, "max_new_tokens": 16, **options})
    parts = list(generate(ready, tokens, settings, decode, lambda: False))
    assert isinstance(parts[-1], End)
    text = "".join(part for part in parts if isinstance(part, str))
    return text, parts[-1], [part for part in parts if isinstance(part, Progress)]


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("chunk", [1000, 17, 1])
def test_logits_match_eager_at_prefill_in_chunks_and_decode(family: str, chunk: int) -> None:
    ready, tokens = runner(family), prompt(61)
    ready.chunk = chunk
    list(ready.prefill(tokens))
    torch.testing.assert_close(ready.logits, eager_logits(family, tokens), rtol=1e-4, atol=1e-4)
    for token in (5, 6, 7):
        tokens.append(token)
        ready.forward([token])
        torch.testing.assert_close(ready.logits, eager_logits(family, tokens), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", MODELS)
def test_greedy_reply_equals_one_computed_from_scratch_after_reuse(family: str) -> None:
    ready, tokens = runner(family), prompt(40)
    first, _, _ = run(ready, tokens)
    longer = [*tokens, *prompt(9, seed=1)]
    again, end, _ = run(ready, longer)
    fresh, _, _ = run(runner(family), longer)
    assert (again, end.reused_tokens) == (fresh, 40)
    branch = [*tokens[:20], *prompt(9, seed=2)]
    edited, end, _ = run(ready, branch)
    assert (edited, end.reused_tokens) == (run(runner(family), branch)[0], 20)
    assert run(ready, tokens)[0] == first


def test_progress_counts_reused_tokens_and_ends_at_the_prompt() -> None:
    ready = runner("llama")
    ready.chunk = 16
    run(ready, prompt(40))
    _, end, progress = run(ready, [*prompt(40), *prompt(20, seed=3)])
    assert [part.done for part in progress] == [40, 56, 60]
    assert (end.prompt_tokens, end.reused_tokens, end.new_tokens) == (60, 40, 16)


def test_end_tokens_end_the_reply_without_text() -> None:
    text, _, _ = run(runner("llama"), prompt(30))
    last = ord(text[4]) - 0x100
    shorter, end, _ = run(runner("llama"), prompt(30), end_tokens=frozenset({last}))
    assert shorter == text[: text.index(chr(0x100 + last))]
    assert end.reason == "stop"


def test_stop_string_ends_the_reply_before_it() -> None:
    text, _, _ = run(runner("llama"), prompt(30))
    shorter, end, _ = run(runner("llama"), prompt(30), stop=(text[5:8],))
    assert shorter == text[: text.index(text[5:8])]
    assert end.reason == "stop"


def test_reply_ends_when_the_context_is_full_and_says_so() -> None:
    ready = runner("llama", capacity=48)
    _, end, _ = run(ready, prompt(40), max_new_tokens=None)
    assert (end.reason, end.new_tokens) == ("context", 9)


@pytest.mark.parametrize(("length", "words"), [(0, "empty"), (48, "context holds 48")])
def test_prompts_that_cannot_run_are_refused(length: int, words: str) -> None:
    with pytest.raises(PromptError, match=words):
        run(runner("llama", capacity=48), prompt(length))


def test_stop_in_prefill_ends_within_one_chunk_and_leaves_the_cache_valid() -> None:
    ready, tokens = runner("llama"), prompt(60)
    ready.chunk = 16
    settings = GenerationOptions(GREEDY, max_new_tokens=8)
    parts = list(generate(ready, tokens, settings, decode, lambda: len(ready.cache) >= 32))
    assert isinstance(parts[-1], End)
    assert (parts[-1].reason, len(ready.cache)) == ("stopped", 32)
    text, end, _ = run(ready, tokens)
    assert (text, end.reused_tokens) == (run(runner("llama"), tokens)[0], 32)


def test_stop_in_decode_ends_within_one_token() -> None:
    ready = runner("llama")
    asked = iter(range(100))
    settings = GenerationOptions(GREEDY)
    parts = list(generate(ready, prompt(20), settings, decode, lambda: next(asked) >= 3))
    assert isinstance(parts[-1], End)
    assert (parts[-1].reason, parts[-1].new_tokens) == ("stopped", 3)


def test_same_seed_same_reply() -> None:
    warm = SamplingOptions(temperature=2.0, seed=11)
    replies = {run(runner("llama"), prompt(20), sampling=warm)[0] for _ in range(2)}
    assert len(replies) == 1
