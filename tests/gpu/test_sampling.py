"""Drawing on the GPU: Hearth's kernels against torch's operations, and captured against single."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.execution.sampling import (
    Sampler,
    SamplingOptions,
    drawn,
    kernels,
    largest,
    most_probable,
)

CUDA = torch.device("cuda:0")
GREEDY = SamplingOptions(temperature=0)
PENALISED = SamplingOptions(repetition_penalty=1.2, frequency_penalty=0.3, seed=5)
# Those of Llama 3 and Gemma 3, one that nothing divides, one with fewer tokens than candidates.
VOCABULARIES = [50, 1000, 50_257, 128_256, 262_144]
# Temperature, top-k, top-p (2 is none), min-p.
PARAMETERS = [
    (0.8, 40.0, 0.95, 0.05),
    (0.5, 3.0, 2.0, 0.0),
    (3.0, 256.0, 2.0, 0.0),
    (1.5, 64.0, 0.8, 0.0),
    (1.5, 64.0, 2.0, 0.2),
]
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]


@pytest.fixture(scope="module")
def triton() -> Any:
    found = kernels(1000, CUDA, torch.float32)
    if found is None:
        pytest.skip("Triton is not installed")
    return found


def logits_of(vocabulary: int, seed: int = 0) -> Tensor:
    generator = torch.Generator(CUDA).manual_seed(seed)
    return 3 * torch.randn(vocabulary, device=CUDA, generator=generator)


def chosen(kernel: Callable[..., None], *given: Tensor) -> Tensor:
    token = torch.full((1,), -1, device=CUDA)
    kernel(*given, token)
    return token


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_most_probable_is_the_first_of_equals(triton: Any, vocabulary: int) -> None:
    random = logits_of(vocabulary)
    rounded = random.bfloat16()
    for logits in (random, rounded, rounded.float(), torch.zeros_like(random), -random.abs()):
        first = int(logits.cpu().argmax())
        assert int(chosen(triton.most_probable, logits)) == first
        assert int(most_probable(logits)) == first


@pytest.mark.parametrize("vocabulary", VOCABULARIES[1:])
@pytest.mark.parametrize("count", [64, 128])
def test_two_stages_find_what_topk_finds(vocabulary: int, count: int) -> None:
    logits = logits_of(vocabulary)
    expected = logits.topk(count)
    ordered, ids = largest(logits, count)
    assert torch.equal(ordered, expected.values)
    assert torch.equal(logits[ids], expected.values)


@pytest.mark.parametrize("vocabulary", VOCABULARIES[1:])
@pytest.mark.parametrize("count", [64, 128])
def test_the_same_noise_draws_the_same_token(triton: Any, vocabulary: int, count: int) -> None:
    noise_of = torch.Generator(CUDA).manual_seed(1)
    for parameters in PARAMETERS:
        here = torch.tensor(parameters, device=CUDA)
        for seed in range(5):
            logits = logits_of(vocabulary, seed)
            noise = torch.empty(count, device=CUDA).exponential_(generator=noise_of)
            for given in (logits, logits.bfloat16()):
                expected = drawn(given.float(), here, noise)
                assert torch.equal(chosen(triton.drawn, given, here, noise), expected)


@pytest.mark.parametrize("vocabulary", VOCABULARIES[1:])
def test_each_of_the_most_probable_is_reached(triton: Any, vocabulary: int) -> None:
    """Logits in order stand in as few stripes as they can; the noise decides for each in turn."""
    logits, expected = logits_of(vocabulary).sort().values, range(vocabulary - 64, vocabulary)
    here, found = torch.tensor((100.0, 64.0, 2.0, 0.0), device=CUDA), []
    for rank in range(64):
        noise = torch.ones(64, device=CUDA)
        noise[rank] = 1e-6
        found.append(int(chosen(triton.drawn, logits, here, noise)))
    assert sorted(found) == list(expected)


def test_logits_that_are_no_numbers_give_a_token_of_the_vocabulary(triton: Any) -> None:
    here, noise = torch.tensor(PARAMETERS[0], device=CUDA), torch.ones(64, device=CUDA)
    for value in (torch.nan, torch.inf, -torch.inf):
        logits = torch.full((50_257,), value, device=CUDA)
        assert 0 <= int(chosen(triton.drawn, logits, here, noise)) < 50_257
        assert 0 <= int(chosen(triton.most_probable, logits)) < 50_257


@pytest.mark.parametrize("by_kernels", [True, False], ids=["triton", "torch"])
@pytest.mark.parametrize(
    "options",
    [GREEDY, SamplingOptions(seed=3), PENALISED, SamplingOptions(top_k=0, seed=4)],
    ids=["greedy", "default", "penalised", "all"],
)
def test_captured_draws_are_those_of_single_ones(
    triton: Any, options: SamplingOptions, by_kernels: bool
) -> None:
    logits = logits_of(32_000)
    sampler = Sampler(32_000, CUDA)
    if not by_kernels:
        sampler._kernels = None
    sampler.begin(options, [1, 2])
    single = [int(sampler.draw(logits)) for _ in range(10)]

    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(sampler.generator)
    with torch.cuda.graph(graph):
        token = sampler.draw(logits)
    sampler.begin(options, [1, 2])
    captured = []
    for _ in range(10):
        graph.replay()
        captured.append(int(token))
    assert captured == single


def test_frequencies_are_those_of_the_probabilities(triton: Any) -> None:
    """Chi-squared of 20,000 draws among 8 tokens of 128,256; p < 0.001 fails."""
    logits = torch.full((128_256,), -30.0, device=CUDA)
    places = torch.tensor([0, 7, 8, 1023, 1024, 70_000, 128_254, 128_255], device=CUDA)
    logits[places] = torch.linspace(0, 2, 8, device=CUDA)
    sampler = Sampler(128_256, CUDA)
    sampler.begin(SamplingOptions(temperature=1, top_k=8, top_p=1, min_p=0, seed=2), [])
    tokens = torch.cat([sampler.draw(logits) for _ in range(20_000)])
    observed = (tokens[:, None] == places).sum(0)
    assert int(observed.sum()) == 20_000
    expected = logits[places].softmax(0) * 20_000
    assert float(((observed - expected) ** 2 / expected).sum()) < 24.3
