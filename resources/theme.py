"""The one table of colour roles. Text on its background has a contrast of at least 4.5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Theme:
    """Colours by role, as #RRGGBB."""

    dark: bool
    background: str
    panel: str
    """Sidebar and status line."""
    surface: str
    raised: str
    """Raised or selected."""
    line: str
    text: str
    muted: str
    accent: str
    on_accent: str
    good: str
    good_back: str
    caution: str
    caution_back: str
    code_back: str
    user: str
    """Behind what the user wrote."""
    selected: str
    """Of a chat in the list; of a button that is pressed."""
    edge: str
    """The rule below the head of a table."""
    outline: str
    """Of the box of a task."""
    thumb: str
    """Of scroll bars; the bar beside a quotation."""
    keyword: str
    string: str
    function: str
    comment: str
    """Of code."""
    tint: str
    """Behind the option that is chosen."""
    hit: str
    hit_now: str
    """Behind what was found, and behind the present one of several."""
    memory_cache: str
    memory_workspace: str
    memory_others: str
    """Parts of a bar of memory, or of a context."""


LIGHT: Final = Theme(
    dark=False,
    background="#FBF9F6",
    panel="#F4F0EA",
    surface="#FFFFFF",
    raised="#EFEAE2",
    line="#E3DCD1",
    text="#25211D",
    muted="#6E655B",
    accent="#C24A1F",
    on_accent="#FFFFFF",
    good="#256B46",
    good_back="#E2F1E8",
    caution="#8A5A0B",
    caution_back="#FBEFD6",
    code_back="#F6F2EC",
    user="#F1E6DC",
    selected="#E5DCCF",
    edge="#C4B6A2",
    outline="#9C8D79",
    thumb="#DCD2C4",
    keyword="#9A3412",
    string="#256B46",
    function="#1D4E89",
    comment="#746B61",
    tint="#FAEDE5",
    hit="#FBE2A0",
    hit_now="#F3B562",
    memory_cache="#DA8D60",
    memory_workspace="#B9A58D",
    memory_others="#7C7268",
)

DARK: Final = Theme(
    dark=True,
    background="#1A1816",
    panel="#151311",
    surface="#221F1C",
    raised="#2C2824",
    line="#38332E",
    text="#EDE7DF",
    muted="#A89E92",
    accent="#F08A5D",
    on_accent="#1A1816",
    good="#6BD09B",
    good_back="#1E3529",
    caution="#E7B75B",
    caution_back="#3A2E17",
    code_back="#211E1B",
    user="#33291F",
    selected="#352F2A",
    edge="#5C534B",
    outline="#756B60",
    thumb="#413B35",
    keyword="#F5A97F",
    string="#8FD6A8",
    function="#8CB8F0",
    comment="#8F867B",
    tint="#2F221B",
    hit="#5C4718",
    hit_now="#7D561A",
    memory_cache="#F0A981",
    memory_workspace="#94836F",
    memory_others="#635A51",
)

LIGHT_CONTRAST: Final = Theme(
    dark=False,
    background="#FFFFFF",
    panel="#FFFFFF",
    surface="#FFFFFF",
    raised="#E6E6E6",
    line="#4A4A4A",
    text="#000000",
    muted="#2E2E2E",
    accent="#8F2A06",
    on_accent="#FFFFFF",
    good="#0B4A28",
    good_back="#FFFFFF",
    caution="#5C3A00",
    caution_back="#FFFFFF",
    code_back="#FFFFFF",
    user="#EDEDED",
    selected="#D6D6D6",
    edge="#000000",
    outline="#000000",
    thumb="#4A4A4A",
    keyword="#7A2408",
    string="#0B4A28",
    function="#0B2F66",
    comment="#2E2E2E",
    tint="#FFFFFF",
    hit="#FFE066",
    hit_now="#FFB300",
    memory_cache="#B8501F",
    memory_workspace="#6B5A40",
    memory_others="#3A3A3A",
)

DARK_CONTRAST: Final = Theme(
    dark=True,
    background="#000000",
    panel="#000000",
    surface="#000000",
    raised="#2B2B2B",
    line="#B8B8B8",
    text="#FFFFFF",
    muted="#DADADA",
    accent="#FFB08A",
    on_accent="#000000",
    good="#8DF0B8",
    good_back="#000000",
    caution="#FFD27A",
    caution_back="#000000",
    code_back="#000000",
    user="#1F1F1F",
    selected="#3A3A3A",
    edge="#FFFFFF",
    outline="#FFFFFF",
    thumb="#B8B8B8",
    keyword="#FFC49C",
    string="#A5F0C0",
    function="#A8D0FF",
    comment="#DADADA",
    tint="#000000",
    hit="#5C4700",
    hit_now="#735000",
    memory_cache="#FFC49C",
    memory_workspace="#D9C7A8",
    memory_others="#B8B8B8",
)


def theme(*, dark: bool, high_contrast: bool) -> Theme:
    return {
        (False, False): LIGHT,
        (True, False): DARK,
        (False, True): LIGHT_CONTRAST,
        (True, True): DARK_CONTRAST,
    }[dark, high_contrast]
