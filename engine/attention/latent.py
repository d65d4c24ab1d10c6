"""Multi-head latent attention (DeepSeek-V2, 2024) on a cache of latents.

A position is kept as one latent vector for all heads, and its part that is rotated, instead of a
key and a value for each head: 1,152 bytes a layer in place of 12,288 with 16 heads, or 98,304 with
128. A prompt's latents are expanded to keys and values, and the flash kernel takes them. A single
token is cheaper the other way round: its query is taken to the latents, and what it gathers of
them is taken back (docs/models.md: a sixth of the time at 7,000 positions).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from engine.attention.kernels import KERNELS, put
from engine.attention.layer_step import LayerStep, Scoring
from engine.device.onednn import of_many_rows

KERNEL = "latents"
"""Of one token, masked by a length that is on the device."""
CUT_KERNEL = "latents_cut"
"""The same where the host knows the length: what is not held is not read either."""
DECODE_LABEL = "latents, by matrix products"
DECODE_REASON = (
    "The cache holds latents, and one token attends to them directly, which is faster than flash "
    "attention on the keys and values that they stand for."
)


@dataclass(frozen=True)
class Latent:
    """Sizes in elements."""

    rank: int
    """Of the latent itself."""
    rotated: int
    """Of the part of a key that all heads share."""
    value: int
    """Of a head's value."""

    @property
    def size(self) -> int:
        """Of what the cache holds of a position."""
        return self.rank + self.rotated


def mask_of(span: int, lengths: Tensor, dtype: torch.dtype) -> Tensor:
    """[span]: 0 where a token behind `lengths` others may look, its own position included; -inf
    where what lies there is nobody's yet, or another conversation's."""
    behind = torch.arange(span, device=lengths.device) > lengths
    mask = torch.zeros(span, device=lengths.device, dtype=dtype)
    return mask.masked_fill_(behind, -torch.inf)


def attend(
    query: Tensor,
    latents: Tensor,
    up: Tensor,
    step: LayerStep,
    kernel: str,
    scoring: Scoring,
    mask: Tensor | None = None,
) -> Tensor:
    """Returns [1, tokens, heads, value size].

    query [1, tokens, heads, head size], latents [1, tokens, 1, rank + rotated]; `up` [heads,
    unrotated + value size, rank] makes keys and values of latents. `mask` is `mask_of` the step's
    positions, for one token; without it `step.start` says what is held.
    """
    rank = up.shape[2]
    rotated = latents.shape[3] - rank
    plain = query.shape[3] - rotated
    if query.shape[1] == 1:
        step.keys.index_copy_(1, step.positions, latents)
        held = step.keys[0, :, 0] if mask is not None else step.keys[0, : step.start + 1, 0]
        return one_query(query, held, up, plain, scoring, mask)
    before = step.keys[:, : step.start]
    keys, values = expanded(torch.cat([before, latents], 1), up, plain)
    put(step.keys, latents, step)
    whole = LayerStep(keys, values, step.start, step.lengths, step.after, step.positions)
    # The kernels append what is new; torch refuses to copy a tensor onto itself.
    new = (keys[:, step.start :].clone(), values[:, step.start :].clone())
    out = KERNELS[kernel](query, *new, whole, scoring)
    return out[..., : up.shape[1] - plain]


def expanded(latents: Tensor, up: Tensor, plain: int) -> tuple[Tensor, Tensor]:
    """[1, positions, heads, head size] twice; values are filled up with zeros to that size."""
    heads, both, rank = up.shape
    made = functional.linear(latents[0, :, 0, :rank], up.reshape(heads * both, rank))
    made = made.reshape(1, -1, heads, both)
    rotated = latents[..., rank:].expand(-1, -1, heads, -1)
    keys = torch.cat([made[..., :plain], rotated], -1)
    return keys, functional.pad(made[..., plain:], (0, keys.shape[3] - both + plain))


def one_query(
    query: Tensor,
    latents: Tensor,
    up: Tensor,
    plain: int,
    scoring: Scoring,
    mask: Tensor | None,
) -> Tensor:
    """latents [positions, rank + rotated], mask [positions]; the softmax is in float32.

    All heads look at the same latents, so these products are of as many rows as there are heads:
    on two cores, in bfloat16, 16 heads gather 4,200 positions in 0.27 ms with oneDNN and in 26.6 ms
    without. The last product is one row a head, and takes 0.56 ms with it and 0.12 ms without.
    """
    rank = up.shape[2]
    of_heads = query[0, 0]
    # Scaled and masked in the product itself, not by kernels of their own.
    bias = query.new_zeros(1) if mask is None else mask
    with of_many_rows():
        into = torch.bmm(of_heads[:, None, :plain], up[:, :plain])[:, 0]
        into = torch.cat([into, of_heads[:, plain:]], -1)
        scores = torch.addmm(bias, into, latents.t(), alpha=scoring.scale)
        weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
        gathered = weights @ latents[:, :rank]
    return torch.bmm(gathered[:, None], up[:, plain:].mT).reshape(1, 1, up.shape[0], -1)
