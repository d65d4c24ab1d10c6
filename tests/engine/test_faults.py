"""What becomes of an exception: a sentence for a person, where it happened for the log file."""

from __future__ import annotations

import logging

import pytest

from engine import faults
from engine.errors import CheckpointError, HearthError, OutOfMemoryError
from engine.faults import DeviceFaultError, as_event, as_hearth_error, record


def of_torch(name: str) -> BaseException:
    made: BaseException = type(name, (RuntimeError,), {"__module__": "torch"})("CUDA error")
    return made


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), OutOfMemoryError),
        (of_torch("OutOfMemoryError"), OutOfMemoryError),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory"), OutOfMemoryError),
        (of_torch("AcceleratorError"), DeviceFaultError),
        (KeyError("secret"), HearthError),
    ],
    ids=repr,
)
def test_each_fault_has_its_sentence(error: BaseException, kind: type[HearthError]) -> None:
    shown = as_hearth_error(error)
    assert type(shown) is kind
    event = as_event(shown, "r")
    assert (event.title, event.code, event.request) == (kind.title, kind.code, "r")
    assert event.hint
    assert "secret" not in event.detail


def test_error_for_a_person_stays_what_it_is() -> None:
    error = CheckpointError("It is empty.")
    assert as_hearth_error(error) is error


def test_message_that_may_hold_a_prompt_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    record(raised(KeyError("secret")))
    assert "KeyError" in caplog.text
    assert "secret" not in caplog.text


def test_where_it_happened_is_for_the_file_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, faults.__name__)
    record(raised(RuntimeError("CUDA error")))
    told, place = caplog.records
    assert (told.levelno, told.message) == (logging.ERROR, "RuntimeError: CUDA error")
    assert place.levelno == logging.INFO
    assert "in raised" in place.message


def test_what_is_told_as_a_sentence_is_no_warning_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    record(CheckpointError("It is empty."))
    assert not caplog.records


def raised(error: Exception) -> Exception:
    """The same, with the frames that an exception has once it was raised."""
    try:
        raise error
    except Exception as caught:  # noqa: BLE001 - given back
        return caught
