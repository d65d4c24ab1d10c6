"""One token over latents: what it may see, and that what it may not leaves no trace."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from engine.attention import latent, probe
from engine.attention.choice import Shape
from engine.attention.latent import Latent
from engine.attention.layer_step import Scoring
from engine.device.onednn import onednn

CPU = torch.device("cpu")
SHAPE = Shape(4, 4, 96, torch.float32, latent=Latent(rank=32, rotated=32, value=64))
KERNELS = (latent.KERNEL, latent.CUT_KERNEL)


def test_the_mask_ends_behind_the_tokens_own_position() -> None:
    mask = latent.mask_of(5, torch.tensor([2], dtype=torch.int32), torch.bfloat16)
    assert mask.dtype == torch.bfloat16
    assert mask.tolist() == [0, 0, 0, -torch.inf, -torch.inf]


@pytest.mark.parametrize("kernel", KERNELS)
def test_one_token_is_right_before_latents_that_are_not_its_own(kernel: str) -> None:
    assert probe.check(kernel, SHAPE, CPU, 1) <= probe.TOLERANCE[torch.float32]


def test_a_mask_that_lets_them_through_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_(span: int, _: Tensor, dtype: torch.dtype) -> Tensor:
        return torch.zeros(span, dtype=dtype)

    monkeypatch.setattr(latent, "mask_of", open_)
    assert probe.check(latent.KERNEL, SHAPE, CPU, 1) > probe.TOLERANCE[torch.bfloat16]


class Products(TorchFunctionMode):
    """Whether oneDNN was on at each matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.on: list[bool] = []

    def __torch_function__(self, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (torch.bmm, torch.addmm, Tensor.matmul, Tensor.__matmul__):
            self.on.append(bool(torch.backends.mkldnn.enabled))
        return function(*args, **(kwargs or {}))


def one_token() -> list[bool]:
    query, latents, up = torch.ones(1, 1, 4, 96), torch.ones(9, 64), torch.ones(4, 128, 32)
    products = Products()
    with products:
        latent.one_query(query, latents, up, 64, Scoring(1.0), None)
    return products.on


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
    reason="this torch has no oneDNN",
)
def test_a_step_of_one_token_has_onednn_but_for_the_last_product() -> None:
    with onednn(enabled=False):
        assert one_token() == [True, True, True, False]
        assert not torch.backends.mkldnn.enabled
    with onednn(enabled=False), onednn(enabled=False):
        assert one_token() == [True, True, True, False]
    assert torch.backends.mkldnn.enabled


def test_onednn_stays_off_for_someone_who_switched_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    with onednn(enabled=False):
        assert one_token() == [False] * 4
    assert one_token() == [False] * 4
