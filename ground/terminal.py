r"""Makes what strangers wrote safe to show on a terminal, which obeys control characters.

A reply, a model's name or a template's refusal may hold sequences that write the clipboard
(OSC 52), set the title, clear the screen, or turn text around. Each character that can begin one
is replaced by its escape (`\x1b`), so that it does not matter where a stream cuts a sequence.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import Final, TextIO, cast

from ground import streams

CONTROLS: Final = (*range(0x20), *range(0x7F, 0xA0))
"""C0, DEL and C1 of ECMA-48."""
OVERRIDES: Final = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Embeddings, overrides and isolates: they show text in another order than it has."""
MARKS: Final = (0x061C, 0x200E, 0x200F)
"""Direction marks. Text of right-to-left scripts needs them; a name does not."""
SEPARATORS: Final = (0x2028, 0x2029)
SURROGATES: Final = range(0xD800, 0xE000)
"""Bytes of a file's name that are not UTF-8. No stream takes them."""


def _spelled(codes: Iterable[int]) -> dict[int, str]:
    return {code: chr(code).encode("unicode_escape").decode("ascii") for code in codes}


_LINE: Final = _spelled((*CONTROLS, *OVERRIDES, *MARKS, *SEPARATORS, *SURROGATES))
_TEXT: Final = {
    code: escape
    for code, escape in _spelled((*CONTROLS, *OVERRIDES, *SURROGATES)).items()
    if chr(code) not in "\n\t"
}
_JSON: Final = {code: f"\\u{code:04x}" for code in (0x7F, *range(0x80, 0xA0), *OVERRIDES)}


def line(text: str) -> str:
    """A name, or a sentence that may quote one: one line, whatever it holds."""
    return text.translate(_LINE)


def paragraphs(text: str) -> str:
    """Text of several lines; line feeds and tabs stay."""
    return text.translate(_TEXT)


def json(text: str) -> str:
    """The same JSON. Controls that JSON lets through stand in strings, where escapes may."""
    return text.translate(_JSON)


class Reply:
    """Streams a reply: visible on a terminal, as it is anywhere else.

    A carriage return would let a line be written over. Before a line feed it belongs to the line's
    end, wherever a piece ends; anywhere else it is spelled.
    """

    def __init__(self, stream: TextIO, before: str = "", after: str = "") -> None:
        """`before` and `after` are put around each piece, as they are; a guard would spell them."""
        self._stream = stream.guarded if isinstance(stream, Guarded) else stream
        self._around = (before, after)
        self._watched = stream.isatty()
        self._held = ""

    def write(self, text: str) -> None:
        """Raises OSError."""
        if self._watched:
            text = self._held + text
            self._held = "\r" if text.endswith("\r") else ""
            text = paragraphs(text.removesuffix("\r").replace("\r\n", "\n"))
        self._put(text)

    def end(self) -> None:
        """Raises OSError."""
        held, self._held = self._held, ""
        self._put(paragraphs(held))

    def _put(self, text: str) -> None:
        if text:
            before, after = self._around
            self._stream.write(f"{before}{text}{after}")
            self._stream.flush()


class Guarded:
    """A text stream on which everything is made safe to show; in all else the stream itself.

    One that cannot be written any more (full, closed, nobody reads) is given up without an error:
    it is where errors are told.
    """

    def __init__(self, stream: TextIO) -> None:
        self.guarded = stream

    def write(self, text: str) -> int:
        try:
            self.guarded.write(paragraphs(text))
            self.guarded.flush()
        except OSError:
            streams.drop(self.guarded)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        """Each write is flushed."""

    def __getattr__(self, name: str) -> object:
        return getattr(self.guarded, name)


@contextlib.contextmanager
def guarded_stderr() -> Iterator[None]:
    """Meanwhile all that goes to `sys.stderr` is safe to show: usage errors, warnings, logs."""
    before = sys.stderr
    sys.stderr = cast("TextIO", Guarded(before))
    try:
        yield
    finally:
        sys.stderr = before
