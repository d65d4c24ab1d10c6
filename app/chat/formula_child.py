"""Draws formulas in a process of its own: `python -m app.chat.formula_child`.

ziamath takes 5 to 50 ms for one that people write, and as long as it likes for others; it holds the
interpreter meanwhile. The process ends with its input, or when a formula takes longer than SECONDS.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from typing import Any, Final

from app.chat.child_limits import limit_memory, limit_seconds

SECONDS: Final = 1.0
"""For one formula."""

MEMORY: Final = 1 << 29
"""Bytes."""

LETTER: Final = 100
"""Px of the letters with which formulas are drawn here; the window scales them."""

_BOX: Final = re.compile(r'viewBox="([^"]*)"')

LONGEST_SVG: Final = 400_000
"""Characters."""


def drawn(source: str, display: bool) -> dict[str, Any] | None:
    """A formula as SVG, and how far it reaches from the origin of its base line: `width`, `ascent`
    and `descent` in the size of its letters. None if it is no formula that can be drawn."""
    # Imported here, after the warnings of its imports were turned off.
    from ziafont.config import config as fonts
    from ziamath.config import config as formulas
    from ziamath.zmath import Math

    formulas.svg2 = fonts.svg2 = False  # shapes alone, which Qt draws
    try:
        made = Math.fromlatex(source, size=LETTER, inline=not display, margin=0)
        svg = made.svg()
    except Exception:  # noqa: BLE001 - each of three libraries has errors of its own
        return None
    box = _BOX.search(svg)
    left, top, width, height = map(float, box[1].split()) if box else (0.0,) * 4
    if len(svg) > LONGEST_SVG or not (width > 0 and height > 0):
        return None
    return {
        "svg": svg,
        "width": (width + min(left, 0)) / LETTER,
        "ascent": -top / LETTER,
        "descent": (height + top) / LETTER,
    }


def main() -> None:
    limit_memory(MEMORY)
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        number, source, display = json.loads(line)
        limit_seconds(SECONDS)
        answer = json.dumps([number, drawn(source, display)])
        limit_seconds(0)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
