"""How much memory there is, how much was taken at most: the GPU's on CUDA, else the computer's."""

from __future__ import annotations

import gc
import sys

import psutil
import torch


def free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_host_bytes()


def free_host_bytes() -> int:
    return int(psutil.virtual_memory().available)


def give_back(device: torch.device) -> None:
    """What nothing refers to any more, to whoever wants it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def peak_bytes(device: torch.device) -> int:
    """Most bytes taken since the process began (CPU) or since `reset_peak` (CUDA)."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
