"""Each verb, with stdin, stdout and stderr closed or full: an answer, or a sentence."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.engine_process import ENVIRONMENT, LIMIT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="descriptors of POSIX")

FAULTY = Path(__file__).parents[1] / "engine" / "ask_faulty_engine.py"
ASK = f"-P {FAULTY} ask think"
CLOSED = [
    " ".join(parts)
    for count in (1, 2, 3)
    for parts in itertools.combinations(("<&-", ">&-", "2>&-"), count)
]


def shell(arguments: str, redirections: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"'{sys.executable}' {arguments} {redirections}"],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


@pytest.mark.parametrize("closed", CLOSED)
def test_ask_answers_whatever_else_is_closed(closed: str) -> None:
    done = shell(ASK, closed)
    if ">&-" in closed.replace("2>&-", ""):
        sentence = "hearth: stdout is closed, so there is nowhere to answer. Use `> FILE`.\n"
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == ("" if "2>&-" in closed else sentence)
    else:
        assert (done.returncode, done.stdout) == (0, "Yes.\n")


@pytest.mark.parametrize("program", ["-P -m engine models", "-P -m app models"])
@pytest.mark.parametrize("closed", ["<&- 2>&-", "<&- >&-"])
def test_a_list_of_models_comes_or_a_sentence_does(program: str, closed: str) -> None:
    done = shell(program, closed)
    if "2>&-" in closed:
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("ID ")
    else:
        assert done.returncode == 1
        assert done.stderr.startswith("hearth: stdout is closed")
        assert done.stderr.count("\n") == 1


def test_an_engine_without_stderr_serves() -> None:
    done = shell("-P -m engine serve", '2>&- <<< \'{"command": "shutdown"}\'')
    assert done.returncode == 0
    assert '"event":"hello"' in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
@pytest.mark.parametrize("verb", ["models", "models --json"])
def test_a_full_disk_under_stdout_is_a_sentence(verb: str) -> None:
    done = shell(f"-P -m engine {verb}", "> /dev/full")
    assert (done.returncode, done.stderr) == (1, "hearth: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_full_disk_under_stderr_leaves_the_answer_and_the_exit_code() -> None:
    assert shell(ASK, "2> /dev/full").stdout == "Yes.\n"
    assert shell("-P -m engine ask ''", "2> /dev/full").returncode == 2
    assert shell("-P -m engine nonsense", "2> /dev/full").returncode == 2
