"""One forward of a model over a step of the KV cache, however it is launched."""

from __future__ import annotations

from torch import Tensor, nn

from engine.attention.interface import Step


def various(model: nn.Module, count: int) -> list[int]:
    """So many tokens to measure with, which differ: those of a prompt go to all of a model's
    experts, and for one token over and over a GPU needs less power, and less time."""
    vocabulary = int(model.config.vocab_size)  # type: ignore[union-attr, arg-type]
    return [token % vocabulary for token in range(count)]


def last_logits(model: nn.Module, ids: Tensor, step: Step, last: int | Tensor = 1) -> Tensor:
    """Logits [vocabulary] in the model's dtype; ids int64 [tokens].

    Of the last token, or of the one whose place in `ids` is in the tensor [1].
    """
    output = model(
        input_ids=ids[None],
        position_ids=step.positions[None],
        use_cache=False,
        logits_to_keep=last,
        kv_step=step,
    )
    logits: Tensor = output.logits[0, -1]
    return logits
