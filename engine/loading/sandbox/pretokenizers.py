"""How the model families cut text before byte-level BPE merges it, by GGUF's `tokenizer.ggml.pre`.

A table of data, without tokenizers: the catalog looks up which vocabularies can be read. The names
and the merging rules are llama.cpp's (llama-vocab.cpp). The expressions are those of the models'
own tokenizer.json: if llama.cpp cuts in another way that comes to the same tokens, theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class PreTokenizer:
    splits: tuple[str, ...]
    """Each cuts what the one before has left whole; in the syntax of Oniguruma."""
    nfc: bool = False
    """Text is composed (Unicode NFC) first."""
    whole_words_first: bool = False
    """A piece that is in the vocabulary is taken whole, whatever the merges say."""
    begin: bool = False
    """Texts begin with BOS unless the file says otherwise."""


_CONTRACTIONS: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_GPT2: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_REST: Final = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORD: Final = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+"
_LLAMA3: Final = rf"{_WORD}|\p{{N}}{{1,3}}{_REST}"
_QWEN2: Final = rf"{_WORD}|\p{{N}}{_REST}"
_SEED: Final = rf"{_WORD}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
_QWEN35: Final = (
    rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_UPPER: Final = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER: Final = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_REST_AND_SLASH: Final = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def _by_case(contractions: str, numbers: str) -> str:
    """Capitals, then small letters: `camelCase` is two words."""
    before = r"[^\r\n\p{L}\p{N}]?"
    return (
        f"{before}{_UPPER}*{_LOWER}+{contractions}|{before}{_UPPER}+{_LOWER}*{contractions}"
        f"|{numbers}{_REST_AND_SLASH}"
    )


_TEKKEN: Final = _by_case("", r"\p{N}")
_GPT4O: Final = _by_case(f"{_CONTRACTIONS}?", r"\p{N}{1,3}")
_DIGIT: Final = r"\p{N}"
_HAN_AND_KANA: Final = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
_DEEPSEEK_V3: Final = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
    r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_DEEPSEEK_LINE: Final = r"[\r\n]"
_DEEPSEEK_CJK: Final = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
_DEEPSEEK_LETTERS: Final = (
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af"
    "\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1"
    "\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd"
    "\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d"
    "\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4"
    "\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec"
    "\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128"
    "\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b"
    "\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787"
    "\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a"
    "\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2"
    "\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943"
)
"""As DeepSeek LLM lists them: not every script's, and of some the capitals alone."""
_DEEPSEEK_MARKS: Final = "!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002"

_ROWS: Final[tuple[tuple[tuple[str, ...], PreTokenizer], ...]] = (
    # "default" is of the years before the format named it: then all were taken for GPT-2's.
    (
        (
            "default",
            "gpt-2",
            "phi-2",
            "exaone4",
            "trillion",
            "gigachat",
            "mellum",
            "a.x-4.0",
            "granite-docling",
        ),
        PreTokenizer((_GPT2,)),
    ),
    # GPT-NeoX's vocabulary, which StableLM 1 and Pythia have too.
    (("olmo", "mpt"), PreTokenizer((_GPT2,), nfc=True)),
    (
        ("smollm", "starcoder", "refact", "codeshell", "exaone", "minerva-7b"),
        PreTokenizer((_DIGIT, _GPT2)),
    ),
    (("command-r",), PreTokenizer((_DIGIT, _GPT2), nfc=True)),
    (
        ("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "lfm2", "midm-2.0"),
        PreTokenizer((_LLAMA3,), whole_words_first=True, begin=True),
    ),
    # Llama 3's vocabulary without BOS, as SmolLM3 has it. llama.cpp merges it strictly; the
    # tokenizer.json takes whole words first.
    (("smaug-bpe",), PreTokenizer((_LLAMA3,), whole_words_first=True)),
    (("dbrx", "glm4", "chatglm-bpe"), PreTokenizer((_LLAMA3,))),
    (
        ("qwen2", "deepseek-r1-qwen", "stablelm2", "megrez", "hunyuan"),
        PreTokenizer((_QWEN2,), nfc=True),
    ),
    (("kormo",), PreTokenizer((_QWEN2,))),
    (("qwen35",), PreTokenizer((_QWEN35,), nfc=True)),
    (("seed-coder",), PreTokenizer((_SEED,))),
    (("tekken",), PreTokenizer((_TEKKEN,), whole_words_first=True, begin=True)),
    (("gpt-4o", "llama4", "kanana2"), PreTokenizer((_GPT4O,))),
    (
        ("deepseek-llm",),
        PreTokenizer(
            (
                _DEEPSEEK_LINE,
                rf"\s?[{_DEEPSEEK_LETTERS}]+",
                rf"\s?[{_DEEPSEEK_MARKS}]+",
                # As r"\s+$", which tries a long run of blanks from each blank on.
                r"(?<!\s)\s+$",
                _DEEPSEEK_CJK,
                _DIGIT,
            )
        ),
    ),
    (
        ("deepseek-coder",),
        PreTokenizer((_DEEPSEEK_LINE, r"\s?\p{L}+", r"\s?\p{P}+", _DEEPSEEK_CJK, _DIGIT)),
    ),
    (
        ("deepseek-v3", "hunyuan-dense"),
        PreTokenizer((r"\p{N}{1,3}", _HAN_AND_KANA, _DEEPSEEK_V3)),
    ),
    # The first is the `Punctuation` of tokenizers: Unicode's, and all of ASCII's.
    (("falcon",), PreTokenizer((r"[\p{P}$+<=>^`|~]+", _GPT2, r"\p{N}+", r"[0-9]{3}"))),
)
PRE_TOKENIZERS: Final = {name: row for names, row in _ROWS for name in names}
