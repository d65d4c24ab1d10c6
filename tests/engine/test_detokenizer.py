"""Text comes out whole: characters of several tokens, spaces, stop strings across pieces."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engine.detokenizer import Detokenizer, StopStrings


def decode(ids: Sequence[int]) -> str:
    """A byte-level vocabulary: each id is a byte."""
    return bytes(ids).decode(errors="replace")


def pieces(text: bytes) -> list[str]:
    detokenizer = Detokenizer(decode)
    return [detokenizer.push(byte) for byte in text] + [detokenizer.flush()]


@pytest.mark.parametrize(
    "text", ["plain", "naïve café", "汉字", "👩‍👩‍👧 and 🏳️‍🌈", " leading", "a\n\nb "]
)
def test_pieces_join_to_the_text_and_none_is_broken(text: str) -> None:
    parts = pieces(text.encode())
    assert "".join(parts) == text
    assert not any("\N{REPLACEMENT CHARACTER}" in part for part in parts)


def test_bytes_that_are_no_text_come_out_at_last() -> None:
    parts = pieces(b"ok \xff\xfe\xfd\xfc and on")
    assert "".join(parts).startswith("ok \N{REPLACEMENT CHARACTER}")
    assert "".join(parts).endswith(" and on")


def test_an_unfinished_character_is_flushed() -> None:
    assert pieces("é".encode()[:1])[-1] == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("cut", range(1, 12))
def test_stop_string_is_found_across_pieces(cut: int) -> None:
    stops = StopStrings(["STOP", "END"])
    text = "one two STOP three"
    out = stops.push(text[:cut]) + stops.push(text[cut:])
    assert stops.found
    assert out == "one two "


def test_what_only_began_a_stop_string_is_not_lost() -> None:
    stops = StopStrings(["STOP"])
    assert stops.push("a ST") == "a "
    assert stops.push("ART") == "START"
    assert stops.push(" S") + stops.flush() == " S"
    assert not stops.found
