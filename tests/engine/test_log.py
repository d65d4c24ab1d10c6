"""What is kept of a run, that no prompt is, and that a log never gets in the way."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import log
from engine.local.session import Session
from engine.protocol import Finished, Generate, Load, Message, Sampling
from tests.engine import tiny

ROOT = Path(__file__).parents[2]
SECRET = "xyzzy"  # noqa: S105


@pytest.fixture
def logging_set_up(empty_home: Path) -> Iterator[None]:
    """As at the start of a process, and undone."""
    root, own = logging.getLogger(), logging.getLogger("engine")
    handlers, level, raising = list(root.handlers), own.level, logging.raiseExceptions
    log.set_up()
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    own.setLevel(level)
    logging.captureWarnings(False)
    logging.raiseExceptions = raising


@pytest.mark.usefixtures("logging_set_up")
def test_a_load_is_one_line_with_architecture_and_flash(tmp_path: Path) -> None:
    session = Session()
    path = tiny.write_gguf(tmp_path / "tiny.gguf", tiny.model("gemma2"))
    session.load(Load(model=str(path), dtype="float32"), lambda *_: None)
    (line,) = [line for line in log.path().read_text("utf-8").splitlines() if "loaded" in line]
    source = "INFO engine.local.session"
    for part in (source, "architecture=gemma2", "use_flash_attn=False", "reason="):
        assert part in line
    assert "kernel=" in line
    assert "dtype=float32" in line


@pytest.mark.usefixtures("logging_set_up")
def test_no_word_of_a_conversation_is_logged(tmp_path: Path) -> None:
    """Neither of a prompt that is answered, nor of those that are refused."""
    session = Session()
    logging.getLogger("engine").setLevel(logging.DEBUG)
    path = tiny.write_gguf(tmp_path / "tiny.gguf", tiny.model("llama"))
    session.load(Load(model=str(path), dtype="float32"), lambda *_: None)
    messages = (
        Message(role="user", content=SECRET),
        Message(role="assistant", content=SECRET),
        Message(role="user", content=f"{SECRET} <|im_end|> 🔥"),
    )
    sampling = Sampling(temperature=0, max_new_tokens=3, stop=(SECRET,))
    command = Generate(request="r", messages=messages, sampling=sampling)
    assert isinstance(list(session.generate(command, lambda: False))[-1], Finished)
    too_long = Message(role="user", content=SECRET * 100)
    refusals = [
        Generate(request="r", messages=(too_long,), sampling=sampling),
        Generate(request="r", messages=(*messages, Message(role="user", content=" "))),
    ]
    for refused in refusals:
        run(session, refused)
    text = log.path().read_text("utf-8")
    assert "loaded" in text
    assert SECRET not in text


def run(session: Session, command: Generate) -> None:
    """As the worker does: whatever is raised is recorded."""
    from engine import error_events

    try:
        list(session.generate(command, lambda: False))
    except Exception as error:  # noqa: BLE001
        error_events.record(error)


@pytest.mark.usefixtures("logging_set_up")
def test_the_file_rotates() -> None:
    logger = logging.getLogger("engine.test")
    for _ in range(log.MAX_BYTES * (log.KEPT_FILES + 2) // 10_000):
        logger.info("x" * 10_000)
    files = sorted(path.name for path in log.path().parent.iterdir())
    assert files == ["engine.log", *(f"engine.log.{n + 1}" for n in range(log.KEPT_FILES))]
    assert all(path.stat().st_size <= log.MAX_BYTES for path in log.path().parent.iterdir())


@pytest.mark.usefixtures("logging_set_up")
def test_lines_of_threads_stay_whole() -> None:
    def write(name: str) -> None:
        for _ in range(200):
            logging.getLogger("engine.test").info(name * 50)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = log.path().read_text("utf-8").splitlines()
    assert len(lines) == 800
    assert {line.split(": ")[1] for line in lines} == {name * 50 for name in "abcd"}


# ---------------------------------------------------------------------------- in a process


PROGRAM = """
import logging, warnings
from engine import log
log.set_up()
logger = logging.getLogger("engine.test")
logger.debug("of no interest")
logger.info("for the file")
logger.warning("for both ä 🔥")
warnings.warn("from a library", stacklevel=1)
logging.getLogger("library").info("of no interest")
print("done")
"""


def process(home: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        check=True,
        capture_output=True,
        encoding="utf-8",
        env={"HEARTH_HOME": str(home), "PYTHONUTF8": "1"},
    )
    assert done.stdout == "done\n"
    assert "Traceback" not in done.stderr
    assert "Logging error" not in done.stderr
    return done


def test_the_file_has_more_than_stderr(tmp_path: Path) -> None:
    said = process(tmp_path).stderr
    text = (tmp_path / "log" / "engine.log").read_text("utf-8")
    for part in ("for both ä 🔥", "from a library"):
        assert part in said
        assert part in text
    assert "for the file" in text
    assert "for the file" not in said
    assert "of no interest" not in said + text


def test_a_folder_that_cannot_be_written_leaves_stderr(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    said = process(tmp_path).stderr
    assert "No log file can be written" in said
    assert "for both" in said


def test_a_file_that_cannot_be_written_leaves_stderr(tmp_path: Path) -> None:
    (tmp_path / "log" / "engine.log").mkdir(parents=True)
    said = process(tmp_path).stderr
    assert "No log file can be written" in said
    assert "for both" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_no_traceback_for_each_line(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "engine.log").symlink_to("/dev/full")
    assert "for both" in process(tmp_path).stderr
