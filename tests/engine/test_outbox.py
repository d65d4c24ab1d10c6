"""Events on their way out: nothing is lost, nothing piles up, nobody waits for the reader."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest

from engine import protocol
from engine.process.outbox import ROOM, Outbox
from engine.process.worker import unanswered
from engine.protocol import AnyEvent, Event, Loading, Models, Prefill, Telemetry, Text, Thinking

LIMIT = 10.0
"""Seconds after which a test that waits has failed."""


class Pipe:
    """A sink whose reader takes nothing until `read_on` is set."""

    def __init__(self, *, hung: bool = False) -> None:
        self.lines: list[bytes] = []
        self.writes = 0
        self.read_on = threading.Event()
        self.reached = threading.Event()
        if not hung:
            self.read_on.set()

    def write(self, data: bytes) -> None:
        self.reached.set()
        assert self.read_on.wait(LIMIT)
        self.writes += 1
        self.lines += data.splitlines()

    def flush(self) -> None:
        pass

    def events(self) -> list[AnyEvent]:
        return [protocol.decode_event(line) for line in self.lines]


class BrokenPipe(Pipe):
    def write(self, data: bytes) -> None:
        raise BrokenPipeError


def never() -> None:
    raise AssertionError("the pipe is whole")


def sent(events: Iterable[Event]) -> list[AnyEvent]:
    """What arrives of events that were all put before the writer came to them."""
    pipe = Pipe()
    outbox = Outbox(pipe, never)
    for event in events:
        outbox.put(event)
    outbox.start()
    assert outbox.flush(LIMIT)
    return pipe.events()


def text(content: str, request: str = "a") -> Text:
    return Text(request=request, text=content)


def prefill(done: int, request: str = "a") -> Prefill:
    return Prefill(request=request, done=done, total=9, reused=0)


def loading(done: int, stage: str = "weights", model: str = "m") -> Loading:
    return Loading(model=model, stage=stage, done=done, total=9)  # type: ignore[arg-type]


def telemetry(percent: float) -> Telemetry:
    return Telemetry(cpu_percent=percent, engine_ram_bytes=1, ram_used_bytes=1, ram_total_bytes=1)


def error(detail: str) -> protocol.Error:
    return protocol.Error(title="t", detail=detail, hint="h")


def test_text_of_a_request_becomes_one_event() -> None:
    assert sent([text("Par"), text("is"), text(".")]) == [text("Paris.")]


def test_thinking_becomes_one_event_and_the_answer_another() -> None:
    thoughts = [Thinking(request="a", text=word) for word in ("Hm", ", ", "so.")]
    whole = Thinking(request="a", text="Hm, so.")
    assert sent([*thoughts, text("Pa"), text("ris.")]) == [whole, text("Paris.")]


def test_text_of_two_requests_stays_apart() -> None:
    apart = [text("one"), text("two", "b"), text("three")]
    assert sent(apart) == apart


def test_text_is_not_joined_across_another_event() -> None:
    apart = [text("one"), error("between"), text("two")]
    assert sent(apart) == apart


@pytest.mark.parametrize("progress", [prefill, loading])
def test_newer_progress_replaces_older(progress: type) -> None:
    assert sent([progress(1), progress(2), progress(3)]) == [progress(3)]


def test_progress_of_another_request_stage_or_model_is_kept() -> None:
    kept = [
        prefill(1),
        prefill(1, "b"),
        loading(1, "converting"),
        loading(1),
        loading(1, model="n"),
    ]
    assert sent(kept) == kept


def test_newer_list_replaces_older() -> None:
    model = protocol.ModelInfo(id="m", name="M", path="/m", source="folder", format="gguf")
    assert sent([Models(models=()), Models(models=(model,))]) == [Models(models=(model,))]


def test_newest_telemetry_comes_after_the_rest() -> None:
    assert sent([telemetry(1), text("a"), telemetry(2), text("b")]) == [text("ab"), telemetry(2)]


def test_results_and_errors_are_kept_all_and_in_order() -> None:
    kept: list[Event] = []
    for number in range(50):
        kept += [error(str(number)), unanswered(str(number), "error"), protocol.Unloaded()]
    assert sent(kept) == kept


def test_hung_reader_costs_neither_time_nor_memory() -> None:
    pipe = Pipe(hung=True)
    outbox = Outbox(pipe, never)
    outbox.start()
    outbox.put(prefill(0))
    assert pipe.reached.wait(LIMIT)
    for number in range(20_000):
        outbox.put(prefill(number))
    for number in range(20_000):
        outbox.put(text("x"))
        outbox.put(telemetry(number))
    outbox.put(unanswered("a", "length"))
    assert len(outbox._pending) == 3
    pipe.read_on.set()
    assert outbox.flush(LIMIT)
    assert pipe.events() == [
        prefill(0),
        prefill(19_999),
        text("x" * 20_000),
        unanswered("a", "length"),
        telemetry(19_999),
    ]


def test_whoever_reads_commands_waits_while_too_much_is_pending() -> None:
    pipe = Pipe(hung=True)
    outbox = Outbox(pipe, never)
    outbox.start()
    outbox.put(error("first"))
    assert pipe.reached.wait(LIMIT)
    for number in range(ROOM):
        outbox.put(error(str(number)))
    waited = threading.Thread(target=outbox.wait_for_room, daemon=True)
    waited.start()
    waited.join(0.05)
    assert waited.is_alive()
    pipe.read_on.set()
    waited.join(LIMIT)
    assert not waited.is_alive()


def test_flush_gives_up_on_a_hung_reader() -> None:
    pipe = Pipe(hung=True)
    outbox = Outbox(pipe, never)
    outbox.start()
    outbox.put(text("a"))
    assert not outbox.flush(0.05)
    pipe.read_on.set()
    assert outbox.flush(LIMIT)


def test_many_events_are_few_writes() -> None:
    pipe = Pipe()
    outbox = Outbox(pipe, never)
    for number in range(100):
        outbox.put(error(str(number)))
    outbox.start()
    assert outbox.flush(LIMIT)
    assert pipe.writes == 1


def test_reader_that_has_gone_is_reported() -> None:
    gone = threading.Event()
    outbox = Outbox(BrokenPipe(), gone.set)
    outbox.start()
    outbox.put(text("a"))
    assert gone.wait(LIMIT)


def test_threads_put_at_the_same_time_and_nothing_is_lost() -> None:
    pipe = Pipe()
    outbox = Outbox(pipe, never)
    outbox.start()

    def put(request: str) -> None:
        for number in range(500):
            outbox.put(text(f"{number} ", request))
        outbox.put(unanswered(request, "stop"))

    threads = [threading.Thread(target=put, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert outbox.flush(LIMIT)
    whole = "".join(f"{number} " for number in range(500))
    events = pipe.events()
    for name in "abc":
        mine = [event for event in events if getattr(event, "request", "") == name]
        assert "".join(event.text for event in mine if isinstance(event, Text)) == whole
        assert mine[-1] == unanswered(name, "stop")
