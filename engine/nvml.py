"""NVIDIA's own view of its GPUs, without torch. Every fact is empty where there is no driver."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
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
    found: list[Gpu] = []
    with contextlib.suppress(pynvml.NVMLError):
        driver = _driver()
        for index, handle in enumerate(_handles()):
            found.append(
                Gpu(
                    index=index,
                    name=pynvml.nvmlDeviceGetName(handle),
                    memory_total_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
                    driver=driver,
                )
            )
    return tuple(found)


def sample(uuid: str) -> GpuSample:
    """Of the GPU with this UUID (`GPU-...`), or of the first one when it is empty."""
    try:
        pynvml.nvmlInit()
        handle = (
            pynvml.nvmlDeviceGetHandleByUUID(uuid) if uuid else pynvml.nvmlDeviceGetHandleByIndex(0)
        )
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        name = pynvml.nvmlDeviceGetName(handle)
    except pynvml.NVMLError:
        return GpuSample()
    return GpuSample(name, int(memory.used), int(memory.total), _percent(handle))


def _percent(handle: Any) -> float:
    """Not every GPU tells (a slice of one does not)."""
    try:
        return float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    except pynvml.NVMLError:
        return 0.0


def _driver() -> str:
    pynvml.nvmlInit()
    return str(pynvml.nvmlSystemGetDriverVersion())


def _handles() -> Iterator[Any]:
    pynvml.nvmlInit()
    for index in range(pynvml.nvmlDeviceGetCount()):
        yield pynvml.nvmlDeviceGetHandleByIndex(index)
