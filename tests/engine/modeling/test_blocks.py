"""Weights that stay in blocks: where each row of a published weight goes, and what a model says."""

from __future__ import annotations

import pytest
import torch

from engine.formats.registry import FORMATS
from engine.loading.gguf import families as gguf_families
from engine.modeling.blocks import InBlocks, Part
from engine.modeling.blueprint import PlaceInBlocks

Q8 = FORMATS["Q8_0"]


def raw_rows(count: int, columns: int, seed: int = 0) -> torch.Tensor:
    """uint8 [count, bytes] of Q8_0, with small scales."""
    source = torch.Generator().manual_seed(seed)
    blocks = torch.randint(256, (count * columns // 32, 34), dtype=torch.uint8, generator=source)
    scales = torch.rand(len(blocks), generator=source) / 64
    blocks[:, :2] = scales.half().view(torch.uint8).view(-1, 2)
    return blocks.view(count, -1)


def filled(rows: int, columns: int, seed: int = 0) -> Part:
    part = Part(Q8, rows, columns, 0)
    part.planes = Q8.repacked(raw_rows(rows, columns, seed))
    return part


def test_rows_in_another_order_go_where_the_order_says() -> None:
    part = Part(Q8, 6, 64, 0)
    part.allocate(torch.device("cpu"))
    order = torch.tensor([2, 0, 1, 3])
    place = PlaceInBlocks(part, torch.Size((4, 64)), begin=2, order=order)
    planes = Q8.repacked(raw_rows(4, 64))
    rows = place.rows(lambda parameter: parameter)
    assert rows.tolist() == [4, 2, 3, 5]
    place.fill(planes, rows)
    wanted = Q8.dequantised(planes)
    assert torch.equal(Q8.dequantised(part.planes)[rows], wanted)
    assert torch.equal(place.published(torch.float32), wanted)


@pytest.mark.parametrize("half", [0, 1])
def test_gate_and_up_of_experts_fill_halves_of_each(half: int) -> None:
    part = Part(Q8, 4, 32, 0, experts=3)
    place = PlaceInBlocks(part, torch.Size((3, 4, 32)))
    view = (gguf_families.first_half, gguf_families.second_half)[half]
    rows = place.rows(lambda parameter: view(parameter, {}))
    assert rows.view(3, 2).tolist() == [[4 * e + 2 * half, 4 * e + 2 * half + 1] for e in range(3)]


@pytest.mark.parametrize("odd", [0, 1])
def test_gate_and_up_of_gpt_oss_alternate(odd: int) -> None:
    part = Part(Q8, 4, 32, 0, experts=2)
    place = PlaceInBlocks(part, torch.Size((2, 32, 4)), transposed=True)
    view = (gguf_families.even_columns, gguf_families.odd_columns)[odd]
    rows = place.rows(lambda parameter: view(parameter, {}))
    assert rows.tolist() == [odd, 2 + odd, 4 + odd, 6 + odd]


def test_a_product_is_that_of_the_values_part_by_part() -> None:
    parts = [filled(5, 64), filled(3, 64, seed=1)]
    parts[1].begin = 5
    bias = torch.linspace(-1, 1, 8)
    weights = InBlocks(parts, torch.float32, bias)
    x = torch.randn(2, 64, generator=torch.Generator().manual_seed(2))
    values = torch.cat([Q8.dequantised(part.planes) for part in parts])
    torch.testing.assert_close(weights.product(x), x @ values.T + bias, rtol=1e-3, atol=1e-3)


def test_rows_of_an_embedding_are_those_of_its_tokens() -> None:
    part = filled(7, 32)
    ids = torch.tensor([6, 0, 6])
    found = InBlocks([part], torch.float32, None).of_tokens(ids)
    assert torch.equal(found, Q8.dequantised(part.planes)[ids])
