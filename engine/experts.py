"""How a mixture of experts is computed: for all experts of a layer at once, reading active ones.

transformers asks one registered function for the experts of a layer. Its own grouped product sorts
the tokens by expert and multiplies each group with its expert's weights in one kernel; those of
experts without a token are not read. On two cores it takes 1.6 ms for a token where gathering the
weights first takes 5.5 ms (32 experts of 1024 x 512, 4 active, bfloat16), and 15 ms against 735 ms
for 128 tokens.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

NAME = "hearth"


def register() -> None:
    """Makes `NAME` known to transformers."""
    from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

    ALL_EXPERTS_FUNCTIONS.register(NAME, experts)


def experts(module: Any, hidden: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """hidden [tokens, hidden size], index and weights [tokens, active experts]."""
    from transformers.integrations.moe import grouped_mm_experts_forward

    if hidden.is_meta:  # a model without memory is run for its shapes only
        return hidden.new_empty(hidden.shape)
    out: Tensor = grouped_mm_experts_forward(module, hidden, index, weights)
    return out
