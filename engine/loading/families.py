"""The model families that can be opened: a row each, and all that differs between them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.errors import SHOWN, UnsupportedError

Config = dict[str, Any]


@dataclass(frozen=True)
class Family:
    name: str
    """As transformers' `model_type`."""
    module: str
    """Package of transformers that holds `configuration_*` and `modeling_*`."""
    config_class: str
    model_class: str
    architectures: tuple[str, ...]
    """Names in config.json's `architectures` that it opens."""
    gguf_architecture: str
    gguf_names: Mapping[str, str]
    """GGUF's name of a tensor in a block -> transformers' name in a layer."""
    norm_offset: float = 0.0
    """GGUF stores Gemma's norms with 1 added, transformers without."""
    rotary_pairs: bool = False
    """GGUF stores Llama's queries and keys with rotary pairs side by side, transformers in halves.
    convert_hf_to_gguf.py, LlamaModel.permute."""
    text_prefix: str = ""
    """Where the text model's weights are in a multimodal checkpoint."""
    defaults: Config = field(default_factory=dict)
    """Settings that GGUF leaves unsaid."""

    def config(self, settings: Config) -> Any:
        """A config object of transformers."""
        return self.config_type()(**settings)

    def config_type(self) -> Any:
        """Imports transformers when first needed."""
        module = importlib.import_module(f"{self._package}.configuration_{self.module}")
        return getattr(module, self.config_class)

    def model_type(self) -> Any:
        module = importlib.import_module(f"{self._package}.modeling_{self.module}")
        return getattr(module, self.model_class)

    @property
    def _package(self) -> str:
        return f"transformers.models.{self.module}"


_ATTENTION: Final = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TWO_NORMS: Final = _ATTENTION | {"ffn_norm": "post_attention_layernorm"}
_FOUR_NORMS: Final = _ATTENTION | {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_QK_NORMS: Final = _FOUR_NORMS | {
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
}

FAMILIES: Final = (
    Family(
        "llama",
        "llama",
        "LlamaConfig",
        "LlamaForCausalLM",
        ("LlamaForCausalLM",),
        "llama",
        _TWO_NORMS,
        rotary_pairs=True,
        defaults={"hidden_act": "silu"},
    ),
    Family(
        "gemma",
        "gemma",
        "GemmaConfig",
        "GemmaForCausalLM",
        ("GemmaForCausalLM",),
        "gemma",
        _TWO_NORMS,
        norm_offset=1.0,
        defaults={"hidden_activation": "gelu_pytorch_tanh"},
    ),
    Family(
        "gemma2",
        "gemma2",
        "Gemma2Config",
        "Gemma2ForCausalLM",
        ("Gemma2ForCausalLM",),
        "gemma2",
        _FOUR_NORMS,
        norm_offset=1.0,
        defaults={"hidden_activation": "gelu_pytorch_tanh"},
    ),
    Family(
        "gemma3_text",
        "gemma3",
        "Gemma3TextConfig",
        "Gemma3ForCausalLM",
        ("Gemma3ForCausalLM",),
        "gemma3",
        _QK_NORMS,
        norm_offset=1.0,
        defaults={"hidden_activation": "gelu_pytorch_tanh"},
    ),
    Family(
        "gemma3",
        "gemma3",
        "Gemma3TextConfig",
        "Gemma3ForCausalLM",
        ("Gemma3ForConditionalGeneration",),
        "",
        {},
        text_prefix="language_model.",
    ),
)
NAMES: Final = "Llama 1-3.2 and Gemma 1-3"


def of_gguf(architecture: str) -> Family:
    """Raises UnsupportedError for an architecture without a row."""
    for family in FAMILIES:
        if family.gguf_architecture == architecture:
            return family
    raise unsupported(architecture)


def of_config(config: Config) -> Family:
    """The row for a config.json. Raises UnsupportedError for an architecture without one."""
    named = config.get("architectures") or []
    architectures = list(map(str, named)) if isinstance(named, list) else [str(named)]
    for family in FAMILIES:
        if family.name == config.get("model_type") and (
            not architectures or set(architectures) & set(family.architectures)
        ):
            return family
    raise unsupported(", ".join(architectures) or str(config.get("model_type") or ""))


def unsupported(architecture: str) -> UnsupportedError:
    return UnsupportedError(
        f"Its architecture is {architecture[:SHOWN] or 'unknown'}, which Hearth cannot run.",
        f"These work: {NAMES}.",
    )
