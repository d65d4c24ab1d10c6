"""The tensors of a GGUF file, read where they lie and dequantised one by one."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from engine.errors import CheckpointError, UnsupportedError
from engine.loading.families import Config, Family
from engine.loading.gguf_header import GGUFHeader, TensorInfo
from engine.loading.weights import Weight

ROPE_FACTORS: Final = "rope_freqs.weight"
"""Llama 3.1 and later: what each rotary frequency is divided by."""
ROWS_BYTES: Final = 1 << 16
"""gguf dequantises 16 rows at a time in Python: longer rows make fewer turns (2.4 s -> 0.9 s)."""
THREADS: Final = 2
"""Tensors dequantised at once; no more wait to be taken, or a large model would wait as float32."""
_TOP: Final = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_BLOCK: Final = re.compile(r"blk\.(\d+)\.([a-z_]+)\.(weight|bias)")


def weights(header: GGUFHeader, family: Family, config: Config) -> Iterator[Weight]:
    """Each tensor under transformers' name, float32, in the order of the files.

    Raises UnsupportedError for a type that gguf cannot dequantise and for an unknown tensor.
    """
    data = _mapped(header)
    infos = sorted(header.tensors.values(), key=lambda info: (info.path, info.offset))
    wanted = [info for info in infos if info.name != ROPE_FACTORS]
    names = [name_of(info.name, family) for info in wanted]
    with ThreadPoolExecutor(THREADS) as pool:
        running: deque[Future[torch.Tensor]] = deque()
        ahead = iter(wanted)
        for info, name in zip(wanted, names, strict=True):
            for following in islice(ahead, THREADS + 1 - len(running)):
                raw = data[following.path]
                running.append(pool.submit(_tensor, raw, following, family, config))
            yield Weight(name, running.popleft().result(), info.size)


def rope_factors(header: GGUFHeader) -> torch.Tensor | None:
    """[head size / 2], or None where the frequencies are as the config says."""
    info = header.tensors.get(ROPE_FACTORS)
    if info is None:
        return None
    return torch.from_numpy(dequantise(_mapped(header)[info.path], info))


def _mapped(header: GGUFHeader) -> dict[Path, np.ndarray[Any, np.dtype[np.uint8]]]:
    return {path: np.memmap(path, np.uint8, mode="r") for path in header.paths}


def name_of(name: str, family: Family) -> str:
    if name in _TOP:
        return _TOP[name]
    match = _BLOCK.fullmatch(name)
    if match and match[2] in family.gguf.names:
        return f"model.layers.{match[1]}.{family.gguf.names[match[2]]}.{match[3]}"
    raise UnsupportedError(f"This model has a part that Hearth does not know ({name}).")


def dequantise(
    data: np.ndarray[Any, np.dtype[np.uint8]], info: TensorInfo
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """[*shape] float32, a copy."""
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import dequantize

    raw = data[info.offset : info.offset + info.size]
    per_row = max(1, ROWS_BYTES // info.type.size) * info.type.size
    whole = len(raw) // per_row * per_row
    kind = GGMLQuantizationType(info.type_id)
    out = np.empty(info.shape, np.float32)
    flat, done = out.reshape(-1), 0
    try:
        for part in (raw[:whole].reshape(-1, per_row), raw[whole:].reshape(1, -1)):
            if part.size:
                values = dequantize(part, kind).reshape(-1)
                flat[done : done + values.size] = values
                done += values.size
    except NotImplementedError as error:
        raise UnsupportedError(
            f"Weights of the type {info.type.name} cannot be read.",
            "Download another quantisation of this model, such as Q4_K_M.",
        ) from error
    return out


def _tensor(
    data: np.ndarray[Any, np.dtype[np.uint8]], info: TensorInfo, family: Family, config: Config
) -> torch.Tensor:
    tensor = torch.from_numpy(dequantise(data, info))
    if family.gguf.rotary_pairs and ".attn_q." in info.name:
        return halves(tensor, int(config["num_attention_heads"]))
    if family.gguf.rotary_pairs and ".attn_k." in info.name:
        return halves(tensor, int(config["num_key_value_heads"]))
    if info.name.endswith("norm.weight"):
        return tensor - family.gguf.norm_offset
    return tensor


def halves(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """[heads x head size, ...] with rotary pairs side by side -> in two halves of each head."""
    rest = tensor.shape[1:]
    if tensor.shape[0] % (2 * heads):
        raise CheckpointError(f"A weight of {tensor.shape[0]} rows has not {heads} heads.")
    return tensor.reshape(heads, -1, 2, *rest).transpose(1, 2).reshape(tensor.shape)
