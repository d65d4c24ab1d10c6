"""A process that answers its first request, and does to the next one what its argument says."""

from __future__ import annotations

import sys
import time
from typing import Any

from engine.loading import child_loop


def answer(request: Any) -> None:
    if request is None:
        return
    if sys.argv[1] == "sleep":
        time.sleep(600)
    while True:
        sys.stdout.write("x" * 1_000_000)


child_loop.serve(answer)
