"""What this machine is to attention, frozen, so that any machine can be tested without it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from typing import TypeAlias

import torch

from engine.device import cpp

TorchDevice: TypeAlias = torch.device
MINIMUM_CAPABILITY = (8, 0)
"""Compute capability from which on there are flash attention and bfloat16."""


@dataclass(frozen=True)
class DeviceFacts:
    kind: str
    """cuda, mps or cpu."""
    name: str
    capability: tuple[int, int] | None = None
    """CUDA compute capability; None elsewhere."""
    rocm: bool = False
    flash_attn: str = ""
    """Version of the flash-attn package, empty when it does not import."""
    torch_flash: bool = False
    """Whether this torch build carries its own CUDA flash kernel."""
    torch: str = ""
    triton: str = ""
    """Version of Triton, which Hearth's own kernels are written in; empty where there is none."""
    cpp: bool = False
    """Whether Hearth's C++ kernels for the CPU are built, or can be."""
    index: int = 0
    """Which of its kind."""

    @property
    def device(self) -> TorchDevice:
        if self.kind == "cuda":
            return TorchDevice(self.kind, self.index)
        return TorchDevice(self.kind)


def current() -> DeviceFacts:
    """The device that Hearth uses here: torch's current CUDA GPU, else MPS, else the CPU."""
    if torch.cuda.is_available():
        index = torch.cuda.current_device()
        return DeviceFacts(
            kind="cuda",
            index=index,
            name=torch.cuda.get_device_name(index),
            capability=torch.cuda.get_device_capability(index),
            rocm=torch.version.hip is not None,
            flash_attn=flash_attn_version(),
            torch_flash=torch.backends.cuda.is_flash_attention_available(),
            torch=str(torch.__version__),
            triton=triton_version(),
        )
    if torch.backends.mps.is_available():
        return DeviceFacts(kind="mps", name="Apple GPU", torch=str(torch.__version__))
    return DeviceFacts(kind="cpu", name="CPU", torch=str(torch.__version__), cpp=cpp.at_hand())


def flash_attn_version() -> str:
    """Version of the importable flash-attn package; empty when absent or when its import fails.

    A wheel built for another torch or CUDA fails at import with ImportError or OSError.
    """
    if importlib.util.find_spec("flash_attn") is None:
        return ""
    try:
        import flash_attn
    except (ImportError, OSError):
        return ""
    return str(getattr(flash_attn, "__version__", "")) or importlib.metadata.version("flash-attn")


def triton_version() -> str:
    """Empty on Windows, for which torch brings none."""
    try:
        import triton
    except ImportError:
        return ""
    return str(getattr(triton, "__version__", ""))


def native_dtype(facts: DeviceFacts) -> torch.dtype:
    """bfloat16 where the device computes in it (the fastest on CPU, measured), else float16."""
    old = facts.kind == "cuda" and (facts.capability or (0, 0)) < MINIMUM_CAPABILITY
    return torch.float16 if old else torch.bfloat16
