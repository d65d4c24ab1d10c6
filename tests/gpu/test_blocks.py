"""Weights in blocks on the GPU: values to the bit, products, rows that do not depend on company."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.formats.format import Format
from engine.formats.registry import FORMATS
from engine.kernels import blocks
from engine.kernels.blocks import Planes
from engine.kernels.prologue import Norm
from tests.engine.modeling.test_own_kernels import ACTIVATIONS
from tests.gpu.kernel_checks import close, draw, rms_normed

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
BF16 = torch.bfloat16
ROWS, COLUMNS = 130, 768
MIXED = ("Q4_K", "Q6_K", "Q8_0")


def weight(form: Format, rows: int, columns: int, seed: int = 0) -> Planes:
    """Random codes, small scales."""
    source = torch.Generator(device="cuda").manual_seed(seed)
    size = (rows * columns // form.block, form.size)
    raw = torch.randint(256, size, dtype=torch.uint8, device="cuda", generator=source)
    planes = form.repacked(raw.view(rows, -1))
    for plane in planes:
        if plane.is_floating_point():
            plane.uniform_(1e-4, 2e-4, generator=source)
    if form.name == "MXFP4":
        planes[1].random_(110, 118, generator=source)
    torch.cuda.synchronize()  # a launch that begins early reads its weight at once
    return Planes(form, planes, rows)


def exact(part: Planes) -> Tensor:
    return part.form.dequantised(list(part.planes))


def moved(part: Planes, begin: int) -> Planes:
    return Planes(part.form, part.planes, part.rows, begin)


def product(x: Tensor, *parts: Planes, norm: Norm | None = None) -> Tensor:
    out = x.new_empty((x.shape[0], sum(part.rows for part in parts)))
    blocks.product(x, list(parts), out, norm=norm)
    return out


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_values_are_ggufs_own_rounded_once(name: str, dtype: torch.dtype) -> None:
    part = weight(FORMATS[name], ROWS, COLUMNS)
    found = torch.empty(ROWS, COLUMNS, device="cuda", dtype=dtype)
    blocks.values(part, found)
    assert torch.equal(found, exact(part).to(dtype))
    ids = torch.tensor([129, 0, 7], device="cuda")
    some = torch.empty(3, COLUMNS, device="cuda", dtype=dtype)
    blocks.values(part, some, ids)
    assert torch.equal(some, found[ids])


@pytest.mark.parametrize("name", FORMATS)
def test_a_product_with_norm_bias_and_residual(name: str) -> None:
    part = weight(FORMATS[name], ROWS, COLUMNS)
    x, norm = draw(BF16, 1, COLUMNS), Norm(draw(BF16, COLUMNS), 1e-6, 1.0)
    bias, residual = draw(BF16, ROWS), draw(BF16, 1, ROWS)
    out = torch.empty_like(residual)
    blocks.product(x, [part], out, norm=norm, bias=bias, residual=residual)
    close(out, functional.linear(rms_normed(x, norm), exact(part)) + bias + residual)


@pytest.mark.parametrize("name", MIXED)
def test_a_row_has_the_same_bits_in_any_company(name: str) -> None:
    part = weight(FORMATS[name], ROWS, COLUMNS)
    x = draw(BF16, 4, COLUMNS)
    norm = Norm(draw(BF16, COLUMNS), 1e-6, 0.0)
    alone = torch.cat([product(x[i : i + 1], part, norm=norm) for i in range(4)])
    for count in (2, 3, 4):
        assert torch.equal(product(x[:count], part, norm=norm), alone[:count])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gate_and_up_in_one_launch(activation: str) -> None:
    part = weight(FORMATS["Q4_K"], 2 * ROWS, COLUMNS)
    x = draw(BF16, 1, COLUMNS)
    out = torch.empty(1, ROWS, device="cuda", dtype=BF16)
    blocks.product(x, [part], out, activation=activation)
    gate, up = functional.linear(x.float(), exact(part)).chunk(2, -1)
    close(out, ACTIVATIONS[activation](gate) * up)


def test_parts_of_several_formats_in_one_launch() -> None:
    sizes = (512, 34, 64)
    parts, begin = [], 0
    for name, rows in zip(MIXED, sizes, strict=True):
        parts.append(moved(weight(FORMATS[name], rows, COLUMNS), begin))
        begin += rows
    x = draw(BF16, 1, COLUMNS)
    close(product(x, *parts), functional.linear(x.float(), torch.cat([exact(p) for p in parts])))


@pytest.mark.parametrize("shared", [True, False])
def test_each_slot_reads_its_own_expert(shared: bool) -> None:
    experts, ids = 6, torch.tensor([4, 0, 5], device="cuda")
    part = weight(FORMATS["Q4_K"], experts * ROWS, COLUMNS)
    x = draw(BF16, 1 if shared else 3, COLUMNS)
    out = torch.empty(3, ROWS, device="cuda", dtype=BF16)
    blocks.product(x, [Planes(part.form, part.planes, ROWS)], out, experts=ids)
    weights = exact(part).view(experts, ROWS, COLUMNS)[ids]
    close(out, torch.einsum("src,sc->sr", weights, x.float().expand(3, -1)))


def test_launches_that_begin_early_read_what_those_before_them_wrote() -> None:
    """A chain of products in one graph, replayed: each reads the one before it."""
    size = 1024
    parts = [weight(FORMATS[name], size, size, seed) for seed, name in enumerate(MIXED)]
    norm = Norm(torch.ones(size, device="cuda", dtype=BF16), 1e-6, 0.0)
    first = draw(BF16, 1, size)

    def chain() -> Tensor:
        x = first
        for step in range(150):
            x = product(x, parts[step % 3], norm=norm)
        return x

    expected = chain()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = chain()
    for _ in range(20):
        graph.replay()
        assert torch.equal(found, expected)


@pytest.mark.parametrize("columns", [2048, 4096, 14_336, 28_672])
def test_wide_rows(columns: int) -> None:
    part = weight(FORMATS["Q6_K"], 300, columns)
    x = draw(BF16, 3, columns)
    together = blocks.rows_together(columns, x.device)
    assert together > 0
    found = torch.cat([product(x[i : i + together], part) for i in range(0, 3, together)])
    close(found, functional.linear(x.float(), exact(part)))
