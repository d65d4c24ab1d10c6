"""Compiles the kernels of a model's weights in blocks, and checks them before they are used."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final

import torch

from engine.device import memory
from engine.errors import reason
from engine.formats.format import Format
from engine.kernels import blocks as kernels
from engine.kernels.blocks import Wanted
from engine.modeling.blocks import InBlocks, Part
from engine.modeling.decoder import Decoder
from engine.modeling.linear import Linear
from engine.modeling.moe import Mixture, StackInBlocks

CHECKED_ROWS: Final = 64
MOST_WRONG: Final = 0.01
"""Relative: a result in bfloat16 is 0.002 off, and 16-bit activations less."""

_log = logging.getLogger(__name__)


def wrong(model: Decoder) -> dict[Format, str]:
    """The formats whose kernels fail here, or disagree with gguf's own values, and why.

    Raises what says that memory is used up.
    """
    found: dict[Format, str] = {}
    examples = {p.form: p for p in model.in_blocks()}
    if not examples:
        return found
    device = next(iter(examples.values())).planes[0].device
    if not kernels.run_on(device, model.dtype):
        return found
    try:
        if device.type == "cuda":
            kernels.prepare(list(_wanted(model)), model.dtype, device)
    except Exception as fault:  # noqa: BLE001 - the compiler's, the driver's or ctypes' own
        return dict.fromkeys(examples, reason(fault))
    if device.type == "cuda":
        torch.cuda.synchronize()  # a launch that begins early reads its weight at once
    for form, part in examples.items():
        try:
            error = _error(part, model.dtype)
        except Exception as fault:
            if memory.is_used_up(fault):
                raise
            found[form] = reason(fault)
            continue
        if not error <= MOST_WRONG:
            found[form] = f"its kernel is {error:.3g} off"
    for form, why in found.items():
        _log.warning("weights in %s are written out: %s", form.name, why)
    return found


def _wanted(model: Decoder) -> Iterator[Wanted]:
    for part in model.everything():
        if isinstance(part, Linear) and isinstance(part.weights, InBlocks):
            weights = part.weights
            device = weights.parts[0].planes[0].device
            for tokens in {1, kernels.rows_together(weights.columns, device)} - {0}:
                yield Wanted(_forms(weights), tokens)
        elif isinstance(part, Mixture):
            for stack in (part.experts.gate_up, part.experts.down):
                if isinstance(stack, StackInBlocks):
                    yield Wanted(_forms(stack.weights), 1)


def _forms(weights: InBlocks) -> tuple[Format, ...]:
    return tuple(part.form for part in weights.parts)


def _error(part: Part, dtype: torch.dtype) -> float:
    """Relative, of a product of some rows; infinite if a value differs by a bit."""
    count = min(CHECKED_ROWS, part.rows)
    planes = [plane[:count] for plane in part.planes]
    few = Part(part.form, count, part.columns, 0)
    few.planes = planes
    exact = part.form.dequantised(planes)
    if not torch.equal(few.values(dtype), exact.to(dtype)):
        return torch.inf
    x = torch.randn(1, part.columns, device=exact.device).to(dtype)
    product = InBlocks([few], dtype, None).row_product(None, x, None, None)
    expected = x.float() @ exact.T
    return float((product.float() - expected).norm() / expected.norm())
