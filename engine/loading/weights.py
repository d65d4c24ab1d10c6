"""A weight on its way into a model: what GGUF and safetensors have in common."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Weight(NamedTuple):
    name: str
    """As transformers' state dict has it."""
    tensor: torch.Tensor
    size: int
    """Bytes in the file, for progress."""
