"""A checkpoint on the GPU, by the way that a prompt of the window goes, against transformers.

python -m tests.bench.gpu_path --model FOLDER [--rounds 3] [--prompt-tokens 512] [--new-tokens 128]

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

from engine import protocol
from engine.loading.load import load
from engine.protocol import Generate, Load, Message, Prefill, Sampling
from engine.session import Session

ROOT: Final = Path(__file__).resolve().parents[2]
ENGINE: Final = [sys.executable, "-P", "-m", "engine"]
WORDS: Final = "The hearth keeps the house warm while it rains and the wind is loud. "
DECODED: Final = 16
"""Tokens of the logits' check that are appended one by one, behind those that are prefilled."""
CUDA: Final = torch.device("cuda")


def text_of(tokens: int) -> str:
    """About that many tokens of plain English."""
    return WORDS * max(1, tokens // 15)


def environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def ask(model: Path, prompt_tokens: int, new_tokens: int, rounds: int) -> dict[str, Any]:
    arguments = ["ask", text_of(prompt_tokens), "--model", str(model), "--json"]
    arguments += ["--temperature", "0", "--max-new-tokens", str(new_tokens)]
    ends = []
    for _ in range(rounds):
        command = [*ENGINE, *arguments]
        made = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, check=True)
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
        opened.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            pad_token_id=0,
        )
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
        attn_implementation=attention,
        progress=lambda *_: None,
    )
    return checkpoint.model


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
    load_command = protocol.Load(model=str(model), flash=flash)  # type: ignore[arg-type]
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


class Engine:
    """An engine process, driven by lines as the window does."""

    def __init__(self, model: Path) -> None:
        self._process = subprocess.Popen(
            [*ENGINE, "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        self.send(Load(model=str(model)))
        self.wait(protocol.AttentionObserved)

    def send(self, command: protocol.Command) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(protocol.encode(command))
        self._process.stdin.flush()

    def wait(self, *kinds: type[protocol.Event]) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = protocol.decode_event(line)
            if isinstance(event, protocol.Error):
                raise RuntimeError(f"{event.title}: {event.detail}")
            if isinstance(event, kinds):
                return event
        raise RuntimeError("the engine ended")

    def end(self) -> None:
        self.send(protocol.Shutdown())
        self._process.wait()


def stop_ms(model: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds from Stop to the end of the reply, in a long prefill and while decoding."""
    engine = Engine(model)
    found: dict[str, list[float]] = {"prefill": [], "decode": []}
    for number in range(rounds):
        for phase, pause in (("prefill", 0.0), ("decode", 0.5)):
            request = f"{phase} {number}"
            content = f"{request} " + text_of(6000)
            engine.send(
                Generate(
                    request=request,
                    messages=(Message(role="user", content=content),),
                    sampling=Sampling(temperature=0.0),
                )
            )
            event = engine.wait(Prefill)
            while phase == "decode" and event.done < event.total:
                event = engine.wait(Prefill)
            time.sleep(pause)
            begin = time.perf_counter()
            engine.send(protocol.Stop(request=request))
            end = engine.wait(protocol.Finished)
            found[phase].append(1e3 * (time.perf_counter() - begin))
            if end.finish_reason != "stopped":
                found.setdefault(f"{phase} ended by itself: {end.finish_reason}", []).append(1)
    engine.end()
    return found


def next_turn(model: Path, history_tokens: int) -> dict[str, Any]:
    """Time to first token of a long first turn, and of the next one on its history."""
    engine = Engine(model)
    long = Message(role="user", content=text_of(history_tokens))
    answer = Message(role="assistant", content="Yes.")
    turns = {
        "warm up": (Message(role="user", content="Well. " + long.content),),
        "first": (long,),
        "next": (long, answer, Message(role="user", content="Go on.")),
    }
    found = {}
    for name, messages in turns.items():
        sampling = Sampling(temperature=0.0, max_new_tokens=2)
        engine.send(Generate(request=name, messages=messages, sampling=sampling))
        end = engine.wait(protocol.Finished)
        found[name] = {
            "prompt_tokens": end.prompt_tokens,
            "reused_tokens": end.reused_tokens,
            "time_to_first_token_ms": round(end.time_to_first_token_ms, 2),
            "prefill_tokens_per_second": round(end.prefill_tokens_per_second),
        }
    engine.end()
    return found


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


def say_next_turn(options: argparse.Namespace) -> None:
    say("next turn", next_turn(options.model, 6000))


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
    "next-turn": say_next_turn,
    "stop": say_stop,
    "logits": say_logits,
    "generate": say_generate,
}


if __name__ == "__main__":
    main()
