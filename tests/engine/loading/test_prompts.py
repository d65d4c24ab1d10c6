"""A prompt is made in bounded time and memory, or refused; Stop ends it at once."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import CheckpointError, PromptError
from engine.loading.checkpoint import TAG, control_tokens
from engine.loading.sandbox import encoding, prompts
from engine.loading.sandbox.child import (
    Child,
    ChildError,
    LateError,
    StartError,
    StoppedError,
    never,
)
from engine.loading.sandbox.encoding import Finder
from engine.loading.sandbox.prompts import Messages, Prompts
from tests.engine import tiny
from tests.engine.prompting import CONTEXT, prompts_of

HELLO = (("user", "Hello"),)
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
LOOPS_IF_ASKED = "{{ messages[0].content }}{% if messages[0].content == 'loop' %}" + LOOP
LOOPS_IF_ASKED += "{% endif %}"
SAID = "{{ messages[-1].content }}"
ROWS = len(tiny.VOCABULARY)


def fast() -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tiny.tokenizer(), clean_up_tokenization_spaces=False
    )


def here(template: str) -> Prompts:
    tokenizer = fast()
    return prompts_of(tokenizer, control_tokens(tokenizer), template, ROWS)


def in_child(folder: Path, template: str) -> Prompts:
    tokenizer = fast()
    child = prompts.child_of(folder / "tokenizer.json")
    return Prompts(child, tokenizer, control_tokens(tokenizer), template, ROWS)


def text_of(template: str, messages: Messages) -> str:
    return str(fast().decode(here(template).ids(messages, CONTEXT)))


# ---------------------------------------------------------------------------- Stop and the deadline


def after(seconds: float) -> Callable[[], bool]:
    at = time.monotonic() + seconds
    return lambda: time.monotonic() > at


def test_stop_ends_a_prompt_that_is_being_made_and_the_next_one_is_made(folder: Path) -> None:
    made = in_child(folder, LOOPS_IF_ASKED)
    assert made.ids(HELLO, CONTEXT)
    begin = time.monotonic()
    with pytest.raises(StoppedError):
        made.ids((("user", "loop"),), CONTEXT, after(0.3))
    assert time.monotonic() - begin < 0.6
    assert made.ids(HELLO, CONTEXT)


def test_who_has_stopped_before_is_not_made_a_prompt(folder: Path) -> None:
    made = in_child(folder, SAID)
    made.ids(HELLO, CONTEXT)
    process = made._child._process
    with pytest.raises(StoppedError):
        made.ids(HELLO, CONTEXT, lambda: True)
    assert made._child._process is process


def slow_pieces(folder: Path) -> Path:
    """Its regular expression takes the square of a run of letters."""
    cut = {"type": "Split", "pattern": {"Regex": r"[a-y]+\d"}, "behavior": "Isolated"}
    spell = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    steps = [{**cut, "invert": False}, {**spell, "use_regex": False}]
    tiny.edit_json(
        folder / "tokenizer.json", pre_tokenizer={"type": "Sequence", "pretokenizers": steps}
    )
    return folder


def test_all_pieces_of_a_prompt_have_one_deadline(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes less than that."""
    template = SAID + "{% for i in range(9000) %}<|im_start|>{{ 'a' * 2000 }}{% endfor %}"
    made = in_child(slow_pieces(folder), template)
    made._child.open()
    monkeypatch.setattr(prompts, "TIME_LIMIT", 2.0)
    begin = time.monotonic()
    with pytest.raises(PromptError, match="did not come to an end with this conversation within 2"):
        made.ids(HELLO, 10_000_000)
    assert time.monotonic() - begin < 4


def test_the_seconds_of_a_start_are_the_prompts_and_a_slow_start_goes_on(folder: Path) -> None:
    child = prompts.child_of(folder / "tokenizer.json")
    with pytest.raises(ChildError, match=r"it is not ready after 0\.001 seconds"):
        child.ask({}, 0.001)
    process = child._process
    assert process is not None
    child.open()
    assert child._process is process


# ---------------------------------------------------------------------------- how much of it


def test_control_tokens_are_found_in_linear_time() -> None:
    """By trying each at each letter this takes hours, with the GIL held."""
    words = [f"{'a' * 480}{index:03}z" for index in range(200)]
    begin = time.thread_time()
    assert Finder([*words, "<end>"]).split("a" * 3_000_000 + "<end>b")[1:] == ["<end>", "b"]
    assert time.thread_time() - begin < 10


@pytest.mark.parametrize(
    ("words", "text", "parts"),
    [
        (["<a>", "<a><b>"], "x<a><b><a>", ["x", "<a><b>", "", "<a>", ""]),
        (["aab", "ab"], "aaab<", ["a", "aab", "<"]),
        (["<\U0001f525>"], "é<\U0001f525>日", ["é", "<\U0001f525>", "日"]),
        ([], "é", ["é"]),
        (["<a>"], "", [""]),
        (["", "a"], "bab", ["b", "a", "b"]),
    ],
)
def test_words_are_found_from_left_to_right_the_longest_first(
    words: list[str], text: str, parts: list[str]
) -> None:
    assert Finder(words).split(text) == parts


def test_tags_of_a_template_are_found_in_linear_time() -> None:
    begin = time.thread_time()
    assert TAG.findall("<[" * 1_000_000 + "<think>") == ["<think>"]
    assert time.thread_time() - begin < 5


def test_of_a_text_with_more_tokens_than_the_context_only_a_part_is_encoded() -> None:
    """Encoding all of it takes many seconds."""
    made = here(SAID + "{{ 'a' * 19000000 }}")
    begin = time.thread_time()
    with pytest.raises(PromptError, match="has more than 128 tokens and the context holds 128"):
        made.ids(HELLO, 128)
    assert time.thread_time() - begin < 2


def test_encoding_ends_behind_twice_the_context() -> None:
    tokenizer = tiny.tokenizer()
    encoder = encoding.Encoder(tokenizer, {"<|im_end|>": ROWS - 1})
    many = "a<|im_end|>" * 1000
    assert len(encoder.ids(many, {}, 2000)) == 2000
    with pytest.raises(encoding.TooLongError):
        encoder.ids(many, {}, 1999)


def test_how_many_tokens_a_prompt_has_is_known_up_to_twice_the_context() -> None:
    made = here(SAID)
    assert len(made.ids((("user", "x" * 190),), 100)) == 190
    with pytest.raises(PromptError, match="has more than 100 tokens and the context holds 100"):
        made.ids((("user", "x" * 210),), 100)


def test_a_text_of_few_tokens_a_letter_is_not_refused_for_its_letters() -> None:
    """A tokenizer may make one token of very many letters, or none."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"a": 0, "?": 1}, "?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    text = "a" + " " * 300_000 + "a"
    assert encoding.Encoder(tokenizer, {}).ids(text, {}, 4) == [0, 0]


def test_a_conversation_of_more_letters_than_a_rendering_may_have_is_not_sent() -> None:
    child: Any = None  # is not asked
    made = here(SAID)
    made._child = child
    with pytest.raises(PromptError, match="has more than 8,192 tokens"):
        made.ids((("user", "x" * 20_000_001),), 8192)


def test_too_many_letters_of_added_tokens_are_refused(folder: Path) -> None:
    """15,000 tokens of 3,900 letters took 66 s and 6 GB at the first prompt."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    added = [
        {"id": 1000 + index, "content": f"{index}".ljust(3900, "x"), "special": True, **flags}
        for index in range(200)
    ]
    tiny.edit_json(folder / "tokenizer.json", added_tokens=added)
    begin = time.monotonic()
    with pytest.raises(CheckpointError, match="the tokens that it adds have 780,000 letters"):
        tiny.load(folder)
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("does", ["write", "sleep"])
def test_a_child_that_answers_too_much_or_nothing_is_ended(does: str) -> None:
    """With a request that is longer than a pipe: it is not read."""
    child = Child("tests.engine.loading.overflowing_program", does, start_limit=30.0)
    child.open()
    process = child._process
    assert process is not None
    request = "x" * 1_000_000
    if does == "write":
        with pytest.raises(ChildError, match="it answers too much"):
            child.ask(request, 30.0, most=10_000_000)
    else:
        with pytest.raises(LateError, match=r"did not end within 0\.3 seconds"):
            child.ask(request, 0.3)
    assert process.wait(10) != 0


@pytest.mark.skipif(sys.platform == "win32", reason="there the clock alone limits it")
def test_a_child_that_computes_too_long_before_it_is_ready_is_ended() -> None:
    child = Child("tests.engine.loading.overflowing_program", "compute", start_limit=60.0)
    with pytest.raises(StartError, match="it computes for too long"):
        child.open()


# ---------------------------------------------------------------------------- what is believed


class Answering:
    """A child of which a stranger has got hold."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def open_with(self, opening: Any) -> None:
        pass

    def ask(
        self, request: Any, limit: float, stopped: Callable[[], bool] = never, most: int = 0
    ) -> Any:
        return self._answer


@pytest.mark.parametrize(
    "answer",
    [
        {"ids": []},
        {"ids": [-1]},
        {"ids": [0, ROWS]},
        {"ids": [1.0]},
        {"ids": [True]},
        {"ids": ["1"]},
        {"ids": [[1]]},
        {"ids": 1},
        {"ids": None},
        {},
        [],
        None,
        "ids",
    ],
    ids=str,
)
def test_what_is_no_list_of_the_models_tokens_is_not_believed(answer: Any) -> None:
    child: Any = Answering(answer)
    made = Prompts(child, fast(), {}, SAID, ROWS)
    with pytest.raises(PromptError, match="makes nothing of this conversation that the model can"):
        made.ids(HELLO, CONTEXT)


# ---------------------------------------------------------------------------- contents


END = "<|im_end|>"
PARTS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for part in m['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>{% endfor %}"
)
FIRST = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m['content'][0]['text'] }}<|im_end|>"
    "{% endfor %}"
)
OF_THE_USER = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'user' %}"
    "{% for part in m.content %}{{ part.text }}{% endfor %}{% else %}{{ m.content }}{% endif %}"
    "<|im_end|>{% endfor %}"
)
SELECTED = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% for part in m.content | selectattr('type', 'equalto', 'text') %}{{ part.text }}{% endfor %}"
    "<|im_end|>{% endfor %}"
)


@pytest.mark.parametrize("template", [PARTS, FIRST, OF_THE_USER, SELECTED])
@pytest.mark.parametrize("word", ["Marmalade", "user", "x", "text"])
def test_a_template_that_takes_contents_as_parts_gets_them(template: str, word: str) -> None:
    """Though a word that the template writes itself would be found in what it makes of texts."""
    messages = (("user", "Hi"), ("assistant", "Well?"), ("user", word))
    assert text_of(template, messages) == (
        f"<|im_start|>user\nHi{END}<|im_start|>assistant\nWell?{END}<|im_start|>user\n{word}{END}"
    )


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages[-1].content | trim | title }}",
        "{{ messages[-1].content | upper }}",
        "{{ messages[-1].content.replace('o', '0') }}",
        "{{ messages[-1].content | tojson(ensure_ascii=true) }}",
        "{{ messages[-1].content | e }}",
        "{{ messages[-1].content[:9] }}",
        "{% if messages[-1].content is string %}{{ messages[-1].content }}{% endif %}",
    ],
)
def test_a_template_may_write_what_the_user_wrote_in_its_own_way(template: str) -> None:
    assert text_of(template, (("user", " zoé\n<b>'oo'</b> & more than that "),))


@pytest.mark.parametrize(
    "template",
    ["Hello", "{{ messages[0].content }}", "{{ messages | length }}", "{{ 'a' * 10000 }}"],
)
def test_a_template_that_leaves_out_what_the_user_wrote_last_is_refused(template: str) -> None:
    messages = (("user", "Hi"), ("assistant", "Well?"), ("user", "Marmalade"))
    with pytest.raises(PromptError, match="chat template leaves out what you wrote"):
        text_of(template, messages)


@pytest.mark.parametrize("messages", [(("system", "a"),), (("user", " "), ("assistant", "b"))])
def test_who_has_written_nothing_is_not_left_out(messages: Messages) -> None:
    template = "{% for m in messages %}[{{ m.content | trim }}]{% endfor %}"
    assert "[" in text_of(template, messages)


def test_a_template_knows_the_special_tokens_that_transformers_gives_it() -> None:
    from transformers import PreTrainedTokenizerFast

    named = {f"{kind}_token": f"<{kind}>" for kind in ("eos", "pad", "cls", "sep", "mask")}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tiny.tokenizer(), **named)
    template = (
        "{{ pad_token }}{{ cls_token }}{{ sep_token }}{{ mask_token }}{{ eos_token }}"
        "{{ bos_token + 'none' }}{{ tools is none }}{{ documents is none }}" + SAID
    )
    made = prompts_of(tokenizer, control_tokens(tokenizer, template), template)
    assert tokenizer.decode(made.ids(HELLO, CONTEXT)) == (
        "<pad><cls><sep><mask><eos>noneTrueTrueHello"
    )
