"""A checkpoint that has been loaded: model, tokenizer, and what comes with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from torch import nn

from engine.attention.shapes import LayerShape
from engine.loading.encoding import Encode
from engine.rope import LongRope

END_OF_TURN: Final = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<eos>",
    "</s>",
)
"""Control tokens that end a reply, also where a config names only one of them."""
NO_TEMPLATE: Final = (
    "This model has no chat template; a plain one is used, and replies may run on. "
    "An instruction-tuned model answers better."
)


@dataclass(frozen=True)
class GenerationDefaults:
    """What the checkpoint recommends; None where it says nothing."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    eos_token_ids: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Checkpoint:
    model: nn.Module
    """transformers' own causal model, in eval, without gradients."""
    layers: tuple[LayerShape, ...]
    """What each layer asks of attention."""
    rope: LongRope | None
    """Where the rotary frequencies depend on the sequence's length."""
    tokenizer: Any
    """A PreTrainedTokenizerFast, to decode with."""
    encode: Encode
    """Ordinary text to token ids."""
    config: Any
    """transformers' text config."""
    generation: GenerationDefaults
    chat_template: str | None
    notes: tuple[str, ...]
    """Sentences that the user should read."""
    architecture: str
    control_tokens: Mapping[str, int]
    """Special tokens by spelling: what a template may write and a user's text may not."""


def control_tokens(tokenizer: Any) -> dict[str, int]:
    added = tokenizer.added_tokens_decoder.items()
    return {token.content: index for index, token in added if token.special}


def end_tokens(
    named: Iterable[object], tokenizer: Any, control: Mapping[str, int]
) -> frozenset[int]:
    """Ids that end a reply. `named` is what configs say: ids, lists of ids, or None.

    A word that merely looks like an end (Gemma's `</s>` is an HTML tag) is no control token.
    """
    found = {control[name] for name in END_OF_TURN if name in control}
    for value in (*named, tokenizer.eos_token_id):
        ids = value if isinstance(value, list | tuple) else [value]
        found |= {index for index in ids if isinstance(index, int)}
    return frozenset(found)
