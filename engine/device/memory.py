"""How much memory there is, how much was taken, and what can be done when it is used up.

The GPU's on CUDA, else the computer's.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import re
import sys
import time
from collections.abc import Callable
from typing import Final, TypeVar

import psutil
import torch

from engine.errors import OutOfMemoryError, reason

ROUND: Final = 256
"""Tokens: a context that is offered is a multiple of it."""
SHARE_TO_GIVE_UP: Final = 0.25
"""Of a context beside which the model could not run, at least."""
_USED_UP: Final = re.compile(
    "out of memory|DefaultCPUAllocator|CUBLAS_STATUS_ALLOC_FAILED", re.IGNORECASE
)
"""In a RuntimeError: of the driver, of Triton and MPS; of torch on the CPU; of cuBLAS. The context
of a device lives on after each of them."""

_log = logging.getLogger(__name__)
Result = TypeVar("Result")


def free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_host_bytes()


def allowed_bytes() -> int:
    """Of the CUDA GPU's free memory, what a limit of the process leaves to torch."""
    free, total = torch.cuda.mem_get_info()
    limit = int(total * torch.cuda.get_per_process_memory_fraction())
    return max(0, min(int(free), limit - torch.cuda.memory_reserved()))


def free_host_bytes() -> int:
    return int(psutil.virtual_memory().available)


def give_back(device: torch.device) -> None:
    """What nothing refers to any more, to whoever wants it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch._C._host_emptyCache()  # noqa: SLF001 - pinned memory, for which nothing is public


def trim() -> None:
    """Gives the system what glibc keeps of memory that was freed: 33 MB after SmolLM2 is loaded."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def is_used_up(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError | OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_USED_UP.search(str(error)))


def attempt(device: torch.device, run: Callable[[], Result]) -> Result | None:
    """None where memory was used up; what `run` took until then is given back.

    That can only be done once the error is gone, whose traceback holds what was computed.
    """
    try:
        return run()
    except Exception as error:
        if not is_used_up(error):
            raise
        _log.warning("memory was used up: %s", reason(error))
    give_back(device)
    return None


def shorter(context: int, bytes_per_token: int, missing: int) -> int:
    """A context, in tokens, whose cache leaves `missing` bytes more than this one's.

    Gives up a quarter at least, since what is missing is seldom known. 0 where none would do.
    """
    less = max(int(SHARE_TO_GIVE_UP * context), -(-missing // bytes_per_token))
    return rounded(max(0, context - less))


def rounded(context: int) -> int:
    return context - context % ROUND or context


def measured(device: torch.device, run: Callable[[], object]) -> tuple[float, int]:
    """Seconds on a CUDA GPU, and the most bytes taken beyond those held before."""
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before, begin = torch.cuda.memory_allocated(device), time.perf_counter()
    run()
    torch.cuda.synchronize(device)
    seconds = time.perf_counter() - begin
    return seconds, int(torch.cuda.max_memory_allocated(device)) - before


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
