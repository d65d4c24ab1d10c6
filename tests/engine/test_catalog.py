"""What is listed, under which name, and why a model cannot be used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from engine import folders
from engine.catalog import fit, listing, model_card, user_models
from engine.catalog.packaged import PACKAGED
from engine.device import sizes
from engine.device.sizes import Memory
from engine.errors import CheckpointError, StorageError, UnsupportedError
from engine.loading import families
from engine.loading.gguf import header as gguf_header
from engine.protocol import ModelInfo
from tests.engine import tiny
from tests.engine.nobody import open_folder, rights_of_nobody

__all__ = ["open_folder"]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model of each format."""
    folder = tmp_path_factory.mktemp("made")
    model = tiny.model("llama")
    tiny.write_gguf(folder / "tiny.gguf", model)
    tiny.write_folder(folder / "tiny", model)
    return folder


@pytest.fixture
def models(empty_home: Path) -> Path:
    return listing.models_folder()


def others(cards: tuple[ModelInfo, ...] | None = None) -> list[ModelInfo]:
    """All but the packaged models."""
    return [card for card in cards or listing.scan() if card.source in ("imported", "folder")]


# ---------------------------------------------------------------------------- what is there


def test_packaged_models_come_first(empty_home: Path) -> None:
    smollm2, gemma = listing.scan()
    assert (smollm2.id, smollm2.source) == ("smollm2-135m-instruct", "embedded")
    assert (gemma.id, gemma.source) == ("gemma-3-270m", "package")
    assert smollm2.problem == gemma.problem == ""
    assert (smollm2.architecture, gemma.architecture) == ("llama", "gemma3")
    assert (smollm2.weights, gemma.weights) == ("Q4_1", "Q4_K_M")
    assert smollm2.parameters == 134_515_008
    assert gemma.context_length == 32_768
    assert gemma.size_bytes == sum(path.stat().st_size for path in PACKAGED[1].paths())


def test_a_list_imports_neither_torch_nor_transformers(made: Path, empty_home: Path) -> None:
    shutil.copytree(made, listing.models_folder(), dirs_exist_ok=True)
    program = (
        "import sys\n"
        "from engine.catalog import listing\n"
        "assert len(listing.scan()) >= 4\n"
        "print(*{'torch', 'transformers', 'numpy', 'tokenizers', 'gguf'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []


def test_models_in_the_models_folder(models: Path, made: Path) -> None:
    shutil.copytree(made, models / "maker")
    shutil.copy(made / "tiny.gguf", models / "top.gguf")
    (models / "notes.txt").write_text("no model")
    (models / "empty").mkdir()
    cards = {card.id: card for card in others()}
    assert set(cards) == {"maker/tiny", "maker/tiny.gguf", "top.gguf"}
    for card in cards.values():
        assert card.problem == ""
        assert card.architecture == "llama"
        assert card.context_length == 128
        assert card.parameters == sum(p.numel() for p in tiny.model("llama").parameters())
    assert (cards["maker/tiny"].format, cards["maker/tiny"].weights) == ("safetensors", "f32")
    assert (cards["top.gguf"].format, cards["top.gguf"].weights) == ("gguf", "F32")
    assert cards["top.gguf"].size_bytes == (made / "tiny.gguf").stat().st_size


def test_models_of_one_name_in_two_folders_are_two(models: Path, made: Path) -> None:
    for maker in ("first", "second"):
        shutil.copytree(made / "tiny", models / maker / "tiny")
    ids = [card.id for card in others()]
    assert ids == ["first/tiny", "second/tiny"]
    assert [listing.resolve(name) for name in ids] == [models / name for name in ids]


def test_a_folder_named_as_a_packaged_model_is_not_taken_for_it(models: Path, made: Path) -> None:
    folder = models / "smollm2-135m-instruct"
    shutil.copytree(made / "tiny", folder)
    (card,) = others()
    assert listing.resolve(card.id) == folder
    assert listing.resolve("smollm2-135m-instruct") == PACKAGED[0].file()


def test_no_other_model_is_read_to_find_one(
    models: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose header takes time would delay every load."""
    for name in ("first", "second"):
        shutil.copytree(made / "tiny", models / name)
    read, of_card = [], model_card.read

    def recorded(card: ModelInfo) -> ModelInfo:
        read.append(card.id)
        return of_card(card)

    monkeypatch.setattr(model_card, "read", recorded)
    assert listing.find("second").problem == ""
    assert listing.resolve("smollm2-135m-instruct") == PACKAGED[0].file()
    assert read == ["second"]


def test_headers_of_many_megabytes_are_not_read_for_a_list(models: Path, made: Path) -> None:
    shutil.copytree(made / "tiny", models / "tiny")
    file = models / "tiny" / "model.safetensors"
    header = json.dumps({"__metadata__": {"a": "b" * model_card.MAX_HEADERS}}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    (card,) = others()
    assert (card.problem, card.parameters) == ("", 0)
    assert card.size_bytes == file.stat().st_size


def test_default_is_the_embedded_model(empty_home: Path) -> None:
    assert listing.default_model() == "smollm2-135m-instruct"


# ---------------------------------------------------------------------------- finding one


def test_a_path_is_found_without_being_added(empty_home: Path, made: Path) -> None:
    for path in (made / "tiny", made / "tiny.gguf"):
        assert listing.find(str(path)).path == str(path)
        assert listing.resolve(str(path)) == path
    assert others() == []


def test_a_relative_path_is_found(
    empty_home: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    assert listing.resolve("tiny.gguf") == made / "tiny.gguf"


def test_a_path_in_the_home_folder_is_found(
    empty_home: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(made))
    monkeypatch.setenv("USERPROFILE", str(made))
    assert listing.resolve("~/tiny.gguf") == made / "tiny.gguf"


@pytest.mark.parametrize("text", ["none", "/none/at/all", "~nobody-here/x", "a\0b", "x" * 5000])
def test_what_is_no_model_is_told_so(text: str, empty_home: Path) -> None:
    with pytest.raises(CheckpointError, match="no model or file named") as caught:
        listing.find(text)
    assert "start.py models" in caught.value.hint
    with pytest.raises(CheckpointError, match="no file or folder"):
        listing.add(text)


# ---------------------------------------------------------------------------- adding and removing


def test_added_models_are_listed_until_removed(empty_home: Path, made: Path) -> None:
    for name in ("tiny.gguf", "tiny"):
        card = listing.add(str(made / name))
        assert (card.id, card.source) == (str(made / name), "imported")
    listing.add(str(made / "tiny"))
    assert [card.path for card in others()] == [str(made / "tiny.gguf"), str(made / "tiny")]
    listing.remove(str(made / "tiny.gguf"))
    listing.remove("never added")
    assert [card.path for card in others()] == [str(made / "tiny")]
    assert (made / "tiny.gguf").exists()


def test_an_added_model_of_the_models_folder_is_listed_once(models: Path, made: Path) -> None:
    shutil.copy(made / "tiny.gguf", models)
    listing.add(str(models / "tiny.gguf"))
    assert [card.source for card in others()] == ["imported"]


def test_what_cannot_be_used_is_not_added(empty_home: Path, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_text("no model")
    with pytest.raises(CheckpointError, match="is not a GGUF file"):
        listing.add(str(tmp_path / "x.gguf"))
    assert user_models.paths() == []


def test_an_added_model_that_is_gone_says_so(empty_home: Path, made: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copy(made / "tiny.gguf", tmp_path / "moved.gguf"))
    listing.add(str(moved))
    moved.unlink()
    (card,) = others()
    assert "There is no file" in card.problem


DAMAGED = (b"", b"{", b"[]", b'{"imported": "abc"}', b'{"imported": [1]}', b"\xff", b"[" * 99_999)


@pytest.mark.parametrize("content", DAMAGED, ids=lambda content: repr(content[:9]))
def test_a_damaged_list_is_set_aside(content: bytes, empty_home: Path, made: Path) -> None:
    (folders.data() / "models.json").write_bytes(content)
    assert len(listing.scan()) == 2
    assert (folders.data() / "models.damaged").read_bytes() == content
    listing.add(str(made / "tiny"))
    assert len(others()) == 1


def test_a_list_that_cannot_be_read_hides_no_other_model(models: Path, made: Path) -> None:
    (folders.data() / "models.json").mkdir()
    shutil.copy(made / "tiny.gguf", models)
    assert [card.source for card in listing.scan()] == ["embedded", "package", "folder"]
    with pytest.raises(StorageError, match=r"models\.json cannot be read"):
        listing.add(str(made / "tiny"))


def test_a_list_that_cannot_be_written_stays_as_it_was(empty_home: Path, made: Path) -> None:
    listing.add(str(made / "tiny"))
    (folders.data() / "models.new").mkdir()
    with pytest.raises(StorageError, match="cannot be written") as caught:
        listing.add(str(made / "tiny.gguf"))
    assert "permissions" in caught.value.hint
    assert user_models.paths() == [made / "tiny"]


def test_a_models_folder_that_cannot_be_made_hides_no_other_model(
    empty_home: Path, made: Path
) -> None:
    listing.add(str(made / "tiny"))
    (folders.data() / "models").touch()
    assert [card.source for card in listing.scan()] == ["embedded", "package", "imported"]
    with pytest.raises(StorageError, match="cannot be made"):
        listing.models_folder()


def test_a_data_folder_that_cannot_be_made_hides_no_packaged_model(empty_home: Path) -> None:
    empty_home.touch()
    assert [card.id for card in listing.scan()] == ["smollm2-135m-instruct", "gemma-3-270m"]


def test_folders_without_rights_hide_no_other_model(
    open_folder: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTH_HOME", str(open_folder))
    shutil.copy(made / "tiny.gguf", listing.models_folder() / "usable.gguf")
    locked, closed = open_folder / "locked", listing.models_folder() / "closed"
    for folder in (locked, closed):
        shutil.copytree(made / "tiny", folder)
    shutil.copy(made / "tiny.gguf", locked / "inside.gguf")
    listing.add(str(locked))
    listing.add(str(locked / "inside.gguf"))
    listing.scan()
    for path in (open_folder, *open_folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    locked.chmod(0)
    closed.chmod(0)
    with rights_of_nobody():
        cards = {card.name: card for card in others()}
    assert cards["usable"].problem == ""
    for name in ("locked", "inside"):
        assert "cannot be read: Permission denied" in cards[name].problem
        assert "permissions" in cards[name].problem


# ---------------------------------------------------------------------------- what cannot be used


def test_a_model_larger_than_any_memory_here_says_what_is_missing(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "memory", lambda: Memory(25_000_000_000, of_gpu=False))
    tiny.write_huge_gguf(models / "huge.gguf", 137_700_000_000)
    (card,) = others()
    assert card.problem == (
        "The weights of huge take 137.7 GB, and this computer has 25.0 GB of memory: 112.7 GB are "
        "missing. Choose a smaller model, or one whose weights have fewer bits."
    )


def test_a_folder_that_fits_in_8_bits_only_says_how() -> None:
    card = ModelInfo(
        id="x", name="x", path="/x", source="folder", format="safetensors", parameters=10**10
    )
    here = Memory(15_000_000_000, of_gpu=True)
    assert fit.objection(card, here).startswith("The weights of x take 20.0 GB")
    assert "`--dtype q8`" in fit.hint(card, here)
    assert fit.hint(card, here._replace(largest=9_000_000_000)) == fit.HINT


def test_weights_that_stay_in_blocks_on_a_gpu_take_what_the_file_takes() -> None:
    card = ModelInfo(
        id="m",
        name="M",
        path="/m",
        source="folder",
        format="gguf",
        parameters=10**10,
        size_bytes=6 * 10**9,
    )
    assert fit.objection(card, Memory(8 * 10**9, of_gpu=True)) == ""
    assert "20.0 GB" in fit.objection(card, Memory(8 * 10**9, of_gpu=False))


def test_a_model_that_fits_no_memory_here_can_be_added(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be for another computer, with the same home."""
    huge = tiny.write_huge_gguf(tmp_path / "huge.gguf", 137_700_000_000)
    monkeypatch.setattr(sizes, "memory", lambda: Memory(25_000_000_000, of_gpu=False))
    listing.add(str(huge))
    assert [card.path for card in others() if card.problem] == [str(huge)]


def test_each_bad_file_says_why(models: Path, made: Path) -> None:
    whole = (made / "tiny.gguf").read_bytes()
    (models / "empty.gguf").touch()
    (models / "short.gguf").write_bytes(whole[:-40])
    (models / "text.gguf").write_text("no model")
    (models / "old.gguf").write_bytes(b"GGUF\x01\0\0\0" + whole[8:])
    mamba = tiny.gguf_writer(models / "mamba.gguf", "mamba")
    mamba.add_tensor("token_embd.weight", tiny.zeros(8, 8))
    tiny.finish(mamba)
    problems = {card.id.removesuffix(".gguf"): card.problem for card in others()}
    assert "short.gguf is not complete: tensor" in problems.pop("short")
    assert problems == {
        "empty": "empty.gguf is empty. Download the file again, or choose another model.",
        "mamba": "Its architecture is mamba, which Hearth cannot run. These work: "
        f"{families.NAMES}.",
        "old": "old.gguf is a GGUF file of version 1; Hearth reads 2 and 3. Download the model "
        "again in a newer conversion.",
        "text": "text.gguf is not a GGUF file. Choose a .gguf file, or a folder with config.json "
        "and safetensors.",
    }


def test_a_vocabulary_that_cannot_be_read_is_told_before_it_is_loaded(models: Path) -> None:
    for name, key, value in (("t5", "model", "t5"), ("new", "pre", "newest"), ("none", "", "")):
        writer = tiny.gguf_writer(models / f"{name}.gguf")
        if key:
            tiny.write_vocabulary(writer)
            writer.kv_data[0][f"tokenizer.ggml.{key}"].value = value
        writer.add_tensor("token_embd.weight", tiny.zeros(8, 8))
        tiny.finish(writer)
    problems = {card.name: card.problem for card in others()}
    assert "t5.gguf has a tokenizer of the unknown kind 't5', Unigram." in problems["t5"]
    assert "new.gguf cuts text in an unknown way ('newest')." in problems["new"]
    assert problems["none"].startswith("none.gguf has no vocabulary.")


def test_each_bad_folder_says_why(models: Path, made: Path) -> None:
    names = ("pickle", "unknown", "quantised", "broken", "cut", "toothless")
    folder = {name: Path(shutil.copytree(made / "tiny", models / name)) for name in names}
    (folder["pickle"] / "model.safetensors").rename(folder["pickle"] / "pytorch_model.bin")
    tiny.edit_json(folder["unknown"] / "config.json", model_type="rwkv", architectures=["Rwkv"])
    tiny.edit_json(folder["quantised"] / "config.json", quantization_config={"bits": 4})
    (folder["broken"] / "config.json").write_text("{")
    os.truncate(folder["cut"] / "model.safetensors", 1000)
    (folder["toothless"] / "tokenizer.json").unlink()
    problems = {card.id: card.problem for card in others()}
    assert "Pickle files can run code. Use safetensors" in problems["pickle"]
    assert "Its architecture is Rwkv" in problems["unknown"]
    assert "quantised" in problems["quantised"]
    assert "config.json is damaged" in problems["broken"]
    assert "model.safetensors is not complete" in problems["cut"]
    assert "has no tokenizer.json. Download tokenizer.json" in problems["toothless"]
    known = {card.id: card.architecture for card in others()}
    assert (known["pickle"], known["unknown"], known["broken"]) == ("llama", "rwkv", "")


def test_whatever_a_model_says_can_be_told_to_the_window(models: Path, made: Path) -> None:
    strange = {
        "model_type": "\ud800" * 9, "architectures": ["\ud800" * 999_999],
        "max_position_embeddings": 10**40,
    }  # fmt: skip
    folder = Path(shutil.copytree(made / "tiny", models / "strange"))
    tiny.edit_json(folder / "config.json", **strange)
    folder = Path(shutil.copytree(made / "tiny", models / "long"))
    tiny.edit_json(folder / "config.json", max_position_embeddings=10**40)
    writer = tiny.gguf_writer(models / "named.gguf", "x" * 999_999)
    tiny.finish(writer)
    encoded = msgspec.json.encode(listing.scan())
    assert len(encoded) < 10_000
    assert msgspec.json.decode(encoded, type=tuple[ModelInfo, ...])
    assert next(card for card in others() if card.id == "long").context_length == 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_no_text_is_told(models: Path, made: Path) -> None:
    shutil.copy(made / "tiny.gguf", models / os.fsdecode(b"caf\xe9.gguf"))
    (card,) = others()
    assert card.problem == "Its name is not valid text (UTF-8). Rename it."
    assert msgspec.json.encode(card)
    assert card.name == "caf\\udce9"


def test_header_of_a_model_in_parts_is_checked_against_all_of_them(empty_home: Path) -> None:
    first = PACKAGED[1].paths()[0]
    with pytest.raises(CheckpointError, match="lies outside"):
        gguf_header.read(first)
    card = next(card for card in listing.scan() if card.id == "gemma-3-270m")
    assert card.problem == ""


def test_cards_are_json(empty_home: Path) -> None:
    cards = json.loads(msgspec.json.encode(listing.scan()))
    assert [card["format"] for card in cards] == ["gguf", "gguf"]


def test_unsupported_is_told_when_it_is_loaded_too(empty_home: Path, tmp_path: Path) -> None:
    tiny.finish(tiny.gguf_writer(tmp_path / "mamba.gguf", "mamba"))
    with pytest.raises(UnsupportedError, match="mamba"):
        tiny.load(listing.resolve(str(tmp_path / "mamba.gguf")))
