"""The format of plain numbers."""

from __future__ import annotations

import torch

from engine.modeling.linear import Dense


def test_the_largest_logits_are_told_apart_where_half_precision_has_one_value_for_them() -> None:
    """At 25 bfloat16 has steps of an eighth."""
    rows = torch.full((4, 4), 25.0)
    rows[2, 0] += 0.125  # a part of 0.03 in the sum
    rows[3] = 1.0
    weights = Dense(rows.to(torch.bfloat16))
    x = torch.tensor([[0.25, 0.25, 0.25, 0.25]], dtype=torch.bfloat16)
    product = weights.product(x)
    exact = weights.exact(x, 2)
    assert product[0, 1] == product[0, 2]
    assert exact[0, 1] < exact[0, 2]
    assert torch.equal(exact[0, 3], product[0, 3].float())
