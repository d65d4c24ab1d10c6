"""What differs between families, layer by layer: values, and no names of families.

Sizes and the presence of a bias or a norm are those of the weights (`blueprint`), and stand in no
setting here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from engine.attention.latent import Latent
from engine.attention.shapes import LayerShape


@dataclass(frozen=True)
class AttentionConfig:
    heads: int
    kv_heads: int
    head_size: int
    scale: float
    """What the product of query and key is multiplied by."""
    window: int = 0
    """Positions that a token sees, its own included; 0 is all."""
    softcap: float = 0.0
    rotary: str = ""
    """Which of the model's sets of frequencies rotates query and key; "" is none."""
    pairs: int = 0
    """Dimensions of a head that the published weights have rotated in pairs side by side; 0 if they
    are for rotating halves."""
    norms_rotated: bool = False
    """Whether the norms of query and key come behind the rotation (Hunyuan)."""
    sinks: bool = False
    """Whether each head has an attention sink."""
    clip: float = 0.0
    """Query, key and value are held between -clip and clip; 0 is not (OLMo)."""
    latent: Latent | None = None
    """If the cache holds latents; `kv_heads` are then those that they are expanded to."""
    source: int | None = None
    """The layer whose keys and values it reads; None if it computes its own (Gemma 3n, 4)."""
    keys_as_values: bool = False
    """Whether values are the keys before their norm and rotation (Gemma 4)."""
    value_epsilon: float | None = None
    """Of the norm without weights that each head of the values has; None if it has none."""

    @property
    def shape(self) -> LayerShape:
        return LayerShape(
            self.heads,
            self.kv_heads,
            self.head_size,
            self.window,
            self.softcap,
            self.sinks,
            self.latent,
            self.source,
        )


@dataclass(frozen=True)
class RouterConfig:
    """How a mixture chooses the experts of a token, and their weights."""

    active: int
    """Experts for each token."""
    score: Literal["softmax", "sigmoid", "softmax of the chosen"]
    exact: bool = False
    """Whether logits are computed in float32."""
    groups: int = 1
    groups_used: int = 1
    """Only the experts of the best groups are chosen from."""
    group_score: Literal["best", "two best"] = "best"
    """A group's score: its best expert's, or the sum of its two best ones'."""
    normalised: bool = False
    """Whether the weights of the chosen sum to 1."""
    factor: float = 1.0
    """What the weights are multiplied by."""
    epsilon: float | None = None
    """Of the norm before a router that scales its input and the weights of each expert (Gemma 4);
    None for others."""


@dataclass(frozen=True)
class AltUpConfig:
    """Streams of each token, of which a layer computes one (Gemma 3n)."""

    streams: int
    active: int
    scaled: bool
    """Whether the active stream is multiplied by a weight before it is added to the others."""


@dataclass(frozen=True)
class LayerConfig:
    attention: AttentionConfig
    router: RouterConfig | None = None
    """None for a layer whose MLP is no mixture."""
    multiplier: float = 1.0
    """Of what attention and MLP add to the residual (Granite)."""


@dataclass(frozen=True)
class ModelConfig:
    architecture: str
    """transformers' name of the class."""
    vocabulary: int
    layers: tuple[LayerConfig, ...]
    dtype: torch.dtype
    embedding_scale: float = 1.0
    logit_scale: float = 1.0
    logit_softcap: float = 0.0
    per_layer_scale: float = 0.0
    """Of the embeddings that each layer has of its own; 0 if layers have none (Gemma 3n, 4)."""
    altup: AltUpConfig | None = None

    @property
    def shapes(self) -> tuple[LayerShape, ...]:
        """What each layer asks of attention."""
        return tuple(layer.attention.shape for layer in self.layers)
