"""Every row of the families' table on the GPU: bfloat16 and flash attention against eager."""

from __future__ import annotations

import pytest
import torch

from engine.device import facts
from engine.execution.sampling import SamplingOptions
from tests.engine.family_models import MODELS
from tests.gpu.family_runs import CUDA, GpuModel, reply

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
SOFTCAPPED = "gemma2"
"""torch's flash kernel has no softcap: without the flash-attn package it is plain math."""
LARGEST_HEAD = 256
"""That flash kernels take; Gemma 4's layers without a window have 512."""
GREEDY = SamplingOptions(temperature=0)
ROUNDINGS = 1e-3
"""Below which an error is bfloat16's own last digits, and a ratio of two of them says nothing."""


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> GpuModel:
    return GpuModel(MODELS[request.param].make().to(CUDA))


@pytest.fixture(params=[True, False], ids=["flash-attn", "torch"])
def flash_attn(request: pytest.FixtureRequest) -> bool:
    """Whether the package is used, or as if it were not there."""
    wanted: bool = request.param
    if wanted and not facts.current().flash_attn:
        pytest.skip("flash-attn is not installed here")
    return wanted


def test_flash_is_observed_and_as_near_to_float32_as_eager(
    model: GpuModel, flash_attn: bool
) -> None:
    run = model.run(flash_attn=flash_attn)
    if model.shape.head_size > LARGEST_HEAD:
        assert not run.prefill.flash
        assert f"not {model.shape.head_size}" in run.reason
    elif flash_attn or model.reference.config.model_type != SOFTCAPPED:
        assert run.prefill.flash, f"{run.prefill.label}: {run.reason}"
        assert run.decode.flash != bool(model.shape.latent), run.decode.label
    else:
        assert run.kernel == "math"
        assert "softcap" in run.reason
        assert run.decode.flash, "Hearth's own kernel has a softcap"
    for found, eager in zip(run.typical, model.eager_typical, strict=True):
        assert found <= max(1.5 * eager, ROUNDINGS)


def test_replayed_prompts_are_as_near_to_float32_as_eager(
    model: GpuModel, flash_attn: bool
) -> None:
    typical = model.replayed(flash_attn=flash_attn)
    if typical is None:
        pytest.skip("its prompts are not captured")
    for found, eager in zip(typical, model.eager_typical, strict=True):
        assert found <= max(1.5 * eager, ROUNDINGS)


def test_replayed_steps_choose_what_single_steps_choose(model: GpuModel) -> None:
    """Across the end of a view at 256 positions, and once more with all graphs captured."""
    single, _ = model.runner(flash_attn=True)
    if single.graphs is None:
        pytest.skip(f"{single.cache.decode_kernel} is not captured")
    single.graphs = None
    replayed, _ = model.runner(flash_attn=True)
    prompt = model.tokens[:248]
    expected = reply(single, prompt, GREEDY, 24)
    for _ in range(2):
        assert reply(replayed, prompt, GREEDY, 24) == expected
        assert replayed.cache.tokens == prompt + expected
