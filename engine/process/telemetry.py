"""Twice a second: memory, load, and tokens a second of the reply in progress."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import psutil

from engine.device import nvml
from engine.protocol import Device, Telemetry

INTERVAL: Final = 0.5
"""Seconds between samples."""


class Rate:
    """Tokens a second of one reply over the last second, counted by one thread, read by another."""

    def __init__(self, first: float) -> None:
        """`first` is when the first token came, in seconds; it is not counted."""
        self._count = 0
        self._samples: deque[tuple[float, int]] = deque([(first, 0)])

    def count(self) -> None:
        """One more; costs the counting thread one addition."""
        self._count += 1

    def per_second(self, now: float) -> float:
        """`now` in seconds, never less than at the last call."""
        self._samples.append((now, self._count))
        while len(self._samples) > 2 and self._samples[1][0] <= now - 1.0:
            self._samples.popleft()
        start, before = self._samples[0]
        return (self._count - before) / (now - start) if now > start else 0.0


class Meter:
    """Where the engine thread leaves what telemetry shows: its device, and each token."""

    def __init__(self) -> None:
        self._rate: Rate | None = None
        self._gpu_uuid: str | None = ""

    def count(self) -> None:
        """A token of the reply in progress."""
        if self._rate is None:
            self._rate = Rate(time.monotonic())
        else:
            self._rate.count()

    def end(self) -> None:
        """No reply is in progress any more."""
        self._rate = None

    def use(self, device: Device) -> None:
        """From the engine thread, once the device is known."""
        self._gpu_uuid = cuda_uuid() if device.kind == "cuda" else None

    def sample(self, now: float) -> Telemetry:
        """`now` as time.monotonic() has it."""
        rate = self._rate
        ram = psutil.virtual_memory()
        gpu = nvml.GpuSample() if self._gpu_uuid is None else nvml.sample(self._gpu_uuid)
        return Telemetry(
            cpu_percent=psutil.cpu_percent(interval=None),
            engine_ram_bytes=psutil.Process().memory_info().rss,
            ram_used_bytes=ram.total - ram.available,
            ram_total_bytes=ram.total,
            gpu_name=gpu.name,
            gpu_memory_used_bytes=gpu.memory_used,
            gpu_memory_total_bytes=gpu.memory_total,
            gpu_percent=gpu.percent,
            tokens_per_second=rate.per_second(now) if rate else 0.0,
        )


def cuda_uuid() -> str:
    """Of torch's current CUDA device, whose index need not be NVML's."""
    import torch

    return f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"


def start(meter: Meter, put: Callable[[Telemetry], None]) -> None:
    """Samples in a thread of its own for as long as the process lives."""

    def run() -> None:
        psutil.cpu_percent(interval=None)  # the first call has nothing to compare with
        while True:
            time.sleep(INTERVAL)
            put(meter.sample(time.monotonic()))

    threading.Thread(target=run, name="telemetry", daemon=True).start()
