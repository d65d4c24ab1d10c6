"""How a step runs on the CPU, which of torch's matrix products it takes; how large chunks are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from engine.device.onednn import onednn
from engine.local.chunk_size import CHUNKS, settled

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
Measure = Callable[[int], tuple[float, int] | None]


def card(launching: float, token: float, token_bytes: int = 1000) -> Measure:
    """A card's seconds and bytes for a chunk: it computes while the next kernels are launched."""
    return lambda count: (max(launching, count * token), count * token_bytes)


class Watched:
    def __init__(self, measure: Measure) -> None:
        self.measure = measure
        self.sizes: list[int] = []

    def __call__(self, count: int) -> tuple[float, int] | None:
        self.sizes.append(count)
        return self.measure(count)


@pytest.mark.parametrize(
    ("launching", "token", "sizes", "chunk"),
    [
        # Launching is most of it: twice as many cost little more, and four times too much.
        pytest.param(0.044, 3.8e-5, [1024, 2048], 2048, id="8B"),
        pytest.param(0.014, 1e-6, [1024, 2048, 4096], 4096, id="python-bound"),
        pytest.param(0.03, 3e-5, [1024, 2048], 2048, id="8B, with no room to launch"),
        pytest.param(0.015, 3e-5, [1024], 1024, id="8B, with room to launch"),
        pytest.param(0.001, 1e-6, [1024, 2048], 2048, id="fast"),
        pytest.param(0.001, 8e-5, [1024], 1024, id="gpu-bound"),
        pytest.param(0.09, 8e-5, [1024, 2048], 1024, id="launching-takes-all-the-time-there-is"),
        pytest.param(0.001, 1e-4, [1024, 512], 512, id="slow"),
        pytest.param(0.001, 1e-2, [1024, 512, 256], 256, id="very-slow"),
        pytest.param(0.098, 2.5e-5, [1024, 512], 1024, id="fewer-take-as-long"),
        pytest.param(0.098, 2e-4, [1024, 512, 256], 512, id="fewer-help-once"),
    ],
)
def test_a_chunk_is_as_large_as_its_time_allows_and_its_rate_is_worth(
    launching: float, token: float, sizes: list[int], chunk: int
) -> None:
    measure = Watched(card(launching, token))
    assert settled(measure, launching, 1024, 8192, 60 * GB)[0] == chunk
    assert measure.sizes == sizes, "none twice, and none in vain"


@pytest.mark.parametrize(
    ("longest", "sizes", "chunk"),
    [
        (250, [250], 256),
        (890, [890], 1024),
        (1500, [1024, 1500], 2048),
        (2048, [1024, 2048], 2048),
    ],
)
def test_no_more_tokens_are_measured_than_a_prompt_can_have(
    longest: int, sizes: list[int], chunk: int
) -> None:
    measure = Watched(card(0.04, 1e-6))
    found, measured = settled(measure, 0.04, 1024, longest, 60 * GB)
    assert (found, measured.taken) == (chunk, 1000 * sizes[-1])
    assert measure.sizes == sizes


def test_a_slow_card_takes_a_short_context_in_pieces() -> None:
    measure = Watched(card(0.001, 3e-4))
    assert settled(measure, 0.001, 1024, 890, 60 * GB)[0] == 256
    assert measure.sizes == [890, 512, 256]


@pytest.mark.parametrize(
    ("token_bytes", "free", "chunk"),
    [(1000, GB, 4096), (200_000, 60 * GB, 2048), (200_000, GB, 1024), (200_000, GB // 2, 512)],
)
def test_a_chunk_is_as_large_as_memory_allows(token_bytes: int, free: int, chunk: int) -> None:
    assert settled(card(0.02, 1e-6, token_bytes), 0.02, 1024, 8192, free)[0] == chunk


def test_a_larger_chunk_that_takes_more_than_in_proportion_leaves_the_one_before() -> None:
    """As with a mask of all pairs of tokens."""

    def measure(count: int) -> tuple[float, int]:
        return 0.02, 100 * count**2

    assert settled(measure, 0.02, 1024, 8192, GB) == (1024, (1024, 0.02, 100 * 1024**2))


def test_a_larger_chunk_that_is_slower_leaves_the_one_before() -> None:
    measure = Watched(lambda count: (0.03 * (count / 1024) ** 1.2, 1000 * count))
    assert settled(measure, 0.025, 1024, 8192, 60 * GB)[0] == 1024
    assert measure.sizes == [1024, 2048]


def test_a_chunk_for_which_there_is_no_memory_leaves_the_one_before() -> None:
    enough = card(0.02, 1e-6)
    some = Watched(lambda count: enough(count) if count <= 2048 else None)
    assert settled(some, 0.02, 1024, 8192, GB) == (2048, (2048, 0.02, 2_048_000))
    assert some.sizes == [1024, 2048, 4096]
    assert settled(lambda _: None, 0.0, 1024, 8192, GB) == (CHUNKS[0], (0, 0, 0))
