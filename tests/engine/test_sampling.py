"""Sampling against transformers' logits processors, and settings that make no sense."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.errors import SettingError
from engine.sampling import SamplingOptions, min_p, penalise, sample, top_p

PLAIN = SamplingOptions(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_temperature_zero_takes_the_most_probable() -> None:
    logits = torch.tensor([0.0, 3.0, 1.0])
    assert sample(logits, [], SamplingOptions(temperature=0), generator()) == 1


def test_same_seed_same_token() -> None:
    logits = torch.randn(1000)
    drawn = {sample(logits, [], PLAIN, generator(7)) for _ in range(5)}
    assert len(drawn) == 1


def test_sampled_frequencies_follow_the_probabilities() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0])
    source, count = generator(1), 4000
    drawn = torch.bincount(
        torch.tensor([sample(logits, [], PLAIN, source) for _ in range(count)]), minlength=4
    )
    expected = logits.softmax(0) * count
    chi_squared = float(((drawn - expected) ** 2 / expected).sum())
    assert chi_squared < 16.3, "p < 0.001 at 3 degrees of freedom"


@pytest.mark.parametrize("kept", [1, 3, 10])
def test_top_k_draws_from_the_k_most_probable(kept: int) -> None:
    logits = torch.randn(50)
    best = set(logits.topk(kept).indices.tolist())
    options = SamplingOptions(temperature=5.0, top_k=kept, top_p=1.0, min_p=0.0)
    source = generator(2)
    assert {sample(logits, [], options, source) for _ in range(300)} == best


def processors() -> Any:
    from transformers.generation import logits_process

    return logits_process


@pytest.mark.parametrize("mass", [0.1, 0.5, 0.95])
def test_top_p_matches_transformers(mass: float) -> None:
    logits = torch.randn(1, 200) * 3
    warped = processors().TopPLogitsWarper(mass)(None, logits)
    torch.testing.assert_close(top_p(logits[0].softmax(-1), mass), warped[0].softmax(-1))


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_min_p_matches_transformers(share: float) -> None:
    logits = torch.randn(1, 200) * 3
    warped = processors().MinPLogitsWarper(share)(None, logits)
    torch.testing.assert_close(min_p(logits[0].softmax(-1), share), warped[0].softmax(-1))


def test_repetition_penalty_matches_transformers() -> None:
    logits, seen = torch.randn(1, 50), [3, 3, 17, 40]
    expected = processors().RepetitionPenaltyLogitsProcessor(1.3)(torch.tensor([seen]), logits)
    torch.testing.assert_close(penalise(logits[0], seen, 1.3), expected[0])


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("temperature", -1),
        ("temperature", float("nan")),
        ("top_k", -1),
        ("top_p", 0),
        ("top_p", 1.5),
        ("min_p", 1),
        ("repetition_penalty", 0),
    ],
)
def test_settings_out_of_range_are_refused_by_name(setting: str, value: float) -> None:
    with pytest.raises(SettingError, match=setting.replace("_", "[ -]")):
        SamplingOptions(**{setting: value})  # type: ignore[arg-type]
