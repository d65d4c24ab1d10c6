"""The tokenizer of a folder: its tokenizer.json, or one that is made of what older folders have.

What is made is kept in the cache folder. A child process makes it, as the files are strangers'.
Imports neither torch nor tokenizers: the catalog asks whether a folder has a tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine import folders
from engine.errors import CheckpointError, HearthError, UnsupportedError, reason
from engine.loading import kept_conversions
from engine.loading.safetensors import model_folder
from engine.loading.safetensors.model_folder import ModelFolder
from engine.loading.sandbox import sentencepiece_file
from engine.loading.sandbox.child import Child, ChildError

VERSION: Final = 1
"""Raised when a conversion comes out differently, so that older ones are made again."""
TOKENIZER: Final = "tokenizer.json"
NAMED: Final = "named.json"
"""Special tokens that the source of a tokenizer tells, by name."""
FILES: Final = (TOKENIZER, NAMED)
SENTENCEPIECE: Final = ("tokenizer.model", "spm.model")
VOCABULARY: Final = "vocab.json"
MERGES: Final = "merges.txt"
OTHERS: Final = {
    ".tiktoken": "a tiktoken vocabulary, which does not say how text is cut",
    "tekken.json": "Mistral's own kind of vocabulary, which Hearth does not read",
}
"""By the end of a file's name, what it is."""
ADD: Final = "Add the model's tokenizer.json to the folder."
START_LIMIT: Final = 30.0
CONVERTING_LIMIT: Final = 120.0
"""Seconds of the clock; the child itself ends after 30 s of computing."""
MAX_ANSWER: Final = 200_000_000
"""Bytes; Gemma's tokenizer.json has 34 million, and more once it is quoted."""
BY_CLASS: Final = {"Qwen2Tokenizer": "qwen2", "CodeGenTokenizer": "phi-2"}
"""A row of the pre-tokenizers, by tokenizer_config.json's tokenizer_class."""
BY_FAMILY: Final = {
    "qwen2": "qwen2",
    "qwen2_moe": "qwen2",
    "qwen3": "qwen2",
    "qwen3_moe": "qwen2",
    "phi": "phi-2",
    "starcoder2": "starcoder",
}
"""The same by the family, if all of its models cut alike."""
GPT2_CLASS: Final = "GPT2Tokenizer"
"""Vocabularies that cut numbers into digits name this class too."""
GUESSED: Final = (
    "This folder has vocab.json and merges.txt and no tokenizer.json. Text is cut as GPT-2 does, "
    "which tokenizer_config.json names; if replies are worse than the model's own, add its "
    "tokenizer.json."
)


@dataclass(frozen=True)
class TokenizerFile:
    path: Path
    """A tokenizer.json, checked for its size alone."""
    source: str
    """The name of the file that it comes from."""
    named: Mapping[str, str]
    """Special tokens that the source tells, such as eos_token."""
    notes: tuple[str, ...] = ()
    """Sentences that the user should read."""


@dataclass(frozen=True)
class _Source:
    files: tuple[Path, ...]
    request: dict[str, Any]
    """As `tokenizer_child` takes it."""
    notes: tuple[str, ...] = ()


def check(folder: ModelFolder) -> None:
    """Raises CheckpointError and UnsupportedError for a folder whose files make no tokenizer, as
    far as their names, sizes and first bytes tell."""
    file = folder.path / TOKENIZER
    if model_folder.exists(file):
        model_folder.check_file(file)
    else:
        _source(folder)


def of(folder: ModelFolder, begin: Callable[[], None]) -> TokenizerFile:
    """The tokenizer of `folder`, made now if there is none; `begin` is called before making it.

    Raises CheckpointError, UnsupportedError, and StorageError when the cache cannot be written.
    """
    file = folder.path / TOKENIZER
    if model_folder.exists(file):
        model_folder.check_file(file)
        return TokenizerFile(file, TOKENIZER, {})
    source = _source(folder)
    said = f"{VERSION} {json.dumps(source.request, sort_keys=True)}"
    kept = folders.cache() / "tokenizers" / kept_conversions.key(said, source.files)

    def make() -> dict[str, bytes]:
        begin()
        return _made(source)

    found = kept_conversions.kept(kept, FILES, make)
    name = source.files[0].name
    return TokenizerFile(kept / TOKENIZER, name, json.loads(found[NAMED]), source.notes)


def _made(source: _Source) -> dict[str, bytes]:
    name = source.files[0].name
    child = Child("engine.loading.sandbox.tokenizer_child", start_limit=START_LIMIT)
    try:
        child.open()
        answer = child.ask(source.request, CONVERTING_LIMIT, most=MAX_ANSWER)
    except ChildError as error:
        raise CheckpointError(f"{name} cannot be converted: {reason(error)}.", ADD) from error
    finally:
        child.close()
    match answer:
        case {"tokenizer": str(tokenizer), "named": dict(named)}:
            return {TOKENIZER: tokenizer.encode(), NAMED: json.dumps(named).encode()}
        case {"unsupported": str(why)}:
            raise UnsupportedError(f"{name} {why}.", ADD)
    raise CheckpointError(f"{name} {answer['refused']}.", ADD)


def _source(folder: ModelFolder) -> _Source:
    for name in SENTENCEPIECE:
        if model_folder.exists(folder.path / name):
            return _sentencepiece(folder, folder.path / name)
    present = [name for name in (VOCABULARY, MERGES) if model_folder.exists(folder.path / name)]
    if len(present) == 2:
        return _byte_level(folder)
    raise _missing(folder, present)


def _sentencepiece(folder: ModelFolder, file: Path) -> _Source:
    model_folder.check_file(file, sentencepiece_file.MAX_FILE)
    head = _head(file)
    if sentencepiece_file.TIKTOKEN.match(head):
        raise UnsupportedError(f"{file.name} is {OTHERS['.tiktoken']}.", ADD)
    if head.startswith(sentencepiece_file.POINTER):
        raise CheckpointError(
            f"{file.name} is a pointer that Git left in the place of the file.",
            "Get the file itself (git lfs pull), or add the model's tokenizer.json to the folder.",
        )
    settings = folder.json("tokenizer_config.json")
    prefix, legacy = settings.get("add_prefix_space"), settings.get("legacy")
    request = {
        "kind": "sentencepiece",
        "file": str(file),
        "gemma": folder.family.name.startswith("gemma"),
        "prefix": prefix if isinstance(prefix, bool) else None,
        "once": not legacy if isinstance(legacy, bool) else None,
    }
    return _Source((file,), request)


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(1000)
    except OSError as error:
        raise model_folder.unreadable(file, error) from error


def _byte_level(folder: ModelFolder) -> _Source:
    files = (folder.path / VOCABULARY, folder.path / MERGES)
    for file in files:
        model_folder.check_file(file, sentencepiece_file.MAX_FILE)
    settings = folder.json("tokenizer_config.json")
    named = str(settings.get("tokenizer_class")).removesuffix("Fast")
    pre = BY_CLASS.get(named) or BY_FAMILY.get(folder.family.name)
    notes: tuple[str, ...] = ()
    if pre is None and named == GPT2_CLASS:
        pre, notes = "gpt-2", (GUESSED,)
    if pre is None or settings.get("add_prefix_space"):
        raise CheckpointError(
            f"The folder {folder.path.name} has vocab.json and merges.txt and no tokenizer.json, "
            "and how this model cuts text is in tokenizer.json alone.",
            ADD,
        )
    request = {"kind": "byte_level", "vocab": str(files[0]), "merges": str(files[1]), "pre": pre}
    return _Source(files, request, notes)


def _missing(folder: ModelFolder, present: list[str]) -> HearthError:
    if present:
        other = MERGES if present == [VOCABULARY] else VOCABULARY
        return CheckpointError(
            f"The folder {folder.path.name} has {present[0]} without {other}, and no "
            "tokenizer.json.",
            ADD,
        )
    for name in sorted(model_folder.names_in(folder.path)):
        for end, what in OTHERS.items():
            if name.endswith(end):
                return UnsupportedError(
                    f"The folder {folder.path.name} has no tokenizer.json; its vocabulary is "
                    f"{what}.",
                    ADD,
                )
    return CheckpointError(
        f"The folder {folder.path.name} has no tokenizer.json.",
        "Download tokenizer.json and tokenizer_config.json into it.",
    )
