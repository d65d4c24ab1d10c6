"""Numbers as people read them."""

from __future__ import annotations

from typing import Final

_UNITS: Final = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3))
_COUNTS: Final = ((" B", 1e9), (" M", 1e6), (" K", 1e3))


def disk(size: int) -> str:
    """Bytes in decimal units, as disks and downloads count: 98 MB, 16.1 GB."""
    for unit, factor in _UNITS:
        if size >= factor:
            value = size / factor
            return f"{value:.1f} {unit}" if unit in ("GB", "TB") else f"{value:.0f} {unit}"
    return f"{size} bytes"


def gb(size: int) -> str:
    """Bytes of memory in decimal GB, as `disk` and the doctor count; without the unit: 17.9."""
    value = size / 1e9
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def parameters(count: int) -> str:
    """Parameters of a model: 135 M, 8.0 B; empty when unknown."""
    for unit, factor in _COUNTS:
        if count >= factor:
            value = count / factor
            return f"{value:.1f}{unit}" if unit == " B" else f"{value:.0f}{unit}"
    return str(count) if count else ""


def duration(seconds: float) -> str:
    """12 s, 2 min 5 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def progress(done: int, total: int) -> str:
    """45 of 270 MB."""
    unit, factor = next((u for u in _UNITS if total >= u[1]), ("KB", 1e3))
    digits = 1 if unit in ("GB", "TB") else 0
    return f"{done / factor:.{digits}f} of {total / factor:.{digits}f} {unit}"
