"""SmolLM2 and Gemma 3 270M in float32, greedy, against transformers' own generate()."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from engine.attention import interface
from engine.generation import GenerationOptions, generate
from engine.kv_cache import KVCache
from engine.protocol import Finished, Generate, Load, Message, Sampling, Text
from engine.runner import Runner
from engine.sampling import SamplingOptions
from engine.session import Session

NEW_TOKENS = 64
LENGTHS = (1, 7, 40, 200, 600)
TEXT = (
    "The hearth was the centre of the house. People cooked on it, warmed their hands at it and "
    "told stories around it in the evening, while the wind went about the roof. "
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["smollm2-135m-instruct", "gemma-3-270m"])
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    made = Session()
    made.load(Load(model=request.param, dtype="float32"), lambda *_: None)
    yield made
    made.unload()


def reference(session: Session, prompt: list[int]) -> list[int]:
    """transformers' generate(), eager attention, on the very same weights."""
    model: Any = session._opened().checkpoint.model
    model.config._attn_implementation = "eager"
    try:
        ids = torch.tensor([prompt])
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            pad_token_id=0,
        )
    finally:
        model.config._attn_implementation = interface.NAME
    tokens: list[int] = out[0, len(prompt) :].tolist()
    return tokens


@pytest.mark.parametrize("length", LENGTHS)
def test_greedy_text_equals_generate_in_float32(session: Session, length: int) -> None:
    opened = session._opened()
    tokenizer = opened.checkpoint.tokenizer
    prompt = tokenizer(TEXT * 30).input_ids[:length]
    cache = KVCache(opened.shape.cache, 1024, CPU, torch.float32, opened.choice.kernel)
    options = GenerationOptions(SamplingOptions(temperature=0), max_new_tokens=NEW_TOKENS)

    def decode(ids: object) -> str:
        return str(tokenizer.decode(ids, skip_special_tokens=True))

    parts = generate(
        Runner(model_of(session), cache), prompt, options, decode, stopped=lambda: False
    )
    text = "".join(part for part in parts if isinstance(part, str))
    expected = reference(session, prompt)
    assert cache.tokens == prompt + expected[:-1]
    assert text == decode(expected)


def model_of(session: Session) -> torch.nn.Module:
    return session._opened().checkpoint.model


def test_second_turn_prefills_only_what_is_new(session: Session) -> None:
    history = Message(role="user", content=TEXT * 12 + "What was at the centre?")
    greedy = Sampling(temperature=0, max_new_tokens=8)
    first, reply = ask(session, (history,), greedy)
    turns = (
        history,
        Message(role="assistant", content=reply),
        Message(role="user", content="And the wind?"),
    )
    second, _ = ask(session, turns, greedy)
    assert second.reused_tokens >= first.prompt_tokens - 4
    assert second.prompt_tokens - second.reused_tokens < 60


def ask(
    session: Session, messages: tuple[Message, ...], sampling: Sampling
) -> tuple[Finished, str]:
    command = Generate(request="r", messages=messages, sampling=sampling)
    events = list(session.generate(command, lambda: False))
    text = "".join(event.text for event in events if isinstance(event, Text))
    assert isinstance(events[-1], Finished)
    return events[-1], text


def test_cache_is_as_long_as_the_models_context_at_most(session: Session) -> None:
    opened = session._opened()
    assert opened.runner.cache.capacity <= min(8192, opened.shape.context_length)
    assert opened.shape.layers == opened.checkpoint.config.num_hidden_layers
