"""The report on this computer, and for each problem what to do about it."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import folders, log
from engine.catalog import listing
from engine.command_line import doctor
from engine.command_line.doctor import Report
from engine.device import facts, nvml
from engine.device.facts import DeviceFacts
from engine.protocol import Gpu

ROOT = Path(__file__).parents[2]
GPU = Gpu(index=0, name="NVIDIA Test", memory_total_bytes=80_000_000_000, driver="550.1")


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough of it, whatever this machine has."""
    set_free(monkeypatch, 10 * doctor.LOW_SPACE)


def set_free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    usage = type(shutil.disk_usage(ROOT))(2 * size, size, size)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


def line(report: Report, name: str) -> str:
    return dict(report.lines)[name]


def facts_of(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Another machine than this one."""
    made = DeviceFacts(**{**vars(facts.current()), **changes})
    monkeypatch.setattr(facts, "current", lambda: made)


def test_the_report_has_the_facts_of_this_computer(empty_home: Path) -> None:
    report = doctor.examine()
    assert line(report, "torch").startswith(torch.__version__)
    for name in ("transformers", "safetensors", "gguf"):
        assert line(report, name) == importlib.metadata.version(name)
    assert sys.executable in line(report, "Python")
    assert "GB available" in line(report, "Memory")
    assert "cores" in line(report, "System")
    assert str(folders.data()) in line(report, "Data folder")
    assert str(folders.cache()) in line(report, "Cache folder")
    assert str(log.path()) in line(report, "Log file")
    assert line(report, "Models").startswith("2 of 2 can be used")
    assert ". " in line(report, "Attention"), "a kernel, and why"
    assert str(report).count("\n") > 12


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_computer_without_a_gpu_is_no_problem(empty_home: Path) -> None:
    report = doctor.examine()
    assert line(report, "GPU") == "no NVIDIA GPU, or no driver for it"
    assert "without CUDA" in line(report, "torch") or "CUDA" in line(report, "torch")
    assert report.problems == []
    assert str(report).endswith("No problems were found.")


# ---------------------------------------------------------------------------- problems


def problem(report: Report) -> str:
    (text,) = report.problems
    assert text.endswith(".")
    assert f"Problem: {text}" in str(report)
    assert "No problems" not in str(report)
    return text


def test_torch_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    report = doctor.examine()
    assert "torch cannot be imported, and no model runs." in problem(report)
    assert "start.py" in problem(report)
    assert line(report, "torch").startswith("cannot be imported: ")


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "gguf":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    report = doctor.examine()
    assert problem(report).startswith("The package gguf is missing.")
    assert line(report, "gguf") == "missing"


@pytest.mark.parametrize(
    ("cuda", "said"), [(None, "built without CUDA"), ("12.8", "Update the NVIDIA driver")]
)
def test_a_gpu_that_torch_does_not_use(
    cuda: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvml, "gpus", lambda: (GPU,))
    monkeypatch.setattr(torch.version, "cuda", cuda)
    facts_of(monkeypatch, kind="cpu", capability=None)
    report = doctor.examine()
    assert said in problem(report)
    assert line(report, "GPU 0") == "NVIDIA Test, 80.0 GB, driver 550.1"


def test_little_space(monkeypatch: pytest.MonkeyPatch) -> None:
    set_free(monkeypatch, doctor.LOW_SPACE // 10)
    text = problem(doctor.examine())
    assert "Only 0.5 GB are free" in text
    assert "HEARTH_HOME" in text


@pytest.mark.parametrize("place", ["", "data", "cache", "log"])
def test_a_folder_that_cannot_be_used(place: str, empty_home: Path) -> None:
    blocked = empty_home / place
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.touch()
    report = doctor.examine()
    assert report.problems
    for text in report.problems:
        assert "cannot be made" in text
        assert "permissions" in text
    assert "cannot be used" in dict(report.lines).values()


def test_no_model_that_can_be_used(
    empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PACKAGED", ())
    assert "There is no model that can be used." in problem(doctor.examine())
    (listing.models_folder() / "broken.gguf").touch()
    report = doctor.examine()
    assert "There is no model that can be used." in problem(report)
    assert line(report, "Models").startswith("0 of 1 can be used")


# ---------------------------------------------------------------------------- other machines


def h100(**changes: Any) -> dict[str, Any]:
    known = {"kind": "cuda", "name": "NVIDIA H100", "capability": (9, 0), "torch_flash": True}
    return known | changes


def test_a_gpu_with_torchs_kernel_is_told_what_the_package_would_bring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nvml, "gpus", lambda: (GPU,))
    facts_of(monkeypatch, **h100())
    report = doctor.examine()
    assert line(report, "Device") == "NVIDIA H100, compute capability 9.0"
    assert report.problems == []
    (hint,) = report.hints
    assert "flash-attn" in hint
    assert "pip install --no-deps" in hint
    assert f"Hint: {hint}" in str(report)


def test_a_gpu_with_the_package_needs_no_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "gpus", lambda: (GPU,))
    facts_of(monkeypatch, **h100(flash_attn="2.8.3"))
    report = doctor.examine()
    assert line(report, "flash-attn") == "2.8.3"
    assert report.hints == []


def test_an_older_gpu_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    facts_of(monkeypatch, **h100(name="Tesla T4", capability=(7, 5)))
    assert "8.0" in line(doctor.examine(), "Attention")


# ---------------------------------------------------------------------------- exit codes


@pytest.mark.parametrize(
    ("change", "code"), [(lambda report: None, 0), (lambda r: r.problems.append("It is so."), 1)]
)
def test_exit_code_says_whether_there_are_problems(
    change: Callable[[Report], None],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report()
    report.add("Hearth", "here")
    change(report)
    monkeypatch.setattr(doctor, "examine", lambda: report)
    assert doctor.run() == code
    assert capsys.readouterr().out == f"{report}\n"


def test_the_verb_on_this_machine(tmp_path: Path) -> None:
    """Whole, as a user calls it: with a home that is a file, so that there is a problem."""
    home = tmp_path / "home"
    home.touch()
    done = subprocess.run(
        [sys.executable, "-P", "-c", VERB],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"HEARTH_HOME": str(home)},
    )
    assert done.returncode == 1
    assert f"Problem: The folder {home / 'data'} cannot be made" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


VERB = (
    "import sys; sys.path.insert(0, '.'); from engine.command_line.cli import main;"
    "sys.exit(main(['doctor']))"
)
