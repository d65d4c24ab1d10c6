"""Numbers as people read them, in few letters however large."""

from __future__ import annotations

from typing import Final

MOST: Final = 10**18
"""Larger numbers are shown as this one: nothing measured is as large, and an engine may send what
no float can hold."""

_UNITS: Final = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3))
_COUNTS: Final = ((" B", 1e9), (" M", 1e6), (" K", 1e3))


def count(number: float) -> str:
    """1,204."""
    return f"{_bounded(number):,.0f}"


def disk(size: int) -> str:
    """Bytes in decimal units, as disks and downloads count: 98 MB, 16.1 GB."""
    for unit, factor in _UNITS:
        if size >= factor:
            value = _bounded(size) / factor
            return f"{value:.1f} {unit}" if unit in ("GB", "TB") else f"{value:.0f} {unit}"
    return f"{_bounded(size)} bytes"


def gb(size: int) -> str:
    """Bytes of memory in decimal GB, as `disk` and the doctor count; without the unit: 17.9."""
    value = _bounded(size) / 1e9
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def parameters(number: int) -> str:
    """Parameters of a model: 135 M, 8.0 B; empty when unknown."""
    for unit, factor in _COUNTS:
        if number >= factor:
            value = _bounded(number) / factor
            return f"{value:.1f}{unit}" if unit == " B" else f"{value:.0f}{unit}"
    return str(number) if number > 0 else ""


def duration(seconds: float) -> str:
    """12 s, 2 min 5 s."""
    minutes, rest = divmod(round(min(max(0.0, seconds), MOST)), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def progress(done: int, total: int) -> str:
    """45 of 270 MB."""
    unit, factor = next((u for u in _UNITS if total >= u[1]), ("KB", 1e3))
    digits = 1 if unit in ("GB", "TB") else 0
    of = f"{_bounded(total) / factor:.{digits}f} {unit}"
    return f"{_bounded(done) / factor:.{digits}f} of {of}"


def _bounded(number: float) -> float:
    return max(-MOST, min(number, MOST))
