"""Folders without a tokenizer.json: what is made of their older files, and what is refused."""

from __future__ import annotations

import json
import os
import re
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers import GPT2Tokenizer, LlamaTokenizer, Qwen2Tokenizer

from engine import folders
from engine.errors import CheckpointError, HearthError, UnsupportedError
from engine.loading.gguf import header as gguf_header
from engine.loading.gguf import tokenizer as gguf_tokenizer
from engine.loading.safetensors import folder as safetensors_folder
from engine.loading.safetensors import folder_tokenizer, model_folder
from engine.loading.sandbox import sentencepiece_file, tokenizer_child
from engine.loading.sandbox.sentencepiece_file import DamagedError
from engine.loading.sandbox.vocabulary import VocabularyError
from tests.engine import tiny
from tests.engine.tiny import edit_json

SPACE = "\u2581"
UNKNOWN, CONTROL, USER, BYTE = 2, 3, 4, 6
FIRST = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]
BYTES = [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
WORDS = ["he", "the", f"{SPACE}t", f"{SPACE}the", SPACE, *"abcdehlnort", "<s", "<", "s", ">"]
PIECES = [*FIRST, *BYTES, *((word, 1) for word in WORDS)]
TEXTS = (
    "", " ", "the", "  the hen ", "a\nb\t\u00e9", f"{SPACE}the", "the<s>the</s>the", "\U0001f525"
)  # fmt: skip


def varint(number: int) -> bytes:
    said = bytearray()
    while number > 127:
        said.append(number & 127 | 128)
        number >>= 7
    return bytes([*said, number])


def message(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def piece(text: str, kind: int, score: float = 0.0) -> bytes:
    return message(
        1, message(1, text.encode()) + b"\x15" + struct.pack("<f", score) + number(3, kind)
    )


def proto(
    pieces: list[tuple[str, int]] = PIECES, trainer: bytes = number(3, 2), normalizer: bytes = b""
) -> bytes:
    """A tokenizer.model whose pieces are scored as SentencePiece does: by their place."""
    content = b"".join(piece(text, kind, -float(at)) for at, (text, kind) in enumerate(pieces))
    return content + message(2, trainer) + (message(3, normalizer) if normalizer else b"")


def made(content: bytes, **options: Any) -> Tokenizer:
    wanted = {"gemma": False, "prefix": None, "once": None, **options}
    return tokenizer_child.of_model(sentencepiece_file.read(content), **wanted)[0]


# ---------------------------------------------------------------------------- SentencePiece


@pytest.mark.parametrize("architecture", ["llama", "gemma"])
def test_the_same_pieces_in_a_gguf_file_make_the_same_tokenizer(
    architecture: str, tmp_path: Path
) -> None:
    writer = tiny.gguf_writer(tmp_path / "x.gguf", architecture)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in PIECES])
    writer.add_token_scores([-float(at) for at in range(len(PIECES))])
    writer.add_token_types([kind for _, kind in PIECES])
    writer.add_unk_token_id(0)
    writer.add_tensor("token_embd.weight", tiny.zeros(len(PIECES), 8))
    tiny.finish(writer)
    file = tmp_path / "x.gguf"
    theirs = json.loads(gguf_tokenizer.tokenizer(gguf_header.read(file)).to_str())
    gemma = architecture == "gemma"
    space = number(3, 0) + number(4, 0) if gemma else b""
    ours = json.loads(made(proto(normalizer=space), gemma=gemma).to_str())
    assert ours | {"post_processor": None} == theirs | {"post_processor": None}


@pytest.mark.parametrize("legacy", [True, False])
def test_text_is_cut_as_by_the_class_of_transformers(legacy: bool) -> None:
    """But where a text begins with a space: SentencePiece adds another one in front of it."""
    ours = made(proto(), once=not legacy)
    model = json.loads(ours.to_str())["model"]
    theirs = LlamaTokenizer(
        vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]], legacy=legacy
    )
    for text in TEXTS:
        if not (legacy and text.startswith((" ", SPACE))):
            assert ours.encode(text, add_special_tokens=False).ids == theirs.encode(
                text, add_special_tokens=False
            )


def test_a_control_token_is_never_made_of_text() -> None:
    """`<s` and `>` are pieces; `<s>` is not what they merge to."""
    tokenizer = made(proto())
    assert "<s>" not in tokenizer_without_added(tokenizer).encode("<s>").tokens


def tokenizer_without_added(tokenizer: Tokenizer) -> Tokenizer:
    parts = json.loads(tokenizer.to_str())
    return Tokenizer.from_str(json.dumps({**parts, "added_tokens": []}))


def test_user_defined_pieces_stay_whole_and_are_not_special() -> None:
    tokenizer = made(proto([*PIECES, ("hen", USER)]))
    added = {
        token.content: token.special for token in tokenizer.get_added_tokens_decoder().values()
    }
    assert added == {"<unk>": True, "<s>": True, "</s>": True, "hen": False}
    assert "hen" in tokenizer.encode("the hen").tokens


@pytest.mark.parametrize("adds", [True, False])
def test_the_file_says_whether_a_space_is_added_in_front(adds: bool) -> None:
    spaces = number(3, int(adds)) + number(4, 0)
    tokens = made(proto(normalizer=spaces)).encode("the", add_special_tokens=False).tokens
    assert tokens == ([f"{SPACE}the"] if adds else ["the"])


def test_runs_of_spaces_become_one_where_the_file_says_so() -> None:
    both = made(proto(normalizer=number(3, 1) + number(4, 1)))
    assert both.encode("  the   the ").ids == both.encode("the the").ids


def test_a_long_run_of_spaces_takes_time_in_proportion() -> None:
    tokenizer = made(proto(normalizer=number(3, 1) + number(4, 1)))
    begin = time.process_time()
    tokenizer.encode("a" + " " * 200_000 + "a")
    assert time.process_time() - begin < 5


def test_unknown_fields_are_stepped_over() -> None:
    extra = number(9, 1) + message(9, b"x") + varint(9 << 3 | 1) + bytes(8)
    model = sentencepiece_file.read(extra + proto(trainer=extra + number(3, 2)) + extra)
    assert (len(model.pieces), model.model_type) == (len(PIECES), 2)


def test_a_negative_id_says_that_there_is_no_such_token() -> None:
    content = proto(trainer=number(3, 2) + number(41, 2**64 - 1))
    model = sentencepiece_file.read(content)
    named = tokenizer_child.of_model(model, gemma=False, prefix=None, once=None)[1]
    assert named == {"unk_token": "<unk>", "eos_token": "</s>"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it has no pieces"),
        (proto()[:-1], "it ends early"),
        (b"\x0a" + b"\xff" * 11, "a number that does not end"),
        (b"\x0a\x80", "a number that does not end"),
        (b"\x0a" + varint(2**60) + b"abc", "it ends early"),
        (b"\x0b", "it is no SentencePiece model"),
        (b"\x08\x01", "a number where a message should be"),
        (message(1, message(1, b"\xff")), "is no text"),
        (message(1, message(1, b"a") + message(2, b"abc")), "a score is no number"),
        (message(1, message(1, b"a") + message(3, b"abc")), "no number where one should be"),
        (proto(normalizer=message(2, b"abcdef")), "its table of characters contradicts itself"),
    ],
)
def test_a_damaged_model_says_what_is_wrong(content: bytes, said: str) -> None:
    with pytest.raises(DamagedError, match=said):
        made(content)


def test_every_cut_of_a_model_is_read_or_refused() -> None:
    content = proto(FIRST)
    for end in range(len(content)):
        try:
            sentencepiece_file.read(content[:end])
        except DamagedError:
            continue


def test_pieces_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentencepiece_file, "MAX_PIECES", 1000)
    with pytest.raises(DamagedError, match="more than 1,000 pieces"):
        sentencepiece_file.read(message(1, b"") * 1001)


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([*PIECES, ("a" * 513, 1)], "longer tokens than any model"),
        ([*PIECES, ("he", 1)], "two tokens of one spelling"),
        ([*PIECES, *((f"[{at}]", CONTROL) for at in range(20_001))], "more control tokens"),
    ],
)
def test_a_vocabulary_that_no_model_has_is_refused(
    pieces: list[tuple[str, int]], said: str
) -> None:
    with pytest.raises(VocabularyError, match=said):
        made(proto(pieces))


def test_merges_without_end_are_refused() -> None:
    """A vocabulary of which every cut is a merge."""
    pieces = [("a" * length, 1) for length in range(1, 500)]
    with pytest.raises(VocabularyError, match="merge in more ways"):
        made(proto(pieces))


# ---------------------------------------------------------------------------- folders


@pytest.fixture
def bare(folder: Path, empty_home: Path) -> Path:
    """Without a tokenizer.json."""
    (folder / "tokenizer.json").unlink()
    return folder


def refusal(path: Path, kind: type[HearthError] = CheckpointError) -> str:
    with pytest.raises(kind) as caught:
        folder_tokenizer.check(model_folder.open_folder(path))
    return f"{caught.value.detail} {caught.value.hint}"


def tokenizer(path: Path) -> Any:
    opened = model_folder.open_folder(path)
    return safetensors_folder.fast_tokenizer(opened, folder_tokenizer.of(opened, lambda: None))


def test_a_folder_with_tokenizer_model_opens_and_the_conversion_is_kept(bare: Path) -> None:
    """The one of these tests that starts the process."""
    (bare / "tokenizer.model").write_bytes(proto())
    opened = model_folder.open_folder(bare)
    begun: list[int] = []
    first = folder_tokenizer.of(opened, lambda: begun.append(1))
    assert folder_tokenizer.of(opened, lambda: begun.append(2)) == first
    assert begun == [1]
    assert first.path.is_relative_to(folders.cache())
    assert Tokenizer.from_file(str(first.path)).to_str() == made(proto()).to_str()
    assert first.named == {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    edit_json(bare / "tokenizer_config.json", eos_token="<|im_end|>", bos_token=None)  # noqa: S106
    found = tokenizer(bare)
    assert (found.unk_token, found.bos_token, found.eos_token) == ("<unk>", "<s>", "<|im_end|>")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program of the child, in this process."""

    class Here:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def open(self) -> None:
            pass

        def ask(self, request: dict[str, Any], *_: Any, **__: Any) -> Any:
            monkeypatch.setattr(tokenizer_child, "SECONDS", 10_000)
            return tokenizer_child.answer(json.loads(json.dumps(request)))

        def close(self) -> None:
            pass

    monkeypatch.setattr(folder_tokenizer, "Child", Here)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("change", ["the file", "legacy"])
def test_another_file_or_setting_is_converted_anew(change: str, bare: Path) -> None:
    file = bare / "tokenizer.model"
    file.write_bytes(proto())
    first = folder_tokenizer.of(model_folder.open_folder(bare), lambda: None)
    if change == "legacy":
        edit_json(bare / "tokenizer_config.json", legacy=False)
    else:
        status = file.stat()
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    assert folder_tokenizer.of(model_folder.open_folder(bare), lambda: None).path != first.path


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (proto()[:-1], CheckpointError, "tokenizer.model is damaged: it ends early."),
        (
            proto(trainer=number(3, 1)),
            UnsupportedError,
            "tokenizer.model has a SentencePiece vocabulary of Unigram, and Hearth reads BPE.",
        ),
        (
            proto([*PIECES, ("he", 1)]),
            CheckpointError,
            "tokenizer.model has two tokens of one spelling, 259 and",
        ),
    ],
)
def test_a_refused_model_names_its_file_and_what_to_add(
    content: bytes, kind: type[HearthError], said: str, bare: Path
) -> None:
    (bare / "tokenizer.model").write_bytes(content)
    with pytest.raises(kind, match=re.escape(said)) as caught:
        tokenizer(bare)
    assert caught.value.hint == "Add the model's tokenizer.json to the folder."


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"tokenizer.model": b"IQ== 0\nIg== 1\n"}, "tokenizer.model is a tiktoken vocabulary"),
        ({"qwen.tiktoken": b"IQ== 0\n"}, "its vocabulary is a tiktoken vocabulary"),
        ({"tekken.json": b"{}"}, "its vocabulary is Mistral's own kind"),
    ],
)
def test_other_vocabularies_are_refused_by_what_they_are(
    files: dict[str, bytes], said: str, bare: Path
) -> None:
    for name, content in files.items():
        (bare / name).write_bytes(content)
    assert said in (found := refusal(bare, UnsupportedError))
    assert found.endswith("Add the model's tokenizer.json to the folder.")


def test_a_pointer_of_git_is_told_from_the_file(bare: Path) -> None:
    (bare / "tokenizer.model").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid x\n")
    assert "tokenizer.model is a pointer that Git left in the place of the file" in refusal(bare)


def test_a_model_too_large_is_not_read(bare: Path) -> None:
    with (bare / "tokenizer.model").open("wb") as file:
        file.truncate(sentencepiece_file.MAX_FILE + 1)
    assert "tokenizer.model is too large" in refusal(bare)


# ---------------------------------------------------------------------------- vocab.json


def write_byte_level(folder: Path, tokenizer_class: str | None) -> None:
    model = json.loads(tiny.tokenizer().to_str())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"]), ""]
    (folder / "merges.txt").write_text("\n".join(lines), "utf-8")
    edit_json(folder / "tokenizer_config.json", tokenizer_class=tokenizer_class)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("theirs", [Qwen2Tokenizer, GPT2Tokenizer])
def test_vocab_and_merges_are_cut_as_by_the_named_class(theirs: Any, bare: Path) -> None:
    write_byte_level(bare, theirs.__name__)
    edit_json(bare / "tokenizer_config.json", eos_token="<|im_end|>")  # noqa: S106
    settings = {"eos_token": "<|im_end|>", "unk_token": "<|im_end|>"}
    reference = theirs(str(bare / "vocab.json"), str(bare / "merges.txt"), **settings)
    ours = tokenizer(bare)
    for text in (*TEXTS, "the 1234 'S e\u0301\n\n  x", "he'll"):
        assert ours.encode(text, add_special_tokens=False) == reference.encode(
            text, add_special_tokens=False
        )


@pytest.mark.usefixtures("at_once")
def test_the_class_that_vocabularies_of_digits_name_too_is_noted(bare: Path) -> None:
    write_byte_level(bare, "GPT2Tokenizer")
    found = folder_tokenizer.of(model_folder.open_folder(bare), lambda: None)
    assert found.notes == (folder_tokenizer.GUESSED,)


def test_vocab_and_merges_of_no_named_class_are_refused(bare: Path) -> None:
    write_byte_level(bare, None)
    assert refusal(bare) == (
        "The folder tiny has vocab.json and merges.txt and no tokenizer.json, and how this model "
        "cuts text is in tokenizer.json alone. Add the model's tokenizer.json to the folder."
    )


def test_a_vocabulary_without_its_merges_is_refused(bare: Path) -> None:
    write_byte_level(bare, "Qwen2Tokenizer")
    (bare / "merges.txt").unlink()
    assert "has vocab.json without merges.txt, and no tokenizer.json" in refusal(bare)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1]", "vocab.json is damaged: it is no vocabulary"),
        ('{"a": "b"}', "vocab.json is damaged: it is no vocabulary"),
        ('{"a": 1, "b": 1}', "vocab.json is damaged: its ids are not those"),
        ('{"a": -1}', "vocab.json is damaged: its ids are not those"),
        ('{"a": 4000000000}', "vocab.json is damaged: its ids are not those"),
        ('{"a": 0}', "vocab.json has no tokens for letters"),
    ],
)
def test_a_damaged_vocabulary_says_what_is_wrong(content: str, said: str, bare: Path) -> None:
    write_byte_level(bare, "Qwen2Tokenizer")
    (bare / "vocab.json").write_text(content)
    with pytest.raises(CheckpointError, match=re.escape(said)):
        tokenizer(bare)
