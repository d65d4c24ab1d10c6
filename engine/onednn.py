"""Whether torch uses oneDNN on the CPU: a process-wide switch, for the one thread that runs models.

A GPU is not concerned.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def onednn(*, enabled: bool) -> Iterator[None]:
    """Lets torch use oneDNN, or not; not where someone else has switched it off.

    oneDNN multiplies many rows fastest, but one row of bfloat16 at half the rate of ATen's own
    matrix-vector product (tests/bench/cpu_decode.py; two cores with AVX-512).
    """
    backend = torch.backends.mkldnn
    before = backend.enabled
    backend.enabled = enabled and before  # type: ignore[assignment]
    try:
        yield
    finally:
        backend.enabled = before
