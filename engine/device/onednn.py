"""Whether torch uses oneDNN on the CPU: a process-wide switch, for the one thread that runs models.

A GPU is not concerned.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_before: list[bool] = []
"""What was set before each `onednn` that is not left yet."""


@contextmanager
def onednn(*, enabled: bool) -> Iterator[None]:
    """Lets torch use oneDNN, or not; not where someone else has switched it off.

    oneDNN multiplies many rows fastest, but one row of bfloat16 at half the rate of ATen's own
    matrix-vector product (docs/performance.md; two cores with AVX-512).
    """
    backend = torch.backends.mkldnn
    _before.append(bool(backend.enabled))
    backend.enabled = enabled and _before[-1]  # type: ignore[assignment]
    try:
        yield
    finally:
        backend.enabled = _before.pop()  # type: ignore[assignment]


@contextmanager
def of_many_rows() -> Iterator[None]:
    """For products of many rows within a step of one: as it was before the step."""
    backend = torch.backends.mkldnn
    inner = backend.enabled
    backend.enabled = _before[0] if _before else inner  # type: ignore[assignment]
    try:
        yield
    finally:
        backend.enabled = inner
