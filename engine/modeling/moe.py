"""Mixtures of experts: which experts a token takes, and all of a layer's experts at once.

Tokens are sorted by expert and each group is multiplied with its expert's weights in one grouped
product; the weights of experts without a token are not read. On two cores it takes 1.6 ms for a
token where gathering the weights first takes 5.5 ms (32 experts of 1024 x 512, 4 active, bfloat16),
and 15 ms against 735 ms for 128 tokens.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from engine.modeling import norms
from engine.modeling.blocks import InBlocks, Part
from engine.modeling.blueprint import Blueprint, PlaceInBlocks
from engine.modeling.config import RouterConfig
from engine.modeling.linear import Linear, dense, stored
from engine.modeling.mlp import MLP, activation_of
from engine.modeling.norms import AnyNorm

ROUTER: Final = ("gate", "router")
SHARED: Final = ("shared_experts", "shared_expert")
CORRECTION: Final = "e_score_correction_bias"
FEW: Final = 4
"""Tokens up to which each reads the blocks of its own experts."""


class Router:
    """The experts of each token, and the weights of their results."""

    kernels: Any = None
    """engine.kernels.gemv, or None for torch's operators."""
    needs = "route"
    """The one of the kernels: not all have it."""

    def __init__(self, blueprint: Blueprint, at: str, config: RouterConfig) -> None:
        self.config = config
        self.weights = dense(blueprint, at)
        self.linear = Linear(self.weights)
        name = f"{at}.{CORRECTION}"
        self.correction: Tensor | None = None
        """float32 [experts], added to the scores for the choice alone."""
        if name in blueprint:
            self.correction = blueprint.tensor(name, self, "correction")

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [tokens, hidden size] -> experts int64 and weights float32 [tokens, active experts]."""
        config = self.config
        logits = self._logits(x)
        if self.kernels is not None and config.groups == 1:
            routed: tuple[Tensor, Tensor] = self.kernels.route(
                logits,
                self.correction,
                config.score,
                config.active,
                config.factor,
                normalised=config.normalised,
            )
            return routed
        if config.score == "softmax of the chosen":
            chosen, experts = logits.topk(config.active, -1)
            return experts, chosen.softmax(-1)
        scores = logits.sigmoid() if config.score == "sigmoid" else logits.softmax(-1)
        ranked = scores if self.correction is None else scores + self.correction
        if config.groups > 1:
            ranked = ranked.masked_fill(~self._in_best_groups(ranked), -torch.inf)
        experts = ranked.topk(config.active, -1, sorted=False).indices
        weights = scores.gather(1, experts)
        if config.normalised:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        return experts, weights * config.factor

    def _logits(self, x: Tensor) -> Tensor:
        """float32 [tokens, experts]."""
        if not self.config.exact:
            return self.linear(x).float()
        return functional.linear(x.float(), self.weights.tensor.float())

    def _in_best_groups(self, ranked: Tensor) -> Tensor:
        """bool [tokens, experts]."""
        config = self.config
        grouped = ranked.view(ranked.shape[0], config.groups, -1)
        best = grouped.topk(1 if config.group_score == "best" else 2, -1).values.sum(-1)
        used = best.topk(config.groups_used, -1, sorted=False).indices
        mask = torch.zeros_like(best, dtype=torch.bool).scatter_(1, used, value=True)
        return mask[:, :, None].expand_as(grouped).reshape(ranked.shape)


class ScaledRouter:
    """Gemma 4's: of x without its magnitude, each dimension and each expert's result scaled."""

    def __init__(self, blueprint: Blueprint, at: str, config: RouterConfig, epsilon: float) -> None:
        self.config = config
        self.epsilon = epsilon
        self.linear = Linear(dense(blueprint, f"{at}.proj"))
        self.scale = blueprint.tensor(f"{at}.scale", self, "scale")
        """[hidden size]."""
        self.of_experts = blueprint.tensor(f"{at}.per_expert_scale", self, "of_experts")

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As Router."""
        normed = functional.rms_norm(x, x.shape[-1:], eps=self.epsilon)
        logits = self.linear(normed * self.scale * x.shape[-1] ** -0.5)
        scores = logits.float().softmax(-1)
        weights, experts = scores.topk(self.config.active, -1)
        weights = weights / weights.sum(-1, keepdim=True)
        return experts, weights * self.of_experts[experts]


class Stack:
    """A weight of each expert, in the dtype that the model computes in."""

    def __init__(self, blueprint: Blueprint, name: str, *, transposed: bool) -> None:
        self.transposed = transposed
        """Whether it is [experts, columns, rows] (gpt-oss) in place of [experts, rows, columns]."""
        self.tensor = blueprint.tensor(name, self, "tensor")

    def product(self, x: Tensor, ends: Tensor) -> Tensor:
        """x [tokens, columns] -> [tokens, rows]; expert i has those before ends[i], int32."""
        by = self.tensor if self.transposed else self.tensor.transpose(-2, -1)
        return functional.grouped_mm(x, by, offs=ends)


class StackInBlocks:
    """A weight of each expert, in blocks: one token reads those of its experts alone."""

    def __init__(self, blueprint: Blueprint, name: str, *, transposed: bool) -> None:
        experts, rows, columns = blueprint.shape(name)
        if transposed:
            rows, columns = columns, rows
        part = Part(blueprint.forms[name], rows, columns, 0, experts)
        self.weights = InBlocks([part], blueprint.dtype, None)
        place = PlaceInBlocks(part, blueprint.shape(name), transposed=transposed)
        blueprint.places[name] = place

    def product(self, x: Tensor, ends: Tensor) -> Tensor:
        """As Stack.product."""
        if x.is_cpu:
            return self.weights.grouped(x, ends.tolist())
        return functional.grouped_mm(x, self.weights.all_experts().transpose(-2, -1), offs=ends)


def stack(blueprint: Blueprint, name: str, *, transposed: bool) -> Stack | StackInBlocks:
    kind = StackInBlocks if name in blueprint.forms else Stack
    return kind(blueprint, name, transposed=transposed)


class Experts:
    """The gated MLPs of all experts of a layer."""

    kernels: Any = None
    """engine.kernels.gemv, or None for torch's operators."""
    needs = "weighted_sum"

    def __init__(self, blueprint: Blueprint, at: str) -> None:
        module: Any = blueprint.reference.get_submodule(at)
        self.count = int(blueprint.shape(f"{at}.gate_up_proj")[0])
        transposed = bool(getattr(module, "is_transposed", False))
        self.gate_up = stack(blueprint, f"{at}.gate_up_proj", transposed=transposed)
        self.down = stack(blueprint, f"{at}.down_proj", transposed=transposed)
        self.gate_up_bias: Tensor | None = None
        self.down_bias: Tensor | None = None
        if f"{at}.gate_up_proj_bias" in blueprint:
            self.gate_up_bias = blueprint.tensor(f"{at}.gate_up_proj_bias", self, "gate_up_bias")
            self.down_bias = blueprint.tensor(f"{at}.down_proj_bias", self, "down_bias")
        self.limits: tuple[float, float] | None = None
        """gpt-oss: the factor in its sigmoid, and what gate and up are held to."""
        if hasattr(module, "limit"):
            self.limits = (float(module.alpha), float(module.limit))
        else:
            self.activation, self.activate = activation_of(module)

    def __call__(self, x: Tensor, experts: Tensor, weights: Tensor) -> Tensor:
        """x [tokens, hidden size], experts and weights [tokens, active] -> as x."""
        if x.shape[0] <= FEW and self._few_at_a_time(x):
            rows = [self._of_token(x[i : i + 1], experts[i], weights[i]) for i in range(len(x))]
            return rows[0] if len(rows) == 1 else torch.cat(rows)
        active = experts.shape[1]
        sorted_experts, order = experts.reshape(-1).sort()
        # As whole numbers on a GPU and as fractions elsewhere: histc has no other kernels.
        counted = sorted_experts.int() if x.is_cuda else sorted_experts.float()
        counts = torch.histc(counted, bins=self.count, min=0, max=self.count - 1)
        ends = counts.cumsum(0, dtype=torch.int32)
        both = self.gate_up.product(x[order // active], ends)
        if self.gate_up_bias is not None:
            both = both + self.gate_up_bias[sorted_experts]
        out = self.down.product(self._gated(both), ends)
        if self.down_bias is not None:
            out = out + self.down_bias[sorted_experts]
        out = out * weights.reshape(-1)[order][:, None]
        back = torch.empty_like(order)
        back[order] = torch.arange(order.shape[0], device=order.device)
        return out[back].view(x.shape[0], active, -1).sum(1).to(x.dtype)

    def _few_at_a_time(self, x: Tensor) -> bool:
        found = self._in_blocks
        return found is not None and found[0].reads_blocks(x)

    @property
    def _in_blocks(self) -> tuple[InBlocks, InBlocks] | None:
        """The weights of gate and up, and of down, if both are in blocks."""
        if isinstance(self.gate_up, StackInBlocks) and isinstance(self.down, StackInBlocks):
            return self.gate_up.weights, self.down.weights
        return None

    def _of_token(self, x: Tensor, experts: Tensor, weights: Tensor) -> Tensor:
        """x [1, hidden size], experts and weights [active] -> as x."""
        if self._in_blocks is None:
            raise ValueError("the weights are not in blocks")
        gate_up, down = self._in_blocks
        if self.limits is None and self.activation and self.gate_up_bias is None:
            inner = gate_up.of_experts(x, experts, self.activation)
        else:
            both = gate_up.of_experts(x, experts)
            if self.gate_up_bias is not None:
                both = both + self.gate_up_bias[experts]
            inner = self._gated(both)
        out = down.of_experts(inner, experts)
        if self.down_bias is not None:
            out = out + self.down_bias[experts]
        if self.kernels is not None:
            summed: Tensor = self.kernels.weighted_sum(out, weights)
            return summed
        return (out * weights[:, None]).sum(0, keepdim=True).to(x.dtype)

    def _gated(self, both: Tensor) -> Tensor:
        if self.limits is None:
            gate, up = both.chunk(2, -1)
            return self.activate(gate) * up
        factor, limit = self.limits
        gate, up = both[..., ::2].clamp(max=limit), both[..., 1::2].clamp(-limit, limit)
        return (up + 1) * gate * torch.sigmoid(gate * factor)


class Mixture:
    """A layer's MLP made of experts, and of one that all tokens share, if there is one."""

    def __init__(
        self, blueprint: Blueprint, at: str, config: RouterConfig, multiplier: float, shared: str
    ) -> None:
        """At the reference's module `at`; `shared` is where its shared MLP is, "" for none."""
        self.router = Router(blueprint, str(blueprint.first(at, ROUTER)), config)
        self.experts = Experts(blueprint, f"{at}.experts")
        if not 0 < config.active <= self.experts.count or self.experts.count % config.groups:
            raise ValueError(
                f"{config.active} of {self.experts.count} experts in {config.groups} groups"
            )
        self.shared = MLP(blueprint, shared) if shared else None
        gate = blueprint.first(at, ("shared_expert_gate",))
        self.shared_gate = Linear(stored(blueprint, gate)) if gate else None
        self.multiplier = multiplier

    def __call__(
        self, x: Tensor, norm: AnyNorm | None = None, residual: Tensor | None = None
    ) -> Tensor:
        """x and residual [tokens, hidden size]: the mixture of norm(x), plus residual."""
        x = x if norm is None else norm(x)
        out = self.experts(x, *self.router(x))
        if self.shared is not None:
            shared = self.shared(x)
            if self.shared_gate is not None:
                shared = torch.sigmoid(self.shared_gate(x)) * shared
            out = out + shared
        if residual is None:
            return out * self.multiplier if self.multiplier != 1.0 else out
        return torch.add(residual, out, alpha=self.multiplier)


class MLPBesideExperts:
    """Gemma 4's mixture: norm(MLP(before(x))) + norm(experts(norm(x))), by a router that sees x."""

    def __init__(self, blueprint: Blueprint, at: str, config: RouterConfig) -> None:
        """At the reference's layer `at`."""
        if config.epsilon is None:
            raise ValueError("its router has a norm")
        self.mlp = MLP(blueprint, f"{at}.mlp")
        self.router = ScaledRouter(blueprint, f"{at}.router", config, config.epsilon)
        self.experts = Experts(blueprint, f"{at}.experts")
        if not 0 < config.active <= self.experts.count:
            raise ValueError(f"{config.active} of {self.experts.count} experts")
        self.after_mlp = norms.of(blueprint, f"{at}.post_feedforward_layernorm_1")
        self.before_experts = norms.of(blueprint, f"{at}.pre_feedforward_layernorm_2")
        self.after_experts = norms.of(blueprint, f"{at}.post_feedforward_layernorm_2")

    def __call__(
        self, x: Tensor, norm: AnyNorm | None = None, residual: Tensor | None = None
    ) -> Tensor:
        """x and residual [tokens, hidden size]; `norm` is of the MLP's input."""
        of_mlp = self.after_mlp(self.mlp(x, norm=norm))
        of_experts = self.experts(self.before_experts(x), *self.router(x))
        out = self.after_experts(of_experts, residual=of_mlp)
        return out if residual is None else residual + out
