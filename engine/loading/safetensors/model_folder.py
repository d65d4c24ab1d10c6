"""A folder with config.json and safetensors: read as data, cleaned, and checked before use.

Imports neither torch nor transformers: the catalog reads folders too.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.errors import CheckpointError, UnsupportedError, shown
from engine.loading import families, pickle_files
from engine.loading.families import Config, Family
from engine.loading.safetensors import header as safetensors_header
from engine.loading.safetensors.header import Header, StoredTensor

MAX_FILE: Final = 64_000_000
"""Bytes; the largest tokenizer.json of the supported families has 34 million."""
MAX_JSON: Final = 4_000_000
"""Bytes of what is read as objects; Gemma 3's tokenizer_config.json has 1.2 million."""
MAX_VALUES: Final = 250_000
"""Of a JSON file, counted by its brackets and commas; Gemma 3's tokenizer_config.json has 60,000.
Lists of nothing would take gigabytes as objects, and seconds."""
MAX_INDEX: Final = 16_000_000
"""Bytes; DeepSeek V3's index has 9 million."""
MAX_FILES: Final = 2000
"""Of weights; DeepSeek V3 has 163."""
CODE_KEYS: Final = ("auto_map", "attn_implementation", "custom_pipelines")
CODE_PREFIX: Final = "_attn_implementation"
"""Keys that make transformers fetch and run code: CVE-2026-4372."""
ADAPTER: Final = "adapter_config.json"
OTHERS: Final = {
    "model_index.json": "a pipeline that makes images or sound (diffusers)",
    "modules.json": "a model that embeds sentences (sentence-transformers)",
    "params.json": "in its maker's own format (params.json), which Hearth does not read; the same "
    "model is published with a config.json too",
}
"""Files by which a folder tells what it is."""
QUANTISED: Final = ("quantization_config", "quantization")
"""Settings of a config.json whose weights are no plain values; the second is MLX's."""
SINGLE: Final = "model.safetensors"
NUMBERED: Final = re.compile(r"model-\d{5}-of-(\d{5})\.safetensors")
INDEX: Final = "model.safetensors.index.json"


@dataclass(frozen=True)
class ModelFolder:
    path: Path
    config: Config
    """Cleaned; of the whole model."""
    family: Family

    @property
    def text_config(self) -> Config:
        """Of the text part, which is all of it unless the model is multimodal."""
        nested = self.config.get("text_config")
        return nested if self.family.text_prefix and isinstance(nested, dict) else self.config

    @cached_property
    def shards(self) -> dict[Path, Header]:
        """By file, every header checked. Raises CheckpointError."""
        return {path: safetensors_header.read(path) for path in self.weights_files()}

    def header_bytes(self) -> int:
        """Bytes of what must be read to know the tensors: headers, and the index if there is one.

        Raises CheckpointError.
        """
        index = self.path / INDEX
        size = index.stat().st_size if exists(index) else 0
        return size + sum(safetensors_header.length(path) for path in self.weights_files())

    def file_bytes(self) -> int:
        """Bytes of the files of weights."""
        return sum(path.stat().st_size for path in self.weights_files())

    def weights_files(self) -> list[Path]:
        """Raises CheckpointError when one is missing."""
        return _shard_paths(self.path)

    @property
    def tensors(self) -> list[StoredTensor]:
        return [tensor for shard in self.shards.values() for tensor in shard.tensors.values()]

    def json(self, name: str) -> Config:
        """A JSON file of the folder, cleaned; empty when there is none."""
        return read_json(self.path / name) if exists(self.path / name) else {}


def open_folder(path: Path) -> ModelFolder:
    """Raises CheckpointError without a config, UnsupportedError for another architecture."""
    config = config_of(path)
    folder = ModelFolder(path, config, families.of_config(config))
    if any(named.get(key) for named in (config, folder.text_config) for key in QUANTISED):
        by_whom = " by MLX" if config.get("quantization") else ""
        raise UnsupportedError(
            f"{path.name} is quantised{by_whom} in a way that Hearth cannot read.",
            "Choose the model's original folder, or a quantised .gguf file.",
        )
    _refuse_pickles(path)
    return folder


def config_of(path: Path) -> Config:
    """The config of the folder at `path`, cleaned. Raises CheckpointError when there is none."""
    if not exists(path / "config.json"):
        _refuse_what_is_no_model(path)
        _refuse_pickles(path)
        raise CheckpointError(
            f"The folder {path.name} has no config.json.",
            "Choose the folder that the model was downloaded to, or a .gguf file.",
        )
    return read_json(path / "config.json")


def read_json(path: Path) -> Config:
    """An object, cleaned of all that asks for code. Raises CheckpointError."""
    content = read_bytes(path, MAX_JSON)
    if sum(map(content.count, (b"[", b"{", b","))) > MAX_VALUES:
        raise CheckpointError(f"{path.name} has too much in it.")
    try:
        found = clean(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name} is damaged: it is no JSON.") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path.name} is damaged: it is no object.")
    return found


def read_bytes(path: Path, largest: int = MAX_FILE) -> bytes:
    """Of a file that is not weights. Raises CheckpointError for one that cannot be read."""
    check_file(path, largest)
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def check_file(path: Path, largest: int = MAX_FILE) -> None:
    """Raises CheckpointError for what is too large, no file of this folder, or no file at all.

    What is no file is not opened: a pipe would be waited on.
    """
    refuse_link(path)
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointError(f"{path.name} is not a file.")
    if status.st_size > largest:
        raise CheckpointError(f"{path.name} is too large.")


def exists(path: Path) -> bool:
    """Raises CheckpointError for what may not be looked at."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(path, error) from error
    return True


def refuse_link(path: Path) -> None:
    """Raises CheckpointError for a file that is a link out of its folder.

    A model is what lies in its folder: another file of the user's is no part of it, and what it
    says could come to stand in a message. huggingface_hub's cache is as good as a folder: there
    models--NAME/snapshots/REVISION/FILE links to models--NAME/blobs/DIGEST.
    """
    folder = Path(os.path.realpath(path.parent))
    allowed = [folder]
    if folder.parent.name == "snapshots" and folder.parts[-3].startswith("models--"):
        allowed.append(folder.parent.parent / "blobs")
    target = Path(os.path.realpath(path))
    if not any(target.is_relative_to(place) for place in allowed):
        raise CheckpointError(
            f"{path.name} is a link to a file outside of the model's folder.",
            "Put the file itself into the folder.",
        )


def unreadable(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be read: {error.strerror}.", "Check the permissions of the file."
    )


def clean(value: Any) -> Any:
    """Without the keys that name code, at every depth, and without what cannot be encoded."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items() if not _names_code(key)}
    if isinstance(value, list):
        return [clean(item) for item in value]
    return value


def _names_code(key: str) -> bool:
    return key in CODE_KEYS or key.startswith(CODE_PREFIX)


def _refuse_what_is_no_model(folder: Path) -> None:
    """Folders that have weights and belong to a model, or to another kind of program."""
    present = names_in(folder)
    if ADAPTER in present:
        base = read_json(folder / ADAPTER).get("base_model_name_or_path")
        of_which = f" for {shown(base)}" if base else ""
        raise UnsupportedError(
            f"{folder.name} is an adapter{of_which}: it changes a model, and is none by itself.",
            "Choose a model that the adapter was merged into (peft: merge_and_unload).",
        )
    for file, what in OTHERS.items():
        if file in present:
            raise UnsupportedError(f"{folder.name} is {what}.", "Choose a language model's folder.")


def _refuse_pickles(folder: Path) -> None:
    """Beside safetensors they are left alone."""
    names = names_in(folder)
    if any(name.endswith(pickle_files.SUFFIXES) for name in names) and not any(
        name.endswith(".safetensors") or name == INDEX for name in names
    ):
        raise pickle_files.refusal(folder.name)


def names_in(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except OSError as error:
        raise unreadable(folder, error) from error


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


def _shard_paths(folder: Path) -> list[Path]:
    """As transformers chooses them; without an index also the files that number themselves."""
    present = names_in(folder)
    if SINGLE in present:
        paths = [folder / SINGLE]
    elif INDEX in present:
        paths = _indexed(folder, present)
    else:
        paths = _numbered(folder, present)
    for path in paths:
        refuse_link(path)
    return paths


def _numbered(folder: Path, present: set[str]) -> list[Path]:
    counts = {int(found[1]) for name in present if (found := NUMBERED.fullmatch(name))}
    if len(counts) == 1 and 0 < (count := counts.pop()) <= MAX_FILES:
        wanted = [f"model-{n:05}-of-{count:05}.safetensors" for n in range(1, count + 1)]
        return _all_here(folder, wanted, present)
    _refuse_what_is_no_model(folder)
    others = sorted(name for name in present if name.endswith(".safetensors"))
    beside = f"; {shown(others[0])} is none of its names for them" if others else ""
    raise CheckpointError(
        f"The folder {folder.name} has no weights (model.safetensors){beside}.",
        "Choose the folder that the model was downloaded to, or a .gguf file.",
    )


def _indexed(folder: Path, present: set[str]) -> list[Path]:
    return _all_here(folder, _named_by_index(folder), present)


def _all_here(folder: Path, names: list[str], present: set[str]) -> list[Path]:
    missing = [name for name in names if name not in present]
    if missing:
        raise CheckpointError(
            f"The folder {folder.name} lacks {len(missing)} of {len(names)} files of weights, "
            f"such as {shown(missing[0])}.",
            "Download the missing files into it.",
        )
    return [folder / name for name in names]


def _named_by_index(folder: Path) -> list[str]:
    content = read_bytes(folder / INDEX, MAX_INDEX).removeprefix(codecs.BOM_UTF8)
    try:
        names = sorted(set(msgspec.json.decode(content, type=_Index).weight_map.values()))
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{INDEX} is damaged: it names no weights.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(f"{INDEX} is damaged: it is no JSON.") from error
    if not names:
        raise CheckpointError(f"{INDEX} is damaged: it names no weights.")
    if len(names) > MAX_FILES:
        raise CheckpointError(f"{INDEX} names {len(names):,} files, which no model has.")
    _check_names(names)
    return names


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        plain = name not in ("", ".", "..") and not set(name) & set("/\\:\0")
        if not plain or not name.endswith(".safetensors"):
            raise CheckpointError(f"{INDEX} names a file that is no part of it: {shown(name)}.")
