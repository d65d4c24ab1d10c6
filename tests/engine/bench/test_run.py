"""The verb over a tiny real checkpoint, and llama-bench by a script that prints as it does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from engine.bench import measure, peers, run, settings
from engine.bench.result import OUT_OF_MEMORY, Result, Way, decoded
from engine.bench.run import Wish
from engine.bench.settings import LlamaBench, Settings
from engine.command_line import cli
from engine.device import facts
from engine.device.facts import DeviceFacts
from engine.errors import HearthError, SettingError
from tests.engine import tiny

LLAMA_JSON = [
    {
        "build_commit": "abc",
        "build_number": 7,
        "model_type": "llama 8B BF16",
        "model_n_params": 8_030_261_248,
        "n_prompt": 512,
        "n_gen": 0,
        "n_depth": 0,
        "avg_ts": 25_000.0,
        "samples_ns": [20_000_000, 22_000_000],
        "samples_ts": [25_600.0, 23_272.0],
    },
    {
        "build_commit": "abc",
        "build_number": 7,
        "model_type": "llama 8B BF16",
        "model_n_params": 8_030_261_248,
        "n_prompt": 0,
        "n_gen": 128,
        "n_depth": 512,
        "avg_ts": 206.0,
        "samples_ns": [620_000_000],
        "samples_ts": [206.0],
    },
]
BENCH = LlamaBench(binary="llama-bench", gguf="m.gguf")
ASKED = Settings(contexts=(512, 1024), rounds=2)


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    here = DeviceFacts(kind="cpu", name="CPU", torch=str(torch.__version__))
    monkeypatch.setattr(facts, "current", lambda: here)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.write_folder(tmp_path_factory.mktemp("tiny"), tiny.model("llama")))


def wish(model: str, out: Path, **changes: object) -> Wish:
    given = {"contexts": (8, 16), "rounds": 2, "new_tokens": 3, "peers": ("generate",)}
    return Wish(out=out, model=model, **{**given, **changes})  # type: ignore[arg-type]


def result(out: Path) -> Result:
    return decoded((out / run.JSON).read_bytes())


def test_every_way_is_measured_and_says_why_where_it_does_not_run(
    model: str, tmp_path: Path
) -> None:
    said: list[str] = []
    assert run.run(wish(model, tmp_path), said.append) == 0
    found = result(tmp_path)
    assert found.complete
    assert [way.label for way in found.ways("prefill")] == [
        "transformers eager",
        "transformers sdpa",
        "Hearth sdpa",
    ]
    refused = {kernel.way.label: kernel.why_not for kernel in found.kernels if kernel.why_not}
    assert refused["Hearth flash"] == "Flash attention needs a CUDA GPU, this is CPU."
    assert refused["transformers flash_attention_2"]
    eager = Way(program="transformers", attention="eager")
    one = found.find(eager, "decode", 16)
    assert one is not None
    assert one.figure is not None
    assert len(one.figure.rounds) == 2
    assert min(one.figure.rounds) > 0
    kernels = {kernel.way.label: kernel for kernel in found.kernels}
    assert "softmax" in kernels["transformers eager"].prefill
    assert kernels["Hearth sdpa"].decode
    reply = found.find(eager, "reply", settings.REPLY_PROMPT)
    assert reply is not None
    assert reply.why_not == "The model's context ends at 128 tokens."
    assert all(line.startswith(("[", "Loading", "Done")) for line in said)
    assert (tmp_path / run.SVG).read_text().startswith("<svg")


def test_a_result_is_not_written_over_unasked(model: str, tmp_path: Path) -> None:
    (tmp_path / run.JSON).write_text("kept")
    with pytest.raises(SettingError, match="is there already"):
        run.run(wish(model, tmp_path), lambda _: None)
    assert (tmp_path / run.JSON).read_text() == "kept"
    asked = wish(model, tmp_path, overwrite=True, attention=("sdpa",), peers=())
    assert run.run(asked, lambda _: None) == 0
    assert result(tmp_path).complete


def test_ctrl_c_keeps_what_was_measured(model: str, tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        if "behind 8" in line:
            raise KeyboardInterrupt

    asked = wish(model, tmp_path, attention=("sdpa",), peers=())
    with pytest.raises(KeyboardInterrupt):
        run.run(asked, interrupt)
    found = result(tmp_path)
    assert not found.complete
    assert [one.what for one in found.measurements] == ["prefill", "memory"]
    assert "not complete" in (tmp_path / run.MARKDOWN).read_text()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("highest", [100, 256, 1000, 4096, 131_072])
@pytest.mark.parametrize("room", [0, 255, 256, 300, 999, 5000, 200_000])
def test_longest_context_is_found_by_halving(highest: int, room: int) -> None:
    tried: list[int] = []

    def fits(tokens: int) -> bool:
        tried.append(tokens)
        return tokens <= room

    found = measure.longest(fits, highest)
    best = min(room, highest)
    assert found <= best
    assert best - found <= max(measure.STEP, best // measure.FINEST)
    assert len(tried) < 20


def test_running_out_of_memory_ends_one_measurement_alone() -> None:
    def fail() -> list[object]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    step = measure.Step("", ("prefill", "memory"), 8, fail)  # type: ignore[arg-type]
    program = peers.LLAMA

    class Stand:
        way = program

    found = measure.attempted(Stand(), step, torch.device("cpu"))  # type: ignore[arg-type]
    assert [(one.what, one.why_not) for one in found] == [
        ("prefill", OUT_OF_MEMORY),
        ("memory", OUT_OF_MEMORY),
    ]


# ---------------------------------------------------------------------------- llama-bench


def script(folder: Path, body: str) -> list[str]:
    path = folder / "llama-bench"
    path.write_text(body)
    return [sys.executable, str(path)]


def test_llama_bench_is_asked_for_prefill_and_for_decode() -> None:
    (_, prefill), (_, decode) = peers.llama_runs(BENCH, ASKED)
    assert " ".join(prefill).endswith("-r 2 -ngl 99 -fa 1 -p 512,1024 -n 128 -d 0")
    assert " ".join(decode).endswith("-r 2 -ngl 99 -fa 1 -p 0 -n 128 -d 512,1024")


def test_llama_benchs_json_is_read(tmp_path: Path) -> None:
    command = script(tmp_path, f"print({json.dumps(LLAMA_JSON)!r})")
    note, prefill, decode = peers.llama_measurements(command)
    assert note == "abc (7), llama 8B BF16, 8,030,261,248 parameters"
    assert not isinstance(prefill, str)
    assert not isinstance(decode, str)
    assert prefill.figure is not None
    assert (prefill.context, prefill.unit, prefill.figure.rounds) == (512, "ms", (20.0, 22.0))
    assert decode.figure is not None
    assert (decode.context, decode.unit, decode.figure.median) == (512, "tokens/s", 206.0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import sys; sys.exit('error: failed to load model')", "failed to load model"),
        ("print('no JSON')", "cannot be read"),
        ("print('[]')", "cannot be read"),
    ],
)
def test_llama_bench_that_fails_says_why(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(HearthError) as failed:
        list(peers.llama_measurements(script(tmp_path, body)))
    assert said in failed.value.detail


def test_llama_bench_takes_its_model_or_the_measured_one(tmp_path: Path) -> None:
    binary, gguf = tmp_path / "llama-bench", tmp_path / "m.gguf"
    binary.touch()
    gguf.touch()
    assert settings.llama_bench(f"{binary}:{gguf}", "").gguf == str(gguf)
    assert settings.llama_bench(str(binary), str(gguf)).gguf == str(gguf)
    for text, measured_model, said in (
        (str(binary), "/a/folder", "reads GGUF files"),
        (str(binary), "", "reads GGUF files"),
        (f"{binary}:{tmp_path}/none.gguf", "", "There is no file"),
        (str(tmp_path / "none"), str(gguf), "to run as llama-bench"),
    ):
        with pytest.raises(SettingError, match=said):
            settings.llama_bench(text, measured_model)


# ---------------------------------------------------------------------------- wrong arguments


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--contexts=512,none", "'none' is not a whole number"),
        ("--attention=flash,fast", "'fast' is none of flash, sdpa, eager"),
        ("--rounds=0", "'0' is not a whole number"),
        ("--new-tokens=1", "'1' is not a whole number from 2 up"),
        ("--memory-limit=8,-1", "'-1' is not a whole number"),
        ("--shape=gpt-4", "invalid choice: 'gpt-4'"),
    ],
)
def test_wrong_value_is_a_usage_error(
    option: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["bench", f"--out={tmp_path}", option])
    assert left.value.code == cli.USAGE
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--memory-limit=8"], "A memory limit needs a CUDA GPU"),
        (["--peer=vllm"], "There is no peer 'vllm'"),
        (["--peer=llama-bench=/none"], "There is no file '/none' to run as llama-bench"),
    ],
)
def test_what_cannot_be_measured_here_is_said_before_the_model_is_loaded(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["bench", f"--out={tmp_path}", "--shape=llama-3.1-8b", *options]
    assert cli.main(command) == cli.FAILED
    assert said in capsys.readouterr().err


def test_model_and_shape_exclude_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["bench", f"--out={tmp_path}", "--model=m", "--shape=llama-3.1-8b"])
    assert "not allowed with argument" in capsys.readouterr().err
