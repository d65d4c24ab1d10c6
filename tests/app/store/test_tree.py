from __future__ import annotations

import random

import pytest

from app.store.records import StoredMessage
from app.store.tree import Tree


def messages(**parents: int | None) -> list[StoredMessage]:
    """`m2=1`: message 2 stands behind message 1."""
    return [
        StoredMessage(int(name[1:]), "user", name, parent=parent)
        for name, parent in parents.items()
    ]


def path(tree: Tree) -> list[int]:
    return [message.id for message in tree.path]


def test_without_a_choice_the_newest_message_ends_the_branch() -> None:
    tree = Tree(messages(m1=None, m2=1, m3=1, m4=2))
    assert path(tree) == [1, 2, 4]


def test_a_choice_goes_on_with_the_newest_message_each_time() -> None:
    tree = Tree(messages(m1=None, m2=1, m3=2, m4=2, m5=1, m6=4), leaf=2)
    assert path(tree) == [1, 2, 4, 6]
    assert tree.versions(5) == [2, 5]
    assert [message.id for message in tree.before(6)] == [1, 2, 4]


def test_a_choice_that_is_gone_is_none() -> None:
    assert path(Tree(messages(m1=None, m2=1), leaf=9)) == [1, 2]


def test_a_message_whose_parent_is_gone_hangs_on_the_one_before_it() -> None:
    assert path(Tree(messages(m1=None, m3=2, m4=3))) == [1, 3, 4]


def test_a_ring_is_opened() -> None:
    tree = Tree(messages(m1=2, m2=1, m3=3))
    assert {
        message.id
        for start in (1, 2, 3)
        for message in Tree(messages(m1=2, m2=1, m3=3), start).path
    } == {1, 2, 3}
    assert path(tree)


@pytest.mark.parametrize("seed", range(50))
def test_whatever_parents_there_are_every_message_can_be_shown(seed: int) -> None:
    rng = random.Random(seed)
    count = rng.randint(1, 12)
    given = [
        StoredMessage(number, "user", "", parent=rng.choice([None, *range(count + 3)]))
        for number in range(1, count + 1)
    ]
    for message in given:
        shown = path(Tree(given, message.id))
        assert message.id in shown
        assert len(set(shown)) == len(shown)


def test_an_empty_conversation_has_no_branch() -> None:
    assert Tree([]).path == []
