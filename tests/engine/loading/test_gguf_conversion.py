"""Conversions are made once, never used by half, and made again when anything is wrong."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine import folders
from engine.errors import StorageError
from engine.loading.gguf import conversion as gguf_conversion
from engine.loading.gguf import families as gguf_families
from engine.loading.gguf import header as gguf_header
from engine.loading.gguf.conversion import CONFIG, TOKENIZER, Conversion
from engine.loading.kept_conversions import KEPT, MAKING, MARKER
from ground import private
from tests.engine import tiny

pytestmark = pytest.mark.usefixtures("empty_home")
DAY = 86_400


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tiny.write_gguf(tmp_path / "tiny.gguf", tiny.model("llama"))


class Makings:
    """Converts, and counts how often something had to be made."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, file: Path) -> Conversion:
        header = gguf_header.read(file)
        return gguf_conversion.converted(header, gguf_families.of(header), self._begin)

    def _begin(self) -> None:
        self.count += 1


def kept() -> list[Path]:
    return sorted((folders.cache() / "gguf").iterdir())


def test_made_once_and_read_the_second_time(file: Path) -> None:
    converted = Makings()
    first = converted(file)
    second = converted(file)
    assert converted.count == 1
    assert first == second
    assert first.config["num_hidden_layers"] == 6
    assert first.tokenizer_config["chat_template"] == tiny.TEMPLATE
    assert json.loads(first.tokenizer_file.read_text("utf-8"))["model"]["type"] == "BPE"


@pytest.mark.parametrize("begins", [True, False])
def test_whether_texts_begin_with_bos_is_kept(begins: bool, tmp_path: Path) -> None:
    def change(writer: Any) -> None:
        writer.kv_data[0]["tokenizer.ggml.add_bos_token"].value = begins

    file = tiny.write_gguf(tmp_path / "tiny.gguf", tiny.model("llama"), change)
    kept = Makings()(file).tokenizer_config["begin_token_id"]
    assert kept == (tiny.SIZES["bos_token_id"] if begins else None)


def test_nothing_but_the_conversion_is_left(file: Path) -> None:
    Makings()(file)
    assert len(kept()) == 1
    user = f"used-by-{os.getpid()}"
    assert {path.name for path in kept()[0].iterdir()} == {*gguf_conversion.FILES, MARKER, user}


def test_half_a_conversion_is_made_again(file: Path) -> None:
    converted = Makings()
    converted(file)
    (kept()[0] / MARKER).unlink()
    (kept()[0] / CONFIG).write_text("{}")
    assert converted(file).config["num_hidden_layers"] == 6
    assert converted.count == 2
    assert (kept()[0] / MARKER).exists()


def damage_none(folder: Path) -> None:
    (folder / TOKENIZER).unlink()


def damage_empty(folder: Path) -> None:
    (folder / TOKENIZER).write_bytes(b"")


def damage_zeros(folder: Path) -> None:
    """What a file system may leave after the power failed: right size, no content."""
    (folder / TOKENIZER).write_bytes(bytes((folder / TOKENIZER).stat().st_size))


def damage_cut(folder: Path) -> None:
    os.truncate(folder / CONFIG, 20)


def damage_other(folder: Path) -> None:
    """Valid JSON, of another model."""
    tiny.edit_json(folder / CONFIG, num_hidden_layers=7)


def damage_folder(folder: Path) -> None:
    (folder / CONFIG).unlink()
    (folder / CONFIG).mkdir()


DAMAGES = (damage_none, damage_empty, damage_zeros, damage_cut, damage_other, damage_folder)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__[7:])
def test_a_damaged_conversion_is_made_again(damage: object, file: Path) -> None:
    converted = Makings()
    whole = converted(file)
    content = whole.tokenizer_file.read_bytes()
    assert callable(damage)
    damage(kept()[0])
    again = converted(file)
    assert converted.count == 2
    assert again.config == whole.config
    assert again.tokenizer_file.read_bytes() == content


def test_the_marker_is_written_last(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended at any of the writes before, nothing is there that would be used."""
    writes: list[str] = []
    real = private.write

    def write(path: Path, content: bytes) -> None:
        writes.append(path.name)
        real(path, content)

    monkeypatch.setattr(private, "write", write)
    Makings()(file)
    assert writes[-1] == MARKER
    assert set(writes[:-1]) == set(gguf_conversion.FILES)


@pytest.mark.parametrize("change", ["size", "time"])
def test_another_file_at_the_same_path_is_converted_anew(change: str, file: Path) -> None:
    converted = Makings()
    converted(file)
    status = file.stat()
    if change == "size":
        with file.open("ab") as end:
            end.write(bytes(32))
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    converted(file)
    assert converted.count == 2


@pytest.mark.parametrize("before", ["nothing", "damaged"])
def test_all_who_convert_a_file_at_once_get_it(before: str, file: Path) -> None:
    """Threads stand for processes: they meet in the same folder, by the same calls."""
    at_once, rounds = 8, 4
    converted = Makings()
    for _ in range(rounds):
        if before == "damaged" and converted.count:
            damage_cut(kept()[0])
        else:
            shutil.rmtree(folders.cache() / "gguf", ignore_errors=True)
        begin = threading.Barrier(at_once)

        def load(begin: threading.Barrier = begin) -> tuple[Conversion, bytes]:
            begin.wait()
            made = converted(file)
            return made, made.tokenizer_file.read_bytes()

        with ThreadPoolExecutor(at_once) as pool:
            loads = [pool.submit(load) for _ in range(at_once)]
        assert len({content for _, content in [load.result() for load in loads]}) == 1
        assert len(kept()) == 1


def test_what_another_process_puts_there_meanwhile_is_taken(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    whole = Makings()(file)
    target = kept()[0]
    target.rename(other)
    files: list[int] = []

    def another_process() -> None:
        shutil.copytree(other, target)
        files.extend(sorted(path.stat().st_ino for path in target.iterdir()))

    header = gguf_header.read(file)
    assert gguf_conversion.converted(header, gguf_families.of(header), another_process) == whole
    assert files == sorted(path.stat().st_ino for path in target.iterdir())


def test_only_the_latest_used_are_kept(file: Path) -> None:
    converted = Makings()
    oldest = converted(file)
    marker = oldest.tokenizer_file.parent / MARKER
    os.utime(marker, (1, 1))
    for number in range(KEPT):
        other = file.with_name(f"{number}.gguf")
        shutil.copy(file, other)
        converted(other)
    assert len(kept()) == KEPT
    assert not oldest.tokenizer_file.exists()


@pytest.mark.parametrize("runs", [True, False])
def test_a_conversion_that_a_running_process_uses_is_kept(runs: bool, file: Path) -> None:
    converted = Makings()
    used = converted(file).tokenizer_file
    process = os.getppid() if runs else ended_process()
    (used.parent / f"used-by-{process}").touch()
    os.utime(used.parent / MARKER, (1, 1))
    for number in range(KEPT):
        other = file.with_name(f"{number}.gguf")
        shutil.copy(file, other)
        converted(other)
    assert used.exists() == runs


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_process_that_has_ended_is_no_longer_named(file: Path) -> None:
    converted = Makings()
    left = converted(file).tokenizer_file.with_name(f"used-by-{ended_process()}")
    left.touch()
    converted(file)
    assert not left.exists()


def test_what_an_ended_process_left_is_removed(file: Path) -> None:
    parent = folders.cache() / "gguf"
    abandoned, running = parent / f"{MAKING}old", parent / f"{MAKING}new"
    for folder in (abandoned, running):
        folder.mkdir(parents=True)
        (folder / TOKENIZER).write_bytes(b"half")
    os.utime(abandoned, (DAY, DAY))
    Makings()(file)
    assert not abandoned.exists()
    assert running.exists()


# ---------------------------------------------------------------------------- no room, no access


def test_a_full_disk_says_so_and_keeps_nothing(file: Path, full_disk: Path) -> None:
    with pytest.raises(StorageError, match="no room left") as caught:
        Makings()(file)
    assert "Free some space" in caught.value.hint
    assert str(full_disk) in caught.value.detail
    assert kept() == []
    assert not [path for path in full_disk.rglob("*") if path.is_file()]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_at_the_last_write(
    number: int, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = private.write

    def full(path: Path, content: bytes) -> None:
        if path.name == MARKER:
            raise OSError(number, os.strerror(number))
        real(path, content)

    monkeypatch.setattr(private, "write", full)
    with pytest.raises(StorageError, match="no room left"):
        Makings()(file)
    assert kept() == []


def test_once_there_is_room_it_is_made(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converted = Makings()
    with monkeypatch.context() as patch:
        patch.setattr(private, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(StorageError):
            converted(file)
    assert converted(file).config["num_hidden_layers"] == 6


@pytest.mark.parametrize("place", ["", "cache", "cache/gguf"])
def test_a_file_where_the_folder_should_be(place: str, file: Path, empty_home: Path) -> None:
    blocked = empty_home / place
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.touch()
    with pytest.raises(StorageError, match="cannot be") as caught:
        Makings()(file)
    assert str(blocked) in caught.value.detail
    assert blocked.is_file()
