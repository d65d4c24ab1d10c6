"""How bytes are said, and how many this computer has. Without torch: the catalog asks."""

from __future__ import annotations

from typing import NamedTuple

import psutil

from engine.device import nvml


def said(count: int) -> str:
    """Bytes, for a sentence."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


class Memory(NamedTuple):
    """Used or not."""

    largest: int
    """Bytes of the largest in which a model could lie: the computer's, or an NVIDIA GPU's."""
    of_gpu: bool
    """Whether there is an NVIDIA GPU."""


def memory() -> Memory:
    gpus = nvml.gpus()
    host = int(psutil.virtual_memory().total)
    return Memory(max([host, *(gpu.memory_total_bytes for gpu in gpus)]), bool(gpus))
