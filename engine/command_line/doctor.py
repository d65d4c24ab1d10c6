"""`hearth doctor`: what this computer is to Hearth, and what to do about each problem found."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

import engine
from engine import folders, log
from engine.catalog import listing
from engine.device import nvml
from engine.errors import HearthError
from engine.protocol import Gpu
from ground import terminal

if TYPE_CHECKING:
    from engine.device.facts import DeviceFacts

LOW_SPACE: Final = 5_000_000_000
"""Bytes free below which a model's download or conversion would soon fail."""

_OWN_ENVIRONMENT: Final = Path(engine.__file__).parents[1] / ".venv"
"""What start.py makes; another environment of that name is somebody else's."""
_SET_UP_AGAIN: Final = (
    f"Delete the folder {_OWN_ENVIRONMENT} and run `python3 start.py` again."
    if Path(sys.prefix) == _OWN_ENVIRONMENT
    else "Install Hearth again."
)
_OWN: Final = ("transformers", "safetensors", "gguf")
_GB: Final = 1_000_000_000


@dataclass
class Report:
    """Lines of name and value; a problem stops something from working, a hint does not."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def add(self, name: str, value: str) -> None:
        self.lines.append((name, value))

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.lines)
        lines = (f"{name.ljust(width)}  {terminal.line(value)}" for name, value in self.lines)
        parts = ["\n".join(lines)]
        parts += [f"Problem: {terminal.line(text)}" for text in self.problems]
        parts += [f"Hint: {terminal.line(text)}" for text in self.hints]
        if not self.problems:
            parts.append("No problems were found.")
        return "\n\n".join(parts)


def run() -> int:
    """Prints the report; the exit code is 1 when it has problems, else 0."""
    report = examine()
    print(report)
    return bool(report.problems)


def examine() -> Report:
    report = Report()
    report.add("Hearth", engine.__version__)
    report.add("Python", f"{platform.python_version()} ({sys.executable})")
    report.add("System", f"{platform.platform()}, {psutil.cpu_count(logical=False) or 1} cores")
    memory = psutil.virtual_memory()
    report.add("Memory", f"{_size(memory.total)}, {_size(memory.available)} available")
    gpus = nvml.gpus()
    _examine_gpus(report, gpus)
    _examine_packages(report)
    _examine_attention(report, gpus)
    _examine_folders(report)
    _examine_models(report)
    return report


def _examine_gpus(report: Report, gpus: tuple[Gpu, ...]) -> None:
    if not gpus:
        report.add("GPU", "no NVIDIA GPU, or no driver for it")
    for gpu in gpus:
        memory = _size(gpu.memory_total_bytes)
        report.add(f"GPU {gpu.index}", f"{gpu.name}, {memory}, driver {gpu.driver}")


def _examine_packages(report: Report) -> None:
    for name in _OWN:
        try:
            report.add(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            report.add(name, "missing")
            report.problems.append(f"The package {name} is missing. {_SET_UP_AGAIN}")


def _examine_attention(report: Report, gpus: tuple[Gpu, ...]) -> None:
    try:
        import torch

        from engine.device import facts
    except (ImportError, OSError) as error:
        report.add("torch", f"cannot be imported: {error}")
        report.problems.append(f"torch cannot be imported, and no model runs. {_SET_UP_AGAIN}")
        return
    cuda = torch.version.cuda
    report.add("torch", f"{torch.__version__}, {f'CUDA {cuda}' if cuda else 'without CUDA'}")
    current = facts.current()
    report.add("flash-attn", current.flash_attn or _flash_attn_state())
    report.add("Device", _device(current))
    if current.kind == "cpu":
        report.add("C++ kernels", "built, or can be" if current.cpp else "none, and no compiler")
        if not current.cpp:
            report.hints.append(
                "There is no C++ compiler on this computer. With one (`c++`, `g++`, `clang++` or "
                "`cl`) GGUF models take a third of the memory and run faster on the CPU."
            )
    if gpus and current.kind != "cuda":
        report.problems.append(_gpu_unused(cuda))
    _examine_choice(report, current)


def _examine_choice(report: Report, current: DeviceFacts) -> None:
    """The kernel that a model of the Llama 3 kind would get; a model's own is told in its badge."""
    from engine.attention.choice import Shape, choose
    from engine.device.facts import native_dtype

    shape = Shape(heads=32, kv_heads=8, head_size=128, dtype=native_dtype(current))
    choice = choose(current, shape, "auto")
    report.add("Attention", f"{choice.label}. {choice.reason}")
    if current.kind == "cuda" and not current.flash_attn and choice.flash:
        report.hints.append(
            "Torch's own flash kernel is used. The flash-attn package would bring flash attention "
            "to Gemma 2 (logit softcap) too; it has no ready wheel on the package index. "
            f"Take one built for torch {current.torch} and this Python from the project's "
            "releases (github.com/Dao-AILab/flash-attention), and install it with "
            f"`{sys.executable} -m pip install --no-deps WHEEL`."
        )


def _flash_attn_state() -> str:
    if importlib.util.find_spec("flash_attn") is None:
        return "not installed (optional)"
    return "installed, but its import fails: it was built for another torch, CUDA or Python"


def _device(current: DeviceFacts) -> str:
    if current.capability is None:
        return current.name
    return f"{current.name}, compute capability {'.'.join(map(str, current.capability))}"


def _gpu_unused(cuda: str | None) -> str:
    if cuda is None:
        return (
            "There is an NVIDIA GPU, but this torch was built without CUDA, so models run on the "
            f"CPU. {_SET_UP_AGAIN}"
        )
    return (
        f"There is an NVIDIA GPU, but torch cannot use it with this driver (it needs one for CUDA "
        f"{cuda}), so models run on the CPU. Update the NVIDIA driver and start again; if "
        "CUDA_VISIBLE_DEVICES is set, check that it names a GPU."
    )


def _examine_folders(report: Report) -> None:
    kinds: tuple[tuple[str, Callable[[], Path]], ...] = (
        ("Data folder", folders.data),
        ("Cache folder", folders.cache),
        ("Log file", log.path),
    )
    low: set[int] = set()
    for name, place in kinds:
        try:
            path = place()
        except HearthError as error:
            report.add(name, "cannot be used")
            report.problems.append(f"{error.detail} {error.hint}")
            continue
        folder = path if path.is_dir() else path.parent
        free, disk = shutil.disk_usage(folder).free, folder.stat().st_dev
        report.add(name, f"{path}, {_size(free)} free")
        if free < LOW_SPACE and disk not in low:
            low.add(disk)
            report.problems.append(
                f"Only {_size(free)} are free on the disk of {path}. Free some space, or set "
                "HEARTH_HOME to a folder on another disk."
            )


def _examine_models(report: Report) -> None:
    models = listing.scan()
    usable = sum(not model.problem for model in models)
    report.add(
        "Models", f"{usable} of {len(models)} can be used (`python3 start.py models` lists them)"
    )
    if not usable:
        report.problems.append(f"There is no model that can be used. {_SET_UP_AGAIN}")


def _size(size: int) -> str:
    return f"{size / _GB:,.1f} GB"
