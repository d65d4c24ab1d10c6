"""How a step runs on the CPU, which of torch's matrix products it takes; how large chunks are."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from engine.runner import CHUNKS, chunk_of, onednn

needs_onednn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
    reason="this torch has no oneDNN",
)


@needs_onednn
def test_onednn_is_as_before_after_a_step_that_fails() -> None:
    with pytest.raises(RuntimeError), onednn(enabled=False):
        functional.linear(torch.ones(1, 2), torch.ones(1, 3))
    assert torch.backends.mkldnn.enabled


@needs_onednn
def test_onednn_is_off_within() -> None:
    with onednn(enabled=False):
        assert not torch.backends.mkldnn.enabled


@needs_onednn
def test_a_step_does_not_switch_onednn_on_for_someone_who_switched_it_off() -> None:
    with onednn(enabled=False), onednn(enabled=True):
        assert not torch.backends.mkldnn.enabled


@pytest.mark.parametrize("inner", [576, 1536, 4096])
def test_one_row_is_as_exact_as_with_onednn(inner: int) -> None:
    torch.manual_seed(inner)
    weight = torch.randn(768, inner, dtype=torch.bfloat16)
    row = torch.randn(1, inner, dtype=torch.bfloat16)
    exact = functional.linear(row.double(), weight.double())

    def error(*, enabled: bool) -> float:
        with onednn(enabled=enabled):
            found = functional.linear(row, weight).double()
        return float((found - exact).norm() / exact.norm())

    assert error(enabled=False) <= 1.1 * error(enabled=True)


GB = 10**9


@pytest.mark.parametrize(
    ("seconds", "taken", "free", "chunk"),
    [
        (0.004, GB // 100, 60 * GB, 4096),
        (0.012, GB // 100, 60 * GB, 4096),
        (0.013, GB // 100, 60 * GB, 2048),
        (0.050, GB // 100, 60 * GB, 1024),
        (0.051, GB // 100, 60 * GB, 512),
        (9.000, GB // 100, 60 * GB, 256),
        (0.004, GB // 4, 60 * GB, 2048),
        (0.004, GB // 4, GB, 1024),
        (0.004, GB // 4, GB // 2, 512),
        (0.004, GB, GB, 256),
        (0.004, 0, GB, 4096),
    ],
)
def test_a_chunk_is_as_large_as_time_and_memory_allow(
    seconds: float, taken: int, free: int, chunk: int
) -> None:
    """Where 1,024 tokens took so much of both."""
    assert chunk_of(1024, seconds, taken, free) == chunk


def test_a_chunk_is_sized_by_what_a_token_takes() -> None:
    """A short context is filled by less than a chunk."""
    for tokens in (100, 1000, 10_000):
        assert chunk_of(tokens, tokens * 4e-5, tokens * 1000, GB) == 1024
        assert chunk_of(tokens, tokens * 1e-9, tokens * 400_000, GB) == CHUNKS[1]
