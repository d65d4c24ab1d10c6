"""Whether this computer's kernels compute with weights in blocks."""

from __future__ import annotations

import functools
import logging

import torch

from engine.errors import reason
from engine.formats import cuda
from engine.formats.registry import FORMATS

_log = logging.getLogger(__name__)


def on(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether there are kernels for the device and for activations of `dtype`."""
    return device.type == "cuda" and dtype in cuda.ELEMENTS and _compiles(device, dtype)


@functools.cache
def _compiles(device: torch.device, dtype: torch.dtype) -> bool:
    """Tries one kernel: NVRTC may be missing, or the driver older than it."""
    try:
        cuda.values_kernel(FORMATS["Q8_0"], dtype, device)
    except Exception as error:  # noqa: BLE001 - of the driver, of ctypes for a library that is not there
        _log.warning("weights in blocks are written out: %s", reason(error))
        return False
    return True
