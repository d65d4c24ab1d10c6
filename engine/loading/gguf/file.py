"""Opens a GGUF file: header checked, config and tokenizer converted once, weights dequantised."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from engine.errors import CheckpointError, shown
from engine.formats.format import Format
from engine.kernels import blocks
from engine.loading.assembly import Assembled, Planned, Progress, assemble, config_object
from engine.loading.checkpoint import (
    NO_TEMPLATE,
    Checkpoint,
    GenerationDefaults,
    control_tokens,
    end_tokens,
    sensible,
)
from engine.loading.gguf import config as gguf_config
from engine.loading.gguf import families as gguf_families
from engine.loading.gguf import kinds as gguf_kinds
from engine.loading.gguf import parts as gguf_parts
from engine.loading.gguf import pretokenizers as gguf_pretokenizers
from engine.loading.gguf import types as gguf_types
from engine.loading.gguf import weights as gguf_weights
from engine.loading.gguf.conversion import Conversion, converted
from engine.loading.gguf.header import GGUFHeader
from engine.loading.sandbox import prompts
from engine.modeling import block_kernels
from engine.modeling.decoder import Decoder


def load(
    path: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress,
    planned: Planned,
    rest: Format | None = None,
) -> Checkpoint:
    """As `engine.loading.load`."""
    header = gguf_parts.read(path)
    gguf_kinds.check(header)
    row = gguf_families.of(header)
    gguf_types.check(tensor.type for tensor in header.tensors.values())
    conversion = converted(header, row, lambda: progress("converting", 0, 0))
    tokenizer = fast_tokenizer(conversion)
    template = conversion.tokenizer_config["chat_template"]
    control = control_tokens(tokenizer, template)
    shapes = (tensor.shape for tensor in header.tensors.values())
    config = config_object(row.family, dict(conversion.config, dtype=dtype), shapes, path.name)
    stored = gguf_weights.stored(header, row, conversion.config)
    forms = gguf_weights.forms(stored) if blocks.run_on(device, dtype) else {}

    def filled(forms: Mapping[str, Format]) -> Assembled:
        return assemble(
            row.family,
            config,
            gguf_weights.weights(header, stored, forms),
            sum(one.info.size for one in stored),
            device=device,
            dtype=dtype,
            progress=progress,
            planned=planned,
            forms=forms,
            rest=rest,
        )

    assembled = filled(forms)
    if wrong := block_kernels.wrong(assembled.model):
        del assembled  # its memory is for what takes its place
        rest = None if rest in wrong else rest
        forms = {name: form for name, form in forms.items() if form not in wrong}
        assembled = filled(forms)
    if assembled.left_out:
        raise CheckpointError(f"This model has a weight too many: {shown(assembled.left_out[0])}.")
    if not row.proportional:
        _divide_frequencies(assembled.model, gguf_weights.rope_factors(header))
    return Checkpoint(
        model=assembled.model,
        rope=assembled.rope,
        tokenizer=tokenizer,
        prompts=prompts.Prompts(
            prompts.child_of(conversion.tokenizer_file),
            tokenizer,
            control,
            template,
            config.vocab_size,
            conversion.tokenizer_config["begin_token_id"],
        ),
        config=config,
        generation=_generation(header, conversion, tokenizer, control),
        chat_template=template,
        notes=(
            *_notes_of(gguf_weights.held_otherwise(stored, forms)),
            *gguf_pretokenizers.notes(header),
            *(() if template else (NO_TEMPLATE,)),
        ),
        architecture=header.architecture,
        control_tokens=control,
    )


def _notes_of(types: list[str]) -> list[str]:
    """What the user should know of weights that are not held as they are in the file."""
    if not types:
        return []
    return [f"Its weights in {' and '.join(types)} are held as {gguf_weights.INSTEAD}, in 8 bits."]


def fast_tokenizer(conversion: Conversion) -> Any:
    from transformers import PreTrainedTokenizerFast

    spelled = {k: v for k, v in conversion.tokenizer_config.items() if k.endswith("_token")}
    return PreTrainedTokenizerFast(
        tokenizer_file=str(conversion.tokenizer_file),
        clean_up_tokenization_spaces=False,
        **spelled,
    )


def _generation(
    header: GGUFHeader, conversion: Conversion, tokenizer: Any, control: Mapping[str, int]
) -> GenerationDefaults:
    named = (conversion.config["eos_token_id"], conversion.tokenizer_config["end_token_ids"])
    return GenerationDefaults(
        **sensible(gguf_config.sampling(header)),
        eos_token_ids=end_tokens(named, tokenizer, control),
    )


def _divide_frequencies(model: Decoder, factors: torch.Tensor | None) -> None:
    """Llama 3.1's rotary scaling, which GGUF keeps as a tensor and not as settings."""
    if factors is None:
        return
    for rotary in model.rotaries.values():
        frequencies = rotary.frequencies
        if factors.shape != frequencies.shape or not (factors > 0).all():
            raise CheckpointError("This model scales its positions by nonsense (rope_freqs).")
        frequencies.div_(factors.to(frequencies.device))
