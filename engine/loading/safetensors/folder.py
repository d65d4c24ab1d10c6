"""Opens a folder with config.json and safetensors, as models are published on model hubs.

The weights are read by name into a model without memory, as those of GGUF are, and straight to the
device: transformers' `from_pretrained` tells no progress and needs accelerate for the latter.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Tokenizer

from engine.errors import CheckpointError, HearthError, UnsupportedError, reason, shown
from engine.formats.format import Format
from engine.loading import steady_file
from engine.loading.assembly import Assembled, Planned, Progress, assemble, config_object
from engine.loading.checkpoint import (
    NO_TEMPLATE,
    Checkpoint,
    GenerationDefaults,
    control_tokens,
    end_tokens,
    sensible,
)
from engine.loading.safetensors import added_tokens, folder_tokenizer, model_folder, renaming
from engine.loading.safetensors.folder_tokenizer import TokenizerFile
from engine.loading.safetensors.model_folder import ModelFolder
from engine.loading.safetensors.tensor_reading import Reader
from engine.loading.sandbox import prompts
from engine.loading.weights import Weight
from engine.modeling import block_kernels

LAYER: Final = re.compile(r"^model\.layers\.(\d{1,9})\.")
AHEAD: Final = re.compile(r"\.(?:eh_proj|enorm|hnorm|shared_head)\.")
"""Weights of a layer that predicts ahead, in DeepSeek V3, GLM-4.5 and who follows them."""
COMPUTED: Final = re.compile(r"rotary_emb\.inv_freq$|(?:^|\.)mtp(?:_layers)?\.")
"""Buffers that old checkpoints carry and the model computes; other layers that predict ahead."""
EMBEDDING: Final = re.compile(r"((?:(?!layers\.)[^.]+\.)*)embed_tokens\.weight")
MODEL: Final = "model."
OUTPUT: Final = "lm_head."


def load(
    path: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress,
    planned: Planned,
    rest: Format | None = None,
) -> Checkpoint:
    """As `engine.loading.load.load`."""
    folder = model_folder.open_folder(path)
    kept = names(folder)
    config = text_config(folder, kept.values(), dtype)
    file = folder_tokenizer.of(folder, lambda: progress("converting", 0, 0))
    child = prompts.child_of(file.path)
    prompts.check(child, file.source)
    tokenizer = fast_tokenizer(folder, file)
    template = chat_template(folder)
    control = control_tokens(tokenizer, template)
    generation = generation_defaults(folder, tokenizer, control)
    total = sum(tensor.size for tensor in folder.tensors if tensor.name in kept)
    assembled = assemble(
        folder.family,
        config,
        weights(folder, kept, device),
        total,
        device=device,
        dtype=dtype,
        progress=progress,
        rest=rest,
        planned=planned,
    )
    if wrong := list(block_kernels.wrong(assembled.model).values()):
        raise UnsupportedError(
            f"The kernels for weights in 8 bits do not work here: {wrong[0]}.",
            "Load the model with its numbers as they are (dtype auto).",
        )
    return Checkpoint(
        model=assembled.model,
        rope=assembled.rope,
        tokenizer=tokenizer,
        prompts=prompts.Prompts(child, tokenizer, control, template, config.vocab_size),
        config=config,
        generation=generation,
        chat_template=template,
        notes=(*notes(folder, assembled), *file.notes, *(() if template else (NO_TEMPLATE,))),
        architecture=folder.family.name,
        control_tokens=control,
    )


def notes(folder: ModelFolder, assembled: Assembled) -> Iterator[str]:
    left_out = assembled.left_out
    if left_out:
        such = "" if len(left_out) == 1 else f"{len(left_out)} weights, such as "
        yield (
            f"{folder.path.name} holds {such}{shown(left_out[0])}, which this kind of model has "
            "not: left out."
        )
    for name in assembled.untied:
        yield (
            f"The config.json of {folder.path.name} says that {name} is the input's embedding; "
            "the one that is stored differs, and is used."
        )


def text_config(folder: ModelFolder, weights: Iterable[str], dtype: torch.dtype) -> Any:
    """transformers' config of a model with these weights.

    Raises CheckpointError for settings that transformers or the weights refute.
    """
    stored = {_layer(name) for name in weights} - {-1}
    settings = {k: v for k, v in folder.text_config.items() if k not in ("dtype", "torch_dtype")}
    # Before it is used too: transformers lists the layers, and there may be said to be a billion.
    _check_layers(folder, stored, settings.get("num_hidden_layers"))
    name = f"The config.json of {folder.path.name}"
    shapes = (tensor.shape for tensor in folder.tensors)
    config = config_object(folder.family, dict(settings, dtype=dtype), shapes, name)
    _check_layers(folder, stored, config.num_hidden_layers)
    return config


def _check_layers(folder: ModelFolder, stored: set[int], declared: object) -> None:
    if declared is None or (declared == len(stored) and stored == set(range(len(stored)))):
        return
    hint = "The files of the folder may be of different models: take all of them from one place."
    if isinstance(declared, int) and len(stored) < declared:
        hint = "Download the other files of its weights into the folder."
    raise CheckpointError(
        f"The config.json of {folder.path.name} names {shown(declared)} layers, its weights have "
        f"{len(stored)}.",
        hint,
    )


def names(folder: ModelFolder) -> dict[str, str]:
    """Names in the files -> names in the model; without what is no part of a text model."""
    stored = [tensor.name for tensor in folder.tensors]
    prefix = _prefix(stored)
    found = {name: _text_name(name, prefix, folder) for name in stored}
    ahead = _layers_ahead(found.values())
    return {
        stored: name
        for stored, name in found.items()
        if name and not COMPUTED.search(name) and _layer(name) not in ahead
    }


def _prefix(stored: Iterable[str]) -> str:
    """What stands before `embed_tokens`, and so before all weights of the model without its output.

    As the classes have it that is "model."; nothing if a base model was saved, something more for
    a multimodal model or one that was wrapped to be trained or compiled.
    """
    found = [match[1] for name in stored if (match := EMBEDDING.fullmatch(name))]
    return min(found, key=len) if found and MODEL not in found else MODEL


def _text_name(name: str, prefix: str, folder: ModelFolder) -> str:
    """As the family's class names it; "" for another part of a multimodal model."""
    for output in (prefix.removesuffix(MODEL) + OUTPUT, OUTPUT):
        if name.startswith(output):
            return OUTPUT + name.removeprefix(output)
    if name.startswith(prefix):
        return MODEL + name.removeprefix(prefix)
    return "" if folder.family.text_prefix else name


def _layers_ahead(names: Iterable[str]) -> set[int]:
    """Layers behind the last one, which predict several tokens ahead: no class runs them."""
    return {_layer(name) for name in names if AHEAD.search(name)} - {-1}


def _layer(name: str) -> int:
    """-1 for a weight of no layer."""
    found = LAYER.search(name)
    return int(found[1]) if found else -1


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


def fast_tokenizer(folder: ModelFolder, file: TokenizerFile) -> Any:
    """With the tokens that stand in the files beside `file`. Raises CheckpointError."""
    from transformers import PreTrainedTokenizerFast

    content = model_folder.read_bytes(file.path).removeprefix(codecs.BOM_UTF8)
    settings = added_tokens.settings(folder.path)
    spelled = {
        name: added_tokens.spelling(settings[name] if name in settings else file.named.get(name))
        for name in added_tokens.NAMED
    }
    try:
        tokenizer = Tokenizer.from_buffer(content)
        added_tokens.add(tokenizer, folder.path)
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            clean_up_tokenization_spaces=False,
            **{name: token for name, token in spelled.items() if token},
        )
    except HearthError:
        raise
    except Exception as error:
        raise CheckpointError(f"{file.source} is damaged: {reason(error)}.") from error


def chat_template(folder: ModelFolder) -> str | None:
    """From the file of its own, else from the tokenizer's settings."""
    for name in ("chat_template.jinja", "additional_chat_templates/default.jinja"):
        file = folder.path / name
        if model_folder.exists(file):
            return model_folder.read_bytes(file).decode("utf-8-sig", "replace")
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
        **sensible(said),
        eos_token_ids=end_tokens(named, tokenizer, control),
    )
