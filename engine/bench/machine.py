"""The machine and the versions, so that a figure can be told from another machine's."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Final

import psutil
import torch
import transformers

import engine
from engine.bench.result import Machine
from engine.device import nvml
from engine.device.facts import DeviceFacts

CPU_INFO: Final = Path("/proc/cpuinfo")


def machine(facts: DeviceFacts) -> Machine:
    on_gpu = facts.kind == "cuda"
    gpus = nvml.gpus() if on_gpu else ()
    return Machine(
        system=platform.platform(),
        cpu=cpu_name(),
        cores=psutil.cpu_count(logical=False) or 1,
        threads=torch.get_num_threads(),
        ram_bytes=psutil.virtual_memory().total,
        device=facts.name,
        gpu_memory_bytes=torch.cuda.mem_get_info()[1] if on_gpu else 0,
        driver=gpus[0].driver if gpus else "",
    )


def versions(facts: DeviceFacts) -> dict[str, str]:
    return {
        "hearth": engine.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
        "flash-attn": facts.flash_attn or "absent",
    }


def cpu_name() -> str:
    """Linux tells it in a file alone."""
    try:
        lines = CPU_INFO.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
