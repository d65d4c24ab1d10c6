"""The thread that lists, adds and removes models: each command is answered, whatever happens."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from engine.catalog import listing
from engine.catalog.thread import CatalogThread
from engine.protocol import AddModel, Error, Event, ListModels, Models, RemoveModel

LIMIT = 10.0
"""Seconds after which a test that waits has failed."""


@pytest.fixture
def answers(empty_home: Path) -> queue.SimpleQueue[Event]:
    return queue.SimpleQueue()


@pytest.fixture
def catalog(answers: queue.SimpleQueue[Event]) -> CatalogThread:
    made = CatalogThread(answers.put)
    made.start()
    return made


def ids(answer: Event) -> list[str]:
    assert isinstance(answer, Models)
    return [model.id for model in answer.models]


def test_list_begins_with_the_embedded_model(
    catalog: CatalogThread, answers: queue.SimpleQueue[Event]
) -> None:
    catalog.submit(ListModels())
    assert ids(answers.get(timeout=LIMIT))[0] == "smollm2-135m-instruct"


def test_added_model_is_listed_until_it_is_removed(
    catalog: CatalogThread, answers: queue.SimpleQueue[Event], tmp_path: Path
) -> None:
    added = tmp_path / "mine.gguf"
    added.symlink_to(listing.find("smollm2-135m-instruct").path)
    catalog.submit(AddModel(path=str(added)))
    assert str(added) in ids(answers.get(timeout=LIMIT))
    catalog.submit(RemoveModel(id=str(added)))
    assert str(added) not in ids(answers.get(timeout=LIMIT))
    assert added.exists()


def test_model_that_cannot_be_used_is_an_error_that_says_why(
    catalog: CatalogThread, answers: queue.SimpleQueue[Event], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.gguf"
    empty.touch()
    catalog.submit(AddModel(path=str(empty)))
    error = answers.get(timeout=LIMIT)
    assert isinstance(error, Error)
    assert error.code == "checkpoint"
    assert error.detail
    assert error.hint
    catalog.submit(ListModels())
    assert str(empty) not in ids(answers.get(timeout=LIMIT))


def test_unforeseen_fault_is_answered_and_the_thread_goes_on(
    catalog: CatalogThread, answers: queue.SimpleQueue[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    def scan() -> None:
        raise KeyError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(listing, "scan", scan)
        catalog.submit(ListModels())
        error = answers.get(timeout=LIMIT)
    assert isinstance(error, Error)
    assert "secret" not in error.detail
    catalog.submit(ListModels())
    assert ids(answers.get(timeout=LIMIT))


def test_whoever_waits_for_the_list_waits_no_longer_than_it_may(
    answers: queue.SimpleQueue[Event],
) -> None:
    slow = CatalogThread(answers.put)
    slow.submit(ListModels())
    slow.wait_for_list(0.01)
    assert answers.empty()
    slow.start()
    slow.wait_for_list(LIMIT)
    assert not answers.empty()
