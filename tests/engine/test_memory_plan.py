"""What a model is given of free memory: a plan, or an error that says what would fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.catalog import listing
from engine.device import facts, memory
from engine.errors import OutOfMemoryError, SettingError
from engine.loading import assembly
from engine.local import memory_plan, open_model
from engine.local.memory_plan import Context, Needs
from engine.local.session import Session
from engine.protocol import Load
from tests.engine import tiny

LIMITS = Context(bytes_per_token=1000, longest=32_768)
NEEDS = Needs("Great Model", 137_700_000_000)


def test_weights_larger_than_free_memory_are_refused_with_both_numbers() -> None:
    with pytest.raises(OutOfMemoryError) as caught:
        memory_plan.check_weights(NEEDS, 25_000_000_000, "this computer")
    assert caught.value.detail == (
        "The weights of Great Model take about 137.7 GB, and 25.0 GB were free on this computer: "
        "112.7 GB are missing."
    )


def test_weights_that_just_fit_are_not_refused() -> None:
    memory_plan.check_weights(NEEDS, NEEDS.weight_bytes, "this computer")


@pytest.mark.parametrize(
    ("wanted", "free", "expected"),
    [
        (None, 10**9, 8192),  # the usual one
        (None, 5_000_000, 4500),  # nine tenths of what is free
        (20_000, 10**9, 20_000),
    ],
)
def test_a_context_is_the_wish_or_the_usual_one_as_far_as_it_fits(
    wanted: int | None, free: int, expected: int
) -> None:
    assert memory_plan.context(LIMITS, wanted, free, "this computer") == expected


def test_a_context_that_does_not_fit_is_refused_and_one_that_does_is_offered() -> None:
    with pytest.raises(OutOfMemoryError) as caught:
        memory_plan.context(LIMITS, 20_000, 10_000_000, "this computer")
    assert "A context of 20,000 tokens takes 20 MB beside the weights" in caught.value.detail
    assert "8,960" in caught.value.hint


@pytest.mark.parametrize("wanted", [0, 1, 32_769])
def test_a_context_that_the_model_does_not_have_is_refused_by_its_limits(wanted: int) -> None:
    with pytest.raises(SettingError, match="it goes up to 32,768"):
        memory_plan.context(LIMITS, wanted, 10**9, "this computer")


def test_halves_end_at_the_shortest_context() -> None:
    assert list(memory_plan.halves(1500)) == [1500, 750, 375, 256]


def test_nothing_is_read_from_a_model_whose_weights_do_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any, **__: Any) -> None:
        pytest.fail("the file was read")

    folder = tiny.write_folder(tmp_path / "tiny", tiny.model("llama"))
    monkeypatch.setattr(open_model, "load", read)
    monkeypatch.setattr(memory, "free_bytes", lambda _: 1000)
    with pytest.raises(OutOfMemoryError, match=r"take about .* and 0 MB were free"):
        Session().load(Load(model=str(folder), dtype="float32"), lambda *_: None)


def test_no_weight_is_read_for_a_context_that_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.write_folder(tmp_path / "tiny", tiny.model("llama"))
    monkeypatch.setattr(assembly, "_fill_state", lambda *_: pytest.fail("a weight was read"))
    command = Load(model=str(folder), dtype="float32", context_length=128)
    needs = open_model.needs_of(facts.current(), command, listing.find(command.model))
    monkeypatch.setattr(memory, "free_bytes", lambda _: needs.weight_bytes + 50_000)
    with pytest.raises(OutOfMemoryError, match=r"A context of 128 tokens takes .* beside") as no:
        Session().load(command, lambda *_: None)
    assert no.value.hint.startswith("Load the model with a context of ")
