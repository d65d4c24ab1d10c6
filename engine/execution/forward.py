"""One forward of a model over a step of the KV cache, however it is launched."""

from __future__ import annotations

from torch import Tensor

from engine.attention.step import Step
from engine.modeling.decoder import Decoder


def various(model: Decoder, count: int) -> list[int]:
    """So many tokens to measure with, which differ: those of a prompt go to all of a model's
    experts, and for one token over and over a GPU needs less power, and less time."""
    return [token % model.config.vocabulary for token in range(count)]


def last_logits(model: Decoder, ids: Tensor, step: Step, last: Tensor | None = None) -> Tensor:
    """Logits [vocabulary] in the model's dtype; ids int64 [tokens].

    Of the last token, or of the one whose place in `ids` is in the tensor [1].
    """
    hidden = model(ids, step)
    one = hidden[-1:] if last is None else hidden.index_select(0, last)
    return model.logits(one)[0]
