"""The engine thread: order, stop, and that no fault of a backend ends it.

A stand-in backend, because the faults are those that the real one cannot be made to have.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from engine.errors import CheckpointError, HearthError, PromptError
from engine.process.telemetry import Meter
from engine.process.worker import Requests, Work, Worker, unanswered
from engine.protocol import (
    Attention,
    AttentionObserved,
    AttentionPhase,
    Count,
    Counted,
    Device,
    Error,
    Event,
    Finished,
    Generate,
    Load,
    Loaded,
    Loading,
    Message,
    ModelInfo,
    Prefill,
    Text,
    Unload,
    Unloaded,
)

LIMIT = 10.0
"""Seconds after which a test that waits has failed."""
PHASE = AttentionPhase(requested="auto", resolved="SDPA", observed="math", reason="", flash=False)
ATTENTION = Attention(prefill=PHASE, decode=PHASE)
DEVICE = Device(kind="cpu", name="CPU", torch="2", transformers="5")
LOADED = Loaded(
    model=ModelInfo(id="m", name="M", path="/m", source="folder", format="gguf"),
    device="CPU",
    dtype="float32",
    context_length=64,
    use_flash_attn=False,
    load_ms=1.0,
)
LOAD = Load(model="m")


class StandIn:
    """Answers "tick" until it is told to go on; raises `fault` wherever it is set."""

    def __init__(self) -> None:
        self.fault: BaseException | None = None
        self.go_on = threading.Event()
        self.go_on.set()
        self.asked: list[Generate] = []
        self.counts: list[str] = []
        self.unloads = 0
        self.ahead: list[Callable[[], object]] = []
        """What there is to do ahead, one thing a call."""

    def start(self) -> Iterator[Device]:
        self._raise()
        yield DEVICE

    def load(
        self, command: Load, tell: Callable[[Loading], None], /
    ) -> Iterator[Loading | Loaded | AttentionObserved]:
        yield Loading(model=command.model, stage="starting")
        self._raise()
        tell(Loading(model=command.model, stage="weights", done=1, total=2))
        yield LOADED
        yield AttentionObserved(attention=ATTENTION)

    def unload(self) -> None:
        self._raise()
        self.unloads += 1

    def prepare(self) -> bool:
        if not self.ahead:
            return False
        self.ahead.pop(0)()
        return True

    def count(self, command: Count, stopped: Callable[[], bool], /) -> Counted | None:
        self._raise()
        self.counts.append(command.request)
        while not self.go_on.wait(0.001):
            if stopped():
                return None
        return counted(command.request)

    def generate(
        self, command: Generate, stopped: Callable[[], bool], /
    ) -> Iterator[Prefill | Text | Finished]:
        self._raise()
        self.asked.append(command)
        yield Prefill(request=command.request, done=1, total=1, reused=0)
        reason = "stop"
        while not self.go_on.wait(0.001):
            if stopped():
                reason = "stopped"
                break
            yield Text(request=command.request, text="tick")
        yield unanswered(command.request, reason)  # type: ignore[arg-type]

    def _raise(self) -> None:
        if self.fault is not None:
            raise self.fault


class Harness:
    """A worker, its stand-in, and what it has put so far."""

    def __init__(self) -> None:
        self.session = StandIn()
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.fatal = threading.Event()
        self.worker = Worker(self.events.put, Meter(), self.fatal.set, self.session)

    def start(self) -> Harness:
        self.worker.start()
        return self

    def do(self, *commands: Work) -> None:
        for command in commands:
            self.worker.submit(command)

    def take(self, count: int) -> list[Event]:
        return [self.events.get(timeout=LIMIT) for _ in range(count)]

    def until(self, kind: type[Event]) -> list[Event]:
        """Everything up to the first event of this kind."""
        taken = self.take(1)
        while not isinstance(taken[-1], kind):
            taken += self.take(1)
        return taken


@pytest.fixture(autouse=True)
def switch_interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def harness() -> Harness:
    made = Harness().start()
    assert made.take(1) == [DEVICE]
    return made


def generate(request: str = "r", content: str = "Hi") -> Generate:
    return Generate(request=request, messages=(Message(role="user", content=content),))


def count(request: str) -> Count:
    return Count(request=request, messages=(Message(role="user", content="Hi"),))


def counted(request: str) -> Counted:
    return Counted(
        request=request,
        context_length=64,
        tokens=3,
        exact=True,
        last_tokens=1,
        reserved=8,
        left_out=0,
        kept_tokens=3,
    )


def title_and_end(events: list[Event]) -> tuple[Error, Finished]:
    error, finished = events
    assert isinstance(error, Error)
    assert isinstance(finished, Finished)
    return error, finished


def test_load_says_progress_then_loaded_then_attention(harness: Harness) -> None:
    harness.do(LOAD)
    assert harness.take(4) == [
        Loading(model="m", stage="starting"),
        Loading(model="m", stage="weights", done=1, total=2),
        LOADED,
        AttentionObserved(attention=ATTENTION),
    ]


def test_commands_are_done_in_the_order_of_their_arrival(harness: Harness) -> None:
    harness.do(generate("a"), Unload(), generate("b"))
    ends = [event for event in harness.take(5) if not isinstance(event, Prefill)]
    assert [getattr(event, "request", "unloaded") for event in ends] == ["a", "unloaded", "b"]


def test_finished_tells_the_attention_that_was_observed_at_load(harness: Harness) -> None:
    harness.do(LOAD, generate())
    finished = harness.until(Finished)[-1]
    assert isinstance(finished, Finished)
    assert finished.attention == ATTENTION


def test_attention_is_forgotten_with_the_model(harness: Harness) -> None:
    harness.do(LOAD, Unload(), generate())
    finished = harness.until(Finished)[-1]
    assert isinstance(finished, Finished)
    assert finished.attention is None


def test_stop_ends_the_running_request(harness: Harness) -> None:
    harness.session.go_on.clear()
    harness.do(generate())
    harness.until(Text)
    harness.worker.stop("r")
    assert harness.until(Finished)[-1] == unanswered("r", "stopped")


def test_stop_ends_a_waiting_request_at_once_and_the_running_one_goes_on(harness: Harness) -> None:
    harness.session.go_on.clear()
    harness.do(generate("running"), generate("waiting"))
    harness.until(Text)
    harness.worker.stop("waiting")
    assert harness.until(Finished)[-1] == unanswered("waiting", "stopped")
    harness.session.go_on.set()
    assert harness.until(Finished)[-1] == unanswered("running", "stop")
    harness.do(Unload())
    assert harness.take(1) == [Unloaded()]
    assert [command.request for command in harness.session.asked] == ["running"]


def test_stop_of_an_unknown_request_does_nothing(harness: Harness) -> None:
    harness.worker.stop("nobody")
    harness.do(generate("nobody"))
    assert harness.until(Finished)[-1] == unanswered("nobody", "stop")


def test_stopped_request_does_not_run_under_the_name_of_a_later_one(harness: Harness) -> None:
    harness.session.go_on.clear()
    harness.do(generate("running"), generate("r", "first"))
    harness.until(Text)
    harness.worker.stop("r")
    harness.do(generate("r", "second"))
    harness.session.go_on.set()
    ends = [harness.until(Finished)[-1] for _ in range(3)]
    assert [getattr(end, "request", "") for end in ends] == ["r", "running", "r"]
    assert [command.messages[0].content for command in harness.session.asked] == ["Hi", "second"]


def test_error_for_a_person_crosses_as_it_is(harness: Harness) -> None:
    harness.session.fault = PromptError("It is empty.", "Write something.")
    harness.do(generate())
    error, finished = title_and_end(harness.take(2))
    assert error == Error(
        title="This prompt cannot be sent",
        detail="It is empty.",
        hint="Write something.",
        code="prompt",
        request="r",
    )
    assert finished == unanswered("r", "error")


def test_error_of_a_load_names_no_request(harness: Harness) -> None:
    harness.session.fault = CheckpointError("It is truncated.")
    harness.do(LOAD)
    error = harness.take(2)[1]
    assert isinstance(error, Error)
    assert (error.code, error.request) == ("checkpoint", "")


class Panic(BaseException):
    """What a panic in Rust becomes in Python."""


@pytest.mark.parametrize(
    "fault", [RuntimeError("secret"), Panic("secret"), MemoryError()], ids=repr
)
def test_unforeseen_fault_becomes_a_sentence_and_the_thread_goes_on(
    harness: Harness, fault: BaseException
) -> None:
    harness.session.fault = fault
    harness.do(generate(), LOAD, Unload())
    error, finished = title_and_end(harness.take(2))
    assert "secret" not in error.detail + error.title
    assert finished.finish_reason == "error"
    assert [type(event) for event in harness.take(3)] == [Loading, Error, Error]
    harness.session.fault = None
    harness.do(Unload())
    assert harness.take(1) == [Unloaded()]
    assert not harness.fatal.is_set()


def test_between_commands_is_made_ready_what_there_is_until_one_comes(harness: Harness) -> None:
    done: list[str] = []

    def interrupted() -> None:
        done.append(f"first, {harness.session.unloads} unloads")
        harness.do(Unload())

    def last() -> None:
        done.append(f"second, {harness.session.unloads} unloads")
        harness.events.put(Unloaded())

    harness.session.ahead = [interrupted, last]
    harness.do(generate())
    harness.until(Finished)
    assert harness.take(2) == [Unloaded(), Unloaded()]
    assert done == ["first, 0 unloads", "second, 1 unloads"]


def test_what_fails_ahead_is_told_once_and_commands_go_on(harness: Harness) -> None:
    def fail() -> None:
        raise RuntimeError("secret")

    harness.session.ahead = [fail, fail]
    harness.do(generate())
    harness.until(Finished)
    (error,) = harness.take(1)
    assert isinstance(error, Error)
    assert "secret" not in error.detail + error.title
    harness.session.ahead.clear()
    harness.do(Unload())
    assert harness.take(1) == [Unloaded()]


def test_a_count_is_answered_under_its_name(harness: Harness) -> None:
    harness.do(count("c"))
    assert harness.take(1) == [counted("c")]


def test_a_count_gives_way_to_the_command_behind_it(harness: Harness) -> None:
    """Else a prompt would wait for the count of what was typed before it."""
    harness.session.go_on.clear()
    harness.do(count("running"))
    while not harness.session.counts:
        time.sleep(0.001)
    harness.do(count("waiting"), Unload())
    assert harness.take(1) == [Unloaded()]
    assert harness.session.counts == ["running"]


def test_fault_in_a_count_is_told_under_its_name_and_commands_go_on(harness: Harness) -> None:
    harness.session.fault = Panic("secret")
    harness.do(count("c"))
    (error,) = harness.take(1)
    assert isinstance(error, Error)
    assert (error.request, "secret" in error.detail) == ("c", False)
    harness.session.fault = None
    harness.do(count("d"))
    assert harness.take(1) == [counted("d")]


def test_generation_that_does_not_say_why_it_ended_is_an_error(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness.session, "generate", lambda *_: iter(()))
    harness.do(generate())
    _, finished = title_and_end(harness.take(2))
    assert finished.finish_reason == "error"


def test_fault_of_the_device_is_told_and_then_ends_the_process(harness: Harness) -> None:
    fault = type("AcceleratorError", (RuntimeError,), {"__module__": "torch"})
    harness.session.fault = cast("BaseException", fault("an illegal memory access"))
    harness.do(generate())
    error, finished = title_and_end(harness.take(2))
    assert error.code == "device"
    assert finished.finish_reason == "error"
    assert harness.fatal.wait(LIMIT)


def test_a_backend_that_does_not_start_is_told_and_commands_go_on() -> None:
    harness = Harness()
    harness.session.fault = HearthError("torch is missing.", "Install it.")
    harness.start()
    first = harness.take(1)[0]
    assert isinstance(first, Error)
    assert first.detail == "torch is missing."
    harness.do(generate())
    error, finished = title_and_end(harness.take(2))
    assert (error.request, finished.request) == ("r", "r")


def test_a_first_command_is_done_before_the_backend_starts() -> None:
    harness = Harness()
    harness.do(LOAD)
    harness.start()
    events = [type(event) for event in harness.take(5)]
    assert events == [Loading, Loading, Loaded, AttentionObserved, Device]


def test_requests_forget_one_that_is_done() -> None:
    requests = Requests()
    command = generate()
    requests.add(command)
    stopped = requests.take(command)
    assert stopped is not None
    requests.done()
    assert not requests.stop("r")
    assert not stopped.is_set()
