"""Measurements behind decisions on the GPU: attention and experts of one token, latents.

python -m tests.programs.choices --out FOLDER

Decode: the flash kernels at several contexts and head sizes, microseconds a layer. Experts:
transformers' grouped product against gathering the active experts' weights, one row, in
microseconds a layer. Multi-head latent attention at decode: keys and values expanded and padded
to one head size, through torch's flash kernel, against the latents themselves (absorbed), by plain
matrix products; microseconds a layer, projections that only the latter needs included, and bytes
of cache a token and layer. Each as one CUDA graph, so that Python is not measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.integrations.moe import (
    batched_mm_experts_forward,
    grouped_mm_experts_forward,
)

from engine.attention.kernels import KERNELS, torch_flash
from engine.attention.layer_step import LayerStep, Scoring

CUDA: Final = torch.device("cuda")
MIXTURES: Final = {
    "Mixtral 8x7B": (8, 2, 4096, 14_336),
    "Qwen3 30B-A3B": (128, 8, 2048, 768),
    "OLMoE 1B-7B": (64, 8, 2048, 1024),
}
"""Experts, active experts, hidden size, intermediate size."""
LATENT: Final = {"DeepSeek V2 Lite": 16, "DeepSeek V3": 128}
"""Heads; 128 + 64 for queries and keys, 128 for values, latents of 512 + 64."""
CONTEXTS: Final = (512, 7000, 32_000)
REPEATS: Final = 20


def microseconds(run: Callable[[], object]) -> float:
    """Median of one run in a CUDA graph of REPEATS, over five replays."""
    stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(REPEATS):
            run()
    graph.replay()
    times: list[float] = []
    for _ in range(5):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(1e3 * begin.elapsed_time(end) / REPEATS)
    return statistics.median(times)


def bfloat16(*shape: int) -> Tensor:
    return torch.randn(shape, device=CUDA, dtype=torch.bfloat16) * 0.02


class Experts(nn.Module):
    """As much of a layer's experts as the two functions look at."""

    has_gate, has_bias, is_transposed, has_post_expert_norm = True, False, False, False
    is_concatenated, _is_expert_parallel = True, False

    def __init__(self, count: int, hidden: int, intermediate: int) -> None:
        super().__init__()
        self.num_experts = count
        self.gate_up_proj = nn.Parameter(bfloat16(count, 2 * intermediate, hidden), False)
        self.down_proj = nn.Parameter(bfloat16(count, hidden, intermediate), False)

    def _apply_gate(self, gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, -1)
        return functional.silu(gate) * up


def mixtures() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (count, active, hidden, intermediate) in MIXTURES.items():
        module = Experts(count, hidden, intermediate)
        row, weights = bfloat16(1, hidden), bfloat16(1, active)
        index = torch.randperm(count, device=CUDA)[None, :active]
        size = 2 * active * 3 * hidden * intermediate
        found[name] = {"megabytes read at least": size / 1e6}
        for kind, run in (
            ("grouped", grouped_mm_experts_forward),
            ("gathered", batched_mm_experts_forward),
        ):
            time = microseconds(lambda run=run, args=(module, row, index, weights): run(*args))  # type: ignore[misc]
            found[name][kind] = {"us": time, "GB/s": size / time / 1e3}
    return found


def latent(heads: int, context: int) -> dict[str, float]:
    query = bfloat16(1, 1, heads, 192)
    keys, values = (bfloat16(1, context + 1, heads, 192) for _ in range(2))
    step = LayerStep(
        keys,
        values,
        context,
        torch.tensor([context], dtype=torch.int32, device=CUDA),
        torch.tensor([context + 1], dtype=torch.int32, device=CUDA),
        torch.tensor([context], device=CUDA),
    )
    scoring = Scoring(192**-0.5)
    key, value = (bfloat16(1, 1, heads, 192) for _ in range(2))
    latents, up_keys, up_values = (
        bfloat16(context + 1, 576),
        bfloat16(heads, 128, 512),
        bfloat16(heads, 512, 128),
    )

    def absorbed() -> Tensor:
        plain, rotated = query[0, 0, :, :128], query[0, 0, :, 128:]
        into = torch.bmm(plain[:, None], up_keys)[:, 0]
        scores = torch.cat([into, rotated], -1) @ latents.t() * scoring.scale
        mixed = scores.softmax(-1, dtype=torch.float32).to(latents.dtype) @ latents[:, :512]
        return torch.bmm(mixed[:, None], up_values)

    return {
        "padded us": microseconds(lambda: torch_flash(query, key, value, step, scoring)),
        "absorbed us": microseconds(absorbed),
        "padded bytes": 2 * heads * 192 * 2,
        "absorbed bytes": 576 * 2,
    }


def decode_attention(heads: int, kv_heads: int, size: int, context: int) -> dict[str, float]:
    """Microseconds a layer of each kernel for one token; buffers of the next power of two."""
    span = 1 << context.bit_length()
    query, key = bfloat16(1, 1, heads, size), bfloat16(1, 1, kv_heads, size)
    buffers = bfloat16(2, 1, span, kv_heads, size)
    place = torch.tensor([context], device=CUDA)
    step = LayerStep(buffers[0], buffers[1], context, place.int(), place.int() + 1, place)
    found: dict[str, float] = {"bytes": 2.0 * 2 * context * kv_heads * size}
    for kernel in ("flash_attn", "torch_flash", "flash_decode"):
        run = KERNELS[kernel]
        try:
            found[kernel] = microseconds(
                lambda run=run: run(query, key, key, step, Scoring(size**-0.5))  # type: ignore[misc]
            )
        except (ImportError, RuntimeError) as error:
            print(kernel, size, str(error).splitlines()[0])
    return found


DECODE: Final = {
    "64": (32, 8, 64),
    "128": (32, 8, 128),
    "256": (8, 4, 256),
    "128 MHA": (32, 32, 128),
}
"""Heads, KV heads, head size."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        found = {
            "gpu": torch.cuda.get_device_name(0),
            "torch": torch.__version__,
            "decode": {
                f"{name}, {context}": decode_attention(*sizes, context)
                for name, sizes in DECODE.items()
                for context in CONTEXTS
            },
            "experts": mixtures(),
            "latent": {
                f"{name}, {context}": latent(heads, context)
                for name, heads in LATENT.items()
                for context in CONTEXTS
            },
        }
    (options.out / "choices.json").write_text(json.dumps(found, indent=1), "utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
