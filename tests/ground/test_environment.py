"""Hearth where the user's home, Python settings or working folder are not as usual."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from app.engine_command import engine_environment
from app.program import opened_store
from engine import folders
from engine.errors import StorageError
from ground import environment, places
from tests.engine.engine_process import ENVIRONMENT, LIMIT


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As platformdirs does for a user without HOME and without an entry in the system's list."""

    def unknown(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("HEARTH_HOME")
    for kind in ("data", "cache", "config", "log"):
        monkeypatch.setattr(platformdirs, f"user_{kind}_path", unknown)


@pytest.mark.usefixtures("no_home")
def test_without_a_home_the_engine_names_hearth_home() -> None:
    for folder in (folders.data, folders.cache, folders.config, folders.log):
        with pytest.raises(StorageError, match="has no home folder") as caught:
            folder()
        assert "HEARTH_HOME" in caught.value.hint


@pytest.mark.usefixtures("no_home")
def test_without_a_home_the_window_opens_and_names_hearth_home() -> None:
    store, problem = opened_store()
    assert store.conversations() == []
    assert "has no home folder" in problem
    assert "HEARTH_HOME" in problem
    store.close()


def test_a_home_relative_to_a_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> str:
        raise FileNotFoundError

    monkeypatch.setenv("HEARTH_HOME", "stick")
    monkeypatch.setattr(os, "getcwd", gone)
    with pytest.raises(places.NoPlaceError, match="is gone"):
        places.place("data")


@pytest.mark.skipif(os.name != "posix", reason="Windows removes no folder in which a process works")
@pytest.mark.parametrize(("home", "left"), [("/tmp", True), ("stick", False)])  # noqa: S108
def test_a_process_leaves_a_folder_that_is_gone(home: str, left: bool, tmp_path: Path) -> None:
    program = (
        "import os, sys\nos.rmdir(sys.argv[1])\n"
        "from ground import environment\nenvironment.leave_lost_folder()\nprint(os.getcwd())"
    )
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, tmp_path / "gone"],
        cwd=tmp_path / "gone",
        env={**os.environ, **ENVIRONMENT, "HEARTH_HOME": home},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.stdout == ("/\n" if left else "")
    assert ("FileNotFoundError" in done.stderr) is not left


def test_the_engine_starts_without_what_breaks_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("PYTHONUTF8", "1")
    for made in (engine_environment(), environment.of_child()):
        assert not {"PYTHONOPTIMIZE", "PYTHONWARNINGS"} & made.keys()
        assert made["PYTHONUTF8"] == "1"


@pytest.mark.parametrize("verb", ["--help", "ask --help", "models"])
@pytest.mark.parametrize("setting", ["PYTHONOPTIMIZE=2", "PYTHONWARNINGS=error"])
def test_the_command_line_needs_no_docstrings_and_bears_warnings(verb: str, setting: str) -> None:
    name, value = setting.split("=")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "engine", *verb.split()],
        env={**os.environ, **ENVIRONMENT, name: value},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
