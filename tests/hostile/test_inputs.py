"""A hostile input can be made again from its number."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.hostile import bases, inputs
from tests.hostile.bases import Bases

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="makes pipes, links and holes")
EACH = 3
"""Inputs of each kind that are made."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    folder = tmp_path_factory.mktemp("bases")
    bases.write(folder)
    return bases.read(folder)


def files_of(folder: Path) -> dict[str, bytes]:
    """The first megabyte of each, as some have a hole of gigabytes."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            found[str(path.relative_to(folder))] = str(path.lstat().st_mode).encode()
        else:
            with path.open("rb") as file:
                found[str(path.relative_to(folder))] = file.read(1 << 20)
    return found


def test_the_same_number_makes_the_same_input(made: Bases, tmp_path: Path) -> None:
    numbers = [
        inputs.ORDER.index(kind) + len(inputs.ORDER) * at
        for kind in inputs.KINDS
        for at in range(EACH)
    ]
    for number in numbers:
        first, second = tmp_path / f"{number}", tmp_path / f"{number} again"
        one, other = inputs.make(number, made, first), inputs.make(number, made, second)
        assert files_of(first) == files_of(second), number
        assert one.messages == other.messages
        assert one.stop_after == other.stop_after
        assert one.path.relative_to(first) == other.path.relative_to(second)


def test_a_hundred_numbers_have_every_kind_by_its_share() -> None:
    kinds = Counter(inputs.kind_of(number) for number in range(4_700, 4_800))
    assert kinds == {kind: row.share for kind, row in inputs.KINDS.items()}
