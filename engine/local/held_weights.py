"""What a loaded model's weights are held as, for those who want to see it."""

from __future__ import annotations

from collections import Counter

from engine.attention import choice
from engine.modeling.decoder import Decoder
from engine.protocol import Weights


def told(model: Decoder, stored: str) -> Weights:
    """`stored` is what the file's weights are called."""
    in_blocks: Counter[str] = Counter()
    dtype = choice.name_of(model.dtype)
    written_out = held = sum(tensor.nbytes for tensor in model.tensors())
    for part in model.in_blocks():
        size = sum(plane.nbytes for plane in part.planes)
        in_blocks[part.form.name] += size
        written_out += part.written_out_bytes(model.dtype) - size
    names = [name for name, _ in in_blocks.most_common()]
    return Weights(
        stored=stored,
        held=", ".join(names or [dtype]),
        computed=dtype,
        held_bytes=held,
        written_out_bytes=written_out,
    )
