"""The CUDA kernels of weights in blocks (blocks.cu), for each mixture of formats."""

from __future__ import annotations

import ctypes
import functools
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor

from engine.device import nvrtc
from engine.errors import reason
from engine.formats.codes import GROUP
from engine.formats.format import Format
from engine.formats.registry import FORMATS
from engine.kernels import cpu
from engine.kernels.activations import number_of
from engine.kernels.prologue import Norm

SOURCE: Final = Path(__file__).with_name("blocks.cu")
ELEMENTS: Final = {torch.bfloat16: 0, torch.float16: 1}
MOST_PARTS: Final = 3
MOST_PLANES: Final = 4
SHARED_A_GROUP: Final = 80
"""Bytes of shared memory that a group of a row of x takes."""


_log = logging.getLogger(__name__)


class Shape(NamedTuple):
    """How the work of a product is shared out."""

    rows: int
    """Of the weight, that a warp computes at a time; even if they are gate and up."""
    warps: int
    """A block of threads."""
    ahead: int
    """Groups of a row that a lane loads before it computes."""
    blocks: int
    """Blocks of threads that a multiprocessor is to hold at the same time."""


OF_ONE_ROW: Final = Shape(2, 8, 2, 2)
"""The best of ten for an 8B model in Q4_K_M on an H200: 511 tokens/s, the others 354 to 481."""
OF_SEVERAL_ROWS: Final = Shape(2, 8, 1, 2)
"""For several rows of x, whose sums take registers."""
TOGETHER: Final = (4, 2, 1)
"""Rows of x in one launch: from eight on the sums wait for each other."""


def shape_for(tokens: int) -> Shape:
    return OF_ONE_ROW if tokens == 1 else OF_SEVERAL_ROWS


class Wanted(NamedTuple):
    """A product that will be computed."""

    forms: tuple[Format, ...]
    tokens: int
    """Rows of x in a launch."""


class _Part(ctypes.Structure):
    _fields_ = (
        ("planes", ctypes.c_void_p * MOST_PLANES),
        ("rows", ctypes.c_int),
        ("begin", ctypes.c_int),
    )


class Planes:
    """A part of a weight: rows in one format, whose planes stay where they are."""

    def __init__(self, form: Format, planes: Sequence[Tensor], rows: int, begin: int = 0) -> None:
        """`rows` are those of one expert, if there are several; `begin` is the first of them in the
        weight."""
        self.form = form
        self.planes = tuple(planes)
        self.rows = rows
        addresses = [plane.data_ptr() for plane in self.planes]
        missing = [None] * (MOST_PLANES - len(addresses))
        self.native = _Part((ctypes.c_void_p * MOST_PLANES)(*addresses, *missing), rows, begin)


class _Call(ctypes.Structure):
    _fields_ = (
        ("parts", _Part * MOST_PARTS),
        *((name, ctypes.c_void_p) for name in ("x", "norm", "bias", "residual", "out", "experts")),
        *((name, ctypes.c_int64) for name in ("x_stride", "out_stride")),
        *(
            (name, ctypes.c_int)
            for name in (
                "columns",
                "rows",
                "blocks0",
                "blocks1",
                "repeats",
                "tokens",
                "activation",
            )
        ),
        ("epsilon", ctypes.c_float),
        ("offset", ctypes.c_float),
    )


@functools.cache
def source() -> bytes:
    return SOURCE.read_bytes()


def type_of(form: Format) -> str:
    """The type of blocks.cu that reads a format."""
    return f"Format<Codes{form.bits},{form.cuda},{form.scales.cuda}>"


def product_defines(
    forms: Sequence[Format], shape: Shape, tokens: int, dtype: torch.dtype
) -> tuple[str, ...]:
    types = (f"F{i}={type_of(form)}" for i, form in enumerate(forms))
    sizes = f"PER_WARP={shape.rows}", f"WARPS={shape.warps}", f"AHEAD={shape.ahead}"
    return (
        "GEMV",
        f"ELEMENT={ELEMENTS[dtype]}",
        *types,
        *sizes,
        f"BLOCKS={shape.blocks}",
        f"TOKENS={tokens}",
    )


def value_defines(form: Format, dtype: torch.dtype) -> tuple[str, ...]:
    return "VALUES", f"ELEMENT={ELEMENTS[dtype]}", f"F0={type_of(form)}"


@functools.cache
def _product_kernel(
    names: tuple[Format, ...], shape: Shape, tokens: int, dtype: torch.dtype, device: torch.device
) -> nvrtc.Kernel:
    return nvrtc.compiled(source(), "gemv", product_defines(names, shape, tokens, dtype), device)


@functools.cache
def values_kernel(form: Format, dtype: torch.dtype, device: torch.device) -> nvrtc.Kernel:
    return nvrtc.compiled(source(), "values", value_defines(form, dtype), device)


@functools.cache
def _multiprocessors(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def rows_together(columns: int, device: torch.device) -> int:
    """Rows of x that one launch takes: 0 if a block's shared memory cannot hold one."""
    properties = torch.cuda.get_device_properties(device)
    most = getattr(properties, "shared_memory_per_block_optin", properties.shared_memory_per_block)
    fits = int(most) // (columns // GROUP * SHARED_A_GROUP)
    return next((count for count in TOGETHER if count <= fits), 0)


def prepare(wanted: Iterable[Wanted], dtype: torch.dtype, device: torch.device) -> None:
    """Compiles what is not in the user's cache, on all cores. Raises nvrtc.CudaError."""
    defines = {
        product_defines(one.forms, shape_for(one.tokens), one.tokens, dtype) for one in wanted
    }
    defines |= {value_defines(form, dtype) for one in wanted for form in one.forms}
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(lambda each: nvrtc.image(source(), each, device), defines):
            pass


def product(
    x: Tensor,
    parts: Sequence[Planes],
    out: Tensor,
    *,
    norm: Norm | None = None,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    activation: str = "",
    experts: Tensor | None = None,
) -> None:
    """out = norm(x) times the weight, plus bias and residual, or the activated gate times up.

    x [tokens, columns], out and residual [tokens, rows], bias [rows]; with `activation` the first
    half of the rows are gates, and out has half as many. With `experts` int64 [slots] the parts
    hold several weights, x is [slots or 1, columns] and out [slots, rows]. All in x's dtype.
    """
    columns, tokens = x.shape[-1], x.shape[0]
    slots = 1 if experts is None else experts.shape[0]
    count = 1 if experts is not None else tokens
    compiled_for = 1 if count == 1 else rows_together(columns, x.device)
    forms = tuple(part.form for part in parts)
    multiprocessors = _multiprocessors(x.device)
    shape = shape_for(count)
    kernel = _product_kernel(forms, shape, compiled_for, x.dtype, x.device)
    shared = columns // GROUP * SHARED_A_GROUP * compiled_for
    threads = shape.warps * 32
    kernel.allow_shared(shared)
    rows_a_warp = shape.rows // 2 if activation else shape.rows
    of_parts = [part.rows // (2 if activation else 1) for part in parts]
    warps = [-(-rows // (rows_a_warp * shape.warps)) for rows in of_parts]
    at_once = multiprocessors * shape.blocks
    repeats = max(1, -(-sum(warps) * slots // at_once))
    blocks = [-(-one // repeats) for one in warps]
    call = _Call(
        parts=tuple(part.native for part in parts),
        x=x.data_ptr(),
        norm=_address(None if norm is None else norm.weight),
        bias=_address(bias),
        residual=_address(residual),
        out=out.data_ptr(),
        experts=_address(experts),
        x_stride=0 if experts is not None and tokens == 1 else x.stride(0),
        out_stride=out.stride(0),
        columns=columns,
        rows=sum(part.rows for part in parts),
        blocks0=blocks[0],
        blocks1=sum(blocks[:2]),
        repeats=repeats,
        tokens=count,
        activation=number_of(activation),
        epsilon=norm.epsilon if norm else 0.0,
        offset=norm.offset if norm else 0.0,
    )
    kernel.launch((sum(blocks), slots), threads, shared, call)


def values(part: Planes, out: Tensor, ids: Tensor | None = None) -> None:
    """out [rows, columns], in bfloat16 or float16: the values of the part's rows, or of the rows
    `ids` int64 of it."""
    groups = out.shape[1] // GROUP
    kernel = values_kernel(part.form, out.dtype, out.device)
    threads = 256
    grid = -(-out.shape[0] * groups // threads)
    arguments = (
        part.native,
        ctypes.c_void_p(out.data_ptr()),
        ctypes.c_void_p(_address(ids)),
        ctypes.c_int64(out.shape[0]),
        ctypes.c_int(groups),
    )
    kernel.launch((grid, 1), threads, 0, *arguments)


def run_on(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether there are kernels for the device and for activations of `dtype`."""
    if device.type == "cpu":
        return dtype in cpu.ELEMENTS and cpu.library() is not None
    return device.type == "cuda" and dtype in ELEMENTS and _compiles(device, dtype)


@functools.cache
def _compiles(device: torch.device, dtype: torch.dtype) -> bool:
    """Tries one kernel: NVRTC may be missing, or the driver older than it."""
    try:
        values_kernel(FORMATS["Q8_0"], dtype, device)
    except Exception as error:  # noqa: BLE001 - of the driver, of ctypes for a missing library
        _log.warning("weights in blocks are written out: %s", reason(error))
        return False
    return True
