"""Tiny valid models that every hostile input starts from, in both formats and several families."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM

from tests.engine import gguf_models, tiny
from tests.engine.family_models import LONGROPE, MODELS, SLIDING
from tests.hostile import gguf_text

CONTEXT: Final = 2048
SMALL: Final = tiny.SIZES | {
    "num_hidden_layers": 2,
    "hidden_size": 16,
    "intermediate_size": 16,
    "max_position_embeddings": CONTEXT,
}
HALF_A_HEAD: Final = [1.0, 1.5, 2.0, 2.5]
CHANGES: Final = {
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
"""Families besides Llama and Gemma 3, and what makes each of them as small."""


def small(name: str) -> Any:
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2}
    model = MODELS[name]
    return replace(model, changes=model.changes | sizes | CHANGES[name]).make()


def llama() -> Any:
    torch.manual_seed(3)
    return LlamaForCausalLM(LlamaConfig(**SMALL))


def gemma() -> Any:
    torch.manual_seed(3)
    rope: dict[str, Any] = {"rope_parameters": tiny.GEMMA_3_ROPE}
    return Gemma3ForCausalLM(Gemma3TextConfig(**SMALL, **tiny.WINDOW, **rope))


FAMILIES: Final[dict[str, Callable[[], Any]]] = {
    "llama": llama,
    "gemma": gemma,
    **{name: functools.partial(small, name) for name in CHANGES},
}
IN_GGUF: Final = tuple(name for name in FAMILIES if name != "gemma")
SHARDED: Final = "sharded"
MULTIMODAL: Final = "multimodal"


@dataclass(frozen=True)
class Folder:
    """A folder of safetensors, read once."""

    files: dict[str, bytes]

    def json(self, name: str) -> Any:
        return json.loads(self.files[name])

    def write(self, folder: Path, changed: Mapping[str, bytes | None]) -> Path:
        """With other files under those names; a file whose content is None is left out."""
        folder.mkdir(parents=True)
        for name, content in {**self.files, **changed}.items():
            if content is not None:
                (folder / name).write_bytes(content)
        return folder


@dataclass(frozen=True)
class Bases:
    folders: dict[str, Folder]
    ggufs: dict[str, tuple[bytes, gguf_text.File]]

    def gguf(self, name: str) -> gguf_text.File:
        """A copy whose pairs and tensors may be changed; the values of arrays are shared."""
        whole = self.ggufs[name][1]
        pairs = [replace(pair) for pair in whole.pairs]
        tensors = [replace(tensor, shape=list(tensor.shape)) for tensor in whole.tensors]
        return replace(whole, pairs=pairs, tensors=tensors)


def write(folder: Path) -> None:
    """Makes each of them there, in some seconds."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name, make in FAMILIES.items():
        made = make()
        tiny.write_folder(folder / "folders" / name, made)
        (folder / "ggufs").mkdir(exist_ok=True)
        path = folder / "ggufs" / f"{name}.gguf"
        if name == "llama":
            tiny.write_gguf(path, made)
        elif name in IN_GGUF:
            gguf_models.write(path, made)
    tiny.write_folder(folder / "folders" / SHARDED, llama(), max_shard_size="10KB")
    tiny.write_multimodal(folder / "folders" / MULTIMODAL, gemma(), "language_model.model.")
    for made_folder in (folder / "folders").iterdir():
        tiny.write_json(made_folder / "special_tokens_map.json", {"bos_token": "<|endoftext|>"})


def read(folder: Path) -> Bases:
    """What `write` has made."""
    folders = {
        path.name: Folder({file.name: file.read_bytes() for file in sorted(path.iterdir())})
        for path in sorted((folder / "folders").iterdir())
    }
    ggufs = {
        path.stem: (path.read_bytes(), gguf_text.read(path))
        for path in sorted((folder / "ggufs").glob("*.gguf"))
    }
    return Bases(folders, ggufs)
