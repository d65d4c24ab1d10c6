"""Which messages become the prompt. A message's tokens are its words, and one for its role."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engine.errors import PromptError, PromptTooLongError
from engine.reply import context

SYSTEM = ("system", "be kind")  # 3 tokens
LONG = " ".join(["word"] * 9)  # 10 tokens


def encode(messages: context.Messages) -> list[int]:
    tokens = [len(word) for _, content in messages for word in ("role", *content.split())]
    if len(tokens) > 200:
        raise PromptTooLongError("far too long")
    return tokens


def turns(count: int) -> list[tuple[str, str]]:
    """Each has 20 tokens."""
    return [message for _ in range(count) for message in (("user", LONG), ("assistant", LONG))]


def fitted(messages: Sequence[tuple[str, str]], longest_reply: int | None = None) -> context.Fitted:
    return context.fitted(messages, 100, longest_reply, encode)


def test_a_conversation_that_fits_is_left_whole() -> None:
    messages = [SYSTEM, *turns(4), ("user", LONG)]
    made = fitted(messages)
    assert (made.ids, made.left_out) == (encode(messages), 0)


def test_the_oldest_turns_go_and_the_system_prompt_stays() -> None:
    messages = [SYSTEM, *turns(6), ("user", LONG)]
    made = fitted(messages)
    assert made.left_out == 6  # 3 + 60 + 10 tokens are left, and 88 are the limit
    assert made.ids == encode([SYSTEM, *messages[7:]])


def test_what_is_left_begins_with_a_message_of_the_user() -> None:
    messages = [*turns(6), ("user", LONG)]
    assert messages[fitted(messages).left_out][0] == "user"


def test_an_eighth_is_kept_for_the_reply_or_less_if_it_is_shorter() -> None:
    messages = [*turns(6), ("user", LONG)]
    assert len(fitted(messages).ids) == 70
    assert len(fitted(messages, longest_reply=10).ids) == 90


def test_the_last_message_alone_needs_to_leave_no_room() -> None:
    messages = [*turns(2), ("user", " ".join(["word"] * 89))]
    assert fitted(messages).left_out == 4


def test_a_conversation_too_long_to_be_counted_is_shortened_too() -> None:
    messages = [SYSTEM, *turns(50), ("user", LONG)]
    assert len(fitted(messages).ids) == 73


def test_few_prompts_are_made_however_many_turns_there_are() -> None:
    made: list[int] = []

    def counting(messages: context.Messages) -> list[int]:
        made.append(len(messages))
        return encode(messages)

    context.fitted([*turns(500), ("user", LONG)], 100, None, counting)
    assert len(made) <= 11


@pytest.mark.parametrize("before", [[], [SYSTEM], turns(3)])
def test_a_message_that_does_not_fit_alone_is_refused(before: list[tuple[str, str]]) -> None:
    with pytest.raises(PromptTooLongError, match="Your message alone") as caught:
        fitted([*before, ("user", " ".join(["word"] * 120))])
    assert "Shorten it" in caught.value.hint


def test_other_errors_of_the_template_are_not_taken_for_length() -> None:
    def failing(messages: context.Messages) -> list[int]:
        raise PromptError("refused")

    with pytest.raises(PromptError, match="refused"):
        context.fitted(turns(1), 100, None, failing)


def test_count_tells_what_the_prompt_would_be() -> None:
    messages = [SYSTEM, *turns(6), ("user", LONG)]
    counted = context.count(messages, 100, None, encode)
    assert counted == context.Count(133, True, 10, 12, 6, 73)


def test_count_says_what_to_leave_out_for_the_reply_though_the_prompt_fits() -> None:
    messages = [*turns(4), ("user", LONG)]
    assert context.count(messages, 100, None, encode) == context.Count(90, True, 10, 12, 2, 70)
    assert fitted(messages).left_out == 0


def test_count_of_what_fits_leaves_nothing_out() -> None:
    assert context.count([("user", LONG)], 100, None, encode) == context.Count(
        10, True, 10, 12, 0, 10
    )


def test_count_of_what_is_far_too_long_says_that_it_is_not_exact() -> None:
    counted = context.count([*turns(50), ("user", LONG)], 100, None, encode)
    assert counted == context.Count(200, False, 0, 12, 94, 70)


def test_count_of_what_fits_in_no_way_keeps_nothing() -> None:
    counted = context.count([("user", " ".join(["word"] * 120))], 100, None, encode)
    assert counted == context.Count(121, True, 121, 12, 0, 0)
