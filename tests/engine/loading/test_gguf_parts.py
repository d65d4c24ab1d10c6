"""A model in several files is one model: whichever is chosen, and only when all are its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch

from engine.catalog import listing
from engine.errors import CheckpointError
from engine.loading.gguf import conversion as gguf_conversion
from engine.loading.gguf import header as gguf_header
from engine.loading.gguf import parts as gguf_parts
from engine.protocol import ModelInfo
from tests.engine import tiny

COUNT = 3


def names(model: str = "tiny", count: int = COUNT) -> list[str]:
    return [f"{model}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)]


def split(
    whole: Path, folder: Path, *, change: Callable[[Any, int], None] = lambda *_: None
) -> list[Path]:
    """As llama.cpp's gguf-split does it: the first file has the metadata, each has its tensors."""
    reader = gguf.GGUFReader(whole)
    tensors = reader.tensors
    cuts = [round(len(tensors) * part / COUNT) for part in range(COUNT + 1)]
    paths = [folder / name for name in names()]
    for number, path in enumerate(paths):
        writer = gguf.GGUFWriter(path, "llama") if number == 0 else _bare_writer(path)
        for key, field in reader.fields.items():
            if number == 0 and not key.startswith("GGUF.") and key != "general.architecture":
                writer.add_key_value(
                    key,
                    field.contents(),
                    field.types[0],
                    field.types[-1] if len(field.types) > 1 else None,
                )
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", COUNT)
        writer.add_int32("split.tensors.count", len(tensors))
        change(writer, number)
        for tensor in tensors[cuts[number] : cuts[number + 1]]:
            writer.add_tensor(tensor.name, tensor.data)
        tiny.finish(writer)
    return paths


def _bare_writer(path: Path) -> Any:
    writer = gguf.GGUFWriter(path, "llama")
    del writer.kv_data[0]["general.architecture"]
    return writer


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_gguf(tmp_path_factory.mktemp("whole") / "tiny.gguf", tiny.model("llama"))


@pytest.fixture
def parts(whole: Path, tmp_path: Path) -> list[Path]:
    return split(whole, tmp_path)


# ---------------------------------------------------------------------------- one model


def test_the_files_have_what_the_whole_has(whole: Path, parts: list[Path]) -> None:
    one, joined = gguf_header.read(whole), gguf_parts.read(parts[0])
    assert joined.paths == tuple(parts)
    assert joined.parameters == one.parameters
    assert joined.items("tokenizer.ggml.tokens") == one.items("tokenizer.ggml.tokens")
    assert {tensor.path for tensor in joined.tensors.values()} == set(parts)


def test_a_model_in_one_file_is_read_as_it_is(whole: Path) -> None:
    assert gguf_parts.read(whole) == gguf_header.read(whole)


@pytest.mark.usefixtures("empty_home")
@pytest.mark.parametrize("chosen", range(COUNT))
def test_any_of_the_files_opens_the_whole_model(
    chosen: int, whole: Path, parts: list[Path]
) -> None:
    expected = tiny.logits(tiny.load(whole).model)
    assert torch.equal(tiny.logits(tiny.load(parts[chosen]).model), expected)


@pytest.mark.usefixtures("empty_home")
def test_a_changed_file_is_another_model_to_the_cache(parts: list[Path]) -> None:
    before = gguf_conversion.key(parts)
    with parts[2].open("ab") as file:
        file.write(b"x")
    assert gguf_conversion.key(parts) != before


# ---------------------------------------------------------------------------- in the catalog


def listed() -> list[ModelInfo]:
    return [card for card in listing.scan() if card.source in ("imported", "folder")]


def test_it_is_listed_once_with_the_size_of_all(empty_home: Path, whole: Path) -> None:
    paths = split(whole, listing.models_folder())
    (card,) = listed()
    assert (card.name, card.problem) == ("tiny", "")
    assert card.path == str(paths[0])
    assert card.size_bytes == sum(path.stat().st_size for path in paths)
    assert card.parameters == gguf_header.read(whole).parameters


def test_adding_any_of_its_files_adds_it_once(empty_home: Path, parts: list[Path]) -> None:
    for path in reversed(parts):
        assert listing.add(str(path)).id == str(parts[0])
    assert [card.path for card in listed()] == [str(parts[0])]
    assert listing.resolve(str(parts[1])) == parts[0]


@pytest.mark.parametrize("missing", range(COUNT))
def test_it_is_listed_once_though_a_file_is_missing(
    missing: int, empty_home: Path, whole: Path
) -> None:
    split(whole, listing.models_folder())[missing].unlink()
    (card,) = listed()
    assert card.name == "tiny"
    assert card.problem == (
        f"tiny lacks 1 of 3 files, such as {names()[missing]}. Download the missing files into "
        "the same folder."
    )


def test_two_models_in_parts_are_two(empty_home: Path, whole: Path) -> None:
    for path in split(whole, listing.models_folder()):
        shutil.copy(path, path.with_name(path.name.replace("tiny", "other")))
    assert [card.name for card in listed()] == ["other", "tiny"]


# ---------------------------------------------------------------------------- what is no model


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        gguf_parts.read(path)
    assert caught.value.hint.endswith(".")
    return caught.value.detail


def test_swapped_files(parts: list[Path], tmp_path: Path) -> None:
    parts[1].rename(tmp_path / "kept")
    parts[2].rename(parts[1])
    (tmp_path / "kept").rename(parts[2])
    assert "00002-of-00003.gguf is not what its name says: it says that it is file 3 of 3." in (
        refusal(parts[0])
    )


def test_a_file_of_a_model_with_other_files(parts: list[Path]) -> None:
    for number, name in enumerate(names(count=4), 1):
        shutil.copy(parts[min(number, COUNT) - 1], parts[0].with_name(name))
    said = refusal(parts[0].with_name(names(count=4)[0]))
    assert said.endswith("belongs to another model: it says that the model has 3 files.")


def test_a_whole_model_that_is_named_as_a_part(whole: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(whole, tmp_path / names()[0]))
    assert refusal(path).endswith("it says that the model has 1 file.")


def test_a_part_that_is_named_as_a_whole_model(parts: list[Path], tmp_path: Path) -> None:
    renamed = parts[1].rename(tmp_path / "renamed.gguf")
    assert refusal(renamed) == "renamed.gguf is file 2 of 3 of a model, and is not named so."


def test_a_tensor_that_lies_in_two_files(whole: Path, tmp_path: Path) -> None:
    def add_again(writer: Any, number: int) -> None:
        if number == 2:
            writer.add_tensor("token_embd.weight", tiny.zeros(1))

    paths = split(whole, tmp_path, change=add_again)
    assert "tensor 'token_embd.weight' is in tiny-0000" in refusal(paths[0])


def test_other_tensors_than_the_files_say(whole: Path, tmp_path: Path) -> None:
    def drop(writer: Any, number: int) -> None:
        if number == 1:
            writer.kv_data[0]["split.tensors.count"].value = 999

    paths = split(whole, tmp_path, change=drop)
    tensors = len(gguf_header.read(whole).tensors)
    assert refusal(paths[0]) == (
        f"The files of tiny have {tensors} tensors, and {paths[1].name} says 999."
    )


@pytest.mark.parametrize("key", ["split.count", "split.no"])
def test_a_place_that_is_no_number(key: str, whole: Path, tmp_path: Path) -> None:
    def spoil(writer: Any, number: int) -> None:
        del writer.kv_data[0][key]
        writer.add_string(key, "three")

    paths = split(whole, tmp_path, change=spoil)
    assert f"its {key} is no number" in refusal(paths[0])


def test_a_name_that_says_99999_files_is_checked_against_the_file(
    whole: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(whole, tmp_path / "x-00001-of-99999.gguf"))
    assert refusal(path).endswith("it says that the model has 1 file.")


@pytest.mark.parametrize(
    "name",
    ["x-00000-of-00003.gguf", "x-00004-of-00003.gguf", "x-00001-of-00001.gguf", "x-1-of-3.gguf"],
)
def test_names_that_are_no_parts(name: str, whole: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(whole, tmp_path / name))
    assert gguf_parts.part_of(path) is None
    assert gguf_parts.read(path).paths == (path,)
