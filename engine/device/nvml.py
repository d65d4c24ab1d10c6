"""NVIDIA's own view of its GPUs, without torch. Every fact is empty where there is no driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pynvml

from engine.protocol import Gpu


@dataclass(frozen=True)
class GpuSample:
    """Bytes; `percent` is the share of the last sampling period in which a kernel ran."""

    name: str = ""
    memory_used: int = 0
    memory_total: int = 0
    percent: float = 0.0


def gpus() -> tuple[Gpu, ...]:
    """All GPUs in NVML's order, which is that of the PCI bus."""
    try:
        pynvml.nvmlInit()
        driver = str(pynvml.nvmlSystemGetDriverVersion())
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return tuple(
            Gpu(
                index=index,
                name=pynvml.nvmlDeviceGetName(handle),
                memory_total_bytes=_memory(handle)[1],
                driver=driver,
            )
            for index, handle in enumerate(handles)
        )
    except pynvml.NVMLError:
        return ()


def sample(uuid: str) -> GpuSample:
    """Of the GPU with this UUID (`GPU-...`), or of the first one when it is empty."""
    try:
        pynvml.nvmlInit()
        handle = (
            pynvml.nvmlDeviceGetHandleByUUID(uuid) if uuid else pynvml.nvmlDeviceGetHandleByIndex(0)
        )
        name = pynvml.nvmlDeviceGetName(handle)
    except pynvml.NVMLError:
        return GpuSample()
    used, total = _memory(handle)
    return GpuSample(name, used, total, _percent(handle))


def _memory(handle: Any) -> tuple[int, int]:
    """Bytes (used, total). A GPU that shares the computer's memory has none of its own to tell."""
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    except pynvml.NVMLError:
        return 0, 0
    return int(memory.used), int(memory.total)


def _percent(handle: Any) -> float:
    """Not every GPU tells (a slice of one does not)."""
    try:
        return float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    except pynvml.NVMLError:
        return 0.0
