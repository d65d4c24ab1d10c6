"""The kernels for mixtures of experts against torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.kernels.available import own_kernels
from tests.engine.modeling import test_own_kernels as plain
from tests.gpu.kernel_checks import close, draw

kernels: Any = own_kernels()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
    pytest.mark.skipif(kernels is None, reason="Triton is not installed"),
]


@pytest.mark.parametrize("score", ["softmax", "sigmoid", "softmax of the chosen"])
@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize(("tokens", "count", "active"), [(1, 128, 8), (7, 60, 4), (3, 32, 1)])
def test_experts_and_their_weights(
    score: str, corrected: bool, normalised: bool, tokens: int, count: int, active: int
) -> None:
    logits = torch.randn(tokens, count, device="cuda")
    correction = torch.randn(count, device="cuda") if corrected else None
    torch.cuda.synchronize()  # a launch that begins early reads its weight at once
    given = (logits, correction, score, active, 2.5)
    experts, weights = kernels.route(*given, normalised=normalised)
    wanted_experts, wanted = plain.route(*given, normalised=normalised)
    assert torch.equal(experts, wanted_experts)
    torch.testing.assert_close(weights, wanted)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_sum_of_the_results_of_a_tokens_experts(dtype: torch.dtype) -> None:
    values, weights = draw(dtype, 8, 2048), torch.rand(8, device="cuda")
    torch.cuda.synchronize()
    close(kernels.weighted_sum(values, weights), (weights[:, None] * values.float()).sum(0)[None])
