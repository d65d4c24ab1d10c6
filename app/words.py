"""Texts in the language that is chosen, each of which can be made again in another one. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Self

LARGEST: Final = 2**31 - 1
"""Of the counts that Qt knows a plural form for."""

Lookup = Callable[[str, str, str, int], str | None]
"""Context, source text, comment and count (-1 for none) to a text, if there is one."""


class Words(str):
    """A text in the language of the time at which it was made; `now` makes it again.

    It is a str, so that whatever takes texts takes it. What cuts or changes it gets a plain str,
    which stays in its language.
    """

    __slots__ = ("_make",)
    _make: Callable[[], str]

    def __new__(cls, make: Callable[[], str]) -> Self:
        made = super().__new__(cls, make())
        made._make = make
        return made

    def again(self) -> Words:
        return Words(self._make)

    def format(self, *args: object, **kwargs: object) -> Words:
        """As `str.format`; parts that are Words are made again too."""
        return Words(
            lambda: str.format(
                str(now(self)),
                *(_now(part) for part in args),
                **{name: _now(part) for name, part in kwargs.items()},
            )
        )


class Text(Words):
    """A text of the program's own."""

    __slots__ = ("_key",)
    _key: tuple[str, str, str]

    def __new__(cls, context: str, source: str, comment: str, plural: int) -> Self:
        made = super().__new__(cls, lambda: _lookup(context, source, comment, plural) or source)
        made._key = (context, source, comment)
        return made

    def of(self, count: int) -> Words:
        """In the form for this many, which stands for %n."""

        def make() -> str:
            found = _lookup(*self._key, max(0, min(count, LARGEST))) or self._key[1]
            return found.replace("%n", number(count))

        return Words(make)


def translate(context: str, source: str, comment: str = "", plural: int = -1) -> Text:
    """A text of the program; lupdate finds the calls of this name.

    `context` is the module's name, `comment` tells apart what other languages say in two ways. A
    text with plural forms is called as `translate(context, "%n chats", "", 1).of(count)`: lupdate
    sees that it has them by a number that is written there, and reads no other expression.
    """
    return Text(context, source, comment, plural)


def now(text: str) -> str:
    """The text in the language of now."""
    return text.again() if isinstance(text, Words) else text


def joined(between: str, parts: Iterable[str]) -> Words:
    """The parts that are not empty, with `between` between them."""
    kept = [part for part in parts if part]
    return Words(lambda: str(now(between)).join(now(part) for part in kept))


def number(value: float, digits: int = 0) -> str:
    """1,204.5 in English, 1.204,5 in German."""
    group, point = _signs
    return f"{value:,.{digits}f}".translate({ord(","): group, ord("."): point})


def use(lookup: Lookup, signs: tuple[str, str]) -> None:
    """Makes texts by this lookup from now on, numbers with these signs between thousands and
    before decimals."""
    global _lookup, _signs
    _lookup, _signs = lookup, signs


def _source(_context: str, source: str, _comment: str, _count: int) -> str:
    return source


def _now(part: object) -> object:
    return now(part) if isinstance(part, str) else part


ENGLISH: Final = (",", ".")
_lookup: Lookup = _source
_signs: tuple[str, str] = ENGLISH
