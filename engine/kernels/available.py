"""Modules of Triton kernels that are used where they run, and done without elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from types import ModuleType

from engine.device import memory
from engine.errors import reason

_log = logging.getLogger(__name__)


def tried(name: str, tried_out: Callable[[], ModuleType]) -> ModuleType | None:
    """The module that `tried_out` imports and tries, or None where it does not run.

    What is missing (Triton, a GPU, a C compiler) shows itself in many ways. That memory is used up
    says nothing of the kernels, and is raised: it must not be remembered as their fault.
    """
    try:
        return tried_out()
    except Exception as error:
        if memory.is_used_up(error):
            raise
        _log.info("%s kernels are not used: %s", name, reason(error))
        return None


@cache
def own_kernels() -> ModuleType | None:
    """engine.kernels.gemv, or None where they do not run: no Triton, no GPU, no C compiler."""

    def tried_out() -> ModuleType:
        from engine.kernels import gemv

        gemv.try_out()
        return gemv

    return tried("Hearth's Triton", tried_out)
