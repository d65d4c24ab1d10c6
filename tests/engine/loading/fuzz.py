"""Thousands of damaged checkpoints, opened in a process of limited memory. Run by test_fuzz.

`python -m tests.engine.loading.fuzz FOLDER` prints one JSON object: for each kind of file how many
were refused and how many loaded, and by how many bytes the process grew. What is neither a
model nor an error for a person, or takes longer than LIMIT, ends it with a traceback.
"""

from __future__ import annotations

import copy
import faulthandler
import json
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import gguf
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM

from engine.errors import HearthError
from engine.loading import prompts
from tests.engine import gguf_models, tiny
from tests.engine.family_models import LONGROPE, MODELS, SLIDING

EXAMPLES: Final = 1000
"""Of each kind of file, at least."""
LIMIT: Final = 10.0
"""Seconds for one example; most take 10 ms."""
GROWTH: Final = 1 << 30
"""Bytes of address space beyond what the imports and one good load have taken."""
SMALL: Final = tiny.SIZES | {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 16}
HALF_A_HEAD: Final = [1.0, 1.5, 2.0, 2.5]
FAMILIES: Final = {
    # A mixture.
    "mixtral": {"head_dim": 8},
    # Latents and YaRN.
    "deepseek_v2": {"q_lora_rank": 16, "kv_lora_rank": 16, "v_head_dim": 16}
    | {"qk_nope_head_dim": 16, "qk_rope_head_dim": 8},
    # Two sets of frequencies.
    "phi3-longrope": {
        "rope_parameters": LONGROPE["rope_parameters"]
        | {"short_factor": HALF_A_HEAD, "long_factor": HALF_A_HEAD}
    },
    # Sinks, windows, and experts with biases.
    "gpt_oss": {"head_dim": 8, "layer_types": SLIDING[:2]},
}
"""What is damaged besides Llama and Gemma 3, and what makes it as small."""

NUMBERS: Final = (
    0, 1, -1, 2, 3, 5, 8, 16, 127, 128, 255, 256, 1024, 4096, 65_535, 65_536, 10**6, 2**31 - 1,
    2**31, 2**32 - 1, 2**32, 10**12, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 10**30, -(2**31),
    -(2**63), -(10**30),
)  # fmt: skip
OTHERS: Final[tuple[Any, ...]] = (
    None, True, False, "", "x", "silu", "default", "9" * 400, "\ud800", "\0", "-1", "x" * 10_000,
    0.5, 1.0, -0.0, -1.5, 1e-9, 1e9, 1e300, float("nan"), float("inf"), float("-inf"),
    [], {}, [[]], [1], ["full_attention"], ["sliding_attention"] * 2, [0] * 5000, {"a": 1},
    {"rope_type": "linear"}, {"rope_type": "yarn", "factor": 2.0}, {"rope_type": "longrope"},
    {"full_attention": {}}, [{"b": [None]}],
)  # fmt: skip
KEYS: Final = (
    "num_labels", "attn_implementation", "per_layer_config", "quantization_config", "dtype",
    "layers", "rope_scaling", "rope_parameters", "sliding_window", "sliding_window_pattern",
    "layer_types",
    "use_bidirectional_attention", "attention_bias", "mlp_bias", "hidden_act", "pretraining_tp",
    "attn_logit_softcapping", "query_pre_attn_scalar", "tie_word_embeddings", "initializer_range",
    "text_config", "architectures", "model_type", "eos_token_id", "partial_rotary_factor",
    "topk_method", "n_group", "num_experts_per_tok", "q_lora_rank", "long_factor",
    "__metadata__", "shape", "",
)  # fmt: skip


class Content(bytes):
    """Of a file. Hypothesis writes its strategies' arguments down, four characters for a byte."""

    def __repr__(self) -> str:
        return f"{len(self)} bytes"


edges = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(OTHERS), st.integers(), st.floats())


@st.composite
def damaged_bytes(draw: Any, whole: bytes, end: int) -> bytes:
    """Some bytes changed, put in or taken out before `end`, or the file made shorter or longer."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, end - 1))
        kind = draw(st.sampled_from(("flip", "set", "insert", "remove", "cut", "extend", "repeat")))
        some = draw(st.binary(min_size=1, max_size=9))
        if kind == "flip":
            data[position % len(data)] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set":
            data[position : position + len(some)] = some
        elif kind == "insert":
            data[position:position] = some
        elif kind == "remove":
            del data[position : position + len(some)]
        elif kind == "cut":
            del data[max(1, position) :]
        elif kind == "extend":
            data += some * draw(st.sampled_from((1, 100)))
        else:
            data[position:position] = data[position : position + 64]
    return bytes(data)


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in it."""
    found: list[tuple[Any, Any]] = []
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            found += [(value, key), *places(value[key])]
    return found


@st.composite
def damaged_object(draw: Any, whole: dict[str, Any]) -> str:
    """Keys taken out, doubled under another name, added; values of another size or another type."""
    value = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        all_places = places(value)
        if not all_places:
            break
        container, key = draw(st.sampled_from(range(len(all_places))).map(all_places.__getitem__))
        kind = draw(st.sampled_from(("number", "edge", "edge", "remove", "double", "add", "nest")))
        if kind == "remove":
            del container[key]
        elif kind == "number" and isinstance(container[key], int | float):
            near = draw(st.sampled_from((-1, 1, container[key], -2 * container[key])))
            container[key] = container[key] + near
        elif kind == "double" and isinstance(container, dict):
            container[draw(st.sampled_from((*KEYS, f"{key}x")))] = copy.deepcopy(container[key])
        elif kind == "add" and isinstance(container, dict):
            container[draw(st.sampled_from(KEYS))] = copy.deepcopy(draw(edges))
        elif kind == "nest":
            for _ in range(draw(st.sampled_from((1, 3, 60, 400)))):
                container[key] = [container[key]]
        else:
            container[key] = copy.deepcopy(draw(edges))
    return json.dumps(value)


@st.composite
def damaged_gguf(draw: Any, whole: bytes, fields: list[tuple[int, int]], end: int) -> bytes:
    """Counts, lengths, types, dimensions and offsets changed where they stand."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        position, size = draw(st.sampled_from(fields))
        old = int.from_bytes(data[position : position + size], "little")
        new = draw(
            st.one_of(st.sampled_from(NUMBERS), st.sampled_from((old - 1, old + 1, old * 2)))
        )
        data[position : position + size] = (new % (1 << 8 * size)).to_bytes(size, "little")
    if draw(st.integers(0, 9)) == 0:
        return draw(damaged_bytes(bytes(data), end))  # type: ignore[no-any-return]
    return bytes(data)


def numbers_of(path: Path) -> tuple[list[tuple[int, int]], int]:
    """(position, bytes) of each number in a GGUF file's header, and where that ends."""
    reader = gguf.GGUFReader(path)
    base = reader.data.__array_interface__["data"][0]
    tensors = [tensor.field for tensor in reader.tensors]
    parts = [part for field in (*reader.fields.values(), *tensors) for part in field.parts]
    numbers = [part for part in parts if part.dtype.itemsize > 1 or part.size == 1]
    found = {
        (
            part.__array_interface__["data"][0] - base + index * part.dtype.itemsize,
            part.dtype.itemsize,
        )
        for part in numbers
        for index in range(part.size)
    }
    return sorted(found), int(reader.data_offset)


def check_sentence(said: str) -> None:
    assert said.strip(), "an error without a sentence"
    assert len(said) < 1000, said
    assert said.encode(), "half of a surrogate pair cannot cross the pipe"


class Fuzz:
    """Writes what is drawn where the model has its file, opens the model, and counts."""

    def __init__(self, model: Path, file: Path) -> None:
        self.model = model
        self.file = file
        self.ends: Counter[str] = Counter()

    def open(self, content: bytes) -> None:
        self.file.write_bytes(content)
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        try:
            tiny.load(self.model)
        except HearthError as error:
            check_sentence(error.detail)
            self.ends["refused"] += 1
        else:
            self.ends["loaded"] += 1
        finally:
            faulthandler.cancel_dump_traceback_later()

    def run(self, examples: int, *strategies: Any) -> Counter[str]:
        """Shared by the strategies; always the same ones."""
        before = self.file.read_bytes()
        for strategy in strategies:
            always = settings(
                max_examples=-(-examples // len(strategies)),
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            always(given(strategy)(self.open))()  # type: ignore[no-untyped-call]
        self.file.write_bytes(before)
        return self.ends


def one_of_json(content: bytes) -> tuple[Any, Any]:
    """Damaged as an object, and as bytes."""
    whole = json.loads(content)
    return damaged_object(whole).map(str.encode), damaged_bytes(content, len(content))


def small(name: str) -> Any:
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2}
    model = MODELS[name]
    return replace(model, changes=model.changes | sizes | FAMILIES[name]).make()


def configs(folder: Path) -> Counter[str]:
    gemma = Gemma3TextConfig(**SMALL, **tiny.WINDOW, rope_parameters=tiny.GEMMA_3_ROPE)
    made = {
        "llama": LlamaForCausalLM(LlamaConfig(**SMALL)),
        "gemma": Gemma3ForCausalLM(gemma),
        **{name: small(name) for name in FAMILIES},
    }
    ends: Counter[str] = Counter()
    for name, one in made.items():
        model = tiny.write_folder(folder / name, one)
        file = model / "config.json"
        strategies = one_of_json(Content(file.read_bytes()))
        ends += Fuzz(model, file).run(2 * EXAMPLES // len(made), *strategies)
    return ends


def safetensors_heads(folder: Path) -> Counter[str]:
    model = tiny.write_folder(folder / "once", LlamaForCausalLM(LlamaConfig(**SMALL)))
    file = model / "model.safetensors"
    content = Content(file.read_bytes())
    end = 8 + int.from_bytes(content[:8], "little")
    head, data = content[8:end], content[end:]

    def framed(text: str) -> bytes:
        return len(text).to_bytes(8, "little") + text.encode() + data

    objects = damaged_object(json.loads(head)).map(framed)
    return Fuzz(model, file).run(EXAMPLES, objects, damaged_bytes(content, end))


def gguf_heads(folder: Path) -> Counter[str]:
    llama = tiny.write_gguf(folder / "llama.gguf", LlamaForCausalLM(LlamaConfig(**SMALL)))
    others = [gguf_models.write(folder / f"{name}.gguf", small(name)) for name in FAMILIES]
    ends: Counter[str] = Counter()
    for path in (llama, *others):
        fields, end = numbers_of(path)
        content = Content(path.read_bytes())
        strategies = damaged_gguf(content, fields, end), damaged_bytes(content, end)
        ends += Fuzz(path, path).run(EXAMPLES // (1 + len(others)), *strategies)
    return ends


KINDS: Final[dict[str, Callable[[Path], Counter[str]]]] = {
    "config": configs,
    "safetensors": safetensors_heads,
    "gguf": gguf_heads,
}


def limit_memory() -> None:
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + GROWTH
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def peak() -> int:
    """Bytes of memory that this process has had at most."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main(folder: Path) -> None:
    warnings.simplefilter("ignore")
    # The tokenizer's process is test_hostile's; to start it takes ten times as long as the rest.
    prompts.check = lambda child, name: None
    tiny.load(tiny.write_folder(folder / "once", LlamaForCausalLM(LlamaConfig(**SMALL))))
    before = peak()
    limit_memory()
    ends = {kind: run(folder) for kind, run in KINDS.items()}
    print(json.dumps({"ends": ends, "grown": peak() - before}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
