"""One token's way through a model's layers on the CPU, as one call.

Between the calls of a step lie some hundred of Python's and torch's own operations: views, rooms
for results. They take as long as a third of the products of a small model, and are the same for
each token. So the calls of one step are noted, with the rooms that they write to, and run again.

That is right only if a step is made of nothing but these calls. Every operation of torch is watched
while they are noted: one that computes (a router's choice, a multiplier) leaves the model with
steps as they are. A second token is computed both ways, and must be the same bit for bit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from engine.attention.step import Step
from engine.kernels import cpu
from engine.kernels.cpu import Recorded
from engine.modeling.decoder import Decoder
from engine.modeling.rope import Angles

ROOMS: Final = ("aten::empty", "aten::new_empty", "aten::empty_strided", "aten::new_empty_strided")

_log = logging.getLogger(__name__)


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What torch does meanwhile but make views."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rooms: list[Tensor] = []
        """Memory that was taken."""
        self.computed: list[str] = []
        """Operations that read or write numbers."""

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        schema = func._schema  # noqa: SLF001 - its only way to say what it does
        given = {_memory(tensor) for tensor in _tensors(args)}
        found = list(_tensors((out,)))
        views = found and all(_memory(tensor) in given for tensor in found)
        if schema.name in ROOMS:
            self.rooms += found
        elif schema.is_mutable or not views:
            self.computed.append(schema.name)
        return out


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


class RecordedStep:
    """For a model that runs by cpu.cpp and a cache whose buffers stay where they are."""

    def __init__(self, model: Decoder) -> None:
        self.model = model
        self.objection = "layers have embeddings of their own" if model.per_layer else ""
        """Why each step is a forward of its own."""
        self._calls: Recorded | None = None
        self._sure = False
        self._x = self._out = torch.empty(0)
        self._angles: dict[str, Angles] = {}
        self._rooms: list[Tensor] = []

    def hidden(self, ids: Tensor, step: Step) -> Tensor:
        """As the model, for ids int64 [1]: [1, hidden size], which the next call overwrites."""
        if self.objection:
            return self.model(ids, step)
        x, angles = self.model.embedded(ids), self.model.angles(step.positions)
        if self._calls is None:
            return self._record(x, step, angles)
        self._x.copy_(x)
        _copy(angles, self._angles)
        if not self._sure:
            return self._compared(step)
        self._calls.run(step.start)
        return self._out

    def _record(self, x: Tensor, step: Step, angles: Mapping[str, Angles]) -> Tensor:
        self._x = x.clone()
        self._angles = {name: _cloned(each) for name, each in angles.items()}
        with cpu.recording() as calls, Watch() as watch:
            self._out = self.model.through(self._x, step, self._angles)
        if watch.computed:
            self.objection = f"torch computes {watch.computed[0]} in a step"
            _log.info("a step is not recorded: %s", self.objection)
        else:
            self._calls, self._rooms = calls, watch.rooms
        return self._out

    def _compared(self, step: Step) -> Tensor:
        if self._calls is None:
            raise ValueError("nothing is recorded")
        self._calls.run(step.start)
        found = self._out.clone()
        wanted = self.model.through(self._x, step, self._angles)  # and the cache is right again
        self._sure = torch.equal(wanted, found)
        if not self._sure:
            self.objection = "what was recorded computes something else"
            _log.warning("a step is not recorded: %s", self.objection)
        return wanted


def _cloned(angles: Angles) -> Angles:
    scale = angles.query_scale
    cosine, sine, signed = (tensor.clone() for tensor in angles[:3])
    return Angles(cosine, sine, signed, None if scale is None else scale.clone())


def _copy(angles: Mapping[str, Angles], to: Mapping[str, Angles]) -> None:
    for name, each in angles.items():
        for tensor, room in zip(each, to[name], strict=True):
            if tensor is not None and room is not None:
                room.copy_(tensor)
