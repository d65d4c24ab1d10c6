"""Opens a folder with config.json and safetensors, as models are published on model hubs.

The weights are read by name into a model without memory, as those of GGUF are, and straight to the
device: transformers' `from_pretrained` tells no progress and needs accelerate for the latter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Tokenizer

from engine.errors import CheckpointError, reason, shown
from engine.loading import model_folder, prompts, renaming, steady_file
from engine.loading.assembly import Progress, assemble, config_object
from engine.loading.checkpoint import (
    NO_TEMPLATE,
    Checkpoint,
    GenerationDefaults,
    control_tokens,
    end_tokens,
)
from engine.loading.families import Config
from engine.loading.model_folder import ModelFolder
from engine.loading.tensor_reading import Reader
from engine.loading.weights import Weight

SPECIAL: Final = ("bos_token", "eos_token", "unk_token", "pad_token")
LIMITS: Final = {
    "temperature": (0.0, 100.0),
    "top_k": (0, 1_000_000),
    "top_p": (0.001, 1.0),
    "min_p": (0.0, 0.999),
    "repetition_penalty": (0.01, 100.0),
}
"""Settings of generation_config.json, and between which values one makes sense."""
COMPUTED: Final = re.compile(r"rotary_emb\.inv_freq$")
"""Buffers that old checkpoints carry and the model computes."""
LAYER: Final = re.compile(r"(?:^|\.)layers\.(\d{1,9})\.")


def load(
    path: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    attn_implementation: str,
    progress: Progress,
) -> Checkpoint:
    """As `engine.loading.load.load`."""
    folder = model_folder.open_folder(path)
    config = text_config(folder, dtype)
    child = prompts.child_of(folder.tokenizer_file())
    prompts.check(child, folder.tokenizer_file().name)
    tokenizer = fast_tokenizer(folder)
    template = chat_template(folder)
    control = control_tokens(tokenizer, template)
    generation = generation_defaults(folder, tokenizer, control)
    kept = names(folder)
    total = sum(tensor.size for tensor in folder.tensors if tensor.name in kept)
    assembled = assemble(
        folder.family,
        config,
        weights(folder, kept, device),
        total,
        device=device,
        dtype=dtype,
        attn_implementation=attn_implementation,
        progress=progress,
    )
    return Checkpoint(
        model=assembled.model,
        layers=assembled.layers,
        rope=assembled.rope,
        tokenizer=tokenizer,
        prompts=prompts.Prompts(child, tokenizer, control, template, config.vocab_size),
        config=config,
        generation=generation,
        chat_template=template,
        notes=() if template else (NO_TEMPLATE,),
        architecture=folder.family.name,
        control_tokens=control,
    )


def text_config(folder: ModelFolder, dtype: torch.dtype) -> Any:
    """transformers' config. Raises CheckpointError for settings that it or the weights refute."""
    settings = {k: v for k, v in folder.text_config.items() if k not in ("dtype", "torch_dtype")}
    # Before it is used too: transformers lists the layers, and there may be said to be a billion.
    _check_layers(folder, settings.get("num_hidden_layers"))
    name = f"The config.json of {folder.path.name}"
    shapes = (tensor.shape for tensor in folder.tensors)
    config = config_object(folder.family, dict(settings, dtype=dtype), shapes, name)
    _check_layers(folder, config.num_hidden_layers)
    return config


def _check_layers(folder: ModelFolder, declared: object) -> None:
    stored = {int(found[1]) for name in names(folder).values() if (found := LAYER.search(name))}
    if declared is None or (declared == len(stored) and stored == set(range(len(stored)))):
        return
    raise CheckpointError(
        f"The config.json of {folder.path.name} names {shown(declared)} layers, its weights have "
        f"{len(stored)}.",
        "Download the missing files into the folder.",
    )


def names(folder: ModelFolder) -> dict[str, str]:
    """Names in the files -> names in the model; without what is no part of a text model."""
    found = {tensor.name: _text_name(tensor.name, folder) for tensor in folder.tensors}
    return {stored: name for stored, name in found.items() if name and not COMPUTED.search(name)}


def _text_name(name: str, folder: ModelFolder) -> str:
    """Multimodal checkpoints prefix the text model, in one of two ways; "" is another part."""
    prefix = folder.family.text_prefix
    if not prefix:
        return name
    if name.startswith(prefix):
        return name.removeprefix(prefix)
    if name.startswith(f"model.{prefix}"):
        return "model." + name.removeprefix(f"model.{prefix}")
    return name if name.startswith("lm_head.") else ""


def weights(folder: ModelFolder, kept: Mapping[str, str], device: torch.device) -> Iterator[Weight]:
    """Raises CheckpointError for a file that changed since its header was checked."""
    rules = renaming.of_model_type(folder.family.text or folder.family.name)
    reader = Reader(device)
    for path, shard in folder.shards.items():
        with steady_file.opened(path, shard.version) as file:
            for name in sorted(kept.keys() & shard.tensors, key=lambda n: shard.tensors[n].begin):
                tensor = shard.tensors[name]
                target, into = rules.place(kept[name])
                yield Weight(target, tensor.shape, reader.fill(file, tensor), tensor.size, into)


def fast_tokenizer(folder: ModelFolder) -> Any:
    from transformers import PreTrainedTokenizerFast

    content = model_folder.read_bytes(folder.tokenizer_file())
    settings = folder.json("tokenizer_config.json")
    spelled = {name: _spelling(settings.get(name)) for name in SPECIAL}
    try:
        return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=Tokenizer.from_buffer(content),
            clean_up_tokenization_spaces=False,
            **{name: token for name, token in spelled.items() if token},
        )
    except Exception as error:
        raise CheckpointError(f"tokenizer.json is damaged: {reason(error)}.") from error


def _spelling(token: object) -> str:
    """Written as a string, or as an object with its content."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else ""


def chat_template(folder: ModelFolder) -> str | None:
    """From the file of its own, else from the tokenizer's settings."""
    file = folder.path / "chat_template.jinja"
    if model_folder.exists(file):
        return model_folder.read_bytes(file).decode("utf-8", "replace")
    for name in ("tokenizer_config.json", "chat_template.json"):
        template = folder.json(name).get("chat_template")
        if isinstance(template, list):
            named = {t.get("name"): t.get("template") for t in template if isinstance(t, dict)}
            template = named.get("default")
        if isinstance(template, str) and template.strip():
            return template
    return None


def generation_defaults(
    folder: ModelFolder, tokenizer: Any, control: Mapping[str, int]
) -> GenerationDefaults:
    """What generation_config.json recommends, as far as it makes sense."""
    said = folder.json("generation_config.json")
    named = [config.get("eos_token_id") for config in (said, folder.config, folder.text_config)]
    return GenerationDefaults(
        **{name: value for name in LIMITS if (value := _sensible(name, said)) is not None},
        eos_token_ids=end_tokens(named, tokenizer, control),
    )


def _sensible(name: str, said: Config) -> Any:
    low, high = LIMITS[name]
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        return None
    return int(value) if name == "top_k" else float(value)
