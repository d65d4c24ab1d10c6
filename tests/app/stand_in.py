"""A process that speaks the protocol for faults that the real engine cannot be made to have.

`python -P stand_in.py SCRIPT`: what it does is named by SCRIPT, a row of SCRIPTS. It answers every
prompt with `--thinking` and `--text`, one word an event, unless its script says otherwise.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time

from engine import protocol
from engine.protocol import AttentionPhase, ModelInfo, encode

MODEL = ModelInfo(
    id="smollm2-135m",
    name="SmolLM2 135M Instruct",
    path="/models/smollm2.gguf",
    source="embedded",
    format="gguf",
    architecture="llama",
    parameters=134_515_008,
    weights="Q4_1",
    size_bytes=98_000_000,
    context_length=8192,
)
IMPORTED = ModelInfo(
    id="/models/gemma-3-4b-it",
    name="Gemma 3 4B it",
    path="/models/gemma-3-4b-it",
    source="imported",
    format="safetensors",
    architecture="Gemma3ForCausalLM",
    parameters=4_300_000_000,
    weights="bf16",
    size_bytes=8_600_000_000,
    context_length=131_072,
)
BROKEN = ModelInfo(
    id="/models/old-model.bin",
    name="old-model.bin",
    path="/models/old-model.bin",
    source="imported",
    format="unknown",
    size_bytes=2_200_000_000,
    problem="Pickle files can run code. Use a checkpoint in safetensors format instead.",
)
ADDED = ModelInfo(
    id="/models/qwen3-0.6b",
    name="Qwen3 0.6B",
    path="/models/qwen3-0.6b",
    source="imported",
    format="safetensors",
    architecture="Qwen3ForCausalLM",
    parameters=600_000_000,
    weights="bf16",
    size_bytes=1_200_000_000,
    context_length=40_960,
)
"""Not listed until it is added."""
MODELS = (MODEL, IMPORTED, BROKEN)


def phase(*, flash: bool) -> AttentionPhase:
    return AttentionPhase(
        requested="auto",
        resolved="torch flash" if flash else "SDPA, plain",
        observed="flash_fwd_kernel" if flash else "_scaled_dot_product_attention_math",
        reason="NVIDIA H200, compute capability 9.0, bf16, head size 64."
        if flash
        else "There is no CUDA GPU: flash attention needs one of compute capability 8.0.",
        flash=flash,
        max_error=0.002,
    )


class StandIn:
    def __init__(
        self, script: str, thinking: str, text: str, word_ms: float, load_ms: float
    ) -> None:
        self._script = script
        self._thinking = thinking
        self._text = text
        self._word_s = word_ms / 1000
        self._load_s = load_ms / 1000
        self._models = list(MODELS)
        self._stopped: set[str] = set()
        self._sampling = protocol.Sampling()

    def put(self, event: protocol.Event) -> None:
        sys.stdout.buffer.write(encode(event))
        sys.stdout.buffer.flush()

    def hello(self) -> None:
        if self._script == "silent":
            sys.stdin.buffer.read()
        if self._script == "garbage_first":
            sys.stdout.buffer.write(b"Traceback (most recent call last):\n")
            sys.stdout.buffer.flush()
            return
        version = protocol.PROTOCOL_VERSION + (self._script == "newer")
        self.put(
            protocol.Hello(
                protocol=version,
                hearth="0.1.0",
                python="3.11",
                pid=os.getpid(),
                cpu_count=2,
                ram_total_bytes=16 * 2**30,
                default_model="" if self._script == "no_models" else MODEL.id,
            )
        )

    def run(self) -> None:
        self.hello()
        for line in sys.stdin.buffer:
            self._on(protocol.decode_command(line))

    def _on(self, command: protocol.AnyCommand) -> None:
        match command:
            case protocol.ListModels():
                self._list()
            case protocol.AddModel(path=path):
                self._add(path)
            case protocol.RemoveModel(id=model):
                self._models = [info for info in self._models if info.id != model]
                self._list()
            case protocol.Load():
                self._load(command)
            case protocol.Unload():
                self.put(protocol.Unloaded())
            case protocol.Generate():
                threading.Thread(target=self._generate, args=(command,), daemon=True).start()
            case protocol.Stop(request=request):
                self._stopped.add(request)
            case _:
                pass

    def _list(self) -> None:
        models = () if self._script == "no_models" else tuple(self._models)
        self.put(protocol.Models(models=models))

    def _add(self, path: str) -> None:
        if path == ADDED.path:
            self._models.append(ADDED)
            self._list()
            return
        self.put(
            protocol.Error(
                title="This model cannot be opened",
                detail=f"{path} holds no checkpoint.",
                hint="Choose a folder with safetensors files, or a GGUF file.",
            )
        )

    def _load(self, command: protocol.Load) -> None:
        cuda = self._script in ("cuda_flash", "cuda_standard")
        kind = "cuda" if cuda else "cpu"
        self.put(
            protocol.Device(kind="cuda" if cuda else "cpu", name=kind, torch="2", transformers="5")
        )
        if self._script == "load_fails":
            self.put(
                protocol.Error(
                    title="There is not enough memory",
                    detail="The model needs 18 GB, 3 GB are free.",
                    hint="Choose a smaller model.",
                )
            )
            return
        total = 270_000_000
        for step in range(10):
            self.put(
                protocol.Loading(
                    model=command.model, stage="weights", done=step * total // 10, total=total
                )
            )
            time.sleep(self._load_s / 10)
        if self._script == "loads_forever":
            return
        model = next(info for info in MODELS if info.id == command.model)
        self.put(
            protocol.Loaded(
                model=model,
                device=kind,
                dtype="bfloat16",
                context_length=8192,
                use_flash_attn=self._script == "cuda_flash",
                load_ms=1000.0,
            )
        )
        self.put(self._checked())
        self.put(
            protocol.Telemetry(
                cpu_percent=7.0,
                engine_ram_bytes=2_250_000_000,
                ram_used_bytes=6 * 2**30,
                ram_total_bytes=16 * 2**30,
                gpu_name="NVIDIA H200" if cuda else "",
                gpu_memory_used_bytes=18 * 2**30 if cuda else 0,
                gpu_memory_total_bytes=141 * 2**30 if cuda else 0,
            )
        )

    def _checked(self) -> protocol.AttentionObserved | protocol.Error:
        if self._script == "check_fails":
            return protocol.Error(
                title="There is not enough memory",
                detail="The model needed more to run than the 0.1 GB that are free.",
                hint="Load the model with a context of 4,096 tokens.",
                code="memory",
            )
        flash = self._script == "cuda_flash"
        attention = protocol.Attention(prefill=phase(flash=flash), decode=phase(flash=flash))
        return protocol.AttentionObserved(attention=attention)

    def _generate(self, command: protocol.Generate) -> None:
        self._sampling = command.sampling
        request = command.request
        self.put(protocol.Prefill(request=request, done=0, total=40, reused=0))
        for word in filter(None, self._thinking.split(" ")):
            if request in self._stopped:
                break
            self.put(protocol.Thinking(request=request, text=word + " "))
            time.sleep(self._word_s)
        words = [word + " " for word in self._text.split(" ")]
        for number, word in enumerate(words):
            if request in self._stopped:
                break
            if number == 3:
                self._misbehave(request)
            self.put(protocol.Text(request=request, text=word))
            if self._word_s:
                time.sleep(self._word_s)
        while self._script == "endless" and request not in self._stopped:
            self.put(protocol.Text(request=request, text="more "))
            time.sleep(0.002)
        self._finish(request, "stopped" if request in self._stopped else "stop", len(words))

    def _misbehave(self, request: str) -> None:
        match self._script:
            case "dies":
                sys.stderr.write("CUDA error: an illegal memory access was encountered\n")
                sys.stderr.flush()
                os._exit(3)
            case "garbage":
                sys.stdout.buffer.write(b"not json\n")
                sys.stdout.buffer.flush()
            case "reply_fails":
                self.put(
                    protocol.Error(
                        title="There is not enough memory",
                        detail="The GPU has no room for the cache.",
                        hint="Choose a shorter context.",
                        request=request,
                    )
                )
                self._finish(request, "error", 3)
                self._script = ""
                sys.exit()

    def _finish(self, request: str, reason: protocol.FinishReason, words: int) -> None:
        self.put(
            protocol.Finished(
                request=request,
                finish_reason=reason,
                prompt_tokens=40,
                reused_tokens=12,
                new_tokens=words,
                time_to_first_token_ms=34.0,
                prefill_tokens_per_second=1200.0,
                decode_tokens_per_second=212.0,
                peak_memory_bytes=0,
                sampling=self._sampling,
            )
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("script")
    parser.add_argument("--thinking", default="")
    parser.add_argument("--text", default="A rainbow is light that rain has sorted by colour.")
    parser.add_argument("--word-ms", type=float, default=0.0)
    parser.add_argument("--load-ms", type=float, default=0.0)
    options = parser.parse_args()
    StandIn(options.script, options.thinking, options.text, options.word_ms, options.load_ms).run()


if __name__ == "__main__":
    main()
