"""Where files are kept, and what is said when they cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from engine import folders
from engine.errors import StorageError

KINDS = (folders.data, folders.cache, folders.config, folders.log)


@pytest.mark.parametrize("kind", KINDS)
def test_hearth_home_holds_every_folder(kind: Callable[[], Path], empty_home: Path) -> None:
    assert kind() == empty_home / kind.__name__
    assert kind().is_dir()


def test_a_relative_hearth_home_does_not_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEARTH_HOME", "stick")
    assert folders.data() == tmp_path / "stick" / "data"


@pytest.mark.parametrize("kind", KINDS)
def test_without_it_the_systems_folders_are_used(
    kind: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEARTH_HOME")
    name = f"user_{kind.__name__}_path"
    asked: list[tuple[str, object]] = []

    def place(app: str, appauthor: object) -> Path:
        asked.append((app, appauthor))
        return tmp_path / kind.__name__

    monkeypatch.setattr(platformdirs, name, place)
    assert kind() == tmp_path / kind.__name__
    assert asked == [("hearth", False)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_in_the_way(kind: Callable[[], Path], empty_home: Path) -> None:
    empty_home.touch()
    with pytest.raises(StorageError, match="cannot be made") as caught:
        kind()
    assert str(empty_home / kind.__name__) in caught.value.detail
    assert "permissions" in caught.value.hint


@pytest.mark.parametrize("rights", [0o500, 0o300, 0o600])
def test_a_folder_that_cannot_be_used(
    rights: int, empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of reading, writing and entering; root may everything, so the answer is given here."""
    folder = folders.data()
    monkeypatch.setattr(
        "os.access", lambda path, mode: path == folder and mode == mode & rights >> 6
    )
    with pytest.raises(StorageError, match="cannot be read and written"):
        folders.data()
