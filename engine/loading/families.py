"""The model families that can be opened: a row each, and all that differs between them.

docs/adding-a-model.md shows how a row is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from engine.errors import SHOWN, UnsupportedError

Config = dict[str, Any]


@dataclass(frozen=True)
class Family:
    name: str
    """As transformers' `model_type`."""
    title: str
    """For people."""
    architecture: str
    """In config.json's `architectures`."""
    text: str = ""
    """`model_type` of the text model inside a multimodal checkpoint."""
    text_prefix: str = ""
    """Where the text model's weights are in a multimodal checkpoint."""

    def config_type(self) -> Any:
        """transformers' class of configs; imports it when first needed."""
        from transformers import CONFIG_MAPPING

        return CONFIG_MAPPING[self.text or self.name]

    def config(self, settings: Config) -> Any:
        return self.config_type()(**settings)

    def model_type(self) -> Any:
        """transformers' class of causal models."""
        from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

        return MODEL_FOR_CAUSAL_LM_MAPPING[self.config_type()]


FAMILIES: Final = (
    Family("llama", "Llama 1-3.3", "LlamaForCausalLM"),
    Family("gemma", "Gemma 1", "GemmaForCausalLM"),
    Family("gemma2", "Gemma 2", "Gemma2ForCausalLM"),
    Family("gemma3_text", "Gemma 3", "Gemma3ForCausalLM"),
    Family(
        "gemma3",
        "Gemma 3",
        "Gemma3ForConditionalGeneration",
        text="gemma3_text",
        text_prefix="language_model.",
    ),
    Family("gemma3n_text", "Gemma 3n", "Gemma3nForCausalLM"),
    Family(
        "gemma3n",
        "Gemma 3n",
        "Gemma3nForConditionalGeneration",
        text="gemma3n_text",
        text_prefix="language_model.",
    ),
    Family("gemma4_text", "Gemma 4", "Gemma4ForCausalLM"),
    Family(
        "gemma4",
        "Gemma 4",
        "Gemma4ForConditionalGeneration",
        text="gemma4_text",
        text_prefix="language_model.",
    ),
    Family("mistral", "Mistral", "MistralForCausalLM"),
    Family(
        "mistral3",
        "Mistral",
        "Mistral3ForConditionalGeneration",
        text="mistral",
        text_prefix="language_model.",
    ),
    Family("ministral", "Ministral", "MinistralForCausalLM"),
    Family("ministral3", "Ministral", "Ministral3ForCausalLM"),
    Family("mixtral", "Mixtral", "MixtralForCausalLM"),
    Family("deepseek_v2", "DeepSeek V2", "DeepseekV2ForCausalLM"),
    Family("deepseek_v3", "DeepSeek V3", "DeepseekV3ForCausalLM"),
    Family("dots1", "dots.llm1", "Dots1ForCausalLM"),
    Family("phi", "Phi 1-2", "PhiForCausalLM"),
    Family("phi3", "Phi 3-4", "Phi3ForCausalLM"),
    Family("qwen2", "Qwen 2-2.5", "Qwen2ForCausalLM"),
    Family("qwen2_moe", "Qwen 2 MoE", "Qwen2MoeForCausalLM"),
    Family("qwen3", "Qwen 3", "Qwen3ForCausalLM"),
    Family("qwen3_moe", "Qwen 3 MoE", "Qwen3MoeForCausalLM"),
    Family("stablelm", "StableLM", "StableLmForCausalLM"),
    Family("granite", "Granite", "GraniteForCausalLM"),
    Family("granitemoe", "Granite MoE", "GraniteMoeForCausalLM"),
    Family("granitemoeshared", "Granite MoE", "GraniteMoeSharedForCausalLM"),
    Family("helium", "Helium", "HeliumForCausalLM"),
    Family("smollm3", "SmolLM3", "SmolLM3ForCausalLM"),
    Family("olmo", "OLMo", "OlmoForCausalLM"),
    Family("olmo2", "OLMo 2", "Olmo2ForCausalLM"),
    Family("olmo3", "OLMo 3", "Olmo3ForCausalLM"),
    Family("olmoe", "OLMoE", "OlmoeForCausalLM"),
    Family("cohere", "Command R", "CohereForCausalLM"),
    Family("cohere2", "Command R7B/A", "Cohere2ForCausalLM"),
    Family("glm", "GLM-4", "GlmForCausalLM"),
    Family("glm4", "GLM-4-0414", "Glm4ForCausalLM"),
    Family("glm4_moe", "GLM-4.5", "Glm4MoeForCausalLM"),
    Family("gpt_oss", "gpt-oss", "GptOssForCausalLM"),
    Family("exaone4", "EXAONE 4", "Exaone4ForCausalLM"),
    Family("starcoder2", "StarCoder 2", "Starcoder2ForCausalLM"),
    Family("nemotron", "Nemotron", "NemotronForCausalLM"),
    Family("seed_oss", "Seed-OSS", "SeedOssForCausalLM"),
    Family("hunyuan_v1_dense", "Hunyuan", "HunYuanDenseV1ForCausalLM"),
    Family("ernie4_5", "ERNIE 4.5", "Ernie4_5ForCausalLM"),
    Family("arcee", "Arcee", "ArceeForCausalLM"),
)
NAMES: Final = ", ".join(dict.fromkeys(family.title for family in FAMILIES))


def of_name(name: str) -> Family:
    """The row of a `model_type` of transformers that stands in the table."""
    return next(family for family in FAMILIES if family.name == name)


def of_config(config: Config) -> Family:
    """The row for a config.json. Raises UnsupportedError for an architecture without one."""
    named = config.get("architectures") or []
    architectures = list(map(str, named)) if isinstance(named, list) else [str(named)]
    for family in FAMILIES:
        if family.name == config.get("model_type") and (
            not architectures or family.architecture in architectures
        ):
            return family
    raise unsupported(", ".join(architectures) or str(config.get("model_type") or ""))


def unsupported(architecture: str) -> UnsupportedError:
    return UnsupportedError(
        f"Its architecture is {architecture[:SHOWN] or 'unknown'}, which Hearth cannot run.",
        f"These work: {NAMES}.",
    )
