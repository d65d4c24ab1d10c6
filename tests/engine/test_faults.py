"""What a person is told when something breaks, and what the log keeps of it."""

from __future__ import annotations

import logging

import pytest
import torch

from engine import error_events, errors
from engine.error_events import DeviceFaultError
from engine.errors import HearthError, OutOfMemoryError, reason, shown
from engine.protocol import Error

SECRET = "my secret prompt"  # noqa: S105


def subclasses(kind: type[HearthError]) -> list[type[HearthError]]:
    return [kind, *(deeper for sub in kind.__subclasses__() for deeper in subclasses(sub))]


@pytest.mark.parametrize("kind", subclasses(HearthError))
def test_every_error_has_a_title_and_a_hint(kind: type[HearthError]) -> None:
    event = error_events.as_event(kind("What happened."), request="r")
    assert event == Error(
        title=kind.title,
        detail="What happened.",
        hint=kind.default_hint,
        code=kind.code,
        request="r",
    )
    assert event.title
    assert event.hint.endswith(".")
    assert kind("What happened.", "Do this.").hint == "Do this."


def test_codes_are_distinct() -> None:
    kinds = subclasses(HearthError)
    assert len({kind.code for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), OutOfMemoryError),
        (torch.OutOfMemoryError("CUDA out of memory."), OutOfMemoryError),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            OutOfMemoryError,
        ),
        (torch.AcceleratorError("CUDA error: an illegal memory access", 700), DeviceFaultError),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling"), DeviceFaultError),
        (RuntimeError("shapes cannot be multiplied"), HearthError),
        (KeyError(SECRET), HearthError),
    ],
)
def test_what_was_raised_becomes_a_sentence(error: Exception, kind: type[HearthError]) -> None:
    found = error_events.as_hearth_error(error)
    assert type(found) is kind
    assert found.detail.endswith(".")
    assert SECRET not in found.detail


def test_an_error_for_a_person_stays_itself() -> None:
    error = errors.PromptError("Too long.")
    assert error_events.as_hearth_error(error) is error


def test_the_cpu_allocators_own_message_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert isinstance(error_events.as_hearth_error(caught.value), OutOfMemoryError)


@pytest.mark.parametrize(
    "kind", [KeyError, ValueError, TypeError, UnicodeError, errors.PromptError]
)
def test_no_text_of_a_prompt_is_logged(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(kind) as caught:
        raise kind(SECRET)
    with caplog.at_level(logging.DEBUG, logger="engine"):
        error_events.record(caught.value)
    assert kind.__name__ in caplog.text
    assert SECRET not in caplog.text


def test_where_a_fault_happened_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="engine"):
        with pytest.raises(RuntimeError) as caught:
            torch.zeros(2, 3) @ torch.zeros(2, 3)
        error_events.record(caught.value)
    assert "cannot be multiplied" in caplog.text
    assert "test_where_a_fault_happened_is_logged" in caplog.text


def test_values_are_shown_short_and_printable() -> None:
    assert shown("name") == "'name'"
    assert shown("\ud800\n").isascii()
    assert len(shown("x" * 10**6)) < 100
    assert reason(ValueError("first\n  second.")) == "first second"
    assert reason(KeyError()) == "KeyError"
    assert len(reason(ValueError("x" * 10**6))) == 200
