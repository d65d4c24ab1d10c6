"""How bytes are said, and how many this computer has. Without torch: the catalog asks."""

from __future__ import annotations

import psutil

from engine.device import nvml


def said(count: int) -> str:
    """Bytes, for a sentence."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def largest_memory() -> int:
    """Bytes of the largest memory that a model could lie in here, used or not: the computer's, or
    an NVIDIA GPU's."""
    host = int(psutil.virtual_memory().total)
    return max(host, *(gpu.memory_total_bytes for gpu in nvml.gpus()), 0)
