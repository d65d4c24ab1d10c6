"""The command line's arguments, and the verbs that need no engine process."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

import engine
from engine.catalog import listing
from engine.command_line import ask, cli, doctor
from engine.protocol import Generate, Load, ModelInfo

MODEL = ModelInfo(
    id="m",
    name="M",
    path="/m.gguf",
    source="folder",
    format="gguf",
    architecture="llama",
    parameters=1_236_000_000,
    weights="Q4_1",
    size_bytes=987_000_000,
    context_length=131_072,
)


class Asked:
    """Takes what `ask` would send."""

    def __call__(self, load: Load, generate: Generate, show: ask.Show) -> int:
        self.load, self.generate, self.show = load, generate, show
        return 0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    taken = Asked()
    monkeypatch.setattr(ask, "ask", taken)
    return taken


def test_every_option_of_ask_reaches_the_engine(asked: Asked) -> None:
    options = (
        "--model=m --flash=off --dtype=float16 --context-length=64 --max-new-tokens=9 "
        "--temperature=0 --top-k=0 --top-p=1 --min-p=0 --repetition-penalty=1.1 --seed=0"
    )
    assert cli.main(["ask", "Hi", *options.split()]) == 0
    assert asked.load == Load(model="m", flash="off", dtype="float16", context_length=64)
    assert asked.generate.messages[0].content == "Hi"
    sampling = asked.generate.sampling
    assert (sampling.max_new_tokens, sampling.temperature, sampling.top_k) == (9, 0.0, 0)
    assert (sampling.top_p, sampling.min_p) == (1.0, 0.0)
    assert (sampling.repetition_penalty, sampling.seed) == (1.1, 0)


def test_what_is_left_out_is_left_to_the_checkpoint(asked: Asked) -> None:
    assert cli.main(["ask", "Hi"]) == 0
    assert asked.load == Load(model="")
    assert asked.generate.sampling == Generate(request="", messages=()).sampling


ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", ["Grüße, 模型 🔥\r\n", "a", "What is `\ufeff`?"])
def test_prompt_comes_from_stdin_in_any_unicode_encoding(
    text: str, encoding: str, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PowerShell and editors of Windows write byte order marks and UTF-16."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode(encoding))))
    assert cli.main(["ask", "-"]) == 0
    assert asked.generate.messages[0].content == text


def test_a_big_endian_prompt_with_its_mark_is_read(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = "\ufeffHi é".encode("utf-16-be")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(raw)))
    assert cli.main(["ask", "-"]) == 0
    assert asked.generate.messages[0].content == "Hi é"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("Grüße".encode("latin-1"), "It is no text in UTF-8: byte 3 is 0xfc."),
        (b"\xef\xbb\xbfHi\xff", "It is no text in UTF-8: byte 6 is 0xff."),
        (b"\xff\xfeH\0\xd8", "It is no text in UTF-16: byte 5 is 0xd8."),
        (b"Hi\xed\xa0\x80", "It is no text in UTF-8: byte 3 is 0xed."),
    ],
)
def test_bytes_that_are_no_text_are_refused_and_not_replaced(
    raw: bytes,
    said: str,
    asked: Asked,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(raw)))
    assert cli.main(["ask", "-"]) == 1
    assert said in capsys.readouterr().err
    assert cli.main(["ask", os.fsdecode(raw)]) == 1
    assert "iconv -f WINDOWS-1252" in capsys.readouterr().err
    assert not hasattr(asked, "generate")


def test_a_mark_on_the_command_line_is_no_part_of_the_prompt(asked: Asked) -> None:
    assert cli.main(["ask", "\ufeffHi"]) == 0
    assert asked.generate.messages[0].content == "Hi"


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--max-new-tokens", ["0", "-1", "many", "1.5", str(2**63)]),
        ("--context-length", ["0", "x"]),
        ("--temperature", ["-0.1", "nan", "inf", "hot"]),
        ("--top-k", ["-1", "0.5"]),
        ("--top-p", ["0", "1.1", "nan"]),
        ("--min-p", ["-0.1", "1"]),
        ("--repetition-penalty", ["0", "-1", "inf"]),
        ("--seed", ["-1", "x", str(2**64)]),
        ("--flash", ["maybe"]),
        ("--dtype", ["int8"]),
    ],
)
def test_value_that_makes_no_sense_is_a_usage_error(
    option: str, values: list[str], asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in values:
        with pytest.raises(SystemExit) as left:
            cli.main(["ask", "Hi", f"{option}={value}"])
        assert left.value.code == cli.USAGE
        message = capsys.readouterr().err.splitlines()[-1]
        assert message.startswith(f"hearth ask: error: argument {option}: ")
        assert repr(value) in message
        assert "_" not in message
    assert not hasattr(asked, "load")


@pytest.mark.parametrize("arguments", [[], ["dance"], ["ask"], ["models", "extra"]])
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == cli.USAGE
    assert "usage: hearth" in capsys.readouterr().err


def test_ctrl_c_ends_any_verb_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(ask, "ask", interrupted)
    assert cli.main(["ask", "Hi"]) == cli.INTERRUPTED == 130


@pytest.mark.parametrize("code", [0, 1])
def test_doctor_ends_with_its_own_code(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "run", lambda: code)
    assert cli.main(["doctor"]) == code


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"Hearth {engine.__version__}\n"


def test_models_lists_the_embedded_one_first(
    empty_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["models"]) == 0
    header, first, *_ = capsys.readouterr().out.splitlines()
    assert header.split() == ["ID", "ARCHITECTURE", "PARAMETERS", "WEIGHTS", "SIZE", "CONTEXT"]
    assert first.split()[:2] == ["smollm2-135m-instruct", "llama"]


def test_models_as_json_is_one_list(empty_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "--json"]) == 0
    listed = msgspec.json.decode(capsys.readouterr().out, type=tuple[ModelInfo, ...])
    assert listed == listing.scan()


def test_table_has_a_line_for_each_model_and_says_why_one_is_of_no_use() -> None:
    broken = ModelInfo(
        id="b", name="B", path="/b", source="folder", format="unknown", problem="It is empty."
    )
    assert cli.table([MODEL, broken]) == (
        "ID  ARCHITECTURE  PARAMETERS  WEIGHTS  SIZE    CONTEXT\n"
        "m   llama         1,236 M     Q4_1     987 MB  131,072\n"
        "b   -             -           -        0 MB    -\n"
        "\n"
        "b: It is empty."
    )


def test_no_models_is_said() -> None:
    assert cli.table([]).startswith("No models were found. ")
