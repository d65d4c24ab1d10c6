"""Every row of the families' table on the GPU: bfloat16 and flash attention against eager."""

from __future__ import annotations

import pytest
import torch

from engine.attention import facts
from tests.engine.family_models import MODELS
from tests.gpu.family_runs import CUDA, GpuModel

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
SOFTCAPPED = "gemma2"
"""torch's flash kernel has no softcap: without the flash-attn package it is plain math."""
ROUNDINGS = 1e-3
"""Below which an error is bfloat16's own last digits, and a ratio of two of them says nothing."""


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> GpuModel:
    made = GpuModel(MODELS[request.param].make().to(CUDA))
    made.mend()
    return made


@pytest.mark.parametrize("flash_attn", [True, False], ids=["flash-attn", "torch"])
def test_flash_is_observed_and_as_near_to_float32_as_eager(
    model: GpuModel, flash_attn: bool
) -> None:
    if flash_attn and not facts.current().flash_attn:
        pytest.skip("flash-attn is not installed here")
    run = model.run(flash_attn=flash_attn)
    if flash_attn or model.model.config.model_type != SOFTCAPPED:
        assert run.prefill.flash, f"{run.prefill.label}: {run.reason}"
        assert run.decode.flash != bool(model.shape.latent), run.decode.label
    else:
        assert run.kernel == "math"
        assert "softcap" in run.reason
    for found, eager in zip(run.typical, model.eager_typical, strict=True):
        assert found <= max(1.5 * eager, ROUNDINGS)
