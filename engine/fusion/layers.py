"""Decoder layers: norms and residual sums of one token go into the products beside them.

A layer is h = x + after(attention(before(x))), then h + after(MLP(before(h))), in which each norm
may be missing. The norm before is computed by every program of the product that reads its result,
which costs a second read of a row that lies in the processor's cache, and saves a launch. A sum is
added by the product that makes one of its terms, or by the norm behind it, which also does so for
many tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from engine.attention import prologue
from engine.attention.prologue import Norm, Prologue, Watch
from engine.fusion import state
from engine.fusion.linears import RowLinear, Sibling
from engine.fusion.norms import norm_of


class Names(NamedTuple):
    """Of a layer's norms; "" is none."""

    before_attention: str
    after_attention: str
    before_mlp: str
    after_mlp: str


NAMES: Final = (
    Names("input_layernorm", "", "post_attention_layernorm", ""),
    Names(
        "input_layernorm",
        "post_attention_layernorm",
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
    ),
    Names(
        "input_layernorm",
        "post_self_attn_layernorm",
        "post_attention_layernorm",
        "post_mlp_layernorm",
    ),
    Names("", "post_attention_layernorm", "", "post_feedforward_layernorm"),
)
HANDED_DOWN: Final = ("attention_mask", "position_ids", "position_embeddings", "kv_step")
"""What the model gives a layer, and the layer its attention."""


def looks_like_layer(module: Any) -> bool:
    return _names(module) is not None


def _names(module: nn.Module) -> Names | None:
    parts = module.named_children()
    children = {name for name, part in parts if not isinstance(part, nn.Dropout)}
    for names in NAMES:
        if children == {"self_attn", "mlp", *filter(None, names)}:
            return names
    return None


class Stub(nn.Module):
    """Computes something of its own, and keeps what it was given."""

    def __init__(self, compute: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.compute = compute
        self.given: dict[str, Any] = {}

    def forward(self, hidden_states: Tensor, **given: Any) -> Any:
        self.given = given
        return self.compute(hidden_states)


def names_of(module: Any) -> Names | None:
    """The layer's norms if it computes the formula above, tried with stubs for its parts."""
    names = _names(module) or NAMES[0]
    parts: dict[str, Any] = {
        **dict(module.named_children()),
        "self_attn": Stub(lambda x: (torch.sin(3 * x), None)),
        "mlp": Stub(lambda x: torch.cos(5 * x)),
        **{name: Stub(partial(scaled_tanh, number)) for number, name in enumerate(names) if name},
    }
    copied = copy.copy(module)
    copied.__dict__["_modules"] = parts
    x = torch.randn(1, 3, 8)
    given: dict[str, Any] = {name: object() for name in HANDED_DOWN}
    try:
        found = type(module).forward(copied, x, **given)
    except Exception:  # noqa: BLE001 - a layer that looks at more than its parts
        return None
    passed = parts["self_attn"].given
    first, second, third, fourth = (parts.get(name, nn.Identity()) for name in names)
    h = x + second(parts["self_attn"](first(x))[0])
    expected = h + fourth(parts["mlp"](third(h)))
    if not isinstance(found, Tensor) or not torch.equal(found, expected):
        return None
    return names if all(passed.get(name) is given[name] for name in given) else None


def scaled_tanh(number: int, x: Tensor) -> Tensor:
    return torch.tanh((number + 2) * x)


def fuse_layer(layer: Any, names: Names) -> None:
    plain, attention, mlp = layer.forward, layer.self_attn, layer.mlp
    before, after, before_mlp, after_mlp = (
        getattr(layer, name) if name else None for name in names
    )
    product = _put_before(attention, norm_of(before))
    output: Any = getattr(attention, "o_proj", None)
    gated = getattr(mlp, "one_row", None)

    def attended(x: Tensor, given: dict[str, Any]) -> Tensor:
        one_row = state.one_row(x)
        inner = x if before is None or (product and one_row) else before(x)
        into: Any = output if after is None and type(output) is RowLinear else None
        if into is None or not one_row:
            return summed(x, attention(hidden_states=inner, **given)[0], after)
        into.residual = x
        try:
            out: Tensor = attention(hidden_states=inner, **given)[0]
        finally:
            unused, into.residual = into.residual, None
        if unused is not None:
            raise RuntimeError("attention made nothing of its last product")
        return out

    def fed(h: Tensor) -> Tensor:
        norm = norm_of(before_mlp)
        if gated is None or not state.one_row(h):
            return summed(h, mlp(h if before_mlp is None else before_mlp(h)), after_mlp)
        inner = h if before_mlp is None or norm else before_mlp(h)
        out: Tensor = gated(inner, norm, h if after_mlp is None else None)
        return out if after_mlp is None else summed(h, out, after_mlp)

    def forward(hidden_states: Tensor, *args: Any, **given: Any) -> Any:
        if args or not state.usable(hidden_states):
            with _norm_left_out(product):
                return plain(hidden_states, *args, **given)
        return fed(attended(hidden_states, given))

    layer.forward = forward


def _put_before(attention: Any, norm: Norm | None) -> Any:
    """The product that reads the attention's input, which computes the norm itself from now on;
    None where there is no such product."""
    query, joined = getattr(attention, "q_proj", None), getattr(attention, "qkv_proj", None)
    product: Any = None
    if type(query) is Sibling and query.siblings.used:
        product = query.siblings
    elif type(joined) is RowLinear:
        product = joined
    if norm is None or product is None:
        return None
    product.before = norm
    return product


@contextmanager
def _norm_left_out(product: Any) -> Iterator[None]:
    """For a layer that computes it by itself."""
    if product is None:
        yield
        return
    norm, product.before = product.before, None
    try:
        yield
    finally:
        product.before = norm


def summed(x: Tensor, more: Tensor, after: Any) -> Tensor:
    """x + after(more), in one launch where the norm is known."""
    norm = norm_of(after)
    if norm is not None:
        out: Tensor = state.kernels.norm(more, norm, x)
        return out
    return x + (more if after is None else after(more))


# ---------------------------------------------------------------------------- attention


def watched(model: nn.Module) -> Watch:
    """One token through the whole model, to see what its attention can leave to the kernel."""
    device = next(model.parameters()).device
    zero = torch.zeros(1, 1, dtype=torch.long, device=device)
    with prologue.watching() as watch, torch.no_grad():
        model(input_ids=zero, position_ids=zero, use_cache=False, kv_step=watch)
    return watch


def leave_to_kernel(attention: Any, what: Prologue) -> None:
    """For steps whose kernel knows how (`flash_decode`)."""
    plain = attention.forward

    def forward(hidden_states: Tensor, *args: Any, **given: Any) -> Any:
        step = given.get("kv_step")
        able = step is not None and step.kernel == prologue.KERNEL
        if not able or not state.one_row(hidden_states):
            return plain(hidden_states, *args, **given)
        with prologue.leaving(what):
            return plain(hidden_states, *args, **given)

    attention.forward = forward
