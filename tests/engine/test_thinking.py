"""Thinking told apart from the answer: in text, in the decode loop, and in a session's events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from engine import protocol
from engine.attention.shapes import Keeps
from engine.cache.kv_cache import CacheShape, KVCache
from engine.execution.runner import Runner
from engine.execution.sampling import SamplingOptions
from engine.loading.checkpoint import Checkpoint, GenerationDefaults, control_tokens, end_texts
from engine.local.session import Session
from engine.protocol import Finished, Generate, Message, Sampling, Text, Thinking
from engine.reply.generation import End, GenerationOptions, generate
from engine.reply.thinking import (
    LONE,
    MARKERS,
    TOKEN,
    Markers,
    Piece,
    Rethought,
    Sections,
    Thought,
    marker_tokens,
    may_come_alone,
    opened_by,
)
from tests.engine.prompting import prompts_of

THINK = MARKERS[0]


def told_apart(pieces: Iterable[str], opened: Markers | None = None) -> tuple[str, str]:
    """Thinking and answer."""
    sections = Sections(opened)
    out: list[Piece] = []
    for piece in pieces:
        out += sections.push(piece)
    return joined([*out, *sections.flush()])


def joined(pieces: Iterable[Any]) -> tuple[str, str]:
    kept = list(pieces)
    assert all(kept), "an empty piece is an event for nothing"
    return (
        "".join(piece.text for piece in kept if isinstance(piece, Thought)),
        "".join(piece for piece in kept if isinstance(piece, str)),
    )


# ---------------------------------------------------------------------------- text


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
@pytest.mark.parametrize("markers", MARKERS, ids=lambda markers: markers.opening)
def test_a_section_that_opens_the_reply_is_thinking_however_it_is_cut(
    markers: Markers, size: int
) -> None:
    text = f"\n{markers.opening}\nIs 1 < 2?\n\nYes.\n{markers.closing}\n\n1 < 2, of course. \n"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert told_apart(pieces) == ("Is 1 < 2?\n\nYes.", "1 < 2, of course. \n")


@pytest.mark.parametrize(
    "text",
    [
        "Plain.",
        "  Blanks before it are its own.",
        " \n",
        "",
        "<thin",
        "<b>Bold</b>",
        "Write `</think>` at the end.",
        "First: <think>this is an example</think>, then more.",
        "```\n<think>code</think>\n```",
        "[THINK",
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_a_reply_that_no_marker_opens_is_all_answer(text: str, size: int) -> None:
    assert told_apart([text[at : at + size] for at in range(0, len(text), size)]) == ("", text)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_head_of_an_answer_without_thinking_is_no_text(size: int) -> None:
    text = "<|channel|>final<|message|>Paris."
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert told_apart(pieces) == ("", "Paris.")


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("markers", LONE, ids=lambda markers: markers.closing)
@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("hm\n{}\n\nYes.", "hm", "Yes."),
        ("hm.{}\n\nYes.", "hm.", "Yes."),
        ("{}\n\nYes.", "", "Yes."),
        ("\n\n{}Yes.", "", "Yes."),
        ("{}", "", ""),
        ("hm\n{}", "hm", ""),
    ],
)
def test_a_closing_marker_alone_ends_the_thinking(
    markers: Markers, text: str, thinking: str, answer: str, size: int
) -> None:
    text = text.format(markers.closing)
    assert told_apart(text[at : at + size] for at in range(0, len(text), size)) == (
        thinking,
        answer,
    )


def test_thinking_that_was_shown_as_answer_is_taken_back() -> None:
    long = "Let me see. " * 20
    sections = Sections()
    early = [piece for letter in long for piece in sections.push(letter)]
    assert "".join(map(str, early)) == long.rstrip(), "it streams"
    assert [*sections.push("\nSo.\n</think>\n\nYes.")] == [Rethought(), Thought(" \nSo."), "Yes."]
    assert sections.closed


def test_an_answer_streams_from_the_first_word_if_no_marker_may_come_alone() -> None:
    assert list(Sections(lone=()).push("Yes")) == ["Yes"]
    assert may_come_alone({"</think>"}.__contains__) == (THINK,)


def test_an_opening_marker_that_the_model_repeats_is_no_thought() -> None:
    assert told_apart("<think>\nHm.\n</think>\n\nHi.", THINK) == ("Hm.", "Hi.")
    assert told_apart("<th is no marker</think>Hi.", THINK) == ("<th is no marker", "Hi.")


def test_a_second_section_is_text() -> None:
    text = "<think>a</think>b <think>c</think> d"
    assert told_apart(text) == ("a", "b <think>c</think> d")


def test_a_marker_of_another_model_does_not_close_a_section() -> None:
    assert told_apart("<think>a [/THINK] <think> b</think>c") == ("a [/THINK] <think> b", "c")


def test_an_empty_section_leaves_the_answer_alone() -> None:
    assert told_apart("<think>\n\n</think>\n\nHi.") == ("", "Hi.")


def test_a_section_that_the_prompt_opened_needs_no_marker_in_the_reply() -> None:
    assert told_apart("\nHm.\n</think>\n\nHi.", THINK) == ("Hm.", "Hi.")


@pytest.mark.parametrize(
    ("text", "thought"),
    [("<think>Hm, <", "Hm, <"), ("<think>Hm. \n", "Hm."), ("<think>\n", ""), ("<think>", "")],
)
def test_a_reply_that_ends_in_thinking_has_no_answer(text: str, thought: str) -> None:
    assert told_apart(text) == (thought, "")


def test_thinking_is_told_as_it_comes() -> None:
    sections = Sections()
    said = [list(sections.push(piece)) for piece in ("<think>", "\nOne", " two", "\n</", "b>")]
    assert said == [[], [Thought("One")], [Thought(" two")], [], [Thought("\n</b>")]]
    assert sections.open
    assert list(sections.push("</think>Done")) == ["Done"]
    assert not sections.open


@pytest.mark.parametrize(
    ("prompt", "opened"),
    [
        ("<|Assistant|><think>\n", THINK),
        ("[THINK]", MARKERS[1]),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", None),
        ("What does <think> mean?<|Assistant|>", None),
        ("", None),
    ],
)
def test_a_prompt_opens_a_section_only_at_its_very_end(prompt: str, opened: Markers | None) -> None:
    assert opened_by(prompt) == opened


# ---------------------------------------------------------------------------- tokens


class Reciter:
    """A model that says what it was told to, whatever it is asked."""

    def __init__(self, vocabulary: int, script: Sequence[int]) -> None:
        self._vocabulary = vocabulary
        self._script = iter(script)

    def __call__(self, ids: torch.Tensor, _: object) -> torch.Tensor:
        return ids

    def logits(self, _: torch.Tensor) -> torch.Tensor:
        said = torch.tensor([next(self._script)])
        return functional.one_hot(said, self._vocabulary)


def reciting(script: Sequence[int], vocabulary: int = 512) -> Runner:
    shape = CacheShape((Keeps(kv_heads=1, key_size=1, value_size=1),))
    cache = KVCache(shape, 256, torch.device("cpu"), torch.float32, "sdpa")
    model: Any = Reciter(vocabulary, script)
    return Runner(model, cache)


def letters(ids: Sequence[int]) -> str:
    return "".join(map(chr, ids))


def reply(text: str, **options: Any) -> tuple[str, str, End]:
    """A token a letter; ends with the script."""
    settings = GenerationOptions(SamplingOptions(temperature=0), **options)
    ready = reciting([*map(ord, text), 0])
    parts = list(generate(ready, [1], settings, letters, lambda: False))
    end = parts[-1]
    assert isinstance(end, End)
    thinking, answer = joined(part for part in parts if isinstance(part, Thought | str))
    return thinking, answer, end


END: dict[str, Any] = {"end_tokens": frozenset({0})}


def test_stop_strings_end_the_answer_and_not_the_thinking() -> None:
    text = "<think>one STOP two</think>three STOP four"
    assert reply(text, stop=("STOP",), **END)[:2] == ("one STOP two", "three ")


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("Yes<|im_end|>!?", "", "Yes"),
        ("<think>Hm<|im_end|>!?", "Hm", ""),
        ("<think>Hm</think>a <|im_ b<|im_end|>", "Hm", "a <|im_ b"),
        ("a<|im_end", "", "a<|im_end"),
    ],
)
def test_an_end_that_is_text_ends_the_reply_in_thinking_too(
    text: str, thinking: str, answer: str
) -> None:
    said = reply(text, end_texts=("<|im_end|>",), **END)
    assert said[:2] == (thinking, answer)
    assert said[2].reason == "stop"


def test_ends_of_a_turn_that_the_template_writes_are_looked_for_unless_they_are_tokens() -> None:
    tokenizer = a_tokenizer(MARKERS[0], special=False)
    template = "<|im_start|>{{ m }}<|im_end|></p><|user|><|return|><|end|>"
    assert end_texts(template, tokenizer) == ("<|im_end|>",)
    assert end_texts("<|end|>", tokenizer) == ("<|end|>",)
    assert end_texts(None, tokenizer) == ()


def test_a_stop_string_held_back_at_the_end_is_not_lost() -> None:
    assert reply("<think>a</think>b ST", stop=("STOP",), **END)[:2] == ("a", "b ST")


def test_thinking_that_is_taken_back_is_counted() -> None:
    section = "Let me see. " * 10 + "\n</think>"
    thinking, answer, end = reply(section + "Yes.", lone_markers=(THINK,), stop=("STOP",), **END)
    assert (thinking, answer) == ("", "Let me see. " * 9 + "Let me see." + "Yes.")
    assert end.thinking_tokens == len(section)


def test_tokens_up_to_the_end_of_the_thinking_are_counted() -> None:
    section = "<think>one</think>"
    assert reply(section + "two", **END)[2].thinking_tokens == len(section)
    assert reply("two", **END)[2].thinking_tokens == 0
    assert reply("one</think>two", opened_thinking=THINK, **END)[2].thinking_tokens == 11


@pytest.mark.parametrize(
    ("most", "thought", "reason"), [(10, "Hm,", "length"), (None, "Hm, so", "stop")]
)
def test_a_reply_may_end_within_its_thinking(most: int | None, thought: str, reason: str) -> None:
    thinking, answer, end = reply("<think>Hm, so", max_new_tokens=most, **END)
    assert (thinking, answer, end.reason) == (thought, "", reason)
    assert end.thinking_tokens == len("<think>" + thought)


def a_tokenizer(markers: Markers, *, special: bool) -> PreTrainedTokenizerFast:
    """Byte-level, as those of all models that think; markers are tokens of their own."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: at for at, letter in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_tokens([AddedToken(token, special=True) for token in ("<|user|>", "<|return|>")])
    parts = dict.fromkeys(TOKEN.findall(markers.opening + markers.closing))
    made.add_tokens([AddedToken(part, special=special) for part in parts])
    return PreTrainedTokenizerFast(tokenizer_object=made)


def whole(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def test_markers_that_are_special_tokens_are_text_and_other_special_tokens_are_not() -> None:
    tokenizer = a_tokenizer(MARKERS[1], special=True)
    shown = marker_tokens(control_tokens(tokenizer))
    assert set(tokenizer.convert_ids_to_tokens(list(shown))) == {"[THINK]", "[/THINK]"}
    assert not marker_tokens({"<|return|>": 3})


# ---------------------------------------------------------------------------- events


def events(markers: Markers, *, special: bool, opening: str, said: str) -> list[protocol.Event]:
    """What a session puts out for a model that says this after a prompt of that template."""
    tokenizer = a_tokenizer(markers, special=special)
    control = control_tokens(tokenizer)
    end = control["<|return|>"]
    template = "{% for m in messages %}<|user|>{{ m.content }}{% endfor %}<|end|>" + opening
    runner = reciting([*whole(tokenizer, said), end])
    checkpoint = Checkpoint(
        model=runner.model,
        rope=None,
        tokenizer=tokenizer,
        prompts=prompts_of(tokenizer, control, template, 512),
        chat_template=template,
        config=SimpleNamespace(vocab_size=512),
        generation=GenerationDefaults(temperature=0.0, eos_token_ids=frozenset({end})),
        notes=(),
        architecture="",
        control_tokens=control,
    )
    loaded: Any = SimpleNamespace(checkpoint=checkpoint, runner=runner, attention=None)
    session = Session()
    session._open = loaded
    command = Generate(
        request="r",
        messages=(Message(role="user", content="What does <think> do? <think>"),),
        sampling=Sampling(seed=0),
    )
    return list(session.generate(command, lambda: False))


@pytest.mark.parametrize("special", [False, True], ids=["ordinary", "special"])
@pytest.mark.parametrize("markers", MARKERS, ids=lambda markers: markers.opening)
@pytest.mark.parametrize("opens", ["prompt", "reply"])
def test_a_session_tells_thinking_and_answer_as_events_of_their_own(
    markers: Markers, special: bool, opens: str
) -> None:
    opening, begin = (markers.opening + "\n", "") if opens == "prompt" else ("", markers.opening)
    said = f"{begin}Hm, é.\n{markers.closing}\n\nHi <b>."
    out = events(markers, special=special, opening=opening, said=said)
    kinds = [type(event) for event in out if isinstance(event, Thinking | Text)]
    assert kinds == sorted(kinds, key=[Thinking, Text].index), "thinking comes first"
    assert "".join(event.text for event in out if isinstance(event, Thinking)) == "Hm, é."
    assert "".join(event.text for event in out if isinstance(event, Text)) == "Hi <b>."
    finished = out[-1]
    assert isinstance(finished, Finished)
    assert 0 < finished.thinking_tokens < finished.new_tokens


@pytest.mark.parametrize("special", [False, True], ids=["ordinary", "special"])
def test_a_marker_that_the_user_wrote_opens_nothing(special: bool) -> None:
    out = events(THINK, special=special, opening="", said="It opens a section.")
    assert not [event for event in out if isinstance(event, Thinking)]
    assert "".join(event.text for event in out if isinstance(event, Text)) == "It opens a section."
