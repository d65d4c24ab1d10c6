"""Numbers as people read them, in few letters however large."""

from __future__ import annotations

from typing import Final

from app import words
from app.words import Words, joined, translate

MOST: Final = 10**18
"""Larger numbers are shown as this one: nothing measured is as large, and an engine may send what
no float can hold."""

_UNITS: Final = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3))
_COUNTS: Final = (("B", 1e9), ("M", 1e6), ("K", 1e3))


def count(number: float) -> Words:
    """1,204."""
    return Words(lambda: words.number(_bounded(number)))


def rate(number: float) -> Words:
    """Tokens/s, with a decimal where there are few: 8.3, 124."""
    return Words(lambda: words.number(_bounded(number), 1 if number < 10 else 0))


def disk(size: int) -> Words:
    """Bytes in decimal units, as disks and downloads count: 98 MB, 16.1 GB."""
    for unit, factor in _UNITS:
        if size >= factor:
            return joined(" ", (_scaled(size, unit, factor), unit))
    return translate("NumberFormat", "%n bytes", "", 1).of(int(_bounded(size)))


def gb(size: int) -> Words:
    """Bytes of memory in decimal GB, as `disk` and the doctor count; without the unit: 17.9."""
    value = _bounded(size) / 1e9
    return Words(lambda: words.number(value, 0 if value >= 100 else 1))


def parameters(number: int) -> str:
    """Parameters of a model: 135 M, 8.0 B; empty when unknown."""
    for unit, factor in _COUNTS:
        if number >= factor:
            value, digits = _bounded(number) / factor, 1 if unit == "B" else 0
            return joined(" ", (_fixed(value, digits), unit))
    return str(number) if number > 0 else ""


def duration(seconds: float) -> Words:
    """12 s, 2 min 5 s."""
    minutes, rest = divmod(round(min(max(0.0, seconds), MOST)), 60)
    return joined(" ", (f"{minutes} min" if minutes else "", f"{rest} s"))


def progress(done: int, total: int) -> Words:
    """45 of 270 MB."""
    unit, factor = next((u for u in _UNITS if total >= u[1]), ("KB", 1e3))
    return translate("NumberFormat", "{done} of {total} {unit}").format(
        done=_scaled(done, unit, factor), total=_scaled(total, unit, factor), unit=unit
    )


def _fixed(value: float, digits: int) -> Words:
    return Words(lambda: words.number(value, digits))


def _scaled(size: int, unit: str, factor: float) -> Words:
    return _fixed(_bounded(size) / factor, 1 if unit in ("GB", "TB") else 0)


def _bounded(number: float) -> float:
    return max(-MOST, min(number, MOST))
