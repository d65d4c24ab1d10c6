"""A weight that stays in blocks of small integers, as its file has it (engine/formats).

Few rows of activations are multiplied by Hearth's CUDA or C++ kernels; for many rows the values are
written out for one product, and given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from engine.formats.format import Format
from engine.kernels import blocks as kernels
from engine.kernels import cpu
from engine.kernels.blocks import Planes
from engine.kernels.cpu import InPlanes
from engine.kernels.prologue import Norm

FEW: Final = 16
"""Rows of x up to which a product reads the blocks themselves."""
WRITTEN_OUT: Final = 1 << 22
"""Bytes of values that a CPU writes out at a time: what its caches hold."""


class Part:
    """Rows of a weight in one format; of several experts, those of each one after another."""

    def __init__(self, form: Format, rows: int, columns: int, begin: int, experts: int = 1) -> None:
        """Without memory until `allocate`. `begin` is the first row in the weight."""
        self.form, self.rows, self.columns, self.begin = form, rows, columns, begin
        self.experts = experts
        self.planes: list[Tensor] = []

    def allocate(self, device: torch.device) -> None:
        """Gives the planes their memory, if they have none yet."""
        if not self.planes:
            shapes = self.form.planes(self.rows * self.experts, self.columns)
            self.planes = [torch.empty(s, dtype=d, device=device) for s, d in shapes]

    @cached_property
    def as_planes(self) -> Planes:
        """For the kernels, once the planes have their memory."""
        return Planes(self.form, self.planes, self.rows, self.begin)

    @property
    def in_planes(self) -> InPlanes:
        return InPlanes(self.form, self.planes, self.rows, self.begin)

    def written_out_bytes(self, dtype: torch.dtype) -> int:
        """What the values of all experts take."""
        return self.rows * self.experts * self.columns * dtype.itemsize

    def values(self, dtype: torch.dtype) -> Tensor:
        """[rows of all experts, columns]."""
        if self.planes[0].is_cuda and dtype in kernels.ELEMENTS:
            out = self.planes[0].new_empty((self.rows * self.experts, self.columns), dtype=dtype)
            kernels.values(self.as_planes, out)
            return out
        return self.some_values(0, self.rows * self.experts, dtype)

    def some_values(self, begin: int, end: int, dtype: torch.dtype) -> Tensor:
        """[end - begin, columns]: rows of all experts, one behind another."""
        if _by_cpp(self.planes[0], dtype):
            out = torch.empty((end - begin, self.columns), dtype=dtype)
            cpu.values(self.in_planes, self.columns, out, begin)
            return out
        return self.form.dequantised([plane[begin:end] for plane in self.planes]).to(dtype)

    def values_of(self, rows: Tensor, dtype: torch.dtype) -> Tensor:
        """[n, columns] for rows int64 [n] of the part."""
        if rows.is_cuda and dtype in kernels.ELEMENTS:
            out = torch.empty((rows.shape[0], self.columns), dtype=dtype, device=rows.device)
            kernels.values(self.as_planes, out, rows)
            return out
        if _by_cpp(self.planes[0], dtype):
            out = torch.empty((rows.shape[0], self.columns), dtype=dtype)
            cpu.values(self.in_planes, self.columns, out, 0, rows.contiguous())
            return out
        return self.form.dequantised([plane[rows] for plane in self.planes]).to(dtype)


def _by_cpp(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Whether cpu.cpp computes with a tensor, in `dtype`."""
    return tensor.is_cpu and dtype in cpu.ELEMENTS and cpu.library() is not None


class InBlocks:
    """The format of a weight whose parts are in blocks."""

    def __init__(self, parts: Sequence[Part], dtype: torch.dtype, bias: Tensor | None) -> None:
        """`dtype` is that of activations."""
        self.parts = list(parts)
        self.dtype = dtype
        self.bias = bias
        """[rows]."""

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def columns(self) -> int:
        return self.parts[0].columns

    @property
    def gates_together(self) -> bool:
        """Whether one launch computes gate and up."""
        return len(self.parts) == 1 and self.bias is None

    @property
    def experts(self) -> int:
        return self.parts[0].experts

    def reads_blocks(self, x: Tensor) -> bool:
        """Whether kernels multiply few rows like x with the blocks themselves."""
        if x.is_cuda:
            return kernels.rows_together(self.columns, x.device) > 0
        return _by_cpp(x, x.dtype)

    @cached_property
    def _addresses(self) -> cpu.Weight:
        """For cpu.cpp, once the planes have their memory."""
        return cpu.in_blocks([part.in_planes for part in self.parts], self.columns, self.bias)

    def product(self, x: Tensor) -> Tensor:
        """x [tokens, columns] -> [tokens, rows]."""
        if x.shape[0] <= FEW and self.reads_blocks(x):
            return self._few(x, None, None)
        if x.is_cpu:
            out = self._many(x)
        elif len(self.parts) == 1:
            return functional.linear(x, self.parts[0].values(self.dtype), self.bias)
        else:
            out = torch.cat([functional.linear(x, p.values(self.dtype)) for p in self.parts], -1)
        return out if self.bias is None else out + self.bias

    def _many(self, x: Tensor, expert: int = 0) -> Tensor:
        """Without the bias, on the CPU: by cpu.cpp's integers, or torch's product with some rows of
        the weight at a time, in float32 unless the processor multiplies bfloat16 itself."""
        if _by_cpp(x, x.dtype) and cpu.is_best_for_many():
            found = x.new_empty((x.shape[0], self.rows))
            cpu.many(self._addresses, x.contiguous(), found, expert)
            return found
        exact = x if cpu.computes_in_bfloat16() else x.float()
        out = exact.new_empty((x.shape[0], self.rows))
        step = max(1, WRITTEN_OUT // (self.columns * exact.element_size()))
        for part in self.parts:
            first = expert * part.rows
            for begin in range(0, part.rows, step):
                end = min(begin + step, part.rows)
                values = part.some_values(first + begin, first + end, exact.dtype)
                out[:, part.begin + begin : part.begin + end] = exact @ values.t()
        return out.to(x.dtype)

    def grouped(self, x: Tensor, ends: Sequence[int]) -> Tensor:
        """x [tokens, columns] -> [tokens, rows]; expert i has the tokens before ends[i]. On the
        CPU: the weights of experts without a token are not read."""
        out, begin = x.new_empty((x.shape[0], self.rows)), 0
        for expert, end in enumerate(ends):
            if end > begin:
                out[begin:end] = self._of_expert(x[begin:end], expert)
            begin = max(begin, end)
        return out

    def _of_expert(self, x: Tensor, expert: int) -> Tensor:
        if x.shape[0] > FEW or not self.reads_blocks(x):
            return self._many(x, expert)
        out = x.new_empty((x.shape[0], self.rows))
        cpu.product(self._addresses, x, out, expert=expert)
        return out

    def row_product(
        self, _kernels: Any, x: Tensor, norm: Norm | None, residual: Tensor | None
    ) -> Tensor:
        """The same for few rows, the norm of x before it and the sum behind it, in one launch."""
        return self._few(x, norm, residual)

    def _few(self, x: Tensor, norm: Norm | None, residual: Tensor | None) -> Tensor:
        out = x.new_empty((x.shape[0], self.rows))
        x = x.contiguous()
        if x.is_cpu:
            cpu.product(self._addresses, x, out, norm=norm, residual=residual)
            return out
        parts = [part.as_planes for part in self.parts]
        together = kernels.rows_together(self.columns, x.device)
        for begin in range(0, x.shape[0], together):
            here = slice(begin, begin + together)
            kernels.product(
                x[here],
                parts,
                out[here],
                norm=norm,
                bias=self.bias,
                residual=None if residual is None else residual[here],
            )
        return out

    def row_gate_up(self, _kernels: Any, x: Tensor, activation: str, norm: Norm | None) -> Tensor:
        """For one row: the first half of the rows, activated, times the second half."""
        out = x.new_empty((1, self.rows // 2))
        if x.is_cpu:
            cpu.product(self._addresses, x, out, norm=norm, activation=activation)
            return out
        part = self.parts[0].as_planes
        kernels.product(x.contiguous(), [part], out, norm=norm, activation=activation)
        return out

    def of_experts(self, x: Tensor, experts: Tensor, activation: str = "") -> Tensor:
        """For one token: x [1 or slots, columns] times the weight of each expert int64 [slots] ->
        [slots, rows], or with an activation [slots, rows / 2]."""
        rows = self.rows // 2 if activation else self.rows
        out = x.new_empty((experts.shape[0], rows))
        if x.is_cpu:
            for i, expert in enumerate(experts.tolist()):
                row = x if x.shape[0] == 1 else x[i : i + 1]
                cpu.product(
                    self._addresses, row, out[i : i + 1], activation=activation, expert=expert
                )
            return out
        parts = [part.as_planes for part in self.parts]
        kernels.product(x.contiguous(), parts, out, activation=activation, experts=experts)
        return out

    def all_experts(self) -> Tensor:
        """[experts, rows, columns]."""
        found = [p.values(self.dtype).view(p.experts, p.rows, p.columns) for p in self.parts]
        return found[0] if len(found) == 1 else torch.cat(found, 1)

    def exact(self, x: Tensor, count: int) -> Tensor:
        """As Dense.exact."""
        if x.shape[0] <= FEW and _by_cpp(x, x.dtype):
            out = x.new_empty((x.shape[0], self.rows), dtype=torch.float32)
            cpu.product(self._addresses, x.contiguous(), out)
            return out
        rounded = self.product(x).float()
        best = rounded.topk(min(count, rounded.shape[1])).indices
        weights = self._rows(best.flatten(), torch.float32).view(*best.shape, -1)
        exact = (weights @ x.float()[..., None])[..., 0]
        if self.bias is not None:
            exact += self.bias[best]
        return rounded.scatter_(-1, best, exact)

    def of_tokens(self, ids: Tensor) -> Tensor:
        """[tokens, columns] for ids int64 [tokens]."""
        return self._rows(ids, self.dtype)

    def _rows(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        if len(self.parts) != 1:
            raise ValueError("rows are looked up in a weight of one format")
        return self.parts[0].values_of(ids, dtype)
