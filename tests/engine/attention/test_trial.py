"""The kernel that is settled on, where one misbehaves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.attention import kernels, latent, trial
from engine.attention.choice import Shape
from engine.attention.latent import Latent
from engine.attention.layer_step import LayerStep, Scoring
from engine.device.facts import DeviceFacts
from engine.errors import HearthError

CPU = DeviceFacts("cpu", "CPU")
SHAPE = Shape(4, 2, 64, torch.float32, windows=(0, 16))


def no_number(tokens: int, window: int) -> kernels.Kernel:
    """SDPA that returns NaN for so many tokens and that window."""

    def run(query: Tensor, key: Tensor, value: Tensor, step: LayerStep, scoring: Scoring) -> Tensor:
        out = kernels.sdpa(query, key, value, step, scoring)
        spoilt = query.shape[1] == tokens and scoring.window == window
        return out * torch.nan if spoilt else out

    return kernels.Kernel(run)


@pytest.mark.parametrize("window", [0, 16])
@pytest.mark.parametrize("tokens", [37, 1])
def test_a_kernel_that_returns_no_number_gives_way(
    monkeypatch: pytest.MonkeyPatch, tokens: int, window: int
) -> None:
    monkeypatch.setitem(kernels.KERNELS, "sdpa", no_number(tokens, window))
    chosen = trial.for_prompt(CPU, SHAPE, "off")
    assert chosen.kernel == "math"


def test_a_kernel_that_fails_without_a_word_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Tensor:
        raise NotImplementedError

    monkeypatch.setitem(kernels.KERNELS, "sdpa", kernels.Kernel(fail))
    chosen = trial.for_prompt(CPU, SHAPE, "off")
    assert chosen.kernel == "math"


def test_where_no_kernel_works_the_sentence_does_not_speak_of_flash_attention(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(kernels.KERNELS, "sdpa", no_number(1, 0))

    def fail(*_: object, **__: object) -> Tensor:
        raise RuntimeError("no such thing")

    monkeypatch.setitem(kernels.KERNELS, "math", kernels.Kernel(fail, last_resort=True))
    with pytest.raises(HearthError, match="plain math in float32 does not run here") as caught:
        trial.for_prompt(CPU, SHAPE, "auto")
    assert "asked for" not in caught.value.title


LATENTS = Shape(4, 4, 96, torch.float32, latent=Latent(rank=32, rotated=32, value=64))


def test_latents_are_attended_to_directly_by_one_token() -> None:
    prompt = trial.for_prompt(CPU, LATENTS, "auto")
    assert (prompt.kernel, trial.for_token(CPU, LATENTS, "auto", prompt).kernel) == (
        "sdpa",
        "latents_cut",
    )


def test_latents_that_cannot_be_attended_to_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = trial.for_prompt(CPU, LATENTS, "auto")
    monkeypatch.setattr(latent, "one_query", lambda *_: torch.full((1, 1, 4, 64), torch.nan))
    with pytest.raises(HearthError, match="by matrix products disagrees"):
        trial.for_token(CPU, LATENTS, "auto", prompt)
