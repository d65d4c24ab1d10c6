from __future__ import annotations

import os
import signal
import sys
import time

import pytest
from PySide6.QtTest import QSignalSpy
from pytestqt.qtbot import QtBot

from app.engine import Death, EngineState
from app.engine_client import EngineClient
from engine import protocol
from tests.app.conftest import FREEZES, TIMEOUT_MS, MakeEngine, end, freeze, stop_of, wait_for

PROMPT = (protocol.Message(role="user", content="Why?"),)


def started(qtbot: QtBot, client: EngineClient) -> EngineClient:
    with qtbot.waitSignal(
        client.state_changed,
        timeout=TIMEOUT_MS,
        check_params_cb=lambda state: state is EngineState.READY,
    ):
        client.start()
    return client


def death_of(qtbot: QtBot, client: EngineClient) -> Death:
    with qtbot.waitSignal(client.died, timeout=TIMEOUT_MS) as died:
        client.start()
    assert died.args
    death = died.args[0]
    assert isinstance(death, Death)
    return death


def test_hello_makes_the_engine_ready(qtbot: QtBot, make_engine: MakeEngine) -> None:
    client = make_engine()
    states = QSignalSpy(client.state_changed)
    with qtbot.waitSignal(client.event_received, timeout=TIMEOUT_MS) as received:
        client.start()
    assert received.args
    assert isinstance(received.args[0], protocol.Hello)
    assert [states.at(i)[0] for i in range(states.count())] == [
        EngineState.STARTING,
        EngineState.READY,
    ]
    assert client.process_id == received.args[0].pid


def test_nothing_is_sent_to_an_engine_that_is_not_ready(make_engine: MakeEngine) -> None:
    client = make_engine("silent")
    assert not client.send(protocol.ListModels())
    client.start()
    assert client.state is EngineState.STARTING
    assert not client.send(protocol.ListModels())


def test_an_engine_that_says_nothing_is_given_up(
    qtbot: QtBot, make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engine_client.HELLO_MS", 50)
    death = death_of(qtbot, make_engine("silent"))
    assert death.title == "The engine does not answer"


def test_a_silent_engine_can_still_be_closed(qtbot: QtBot, make_engine: MakeEngine) -> None:
    client = make_engine("silent")
    client.start()
    end(qtbot, client)
    assert client.state is EngineState.CLOSED
    assert client.process_id == 0


def test_an_answer_arrives_whole_and_in_order(qtbot: QtBot, make_engine: MakeEngine) -> None:
    words = " ".join(str(number) for number in range(3000))
    client = started(qtbot, make_engine("", "--text", words))
    pieces: list[str] = []
    client.event_received.connect(
        lambda event: pieces.append(event.text) if isinstance(event, protocol.Text) else None
    )
    client.send(protocol.Generate(request="r", messages=PROMPT))
    wait_for(qtbot, client.event_received, protocol.Finished)
    assert "".join(pieces) == words + " "


def test_a_newer_protocol_is_refused_by_name(qtbot: QtBot, make_engine: MakeEngine) -> None:
    client = make_engine("newer")
    events = QSignalSpy(client.event_received)
    death = death_of(qtbot, client)
    assert death.title == "Window and engine are of different versions"
    newer = protocol.PROTOCOL_VERSION + 1
    assert f"{protocol.PROTOCOL_VERSION}, the engine {newer}" in death.detail
    assert client.state is EngineState.DEAD
    assert events.count() == 0


def test_an_unknown_hello_of_a_newer_protocol_is_told_apart_from_garbage(
    qtbot: QtBot, make_engine: MakeEngine
) -> None:
    line = '{"event": "hello", "protocol": 99, "hearth": {"now": "an object"}}'
    script = f"import sys; print({line!r}, flush=True); sys.stdin.read()"
    death = death_of(qtbot, make_engine(command=[sys.executable, "-c", script]))
    assert "the engine 99" in death.detail


def test_a_first_line_that_is_no_event_ends_the_start(
    qtbot: QtBot, make_engine: MakeEngine
) -> None:
    client = make_engine("garbage_first")
    death = death_of(qtbot, client)
    assert death.title == "The engine did not say hello"
    assert "Traceback" in death.detail
    assert client.state is EngineState.DEAD


def test_an_event_before_hello_ends_the_start(qtbot: QtBot, make_engine: MakeEngine) -> None:
    line = protocol.encode(protocol.Unloaded()).decode()
    script = f"import sys; sys.stdout.write({line!r}); sys.stdout.flush(); sys.stdin.read()"
    death = death_of(qtbot, make_engine(command=[sys.executable, "-c", script]))
    assert "It began with: unloaded." in death.detail


def test_a_line_that_cannot_be_read_is_an_error_and_the_rest_goes_on(
    qtbot: QtBot, make_engine: MakeEngine
) -> None:
    client = started(qtbot, make_engine("garbage"))
    seen: list[protocol.Event] = []
    client.event_received.connect(seen.append)
    client.send(protocol.Generate(request="r", messages=PROMPT))
    wait_for(qtbot, client.event_received, protocol.Finished)
    (error,) = [event for event in seen if isinstance(event, protocol.Error)]
    assert error.detail == "It begins with: not json"
    text = "".join(event.text for event in seen if isinstance(event, protocol.Text))
    assert text.startswith("A rainbow is light")
    assert client.state is EngineState.READY


def test_a_program_that_does_not_exist_is_named(qtbot: QtBot, make_engine: MakeEngine) -> None:
    death = death_of(qtbot, make_engine(command=["/nowhere/python"]))
    assert death.title == "The engine could not be started"
    assert "/nowhere/python" in death.detail
    assert death.exit_code is None


def test_death_tells_exit_code_and_last_words(qtbot: QtBot, make_engine: MakeEngine) -> None:
    client = started(qtbot, make_engine("dies"))
    with qtbot.waitSignal(client.died, timeout=TIMEOUT_MS) as died:
        client.send(protocol.Generate(request="r", messages=PROMPT))
    assert died.args
    death = died.args[0]
    assert death.exit_code == 3
    assert death.last_lines == ("CUDA error: an illegal memory access was encountered",)
    assert client.process_id == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
def test_an_engine_ended_by_a_signal_says_which(qtbot: QtBot, make_engine: MakeEngine) -> None:
    script = "import os; os.kill(os.getpid(), 9)"
    death = death_of(qtbot, make_engine(command=[sys.executable, "-c", script]))
    assert death.detail == "It crashed, or the system ended it."


def test_events_before_a_death_are_all_heard_first(qtbot: QtBot, make_engine: MakeEngine) -> None:
    client = started(qtbot, make_engine("dies"))
    order: list[str] = []
    client.event_received.connect(lambda event: order.append(type(event).__name__))
    client.died.connect(lambda _: order.append("died"))
    with qtbot.waitSignal(client.died, timeout=TIMEOUT_MS):
        client.send(protocol.Generate(request="r", messages=PROMPT))
    assert order == ["Prefill", "Text", "Text", "Text", "died"]


def test_a_dead_engine_starts_again(qtbot: QtBot, make_engine: MakeEngine) -> None:
    client = started(qtbot, make_engine("dies"))
    first = client.process_id
    with qtbot.waitSignal(client.died, timeout=TIMEOUT_MS):
        client.send(protocol.Generate(request="r", messages=PROMPT))
    started(qtbot, client)
    assert client.process_id not in (0, first)


def test_restart_ends_a_busy_engine_and_is_not_told_its_death(
    qtbot: QtBot, make_engine: MakeEngine
) -> None:
    client = started(qtbot, make_engine("endless"))
    first = client.process_id
    client.send(protocol.Generate(request="r", messages=PROMPT))
    wait_for(qtbot, client.event_received, protocol.Text)
    deaths = QSignalSpy(client.died)
    late: list[protocol.Event] = []
    with qtbot.waitSignal(
        client.state_changed,
        timeout=TIMEOUT_MS,
        check_params_cb=lambda state: state is EngineState.READY,
    ):
        client.restart()
        client.event_received.connect(late.append)
    assert client.process_id not in (0, first)
    assert deaths.count() == 0
    assert not [event for event in late if isinstance(event, protocol.Text)]
    qtbot.waitUntil(lambda: not is_running(first), timeout=TIMEOUT_MS)


def test_start_twice_keeps_the_engine(qtbot: QtBot, make_engine: MakeEngine) -> None:
    client = started(qtbot, make_engine())
    first = client.process_id
    client.start()
    assert client.process_id == first


def test_closing_ends_the_process(qtbot: QtBot, make_engine: MakeEngine) -> None:
    client = started(qtbot, make_engine("endless"))
    process = client.process_id
    client.send(protocol.Generate(request="r", messages=PROMPT))
    end(qtbot, client)
    assert not is_running(process)
    assert client.state is EngineState.CLOSED
    assert not client.send(stop_of("r"))


def test_an_engine_that_does_not_leave_is_killed(
    qtbot: QtBot, make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engine_client.PATIENCE_MS", 50)
    hello = protocol.encode(
        protocol.Hello(
            protocol=protocol.PROTOCOL_VERSION,
            hearth="0",
            python="3",
            pid=1,
            cpu_count=1,
            ram_total_bytes=1,
        )
    ).decode()
    script = f"import sys,time; sys.stdout.write({hello!r}); sys.stdout.flush(); time.sleep(600)"
    client = started(qtbot, make_engine(command=[sys.executable, "-c", script]))
    process = client.process_id
    end(qtbot, client)
    assert not is_running(process)


# ---------------------------------------------------------------------------- one that hangs


@pytest.fixture
def replying(qtbot: QtBot, make_engine: MakeEngine, impatient: None) -> EngineClient:
    """An engine whose reply does not end."""
    client = started(qtbot, make_engine("endless"))
    client.send(protocol.Generate(request="r", messages=PROMPT))
    wait_for(qtbot, client.event_received, protocol.Text)
    return client


@FREEZES
def test_an_engine_that_speaks_again_after_a_silence_answers(
    qtbot: QtBot, replying: EngineClient
) -> None:
    states = QSignalSpy(replying.state_changed)
    freeze(qtbot, replying)
    with qtbot.waitSignal(replying.answers_changed, timeout=TIMEOUT_MS):
        os.kill(replying.process_id, signal.SIGCONT)
    assert replying.answers
    assert states.count() == 0


@FREEZES
def test_a_silence_while_the_window_itself_does_nothing_is_not_counted(
    qtbot: QtBot, replying: EngineClient
) -> None:
    changes = QSignalSpy(replying.answers_changed)
    os.kill(replying.process_id, signal.SIGSTOP)
    time.sleep(1)  # the window: asleep with its computer, for one
    os.kill(replying.process_id, signal.SIGCONT)
    wait_for(qtbot, replying.event_received, protocol.Text)
    assert changes.count() == 0


@FREEZES
def test_a_hung_engine_is_replaced_by_another(qtbot: QtBot, replying: EngineClient) -> None:
    first = replying.process_id
    freeze(qtbot, replying)
    with qtbot.waitSignal(replying.died, timeout=TIMEOUT_MS) as died:
        replying.replace()
    assert died.args
    assert died.args[0].title == "The engine did not answer"
    wait_for(qtbot, replying.event_received, protocol.Hello)
    assert replying.answers
    assert replying.process_id not in (0, first)
    qtbot.waitUntil(lambda: not is_running(first), timeout=TIMEOUT_MS)


@FREEZES
def test_a_hung_engine_is_not_waited_for_at_the_end(
    qtbot: QtBot, replying: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engine_client.PATIENCE_MS", 10 * TIMEOUT_MS)
    process = replying.process_id
    freeze(qtbot, replying)
    end(qtbot, replying)
    assert not is_running(process)


def is_running(process: int) -> bool:
    import psutil

    return psutil.pid_exists(process) and psutil.Process(process).status() != "zombie"
