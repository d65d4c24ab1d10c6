"""What strangers wrote, as it reaches a terminal, a pipe and a log."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import __main__ as window_program
from engine import log
from engine.command_line import ask, cli
from engine.command_line.doctor import Report
from engine.errors import CheckpointError
from engine.process.worker import unanswered
from engine.protocol import Finished, ModelInfo, Text, Thinking
from ground import terminal
from tests.engine.engine_process import ENVIRONMENT, LIMIT

CLIPBOARD = "\x1b]52;c;cm0gLXJmIH4K\x07"
EVIL = f"{CLIPBOARD}\x1b[2J\x9b31m\x7f\x08\r\u202e\u2066"
SPELLED = r"\x1b]52;c;cm0gLXJmIH4K\x07\x1b[2J\x9b31m\x7f\x08\r\u202e\u2066"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def obeyed(text: str) -> list[str]:
    """Characters that a terminal would not show but obey; Hearth's own dimming apart."""
    shown = text.replace(ask.DIM, "").replace(ask.NOT_DIM, "")
    return [c for c in shown if c not in "\n\t" and not c.isprintable() and c != "\xad"]


def streamed(stream: io.StringIO, *pieces: str) -> str:
    reply = terminal.Reply(stream)
    for piece in pieces:
        reply.write(piece)
    reply.end()
    return stream.getvalue()


# ---------------------------------------------------------------------------- characters


def test_every_control_character_is_spelled_and_every_letter_stays() -> None:
    controls = "".join(map(chr, (*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2069, 0xDCE9)))
    assert obeyed(terminal.line(controls)) == obeyed(terminal.paragraphs(controls)) == []
    letters = "aé模型 שלום 👩\u200d👩\u200d👧 \\x1b ~\xa0"
    assert terminal.line(letters) == terminal.paragraphs(letters) == letters


def test_a_name_is_one_line_and_a_paragraph_keeps_its_lines() -> None:
    text = "a\nb\tc\u2028d\x85\u200f"
    assert terminal.line(text) == r"a\nb\tc\u2028d\x85\u200f"
    assert terminal.paragraphs(text) == "a\nb\tc\u2028d\\x85\u200f"


def test_json_for_a_terminal_is_the_same_json() -> None:
    text = json.dumps({"id": EVIL}, ensure_ascii=False)
    shown = terminal.json(text)
    assert obeyed(shown) == []
    assert json.loads(shown) == {"id": EVIL}


# ---------------------------------------------------------------------------- replies


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_reply_on_a_terminal_is_visible_however_it_is_cut(size: int) -> None:
    text = f"Hi {EVIL}.\n\tEnd"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert streamed(Terminal(), *pieces) == f"Hi {SPELLED}.\n\tEnd"


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (("one\r", "\ntwo\r\n"), "one\ntwo\n"),
        (("safe\rover",), r"safe\rover"),
        (("safe\r", "over"), r"safe\rover"),
        (("end\r",), r"end\r"),
        (("\r\r\n",), "\\r\n"),
    ],
)
def test_a_carriage_return_ends_a_line_and_never_goes_back(
    pieces: tuple[str, ...], shown: str
) -> None:
    assert streamed(Terminal(), *pieces) == shown


def test_a_reply_in_a_pipe_is_as_it_was() -> None:
    assert streamed(io.StringIO(), EVIL, "\r", "\nx\r") == f"{EVIL}\r\nx\r"


def test_thinking_and_answer_are_visible_and_only_the_dimming_is_ours() -> None:
    out, err = Terminal(), Terminal()
    show = ask.Answer(out, err)
    for event in (Thinking(request="r", text=EVIL), Text(request="r", text=EVIL), end()):
        show(b"", event)
    assert err.getvalue() == f"{ask.DIM}{SPELLED}{ask.NOT_DIM}\n\n"
    assert out.getvalue() == f"{SPELLED}\n"


def end() -> Finished:
    return unanswered("r", "stop")


# ---------------------------------------------------------------------------- names and sentences


def test_names_are_spelled_in_lists_reports_and_errors_also_in_a_pipe() -> None:
    model = ModelInfo(
        id=EVIL + "\n",
        name=EVIL,
        path="/x",
        source="folder",
        format="gguf",
        architecture=EVIL,
        weights=EVIL,
        problem=f"{EVIL}\nm  forged",
    )
    table = cli.table([model])
    assert obeyed(table) == []
    assert table.count("\n") == 3, "a header, a model, a blank and its problem"
    report = Report([("GPU", EVIL)], [EVIL], [EVIL])
    assert obeyed(str(report)) == []
    assert str(report).count(SPELLED) == 3
    assert SPELLED in ask.sentence(CheckpointError(EVIL))


def test_stderr_is_guarded_whoever_writes(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.guarded_stderr():
        sys.stderr.write(EVIL)
        sys.stderr.writelines([EVIL, "\n"])
        logging.getLogger("library").warning(EVIL)
    assert capsys.readouterr().err.count(SPELLED) >= 2


@pytest.mark.parametrize("main", [cli.main, window_program.main])
def test_a_usage_error_that_quotes_an_argument_is_spelled(
    main: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(main)
    with pytest.raises(SystemExit):
        main(["--nonsense" + EVIL])
    with pytest.raises(SystemExit):
        cli.main(["models", EVIL])
    said = capsys.readouterr().err
    assert SPELLED in said
    assert obeyed(said) == []


def test_a_log_line_is_spelled_and_cannot_be_forged() -> None:
    record = logging.LogRecord("engine", 40, "", 0, "%s\nERROR forged", (EVIL,), None)
    assert log._Formatter("%(message)s").format(record) == f"{SPELLED}\n    ERROR forged"


@pytest.mark.skipif(os.name != "posix", reason="a terminal of POSIX")
def test_what_the_engines_libraries_write_reaches_a_terminal_spelled(tmp_path: Path) -> None:
    """Past Python's streams, as a panic in Rust does."""
    program = tmp_path / "ask.py"
    program.write_text(
        "import sys\nfrom engine.command_line import ask, cli\n"
        f"ask.SERVE = ['-c', {f'import os; os.write(2, {EVIL.encode()!r})'!r}]\n"
        "sys.exit(cli.main(['ask', 'Hi']))\n"
    )
    screen, slave = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-P", program],
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
            timeout=LIMIT,
            check=False,
        )
        seen = os.read(screen, 65536).decode()
    finally:
        os.close(screen)
        os.close(slave)
    assert done.returncode == 1
    assert terminal.line(CLIPBOARD) in seen
    assert obeyed(seen.replace("\r\n", "\n")) == []
    assert "The engine ended before the answer did." in seen
