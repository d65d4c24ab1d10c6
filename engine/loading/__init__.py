"""From files to a model that runs: checkpoints are data, and every number in them is checked."""

from __future__ import annotations

from pathlib import Path

import torch

from engine.errors import CheckpointError
from engine.loading import gguf_file
from engine.loading.assembly import Progress
from engine.loading.checkpoint import Checkpoint, GenerationDefaults
from engine.loading.template import encode_chat

__all__ = ["Checkpoint", "GenerationDefaults", "encode_chat", "load"]


def load(
    path: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    attn_implementation: str,
    progress: Progress,
) -> Checkpoint:
    """Loads a GGUF file.

    `progress(stage, done, total)` has bytes; stage is "converting" or "weights". Raises
    CheckpointError, UnsupportedError, StorageError or OutOfMemoryError.
    """
    if not path.exists():
        raise CheckpointError(f"There is no file or folder {path}.", "Choose another model.")
    return gguf_file.load(
        path,
        device=device,
        dtype=dtype,
        attn_implementation=attn_implementation,
        progress=progress,
    )
