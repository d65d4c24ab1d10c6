"""The engine process from outside: what the window sees, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from engine import protocol
from engine.catalog import listing
from engine.protocol import (
    AttentionObserved,
    Error,
    Event,
    Finished,
    Hello,
    Load,
    Loaded,
    Loading,
    Message,
    Models,
    Prefill,
    Telemetry,
    Text,
)
from tests.engine.engine_process import (
    DEATH_LIMIT,
    EMBEDDED,
    ROOT,
    EngineProcess,
    ask,
    opened,
    running,
)
from tests.engine.faulty_engine import FLOOD

CONTEXT = 512
FAULTY = ("-P", str(Path(__file__).with_name("faulty_engine.py")))
STORY = "Write a long story about a fire in a hearth, with many chapters."


@pytest.fixture(scope="module")
def bare() -> Iterator[EngineProcess]:
    """No model is ever loaded in this one."""
    with running() as process:
        opened(process)
        yield process


@pytest.fixture(scope="module")
def loaded() -> Iterator[EngineProcess]:
    """Has the embedded model, and every test leaves it there."""
    with running() as process:
        process.load(Load(model=EMBEDDED, context_length=CONTEXT))
        yield process


def kinds(process: EngineProcess) -> list[type[Event]]:
    return [type(event) for event in process.events if not isinstance(event, Telemetry)]


def is_for_a_person(error: Error) -> bool:
    sentences = (error.title, error.detail, error.hint)
    return all(sentences) and not any("Traceback" in sentence for sentence in sentences)


# ---------------------------------------------------------------------------- before a model


def test_hello_and_models_come_before_torch(bare: EngineProcess) -> None:
    assert kinds(bare)[:3] == [Hello, Models, protocol.Device]
    hello, models = bare.events[:2]
    assert isinstance(hello, Hello)
    assert hello.protocol == protocol.PROTOCOL_VERSION
    assert hello.pid == bare.process.pid
    assert hello.default_model == EMBEDDED
    assert isinstance(models, Models)
    assert models.models[0].id == EMBEDDED


def test_engine_without_torch_says_so_and_lists_models_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so is missing')")
    with running(environment={"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}) as process:
        error = process.first(Error)
        assert process.first(Models).models
        assert is_for_a_person(error)
        assert "doctor" in error.hint
        _, finished = process.reply(ask("Hi"))
        assert finished.finish_reason == "error"


def test_what_is_no_command_is_an_error_and_the_next_one_is_done(bare: EngineProcess) -> None:
    bare.write(b'hello?\n\xff\xfe\n{"command":"load"}\n')
    for _ in range(3):
        error = bare.wait_for(Error)
        assert error.code == "protocol"
        assert is_for_a_person(error)
    bare.send(protocol.ListModels())
    assert bare.wait_for(Models).models


def test_generating_without_a_model_says_what_to_do(bare: EngineProcess) -> None:
    bare.send(ask("Hi", "early"))
    error = bare.wait_for(Error, "early")
    assert error.detail == "No model is loaded."
    assert is_for_a_person(error)
    finished = bare.wait_for(Finished, "early")
    assert finished.finish_reason == "error"
    assert finished.new_tokens == 0


def missing(folder: Path) -> Path:
    return folder / "missing.gguf"


def zero_bytes(folder: Path) -> Path:
    (folder / "empty.gguf").touch()
    return folder / "empty.gguf"


def no_gguf(folder: Path) -> Path:
    (folder / "letter.gguf").write_text("Dear reader,\n" * 1000)
    return folder / "letter.gguf"


def truncated(folder: Path) -> Path:
    cut = Path(listing.find(EMBEDDED).path).read_bytes()[: 5 << 20]
    (folder / "cut.gguf").write_bytes(cut)
    return folder / "cut.gguf"


def empty_folder(folder: Path) -> Path:
    return folder


def pickle_only(folder: Path) -> Path:
    (folder / "config.json").write_text('{"model_type": "llama"}')
    Tokenizer(WordLevel({"a": 0}, "a")).save(str(folder / "tokenizer.json"))
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    return folder


def unknown_architecture(folder: Path) -> Path:
    (folder / "config.json").write_text('{"model_type": "perceptron"}')
    save_file({"weight": torch.zeros(2, 2)}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (missing, "checkpoint", "no model or file"),
        (zero_bytes, "checkpoint", ""),
        (no_gguf, "checkpoint", "GGUF"),
        (truncated, "checkpoint", ""),
        (empty_folder, "checkpoint", "config.json"),
        (pickle_only, "checkpoint", "pickle"),
        (unknown_architecture, "unsupported", "perceptron"),
    ],
)
def test_load_of_what_is_no_model_is_an_error_and_the_engine_goes_on(
    bare: EngineProcess, tmp_path: Path, make: Callable[[Path], Path], code: str, said: str
) -> None:
    error = bare.load(Load(model=str(make(tmp_path))))
    assert isinstance(error, Error)
    assert error.code == code
    assert error.request == ""
    assert said in error.detail
    assert is_for_a_person(error)
    bare.send(protocol.Unload())
    bare.wait_for(protocol.Unloaded)


def test_unusable_data_folder_is_a_sentence_and_the_engine_is_there(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    with running(environment={"HEARTH_HOME": str(occupied)}, stderr=subprocess.DEVNULL) as process:
        assert process.wait_for(Hello).default_model == EMBEDDED
        error = process.wait_for(Error)
        assert error.code == "storage"
        assert str(occupied) in error.detail
        assert is_for_a_person(error)
        assert process.wait_for(Models).models[0].id == EMBEDDED


# ---------------------------------------------------------------------------- with a model


def test_load_tells_its_progress_in_bytes_and_then_what_was_decided(loaded: EngineProcess) -> None:
    begin, end = kinds(loaded).index(Loading), kinds(loaded).index(AttentionObserved)
    beside = (Telemetry, protocol.Device)
    told = [event for event in loaded.events if not isinstance(event, beside)][begin : end + 1]
    *progress, ready, attention = told
    assert all(isinstance(event, Loading) and event.model == EMBEDDED for event in progress)
    weights = [e for e in progress if isinstance(e, Loading) and e.stage == "weights"]
    assert [event.done for event in weights] == sorted(event.done for event in weights)
    assert weights[-1].done == weights[-1].total > 50_000_000
    assert isinstance(ready, Loaded)
    assert ready.model.id == EMBEDDED
    assert ready.context_length == CONTEXT
    assert ready.load_ms > 0
    assert isinstance(attention, AttentionObserved)
    for phase in (attention.attention.prefill, attention.attention.decode):
        assert phase.requested == "auto"
        assert phase.resolved
        assert phase.observed
        assert phase.reason
        assert phase.max_error is not None


def test_reply_is_prefill_then_text_then_statistics(loaded: EngineProcess) -> None:
    begin = len(loaded.events)
    text, finished = loaded.reply(ask("What is the capital of France?", "paris"))
    assert "Paris" in text
    events = [event for event in loaded.events[begin:] if getattr(event, "request", "") == "paris"]
    prefills = [event for event in events if isinstance(event, Prefill)]
    assert events[: len(prefills)] == prefills
    assert prefills[-1].done == prefills[-1].total == finished.prompt_tokens
    assert finished.finish_reason == "stop"
    assert finished.prompt_tokens > finished.reused_tokens
    assert 5 < finished.new_tokens <= 16
    assert finished.time_to_first_token_ms > 0
    assert finished.prefill_tokens_per_second > 0
    assert finished.decode_tokens_per_second > 0
    assert finished.peak_memory_bytes > 100_000_000
    assert finished.attention is not None
    assert finished.attention.decode.observed


def test_reply_ends_at_the_limit_of_its_length(loaded: EngineProcess) -> None:
    _, finished = loaded.reply(ask(STORY, max_new_tokens=3))
    assert finished.finish_reason == "length"
    assert finished.new_tokens == 3


def test_second_turn_prefills_only_what_is_new(loaded: EngineProcess) -> None:
    question = ask("Name three colours. " * 30)
    text, first = loaded.reply(question)
    turns = (
        *question.messages,
        Message(role="assistant", content=text),
        Message(role="user", content="And one more?"),
    )
    again = protocol.Generate(request="again", messages=turns, sampling=question.sampling)
    _, second = loaded.reply(again)
    assert second.reused_tokens >= first.prompt_tokens - 4
    assert second.prompt_tokens - second.reused_tokens < 60


def test_stop_while_generating_ends_with_stopped(loaded: EngineProcess) -> None:
    loaded.send(ask(STORY, "long", max_new_tokens=None))
    while loaded.wait_for(Telemetry).tokens_per_second == 0:
        pass
    loaded.send(protocol.Stop(request="long"))
    finished = loaded.wait_for(Finished, "long")
    assert finished.finish_reason == "stopped"
    assert finished.new_tokens > 0


def test_stop_of_a_waiting_request_leaves_the_running_one(loaded: EngineProcess) -> None:
    loaded.send(ask(STORY, "running", max_new_tokens=None), ask("Hi", "waiting"))
    loaded.wait_for(Text, "running")
    loaded.send(protocol.Stop(request="waiting"))
    waiting = loaded.wait_for(Finished)
    assert (waiting.request, waiting.finish_reason) == ("waiting", "stopped")
    loaded.wait_for(Text, "running")
    loaded.send(protocol.Stop(request="running"))
    running_one = loaded.wait_for(Finished)
    assert (running_one.request, running_one.finish_reason) == ("running", "stopped")


@pytest.mark.parametrize(
    ("prompt", "settings", "code", "said"),
    [
        ("", {}, "prompt", "empty"),
        (" \n\t", {}, "prompt", "empty"),
        ("word " * (CONTEXT + 10), {}, "context", f"context holds {CONTEXT}"),
        ("Hi", {"temperature": -1.0}, "setting", "temperature"),
        ("Hi", {"max_new_tokens": 0}, "setting", "token"),
    ],
    ids=["empty", "blank", "longer than the context", "temperature", "no new tokens"],
)
def test_prompt_that_cannot_be_sent_is_an_error_that_says_why(
    loaded: EngineProcess, prompt: str, settings: dict[str, object], code: str, said: str
) -> None:
    loaded.send(ask(prompt, "bad", **settings))
    error = loaded.wait_for(Error, "bad")
    assert error.code == code
    assert said in error.detail
    assert is_for_a_person(error)
    assert loaded.wait_for(Finished, "bad").finish_reason == "error"


def test_unload_leaves_an_engine_without_a_model(loaded: EngineProcess) -> None:
    loaded.send(protocol.Unload(), ask("Hi", "late"))
    loaded.wait_for(protocol.Unloaded)
    assert loaded.wait_for(Error, "late").detail == "No model is loaded."
    assert isinstance(loaded.load(Load(model=EMBEDDED, context_length=CONTEXT)), Loaded)


# ---------------------------------------------------------------------------- its stdout


def test_nothing_that_is_printed_gets_between_the_events() -> None:
    with running(FAULTY, stderr=subprocess.PIPE) as process:
        text, finished = process.reply(ask("chatter"))
        assert (text, finished.finish_reason) == ("x", "stop")
        process.close()
        assert process.process.stderr is not None
        printed = process.process.stderr.read()
    for source in (b"Python", b"the first stdout", b"the descriptor", b"a child"):
        assert b"from " + source in printed


def test_hung_reader_stalls_no_reply_and_fills_no_memory() -> None:
    with running(FAULTY, reading=False, stderr=subprocess.PIPE) as process:
        process.send(ask("flood"))
        assert process.process.stderr is not None
        assert process.process.stderr.readline() == b"generated\n"
        assert psutil.Process(process.process.pid).memory_info().rss < 150_000_000
        process.read()
        process.wait_for(Finished)
        texts = [event for event in process.events if isinstance(event, Text)]
        assert "".join(event.text for event in texts) == "x" * FLOOD
        assert len(texts) < FLOOD / 100


# ---------------------------------------------------------------------------- its end


def test_engine_ends_with_its_input_in_the_middle_of_a_load() -> None:
    with running() as process:
        process.send(Load(model=EMBEDDED))
        while process.wait_for(Loading).stage != "weights":
            pass
        process.close()
        assert process.seconds_to_end() < DEATH_LIMIT
        assert process.process.returncode == 0


def test_engine_ends_with_its_input_in_the_middle_of_a_reply() -> None:
    with running() as process:
        process.load(Load(model=EMBEDDED))
        process.send(ask(STORY, max_new_tokens=None))
        process.wait_for(Text)
        process.close()
        assert process.seconds_to_end() < DEATH_LIMIT
        assert process.process.returncode == 0
        assert not any(isinstance(event, Finished) for event in process.events)


def test_engine_ends_when_nobody_reads_its_events_any_more() -> None:
    with running(reading=False) as process:
        assert process.process.stdout is not None
        assert b'"hello"' in process.process.stdout.readline()
        process.process.stdout.close()
        process.seconds_to_end()
        assert process.process.returncode == 0


def test_shutdown_ends_the_engine() -> None:
    with running() as process:
        process.wait_for(Hello)
        process.send(protocol.Shutdown())
        process.seconds_to_end()
        assert process.process.returncode == 0


def test_fault_of_the_device_is_told_before_the_process_ends() -> None:
    with running(FAULTY, stderr=subprocess.DEVNULL) as process:
        process.send(ask("lose the device"))
        assert process.wait_for(Error, "r").code == "device"
        assert process.wait_for(Finished, "r").finish_reason == "error"
        process.seconds_to_end()
        assert process.process.returncode == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to consoles only")
def test_ctrl_c_is_for_the_other_end() -> None:
    with running() as process:
        process.wait_for(Hello)
        process.process.send_signal(signal.SIGINT)
        process.send(protocol.ListModels(), protocol.ListModels())
        process.wait_for(Models)
        process.wait_for(Models)
