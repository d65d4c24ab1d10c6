"""Memory that is used up: what is told, what is offered, and that the engine goes on as before.

The allocator is asked for more than any machine has, or torch's own error is raised within the
model. Real limits need a GPU (tests/gpu/test_memory.py).
"""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from engine.attention import probe
from engine.cache.kv_cache import KVCache
from engine.catalog import listing
from engine.device import facts, memory, sizes
from engine.errors import OutOfMemoryError
from engine.execution.decode_graphs import NO_ROOM
from engine.execution.prompt_graphs import Launching
from engine.loading import assembly
from engine.loading import load as loading
from engine.local import chunk_size, open_model
from engine.local.session import Session, told
from engine.modeling.blueprint import Blueprint, Place
from engine.modeling.decoder import Decoder, Layer
from engine.protocol import Error, Event, Finished, Generate, Load, Loaded, Prefill
from tests.engine import tiny
from tests.engine.driven import Driven, asking, driven, write_model
from tests.engine.family_models import Model

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
QUESTION = "What is left of the heat that the earth had at the beginning? " * 5
BYTES_PER_TOKEN = 4 * 2 * (64 + 64) * 4
"""Of the tiny model's cache: layers, KV heads, keys and values, float32."""


def more_than_there_is() -> torch.Tensor:
    """The allocator's own error."""
    return torch.empty(1 << 60, dtype=torch.uint8)


def out_of_memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("memory") / "tiny"
    return write_model(path, max_position_embeddings=4096)


@pytest.fixture(scope="module")
def engine() -> Iterator[Driven]:
    """Whatever happened to it before."""
    with driven() as made:
        yield made


@pytest.fixture(scope="module")
def answering(folder: Path) -> Iterator[tuple[Driven, str]]:
    """An engine with a model, and the reply to QUESTION that nothing disturbed."""
    with driven() as made:
        made.loaded(folder, 1024, "float32")
        yield made, made.reply(asking(QUESTION))[0]


@pytest.fixture
def expected(answering: tuple[Driven, str]) -> str:
    return answering[1]


@pytest.fixture
def loaded(answering: tuple[Driven, str]) -> Iterator[Driven]:
    engine, runner = answering[0], answering[0].runner
    runner.cache.tokens.clear()
    runner.chunk, runner.chunk_bytes = 64, 0
    yield engine
    runner.cache.tokens.clear()


def offered(error: Error) -> int:
    found = re.search(r"a context of ([\d,]+) tokens", error.hint)
    assert found, error.hint
    return int(found[1].replace(",", ""))


class Breaking:
    """In place of a layer's MLP: computes so many times, then raises; `mend` puts the MLP back."""

    def __init__(self, layer: Layer, after: int, fail: Callable[[], object]) -> None:
        self._layer, self._mlp = layer, layer.mlp
        self._left, self._fail = after, fail
        layer.mlp = self  # type: ignore[assignment]

    def __call__(self, *given: Any, **named: Any) -> torch.Tensor:
        self._left -= 1
        if self._left < 0:
            self._fail()
        return self._mlp(*given, **named)

    def mend(self) -> None:
        self._layer.mlp = self._mlp


# ---------------------------------------------------------------------------- at load


def test_weights_that_do_not_fit_are_told_and_the_engine_goes_on(
    engine: Driven, folder: Path, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(memory, "free_bytes", lambda _: 123_000_000)
        patched.setattr(Place, "allocate", lambda *_: more_than_there_is())
        error = engine.refused(folder, 1024, "float32")
    assert error.code == "memory"
    stored = load_file(folder / "model.safetensors").values()
    size = sizes.said(sum(tensor.nbytes for tensor in stored))
    assert f"take about {size}, and" in error.detail
    assert "123 MB were free" in error.detail
    assert "context" not in error.hint
    assert not engine.died
    engine.loaded(folder, 1024, "float32")
    assert engine.reply(asking(QUESTION))[0] == expected


def test_what_a_failed_load_had_taken_is_given_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the error is still held, as by whoever tells it."""
    models: list[weakref.ref[Decoder]] = []
    plain = assembly._fill_state

    def noted(blueprint: Blueprint, model: Decoder, *rest: Any) -> Any:
        models.append(weakref.ref(model))
        return plain(blueprint, model, *rest)

    monkeypatch.setattr(assembly, "_fill_state", noted)
    monkeypatch.setattr(open_model, "KVCache", lambda *_, **__: more_than_there_is())
    with pytest.raises(OutOfMemoryError) as caught:
        Session().load(Load(model=str(folder), dtype="float32"), lambda *_: None)
    assert caught.value.detail
    assert [model() for model in models] == [None]


class SmallCache(KVCache):
    """What a device gives that says that it has more."""

    def __init__(self, shape: Any, capacity: int, *rest: Any, **more: Any) -> None:
        if capacity > 600:
            more_than_there_is()
        super().__init__(shape, capacity, *rest, **more)


def test_the_usual_context_is_made_shorter_until_it_fits(
    engine: Driven, folder: Path, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_model, "KVCache", SmallCache)
    found = engine.loaded(folder, None, "float32")
    assert found.context_length == 512
    assert found.notes == ("The context is 512 tokens: there is no memory for the usual 4,096.",)
    assert engine.reply(asking(QUESTION))[0] == expected


def test_a_context_that_was_asked_for_is_not_made_shorter_but_one_is_offered(
    engine: Driven, folder: Path, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_model, "KVCache", SmallCache)
    error = engine.refused(folder, 4096, "float32")
    assert error.code == "memory"
    size = sizes.said(4096 * BYTES_PER_TOKEN)
    assert f"A context of 4,096 tokens takes {size} beside the weights" in error.detail
    assert "free" in error.detail
    found = engine.loaded(folder, offered(error), "float32")
    assert (found.context_length, found.notes) == (512, ())
    assert engine.reply(asking(QUESTION))[0] == expected


def test_where_no_context_fits_none_is_offered(
    engine: Driven, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_model, "KVCache", lambda *_, **__: more_than_there_is())
    error = engine.refused(folder, None, "float32")
    assert (error.code, "context" in error.hint) == ("memory", False)
    assert not [event for event in engine.load(folder, None, "float32") if type(event) is Loaded]


def test_a_context_that_is_too_long_for_what_is_free_is_told_beforehand(
    engine: Driven, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, read = 1000 * BYTES_PER_TOKEN, list[bool]()
    command = Load(model=str(folder), dtype="float32")
    weights = open_model.needs_of(
        facts.current(), command, listing.find(command.model)
    ).weight_bytes
    plain = loading.load

    def load(*given: Any, **named: Any) -> Any:
        made = plain(*given, **named)
        read.append(True)
        return made

    monkeypatch.setattr(open_model, "load", load)
    monkeypatch.setattr(memory, "free_bytes", lambda _: free if read else free + weights)
    error = engine.refused(folder, 2000, "float32")
    assert not read
    assert f"2,000 tokens takes {sizes.said(2 * free)}" in error.detail
    assert f"{sizes.said(free)} are free" in error.detail
    assert offered(error) == 768, "nine tenths of a thousand, rounded down"
    assert engine.loaded(folder, offered(error), "float32").context_length == 768
    read.clear()
    by_itself = engine.loaded(folder, None, "float32")
    assert by_itself.context_length == 900
    assert by_itself.notes


def test_a_model_that_cannot_run_at_load_stays_and_can_be_asked_later(
    engine: Driven, folder: Path, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("engine.attention.probe.observe", lambda _: out_of_memory())
        events = engine.load(folder, 1024, "float32")
    error = events[-1]
    assert isinstance(error, Error)
    assert isinstance(events[-2], Loaded)
    assert (error.code, offered(error)) == ("memory", 768)
    assert engine.reply(asking(QUESTION))[0] == expected


class Prompts:
    """In place of captured forwards."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def clear(self) -> None:
        self.calls.append("clear")

    def capture(self, launching: Launching, longest: int, end: int) -> None:
        assert launching.least == 0.02
        assert launching.per_token[:2] == pytest.approx([0.02 / longest] * 2, rel=0.01)
        assert longest in chunk_size.CHUNKS
        assert end == 1024, "the context"
        self.calls.append("capture")

    def run(self, _: Sequence[int]) -> None:
        """None is for so few tokens."""


@pytest.mark.parametrize("fails", [False, True], ids=["at once", "after it was out of memory"])
def test_on_a_gpu_chunks_are_settled_and_prompts_captured_unless_memory_is_short(
    loaded: Driven, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    session, runner, prompts = loaded.session, loaded.runner, Prompts()
    expected = loaded.reply(asking(QUESTION))[0]
    observed: list[int] = []
    plain = probe.observe

    def observe(run: Callable[[], object]) -> probe.Observation:
        observed.append(len(runner.cache))
        if fails and len(observed) == 3:
            out_of_memory()
        return plain(run)

    def measured(_: torch.device, run: Callable[[], object]) -> tuple[float, int]:
        run()
        return 0.02, 1000

    monkeypatch.setattr(memory, "measured", measured)
    monkeypatch.setattr(open_model, "times_chunks", lambda _: True)
    monkeypatch.setattr(probe, "observe", observe)
    monkeypatch.setattr(runner, "prompts", prompts)
    first = runner.chunk
    session.probe()
    once = ["clear", "capture"]
    assert prompts.calls == ([*once, "clear", "clear"] if fails else once)
    assert observed[:3] == [0, first + 3, 0], "a chunk, a step behind one and others, two tokens"
    assert runner.chunk in chunk_size.CHUNKS
    assert not runner.cache.tokens
    assert loaded.reply(asking(QUESTION))[0] == expected


def test_how_large_chunks_are_is_settled_by_one_that_is_run(
    loaded: Driven, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU; nothing is timed on the CPU."""
    runner = loaded.runner
    ran: list[int] = []
    forward = runner.forward

    def counted(tokens: Sequence[int]) -> torch.Tensor:
        ran.append(len(tokens))
        out: torch.Tensor = forward(tokens)
        assert len(runner.cache) == runner.cache.capacity - 6, "at the end of the context"
        return out

    def measured(_: torch.device, run: Callable[[], object]) -> tuple[float, int]:
        run()
        return 0.2 if ran[-1] > 256 else 0.05, 40_000 * ran[-1]

    monkeypatch.setattr(memory, "measured", measured)
    runner.forward([1, 2, 3])
    monkeypatch.setattr(runner, "forward", counted)
    monkeypatch.setattr(runner, "chunk", 512)
    chunk_size.settle(runner, runner.cache.capacity - 6, free=10**10)
    assert ran == [16, 16, 512, 512, 256, 256], "each once before it is timed"
    assert (runner.chunk, runner.chunk_bytes) == (256, 40_000 * 256)
    assert runner.cache.tokens == []
    detail = open_model.no_room(loaded.session._opened()).detail
    assert detail.endswith(" 256 tokens of a prompt, run at once, take about 10 MB.")


# ---------------------------------------------------------------------------- in a reply


@pytest.mark.parametrize("fail", [more_than_there_is, out_of_memory])
@pytest.mark.parametrize(
    ("after", "held"), [(0, 0), (2, 128), (6, 275)], ids=["first-chunk", "third-chunk", "reply"]
)
def test_a_reply_that_runs_out_of_memory_leaves_what_was_run(
    loaded: Driven,
    expected: str,
    after: int,
    held: int,
    fail: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner = loaded.runner
    monkeypatch.setattr(runner, "recorded", None)  # a recorded step passes no layer
    broken = Breaking(runner.model.layers[2], after, fail)
    error = loaded.fails(asking(QUESTION))
    broken.mend()
    assert (error.code, error.request, offered(error)) == ("memory", "r", 768)
    size = sizes.said(1024 * BYTES_PER_TOKEN)
    assert f"a context of 1,024 tokens, which takes {size}" in error.detail
    assert not loaded.died
    tokens = list(runner.cache.tokens)
    assert len(tokens) == held
    keys, values = (
        b[:, :, :held].clone()
        for b in (runner.cache.buffers[0].keys, runner.cache.buffers[0].values)
    )
    text, end = loaded.reply(asking(QUESTION))
    assert text == expected
    assert end.reused_tokens == min(held, end.prompt_tokens - 1)
    runner.cache.tokens.clear()
    for at in range(0, held, 64):
        runner.forward(tokens[at : at + 64])
    if held:
        torch.testing.assert_close(runner.cache.buffers[0].keys[:, :, :held], keys)
        torch.testing.assert_close(runner.cache.buffers[0].values[:, :, :held], values)


def test_what_a_failed_reply_had_computed_is_given_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is said how much is free, and while the error is still held."""
    session = Session()
    session.load(Load(model=str(folder), dtype="float32", context_length=1024), lambda *_: None)
    computed: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []

    def fail(x: torch.Tensor, **_: Any) -> None:
        computed.append(weakref.ref(x))
        out_of_memory()

    def given_back(_: torch.device) -> int:
        alive.append(sum(tensor() is not None for tensor in computed))
        return 10**9

    layer: Any = session._opened().runner.model.layers[2]
    layer.mlp = fail
    monkeypatch.setattr(memory, "free_bytes", given_back)
    with pytest.raises(OutOfMemoryError, match=r"the 1\.0 GB that are free"):
        list(session.generate(asking(QUESTION), lambda: False))
    assert (len(computed), alive) == (1, [0])


def test_a_reply_tells_that_there_was_no_memory_to_capture_its_steps(
    answering: tuple[Driven, str],
) -> None:
    opened = answering[0].session._opened()
    before = opened.attention
    assert before
    graphs: Any = SimpleNamespace(refusal=NO_ROOM)
    stand_in: Any = SimpleNamespace(attention=before, runner=SimpleNamespace(graphs=graphs))
    for _ in range(2):
        found = told(stand_in)
        assert found
        assert found.decode.reason == f"{before.decode.reason} {NO_ROOM}"
        assert found.prefill == before.prefill
    graphs.refusal = ""
    stand_in.attention = before
    assert told(stand_in) == before


# ---------------------------------------------------------------------------- sentences


@pytest.mark.parametrize(
    ("error", "used_up"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (OutOfMemoryError("The weights do not fit."), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("Triton Error [CUDA]: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
    ids=repr,
)
def test_what_is_memory_used_up(error: Exception, used_up: bool) -> None:
    assert memory.is_used_up(error) == used_up
    if used_up:
        assert memory.attempt(CPU, lambda: fail(error)) is None
    else:
        with pytest.raises(type(error)):
            memory.attempt(CPU, lambda: fail(error))


def fail(error: Exception) -> int:
    raise error


def test_the_allocators_own_error_is_memory_used_up() -> None:
    assert memory.attempt(CPU, more_than_there_is) is None


def test_what_an_attempt_took_is_given_back_when_nothing_holds_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alive: list[bool] = []
    computed: list[weakref.ref[torch.Tensor]] = []

    def run() -> None:
        taken = torch.zeros(1)
        computed.append(weakref.ref(taken))
        out_of_memory()

    monkeypatch.setattr(memory, "give_back", lambda _: alive.append(computed[0]() is not None))
    memory.attempt(CPU, run)
    assert alive == [False]


@pytest.mark.parametrize(
    ("context", "missing", "found"),
    [
        (8192, 0, 6144),
        (8192, 4096 * 10, 4096),
        (8192, 8192 * 10, 0),
        (8192, 10**9, 0),
        (100, 0, 75),
    ],
)
def test_a_shorter_context_leaves_what_is_missing(context: int, missing: int, found: int) -> None:
    assert memory.shorter(context, 10, missing) == found


def test_sizes_are_said_in_their_unit() -> None:
    assert sizes.said(16_060_000_000) == "16.1 GB"
    assert sizes.said(67_108_864) == "67 MB"


# ---------------------------------------------------------------------------- many turns

TURNS = 1000
SETTLED = 200
"""Turns after which what is allocated once has been."""
MOST_GROWN = 800_000
"""Bytes; a turn that keeps 1 KB is seen, and usually 20 KB are added by all of them."""


def resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def reply(session: Session, command: Generate, *, stopped: bool) -> list[Event]:
    """All events; if it is to be stopped, after the first."""
    events: list[Event] = []
    for event in session.generate(command, lambda: stopped and bool(events)):
        events.append(event)  # noqa: PERF402 - what `stopped` looks at
    return events


def test_a_thousand_turns_take_no_memory(tmp_path: Path) -> None:
    session = Session()
    made = Model("llama", {"num_hidden_layers": 1, "hidden_size": 32, "head_dim": 16}).make()
    small = tiny.write_gguf(tmp_path / "tiny.gguf", made)
    session.load(Load(model=str(small), dtype="float32"), lambda *_: None)
    before = 0
    for turn in range(TURNS):
        # Of all kinds: drawn and greedy, that go on, that begin anew, and one that is stopped.
        command = asking(f"{turn % 7}? " * (1 + turn % 3), 2, temperature=turn % 2, seed=turn)
        stopped = turn % 10 == 9
        events = reply(session, command, stopped=stopped)
        assert isinstance(events[0], Prefill)
        assert isinstance(events[-1], Finished)
        if turn == SETTLED:
            before = resident()
    assert resident() - before < MOST_GROWN
