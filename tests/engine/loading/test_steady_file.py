"""Files that another program cuts or writes to while they are read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.catalog.packaged import PACKAGED
from engine.errors import CheckpointError
from engine.loading import steady_file
from engine.protocol import Error, Load, Loaded, Loading
from tests.engine import tiny
from tests.engine.engine_process import running

BEGINNING = 40_000
"""Bytes in which the header of a tiny model's file lies."""


def cut(path: Path) -> None:
    os.truncate(path, BEGINNING)


def written_to(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-64, os.SEEK_END)
        file.write(bytes(64))
    os.utime(path, ns=(1, 1))  # a clock that is coarse may not have gone on


def put_in_its_place(path: Path) -> None:
    made = path.with_name("made")
    made.write_bytes(path.read_bytes())
    made.replace(path)


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    return tiny.write_gguf(path, tiny.model("llama"))


@pytest.fixture(params=["gguf", "safetensors"])
def model(request: pytest.FixtureRequest, gguf: Path, folder: Path) -> tuple[Path, Path]:
    """What is loaded, and the file with its weights."""
    if request.param == "safetensors":
        return folder, folder / "model.safetensors"
    copy = folder / gguf.name
    copy.write_bytes(gguf.read_bytes())
    return copy, copy


@pytest.mark.parametrize("change", [cut, written_to])
def test_a_file_that_changes_while_its_weights_are_read_is_named(
    change: Callable[[Path], None], model: tuple[Path, Path]
) -> None:
    path, file = model

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "weights" and done < total:
            change(file)

    with pytest.raises(CheckpointError) as caught:
        tiny.load(path, progress=progress)
    assert caught.value.detail == f"{file.name} was changed while it was read."
    assert "no other program writes" in caught.value.hint


@pytest.mark.parametrize("change", [cut, written_to, put_in_its_place])
def test_a_file_that_is_not_the_one_whose_header_was_read_is_named(
    change: Callable[[Path], None], folder: Path
) -> None:
    file = folder / "model.safetensors"
    with steady_file.opened(file) as before:
        version = before.version
    change(file)
    with (
        pytest.raises(CheckpointError, match="was changed while it was read"),
        steady_file.opened(file, version),
    ):
        pass


def test_the_engine_goes_on_when_a_file_is_cut_while_it_is_read(
    folder: Path, tmp_path: Path
) -> None:
    """A page that a mapped file no longer has would end its process."""
    victim = tmp_path / "victim.gguf"
    shutil.copy(PACKAGED[0].file(), victim)
    with running() as engine:
        engine.send(Load(model=str(victim)))
        while engine.wait_for(Loading).stage != "weights":
            pass
        os.truncate(victim, victim.stat().st_size // 4)
        assert engine.wait_for(Error).detail == "victim.gguf was changed while it was read."
        assert isinstance(engine.load(Load(model=str(folder))), Loaded)
