"""The engine as a process of this computer. Never waits: everything arrives as an event."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec
from PySide6.QtCore import (
    QDeadlineTimer,
    QObject,
    QProcess,
    QProcessEnvironment,
    QTimer,
    Signal,
    SignalInstance,
)

from app.engine import Death, EngineState
from app.engine_command import engine_command, engine_environment
from app.words import translate
from engine import protocol

TURN_MS: Final = 6
"""How long one turn of the event loop may spend on reading events."""

KEPT_LINES: Final = 20
"""Last lines of the engine's stderr that are kept for a report."""

PATIENCE_MS: Final = 1000
"""How long a closed engine may take to leave before it is killed."""

HELLO_MS: Final = 60_000
"""How long an engine may take to say hello; ample for a cold disk and a virus scanner."""

TICK_MS: Final = 1000
"""How often the engine's silence is looked at."""

LONGEST_SILENCE: Final[dict[type[protocol.Event], int]] = {
    protocol.Hello: 15,
    protocol.Device: 10,
    protocol.Loading: 15,
    protocol.Loaded: 10,
    protocol.Error: 10,
}
"""Ticks without a line, from such an event on, after which the engine does not answer. Telemetry
comes twice a second, but no thread of the engine runs while another imports torch (after Hello) or
builds a tokenizer (after Loading): the longest silences were 2.7 and 8.1 s, on two cores that had
nine programs to run; 0.9 s in a load of SmolLM2, 0.6 s in a prompt."""

_log = logging.getLogger(__name__)


class _Greeting(msgspec.Struct, frozen=True):
    """What a Hello of any version has."""

    event: str = ""
    protocol: int = 0


class EngineClient(QObject):
    """An `Engine`: starts the process, writes commands to it, and reads what comes back."""

    state_changed = Signal(object)
    answers_changed = Signal(bool)
    event_received = Signal(object)
    died = Signal(object)
    closed = Signal()

    def __init__(self, command: list[str] | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._command = command or engine_command(["serve"])
        self._process: QProcess | None = None
        self._leaving: set[QProcess] = set()
        self._state = EngineState.CLOSED
        self._stderr: deque[str] = deque(maxlen=KEPT_LINES)
        self._answers = True
        self._silent_ticks = 0
        self._longest_silence = 0
        self._ticker = QTimer(self)
        self._ticker.setInterval(TICK_MS)
        self._ticker.timeout.connect(self._tick)

    @property
    def answers(self) -> bool:
        """False while an engine that is ready has been silent for too long: it hangs."""
        return self._answers

    @property
    def state(self) -> EngineState:
        return self._state

    @property
    def process_id(self) -> int:
        """Of the engine that runs; 0 when none does."""
        return self._process.processId() if self._process else 0

    def start(self) -> None:
        """Starts the engine unless one runs."""
        if self._process is not None:
            return
        self._stderr.clear()
        process = QProcess(self)
        process.setProgram(self._command[0])
        process.setArguments(self._command[1:])
        process.setProcessEnvironment(_environment())
        for signal, slot in self._listening(process):
            signal.connect(slot)
        self._process = process
        self._set_state(EngineState.STARTING)
        process.start()
        QTimer.singleShot(HELLO_MS, process, lambda: self._expect_hello(process))

    def send(self, command: protocol.Command) -> bool:
        """Queues a command; False when there is no engine to take it."""
        if self._process is None or self._state is not EngineState.READY:
            return False
        self._process.write(protocol.encode(command))
        return True

    def restart(self) -> None:
        """Ends the engine at once, whatever it does, and starts a fresh one."""
        self._dismiss(patience_ms=0)
        self.start()

    def replace(self) -> None:
        """Ends an engine that does not answer, which `died` tells, and starts a fresh one."""
        self._fail(
            translate("EngineClient", "The engine did not answer"),
            translate("EngineClient", "It was ended, and another one started."),
        )
        self.start()

    def close(self) -> None:
        """Ends the engine by closing its input; `closed` follows when no process is left."""
        self._dismiss(patience_ms=PATIENCE_MS if self._answers else 0)
        self._set_state(EngineState.CLOSED)
        if not self._leaving:
            QTimer.singleShot(0, self, self.closed.emit)

    # ------------------------------------------------------------------ what comes back

    def _listening(
        self, process: QProcess
    ) -> tuple[tuple[SignalInstance, Callable[..., None]], ...]:
        """Each signal of a process that is heard, and where it goes."""
        return (
            (process.readyReadStandardOutput, self._read),
            (process.readyReadStandardError, self._read_stderr),
            (process.finished, self._on_finished),
            (process.errorOccurred, self._on_error),
        )

    def _let_go(self) -> QProcess | None:
        """Nothing more is heard of the process that ran. PySide's `process.disconnect(self)`
        passes a null signal, which Qt refuses: each one is named."""
        process, self._process = self._process, None
        if process is not None:
            for signal, slot in self._listening(process):
                signal.disconnect(slot)
        return process

    def _tick(self) -> None:
        """Counts ticks, not seconds: none come while the computer sleeps or the window hangs."""
        self._silent_ticks += 1
        self._set_answers(self._silent_ticks < self._longest_silence)

    def _hear(self) -> None:
        self._silent_ticks = 0
        self._set_answers(True)

    def _read(self) -> None:
        self._hear()
        deadline = QDeadlineTimer(TURN_MS)
        process = self._process
        while process is not None and process is self._process and process.canReadLine():
            self._take(bytes(process.readLine().data()))
            if deadline.hasExpired():
                QTimer.singleShot(0, self, self._read)
                return

    def _take(self, line: bytes) -> None:
        try:
            event = protocol.decode_event(line)
        except protocol.ProtocolError as error:
            self._take_unreadable(line, str(error))
            return
        if self._state is EngineState.STARTING:
            if not isinstance(event, protocol.Hello):
                self._fail(
                    translate("EngineClient", "The engine did not say hello"),
                    translate("EngineClient", "It began with: {event}.").format(event=_tag(event)),
                )
                return
            if event.protocol != protocol.PROTOCOL_VERSION:
                self._fail_version(event.protocol)
                return
            self._set_state(EngineState.READY)
        self._longest_silence = LONGEST_SILENCE.get(type(event), self._longest_silence)
        self.event_received.emit(event)

    def _take_unreadable(self, line: bytes, error: str) -> None:
        start = line[:200].decode("utf-8", "replace").strip()
        _log.warning("unreadable line of %d bytes from the engine: %s", len(line), error)
        if self._state is EngineState.STARTING:
            version = _greeted_version(line)
            if version:
                self._fail_version(version)
            else:
                self._fail(
                    translate("EngineClient", "The engine did not say hello"),
                    translate("EngineClient", "Its first line was: {start}").format(start=start),
                )
            return
        self.event_received.emit(
            protocol.Error(
                title=translate("EngineClient", "A message from the engine could not be read"),
                detail=translate("EngineClient", "It begins with: {start}").format(start=start),
                hint=translate("EngineClient", "If a reply is incomplete, regenerate it."),
                code="protocol",
            )
        )

    def _read_stderr(self) -> None:
        if self._process is not None:
            text = bytes(self._process.readAllStandardError().data()).decode("utf-8", "replace")
            self._stderr.extend(line for line in text.splitlines() if line.strip())

    def _expect_hello(self, process: QProcess) -> None:
        if process is self._process and self._state is EngineState.STARTING:
            self._fail(
                translate("EngineClient", "The engine does not answer"),
                translate("EngineClient", "It said nothing for {hello_ms} s.").format(
                    hello_ms=HELLO_MS // 1000
                ),
            )

    # ------------------------------------------------------------------ the end

    def _on_finished(self, exit_code: int, status: QProcess.ExitStatus) -> None:
        self._read_stderr()
        while self._process is not None and self._process.canReadLine():
            self._take(bytes(self._process.readLine().data()))
        if self._process is None:  # failed on one of its last lines
            return
        crashed = status is QProcess.ExitStatus.CrashExit
        _log.warning("the engine ended, crashed=%s code=%d", crashed, exit_code)
        how = (
            translate("EngineClient", "It crashed, or the system ended it.")
            if crashed
            else translate("EngineClient", "It ended by itself.")
        )
        self._bury(Death(translate("EngineClient", "The engine has stopped"), how, exit_code))

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart and self._process is not None:
            why = self._process.errorString()
            program = self._command[0]
            self._bury(
                Death(
                    translate("EngineClient", "The engine could not be started"),
                    f"{program}: {why}.",
                    None,
                )
            )

    def _fail_version(self, version: int) -> None:
        ours = protocol.PROTOCOL_VERSION
        self._fail(
            translate("EngineClient", "Window and engine are of different versions"),
            translate(
                "EngineClient",
                "The window speaks protocol {ours}, the engine {version}. Install both from "
                "the same version of Hearth.",
            ).format(ours=ours, version=version),
        )

    def _fail(self, title: str, detail: str) -> None:
        """The process runs but is of no use."""
        self._read_stderr()
        self._dismiss(patience_ms=0)
        self._tell_death(Death(title, detail, None, tuple(self._stderr)))

    def _bury(self, death: Death) -> None:
        process = self._let_go()
        if process is not None:
            process.deleteLater()
        self._tell_death(
            Death(death.title, death.detail, death.exit_code, tuple(self._stderr)),
        )

    def _tell_death(self, death: Death) -> None:
        self._set_state(EngineState.DEAD)
        self.died.emit(death)

    def _dismiss(self, patience_ms: int) -> None:
        """Closes the engine's input, at which it ends itself, and kills it if it does not."""
        process = self._let_go()
        if process is None:
            return
        if process.state() is QProcess.ProcessState.NotRunning:
            process.deleteLater()
            return
        self._leaving.add(process)
        process.finished.connect(lambda *_: self._on_left(process))
        process.closeWriteChannel()
        QTimer.singleShot(patience_ms, process, process.kill)

    def _on_left(self, process: QProcess) -> None:
        self._leaving.discard(process)
        process.deleteLater()
        if self._state is EngineState.CLOSED and not self._leaving:
            self.closed.emit()

    def _set_state(self, state: EngineState) -> None:
        if state is not self._state:
            self._state = state
            self._hear()
            if state is EngineState.READY:
                self._ticker.start()
            else:
                self._ticker.stop()
            self.state_changed.emit(state)

    def _set_answers(self, answers: bool) -> None:
        if answers is not self._answers:
            self._answers = answers
            self.answers_changed.emit(answers)


def _environment() -> QProcessEnvironment:
    environment = QProcessEnvironment()
    for name, value in engine_environment().items():
        environment.insert(name, value)
    return environment


def _greeted_version(line: bytes) -> int:
    """The protocol a Hello names even when the rest of it is not ours to read; 0 if it is none."""
    try:
        greeting = msgspec.json.decode(line, type=_Greeting)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return 0
    return greeting.protocol if greeting.event == "hello" else 0


def _tag(event: protocol.Event) -> str:
    return str(event.__struct_config__.tag)
