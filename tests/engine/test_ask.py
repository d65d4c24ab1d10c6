"""`hearth ask` as it is used: a process with its own stdout, stderr and exit code."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import LlamaConfig, LlamaForCausalLM

from engine import protocol
from engine.catalog import listing
from tests.engine import tiny
from tests.engine.engine_process import EMBEDDED, ENVIRONMENT, LIMIT

ENGINE = ("-P", "-m", "engine")
FAULTY = ("-P", str(Path(__file__).with_name("ask_faulty_engine.py")))
CAPITAL = "What is the capital of France?"

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")


def command(*arguments: str, engine: tuple[str, ...] = ENGINE) -> list[str]:
    return [sys.executable, *engine, "ask", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, **ENVIRONMENT}


def ask(
    *arguments: str, engine: tuple[str, ...] = ENGINE, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(*arguments, engine=engine),
        env=environment(),
        input=stdin,
        capture_output=True,
        timeout=2 * LIMIT,
        check=False,
    )


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """With the faulty engine, and in a group of its own, as a shell would start it."""
    return subprocess.Popen(
        command(*arguments, engine=FAULTY),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C goes to every process of the group, the engine too."""
    os.killpg(process.pid, signal.SIGINT)


def end(process: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    """Exit code, the rest of stdout, and stderr."""
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out, err.decode()


def is_a_sentence(text: str) -> bool:
    return bool(text) and "Traceback" not in text and 'File "' not in text


@pytest.fixture(scope="module")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with config, safetensors and a tokenizer, but no chat template."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    words = ["<unk>", "</s>", *(f"word{number}" for number in range(62))]
    tokenizer = Tokenizer(WordLevel({word: id_ for id_, word in enumerate(words)}, "<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_a_model_that_fits_no_memory_here_is_refused_before_torch_is_there(tmp_path: Path) -> None:
    huge = tiny.write_huge_gguf(tmp_path / "huge.gguf", 3_000_000_000_000)
    asked = ask("Hi", "--json", "--model", str(huge))
    events = [protocol.decode_event(line) for line in asked.stdout.splitlines()]
    assert asked.returncode == 1
    assert not [event for event in events if isinstance(event, protocol.Device)]
    (error,) = [event for event in events if isinstance(event, protocol.Error)]
    assert error.code == "memory"
    assert error.detail.startswith("The weights of huge take 3,000.0 GB, and this computer has ")
    assert error.detail.endswith(" GB are missing.")


def test_json_is_the_engines_events_and_ends_with_the_statistics() -> None:
    asked = ask(CAPITAL, "--json", "--temperature", "0", "--max-new-tokens", "24")
    assert asked.returncode == 0
    lines = asked.stdout.splitlines(keepends=True)
    events = [protocol.decode_event(line) for line in lines]
    assert isinstance(events[0], protocol.Hello)
    answer = "".join(event.text for event in events if isinstance(event, protocol.Text))
    assert "Paris" in answer
    last: dict[str, Any] = msgspec.json.decode(lines[-1])
    assert last["event"] == "finished"
    assert last["finish_reason"] == "stop"
    assert last["reused_tokens"] == 0
    for name in (
        "prompt_tokens",
        "new_tokens",
        "time_to_first_token_ms",
        "prefill_tokens_per_second",
        "decode_tokens_per_second",
        "peak_memory_bytes",
    ):
        assert last[name] > 0, name
    for phase in ("prefill", "decode"):
        assert last["attention"][phase]["requested"] == "auto"
        for name in ("resolved", "observed", "reason"):
            assert last["attention"][phase][name], (phase, name)


def test_without_json_stdout_is_the_answer_alone() -> None:
    path = listing.find(EMBEDDED).path
    asked = ask("-", "--model", path, "--temperature", "0", stdin=CAPITAL.encode())
    assert (asked.returncode, asked.stdout) == (0, b"The capital of France is Paris.\n")
    assert asked.stderr == b""


def test_folder_of_the_users_answers_in_the_dtype_asked_for(tiny_llama: Path) -> None:
    options = ("--dtype", "float32", "--flash", "off", "--max-new-tokens", "5", "--seed", "1")
    asked = ask("word1 word2", "--json", "--model", str(tiny_llama), *options)
    assert asked.returncode == 0
    events = [protocol.decode_event(line) for line in asked.stdout.splitlines()]
    loaded = next(event for event in events if isinstance(event, protocol.Loaded))
    assert loaded.dtype == "float32"
    assert loaded.model.path == str(tiny_llama)
    assert loaded.notes
    finished = events[-1]
    assert isinstance(finished, protocol.Finished)
    assert finished.new_tokens <= 5
    assert finished.attention is not None
    assert finished.attention.decode.requested == "off"


@pytest.mark.skipif(torch.cuda.is_available(), reason="here flash attention may well be possible")
def test_flash_that_is_impossible_is_an_error_which_says_why() -> None:
    asked = ask(CAPITAL, "--flash", "on")
    assert (asked.returncode, asked.stdout) == (1, b"")
    message = asked.stderr.decode()
    assert "CUDA" in message
    assert "auto or off" in message
    assert is_a_sentence(message)
    assert message.count("\n") == 1


def test_model_that_is_not_there_is_a_sentence() -> None:
    asked = ask(CAPITAL, "--model", "/no/such/model.gguf")
    assert (asked.returncode, asked.stdout) == (1, b"")
    assert "/no/such/model.gguf" in asked.stderr.decode()
    assert is_a_sentence(asked.stderr.decode())


@pytest.mark.parametrize("prompt", ["", " \n "])
def test_empty_prompt_is_a_usage_error(prompt: str) -> None:
    asked = ask(prompt)
    assert (asked.returncode, asked.stdout) == (2, b"")
    assert asked.stderr == b"hearth ask: the prompt is empty: write something\n"


def test_unforeseen_fault_is_a_sentence_and_says_nothing_of_the_prompt() -> None:
    asked = ask("fail", engine=FAULTY)
    assert asked.returncode == 1
    assert asked.stdout == b"x"
    assert is_a_sentence(asked.stderr.decode())
    assert b"secret" not in asked.stderr


def test_engine_that_dies_over_the_answer_is_a_sentence() -> None:
    asked = ask("die", engine=FAULTY)
    assert asked.returncode == 1
    assert b"The engine ended before the answer did." in asked.stderr
    assert is_a_sentence(asked.stderr.decode())


def test_unusable_data_folder_is_told_and_the_answer_comes(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    asked = subprocess.run(
        command("chatter", engine=FAULTY),
        env={**environment(), "HEARTH_HOME": str(occupied)},
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert (asked.returncode, asked.stdout) == (0, b"x\n")
    assert str(occupied) in asked.stderr.decode()
    assert is_a_sentence(asked.stderr.decode())


def test_thinking_is_no_part_of_the_answer() -> None:
    asked = ask("think", engine=FAULTY)
    assert (asked.returncode, asked.stdout) == (0, b"Yes.\n")
    assert asked.stderr == b"generated\n"


def test_json_has_thinking_as_events_of_its_own() -> None:
    asked = ask("think", "--json", engine=FAULTY)
    events = [protocol.decode_event(line) for line in asked.stdout.splitlines()]
    said = [event for event in events if isinstance(event, protocol.Thinking | protocol.Text)]
    assert said == [
        protocol.Thinking(request="ask", text="Hm, so."),
        protocol.Text(request="ask", text="Yes."),
    ]


@posix_only
@pytest.mark.parametrize(
    ("prompt", "answer", "shown"),
    [("think", b"Yes.\n", "Hm, so."), ("think only", b"\n", "Hm"), ("chatter", b"x\n", "")],
)
def test_in_a_terminal_thinking_is_dim_and_stands_before_the_answer(
    prompt: str, answer: bytes, shown: str
) -> None:
    screen, terminal = os.openpty()
    try:
        with subprocess.Popen(
            command(prompt, engine=FAULTY),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=terminal,
        ) as process:
            out, _ = process.communicate(timeout=LIMIT)
        os.write(terminal, b"|")  # so that there is something to read
        seen = os.read(screen, 4096).decode().replace("\r\n", "\n")
    finally:
        os.close(screen)
        os.close(terminal)
    assert out == answer
    dimmed = "".join(re.findall(r"\x1b\[2m(.*?)\x1b\[22m", seen))
    assert dimmed == shown
    assert ("\x1b[22m\n\n" in seen) is bool(shown)


@posix_only
def test_ctrl_c_ends_the_answer() -> None:
    with start("talk") as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"x"
        interrupt(process)
        code, out, err = end(process)
    assert code == 130
    assert out.strip(b"x") == b"\n"
    assert err == "generated\n"


@posix_only
def test_second_ctrl_c_ends_an_engine_that_does_not_stop() -> None:
    with start("talk on") as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"x"
        interrupt(process)
        assert process.stdout.read(20) == b"x" * 20
        interrupt(process)
        code, _, err = end(process)
    assert (code, err) == (130, "")


@posix_only
def test_ctrl_c_ends_a_load() -> None:
    with start("talk", "--model", "slow", "--json") as process:
        assert process.stdout is not None
        while b'"stage":"weights"' not in process.stdout.readline():
            pass
        interrupt(process)
        code, _, err = end(process)
    assert (code, err) == (130, "")


@posix_only
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_reader_that_leaves_early_ends_it_without_a_word(options: tuple[str, ...]) -> None:
    with start("talk on", *options) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.wait(LIMIT) == 1
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_full_disk_under_stdout_is_a_sentence() -> None:
    with Path("/dev/full").open("wb") as full:
        asked = subprocess.run(
            command("talk", engine=FAULTY),
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=LIMIT,
            check=False,
        )
    assert asked.returncode == 1
    assert asked.stderr == b"hearth: No space left on device\n"
