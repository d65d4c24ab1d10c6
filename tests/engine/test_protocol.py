"""Commands and events as lines: what is written can be read, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from engine import protocol
from engine.protocol import AnyCommand, AnyEvent, ProtocolError

ROOT = Path(protocol.__file__).parents[1]

MODEL = protocol.ModelInfo(
    id="m",
    name="M",
    path="/m.gguf",
    source="imported",
    format="gguf",
    architecture="llama",
    parameters=135_000_000,
    weights="Q4_1",
    size_bytes=1 << 40,
    context_length=8192,
    problem="It is\ntruncated.",
)
PHASE = protocol.AttentionPhase(
    requested="auto", resolved="SDPA", observed="math", reason="No GPU.", flash=False, max_error=0.5
)
ATTENTION = protocol.Attention(prefill=PHASE, decode=PHASE)

COMMANDS: tuple[AnyCommand, ...] = (
    protocol.ListModels(),
    protocol.AddModel(path="/models/ü \\ \n\U0001f525"),
    protocol.RemoveModel(id="m"),
    protocol.Load(model="m", flash="on", dtype="float16", context_length=2048),
    protocol.Unload(),
    protocol.Generate(
        request="r",
        messages=(
            protocol.Message(role="system", content="Be brief."),
            protocol.Message(role="user", content="line\nline \u2028 \x00 \U0001f525"),
        ),
        sampling=protocol.Sampling(
            temperature=0.5,
            top_k=1,
            top_p=0.25,
            min_p=0.0,
            repetition_penalty=1.5,
            seed=2**63,
            stop=("\n\n", "User:"),
            max_new_tokens=9,
        ),
        overflow="refuse",
    ),
    protocol.Count(
        request="c", messages=(protocol.Message(role="user", content="Hi"),), longest_reply=9
    ),
    protocol.Stop(request="r"),
    protocol.Shutdown(),
)

EVENTS: tuple[AnyEvent, ...] = (
    protocol.Hello(
        protocol=protocol.PROTOCOL_VERSION,
        hearth="0",
        python="3.11",
        pid=1,
        cpu_count=2,
        ram_total_bytes=1 << 40,
        gpus=(protocol.Gpu(index=0, name="G", memory_total_bytes=1, driver="580"),),
        default_model="m",
    ),
    protocol.Device(
        kind="cuda",
        name="G",
        torch="2",
        transformers="5",
        flash_attn="2.8",
        compute_capability="9.0",
        threads=2,
    ),
    protocol.Models(models=(MODEL,)),
    protocol.Loading(model="m", stage="weights", done=1, total=2),
    protocol.Loaded(
        model=MODEL,
        device="G",
        dtype="bfloat16",
        context_length=8192,
        use_flash_attn=True,
        load_ms=1.5,
        notes=("It has no chat template.",),
    ),
    protocol.AttentionObserved(attention=ATTENTION),
    protocol.Unloaded(),
    protocol.Prefill(request="r", done=1, total=2, reused=1),
    protocol.LeftOut(request="r", messages=4),
    protocol.Counted(
        request="c",
        context_length=64,
        tokens=70,
        exact=True,
        last_tokens=3,
        reserved=8,
        left_out=4,
        kept_tokens=40,
    ),
    protocol.Thinking(request="r", text="one\ntwo"),
    protocol.Rethought(request="r"),
    protocol.Text(request="r", text="one\ntwo"),
    protocol.Finished(
        request="r",
        finish_reason="context",
        prompt_tokens=1,
        reused_tokens=2,
        new_tokens=3,
        thinking_tokens=2,
        time_to_first_token_ms=4.0,
        prefill_tokens_per_second=5.0,
        decode_tokens_per_second=6.0,
        peak_memory_bytes=7,
        attention=ATTENTION,
    ),
    protocol.Telemetry(
        cpu_percent=1.0,
        engine_ram_bytes=2,
        ram_used_bytes=3,
        ram_total_bytes=4,
        gpu_name="G",
        gpu_memory_used_bytes=5,
        gpu_memory_total_bytes=6,
        gpu_percent=7.0,
        tokens_per_second=8.0,
    ),
    protocol.Error(title="t", detail="d", hint="h", code="memory", request="r"),
)


def kind(message: protocol.Command | protocol.Event) -> str:
    return type(message).__name__


@pytest.mark.parametrize("command", COMMANDS, ids=kind)
def test_command_is_read_as_it_was_written(command: AnyCommand) -> None:
    line = protocol.encode(command)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert protocol.decode_command(line) == command


@pytest.mark.parametrize("event", EVENTS, ids=kind)
def test_event_is_read_as_it_was_written(event: AnyEvent) -> None:
    line = protocol.encode(event)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert protocol.decode_event(line) == event


def test_every_command_and_event_is_among_the_ones_above() -> None:
    assert {type(command) for command in COMMANDS} == set(get_args(AnyCommand))
    assert {type(event) for event in EVENTS} == set(get_args(AnyEvent))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"Loading weights: 100%\n",
        b'{"command":"list_mod',
        b"{}",
        b"[]",
        b"null",
        b'{"command":"dance"}',
        b'{"command":7}',
        b'{"event":"unloaded"}',
        b'{"command":"list_models"} {"command":"shutdown"}',
        b'{"command":"load"}',
        b'{"command":"load","model":7}',
        b'{"command":"load","model":"m","flash":"maybe"}',
        b'{"command":"load","model":"m","attn_implementation":"eager"}',
        b'{"command":"generate","request":"r","messages":[{"role":"tool","content":""}]}',
        b'{"command":"generate","request":"r","messages":[],"sampling":{"heat":1}}',
        b'{"command":"stop","request":"\xff"}',
        b'{"x":' + b"[" * 100_000,
    ],
)
def test_line_that_is_no_command_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"^not a command: "):
        protocol.decode_command(line)


@pytest.mark.parametrize(
    "line",
    [
        b"Loading weights: 100%\n",
        b'{"event":"text","request":"r","tex',
        b'{"event":"dance"}',
        b'{"command":"unload"}',
        b'{"event":"text","request":"r"}',
        b'{"event":"text","request":"r","text":"t","colour":"red"}',
        b'{"x":' + b"[" * 100_000,
    ],
)
def test_line_that_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"^not an event: "):
        protocol.decode_event(line)


def test_settings_left_out_are_the_checkpoints_own() -> None:
    line = b'{"command":"generate","request":"r","messages":[]}'
    command = protocol.decode_command(line)
    assert isinstance(command, protocol.Generate)
    assert command.sampling == protocol.Sampling()
    assert command.sampling.temperature is None


def test_file_name_that_is_not_unicode_does_not_stop_the_line() -> None:
    named = msgspec.structs.replace(MODEL, path="/models/\udcff.gguf")
    read = protocol.decode_event(protocol.encode(protocol.Models(models=(named,))))
    assert isinstance(read, protocol.Models)
    assert read.models[0].path == "/models/?.gguf"
    assert read.models[0].problem == MODEL.problem


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        EVENTS[0].pid = 2  # type: ignore[misc, union-attr]


def test_neither_torch_nor_qt_comes_with_the_protocol() -> None:
    program = (
        "import sys, engine.protocol; "
        "print([m for m in ('torch', 'transformers', 'numpy', 'PySide6') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True
    )
    assert found.stdout.strip() == b"[]"
