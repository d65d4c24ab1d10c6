"""What a benchmark is asked to measure. Knows no torch, as the command line reads it first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from engine.errors import SettingError

Attention = Literal["flash", "sdpa", "eager"]
ATTENTIONS: Final[tuple[Attention, ...]] = get_args(Attention)
PEER_ATTENTIONS: Final = ("flash_attention_2", "sdpa", "eager")
"""What transformers' generate() is tried with."""
CONTEXTS: Final = {"cuda": (512, 1024, 2048, 4096, 8192), "mps": (512, 1024, 2048)}
CPU_CONTEXTS: Final = (128, 256, 512)
MEMORY_LIMITS: Final = (8, 12, 16, 24)
"""GiB of common GPUs."""
GIB: Final = 1 << 30
ROUNDS: Final = 3
NEW_TOKENS: Final = 128
REPLY_PROMPT: Final = 512
REPLY_TOKENS: Final = 100
"""The reply of the claim: 100 new tokens after a prompt of 512."""
_LLAMA_BENCH: Final = re.compile(r"(?P<binary>(?:[A-Za-z]:[\\/])?[^:]+)(?::(?P<gguf>.+\.gguf))?")
"""A drive's letter is no separator."""


class LlamaBench(msgspec.Struct, frozen=True, kw_only=True):
    binary: str
    gguf: str = ""
    """Empty for the model that is measured, which then must be a GGUF file."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    contexts: tuple[int, ...]
    """Prompt tokens, ascending."""
    attention: tuple[Attention, ...] = ATTENTIONS
    generate: bool = False
    """Whether transformers' generate() is measured beside."""
    memory_limits: tuple[int, ...] = ()
    """GiB, ascending; needs a CUDA GPU."""
    rounds: int = ROUNDS
    new_tokens: int = NEW_TOKENS
    """Decoded behind each context."""


def llama_bench(text: str, model: str) -> LlamaBench:
    """Reads PATH or PATH:GGUF. `model` is the path of the model measured, "" for a shape.

    Raises SettingError for what is no file, or where there is no GGUF file to give it.
    """
    found = _LLAMA_BENCH.fullmatch(text)
    binary, gguf = (found["binary"], found["gguf"] or "") if found else (text, "")
    if not Path(binary).is_file():
        raise SettingError(
            f"There is no file {binary!r} to run as llama-bench.",
            "Give its path: --peer llama-bench=PATH or --peer llama-bench=PATH:MODEL.gguf.",
        )
    gguf = gguf or model
    if not gguf.endswith(".gguf"):
        raise SettingError(
            "llama-bench reads GGUF files, and what is measured is none.",
            "Name one of the same shape: --peer llama-bench=PATH:MODEL.gguf.",
        )
    if not Path(gguf).is_file():
        raise SettingError(f"There is no file {gguf!r} for llama-bench.", "Check its path.")
    return LlamaBench(binary=str(Path(binary).absolute()), gguf=gguf)
