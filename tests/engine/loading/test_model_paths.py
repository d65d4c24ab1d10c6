"""A folder stands for the GGUF model in it; models are found where other programs put them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from engine.catalog import listing
from engine.errors import CheckpointError
from engine.loading import model_paths
from engine.loading.gguf import parts as gguf_parts
from tests.engine import tiny

PARTS = ("big-00001-of-00002", "big-00002-of-00002")


def write(path: Path, **metadata: str) -> Path:
    """The least that has a weight."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = tiny.gguf_writer(path)
    for key, value in metadata.items():
        writer.add_string(key.replace("__", "."), value)
    writer.add_tensor("token_embd.weight", tiny.zeros(8, 8))
    tiny.finish(writer)
    return path


def write_parts(folder: Path, suffix: str = ".gguf") -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}{suffix}" for name in PARTS]
    for number, path in enumerate(paths):
        writer: Any = tiny.gguf_writer(path)
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", len(PARTS))
        writer.add_tensor(f"blk.{number}.attn_q.weight", tiny.zeros(8, 8))
        tiny.finish(writer)
    return paths


# ---------------------------------------------------------------------------- a folder of one


@pytest.mark.parametrize("name", ["model.gguf", "MODEL.GGUF", "publisher/model/model.gguf", "blob"])
def test_a_folder_with_one_gguf_file_means_that_file(name: str, tmp_path: Path) -> None:
    file = write(tmp_path / name)
    assert model_paths.meant(tmp_path) == file


@pytest.mark.parametrize("suffix", [".gguf", ".GGUF"])
def test_a_folder_with_one_model_in_parts_means_its_first(suffix: str, tmp_path: Path) -> None:
    paths = write_parts(tmp_path, suffix)
    assert model_paths.meant(tmp_path) == paths[0]
    assert model_paths.meant(paths[1]) == paths[0]
    assert gguf_parts.read(paths[1]).paths == tuple(paths)


def test_a_projector_beside_the_model_is_not_taken_for_one(tmp_path: Path) -> None:
    file = write(tmp_path / "model-Q4_K_M.gguf")
    write(tmp_path / "mmproj-model-f16.gguf", general__type="mmproj")
    write(tmp_path / "imatrix.gguf", general__type="imatrix")
    assert model_paths.meant(tmp_path) == file


def test_of_several_models_none_is_chosen_and_all_are_named(
    tmp_path: Path, empty_home: Path
) -> None:
    for name in ("model-Q4_K_M.gguf", "deeper/model-Q8_0.gguf"):
        write(tmp_path / name)
    for call in (listing.find, listing.add, listing.resolve):
        with pytest.raises(CheckpointError) as caught:
            call(str(tmp_path))
        named = "'model-Q4_K_M.gguf', 'deeper/model-Q8_0.gguf'"
        assert caught.value.detail == f"The folder {tmp_path.name} holds 2 models: {named}."
        assert caught.value.hint == "Choose one of these."


def test_of_many_models_only_some_are_named(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path / f"{number:02}.gguf")
    with pytest.raises(CheckpointError, match=r"12 models: '00\.gguf', .* and 4 more\.$"):
        model_paths.meant(tmp_path)


def test_a_folder_with_safetensors_is_a_model_whatever_else_is_in_it(folder: Path) -> None:
    write(folder / "model.gguf")
    assert model_paths.meant(folder) == folder


def test_a_config_beside_a_gguf_file_makes_no_other_model(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    file = write(folder / "model.gguf")
    assert model_paths.meant(folder) == file
    assert model_paths.models_below(folder) == [file]


def test_a_folder_with_one_gguf_file_is_added_as_that_file(
    tmp_path: Path, empty_home: Path
) -> None:
    file = tiny.write_gguf(tmp_path / "publisher.gguf", tiny.model("llama"))
    assert listing.add(str(tmp_path)).path == str(file)


# ---------------------------------------------------------------------------- what is found


def test_models_are_found_where_other_programs_put_them(tmp_path: Path) -> None:
    found = [
        write(tmp_path / "sha256-0123abcd"),
        write(tmp_path / "top.GGUF"),
        write(tmp_path / "lmstudio" / "publisher" / "name" / "model.gguf"),
        write(tmp_path / "models--a--b" / "snapshots" / "0123abcd" / "model.gguf"),
        write_parts(tmp_path / "parts")[0],
    ]
    (tmp_path / "notes.txt").write_bytes(b"GGUF is a format")
    (tmp_path / "README").write_bytes(b"Read me")
    assert model_paths.models_below(tmp_path) == found


def test_a_folder_in_itself_is_looked_through_once_a_level(tmp_path: Path) -> None:
    file = write(tmp_path / "model.gguf")
    (tmp_path / "again").symlink_to(tmp_path)
    found = model_paths.models_below(tmp_path)
    assert found[0] == file
    assert len(found) == model_paths.DEPTH + 1


def test_a_folder_of_very_many_files_is_not_looked_through_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        write(tmp_path / f"{number}.gguf")
    monkeypatch.setattr(model_paths, "MAX_ENTRIES", 3)
    assert len(model_paths.models_below(tmp_path)) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert model_paths.models_below(tmp_path) == []
