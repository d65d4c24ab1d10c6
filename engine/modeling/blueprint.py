"""What a decoder is built from: transformers' class of the family, without memory.

Its parameters have the names and shapes of a published checkpoint's weights. Each is given one
place in the decoder, and a decoder that leaves one without a place is not this family's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from engine.formats.format import Format
from engine.modeling.blocks import Part


@dataclass(frozen=True)
class Place:
    """Where a published weight goes: into a tensor of a module, which several may share."""

    owner: Any
    attribute: str
    shape: torch.Size
    """Of the published weight."""
    begin: int = 0
    """Its first row in the tensor."""
    order: Tensor | None = None
    """int64: the place along `axis`, counted from `begin`, to which each published row goes; None
    if they stay in order."""
    axis: int = 0
    dtype: torch.dtype | None = None
    """None is the dtype that the model computes in."""

    @property
    def tensor(self) -> Tensor:
        found: Tensor = getattr(self.owner, self.attribute)
        return found

    def allocate(self, device: torch.device, dtype: torch.dtype) -> None:
        """Gives the tensor its memory, if it has none yet."""
        if self.tensor.is_meta:
            made = torch.empty(self.tensor.shape, device=device, dtype=self.dtype or dtype)
            setattr(self.owner, self.attribute, made)

    @property
    def view(self) -> Tensor:
        """The weight's part of the tensor, in the published shape and the model's order."""
        rows = self.shape[0] if len(self.shape) == self.tensor.dim() else 1
        return self.tensor[self.begin : self.begin + rows].view(self.shape)

    def published(self) -> Tensor:
        """As the checkpoint has it: a view, or a copy if the model orders the rows otherwise."""
        if self.order is None:
            return self.view
        return self.view.index_select(self.axis, self.order.to(self.tensor.device))

    def fill(self, write: Callable[[Tensor], Tensor]) -> Tensor:
        """`write` fills the published weight, or a view of it, and returns what it filled."""
        if self.order is None:
            return write(self.view)
        held = self.published()
        filled = write(held)
        self.view.index_copy_(self.axis, self.order.to(self.tensor.device), held)
        return filled


@dataclass(frozen=True)
class PlaceInBlocks:
    """Where a published weight goes whose rows stay in blocks."""

    part: Part
    shape: torch.Size
    """Of the published weight."""
    begin: int = 0
    """Its first row in the part."""
    order: Tensor | None = None
    """As in Place."""
    transposed: bool = False
    """Whether the published weight is [..., columns, rows] (gpt-oss's experts)."""

    def allocate(self, device: torch.device) -> None:
        self.part.allocate(device)

    def rows(self, into: Callable[[Tensor], Tensor]) -> Tensor:
        """int64: the rows of the part that a view of the published weight has, in its order."""
        *lead, rows, columns = self.shape
        if self.transposed:
            rows, columns = columns, rows
        numbers = torch.arange(math.prod(lead) * rows)
        sides = (1, rows) if self.transposed else (rows, 1)
        found = into(numbers.view(*lead, *sides)).flatten()
        return self.begin + (found if self.order is None else self.order[found])

    def fill(self, planes: Iterable[Tensor], rows: Tensor) -> None:
        """Writes the planes of so many rows."""
        first, last = int(rows[0]), int(rows[-1])
        adjoining = last - first + 1 == len(rows) and bool((rows.diff() == 1).all())
        index = rows.to(self.part.planes[0].device)
        for room, plane in zip(self.part.planes, planes, strict=True):
            if adjoining:
                room[first : last + 1] = plane
            else:
                room[index] = plane

    def published(self, dtype: torch.dtype) -> Tensor:
        """The values as the checkpoint has them."""
        rows = self.rows(lambda parameter: parameter)
        values = self.part.values_of(rows.to(self.part.planes[0].device), dtype)
        if not self.transposed:
            return values.view(self.shape)
        *lead, columns, count = self.shape
        return values.view(*lead, count, columns).transpose(-1, -2)


AnyPlace: TypeAlias = Place | PlaceInBlocks


class Blueprint:
    def __init__(
        self,
        reference: nn.Module,
        forms: Mapping[str, Format] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """`reference` is transformers' causal model on the meta device; `forms` are those of the
        published weights that may stay in blocks; activations have `dtype`."""
        self.forms = dict(forms or {})
        self.dtype = dtype
        self.reference: Any = reference
        tied = dict(getattr(reference, "all_tied_weights_keys", None) or {})
        self.tied: dict[str, str] = tied
        """By the config: a weight that is another one -> that one."""
        self.stored = {name: t for name, t in reference.state_dict().items() if name not in tied}
        self.buffers = {name for name, _ in reference.named_buffers() if name in self.stored}
        """They keep their own dtype: a router's corrections are float32."""
        self.places: dict[str, AnyPlace] = {}

    def quantise(self, form: Format) -> None:
        """Gives that format to the matrices that have none."""
        for name, tensor in self.stored.items():
            sides = tensor.shape[-2:]
            if len(sides) == 2 and not any(side % form.block for side in sides):
                self.forms.setdefault(name, form)

    def __contains__(self, name: str) -> bool:
        return name in self.stored

    def shape(self, name: str) -> torch.Size:
        shape: torch.Size = self.stored[name].shape
        return shape

    def first(self, at: str, names: Iterable[str]) -> str | None:
        """The first of the modules `at.name` that the reference has, with its full name."""
        whole = at and self.reference.get_submodule(at)
        found = next((name for name in names if getattr(whole, name, None) is not None), None)
        return found and f"{at}.{found}"

    def put(
        self,
        name: str,
        owner: Any,
        attribute: str,
        begin: int = 0,
        order: Tensor | None = None,
        axis: int = 0,
    ) -> None:
        dtype = self.stored[name].dtype if name in self.buffers else None
        shape = self.shape(name)
        self.places[name] = Place(owner, attribute, shape, begin, order, axis, dtype)

    def tensor(self, name: str, owner: Any, attribute: str) -> Tensor:
        """Without memory, for the attribute of that name, which is the weight as it is."""
        self.put(name, owner, attribute)
        return meta(*self.shape(name))

    def without_place(self) -> list[str]:
        return [name for name in self.stored if name not in self.places]


def meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")
