"""Samples of memory, load and tokens a second; NVML's view where there is none."""

from __future__ import annotations

import os
import queue
import time
from types import SimpleNamespace
from typing import Any

import psutil
import pynvml
import pytest

from engine.device import nvml
from engine.process import telemetry
from engine.process.telemetry import Meter, Rate
from engine.protocol import Device, Telemetry

LIMIT = 10.0
"""Seconds after which a test that waits has failed."""


def rates(steps: list[tuple[float, int]]) -> list[float]:
    """What `per_second` says at each time, after so many more tokens; the first one came at 0 s."""
    rate = Rate(0.0)
    said = []
    for now, more in steps:
        for _ in range(more):
            rate.count()
        said.append(rate.per_second(now))
    return said


def test_rate_is_right_within_the_first_second() -> None:
    assert rates([(0.25, 10), (0.5, 10)]) == [40, 40]


def test_rate_is_what_came_within_the_last_second() -> None:
    assert rates([(0.5, 10), (1.0, 10), (1.5, 30), (2.0, 30)]) == [20, 20, 40, 60]


def test_rate_falls_to_zero_when_nothing_comes() -> None:
    assert rates([(1.0, 50), (1.5, 0), (2.0, 0), (2.5, 0)])[-2:] == [0, 0]


def test_rate_takes_samples_that_come_late() -> None:
    assert rates([(4.0, 40), (8.0, 80)]) == [10, 20]


def test_rate_of_no_time_is_zero() -> None:
    assert rates([(0.0, 1)]) == [0]


def test_rate_is_of_the_reply_in_progress_alone() -> None:
    meter = Meter()
    meter.count()
    for _ in range(1000):
        meter.count()
    assert meter.sample(time.monotonic()).tokens_per_second > 0
    meter.end()
    assert meter.sample(time.monotonic()).tokens_per_second == 0
    meter.count()
    assert meter.sample(time.monotonic()).tokens_per_second == 0


def test_sample_is_of_this_process_and_machine() -> None:
    meter = Meter()
    meter.use(Device(kind="cpu", name="CPU", torch="2", transformers="5"))
    sample = meter.sample(1.0)
    assert sample.ram_total_bytes == psutil.virtual_memory().total
    assert 0 < sample.ram_used_bytes < sample.ram_total_bytes
    assert 0 < sample.engine_ram_bytes < sample.ram_total_bytes
    resident = psutil.Process(os.getpid()).memory_info().rss
    assert sample.engine_ram_bytes == pytest.approx(resident, rel=0.2)


def test_samples_come_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "INTERVAL", 0.01)
    samples: queue.SimpleQueue[Telemetry] = queue.SimpleQueue()
    telemetry.start(Meter(), samples.put)
    assert samples.get(timeout=LIMIT).ram_total_bytes
    assert samples.get(timeout=LIMIT).ram_total_bytes


class Driver:
    """NVML of two GPUs, the second of which tells neither memory nor load (a slice, a GB10)."""

    def __init__(self) -> None:
        self.functions = {
            "nvmlInit": lambda: None,
            "nvmlDeviceGetCount": lambda: 2,
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetHandleByUUID": ["GPU-a", "GPU-b"].index,
            "nvmlDeviceGetName": lambda handle: f"GPU {handle}",
            "nvmlSystemGetDriverVersion": lambda: "580.1",
            "nvmlDeviceGetMemoryInfo": self.memory,
            "nvmlDeviceGetUtilizationRates": self.load,
        }

    def memory(self, handle: int) -> Any:
        self.refuse_second(handle)
        return SimpleNamespace(used=3, total=8)

    def load(self, handle: int) -> Any:
        self.refuse_second(handle)
        return SimpleNamespace(gpu=50)

    def refuse_second(self, handle: int) -> None:
        if handle == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, function in Driver().functions.items():
        monkeypatch.setattr(pynvml, name, function)


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)


@pytest.mark.usefixtures("no_driver")
def test_without_a_driver_every_fact_is_empty() -> None:
    assert nvml.gpus() == ()
    assert nvml.sample("") == nvml.GpuSample()
    assert nvml.sample("GPU-a") == nvml.GpuSample()


@pytest.mark.usefixtures("driver")
def test_gpu_that_does_not_tell_its_memory_is_listed_all_the_same() -> None:
    first, second = nvml.gpus()
    assert (first.name, first.memory_total_bytes, first.driver) == ("GPU 0", 8, "580.1")
    assert (second.name, second.memory_total_bytes, second.driver) == ("GPU 1", 0, "580.1")


@pytest.mark.usefixtures("driver")
def test_sample_is_of_the_gpu_with_that_uuid() -> None:
    assert nvml.sample("GPU-a") == nvml.GpuSample("GPU 0", 3, 8, 50.0)
    assert nvml.sample("GPU-b") == nvml.GpuSample("GPU 1")
    assert nvml.sample("") == nvml.GpuSample("GPU 0", 3, 8, 50.0)


@pytest.mark.usefixtures("driver")
def test_model_on_the_cpu_shows_no_gpu() -> None:
    meter = Meter()
    assert meter.sample(1.0).gpu_name == "GPU 0"
    meter.use(Device(kind="cpu", name="CPU", torch="2", transformers="5"))
    assert meter.sample(2.0).gpu_name == ""
