"""No other user of the computer reads what Hearth writes, whatever the umask and what was there."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.store.store import FILE, open_store
from engine import folders, log
from engine.catalog import user_models
from engine.loading.gguf import conversion as gguf_conversion
from engine.loading.gguf import families as gguf_families
from engine.loading.gguf import header as gguf_header
from ground import private
from tests.engine import tiny
from tests.engine.engine_process import ENVIRONMENT, LIMIT, SERVE

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes of files are POSIX's")


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """One that closes nothing."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_to_others(top: Path) -> list[str]:
    return [
        f"{path.relative_to(top)} {mode(path):o}"
        for path in sorted(top.rglob("*"))
        if mode(path) & private.OTHERS and not path.is_symlink()
    ]


def test_a_folder_is_made_private_with_those_above_it(tmp_path: Path) -> None:
    private.make_folder(tmp_path / "a" / "b" / "c")
    assert [mode(tmp_path / part) for part in ("a", "a/b", "a/b/c")] == [0o700] * 3


def test_a_folder_that_exists_is_closed_and_those_above_it_are_not(tmp_path: Path) -> None:
    (tmp_path / "shared" / "own").mkdir(parents=True)
    private.make_folder(tmp_path / "shared" / "own")
    assert (mode(tmp_path / "shared"), mode(tmp_path / "shared/own")) == (0o777, 0o700)


def test_closing_keeps_what_the_owner_may(tmp_path: Path) -> None:
    for name, before, after in (("r", 0o444, 0o400), ("x", 0o755, 0o700), ("own", 0o200, 0o200)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(before)
        private.close(tmp_path / name)
        assert mode(tmp_path / name) == after


def test_nothing_is_closed_through_a_link(tmp_path: Path) -> None:
    elsewhere, home = tmp_path / "elsewhere", tmp_path / "home"
    (elsewhere / "below").mkdir(parents=True)
    (elsewhere / "file").touch()
    home.mkdir()
    (home / "folder").symlink_to(elsewhere)
    (home / "file").symlink_to(elsewhere / "file")
    (home / "nowhere").symlink_to(tmp_path / "missing")
    private.close_tree(home)
    private.close_tree(home / "folder")
    private.make_folder(home / "folder")
    private.make_file(home / "file")
    assert mode(home) == 0o700
    assert (mode(elsewhere), mode(elsewhere / "below")) == (0o777, 0o777)
    assert mode(elsewhere / "file") == 0o666


def test_what_cannot_be_closed_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another owner's, or on a FAT disk; root may everything, so the answer is given here."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    (tmp_path / "file").touch()
    monkeypatch.setattr(Path, "chmod", refused)
    private.close_tree(tmp_path)
    private.make_folder(tmp_path)
    assert mode(tmp_path / "file") == 0o666


def test_chats_are_private_in_a_program_of_any_umask(tmp_path: Path) -> None:
    store, problem = open_store(tmp_path / "home" / "data")
    with closing(store):
        store.add_prompt(store.add_conversation("A title"), "A prompt")
        assert problem == ""
        assert len(list((tmp_path / "home/data").iterdir())) == 4, "the file, two beside it, a lock"
        assert open_to_others(tmp_path) == []


def test_chats_that_were_open_to_others_are_closed(tmp_path: Path) -> None:
    names = [f"{FILE}{end}" for end in ("", "-wal", "-shm", ".backup")]
    store, _ = open_store(tmp_path)
    with closing(store):
        (tmp_path / f"{FILE}.backup").touch()
        (tmp_path / "of-somebody-else").touch()
        for name in names:
            (tmp_path / name).chmod(0o666)
        tmp_path.chmod(0o755)
        later, _ = open_store(tmp_path)
        with closing(later):
            assert [mode(tmp_path / name) for name in names] == [0o600] * 4
            assert mode(tmp_path) == 0o700
            assert mode(tmp_path / "of-somebody-else") == 0o666


def test_the_list_of_models_and_conversions_are_private(empty_home: Path, tmp_path: Path) -> None:
    model = tiny.write_gguf(tmp_path / "tiny.gguf", tiny.model("llama"))
    user_models.add(model)
    header = gguf_header.read(model)
    gguf_conversion.converted(header, gguf_families.of(header), lambda: None)
    assert len(list(empty_home.rglob("*"))) > 5
    assert open_to_others(empty_home) == []


def test_logs_are_private_also_after_they_rotate(empty_home: Path) -> None:
    with closing(log._file()) as handler:
        handler.doRollover()  # type: ignore[attr-defined]
        names = sorted(path.name for path in folders.log().iterdir())
    assert names == ["engine.log", "engine.log.1"]
    assert open_to_others(empty_home) == []


def test_an_engine_closes_what_was_open_and_leaves_the_users_models(empty_home: Path) -> None:
    before = ("data/hearth.sqlite3", "log/engine.log.2", "cache/gguf/x/config.json", "config/a")
    model = empty_home / "data" / "models" / "shared" / "model.gguf"
    for path in (*(empty_home / name for name in before), model):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    subprocess.run(
        [sys.executable, *SERVE],
        env={**os.environ, **ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=LIMIT,
    )
    assert open_to_others(empty_home) == [
        "data/models/shared 777",
        "data/models/shared/model.gguf 666",
    ]
    assert mode(empty_home) == 0o777, "it may hold more than what is Hearth's"
