"""The one place that makes a stranger's words safe to show: a model's name, a title, an error."""

from __future__ import annotations

import unicodedata
from typing import Final

MOST: Final = 300
"""Characters of a name or title that are shown."""

_UNSEEN: Final = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that are not drawn: controls, half surrogate pairs, unassigned ones."""

_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows, also of our own words."""


def one_line(words: str, most: int = MOST) -> str:
    """Words for a place of one line: no ends of lines, nothing unseen, and not without end."""
    shown = " ".join(words[: 4 * most].split())
    cut = len(words) > 4 * most or len(shown) > most
    return "".join(map(_seen, shown[:most])) + ("…" if cut else "")


def _seen(letter: str) -> str:
    if letter in _TURNING:
        return ""
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(letter) in _UNSEEN else letter
