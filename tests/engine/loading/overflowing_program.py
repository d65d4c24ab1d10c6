"""A process that answers its first request, and does to the next one what its argument says.

With "compute" it does not answer the first one, and its time for that is limited.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from engine.loading.sandbox import child_loop


def answer(request: Any) -> None:
    if sys.argv[1] == "compute":
        with child_loop.limited_time(1):
            while True:
                pass
    if request is None:
        return
    if sys.argv[1] == "sleep":
        time.sleep(600)
    while True:
        sys.stdout.write("x" * 1_000_000)


child_loop.serve(answer)
