"""What the window is drawn with: colours, style sheet, icons and texts. Knows nothing of Qt."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent


def icon_source(name: str) -> str:
    """The SVG text of an icon; `currentColor` in it is for the caller to replace."""
    return (FOLDER / "icons" / f"{name}.svg").read_text(encoding="utf-8")


def style_source() -> str:
    """The style sheet, with `$role` where a colour or a size goes."""
    return (FOLDER / "style.qss").read_text(encoding="utf-8")


def translation(language: str) -> Path:
    """The compiled texts of a language; English has plural forms alone."""
    return FOLDER / "translations" / f"hearth_{language}.qm"
