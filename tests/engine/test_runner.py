"""How a step runs on the CPU, which of torch's matrix products it takes; how large chunks are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from engine.onednn import onednn
from engine.runner import CHUNKS, settled

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


def card(
    launching: float, token: float, token_bytes: int = 1000
) -> Callable[[int], tuple[float, int] | None]:
    """A card's seconds and bytes for a chunk: it computes while the next kernels are launched."""
    return lambda count: (max(launching, count * token), count * token_bytes)


@pytest.mark.parametrize(
    ("launching", "token", "longest", "chunk"),
    [
        (0.001, 1e-6, 8192, 4096),
        (0.044, 2.5e-5, 8192, 2048),  # launching is most of it: twice as many cost little more
        (0.001, 5e-5, 8192, 1024),
        (0.001, 1e-4, 8192, 512),
        (0.001, 1e-2, 8192, 256),
        (0.098, 2.5e-5, 8192, 1024),  # fewer tokens would take as long
        (0.001, 1e-6, 1500, 1024),
        (0.001, 1e-6, 2048, 2048),
    ],
)
def test_a_chunk_is_as_large_as_its_time_allows(
    launching: float, token: float, longest: int, chunk: int
) -> None:
    assert settled(card(launching, token), 1024, longest, 60 * GB) == (chunk, 1000 * chunk)


@pytest.mark.parametrize(
    ("token_bytes", "free", "chunk"),
    [(1000, GB, 4096), (200_000, 60 * GB, 2048), (200_000, GB, 1024), (200_000, GB // 2, 512)],
)
def test_a_chunk_is_as_large_as_memory_allows(token_bytes: int, free: int, chunk: int) -> None:
    assert settled(card(1e-3, 1e-6, token_bytes), 1024, 8192, free)[0] == chunk


def test_a_chunk_for_which_there_is_no_memory_leaves_the_one_before() -> None:
    fits = card(1e-3, 1e-6)
    assert settled(lambda n: fits(n) if n <= 2048 else None, 1024, 8192, GB) == (2048, 2_048_000)
    assert settled(lambda _: None, 1024, 8192, GB) == (CHUNKS[0], 0)


@pytest.mark.parametrize(
    ("launching", "token"), [(0.001, 1e-6), (0.044, 2.5e-5), (0.001, 1e-2), (0.098, 2.5e-5)]
)
def test_no_chunk_is_measured_twice(launching: float, token: float) -> None:
    made: list[int] = []

    def measure(count: int) -> tuple[float, int] | None:
        made.append(count)
        return card(launching, token)(count)

    settled(measure, 1024, 8192, GB)
    assert len(made) == len(set(made))
