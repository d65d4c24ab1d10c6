"""Compiles the kernels of weights in blocks for GPUs that are not here, and says what they take.

python -m tests.programs.compile_blocks --nvrtc LIBNVRTC [--architectures sm_75,sm_80,...]

Needs NVRTC's library (in CUDA, in torch's CUDA builds, or in the package nvidia-cuda-nvrtc) and no
GPU. Prints registers and spilled bytes of each kernel; ends with 1 if one does not compile.
"""

from __future__ import annotations

import argparse
import ctypes
import re
import sys
from typing import Any, Final

import torch

from engine.device import nvrtc
from engine.formats.format import Format
from engine.formats.registry import FORMATS
from engine.kernels import blocks

ARCHITECTURES: Final = "sm_75,sm_80,sm_86,sm_89,sm_90,sm_100,sm_120"
USED: Final = re.compile(r"Used (\d+) registers")
SPILLED: Final = re.compile(r"(\d+) bytes spill stores")


def kernels(form: Format) -> dict[str, tuple[str, ...]]:
    """Defines of each kernel of a format, by what to call it."""
    found = {"values": blocks.value_defines(form, torch.bfloat16)}
    for tokens in (1, 4):
        shape = blocks.shape_for(tokens)
        name = f"product of {tokens}, {tuple(shape)}"
        found[name] = blocks.product_defines([form], shape, tokens, torch.bfloat16)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nvrtc", required=True, help="path of libnvrtc.so or nvrtc64_*.dll")
    parser.add_argument("--architectures", default=ARCHITECTURES)
    given = parser.parse_args()
    library: Any = ctypes.CDLL(given.nvrtc)
    failed = 0
    for architecture in given.architectures.split(","):
        for form in FORMATS.values():
            for name, defines in kernels(form).items():
                options = [
                    f"--gpu-architecture={architecture}",
                    "--std=c++17",
                    "--ptxas-options=-v",
                    *(f"-D{define}" for define in defines),
                ]
                try:
                    _, log = nvrtc.compiled_by(library, blocks.source(), options)
                except nvrtc.CudaError as error:
                    failed += 1
                    print(f"{architecture} {form.name} {name}: {error}")
                    continue
                used, spilled = USED.findall(log), SPILLED.findall(log)
                print(f"{architecture} {form.name} {name}: {used} registers, {spilled} spilled")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
