"""What an attention kernel is given beside query, key and value: a layer's buffers, and how scores
are made."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class LayerStep:
    """One layer's part of a step: its buffers and where the step's tokens go."""

    keys: Tensor
    """[1, positions, KV heads, head size], of which the first `start` are held."""
    values: Tensor
    start: int
    lengths: Tensor
    """int32 [1] on the device: `start`, for kernels that read it there."""
    after: Tensor | None
    """int32 [1] on the device: `start` and the step's tokens; where `torch_flash` reads that."""
    positions: Tensor
    """int64 [tokens] on the device."""
    on_device: bool = False
    """Whether the host does not know `start`."""

    def held_behind(self, tokens: int) -> tuple[Tensor, Tensor]:
        """What is held once so many tokens were appended."""
        end = self.start + tokens
        return self.keys[:, :end], self.values[:, :end]


@dataclass
class Scoring:
    """What becomes of query times key before and in the softmax."""

    scale: float
    window: int = 0
    """Positions that a token sees, its own included; 0 is all."""
    softcap: float = 0.0
    """Scores are bounded to softcap * tanh(score / softcap); 0 is not (Gemma 2)."""
    sinks: Tensor | None = None
    """[heads]: a score of each head's own that takes its share of the softmax and adds no value
    (Xiao and others, Efficient streaming language models with attention sinks, 2023; gpt-oss)."""
