"""What a child of the window may take: it works on what a stranger wrote. Knows no Qt."""

from __future__ import annotations

import signal
import sys


def limit_seconds(seconds: float) -> None:
    """Ends this process by a signal after so many seconds of the processor, where there are such;
    0: never. The window ends it elsewhere, later."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)


def limit_memory(size: int) -> None:
    """Bytes of memory that this process may have, where that can be limited."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))
