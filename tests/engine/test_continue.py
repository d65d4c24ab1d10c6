"""A reply that ended in the middle goes on as if it had not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from engine.errors import PromptError
from engine.local.session import Session
from engine.protocol import Finished, Generate, Load, Message, Sampling, Text, Thinking
from engine.reply import thinking

WHOLE = 28
PART = 11
ASKED = Message(role="user", content="Tell me about the sea in three sentences.")
SAMPLINGS = (
    Sampling(temperature=0),
    Sampling(temperature=0.9, seed=7),
    Sampling(temperature=0.8, seed=3, repetition_penalty=1.2, frequency_penalty=0.5),
)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    made = Session()
    made.load(
        Load(model="smollm2-135m-instruct", dtype="float32", context_length=512), lambda *_: None
    )
    yield made
    made.unload()


def replied(
    session: Session,
    messages: Sequence[Message],
    sampling: Sampling,
    new_tokens: int,
    *,
    continues: bool = False,
) -> tuple[str, Finished]:
    limited = Sampling(
        **{name: getattr(sampling, name) for name in sampling.__struct_fields__}
        | {"max_new_tokens": new_tokens}
    )
    command = Generate(request="r", messages=tuple(messages), sampling=limited, continues=continues)
    events = list(session.generate(command, lambda: False))
    assert isinstance(events[-1], Finished)
    return "".join(e.text for e in events if isinstance(e, Text)), events[-1]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["greedy", "seed", "penalties"])
def test_it_has_the_tokens_that_it_would_have_had(session: Session, sampling: Sampling) -> None:
    whole, _ = replied(session, [ASKED], sampling, WHOLE)
    tokens = session._written[-1].tokens
    first, ended = replied(session, [ASKED], sampling, PART)
    assert ended.finish_reason == "length"
    begun = Message(role="assistant", content=first)
    rest, end = replied(session, [ASKED, begun], sampling, WHOLE - PART, continues=True)
    assert first + rest == whole
    assert session._written[-1].tokens == tokens
    assert end.reused_tokens == end.prompt_tokens - 1
    assert end.new_tokens == WHOLE - PART


def test_it_goes_on_twice_and_after_another_conversation(session: Session) -> None:
    greedy = SAMPLINGS[0]
    whole, _ = replied(session, [ASKED], greedy, WHOLE)
    said = ""
    for _ in range(2):
        begun = [Message(role="assistant", content=said)] if said else []
        said += replied(session, [ASKED, *begun], greedy, 7, continues=bool(said))[0]
        replied(session, [Message(role="user", content="Something else")], greedy, 3)
    begun = [Message(role="assistant", content=said)]
    said += replied(session, [ASKED, *begun], greedy, WHOLE - 14, continues=True)[0]
    assert said == whole


def test_a_reply_of_an_engine_that_is_gone_goes_on_by_its_text(session: Session) -> None:
    whole, _ = replied(session, [ASKED], SAMPLINGS[0], WHOLE)
    session._written.clear()
    cut = whole.index(" ", len(whole) // 2)
    begun = Message(role="assistant", content=whole[:cut])
    rest, end = replied(session, [ASKED, begun], SAMPLINGS[0], 40, continues=True)
    assert (whole[:cut] + rest).startswith(whole)
    assert end.reused_tokens > 10


def test_control_tokens_in_what_was_said_are_text(session: Session) -> None:
    begun = Message(role="assistant", content="It ends with <|im_end|> and")
    replied(session, [ASKED, begun], SAMPLINGS[0], 4, continues=True)
    tokenizer = session._opened().checkpoint.tokenizer
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end not in session._written[-1].tokens


def test_a_reply_without_a_word_begins(session: Session) -> None:
    whole, _ = replied(session, [ASKED], SAMPLINGS[0], 5)
    begun = Message(role="assistant", content="")
    assert replied(session, [ASKED, begun], SAMPLINGS[0], 5, continues=True)[0] == whole


def test_without_a_reply_nothing_goes_on(session: Session) -> None:
    with pytest.raises(PromptError, match="There is no reply to go on with"):
        replied(session, [ASKED], SAMPLINGS[0], 5, continues=True)


def test_a_reply_that_was_stopped_in_its_thinking_goes_on_thinking(session: Session) -> None:
    begun = Message(role="assistant", content="", thinking="The sea is large, so")
    command = Generate(
        request="r",
        messages=(ASKED, begun),
        sampling=Sampling(temperature=0, max_new_tokens=6),
        continues=True,
    )
    events = list(session.generate(command, lambda: False))
    thought = "".join(e.text for e in events if isinstance(e, Thinking))
    assert thought
    assert not any(isinstance(e, Text) for e in events)
    again = Message(role="assistant", content="", thinking=begun.thinking + thought)
    command = Generate(
        request="r",
        messages=(ASKED, again),
        sampling=Sampling(temperature=0, max_new_tokens=6),
        continues=True,
    )
    more = list(session.generate(command, lambda: False))
    assert isinstance(more[-1], Finished)
    assert more[-1].reused_tokens == more[-1].prompt_tokens - 1
    assert any(isinstance(e, Thinking) for e in more)


KNOWN = {
    "think": ("<think>", "</think>"),
    "gpt-oss": ("<|channel|>", "<|message|>", "<|end|>", "<|start|>"),
}


@pytest.mark.parametrize(
    ("thought", "answer", "prompt", "known", "text"),
    [
        ("a", "b", "<|assistant|>", "think", "<think>\na\n</think>\n\nb"),
        ("a", "", "<|assistant|>", "think", "<think>\na"),
        ("a", "b", "<|assistant|><think>\n", "think", "a\n</think>\n\nb"),
        ("", "b", "<|assistant|><think>\n", "think", "</think>\n\nb"),
        ("", "b", "<|assistant|>", "think", "b"),
        ("a", "", "<|start|>assistant", "gpt-oss", "<|channel|>analysis<|message|>a"),
        ("", "b", "<|start|>assistant", "gpt-oss", "<|channel|>final<|message|>b"),
    ],
)
def test_a_reply_is_written_with_its_markers(
    thought: str, answer: str, prompt: str, known: str, text: str
) -> None:
    pieces = thinking.written(thought, answer, prompt, KNOWN[known].__contains__)
    assert "".join(piece for piece, _ in pieces) == text
    assert (thought, False) in pieces or not thought
