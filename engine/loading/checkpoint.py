"""A checkpoint that has been loaded: model, tokenizer, and what comes with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.loading.sandbox.prompts import Prompts
from engine.modeling.decoder import Decoder
from engine.modeling.rope import LongRope

END_OF_TURN: Final = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|eot|>",
    "<end_of_turn>",
    "<|end|>",
    "<|return|>",  # gpt-oss
    "<|call|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|end_of_sentence|>",  # ERNIE
    "<\uff5cend\u2581of\u2581sentence\uff5c>",  # DeepSeek
    "<|EOT|>",
    "<|END_OF_TURN_TOKEN|>",  # Cohere
    "[|endofturn|]",  # EXAONE
    "<|endofturn|>",
    "<|endofresponse|>",  # dots.llm1
    "<|user|>",  # GLM ends its turn with whose turn is next
    "<|observation|>",
    "<end_of_utterance>",  # SmolVLM
    "<EOT>",
    "_<EOT>",
    "\u2581<EOT>",  # Code Llama
    "[EOT]",
    "[EOS]",
    "[e~[",  # MiniMax
    "<turn|>",  # Gemma 4
    "<|tool_response>",
    "<|fim_pad|>",  # Qwen's begin another file with these
    "<|repo_name|>",
    "<|file_sep|>",
    "<eos>",
    "</s>",
)
"""Control tokens that end a reply, also where a config names only one of them."""
OF_A_PART: Final = ("<|end|>", "<|return|>")
"""In a vocabulary with both, gpt-oss's, the first ends a part of the reply and not the reply."""
BARRED: Final = re.compile("<[|\uff5c].+[|\uff5c]>")
"""A spelling that no text has by chance, as convert_hf_to_gguf.py takes it too."""
TAG: Final = re.compile(r"<[^<>]+>|\[[^\[\]]+\]")
LIMITS: Final = {
    "temperature": (0.0, 100.0),
    "top_k": (0, 1_000_000),
    "top_p": (0.001, 1.0),
    "min_p": (0.0, 0.999),
    "repetition_penalty": (0.01, 100.0),
}
"""Settings that a checkpoint recommends, and between which values one makes sense."""
NO_TEMPLATE: Final = (
    "This model has no chat template; a plain one is used, and replies may run on. "
    "An instruction-tuned model answers better."
)


@dataclass(frozen=True)
class GenerationDefaults:
    """What the checkpoint recommends; None where it says nothing."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    eos_token_ids: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Checkpoint:
    model: Decoder
    rope: LongRope | None
    """If the rotary frequencies depend on the sequence's length."""
    tokenizer: Any
    """A PreTrainedTokenizerFast, to decode with."""
    prompts: Prompts
    """Conversations to token ids."""
    config: Any
    """transformers' text config."""
    generation: GenerationDefaults
    chat_template: str | None
    notes: tuple[str, ...]
    """Sentences that the user should read."""
    architecture: str
    control_tokens: Mapping[str, int]
    """Ids by spelling: what a template may write and a user's text may not."""


def control_tokens(tokenizer: Any, template: str | None = None) -> dict[str, int]:
    """Special tokens, and those that mark turns or their parts though nobody called them special.

    DeepSeek's marks of whose turn it is and many files' `<|im_start|>` are of that kind, and
    `<think>` where the template writes it.
    """
    tags = set(TAG.findall(template or ""))
    added = tokenizer.added_tokens_decoder.items()
    return {token.content: index for index, token in added if _is_control(token, tags)}


def _is_control(token: Any, tags: set[str]) -> bool:
    if token.special or BARRED.fullmatch(token.content):
        return True
    return token.content in tags


def end_tokens(
    named: Iterable[object], tokenizer: Any, control: Mapping[str, int]
) -> frozenset[int]:
    """Ids that end a reply. `named` is what configs say: ids, lists of ids, or None.

    A word that merely looks like an end (Gemma's `</s>` is an HTML tag) is no control token.
    """
    found = {control[name] for name in END_OF_TURN if name in control}
    if control.keys() >= set(OF_A_PART):
        found.discard(control[OF_A_PART[0]])
    for value in (*named, tokenizer.eos_token_id):
        ids = value if isinstance(value, list | tuple) else [value]
        found |= {index for index in ids if isinstance(index, int)}
    return frozenset(found)


def end_texts(template: str | None, tokenizer: Any) -> tuple[str, ...]:
    """Ends of a turn that the template writes and that are no tokens: models write them as text."""
    written = [end for end in END_OF_TURN if end in (template or "")]
    if set(OF_A_PART) <= set(written):
        written.remove(OF_A_PART[0])
    vocabulary = tokenizer.backend_tokenizer
    return tuple(end for end in written if vocabulary.token_to_id(end) is None)


def sensible(said: Mapping[str, object]) -> dict[str, Any]:
    """Of what a checkpoint recommends, under the names of `LIMITS`, that which makes sense."""
    found: dict[str, Any] = {}
    for name, (low, high) in LIMITS.items():
        value = said.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if low <= value <= high:
            found[name] = int(value) if name == "top_k" else float(value)
    return found
