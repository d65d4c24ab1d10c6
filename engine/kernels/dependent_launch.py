"""Whether a Triton kernel may begin while the one before it ends (programmatic dependent launch).

It then loads its weights, which nothing before it changes, and waits before it touches the rest.
Each kernel waits for its predecessor, so order holds transitively.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import torch

from engine.device import memory

CAPABILITY: Final = (9, 0)
"""Below it the processor has no such launch."""

_early: Final[dict[int, bool]] = {}
"""What was found out of each GPU, by its index."""
_log = logging.getLogger(__name__)


def options() -> dict[str, Any]:
    """Arguments of every launch of a kernel with EARLY, on the current GPU."""
    early = _early.get(torch.cuda.current_device(), False)
    return {"EARLY": True, "launch_pdl": True} if early else {"EARLY": False}


def find_out(run: Callable[[], None]) -> None:
    """`run` launches kernels one behind another and raises if their numbers are wrong.

    Raises what `run` raises without dependent launches.
    """
    device = torch.cuda.current_device()
    _early[device] = torch.cuda.get_device_capability(device) >= CAPABILITY
    try:
        run()
    except Exception as error:
        if not _early[device] or memory.is_used_up(error):
            raise
        _log.info("launches do not begin early: %s", error)
        _early[device] = False
        run()
