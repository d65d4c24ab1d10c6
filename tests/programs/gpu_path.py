"""A checkpoint on the GPU, by the way that a prompt of the window goes, against transformers.

python -m tests.programs.gpu_path --model FOLDER [--rounds 3] [--prompt-tokens 512]
    [--new-tokens 128]

Prints one JSON object a part: `ask` (engine process, events and detokenizer included) with the
kernels observed, `generate()` with each attention that runs here, the error of the logits against
eager float32 beside that of eager bfloat16, and the milliseconds from Stop to the reply's end.
Rates are medians in tokens/s of one run, every round beside them. Weights may be random: text is
then noise.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import torch
import transformers

from engine.bench import reference
from engine.bench.peers import generated
from engine.loading.load import load
from engine.local.session import Session
from engine.protocol import Finished, Generate, Load, Message, Prefill, Sampling, Stop
from tests.engine.engine_process import EngineProcess, running
from tests.programs.next_turn import environment, text_of

ENGINE: Final = [sys.executable, "-P", "-m", "engine"]
DECODED: Final = 16
"""Tokens of the logits' check that are appended one by one, behind those that are prefilled."""
CUDA: Final = torch.device("cuda")


def ask(model: Path, prompt_tokens: int, new_tokens: int, rounds: int) -> dict[str, Any]:
    arguments = ["ask", text_of(prompt_tokens), "--model", str(model), "--json"]
    arguments += ["--temperature", "0", "--max-new-tokens", str(new_tokens)]
    ends = []
    for _ in range(rounds):
        command = [*ENGINE, *arguments]
        made = subprocess.run(
            command, env={**os.environ, **environment()}, stdout=subprocess.PIPE, check=True
        )
        ends.append(json.loads(made.stdout.splitlines()[-1]))
    rates = [end.get("decode_tokens_per_second") for end in ends]
    return {"decode": statistics.median(rates), "all": rates, "last": ends[-1]}


def generate(model: Path, attention: str, ids: torch.Tensor, count: int, rounds: int) -> Any:
    """tokens/s of decode alone: the time of `count` more tokens after the first."""
    try:
        opened = opened_as(model, attention, torch.bfloat16)
    except (ImportError, OSError, ValueError) as error:
        return str(error).splitlines()[0]

    def seconds(tokens: int) -> float:
        torch.cuda.synchronize()
        begin = time.perf_counter()
        generated(opened, ids, tokens)
        torch.cuda.synchronize()
        return time.perf_counter() - begin

    seconds(8)
    rates = [count / (seconds(count + 1) - seconds(1)) for _ in range(rounds)]
    return {"decode": statistics.median(rates), "all": rates}


def opened_as(model: Path, attention: str, dtype: torch.dtype) -> Any:
    checkpoint = load(
        model,
        device=CUDA,
        dtype=dtype,
        progress=lambda *_: None,
    )
    theirs = reference.of_decoder(checkpoint.model, checkpoint.config)
    theirs.set_attn_implementation(attention)
    return theirs


def logits_of(model: Path, dtype: torch.dtype, tokens: list[int]) -> torch.Tensor:
    """Eager attention, the whole sequence at once: [DECODED, vocabulary] float32 of its end."""
    opened = opened_as(model, "eager", dtype)
    with torch.inference_mode():
        ids = torch.tensor([tokens], device=CUDA)
        output = opened(ids, use_cache=False, logits_to_keep=DECODED)
    logits: torch.Tensor = output.logits[0].float()
    return logits


def logits_of_hearth(model: Path, flash: str, tokens: list[int]) -> tuple[torch.Tensor, Any]:
    session = Session()
    load_command = Load(model=str(model), flash=flash)  # type: ignore[arg-type]
    loaded = session.load(load_command, lambda *_: None)
    attention = session.probe()
    runner = session._opened().runner
    for _ in runner.prefill(tokens[:-DECODED]):
        pass
    rows = [runner.forward([token]).clone() for token in tokens[-DECODED:]]
    session.unload()
    return torch.stack(rows), {
        "use_flash_attn": loaded.use_flash_attn,
        "load_ms": round(loaded.load_ms),
        "prefill": attention.prefill.observed,
        "decode": attention.decode.observed,
    }


def errors(model: Path, vocabulary: int) -> dict[str, Any]:
    """Norm of the difference to eager float32, relative, over the last DECODED positions."""
    torch.manual_seed(7)
    tokens = torch.randint(0, vocabulary, (1001,)).tolist()
    exact = logits_of(model, torch.float32, tokens)
    free()

    def error(logits: torch.Tensor) -> float:
        return float((logits - exact).norm() / exact.norm())

    found: dict[str, Any] = {"eager bfloat16": error(logits_of(model, torch.bfloat16, tokens))}
    free()
    for flash in ("auto", "off"):
        logits, seen = logits_of_hearth(model, flash, tokens)
        found[f"hearth, flash {flash}"] = {"error": error(logits), **seen}
        free()
    return found


def free() -> None:
    gc.collect()
    torch.cuda.empty_cache()


def stop_ms(model: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds from Stop to the end of the reply, in a long prefill and while decoding."""
    found: dict[str, list[float]] = {"prefill": [], "decode": []}
    with running(environment=environment()) as process:
        process.load(Load(model=str(model)))
        for number in range(rounds):
            for phase, times in found.items():
                times.append(stopped_after(process, phase, number))
    return found


def stopped_after(process: EngineProcess, phase: str, number: int) -> float:
    request = f"{phase} {number}"
    message = Message(role="user", content=f"{request} {text_of(6000)}")
    sampling = Sampling(temperature=0.0)
    process.send(Generate(request=request, messages=(message,), sampling=sampling))
    event = process.wait_for(Prefill)
    if phase == "decode":
        while event.done < event.total:
            event = process.wait_for(Prefill)
        time.sleep(0.5)
    begin = time.perf_counter()
    process.send(Stop(request=request))
    end = process.wait_for(Finished, request)
    if end.finish_reason != "stopped":
        raise RuntimeError(f"the reply ended before Stop: {end.finish_reason}")
    return 1e3 * (time.perf_counter() - begin)


def say(part: str, found: object) -> None:
    print(json.dumps({part: found}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    say("machine", {"gpu": torch.cuda.get_device_name(0), **versions, "model": options.model.name})
    for part in options.parts:
        PARTS[part](options)


def say_ask(options: argparse.Namespace) -> None:
    say("ask", ask(options.model, options.prompt_tokens, options.new_tokens, options.rounds))


def say_stop(options: argparse.Namespace) -> None:
    say("stop ms", stop_ms(options.model, options.rounds))


def say_logits(options: argparse.Namespace) -> None:
    vocabulary = json.loads((options.model / "config.json").read_text())["vocab_size"]
    say("logits against eager float32", errors(options.model, vocabulary))


def say_generate(options: argparse.Namespace) -> None:
    ids = torch.full((1, options.prompt_tokens), 11, device=CUDA)
    for attention in ("flash_attention_2", "sdpa", "eager"):
        found = generate(options.model, attention, ids, options.new_tokens, options.rounds)
        say(f"generate(), {attention}", found)
        free()


PARTS: Final = {
    "ask": say_ask,
    "stop": say_stop,
    "logits": say_logits,
    "generate": say_generate,
}


if __name__ == "__main__":
    main()
