"""SmolLM2 and Gemma 3 270M in float32, greedy, as GGUF and as safetensors, against transformers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.bench import reference
from engine.bench.peers import generated
from engine.cache.kv_cache import KVCache
from engine.execution.runner import Runner
from engine.execution.sampling import SamplingOptions
from engine.local.session import Session
from engine.protocol import Finished, Generate, Load, Message, Sampling, Text
from engine.reply.generation import GenerationOptions, generate

NEW_TOKENS = 16
TEXT = (
    "The hearth was the centre of the house. People cooked on it, warmed their hands at it and "
    "told stories around it in the evening, while the wind went about the roof. "
)
PROMPTS = (
    "The",
    "What is the capital of France?",
    "1, 2, 3, 5, 8, 13,",
    "def fibonacci(n: int) -> int:\n    ",
    "Dear Sir or Madam,\n\nI am writing to",
    "Die Hauptstadt von Deutschland ist",
    "La capitale de l'Italie est",
    "日本の首都は",
    "Столица России —",
    "🙂🙂🙂 means",
    "E = mc² and F =",
    "<html>\n<head>\n<title>",
    "Q: Why is the sky blue?\nA:",
    "- eggs\n- milk\n- ",
    "It's a truth universally acknowledged, that a single man",
    "   leading blanks, and\ttabs\t\tand\n\n\nnewlines",
    '{"name": "Ada", "born": 1815, "',
    "naïve café, coöperate, Ångström, ﬁne",
    TEXT * 4 + "In the evening",
    TEXT * 14 + "So the house",
)
CPU = torch.device("cpu")
MODELS = ("smollm2-135m-instruct", "gemma-3-270m")


@pytest.fixture(scope="module", params=[(m, f) for m in MODELS for f in ("gguf", "safetensors")])
def session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    model, form = request.param
    made = Session()
    made.load(Load(model=model, dtype="float32", context_length=2048), lambda *_: None)
    if form == "safetensors":
        folder = tmp_path_factory.mktemp("folder") / model
        save(made, folder)
        made.load(Load(model=str(folder), dtype="float32", context_length=2048), lambda *_: None)
    yield made
    made.unload()


def save(session: Session, folder: Path) -> None:
    """As transformers publishes a model: its own writer, and the tokenizer's files."""
    checkpoint: Any = session._opened().checkpoint
    reference.of_decoder(checkpoint.model, checkpoint.config).save_pretrained(folder)
    tokenizer = checkpoint.tokenizer
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    spelled = {name: getattr(tokenizer, name) for name in ("bos_token", "eos_token", "unk_token")}
    settings = {**spelled, "chat_template": checkpoint.chat_template}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")


def eager(session: Session) -> Any:
    """transformers' own model and attention on the very same weights."""
    checkpoint = session._opened().checkpoint
    return reference.of_decoder(checkpoint.model, checkpoint.config)


def replied(session: Session, prompt: Sequence[int]) -> tuple[list[int], str]:
    """Hearth's greedy tokens and text, from an empty cache."""
    opened = session._opened()
    tokenizer = opened.checkpoint.tokenizer
    cache = KVCache(opened.shape.cache, 1024, CPU, torch.float32, opened.choice.kernel)
    options = GenerationOptions(SamplingOptions(temperature=0), max_new_tokens=NEW_TOKENS)

    def decode(ids: object) -> str:
        return str(tokenizer.decode(ids, skip_special_tokens=True))

    runner = Runner(opened.checkpoint.model, cache)
    parts = list(generate(runner, prompt, options, decode, stopped=lambda: False))
    text = "".join(part for part in parts if isinstance(part, str))
    last = int(runner.logits.argmax())
    tokens = [*cache.tokens[len(prompt) :], last]
    assert text == decode(tokens)
    return tokens, text


@pytest.mark.parametrize("number", range(len(PROMPTS)))
def test_greedy_tokens_are_those_of_transformers(session: Session, number: int) -> None:
    """Eager reads prompt and reply at once and must choose, at each place, what Hearth chose."""
    prompt = session._opened().checkpoint.tokenizer(PROMPTS[number]).input_ids
    tokens, _ = replied(session, prompt)
    with torch.inference_mode():
        ids = torch.tensor([[*prompt, *tokens]])
        logits = eager(session)(ids, use_cache=False, logits_to_keep=NEW_TOKENS + 1).logits[0]
    assert tokens == logits.argmax(-1).tolist()[:-1]


@pytest.mark.parametrize("length", [7, 200])
def test_greedy_tokens_are_those_of_generate(session: Session, length: int) -> None:
    prompt = session._opened().checkpoint.tokenizer(TEXT * 30).input_ids[:length]
    tokens, _ = replied(session, prompt)
    ids = torch.tensor([prompt])
    out = generated(eager(session), ids, NEW_TOKENS)
    assert tokens == out[0, length:].tolist()


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


def ask(session: Session, messages: Sequence[Message], sampling: Sampling) -> tuple[Finished, str]:
    command = Generate(request="r", messages=tuple(messages), sampling=sampling)
    events = list(session.generate(command, lambda: False))
    text = "".join(event.text for event in events if isinstance(event, Text))
    assert isinstance(events[-1], Finished)
    return events[-1], text


def test_cache_is_as_long_as_the_models_context_at_most(session: Session) -> None:
    opened = session._opened()
    assert opened.runner.cache.capacity <= min(8192, opened.shape.context_length)
    assert len(opened.shape.layers) == opened.checkpoint.config.num_hidden_layers


# ---------------------------------------------------------------------------- a long conversation

TURNS = 30
QUESTIONS = ("Name a colour.", "Why?", "And another?", "What is 7 times 8?", "Tell me more.", "Hm.")


@pytest.fixture(scope="module")
def talker() -> Iterator[Session]:
    made = Session()
    made.load(Load(model=MODELS[0], dtype="float32", context_length=2048), lambda *_: None)
    yield made
    made.unload()


def test_thirty_turns_with_edits_are_each_as_if_computed_from_scratch(talker: Session) -> None:
    """A user goes on, asks again, or changes an earlier message; the cache must not be noticed."""
    chance = random.Random(5)
    greedy = Sampling(temperature=0, max_new_tokens=6)
    messages: list[Message] = []
    reused = 0
    done = dict.fromkeys(("go on", "regenerate", "edit"), 0)
    for turn in range(TURNS):
        deed = (
            "go on"
            if len(messages) < 4
            else chance.choice(("go on", "regenerate", "regenerate", "edit"))
        )
        done[deed] += 1
        if deed == "regenerate":
            messages.pop()
        else:
            if deed == "edit":
                del messages[2 * chance.randrange(len(messages) // 2) :]
            question = f"{chance.choice(QUESTIONS)} ({turn})"
            messages.append(Message(role="user", content=question))
        end, text = ask(talker, messages, greedy)
        reused += end.reused_tokens
        kept = list(talker._opened().runner.cache.tokens)
        talker._opened().runner.cache.tokens.clear()
        scratch, expected = ask(talker, messages, greedy)
        assert (text, kept) == (expected, talker._opened().runner.cache.tokens)
        assert scratch.reused_tokens == 0
        messages.append(Message(role="assistant", content=text or "..."))
    assert min(done.values()) >= 3
    assert reused > 0
