"""Every format, by ggml's name."""

from __future__ import annotations

from typing import Final

from engine.formats import k, legacy, tables
from engine.formats.format import Format

FORMATS: Final[dict[str, Format]] = {
    one.name: one for one in (*legacy.FORMATS, *k.FORMATS, *tables.FORMATS)
}
