"""Weights in pickle files, which run code when they are opened: told apart, never opened."""

from __future__ import annotations

from typing import Final

from engine.errors import CheckpointError

SUFFIXES: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def refusal(where: str) -> CheckpointError:
    """`where` begins a sentence: the folder or file with the pickles."""
    return CheckpointError(
        f"{where} has its weights in pickle files. Pickle files can run code.",
        "Use safetensors: download the model in that format, or as a .gguf file.",
    )
