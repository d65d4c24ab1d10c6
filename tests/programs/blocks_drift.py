"""How far computing in blocks on the CPU takes a GGUF model from float32 on its file's own values.

python -m tests.programs.blocks_drift [--model smollm2-135m-instruct] [--tokens 512]

The text is this project's README. KL(float32 || other) in nats a token, of:

- bfloat16: the values written out in bfloat16, computed by torch alone;
- steps: the weights in blocks, a decode step for each token;
- prompt: the same, the whole text in chunks of a prompt.

Prints JSON; the goal is 1.2 times bfloat16's at most.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Final
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional

from engine.device.onednn import onednn
from engine.execution.runner import CHUNK, Runner
from engine.kernels import cpu
from engine.local.session import Session
from engine.protocol import Load

README: Final = Path(__file__).parents[2] / "README.md"


def opened(model: str, dtype: str) -> tuple[Session, Runner]:
    session = Session()
    session.load(Load(model=model, dtype=dtype, context_length=2048), lambda *_: None)  # type: ignore[arg-type]
    return session, session._opened().runner


@torch.inference_mode()
def by_chunks(runner: Runner, tokens: list[int]) -> Tensor:
    """Log-probabilities [tokens, vocabulary] of the next token, float32."""
    found, size = [], CHUNK["cpu"]
    for begin in range(0, len(tokens), size):
        chunk = tokens[begin : begin + size]
        with onednn(enabled=True):
            hidden = runner.model(torch.tensor(chunk), runner.cache.step(len(chunk)))
        runner.cache.tokens.extend(chunk)
        rows = [runner.model.logits(row[None]) for row in hidden]
        found.append(torch.cat(rows).float().log_softmax(-1))
    runner.cache.cut(0)
    return torch.cat(found)


def by_steps(runner: Runner, tokens: list[int]) -> Tensor:
    rows = [runner.forward([token]).float().log_softmax(-1) for token in tokens]
    runner.cache.cut(0)
    return torch.stack(rows)


def kl(exact: Tensor, other: Tensor) -> float:
    each = functional.kl_div(other.double(), exact.double(), reduction="none", log_target=True)
    return float(each.sum(-1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--tokens", type=int, default=512)
    arguments = parser.parse_args()
    with mock.patch.object(cpu, "library", return_value=None):
        session, runner = opened(arguments.model, "float32")
        tokenizer = session._opened().checkpoint.tokenizer
        tokens = tokenizer(README.read_text("utf-8")).input_ids[: arguments.tokens]
        exact = by_chunks(runner, tokens)
        session.unload()
        session, runner = opened(arguments.model, "bfloat16")
        found = {"bfloat16": kl(exact, by_chunks(runner, tokens))}
        session.unload()
    session, runner = opened(arguments.model, "bfloat16")
    found["steps"] = kl(exact, by_steps(runner, tokens))
    found["prompt"] = kl(exact, by_chunks(runner, tokens))
    ratios = {f"{name} / bfloat16": found[name] / found["bfloat16"] for name in ("steps", "prompt")}
    print(json.dumps({"model": arguments.model, "tokens": len(tokens), **found, **ratios}))


if __name__ == "__main__":
    main()
