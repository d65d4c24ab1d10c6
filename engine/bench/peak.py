"""The most memory that a piece of work takes beyond what was held before it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch

STATUS: Final = Path("/proc/self/status")
CLEAR_REFS: Final = Path("/proc/self/clear_refs")
FORGET_PEAK: Final = "5"
"""proc(5): sets the peak of the resident set to what is resident now."""
UNTOLD: Final = "this system does not tell the peak of a piece of work"

Peak = Callable[[], int]
"""Bytes beyond what was held when it was made."""


def peak(device: torch.device) -> Peak | None:
    """Begins to measure; None where nothing tells.

    On CUDA what torch's allocator handed out, on the CPU of Linux the process's resident set.
    """
    if device.type == "cuda":
        return _cuda(device)
    if device.type == "cpu" and sys.platform == "linux":
        return _resident()
    return None


def _cuda(device: torch.device) -> Peak:
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    return lambda: int(torch.cuda.max_memory_allocated(device)) - before


def _resident() -> Peak | None:
    try:
        CLEAR_REFS.write_text(FORGET_PEAK)
    except OSError:  # a container may not
        return None
    before = _status("VmRSS")
    return lambda: max(0, _status("VmHWM") - before)


def _status(name: str) -> int:
    """Bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0
