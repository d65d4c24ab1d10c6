"""How a step runs on the CPU: which of torch's matrix products it takes, and how exact it is."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from engine.runner import onednn

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
