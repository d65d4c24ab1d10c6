"""Tokens that stand beside tokenizer.json: in tokenizer_config.json, and in files of before 2024.

As transformers' AutoTokenizer reads them. Imports neither torch nor transformers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tokenizers import AddedToken, Tokenizer

from engine.errors import CheckpointError, shown
from engine.loading.families import Config
from engine.loading.safetensors import model_folder
from engine.loading.sandbox import encoding

NAMED: Final = (
    "bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token",
)  # fmt: skip
DECODER: Final = "added_tokens_decoder"
LISTS: Final = ("additional_special_tokens", "extra_special_tokens")
FLAGS: Final = ("single_word", "lstrip", "rstrip", "normalized", "special")


def settings(folder: Path) -> Config:
    """tokenizer_config.json; with special_tokens_map.json unless it lists added tokens itself."""
    found = _json(folder / "tokenizer_config.json")
    return found if DECODER in found else {**found, **_json(folder / "special_tokens_map.json")}


def spelling(token: object) -> str:
    """Written as a string, or as an object with its content."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else ""


def add(tokenizer: Tokenizer, folder: Path) -> None:
    """Adds the tokens of the files in `folder`.

    Raises CheckpointError for what is no token, ValueError for more of them than a text can be
    searched for.
    """
    said = settings(folder)
    listed = [token for _, token in sorted(_listed(said), key=lambda pair: pair[0])]
    special = {spelling(said.get(name)) for name in NAMED} | set(_special(said))
    listed += _of_old(folder, special) if DECODER not in said else []
    encoding.check_added([token.content for token in listed])
    tokenizer.add_tokens(listed)
    known = [
        token for token in sorted(special) if token and tokenizer.token_to_id(token) is not None
    ]
    added = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in known if token not in added]
    )


def _listed(said: Config) -> Iterator[tuple[int, AddedToken]]:
    listed = said.get(DECODER, {})
    if not isinstance(listed, dict):
        raise _damaged(listed)
    for index, token in listed.items():
        if not index.isdecimal() or not isinstance(token, dict) or not spelling(token):
            raise _damaged(token)
        flags = {flag: token[flag] for flag in FLAGS if isinstance(token.get(flag), bool)}
        yield int(index[:12]), AddedToken(spelling(token), **flags)


def _special(said: Config) -> Iterator[str]:
    for name in LISTS:
        listed = said.get(name) or []
        values = listed.values() if isinstance(listed, dict) else listed
        yield from map(spelling, values if isinstance(listed, dict | list) else ())


def _of_old(folder: Path, special: set[str]) -> list[AddedToken]:
    """Of added_tokens.json: spelling -> id."""
    found = _json(folder / "added_tokens.json")
    ids = {token: index for token, index in found.items() if token and isinstance(index, int)}
    return [
        AddedToken(token, normalized=token not in special, special=token in special)
        for token in sorted(ids, key=lambda token: ids[token])
    ]


def _json(path: Path) -> Config:
    return model_folder.read_json(path) if model_folder.exists(path) else {}


def _damaged(token: Any) -> CheckpointError:
    return CheckpointError(f"tokenizer_config.json is damaged: {shown(token)} is no added token.")
