"""Opens a checkpoint, whichever of the two formats it has."""

from __future__ import annotations

from pathlib import Path

import torch

from engine.errors import CheckpointError
from engine.formats.format import Format
from engine.loading import model_paths
from engine.loading.assembly import Planned, Progress, anything
from engine.loading.checkpoint import Checkpoint
from engine.loading.gguf import file as gguf_file
from engine.loading.safetensors import folder as safetensors_folder


def load(
    path: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress,
    planned: Planned = anything,
    rest: Format | None = None,
) -> Checkpoint:
    """Loads a GGUF file, or a folder with config.json and safetensors, or with one GGUF model.

    `rest` is the format to which matrices are quantised that are in no blocks yet, None to leave
    them in `dtype`. `progress(stage, done, total)` has bytes; stage is "converting" or "weights".
    `planned`: as in `assembly.assemble`.

    Raises CheckpointError, UnsupportedError, StorageError or OutOfMemoryError, and what `planned`
    raises.
    """
    if not path.exists():
        raise CheckpointError(f"There is no file or folder {path}.", "Choose another model.")
    path = model_paths.meant(path)
    opened = safetensors_folder.load if path.is_dir() else gguf_file.load
    return opened(
        path,
        device=device,
        dtype=dtype,
        progress=progress,
        rest=rest,
        planned=planned,
    )
