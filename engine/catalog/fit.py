"""Whether a model's weights fit into this computer, by its header. Without torch."""

from __future__ import annotations

from typing import Final

from engine.device import sizes
from engine.device.sizes import Memory
from engine.errors import OutOfMemoryError
from engine.protocol import Dtype, ModelInfo

ITEM_SIZES: Final[dict[Dtype, float]] = {
    "auto": 2,
    "bfloat16": 2,
    "float16": 2,
    "float32": 4,
    "q8": 34 / 32,
}
"""Bytes of a weight in the dtype that the model computes in; of both that "auto" may mean."""

HELD_IN_8_BITS: Final = ("IQ1", "IQ2", "IQ3", "TQ", "NVFP4")
"""Types of GGUF files that no kernel computes with: they become Q8_0 as they are loaded."""
HINT: Final = "Choose a smaller model, or one whose weights have fewer bits."
IN_8_BITS: Final = (
    "Load it with its numbers in 8 bits (Settings, Numbers of the model; `--dtype q8`), or choose "
    "a smaller model."
)


def weight_bytes(card: ModelInfo, dtype: Dtype, *, in_blocks: bool) -> int:
    """Bytes of memory that the weights take. `in_blocks`: whether those of a GGUF file stay as they
    are in the file. Of a model whose header was not read whole, what its files take."""
    dense = int(card.parameters * ITEM_SIZES[dtype]) or card.size_bytes
    if not in_blocks or card.format != "gguf":
        return dense
    if card.weights.startswith(HELD_IN_8_BITS):
        return int(card.parameters * ITEM_SIZES["q8"]) or card.size_bytes
    return min(dense, card.size_bytes)


def objection(card: ModelInfo, here: Memory, dtype: Dtype = "auto") -> str:
    """Why weights cannot lie in the memory of this computer, as a sentence; "" if they can."""
    needed = weight_bytes(card, dtype, in_blocks=here.of_gpu)
    if needed <= here.largest:
        return ""
    return (
        f"The weights of {card.name} take {sizes.said(needed)}, and this computer has "
        f"{sizes.said(here.largest)} of memory: {sizes.said(needed - here.largest)} are missing."
    )


def check(card: ModelInfo, dtype: Dtype) -> None:
    """Raises OutOfMemoryError if the weights would not fit even if nothing else ran here."""
    if refused := objection(card, sizes.memory(), dtype):
        raise OutOfMemoryError(refused, hint(card, sizes.memory()))


def hint(card: ModelInfo, here: Memory) -> str:
    """What to do with a model that does not fit."""
    return IN_8_BITS if fits_in_8_bits(card, here) else HINT


def fits_in_8_bits(card: ModelInfo, here: Memory) -> bool:
    """Whether it would fit if it were quantised as it is loaded, which a GPU computes with."""
    return here.of_gpu and card.format == "safetensors" and not objection(card, here, "q8")
