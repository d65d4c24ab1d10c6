"""How processes end whose threads hold the GIL, and what ends with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.engine.engine_process import ENVIRONMENT, ask, running

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="there the system ends processes, with their parent"
)

FAULTY = ("-P", str(Path(__file__).with_name("faulty_engine.py")))
SOON = 2.0
"""Seconds within which everything has ended."""

HOLD_GIL = "import re; re.match('(a+)+b', 'a' * 99)"
WATCHED = "from engine.watchdog import end_with_input; end_with_input(0.2); print(flush=True)"


@contextmanager
def started(program: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program, from its first line of output on."""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **ENVIRONMENT},
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


def below(process: int) -> list[psutil.Process]:
    return psutil.Process(process).children(recursive=True)


def left_of(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that run still, after a while that is ample for their end."""
    deadline = time.monotonic() + SOON
    while (left := [p for p in processes if runs(p)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_process_that_holds_the_gil_is_killed_at_the_end_of_its_input() -> None:
    with started(f"{WATCHED}; {HOLD_GIL}") as process:
        close(process)
        assert process.wait(SOON) == -signal.SIGKILL


def test_a_process_that_ends_by_itself_in_time_keeps_its_exit_code() -> None:
    with started(f"{WATCHED}; import sys; sys.stdin.read(); sys.exit(7)") as process:
        close(process)
        assert process.wait(SOON) == 7


def test_a_process_whose_input_is_open_goes_on() -> None:
    with started(f"{WATCHED}; import time; time.sleep(0.5); print('on', flush=True)") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"on\n"


def test_what_watches_a_process_ends_with_it() -> None:
    with started(f"{WATCHED}; import time; time.sleep(60)") as process:
        watching = below(process.pid)
        assert len(watching) == 1
        process.kill()
        process.wait()
        assert not left_of(watching)


def test_what_watches_does_not_hold_the_output_open() -> None:
    with started(f"{WATCHED}; import os; os.close(1); input()") as process:
        assert process.stdout is not None
        assert process.stdout.read() == b""


def test_an_engine_that_holds_the_gil_ends_with_its_input() -> None:
    with running(FAULTY, stderr=subprocess.PIPE) as process:
        process.send(ask("hold the GIL"))
        assert process.process.stderr is not None
        assert process.process.stderr.readline() == b"holds the GIL\n"
        family = below(process.process.pid)
        process.close()
        assert process.process.wait(SOON) == -signal.SIGKILL
        assert not left_of(family)


LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


def test_the_child_of_a_killed_process_ends_with_it() -> None:
    """The child runs a template that does not end; the program that asked for it is killed."""
    request = {"template": LOOP, "messages": []}
    program = (
        "from engine.loading.sandbox.child import Child\n"
        "child = Child('tests.engine.loading.template_program', start_limit=30)\n"
        f"child.ask({ {**request, 'template': ''} }, 30); print(flush=True)\n"
        f"child.ask({request}, 30)"
    )
    with started(program) as process:
        family = below(process.pid)
        assert len(family) == 2
        process.kill()
        process.wait()
        assert not left_of(family)
