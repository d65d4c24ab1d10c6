"""A chat longer than the context, through the worker and a tiny model."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from engine.protocol import Count, Counted, Error, Generate, LeftOut, Message, Sampling
from tests.engine.driven import Driven, driven, write_model

pytestmark = pytest.mark.usefixtures("one_thread")
CONTEXT = 128
GREEDY = Sampling(temperature=0, max_new_tokens=8)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    folder = write_model(tmp_path_factory.mktemp("context") / "tiny")
    with driven() as made:
        made.loaded(folder, CONTEXT, "float32")
        yield made


def chat(questions: int) -> tuple[Message, ...]:
    """Ends with a question."""
    said: list[Message] = []
    for number in range(questions):
        said.append(Message(role="user", content=f"question number {number}"))
        said.append(Message(role="assistant", content=f"answer number {number}"))
    return (Message(role="system", content="Be brief."), *said[:-1])


def asking(questions: int) -> Generate:
    return Generate(request="r", messages=chat(questions), sampling=GREEDY)


def test_oldest_turns_are_left_out_and_it_is_said(engine: Driven) -> None:
    events = engine.asked(asking(20))
    (said,) = [event for event in events if isinstance(event, LeftOut)]
    _, whole = engine.reply(asking(20))
    kept = (chat(20)[0], *chat(20)[1 + said.messages :])
    _, shortened = engine.reply(Generate(request="r", messages=kept, sampling=GREEDY))
    assert whole.prompt_tokens == shortened.prompt_tokens <= CONTEXT - 8


def test_what_fits_has_nothing_left_out(engine: Driven) -> None:
    events = engine.asked(asking(2))
    assert not [event for event in events if isinstance(event, LeftOut | Error)]


def test_whoever_wants_no_turn_left_out_gets_an_error(engine: Driven) -> None:
    error = engine.fails(msgspec.structs.replace(asking(20), overflow="refuse"))
    assert error.code == "context"
    assert f"the context holds {CONTEXT}" in error.detail


def test_count_foretells_the_prompt_and_what_is_left_out(engine: Driven) -> None:
    counted = engine.counted(Count(request="c", messages=chat(20), longest_reply=8))
    assert isinstance(counted, Counted)
    assert counted.context_length == CONTEXT
    assert counted.tokens > CONTEXT
    events = engine.asked(asking(20))
    (said,) = [event for event in events if isinstance(event, LeftOut)]
    assert said.messages == counted.left_out
    assert engine.reply(asking(20))[1].prompt_tokens == counted.kept_tokens
