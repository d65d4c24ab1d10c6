"""Whether a Triton kernel may begin while the one before it ends (programmatic dependent launch).

It then loads its weights, which nothing before it changes, and waits before it touches the rest.
All that wait have waited for all before them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import torch

from engine.device import memory

CAPABILITY: Final = (9, 0)
"""Below it the processor has no such launch."""

_on = False
_log = logging.getLogger(__name__)


def options() -> dict[str, Any]:
    """What every launch of a kernel with EARLY is given."""
    return {"EARLY": True, "launch_pdl": True} if _on else {"EARLY": False}


def find_out(run: Callable[[], None]) -> None:
    """`run` launches kernels one behind another and raises where their numbers are wrong.

    Raises what it raises where that is not for beginning early.
    """
    global _on
    _on = torch.cuda.get_device_capability() >= CAPABILITY
    try:
        run()
    except Exception as error:
        if not _on or memory.is_used_up(error):
            raise
        _log.info("launches do not begin early: %s", error)
        _on = False
        run()
