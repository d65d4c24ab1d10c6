"""Published models' shapes, to be filled with random weights: speed does not depend on values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from engine.loading import families
from engine.loading.families import Family

if TYPE_CHECKING:
    import torch

SPREAD: Final = 0.02
"""Standard deviation of the weights, as the models' own initialisation has it."""
LLAMA_3_ROPE: Final = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
LLAMA_3: Final = {
    "vocab_size": 128_256,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131_072,
    "rope_parameters": LLAMA_3_ROPE,
}


@dataclass(frozen=True)
class PublishedShape:
    family: Family
    settings: dict[str, Any]
    """Of the family's config."""
    norm: float = 1.0
    """The weights of its norms; Gemma stores them less 1."""

    def config(self) -> Any:
        """transformers' config."""
        return self.family.config({**self.settings, "dtype": "bfloat16"})


SHAPES: Final = {
    "llama-3.2-1b": PublishedShape(
        families.of_name("llama"),
        {
            **LLAMA_3,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 16,
            "head_dim": 64,
            "tie_word_embeddings": True,
        },
    ),
    "llama-3.1-8b": PublishedShape(
        families.of_name("llama"),
        {
            **LLAMA_3,
            "hidden_size": 4096,
            "intermediate_size": 14_336,
            "num_hidden_layers": 32,
            "head_dim": 128,
            "tie_word_embeddings": False,
        },
    ),
    "gemma-3-4b": PublishedShape(
        families.of_name("gemma3_text"),
        {
            "vocab_size": 262_208,
            "hidden_size": 2560,
            "intermediate_size": 10_240,
            "num_hidden_layers": 34,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "sliding_window": 1024,
            "max_position_embeddings": 131_072,
        },
        norm=0.0,
    ),
}


def drawn(
    shape: PublishedShape, config: Any, device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[str, torch.Tensor]]:
    """Random weights by name, each made on the device when it is asked for."""
    import torch

    with torch.device("meta"):
        model = shape.family.model_type()(config)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    for name, like in model.state_dict().items():
        if name in tied:
            continue
        weight = torch.empty(like.shape, dtype=dtype, device=device)
        is_norm = name.endswith("norm.weight")
        yield name, weight.fill_(shape.norm) if is_norm else weight.normal_(std=SPREAD)
