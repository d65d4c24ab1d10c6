"""What a decoder computes on the CPU by Hearth's own C++ (cpu.cpp), for few rows of activations.

As a module it is to the CPU what engine.kernels.gemv is to a GPU. Each call is a structure of
addresses; those of a step of one token can be recorded, and run again as one.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.profiler import record_function

from engine.device import cpp
from engine.errors import HearthError, reason
from engine.formats.format import Format
from engine.kernels.activations import number_of
from engine.kernels.prologue import Norm
from engine.kernels.rows import lined_up

ELEMENTS: Final = {torch.bfloat16: 0, torch.float16: 1, torch.float32: 2}
MOST_PARTS: Final = 3
COLUMNS: Final = 32
"""Columns of a weight are a multiple of so many, and sizes of norms and heads of `LANES`."""
LANES: Final = 8
FUNCTIONS: Final = ("product", "many", "values", "norm", "gated", "rope", "attend")

ATTENTION: Final = "hearth_attend"
"""What a profile calls one token's attention, or a recorded step."""

_log = logging.getLogger(__name__)


def _structure(**types: str) -> tuple[tuple[str, Any], ...]:
    """Fields of C types, each of so many names: "x out" are two."""
    known = {
        "addresses": ctypes.c_void_p,
        "longs": ctypes.c_int64,
        "ints": ctypes.c_int32,
        "floats": ctypes.c_float,
    }
    return tuple((name, known[kind]) for kind, names in types.items() for name in names.split())


class _Part(ctypes.Structure):
    _fields_ = (("planes", ctypes.c_void_p * 4), *_structure(ints="format rows begin unused"))


class InPlanes(NamedTuple):
    """A part of a weight: rows in one format."""

    form: Format
    planes: Sequence[Tensor]
    rows: int
    """Of one expert, if there are several."""
    begin: int = 0
    """Its first row in the weight."""


class Weight(ctypes.Structure):
    """Addresses of a weight, which outlives it."""

    _fields_ = (
        ("parts", _Part * MOST_PARTS),
        *_structure(ints="count columns rows dense"),
        ("bias", ctypes.c_void_p),
    )


class _Product(ctypes.Structure):
    _fields_ = _structure(
        addresses="weight x norm residual out",
        longs="x_stride",
        ints="element exact tokens activation expert",
        floats="epsilon offset",
    )


class _Values(ctypes.Structure):
    _fields_ = _structure(addresses="weight ids out", longs="first rows", ints="element unused")


class _Norm(ctypes.Structure):
    _fields_ = _structure(
        addresses="x weight residual out",
        longs="rows inner outer_stride inner_stride",
        ints="element columns",
        floats="epsilon offset",
    )


class _Gated(ctypes.Structure):
    _fields_ = _structure(addresses="both out", longs="rows", ints="element size activation unused")


class _Rope(ctypes.Structure):
    _fields_ = _structure(
        addresses="x cosine sine out",
        longs="tokens token_stride head_stride angle_stride",
        ints="element heads size half",
    )


class Attention(ctypes.Structure):
    """What one token attends with."""

    _fields_ = _structure(
        addresses="query key value keys values query_norm key_norm cosine sine sinks out",
        longs="start",
        ints="element heads kv_heads size value_size half window unused",
        floats="scale softcap epsilon offset",
    )


class _Call(ctypes.Structure):
    _fields_ = _structure(addresses="function of")


class Recorded:
    """Calls that can be run again, as one, on what lies then at the same addresses."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        """Structures and weights that the calls point to."""
        self.attentions: list[Attention] = []
        self._calls: list[_Call] = []

    def add(self, name: str, call: ctypes.Structure, weight: Weight | None) -> None:
        function = ctypes.cast(getattr(library(), f"hearth_{name}"), ctypes.c_void_p).value
        self.kept += [call, weight]
        self._calls.append(_Call(function, ctypes.addressof(call)))
        if isinstance(call, Attention):
            self.attentions.append(call)

    @functools.cached_property
    def _table(self) -> Any:
        return (_Call * len(self._calls))(*self._calls)

    def run(self, start: int) -> None:
        """As a token at position `start`."""
        for call in self.attentions:
            call.start = start
        with _seen():
            library().hearth_run(self._table, len(self._calls), _all())


_recording: list[Recorded] = []
_one_at_a_time: Final = threading.Lock()


@contextmanager
def recording() -> Iterator[Recorded]:
    """Notes the calls that are made meanwhile, by the one thread that runs models."""
    noted = Recorded()
    _recording.append(noted)
    try:
        yield noted
    finally:
        _recording.pop()


def library() -> Any:
    """The functions of cpu.cpp, or None if they are not built and no compiler builds them.

    The first call may take as long as a compiler: others wait for it.
    """
    with _one_at_a_time:
        return _library()


@functools.cache
def _library() -> Any:
    try:
        found = cpp.library()
    except (cpp.CompilerError, HearthError, OSError) as error:
        _log.info("Hearth's C++ kernels are not used: %s", reason(error))
        return None
    for name in FUNCTIONS:
        function = getattr(found, f"hearth_{name}")
        function.argtypes, function.restype = (ctypes.c_void_p, ctypes.c_int), None
    found.hearth_run.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
    found.hearth_run.restype = None
    found.hearth_format.argtypes = (ctypes.c_char_p,)
    return found


def _run(name: str, call: ctypes.Structure, threads: int, weight: Weight | None = None) -> None:
    if _recording:
        _recording[-1].add(name, call, weight)
    getattr(library(), f"hearth_{name}")(ctypes.addressof(call), threads)


def plain(weight: Tensor, bias: Tensor | None) -> Weight:
    """Of plain numbers [rows, columns]."""
    rows, columns = weight.shape
    return _plain(weight.data_ptr(), address(bias), rows, columns, ELEMENTS[weight.dtype])


@functools.lru_cache(maxsize=1 << 14)
def _plain(at: int, bias: int | None, rows: int, columns: int, element: int) -> Weight:
    part = _Part((at, None, None, None), element, rows, 0)
    return Weight((part,), 1, columns, rows, 1, bias)


def in_blocks(parts: Sequence[InPlanes], columns: int, bias: Tensor | None) -> Weight:
    """Of planes that lie one row behind another. Raises ValueError for planes that do not."""
    made = []
    for part in parts:
        if not all(plane.is_contiguous() for plane in part.planes):
            raise ValueError("a plane's rows do not lie one behind another")
        pointers = tuple(plane.data_ptr() for plane in part.planes)
        number = library().hearth_format(part.form.name.encode())
        made.append(_Part(pointers, number, part.rows, part.begin))
    rows = sum(part.rows for part in parts)
    return Weight(tuple(made), len(made), columns, rows, 0, address(bias))


def address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def product(
    weight: Weight,
    x: Tensor,
    out: Tensor,
    *,
    norm: Norm | None = None,
    residual: Tensor | None = None,
    activation: str = "",
    expert: int = 0,
) -> None:
    """out = norm(x) times the weight, plus its bias and residual, or the activated gate times up.

    x [tokens, columns], out and residual [tokens, rows], one row behind another; with `activation`
    the first half of the rows are gates, and out has half as many. All in x's dtype, but that out
    may be float32.
    """
    _run("product", _product(weight, x, out, norm, residual, activation, expert), _all(), weight)


def many(weight: Weight, x: Tensor, out: Tensor, expert: int = 0) -> None:
    """As `product` of a weight in blocks, for many rows: the product alone."""
    _run("many", _product(weight, x, out, None, None, "", expert), _all(), weight)


def _product(
    weight: Weight,
    x: Tensor,
    out: Tensor,
    norm: Norm | None,
    residual: Tensor | None,
    activation: str,
    expert: int,
) -> _Product:
    rows = weight.rows // 2 if activation else weight.rows
    if x.shape[1] != weight.columns or out.shape != (x.shape[0], rows):
        raise ValueError(f"x {list(x.shape)} times {weight.rows} rows is not {list(out.shape)}")
    return _Product(
        ctypes.addressof(weight),
        x.data_ptr(),
        None if norm is None else norm.weight.data_ptr(),
        None if residual is None else residual.data_ptr(),
        out.data_ptr(),
        x.stride(0),
        ELEMENTS[x.dtype],
        out.dtype == torch.float32,
        x.shape[0],
        number_of(activation),
        expert,
        0.0 if norm is None else norm.epsilon,
        0.0 if norm is None else norm.offset,
    )


def _all() -> int:
    return torch.get_num_threads()


def values(
    part: InPlanes, columns: int, out: Tensor, first: int, ids: Tensor | None = None
) -> None:
    """out [rows, columns]: values of rows from `first` on of the part, or of rows `ids` int64."""
    weight = in_blocks([part], columns, None)
    call = _Values(
        ctypes.addressof(weight),
        address(ids),
        out.data_ptr(),
        first,
        out.shape[0],
        ELEMENTS[out.dtype],
    )
    _run("values", call, _all(), weight)


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    before: Norm | None = None,
    residual: Tensor | None = None,
) -> Tensor:
    """As engine.kernels.gemv.linear, of one row or a few."""
    out = x.new_empty((x.shape[0], weight.shape[0]))
    product(plain(weight, bias), x, out, norm=before, residual=residual)
    return out


def gate_up(x: Tensor, weight: Tensor, activation: str, before: Norm | None = None) -> Tensor:
    """As engine.kernels.gemv.gate_up, of one row or a few."""
    out = x.new_empty((x.shape[0], weight.shape[0] // 2))
    product(plain(weight, None), x, out, norm=before, activation=activation)
    return out


def gated(both: Tensor, activation: str) -> Tensor:
    """both [..., 2 x size], gates first: activation(gate) times up, [..., size]."""
    size = both.shape[-1] // 2
    out = both.new_empty((*both.shape[:-1], size))
    both = both.contiguous()
    rows, element = out.numel() // size, ELEMENTS[both.dtype]
    call = _Gated(both.data_ptr(), out.data_ptr(), rows, element, size, number_of(activation))
    _run("gated", call, _all())
    return out


def norm(x: Tensor, by: Norm, residual: Tensor | None = None) -> Tensor:
    """As engine.kernels.elementwise.norm."""
    columns = by.weight.shape[0]
    out = x.new_empty(x.shape)
    rows = x.numel() // columns
    x, inner, outer_stride, inner_stride = lined_up(x)
    residual = None if residual is None else residual.contiguous()
    call = _Norm(
        x.data_ptr(),
        by.weight.data_ptr(),
        address(residual),
        out.data_ptr(),
        rows,
        inner,
        outer_stride,
        inner_stride,
        ELEMENTS[x.dtype],
        columns,
        by.epsilon,
        by.offset,
    )
    _run("norm", call, _all())
    return out


def rope(query: Tensor, key: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
    """As engine.kernels.elementwise.rope."""
    return _turned(query, cosine, sine), _turned(key, cosine, sine)


def _turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """x [1, heads, tokens, head size], of the same shape but lying as [1, tokens, heads, size]."""
    heads, tokens, size = x.shape[1:]
    out = x.new_empty(1, tokens, heads, size)
    call = _Rope(
        x.data_ptr(),
        cosine.data_ptr(),
        sine.data_ptr(),
        out.data_ptr(),
        tokens,
        x.stride(2),
        x.stride(1),
        cosine.stride(1),
        ELEMENTS[x.dtype],
        heads,
        size,
        cosine.shape[-1] // 2,
    )
    _run("rope", call, _all())
    return out.transpose(1, 2)


def attend(call: Attention) -> None:
    """One token's attention (engine.attention.cpp_decode)."""
    with _seen():
        _run("attend", call, _all())


def _seen() -> AbstractContextManager[Any]:
    """Shows a profiler, if one runs, what it cannot see."""
    profiled = torch._C._autograd._profiler_enabled()  # noqa: SLF001 - it has no public name
    return record_function(ATTENTION) if profiled else nullcontext()


def is_best_for_many() -> bool:
    """Whether `many` is faster than torch's product with the values: 75 GFLOP/s a core with AVX2
    where float32 has 65 before anything is written out, but not where bfloat16 has 300."""
    return cpp.level() == cpp.WIDEST and not computes_in_bfloat16()


@functools.cache
def computes_in_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself: many rows take seven times as long where it
    does not as in float32 (two cores with AVX2)."""
    has: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(has.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
