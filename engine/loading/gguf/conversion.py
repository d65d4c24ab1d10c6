"""What a GGUF file says about config and tokenizer, converted once and kept in the cache folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine import folders
from engine.loading import kept_conversions
from engine.loading.families import Config
from engine.loading.gguf import config as gguf_config
from engine.loading.gguf import pretokenizers as gguf_pretokenizers
from engine.loading.gguf.families import GGUF
from engine.loading.gguf.header import GGUFHeader

VERSION: Final = 7
"""Raised when a conversion comes out differently, so that older ones are made again."""
CONFIG: Final = "config.json"
TOKENIZER: Final = "tokenizer.json"
TOKENIZER_CONFIG: Final = "tokenizer_config.json"
FILES: Final = (CONFIG, TOKENIZER, TOKENIZER_CONFIG)


@dataclass(frozen=True)
class Conversion:
    config: Config
    tokenizer_file: Path
    tokenizer_config: Config


def converted(header: GGUFHeader, row: GGUF, begin: Callable[[], None]) -> Conversion:
    """The conversion of this file, made now when there is none; `begin` is called before making it.

    Its files stay where they are for as long as this process runs. Raises StorageError when the
    cache cannot be written, CheckpointError and UnsupportedError for what cannot be converted.
    """

    def make() -> dict[str, bytes]:
        begin()
        return _made(header, row)

    folder = folders.cache() / "gguf" / key(header.paths)
    found = kept_conversions.kept(folder, FILES, make)
    config, tokenizer_config = (json.loads(found[name]) for name in (CONFIG, TOKENIZER_CONFIG))
    return Conversion(config, folder / TOKENIZER, tokenizer_config)


def key(paths: Iterable[Path]) -> str:
    """Names the conversion of the files at `paths`."""
    return kept_conversions.key(str(VERSION), paths)


def _made(header: GGUFHeader, row: GGUF) -> dict[str, bytes]:
    from engine.loading.gguf import tokenizer as gguf_tokenizer

    config = gguf_config.settings(header, row)
    tokenizer = gguf_tokenizer.tokenizer(header)
    files = {
        CONFIG: json.dumps(config),
        # tokenizers' own `save` hides why it failed.
        TOKENIZER: tokenizer.to_str(),
        TOKENIZER_CONFIG: json.dumps(_tokenizer_config(header, config, tokenizer)),
    }
    return {name: file.encode() for name, file in files.items()}


def _tokenizer_config(header: GGUFHeader, config: Config, tokenizer: Any) -> Config:
    spelled = {
        f"{name}_token": tokenizer.id_to_token(config[f"{name}_token_id"])
        for name in gguf_config.TOKENS
        if config[f"{name}_token_id"] is not None
    }
    ends = [gguf_config.token_id(header, name) for name in ("eot", "eom")]
    template = gguf_config.chat_template(header)
    return {
        **spelled,
        "begin_token_id": gguf_pretokenizers.begin_id(header),
        "end_token_ids": ends,
        "chat_template": template,
    }
