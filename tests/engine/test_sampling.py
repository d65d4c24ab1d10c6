"""Sampling against transformers' logits processors, and settings that make no sense."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from engine.errors import SettingError
from engine.execution.sampling import (
    FEWEST_CANDIDATES,
    Kind,
    Sampler,
    SamplingOptions,
    kind_of,
    largest,
    min_p,
    penalise,
    stripe_length,
    top_p,
)

CPU = torch.device("cpu")
PLAIN: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}


def draws(
    logits: torch.Tensor, count: int, prompt: Sequence[int] = (), **options: Any
) -> list[int]:
    """One reply of `count` tokens, each drawn from the same logits."""
    sampler = Sampler(len(logits), CPU)
    sampler.begin(SamplingOptions(**options), prompt)
    return [int(sampler.draw(logits)) for _ in range(count)]


def test_temperature_zero_takes_the_most_probable() -> None:
    assert draws(torch.tensor([0.0, 3.0, 1.0]), 3, temperature=0) == [1, 1, 1]


@pytest.mark.parametrize("temperature", [1e-6, 2e-38, 1e-60])
def test_the_smallest_temperatures_draw_among_the_most_probable(temperature: float) -> None:
    """Where a logit divided by them is infinite, and where they are 0 in float32."""
    logits = torch.linspace(-20, 30, 300)
    logits[7] = logits[-1]
    found = draws(logits, 60, **PLAIN | {"temperature": temperature, "seed": 1})
    assert set(found) == {7, 299}


def test_same_seed_same_tokens() -> None:
    logits = torch.randn(1000)
    replies = {tuple(draws(logits, 5, **PLAIN, seed=7)) for _ in range(4)}
    assert len(replies) == 1


def plainly(logits: torch.Tensor, options: SamplingOptions) -> torch.Tensor:
    """The distribution [vocabulary] as the settings are defined, token by token in Python."""
    scaled = (logits.double() / options.temperature).tolist()
    best = sorted(range(len(scaled)), key=lambda token: -scaled[token])[: options.top_k or None]
    weights = [math.exp(scaled[token] - scaled[best[0]]) for token in best]
    total, before, kept = sum(weights), 0.0, {}
    for token, weight in zip(best, weights, strict=True):
        if before < options.top_p * total and weight >= options.min_p * weights[0]:
            kept[token] = weight
        before += weight
    found = torch.zeros(len(scaled), dtype=torch.double)
    for token, weight in kept.items():
        found[token] = weight / sum(kept.values())
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 3.0},
        {"top_k": 3},
        {"top_p": 0.8},
        {"min_p": 0.2},
        {"temperature": 1.5, "top_k": 5, "top_p": 0.9, "min_p": 0.1},
    ],
)
def test_frequencies_are_those_of_the_definition(changes: dict[str, Any]) -> None:
    """Chi-squared against the distribution in plain float64; p < 0.001 fails."""
    logits, count = torch.tensor([0.0, 1.0, 2.0, -1.0, 1.5, 0.3, -3.0]), 4000
    options = PLAIN | changes
    expected = plainly(logits, SamplingOptions(**options)) * count
    drawn = torch.bincount(torch.tensor(draws(logits, count, **options, seed=1)), minlength=7)
    possible = expected > 0
    assert not drawn[~possible].any()
    chi_squared = float(((drawn - expected) ** 2 / expected)[possible].sum())
    limits = {1: 0.0, 2: 10.8, 3: 13.8, 4: 16.3, 5: 18.5, 6: 20.5, 7: 22.5}
    assert chi_squared <= limits[int(possible.sum())]


@pytest.mark.parametrize("kept", [1, 3, 10])
def test_top_k_draws_from_the_k_most_probable(kept: int) -> None:
    logits = torch.randn(500)
    best = set(logits.topk(kept).indices.tolist())
    drawn = draws(logits, 300, temperature=5.0, top_k=kept, top_p=1.0, min_p=0.0)
    assert set(drawn) == best


@pytest.mark.parametrize("vocabulary", [1000, 4099, 32_000, 50_257, 128_256])
@pytest.mark.parametrize("count", [64, 128, 1000])
def test_two_stages_find_what_topk_finds(vocabulary: int, count: int) -> None:
    logits = torch.randperm(vocabulary).float()
    expected = logits.topk(count)
    ordered, ids = largest(logits, count)
    assert torch.equal(ordered, expected.values)
    assert torch.equal(ids, expected.indices)


@pytest.mark.parametrize("vocabulary", [4099, 128_256])
def test_two_stages_find_each_token_once_among_equals(vocabulary: int) -> None:
    """Half precision leaves a few hundred different logits, which stand in few stripes too."""
    logits = torch.randn(vocabulary).sort().values.bfloat16().float()
    ordered, ids = largest(logits, 64)
    assert torch.equal(ordered, logits.topk(64).values)
    assert torch.equal(ordered, logits[ids])
    assert len(set(ids.tolist())) == 64


@pytest.mark.parametrize("vocabulary", [64, 100, 1000, 50_257, 262_144])
def test_there_is_a_stripe_for_each_candidate(vocabulary: int) -> None:
    for count in range(1, FEWEST_CANDIDATES + 1):
        assert vocabulary // stripe_length(vocabulary, count) >= count


def test_the_only_possible_token_is_drawn_from_a_vocabulary_that_stripes_do_not_divide() -> None:
    logits = torch.full((50_257,), -torch.inf)
    logits[50_256] = 1.0
    assert set(draws(logits, 20)) == {50_256}


def test_penalties_count_what_was_drawn_and_repetition_the_prompt_too() -> None:
    logits = torch.tensor([2.0, 1.9, 1.8, -5.0])
    assert draws(logits, 3, temperature=0, presence_penalty=0.5) == [0, 1, 2]
    assert draws(logits, 4, temperature=0, frequency_penalty=0.15) == [0, 1, 0, 2]
    assert draws(logits, 2, prompt=[0], temperature=0, repetition_penalty=1.2) == [1, 2]
    assert draws(logits, 2, prompt=[0], temperature=0, presence_penalty=0.5) == [0, 1]


def test_a_reply_knows_nothing_of_the_one_before() -> None:
    sampler, logits = Sampler(3, CPU), torch.tensor([2.0, 1.9, 0.0])
    for _ in range(2):
        sampler.begin(SamplingOptions(temperature=0, presence_penalty=1.0), [2])
        assert [int(sampler.draw(logits)) for _ in range(2)] == [0, 1]


def test_only_what_decides_which_operations_run_makes_another_kind() -> None:
    assert kind_of(SamplingOptions(temperature=0), 1000) == Kind(1, penalised=False)
    few = {kind_of(SamplingOptions(top_k=k, top_p=p), 1000) for k in (1, 40) for p in (0.5, 1)}
    assert few == {Kind(64, penalised=False)}
    assert kind_of(SamplingOptions(top_k=0), 1000) == Kind(1000, penalised=False)
    assert kind_of(SamplingOptions(top_k=65, presence_penalty=1), 1000) == Kind(128, penalised=True)


def processors() -> Any:
    from transformers.generation import logits_process

    return logits_process


@pytest.mark.parametrize("mass", [0.1, 0.5, 0.95])
def test_top_p_matches_transformers(mass: float) -> None:
    logits = torch.randn(1, 200) * 3
    warped = processors().TopPLogitsWarper(mass)(None, logits)[0].softmax(-1)
    kept = top_p(logits[0].softmax(-1).sort(descending=True).values, torch.tensor(mass))
    torch.testing.assert_close(kept / kept.sum(), warped.sort(descending=True).values)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_min_p_matches_transformers(share: float) -> None:
    logits = torch.randn(1, 200) * 3
    warped = processors().MinPLogitsWarper(share)(None, logits)[0].softmax(-1)
    kept = min_p(logits[0].softmax(-1).sort(descending=True).values, torch.tensor(share))
    torch.testing.assert_close(kept / kept.sum(), warped.sort(descending=True).values)


def test_repetition_penalty_matches_transformers() -> None:
    logits, seen = torch.randn(1, 50), [3, 3, 17, 40]
    expected = processors().RepetitionPenaltyLogitsProcessor(1.3)(torch.tensor([seen]), logits)
    mask = torch.zeros(50, dtype=torch.bool)
    mask[seen] = True
    torch.testing.assert_close(penalise(logits[0], mask, torch.tensor(1.3)), expected[0])


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
        ("presence_penalty", float("inf")),
        ("frequency_penalty", -101),
    ],
)
def test_settings_out_of_range_are_refused_by_name(setting: str, value: float) -> None:
    with pytest.raises(SettingError, match=setting.replace("_", "[ -]")):
        SamplingOptions(**{setting: value})  # type: ignore[arg-type]
