"""Every family on the GPU in the widths of published models, four layers of it, random weights.

python -m tests.programs.families --out FOLDER [--only NAME ...] [--new-tokens 48] [--rounds 3]

For each kernel that Hearth chooses here, with the flash-attn package and as if it were not there:
what was observed in prefill and decode, the error of the logits against eager float32 beside that
of eager bfloat16, and tokens/s of decode beside transformers' generate() with the best attention
that runs. Writes families.json after each family, and models.md, the table, at the end. Rates are
those of four layers: the ratio says more than the rate.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING

from engine.bench.peers import generated
from engine.device import facts
from engine.execution.runner import Runner
from engine.execution.sampling import SamplingOptions
from tests.engine.family_models import MODELS
from tests.gpu.family_runs import CUDA, PROMPT, GpuModel, reply

LAYERS: Final = 4
WINDOW: Final = 128
VOCABULARY: Final = 32_000
MLA: Final = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64}
WIDTHS: Final[dict[str, dict[str, Any]]] = {
    "llama": {"num_key_value_heads": 8, "intermediate_size": 14_336},
    "gemma": {},
    "gemma2": {"hidden_size": 3584, "num_attention_heads": 16, "num_key_value_heads": 8},
    "gemma3": {"hidden_size": 2560, "intermediate_size": 10_240},
    "gemma3n": {
        "intermediate_size": 8192,
        "num_kv_shared_layers": 2,
        "activation_sparsity_pattern": [0.95, 0.95, 0.0, 0.0],
    },
    "gemma4-e4b": {"hidden_size": 2560, "num_kv_shared_layers": 2},
    "gemma4-26b": {
        "hidden_size": 2816,
        "hidden_size_per_layer_input": 0,
        "attention_k_eq_v": True,
        "num_global_key_value_heads": 2,
        "enable_moe_block": True,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "num_experts": 128,
        "top_k_experts": 8,
        "moe_intermediate_size": 704,
    },
    "mistral": {},
    "ministral": {
        "hidden_size": 4096,
        "intermediate_size": 12_288,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
    },
    "ministral3": {},
    "mixtral": {},
    "deepseek_v2": {
        **MLA,
        "hidden_size": 2048,
        "intermediate_size": 10_944,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "q_lora_rank": None,
        "v_head_dim": 128,
        "n_routed_experts": 64,
        "num_experts_per_tok": 6,
        "n_shared_experts": 2,
        "moe_intermediate_size": 1408,
        "first_k_dense_replace": 1,
    },
    "deepseek_v3": {"n_routed_experts": 32, "n_group": 4, "topk_group": 2}
    | {"first_k_dense_replace": 1},
    "dots1": {
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "head_dim": 128,
        "n_routed_experts": 32,
        "num_experts_per_tok": 6,
        "n_shared_experts": 2,
        "first_k_dense_replace": 1,
    },
    "phi": {"hidden_size": 2560, "num_attention_heads": 32, "intermediate_size": 10_240},
    "phi3": {},
    "phi4-mini": {"num_attention_heads": 24, "num_key_value_heads": 8},
    "qwen2": {"hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4}
    | {"intermediate_size": 18_944},
    "qwen2_moe": {},
    "qwen3": {"num_key_value_heads": 8, "intermediate_size": 12_288},
    "qwen3_moe": {"head_dim": 128},
    "stablelm": {},
    "granite": {"num_key_value_heads": 8},
    "granitemoe": {
        "hidden_size": 1536,
        "intermediate_size": 512,
        "num_attention_heads": 24,
        "num_key_value_heads": 8,
        "num_local_experts": 40,
        "num_experts_per_tok": 8,
    },
    "granitemoeshared": {
        "hidden_size": 1536,
        "intermediate_size": 512,
        "num_attention_heads": 24,
        "num_key_value_heads": 8,
        "num_local_experts": 40,
        "num_experts_per_tok": 8,
        "shared_intermediate_size": 1024,
    },
    "helium": {},
    "smollm3": {},
    "olmo": {},
    "olmo2": {},
    "olmo3": {},
    "olmoe": {},
    "cohere": {},
    "cohere2": {"hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8}
    | {"intermediate_size": 14_336},
    "glm": {},
    "glm4": {},
    "glm4_moe": {"n_routed_experts": 32, "head_dim": 128},
    "gpt_oss": {"num_local_experts": 32},
    "exaone4": {"num_key_value_heads": 8, "head_dim": 128},
    "starcoder2": {},
    "nemotron": {"head_dim": 128, "num_key_value_heads": 8},
    "seed_oss": {},
    "hunyuan": {"head_dim": 128, "num_key_value_heads": 8},
    "ernie4_5": {},
    "arcee": {"num_attention_heads": 20, "num_key_value_heads": 4, "intermediate_size": 18_432},
}
"""What differs from the defaults of transformers, which are a published model's for most."""
KINDS: Final = (
    "rope_parameters",
    "layer_types",
    "no_rope_layers",
    "original_max_position_embeddings",
)


def made(name: str) -> Any:
    """In float32 on the GPU; layer kinds as in the tests' model, experts as published."""
    line = MODELS[name]
    changes: dict[str, Any] = {key: line.changes[key] for key in KINDS if key in line.changes}
    if line.changes.get("sliding_window"):
        changes["sliding_window"] = WINDOW
    settings: dict[str, Any] = {
        **changes,
        "num_hidden_layers": LAYERS,
        "vocab_size": VOCABULARY,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": None,
        **WIDTHS[name],
    }
    config: Any = CONFIG_MAPPING[line.family](**settings)
    torch.manual_seed(7)
    model_type: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    with CUDA:
        return model_type(config).eval()


def measure(name: str, new_tokens: int, rounds: int) -> dict[str, Any]:
    model = GpuModel(made(name))
    found: dict[str, Any] = {
        "family": name,
        "parameters": sum(p.numel() for p in model.reference.parameters()),
        "head_size": model.shape.head_size,
        "eager_errors": model.eager,
        "eager_typical": model.eager_typical,
        "generate": {
            kind: rates(lambda count, kind=kind: replied(model, kind, count), new_tokens, rounds)  # type: ignore[misc]
            for kind in ("sdpa", "flash_attention_2", "eager")
        },
        "runs": [],
    }
    for flash_attn in (True, False) if facts.current().flash_attn else (False,):
        run = model.run(flash_attn=flash_attn)
        ready, reason = model.runner(flash_attn=flash_attn)
        found["runs"].append(
            {
                "kernel": run.kernel,
                "reason": reason,
                "prefill": run.prefill.label,
                "decode": run.decode.label,
                "errors": run.errors,
                "typical": run.typical,
                "rate": rates(partial(replies, ready, model.tokens[:PROMPT]), new_tokens, rounds),
            }
        )
    return found


def rates(run: Callable[[int], None], new_tokens: int, rounds: int) -> Any:
    """tokens/s of decode alone: the time of `new_tokens` more after the first.

    A whole round goes before them: the first one of generate() with sdpa has taken up to 14 times
    as long as the second.
    """

    def seconds(count: int) -> float:
        torch.cuda.synchronize()
        begin = time.perf_counter()
        run(count)
        torch.cuda.synchronize()
        return time.perf_counter() - begin

    try:
        seconds(new_tokens + 1)
        found = [new_tokens / (seconds(new_tokens + 1) - seconds(1)) for _ in range(rounds)]
    except Exception as error:  # noqa: BLE001 - a benchmark says what did not run
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return {"median": statistics.median(found), "all": found}


def replied(model: GpuModel, attention: str, count: int) -> None:
    model.reference.set_attn_implementation(attention)
    model.reference.config._experts_implementation = "grouped_mm"
    generated(model.reference, model.ids(model.tokens[:PROMPT]), count)


def replies(ready: Runner, prompt: list[int], count: int) -> None:
    """Greedy, by the steps that replies use."""
    reply(ready, prompt, SamplingOptions(temperature=0), count)


def table(found: list[dict[str, Any]]) -> str:
    lines = [
        (
            "| family | head size | kernel observed, prefill / decode | error, prefill / decode "
            "(eager bf16) | decode, tokens/s | generate(), its best | ratio |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    for entry in found:
        best = max(
            (r["median"] for r in entry["generate"].values() if isinstance(r, dict)), default=0
        )
        for run in entry["runs"]:
            rate = run["rate"]["median"] if isinstance(run["rate"], dict) else 0
            pairs = zip(run["errors"], entry["eager_errors"], strict=True)
            errors = " / ".join(f"{mine:.4f} ({eager:.4f})" for mine, eager in pairs)
            seen = (
                run["prefill"]
                if run["prefill"] == run["decode"]
                else f"{run['prefill']} / {run['decode']}"
            )
            ratio = f"{rate / best:.2f}" if best else "-"
            lines.append(
                f"| {entry['family']} | {entry['head_size']} | {seen} | {errors} | {rate:.0f} "
                f"| {best:.0f} | {ratio} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(WIDTHS))
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for name in options.only:
        begin = time.perf_counter()
        try:
            found.append(measure(name, options.new_tokens, options.rounds))
        except Exception:  # noqa: BLE001 - the other families are measured all the same
            failed[name] = traceback.format_exc()
        gc.collect()
        torch.cuda.empty_cache()
        print(name, f"{time.perf_counter() - begin:.1f} s", failed.get(name, "")[-300:], flush=True)
        machine = {
            "gpu": torch.cuda.get_device_name(0),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "flash_attn": facts.current().flash_attn,
        }
        whole = {"machine": machine, "families": found, "failed": failed}
        (options.out / "families.json").write_text(json.dumps(whole, indent=1), "utf-8")
        (options.out / "models.md").write_text(table(found), "utf-8")


if __name__ == "__main__":
    main()
