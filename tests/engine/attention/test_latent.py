"""One token over latents: what it may see, and that what it may not leaves no trace."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.attention import latent, probe
from engine.attention.choice import Shape
from engine.attention.latent import Latent

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
