"""start.py: what it would install where, and that it says what a person must do."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from http.client import RemoteDisconnected
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, with a root and an environment of the test's own."""
    spec = importlib.util.spec_from_file_location("start", ROOT / "start.py")
    assert spec is not None
    assert spec.loader is not None
    made: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    monkeypatch.setattr(made, "ROOT", tmp_path)
    monkeypatch.setattr(made, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(made, "PYTHON", tmp_path / ".venv" / "python")
    monkeypatch.setattr(made, "LOCKS", {"hearth": ("a.lock", "b.lock"), "tests": ("c.lock",)})
    for name in ("start.py", "a.lock", "b.lock", "c.lock", ".venv/python"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return made


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Takes every command line instead of running it; all succeed."""
    taken: list[list[str]] = []

    def call(command: list[Any], **_: object) -> int:
        taken.append([str(part) for part in command])
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    return taken


@pytest.mark.parametrize(
    ("platform", "cuda", "label"),
    [
        ("linux", 0, "cpu"),
        ("linux", 11080, "cu126"),
        ("linux", 12080, "cu126"),
        ("linux", 13000, ""),
        ("linux", 13010, ""),
        ("win32", 0, ""),
        ("win32", 12080, "cu126"),
        ("win32", 13000, "cu130"),
        ("darwin", 0, ""),
    ],
)
def test_torch_build_fits_system_and_driver(
    start: Any, platform: str, cuda: int, label: str
) -> None:
    assert start.torch_label(platform, cuda) == label


class Driver:
    """Stands in for NVIDIA's library of a driver that runs CUDA 13."""

    def __init__(self, *_: object) -> None: ...

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802 - NVIDIA's name
        version._obj.value = 13000
        return 0


@pytest.mark.parametrize(
    ("capabilities", "cuda"),
    [
        ([(9, 0)], 13000),
        ([(7, 5)], 13000),
        ([(7, 0)], 12000),
        ([(8, 9), (6, 1)], 12000),
        ([], 13000),
    ],
)
def test_gpus_that_cuda_13_left_behind_get_a_build_of_cuda_12(
    start: Any, monkeypatch: pytest.MonkeyPatch, capabilities: list[tuple[int, int]], cuda: int
) -> None:
    monkeypatch.setattr(start.ctypes, "CDLL", Driver)
    monkeypatch.setattr(start, "compute_capabilities", lambda: capabilities)
    assert start.usable_cuda() == cuda


def test_torch_build_is_named_to_the_letter(start: Any) -> None:
    assert start.torch_requirement("cpu") == f"torch==={start.TORCH}+cpu"
    assert start.torch_requirement("") == f"torch==={start.TORCH}"


def test_torch_is_the_version_that_the_project_pins(start: Any) -> None:
    assert f'"torch=={start.TORCH}"' in (ROOT / "pyproject.toml").read_text()


def test_fingerprint_changes_with_locks_build_and_python(start: Any, tmp_path: Path) -> None:
    seen = {start.fingerprint("hearth", "cpu"), start.fingerprint("hearth", "")}
    (tmp_path / "b.lock").write_text("other")
    seen.add(start.fingerprint("hearth", "cpu"))
    (tmp_path / "start.py").write_text("other")
    seen.add(start.fingerprint("hearth", "cpu"))
    start.PYTHON = tmp_path / "other" / "python"
    seen.add(start.fingerprint("hearth", "cpu"))
    assert len(seen) == 5
    (tmp_path / "c.lock").write_text("of the tests alone")
    assert start.fingerprint("hearth", "cpu") in seen


def test_first_start_installs_locks_then_torch_and_the_second_one_nothing(
    start: Any, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "answers", lambda _: True)
    start.set_up("hearth", "cpu")
    _, first, second, torch = calls
    assert first[-4:] == ["--no-deps", "--require-hashes", "-r", str(start.ROOT / "a.lock")]
    assert second[-1] == str(start.ROOT / "b.lock")
    assert torch[-3:] == [
        "--extra-index-url",
        start.TORCH_INDEX + "cpu",
        f"torch==={start.TORCH}+cpu",
    ]
    calls.clear()
    start.set_up("hearth", "cpu")
    assert calls == []
    start.set_up("hearth", "")
    assert calls[-1][-1] == f"torch==={start.TORCH}"


def test_build_that_is_nowhere_gives_way_to_the_default_one(
    start: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, ...]] = []

    def pip(*arguments: str) -> bool:
        asked.append(arguments)
        return len(asked) == 2

    monkeypatch.setattr(start, "answers", lambda _: False)
    monkeypatch.setattr(start, "pip", pip)
    start.install_torch("cpu")
    assert [arguments[1:] for arguments in asked] == [
        (f"torch==={start.TORCH}+cpu",),
        (f"torch==={start.TORCH}",),
    ]
    assert "3 GB" in capsys.readouterr().err


def test_set_up_that_failed_is_no_finished_one(
    start: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(start, "venv_works", lambda: True)
    monkeypatch.setattr(start, "pip", lambda *_: False)
    with pytest.raises(SystemExit, match="Set-up stopped"):
        start.set_up("hearth", "cpu")
    assert not (tmp_path / ".venv" / "installed-hearth").exists()


@pytest.mark.parametrize(
    ("fault", "said"),
    [(OSError(28, "No space left on device"), "No space left"), (KeyboardInterrupt(), "again")],
    ids=["full disk", "Ctrl-C"],
)
def test_set_up_that_cannot_go_on_ends_with_a_sentence(
    start: Any, monkeypatch: pytest.MonkeyPatch, fault: BaseException, said: str
) -> None:
    def stopped(_: list[str]) -> None:
        raise fault

    monkeypatch.setattr(start, "prepare", stopped)
    with pytest.raises(SystemExit, match=said):
        start.main([])


@pytest.mark.parametrize(
    ("arguments", "parts", "command"),
    [
        (["ask", "Hi"], ["hearth"], ["-P", "-m", "app", "ask", "Hi"]),
        (["test", "-x"], ["hearth", "tests"], ["-P", "tests/checks.py", "-x"]),
    ],
)
def test_verb_decides_what_is_prepared_and_run(
    start: Any,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    parts: list[str],
    command: list[str],
) -> None:
    prepared: list[str] = []
    ran: list[str] = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(start, "prepare", prepared.extend)
    monkeypatch.setattr(start, "run", ran.extend)
    start.main(arguments)
    assert (prepared, ran) == (parts, command)


@pytest.mark.parametrize(
    "fault", [TimeoutError(), RemoteDisconnected("closed"), OSError()], ids=repr
)
def test_index_that_does_not_answer_is_not_asked(
    start: Any, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def urlopen(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    assert not start.answers("https://localhost/")


def test_library_that_does_not_load_is_missing(start: Any) -> None:
    assert start.missing_libraries({"libno-such-library.so.7": "libno7"}) == [
        "libno-such-library.so.7"
    ]
    assert start.missing_libraries({}) == []


@pytest.fixture
def system(start: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says who asks, whether there is apt-get, and what is missing before and after it ran."""

    def make(*, root: bool, apt: bool, missing: list[list[str]]) -> None:
        monkeypatch.setattr(start.os, "getuid", lambda: 0 if root else 1000, raising=False)
        monkeypatch.setattr("shutil.which", lambda name: name if apt else None)
        monkeypatch.setattr(start, "QT_LIBRARIES", {"libx.so": "libx1", "liby.so": "liby2"})
        monkeypatch.setattr(start, "missing_libraries", lambda _: missing.pop(0))

    return make


def test_root_gets_missing_libraries_installed_and_then_no_question_more(
    start: Any, system: Callable[..., None], calls: list[list[str]]
) -> None:
    system(root=True, apt=True, missing=[["libx.so", "liby.so"], []])
    start.check_qt_libraries()
    assert calls == [
        ["apt-get", "update"],
        ["apt-get", "install", "-y", "--no-install-recommends", "libx1", "liby2"],
    ]
    start.check_qt_libraries()


def test_install_that_failed_is_not_tried_at_every_start(
    start: Any,
    system: Callable[..., None],
    calls: list[list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    system(root=True, apt=True, missing=[["libx.so"], ["libx.so"], ["libx.so"]])
    start.check_qt_libraries()
    assert len(calls) == 2
    capsys.readouterr()
    start.check_qt_libraries()
    assert len(calls) == 2
    assert "sudo apt-get install -y --no-install-recommends libx1\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("apt", "said"), [(True, "sudo apt-get install"), (False, "not here: libx.so, liby.so")]
)
def test_anyone_else_is_told_what_is_missing(
    start: Any,
    system: Callable[..., None],
    calls: list[list[str]],
    capsys: pytest.CaptureFixture[str],
    apt: bool,
    said: str,
) -> None:
    system(root=False, apt=apt, missing=[["libx.so", "liby.so"]])
    start.check_qt_libraries()
    assert calls == []
    assert said in capsys.readouterr().err


def test_older_python_is_told_which_one_is_needed() -> None:
    program = (
        "import runpy, sys; sys.version_info = (3, 10, 2); "
        f"runpy.run_path({str(ROOT / 'start.py')!r}, run_name='__main__')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Hearth needs Python 3.11 or newer")
    assert "Traceback" not in ran.stderr
