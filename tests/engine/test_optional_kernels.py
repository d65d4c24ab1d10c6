"""Kernels that do not run are done without; a lack of memory is not held against them."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from engine.kernels.available import tried


def failing(error: Exception) -> ModuleType:
    raise error


@pytest.mark.parametrize(
    "error", [ImportError("No module named 'triton'"), RuntimeError("no C compiler")]
)
def test_kernels_that_do_not_run_are_done_without(error: Exception) -> None:
    assert tried("some", lambda: failing(error)) is None


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("20 MiB"), RuntimeError("Triton Error [CUDA]: out of memory")],
)
def test_a_lack_of_memory_is_not_taken_for_a_fault_of_theirs(error: Exception) -> None:
    with pytest.raises(type(error)):
        tried("some", lambda: failing(error))
