"""Turns whatever an engine thread raised into an error for a person, and a log line for us."""

from __future__ import annotations

import logging
import re
import traceback

from engine.errors import HearthError, OutOfMemoryError
from engine.protocol import Error

_log = logging.getLogger(__name__)

_CUDA_FAULT = re.compile(r"CUDA error: |cuDNN error: ")
"""Of CUDA's libraries (cuBLAS, cuDNN), which torch raises as a plain RuntimeError."""


class DeviceFaultError(HearthError):
    """A fault of the device after which its process can no longer use it (CUDA context lost)."""

    code = "device"
    title = "The graphics card reported a fault"
    default_hint = "The engine starts afresh; load the model again."


def as_hearth_error(error: BaseException) -> HearthError:
    """The error itself when it is meant for a person, else a plain sentence about its kind."""
    if isinstance(error, HearthError):
        return error
    if isinstance(error, MemoryError) or _is_torch(error, "OutOfMemoryError"):
        return OutOfMemoryError("The memory was used up.")
    if "DefaultCPUAllocator" in str(error):
        return OutOfMemoryError("The computer's memory was used up.")
    if _is_torch(error, "AcceleratorError") or _CUDA_FAULT.match(str(error)):
        return DeviceFaultError("The computation on the graphics card was broken off.")
    return HearthError(f"The engine met an unexpected fault ({type(error).__name__}).")


def as_event(error: HearthError, request: str = "") -> Error:
    return Error(
        title=error.title, detail=error.detail, hint=error.hint, code=error.code, request=request
    )


def record(error: BaseException) -> None:
    """Logs what happened and, for an error that is not meant for a person, where.

    A person at a terminal sees what is logged from warnings on: what is told as a sentence is not
    said again there, and where it happened is for the file. Only RuntimeError (what torch raises)
    is logged with its message: the message of a template or lookup error can carry the prompt's
    text, and no log may.
    """
    if isinstance(error, HearthError):
        _log.info("%s: %s", type(error).__name__, error.code)
        return
    message = str(error) if isinstance(error, RuntimeError | ImportError) else ""
    _log.error("%s: %s", type(error).__name__, message)
    _log.info("at\n%s", "".join(traceback.format_tb(error.__traceback__)))


def _is_torch(error: BaseException, name: str) -> bool:
    """By name, so that torch need not be imported to ask."""
    return any(c.__name__ == name and c.__module__.startswith("torch") for c in type(error).__mro__)
