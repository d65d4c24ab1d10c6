"""The decoder: one forward for every family, read from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from engine.attention.step import Step
from engine.errors import UnsupportedError
from engine.modeling import norms
from engine.modeling.altup import AltUpLayer, Streams
from engine.modeling.attention import AnyAttention, Attention, SharedAttention
from engine.modeling.blocks import Part
from engine.modeling.blueprint import Blueprint, Place, PlaceInBlocks
from engine.modeling.config import AttentionConfig, LayerConfig, ModelConfig
from engine.modeling.linear import Dense, Embedding, Linear, stored
from engine.modeling.mla import LatentAttention
from engine.modeling.mlp import MLP
from engine.modeling.moe import SHARED, Mixture, MLPBesideExperts
from engine.modeling.per_layer import LayerInput, PerLayerInputs
from engine.modeling.rope import Angles, Rotary

EMBEDDING: Final = "model.embed_tokens"
HEAD: Final = "lm_head"
EXACT: Final = 64
"""How many of a token's logits, the largest, are computed again in float32."""
FINAL_NORM: Final = ("norm", "final_layernorm")
MLP_AT: Final = ("mlp", "block_sparse_moe")
LAYER_INPUT: Final = ("per_layer_input_gate",)


class NormNames(NamedTuple):
    """Of a layer's norms; "" is none."""

    before_attention: str
    after_attention: str
    before_mlp: str
    after_mlp: str


NORMS: Final = (
    NormNames("input_layernorm", "", "", ""),
    NormNames("input_layernorm", "", "post_attention_layernorm", ""),
    NormNames(
        "input_layernorm",
        "post_attention_layernorm",
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
    ),
    NormNames(
        "input_layernorm",
        "post_self_attn_layernorm",
        "post_attention_layernorm",
        "post_mlp_layernorm",
    ),
    NormNames("", "post_attention_layernorm", "", "post_feedforward_layernorm"),
)
"""The first is of layers whose attention and MLP read the same norm, in parallel."""


class Layer:
    """x + after(attention(before(x))), then the same with the MLP; each norm may be missing."""

    def __init__(self, blueprint: Blueprint, index: int, config: LayerConfig) -> None:
        at = f"model.layers.{index}"
        found = _norm_names(blueprint, at)
        self.before_attention, self.after_attention, self.before_mlp, self.after_mlp = (
            norms.of(blueprint, f"{at}.{name}") if name else None for name in found
        )
        self.parallel = found == NORMS[0]
        self.config = config
        self.attention = _attention(blueprint, f"{at}.self_attn", index, config)
        self.mlp = _mlp(blueprint, at, config)
        self.input = LayerInput(blueprint, at) if blueprint.first(at, LAYER_INPUT) else None
        self.scale: Tensor | None = None
        """[1]: what the layer's result is multiplied by (Gemma 4)."""
        if f"{at}.layer_scalar" in blueprint:
            self.scale = blueprint.tensor(f"{at}.layer_scalar", self, "scale")

    def __call__(
        self, x: Tensor, step: Step, angles: Angles | None, embedding: Tensor | None
    ) -> Tensor:
        """x [tokens, hidden size], embedding [tokens, size] if layers have some of their own."""
        x = self._computed(x, step, angles)
        if self.input is not None and embedding is not None:
            x = self.input(x, embedding, residual=x)
        return x if self.scale is None else (x * self.scale).to(x.dtype)

    def _computed(self, x: Tensor, step: Step, angles: Angles | None) -> Tensor:
        if self.parallel:
            return self._parallel(x, step, angles)
        if self.after_attention is None:
            x = self.attention(x, step, angles, norm=self.before_attention, residual=x)
        else:
            out = self.attention(x, step, angles, norm=self.before_attention, residual=None)
            x = self.after_attention(out, residual=x)
        if self.after_mlp is None:
            return self.mlp(x, norm=self.before_mlp, residual=x)
        return self.after_mlp(self.mlp(x, norm=self.before_mlp), residual=x)

    def _parallel(self, x: Tensor, step: Step, angles: Angles | None) -> Tensor:
        """x + attention(before(x)) + MLP(before(x))."""
        normed = x if self.before_attention is None else self.before_attention(x)
        x = self.attention(normed, step, angles, norm=None, residual=x)
        return self.mlp(normed, residual=x)


class Decoder:
    def __init__(
        self, blueprint: Blueprint, config: ModelConfig, rotaries: dict[str, Rotary]
    ) -> None:
        """Without memory: its places say what to fill. `rotaries` are named by the config."""
        self.config = config
        self.kernels: Any = None
        self.rotaries = rotaries
        self.embedding = Embedding(stored(blueprint, EMBEDDING))
        self.per_layer = None
        if config.per_layer_scale:
            self.per_layer = PerLayerInputs(blueprint, config.per_layer_scale, len(config.layers))
        self.streams = Streams(blueprint, config.altup) if config.altup else None
        self.layers = [_layer(blueprint, i, config) for i in range(len(config.layers))]
        self.norm = norms.of(blueprint, str(blueprint.first("model", FINAL_NORM)))
        for layer in config.layers:
            _check_rotation(layer.attention, rotaries)
        tied = f"{HEAD}.weight" in blueprint.tied
        self.head = Linear(self.embedding.weights if tied else stored(blueprint, HEAD))
        self.places = blueprint.places
        """By the published name of each weight."""

    def __call__(self, ids: Tensor, step: Step) -> Tensor:
        """ids int64 [tokens] -> [tokens, hidden size], whose `logits` are the model's."""
        x = self.embedded(ids)
        embeddings = self.per_layer(ids, x).unbind(1) if self.per_layer else None
        return self.through(x, step, self.angles(step.positions), embeddings)

    def embedded(self, ids: Tensor) -> Tensor:
        """ids int64 [tokens] -> [tokens, hidden size], what the first layer reads."""
        x = self.embedding(ids)
        return x if self.config.embedding_scale == 1.0 else x * self.config.embedding_scale

    def angles(self, positions: Tensor) -> dict[str, Angles]:
        """positions int64 [tokens] -> by the name of each set of frequencies."""
        return {name: rotary(positions) for name, rotary in self.rotaries.items()}

    def through(
        self,
        x: Tensor,
        step: Step,
        angles: Mapping[str, Angles],
        embeddings: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """x [tokens, hidden size] through all layers, which may have embeddings of their own."""
        if self.streams:
            x = self.streams.spread(x)
        for index, layer in enumerate(self.layers):
            of_layer = angles.get(self.config.layers[index].attention.rotary)
            x = layer(x, step, of_layer, embeddings[index] if embeddings else None)
        return self.streams.merged(x) if self.streams else x

    def logits(self, x: Tensor) -> Tensor:
        """[tokens, hidden size] -> [tokens, vocabulary].

        In half precision logits of 25 are an eighth apart, and the first tokens of a reply tie. On
        the CPU, which gives products no other dtype, the largest are computed in float32.
        """
        normed = self.norm(x)
        if x.is_cpu and x.dtype != torch.float32:
            logits = self.head.weights.exact(normed, EXACT)
        else:
            logits = self.head(normed)
        if self.config.logit_scale != 1.0:
            logits = logits * self.config.logit_scale
        if cap := self.config.logit_softcap:
            logits = torch.tanh(logits / cap) * cap
        return logits

    # ------------------------------------------------------------------------ its weights

    def use(self, kernels: Any) -> None:
        """engine.kernels.gemv for steps of one token and what surrounds products; None for torch's
        operators."""
        self.kernels = kernels
        for part in self.parts():
            needed = getattr(part, "needs", "norm")
            part.kernels = kernels if hasattr(kernels, needed) else None

    def tabulate(self, positions: int) -> None:
        """Looks the angles of so many positions up, which takes one launch in place of ten."""
        for rotary in self.rotaries.values():
            rotary.tabulate(positions)

    def parts(self) -> Iterator[Any]:
        """Whatever computes by kernels: linear layers, norms, attention."""
        return (part for part in self.everything() if hasattr(part, "kernels"))

    def everything(self) -> Iterator[Any]:
        """Every module of the decoder."""
        waiting: list[Any] = [self.embedding, self.head, self.norm, *self.layers]
        waiting += [self.per_layer, self.streams]
        while waiting:
            part = waiting.pop()
            if isinstance(part, tuple | list):
                waiting += part
            elif type(part).__module__.startswith(f"{__package__}."):
                waiting += vars(part).values()
                yield part

    def untie(self, weight: Tensor) -> None:
        """Gives the output a weight of its own [vocabulary, hidden size]."""
        self.head.weights = Dense(weight, self.head.weights.bias)
        shape, owner = weight.shape, self.head.weights
        self.places[f"{HEAD}.weight"] = Place(owner, "tensor", shape)

    def tensors(self) -> Iterator[Tensor]:
        """Every weight once, as it is held."""
        dense = [place for place in self.places.values() if isinstance(place, Place)]
        seen = {(id(place.owner), place.attribute): place for place in dense}
        for place in seen.values():
            yield place.tensor
        for part in self.in_blocks():
            yield from part.planes

    @property
    def written_out_bytes(self) -> int:
        """What the largest weight takes that is written out for a product of many rows."""
        heads = {id(part) for part in getattr(self.head.weights, "parts", ())}
        """Multiplied with one row."""
        layers = (part for part in self.in_blocks() if id(part) not in heads)
        return max((part.written_out_bytes(self.dtype) for part in layers), default=0)

    def in_blocks(self) -> list[Part]:
        """Every part of a weight that is in blocks, once."""
        places = [place for place in self.places.values() if isinstance(place, PlaceInBlocks)]
        return list({id(place.part): place.part for place in places}.values())

    def published(self) -> dict[str, Tensor]:
        """Every weight by its published name and in its published form: views where they can be."""
        return {
            name: place.published() if isinstance(place, Place) else place.published(self.dtype)
            for name, place in self.places.items()
        }

    @property
    def dtype(self) -> torch.dtype:
        """Of activations."""
        return self.config.dtype


def _layer(blueprint: Blueprint, index: int, config: ModelConfig) -> Layer | AltUpLayer:
    layer = config.layers[index]
    if config.altup is None:
        return Layer(blueprint, index, layer)
    at = f"model.layers.{index}"
    attention = _attention(blueprint, f"{at}.self_attn", index, layer)
    return AltUpLayer(blueprint, at, config.altup, (attention, MLP(blueprint, f"{at}.mlp")))


def _check_rotation(config: AttentionConfig, rotaries: Mapping[str, Rotary]) -> None:
    """Raises ValueError for more rotated dimensions than a head has."""
    whole = config.latent.rotated if config.latent else config.head_size
    if config.rotary and rotaries[config.rotary].size > whole:
        raise ValueError(f"{rotaries[config.rotary].size} of {whole} dimensions are to be rotated")


def _norm_names(blueprint: Blueprint, at: str) -> NormNames:
    """Raises UnsupportedError for an arrangement that is not in the table."""
    layer = blueprint.reference.get_submodule(at)
    there = {name for name, _ in layer.named_children() if name.endswith("layernorm")}
    for names in NORMS:
        if there == {name for name in names if name}:
            return names
    raise UnsupportedError(
        f"Its layers have norms in an unknown order: {', '.join(sorted(there))}."
    )


def _attention(blueprint: Blueprint, at: str, index: int, config: LayerConfig) -> AnyAttention:
    kind: Any = LatentAttention if config.attention.latent else Attention
    if config.attention.source is not None:
        kind = SharedAttention
    made: AnyAttention = kind(blueprint, at, index, config.attention, config.multiplier)
    return made


def _mlp(blueprint: Blueprint, at: str, config: LayerConfig) -> MLP | Mixture | MLPBesideExperts:
    if config.router is not None and config.router.epsilon is not None:
        return MLPBesideExperts(blueprint, at, config.router)
    where = str(blueprint.first(at, MLP_AT))
    if config.router is None:
        return MLP(blueprint, where, config.multiplier)
    shared = blueprint.first(where, SHARED) or blueprint.first(at, ("shared_mlp",))
    return Mixture(blueprint, where, config.router, config.multiplier, shared or "")
