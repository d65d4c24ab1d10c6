"""Colours code in a process of its own: `python -m app.chat.colour_child`.

Lexers are regular expressions, which take as long as a text makes them, and hold the interpreter
meanwhile. Each line of the input is a request, each of the output its answer; the process ends with
its input, or when a text takes longer than SECONDS.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Final

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Generic, Keyword, Name, Operator, String, Token
from pygments.util import ClassNotFound

from app.chat.child_limits import limit_memory, limit_seconds

SECONDS: Final = 2.0
"""For one text."""

MEMORY: Final = 1 << 30
"""Bytes."""

ROLES: Final = (
    (Comment, "c"),
    (Keyword, "k"),
    (Operator.Word, "k"),
    (String, "s"),
    (Name.Function, "f"),
    (Name.Class, "f"),
    (Name.Builtin, "f"),
    (Name.Decorator, "f"),
    (Name.Attribute, "f"),
    (Name.Tag, "k"),
    (Generic.Inserted, "s"),
    (Generic.Deleted, "k"),
    (Generic.Heading, "f"),
    (Generic.Subheading, "f"),
    (Generic.Prompt, "c"),
)
"""Kinds of tokens, and the letters of the roles in which they are drawn; the rest is text."""


def spans_of(language: str, text: str) -> list[tuple[int, int, str]]:
    """Start, length and role of what is coloured, in order; none for a language that is unknown."""
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return []
    return list(_joined(lexer, text))


def _joined(lexer: Lexer, text: str) -> Iterator[tuple[int, int, str]]:
    """Spans of one role that follow one another as one."""
    start = stop = 0
    role = ""
    for at, kind, value in lexer.get_tokens_unprocessed(text):
        found = _role_of(kind)
        if found == role and at == stop:
            stop = at + len(value)
            continue
        if role and stop > start:
            yield start, stop - start, role
        start, stop, role = at, at + len(value), found
    if role and stop > start:
        yield start, stop - start, role


def _role_of(kind: type[Token]) -> str:
    return next((role for parent, role in ROLES if kind in parent), "")


def main() -> None:
    limit_memory(MEMORY)
    for line in sys.stdin:
        number, language, text = json.loads(line)
        limit_seconds(SECONDS)
        answer = json.dumps([number, spans_of(language, text)])
        limit_seconds(0)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
