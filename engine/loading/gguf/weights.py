"""The tensors of a GGUF file, read where they lie and dequantised one by one."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from torch import Tensor

from engine.errors import CheckpointError, UnsupportedError, shown
from engine.formats.format import Format
from engine.formats.registry import FORMATS
from engine.loading import steady_file
from engine.loading.families import Config
from engine.loading.gguf import types as gguf_types
from engine.loading.gguf.families import BLOCK, FACTORS, GGUF, KEEPS_ROWS, Part, Rows
from engine.loading.gguf.header import GGUFHeader, TensorInfo
from engine.loading.weights import View, Weight, copied, whole

ROPE_FACTORS: Final = "rope_freqs.weight"
"""Llama 3.1 and later: what each rotary frequency is divided by."""
NO_WEIGHTS: Final = {ROPE_FACTORS, *FACTORS.values()}
"""Tensors that are settings."""
ROWS_BYTES: Final = 1 << 16
"""gguf dequantises 16 rows at a time in Python: longer rows make fewer turns (2.4 s -> 0.9 s)."""
INSTEAD: Final = "Q8_0"
"""What weights are held as whose type has no format of Hearth's: half of what bfloat16 takes, and
about as exact."""
BLOCKS_BYTES: Final = 1 << 26
"""Blocks are read and repacked in pieces of so much of the file."""
MATRIX: Final = (2, 3)
"""Dimensions of one, and of one for each expert."""
PIECE_BYTES: Final = 1 << 23
"""A tensor is dequantised in pieces of so much of the file: Gemma's embedding alone took 6 s."""
THREADS: Final = 2
AHEAD: Final = 2
"""Tensors that are dequantised before they are taken; a large model would wait as float32."""
_BLOCK: Final = re.compile(r"blk\.(\d+)\.([a-z_]+(?:_\d)?)(?:\.(\d+))?\.(weight|bias|scale)")
"""Block, name, in old files the expert, and the suffix."""
_STACK: Final = re.compile(r"(blk\.\d+)\.([a-z_]+)_exps\.weight")
STACK: Final = 3
"""Dimensions of one: experts, rows, columns."""
MOST_STACKED: Final = 16
"""Matrices in one tensor outside of the blocks; Gemma 3n has three."""
MOST_EXPERTS: Final = 1 << 12
"""As config_gate has it."""
_TOP: Final = re.compile(r"([a-z_]+)\.(weight|bias)")

Bytes: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Place:
    """Where a tensor goes, or the rows of one."""

    name: str
    """Of the parameter or buffer in the model."""
    into: View = whole
    rows: slice | int | None = None
    """None for all."""
    heads: int = 0
    """The heads whose rotary pairs are to be turned into halves."""
    offset: float = 0.0
    """To be taken off."""
    shape: tuple[int, ...] | None = None
    whole_rows: bool = True
    """Whether rows of the tensor are rows of the parameter."""

    def of(self, tensor: Tensor) -> Tensor:
        part = tensor if self.rows is None else tensor[self.rows]
        if self.heads:
            part = halves(part, self.heads)
        if self.offset:
            part = part - self.offset
        return part if self.shape is None else part.reshape(self.shape)


@dataclass(frozen=True)
class Stored:
    info: TensorInfo
    places: tuple[Place, ...]


def stored(header: GGUFHeader, row: GGUF, config: Config) -> list[Stored]:
    """The tensors that go into the model, in the order of the files.

    Raises UnsupportedError for a tensor that is not known.
    """
    layers = int(config["num_hidden_layers"])
    infos = sorted(header.tensors.values(), key=lambda info: (info.path, info.offset))
    wanted = [info for info in infos if info.name not in NO_WEIGHTS and _layer(info) < layers]
    each = [one for info in wanted for one in _by_expert(info, row)]
    return [Stored(info, tuple(places(info, row, config))) for info in each]


def _by_expert(info: TensorInfo, row: GGUF) -> list[TensorInfo]:
    """A stack of experts as old files have it, each for itself: of DeepSeek V3 one stack takes
    15 GB as float32."""
    stack = _STACK.fullmatch(info.name)
    if not stack or f"{stack[2]}_exps.weight" not in row.names or len(info.shape) != STACK:
        return [info]
    count, *shape = info.shape
    if count > MOST_EXPERTS:
        raise CheckpointError(f"A model with {count} experts cannot be.")
    size = info.size // count
    return [
        replace(
            info,
            name=f"{stack[1]}.{stack[2]}.{expert}.weight",
            shape=tuple(shape),
            offset=info.offset + expert * size,
            size=size,
        )
        for expert in range(count)
    ]


def forms(tensors: list[Stored]) -> dict[str, Format]:
    """The formats of the weights that may stay in blocks, by their names in the model.

    Those whose tensors are all of one type, row for row; biases and norms are no matrices.
    """
    found: dict[str, set[Format | None]] = {}
    for one in tensors:
        for place in one.places:
            found.setdefault(place.name, set()).add(_form(one.info, place))
    alone = {name: next(iter(each)) for name, each in found.items() if len(each) == 1}
    return {name: form for name, form in alone.items() if form is not None}


def _form(info: TensorInfo, place: Place) -> Format | None:
    row_by_row = place.whole_rows and not place.offset and place.shape is None
    if not row_by_row or isinstance(place.rows, int) or len(info.shape) not in MATRIX:
        return None
    if info.type.block == 1:
        return None
    return FORMATS.get(info.type.name, FORMATS[INSTEAD])


def held_otherwise(tensors: list[Stored], forms: Mapping[str, Format]) -> list[str]:
    """Types of the file that Hearth has no format for, of weights that are held as `INSTEAD`."""
    return sorted(
        {
            one.info.type.name
            for one in tensors
            for place in one.places
            if place.name in forms and forms[place.name].name != one.info.type.name
        }
    )


def weights(
    header: GGUFHeader, tensors: list[Stored], forms: Mapping[str, Format]
) -> Iterator[Weight]:
    """Each tensor under transformers' name, float32; of those that have a form, the blocks too."""
    dense: list[Stored] = []
    for one in tensors:
        if any(place.name in forms for place in one.places):
            yield from _in_blocks(header, one, forms)
        else:
            dense.append(one)
    yield from _dense(header, dense)


def _in_blocks(header: GGUFHeader, one: Stored, forms: Mapping[str, Format]) -> Iterator[Weight]:
    size = one.info.size
    for place in one.places:
        form = forms.get(place.name)
        found: dict[str, Any] = {}
        if form is not None and form.name == one.info.type.name:
            found = {"form": form, "planes": partial(_planes, header, one.info, place, form)}
        shape = place.of(torch.empty(one.info.shape, device="meta")).shape
        yield Weight(
            place.name, shape, partial(_filled, header, one.info, place), size, place.into, **found
        )
        size = 0


def _filled(header: GGUFHeader, info: TensorInfo, place: Place, target: Tensor) -> None:
    target.copy_(place.of(torch.from_numpy(dequantise(header, info))))


def _planes(
    header: GGUFHeader, info: TensorInfo, place: Place, form: Format, device: torch.device
) -> Iterator[tuple[slice, list[Tensor]]]:
    """Rows of the weight and their planes on the device, some of the file at a time.

    Raises CheckpointError for a file that has changed.
    """
    per_row = info.shape[-1] // form.block * form.size
    count = info.size // per_row
    numbers = place.of(torch.arange(count)[:, None])[:, 0]
    """The rows of the tensor, in the order of the weight's."""
    turned = bool(place.heads)
    first = int(numbers.min())
    step = count if turned else max(1, BLOCKS_BYTES // per_row)
    for begin in range(0, len(numbers), step):
        rows = numbers[begin : begin + step]
        raw = _raw(header, info, (first + begin) * per_row, len(rows) * per_row)
        blocks = torch.from_numpy(raw).view(len(rows), per_row)
        if turned:
            blocks = blocks[rows - first]
        yield slice(begin, begin + len(rows)), form.repacked(blocks.to(device))


def _raw(header: GGUFHeader, info: TensorInfo, begin: int, size: int) -> Bytes:
    with steady_file.opened(info.path, header.file_of(info)) as file:
        return np.frombuffer(file.read(info.offset + begin, size), np.uint8)


def _dense(header: GGUFHeader, tensors: list[Stored]) -> Iterator[Weight]:
    with ThreadPoolExecutor(THREADS) as pool:
        running: deque[Future[list[Tensor]]] = deque()
        ahead = iter(tensors)
        for one in tensors:
            for following in islice(ahead, AHEAD + 1 - len(running)):
                running.append(_started(pool, header, following))
            size = one.info.size
            for place, tensor in zip(one.places, running.popleft().result(), strict=True):
                yield Weight(place.name, tensor.shape, copied(tensor), size, place.into)
                size = 0  # told once, however many parameters it fills


def rope_factors(header: GGUFHeader) -> Tensor | None:
    """[rotated size / 2], or None where the frequencies are as the config says."""
    return (
        torch.from_numpy(values(header, ROPE_FACTORS)) if ROPE_FACTORS in header.tensors else None
    )


def values(header: GGUFHeader, name: str) -> Floats:
    return dequantise(header, header.tensors[name])


def _layer(info: TensorInfo) -> int:
    found = BLOCK.match(info.name)
    return int(found[1]) if found else -1


def places(info: TensorInfo, row: GGUF, config: Config) -> list[Place]:
    """Raises UnsupportedError for a tensor that this family does not have."""
    top = _TOP.fullmatch(info.name)
    if top and top[1] in row.top:
        whole_model = row.top[top[1]]
        if isinstance(whole_model, Rows):
            return _rows(whole_model.name, info, MOST_STACKED)
        return [_place(f"{whole_model}.{top[2]}", info.name, row, config)]
    block = _BLOCK.fullmatch(info.name)
    if not block:
        raise unknown(info)
    number, name, expert, suffix = block.groups()
    if name == "attn_qkv" and name not in row.names:
        return _split(info, row, config)
    stacked = f"{name}_exps" if expert else name
    target = row.names.get(f"{stacked}.{suffix}") or row.names.get(stacked)
    prefix = f"model.layers.{number}."
    if target is None:
        raise unknown(info)
    if isinstance(target, str):
        return [_place(f"{prefix}{target}.{suffix}", info.name, row, config)]
    if isinstance(target, Rows):
        return _rows(prefix + target.name, info, int(config["num_attention_heads"]))
    view = _view(target, expert, config)
    keeps_rows = target.into is None or target.into in KEEPS_ROWS
    return [Place(prefix + target.name, view, shape=target.shape, whole_rows=keeps_rows)]


def _rows(name: str, info: TensorInfo, most: int) -> list[Place]:
    if info.shape[0] > most:
        raise CheckpointError(f"A weight of {info.shape[0]} parts has more than the {most} it may.")
    return [Place(name.format(i), rows=i) for i in range(info.shape[0])]


def unknown(info: TensorInfo) -> UnsupportedError:
    name = shown(info.name)
    return UnsupportedError(f"This model has a part that Hearth does not know ({name}).")


def _place(name: str, stored_as: str, row: GGUF, config: Config) -> Place:
    heads = 0
    if row.rotary_pairs and ".attn_q." in stored_as:
        heads = int(config["num_attention_heads"])
    if row.rotary_pairs and ".attn_k." in stored_as:
        heads = int(config["num_key_value_heads"])
    offset = row.norm_offset if stored_as.endswith("norm.weight") else 0.0
    return Place(name, heads=heads, offset=offset)


def _view(part: Part, expert: str | None, config: Config) -> View:
    """Old files have a tensor for each expert, newer ones one for all experts of a block."""
    fill = part.into
    of_all: View = whole if fill is None else lambda parameter: fill(parameter, config)
    return of_all if expert is None else lambda parameter: of_all(parameter)[int(expert)]


def _split(info: TensorInfo, row: GGUF, config: Config) -> list[Place]:
    """Queries, keys and values of all heads in one tensor, as the first Phi 2 and GLM-4 have it."""
    head = int(config["head_dim"])
    heads = [int(config["num_attention_heads"])] + 2 * [int(config["num_key_value_heads"])]
    found, begin = [], 0
    for name, count in zip(("attn_q", "attn_k", "attn_v"), heads, strict=True):
        as_if = info.name.replace("attn_qkv", name)
        [place] = places(replace(info, name=as_if), row, config)
        found.append(replace(place, rows=slice(begin, begin + count * head)))
        begin += count * head
    if begin != info.shape[0]:
        raise CheckpointError(f"A weight of {info.shape[0]} rows has not {sum(heads)} heads.")
    return found


def dequantise(header: GGUFHeader, info: TensorInfo) -> Floats:
    """[*shape] float32. Raises CheckpointError for a file that has changed."""
    out = np.empty(info.shape, np.float32)
    for piece in _pieces(header, info, out):
        piece()
    return out


def _pieces(header: GGUFHeader, info: TensorInfo, out: Floats) -> Iterator[partial[None]]:
    """Calls that fill `out`, each on its own."""
    per_row = max(1, ROWS_BYTES // info.type.size) * info.type.size
    step = max(1, PIECE_BYTES // per_row) * per_row
    flat = out.reshape(-1)
    for begin in range(0, info.size, step):
        end = min(begin + step, info.size)
        first, last = (at // info.type.size * info.type.block for at in (begin, end))
        yield partial(_fill, header, begin, end - begin, per_row, info, flat[first:last])


def _fill(
    header: GGUFHeader, begin: int, size: int, per_row: int, info: TensorInfo, out: Floats
) -> None:
    """`size` bytes from `begin` of the tensor on; the threads share no open file."""
    with steady_file.opened(info.path, header.file_of(info)) as file:
        raw = np.frombuffer(file.read(info.offset + begin, size), np.uint8)
    whole_rows = len(raw) // per_row * per_row
    done = 0
    for part in (raw[:whole_rows].reshape(-1, per_row), raw[whole_rows:].reshape(1, -1)):
        if part.size:
            found = _floats(part, info).reshape(-1)
            out[done : done + found.size] = found
            done += found.size


def _floats(raw: Bytes, info: TensorInfo) -> Floats:
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import dequantize

    try:
        found: Floats = dequantize(raw, GGMLQuantizationType(info.type_id))
    except (NotImplementedError, ValueError) as error:  # of an older gguf than this was made with
        raise gguf_types.unreadable(info.type) from error
    return found


def _started(pool: ThreadPoolExecutor, header: GGUFHeader, one: Stored) -> Future[list[Tensor]]:
    out = np.empty(one.info.shape, np.float32)
    pieces = [pool.submit(piece) for piece in _pieces(header, one.info, out)]
    return pool.submit(_finished, pieces, out, one.places)  # begun after the last of them


def _finished(pieces: list[Future[None]], out: Floats, to: tuple[Place, ...]) -> list[Tensor]:
    for piece in pieces:
        piece.result()
    tensor = torch.from_numpy(out)
    return [place.of(tensor) for place in to]


def halves(tensor: Tensor, heads: int) -> Tensor:
    """[heads x head size, ...] with rotary pairs side by side -> in two halves of each head."""
    rest = tensor.shape[1:]
    if tensor.shape[0] % (2 * heads):
        raise CheckpointError(f"A weight of {tensor.shape[0]} rows has not {heads} heads.")
    return tensor.reshape(heads, -1, 2, *rest).transpose(1, 2).reshape(tensor.shape)
