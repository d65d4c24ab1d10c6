"""From a conversation to the tokens that the model was trained to read."""

from __future__ import annotations

import atexit
import contextlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import HearthError, PromptError
from engine.loading.checkpoint import Checkpoint

TIME_LIMIT: Final = 2.0
"""Seconds for one rendering; ordinary ones take a millisecond."""
START_LIMIT: Final = 30.0
"""Seconds for the process to start, on a slow disk."""
NO_WINDOW: Final = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""Or Windows would open a console: the engine has none of its own."""
PLAIN: Final = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}\n\n"
    "{% else %}{{ m.role | capitalize }}: {{ m.content }}\n{% endif %}{% endfor %}Assistant:"
)
"""For models without a template."""
PRIVATE_USE: Final = range(0xF0000, 0xFFFFE)
"""Code points that stand for control tokens in a user's text while the template runs."""

Messages = Sequence[tuple[str, str]]
"""(role, content) of each message."""


class TemplateError(Exception):
    """The template refused these messages, or did not end."""


def encode_chat(checkpoint: Checkpoint, messages: Messages) -> list[int]:
    """Token ids of the conversation, up to where the reply begins.

    Control tokens count only where the template wrote them; the same letters in a message are
    ordinary text. Raises PromptError when the template refuses the conversation, or writes what
    the model cannot read.
    """
    control = checkpoint.control_tokens
    pattern = _any_of(control)
    masked, originals = _mask(messages, pattern)
    text = _render(checkpoint, masked)
    ids: list[int] = []
    for part in pattern.split(text):
        if part in control:
            ids.append(control[part])
        elif part:
            ids += _plain_ids(checkpoint.tokenizer, _unmask(part, originals))
    if not ids or max(ids) >= checkpoint.config.vocab_size:
        raise PromptError(
            "The model's chat template makes nothing of this conversation that the model can read.",
            "Choose another model.",
        )
    return ids


def fold_system(messages: Messages) -> list[tuple[str, str]]:
    """The system message's text at the head of the first message of the user."""
    system = "\n\n".join(content for role, content in messages if role == "system")
    rest = [message for message in messages if message[0] != "system"]
    if system and rest and rest[0][0] == "user":
        rest[0] = ("user", f"{system}\n\n{rest[0][1]}")
    return rest


def render(template: str, messages: Messages, variables: dict[str, str]) -> str:
    """Runs the template in the child process; raises TemplateError."""
    request = {
        "template": template,
        "messages": [{"role": role, "content": content} for role, content in messages],
        "variables": variables,
    }
    return _renderer.render(request)


def _render(checkpoint: Checkpoint, messages: Messages) -> str:
    tokenizer = checkpoint.tokenizer
    variables = {
        name: getattr(tokenizer, name) or "" for name in ("bos_token", "eos_token", "unk_token")
    }
    template = checkpoint.chat_template or PLAIN
    try:
        return render(template, messages, variables)
    except TemplateError as error:
        folded = fold_system(messages)
        if folded == list(messages):
            raise _refused(error) from error
    try:
        return render(template, folded, variables)
    except TemplateError as error:
        raise _refused(error) from error


def _refused(error: TemplateError) -> PromptError:
    return PromptError(
        f"The model's chat template refuses this conversation: {error}.",
        "Start a new conversation, or choose another model.",
    )


def _any_of(control: Any) -> re.Pattern[str]:
    """Matches any control token, the longest first; the group keeps it when splitting."""
    longest_first = sorted(control, key=len, reverse=True)
    return re.compile("(" + ("|".join(map(re.escape, longest_first)) or r"(?!)") + ")")


def _mask(
    messages: Messages, pattern: re.Pattern[str]
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Messages with a private character for each control token, and what those stand for."""
    used = set().union(*(content for _, content in messages))
    free = (chr(code) for code in PRIVATE_USE if chr(code) not in used)
    masks: dict[str, str] = {}

    def mask(match: re.Match[str]) -> str:
        if match[0] not in masks:
            masks[match[0]] = next(free)
        return masks[match[0]]

    masked = [(role, pattern.sub(mask, content)) for role, content in messages]
    return masked, {character: token for token, character in masks.items()}


def _unmask(text: str, originals: dict[str, str]) -> str:
    for character, token in originals.items():
        text = text.replace(character, token)
    return text


def _plain_ids(tokenizer: Any, text: str) -> list[int]:
    backend = tokenizer.backend_tokenizer
    backend.encode_special_tokens = True
    try:
        return list(backend.encode(text, add_special_tokens=False).ids)
    finally:
        backend.encode_special_tokens = False


class _Renderer:
    """One long-lived child, started when first needed and again after one was killed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def render(self, request: dict[str, Any]) -> str:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = self._started()
        answer = self._ask(self._process, request, TIME_LIMIT)
        if "error" in answer:
            raise TemplateError(answer["error"].rstrip("."))
        return answer["text"]

    def close(self) -> None:
        if self._process is not None:
            self._end(self._process)
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        program = Path(__file__).with_name("template_child.py")
        process = subprocess.Popen(
            [sys.executable, "-P", str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            creationflags=NO_WINDOW,
        )
        empty = {"template": "", "messages": [], "variables": {}}
        try:
            self._ask(process, empty, START_LIMIT)
        except TemplateError as error:
            raise HearthError("The process that renders chat templates does not start.") from error
        return process

    def _ask(
        self, process: subprocess.Popen[bytes], request: dict[str, Any], limit: float
    ) -> dict[str, str]:
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            process.kill()

        timer = threading.Timer(limit, expire)
        timer.start()
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:  # a broken pipe has another number on Windows
            line = b""
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            self._end(process)
            late = f"it did not end within {limit:g} seconds"
            raise TemplateError(late if expired.is_set() else "it ended its process")
        answer: dict[str, str] = json.loads(line)
        return answer

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()


_renderer = _Renderer()
atexit.register(_renderer.close)
