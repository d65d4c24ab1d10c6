"""Every row of the families' table: loaded as published, run as Hearth does, against eager."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pytest
import torch

from engine.execution.runner import Runner
from engine.execution.sampling import Sampler, SamplingOptions
from engine.loading import families, load
from engine.loading.checkpoint import Checkpoint
from tests.engine import tiny
from tests.engine.family_models import LONGROPE, MODELS

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
PROMPT = 61
CHUNKS = (1000, 17, 1)
NEW_TOKENS = 64
TOLERANCE = 1e-4


class Pair:
    """The same model twice: as transformers has it, and loaded by Hearth from its folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.eager = MODELS[name].make()
        tiny.write_folder(folder, self.eager)
        self.loaded: Checkpoint = load.load(
            folder,
            device=CPU,
            dtype=torch.float32,
            progress=lambda *_: None,
        )

    def runner(self, chunk: int = 1000) -> Runner:
        ready = tiny.runner(self.loaded)
        ready.chunk = chunk
        return ready

    def reference(self, tokens: Sequence[int]) -> torch.Tensor:
        """[tokens, vocabulary] in one forward without any cache."""
        with torch.inference_mode():
            logits: torch.Tensor = self.eager(torch.tensor([tokens]), use_cache=False).logits[0]
        return logits


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(request.param, tmp_path_factory.mktemp(request.param))


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())


def prefill(ready: Runner, tokens: Sequence[int]) -> None:
    for _ in ready.prefill(tokens):
        pass


@pytest.mark.parametrize("chunk", CHUNKS)
def test_prefill_and_decode_match_eager(pair: Pair, chunk: int) -> None:
    tokens = tiny.tokens_of(PROMPT + 3)
    expected = pair.reference(tokens)
    ready = pair.runner(chunk)
    ready.reuse(tokens[:PROMPT])
    prefill(ready, tokens[:PROMPT])
    assert error(ready.logits, expected[PROMPT - 1]) <= TOLERANCE
    for at in range(PROMPT, PROMPT + 3):
        ready.forward(tokens[at : at + 1])
        assert error(ready.logits, expected[at]) <= TOLERANCE


def test_reuse_of_a_prefix_matches_eager(pair: Pair) -> None:
    ready, first = pair.runner(17), tiny.tokens_of(PROMPT)
    prefill(ready, first)
    branch = [*first[:40], *tiny.tokens_of(11, seed=1)]
    reused = ready.reuse(branch)
    assert reused == 40
    prefill(ready, branch[reused:])
    assert error(ready.logits, pair.reference(branch)[-1]) <= TOLERANCE


def greedy(ready: Runner, tokens: Sequence[int]) -> list[int]:
    ready.reuse(tokens)
    prefill(ready, tokens)
    chosen: list[int] = []
    for _ in range(NEW_TOKENS):
        chosen.append(int(ready.logits.argmax()))
        prefill(ready, [*ready.outgrown(), chosen[-1]])
    return chosen


def test_greedy_tokens_match_eager(pair: Pair) -> None:
    """Eager runs all of it at once and must choose at each position what Hearth chose there.

    Once up to where LongRoPE changes its frequencies, and once beyond.
    """
    tokens = tiny.tokens_of(PROMPT, seed=2)
    chosen = greedy(pair.runner(17), tokens)
    everything = [*tokens, *chosen]
    ends = {LONGROPE["original_max_position_embeddings"], len(everything)}
    best: list[int] = []
    for end in sorted(ends):
        best += pair.reference(everything[:end]).argmax(-1).tolist()[len(best) :]
    assert chosen == best[PROMPT - 1 : -1]


class Replayed:
    """Steps as a GPU's graphs take them, one ahead of what is read, but run one by one."""

    def __init__(self, ready: Runner) -> None:
        self.ready = ready

    def tokens(self, logits: torch.Tensor, sampler: Sampler, end: int) -> Iterator[int]:
        token = int(sampler.draw(logits))
        while len(self.ready.cache) < end:
            following = int(sampler.draw(self.ready.forward([token])))
            yield token
            token = following
        yield token


@pytest.mark.parametrize("pair", ["llama", "phi3-longrope", "phi4-mini"], indirect=True)
@pytest.mark.parametrize("replayed", [False, True], ids=["single", "replayed"])
def test_replies_are_right_across_a_change_of_frequencies(pair: Pair, replayed: bool) -> None:
    """Of LongRoPE; Llama's reply is one as any other."""
    ready, tokens = pair.runner(17), tiny.tokens_of(PROMPT, seed=2)
    ready.graphs = Replayed(ready) if replayed else None  # type: ignore[assignment]
    ready.reuse(tokens)
    prefill(ready, tokens)
    reply = ready.decode(SamplingOptions(temperature=0), tokens, lambda: False)
    chosen = list(islice(reply, NEW_TOKENS))
    reply.close()
    assert chosen == greedy(pair.runner(17), tokens)


def test_every_row_has_a_model() -> None:
    tested = {MODELS[name].family for name in MODELS}
    for family in families.FAMILIES:
        assert (family.text or family.name) in tested, f"{family.name} has no test line"
