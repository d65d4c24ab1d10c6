"""Tokenizers that backtrack, grow, panic, or have too much of everything."""

from __future__ import annotations

import copy
import struct
from random import Random
from typing import Any, Final

from tests.engine import tiny
from tests.hostile import damage

SLOW: Final = (
    r"(a+)+$", r"[a-y]+\d", r"(a|a)*b", r"(\s+)+x", r"(.*)*\1z", r"(?:a?){50}a{50}", r"(a|aa)+$",
    r"(?=(.*a))\1x", r"([a-z]+)*\d", r"\s*\s*\s*\s*x", r"(x+x+)+y", r"(?<=a{1,99})b", r"(",
    r".{100000}", r"(((((a*)*)*)*)*)*b", r"\p{L}+(?=\p{N})", r"", r"^", r"$", r".", r"a{1,99999}",
    r"(?i)(ß|ss)+x", r"[^\s]+|\s+(?!\S)|\s+", r"\X+x", r"(?~abc)", r"(?<n>a\g<n>?b)",
)  # fmt: skip
COUNTS: Final = (1, 3, 20, 200, 200, 1_000, 3_000)
RARE_COUNTS: Final = (15_000, 20_001, 60_000)
LENGTHS: Final = (0, 1, 2, 8, 40, 300, 500)
RARE_LENGTHS: Final = (3_900, 4_097, 100_000)
IDS: Final = (-1, 0, 1, 255, 256, 261, 262, 5_000, 10**6, 2**31 - 1, 2**31, 2**32 - 1, 2**32)


def hostile(random: Random, whole: dict[str, Any]) -> dict[str, Any]:
    """One to three parts of a tokenizer.json replaced."""
    changed = copy.deepcopy(whole)
    for part in random.choices(tuple(PARTS), k=random.randint(1, 3)):
        changed[part] = PARTS[part](random, changed)
    return changed


# ---------------------------------------------------------------------------- added tokens


def added(random: Random, whole: dict[str, Any]) -> list[dict[str, Any]]:
    """The valid ones, and up to tens of thousands besides."""
    first = random.choice((len(tiny.VOCABULARY), len(tiny.VOCABULARY), *IDS))
    made = [token(random, said, first + at) for at, said in enumerate(contents(random))]
    return [*whole.get("added_tokens", []), *made]


def contents(random: Random) -> list[str]:
    """Of tokens: of a kind that is dear to search for, or odd by itself."""
    count = random.choice(RARE_COUNTS if random.randrange(40) == 0 else COUNTS)
    length = random.choice(RARE_LENGTHS if random.randrange(20) == 0 else LENGTHS)
    if count * length > 30_000_000:
        length = 30_000_000 // count
    kind = random.randrange(6)
    if kind == 0:
        return [f"{'a' * length}{at:05}z" for at in range(count)]
    if kind == 1:
        return [f"<|{'x' * length}{at}|>" for at in range(count)]
    if kind == 2:
        return ["a" * (at % (length + 1)) for at in range(count)]
    if kind == 3:
        letters = random.choice(("ab", " \n\t", "aé日\U0001f600", ".*+?()[]{}|\\^$", "<|>"))
        return ["".join(random.choices(letters, k=length)) for _ in range(min(count, 1_000))]
    if kind == 4:
        return random.choices((*tiny.VOCABULARY, "", " ", "\0", "\ud7ff", "user", "Hello"), k=count)
    return [f"{at}{'a' * length}" for at in range(count)]


def token(random: Random, said: str, index: int) -> dict[str, Any]:
    flags = {name: not random.randrange(3) for name in ("single_word", "lstrip", "rstrip")}
    return {
        "id": index,
        "content": said,
        "special": bool(random.randrange(3)),
        "normalized": not random.randrange(3),
        **flags,
    }


# ---------------------------------------------------------------------------- steps


def pattern(random: Random) -> dict[str, str]:
    if random.randrange(2):
        return {"Regex": random.choice(SLOW)}
    return {"String": random.choice(("", "a", "o", " ", "l", "Hello", "x" * 1_000))}


def normalizer(random: Random, _: Any = None, depth: int = 2) -> Any:
    kind = random.randrange(12)
    if kind < 3 and depth:
        count = random.choice((0, 2, 9, 40, 1_000 if depth == 2 else 3))
        steps = [normalizer(random, depth=depth - 1) for _ in range(min(count, 40))]
        return {"type": "Sequence", "normalizers": (steps * 25)[:count]}
    most = 10**6 if depth == 2 else 10**4
    content = random.choice(("", "a", "o", "aa", "o" * 10, "x" * 1_000, "x" * most, "<|im_end|>"))
    return random.choice(
        (
            {"type": "Replace", "pattern": pattern(random), "content": content},
            {"type": "Replace", "pattern": {"String": "o"}, "content": "o" * 10},
            {"type": "Prepend", "prepend": content},
            {"type": "Strip", "strip_left": True, "strip_right": True},
            {"type": random.choice(("NFC", "NFD", "NFKC", "NFKD", "Nmt", "ByteLevel", "Stranger"))},
            {"type": random.choice(("Lowercase", "StripAccents"))},
            {"type": "Precompiled", "precompiled_charsmap": charsmap(random)},
            {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True}
            | {"strip_accents": None, "lowercase": True},
            None,
        )
    )


def charsmap(random: Random) -> str:
    import base64

    table = random.randbytes(random.choice((0, 3, 4, 64, 4_096)))
    size = random.choice((len(table), 0, 2**32 - 1, 5))
    data = struct.pack("<I", size) + table + random.randbytes(random.choice((0, 10)))
    return base64.b64encode(data).decode()


def pre_tokenizer(random: Random, _: Any = None, depth: int = 2) -> Any:
    kind = random.randrange(12)
    behavior = random.choice(
        ("Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous")
    )
    if kind < 4 and depth:
        count = random.choice((0, 2, 3, 9))
        steps = [pre_tokenizer(random, depth=depth - 1) for _ in range(count)]
        spell = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
        steps = [step for step in steps if step] + [spell | {"use_regex": bool(count % 2)}]
        return {"type": "Sequence", "pretokenizers": steps}
    if kind < 8:
        cut = {"type": "Split", "pattern": {"Regex": random.choice(SLOW)}, "behavior": behavior}
        return cut | {"invert": not random.randrange(4)}
    return random.choice(
        (
            {"type": "Metaspace", "replacement": random.choice(("\u2581", "a", "ab", ""))}
            | {"prepend_scheme": random.choice(("first", "always", "never")), "split": True},
            {"type": "Digits", "individual_digits": True},
            {"type": "Punctuation", "behavior": behavior},
            {"type": random.choice(("WhitespaceSplit", "Whitespace", "UnicodeScripts", "Bert"))},
            {"type": "CharDelimiterSplit", "delimiter": random.choice(("a", " ", "ab"))},
            {"type": "FixedLength", "length": random.choice((0, 1, 5, 10**9))},
            None,
        )
    )


def decoder(random: Random, _: Any = None, depth: int = 2) -> Any:
    kind = random.randrange(12)
    if kind < 4 and depth:
        count = random.choice((0, 2, 9, 40, 1_000))
        steps = [decoder(random, depth=depth - 1) for _ in range(min(count, 9))]
        return {"type": "Sequence", "decoders": (steps * 200)[:count]}
    content = random.choice(("", "a", "oo", "x" * 10_000))
    return random.choice(
        (
            {"type": "Replace", "pattern": pattern(random), "content": content},
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True},
            {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"}
            | {"split": True},
            {"type": "Strip", "content": " ", "start": random.choice((0, 1, 10**9)), "stop": 0},
            {"type": "WordPiece", "prefix": content, "cleanup": True},
            {"type": "BPEDecoder", "suffix": content},
            {"type": "CTC", "pad_token": "a", "word_delimiter_token": "|", "cleanup": True},
            {"type": random.choice(("Fuse", "ByteFallback", "Stranger"))},
            None,
        )
    )


def post_processor(random: Random, _: Any = None) -> Any:
    piece = {"SpecialToken": {"id": "<|im_end|>", "type_id": 0}}
    count = random.choice((1, 100, 100_000))
    return random.choice(
        (
            {"type": "TemplateProcessing", "single": [piece] * count}
            | {"pair": [], "special_tokens": {}},
            {"type": "RobertaProcessing", "sep": ["a", 0], "cls": ["b", 10**9]}
            | {"trim_offsets": True, "add_prefix_space": False},
            {"type": "BertProcessing", "sep": ["a", 2**32 - 1], "cls": ["b", 1]},
            {"type": "Sequence", "processors": []},
            None,
        )
    )


# ---------------------------------------------------------------------------- models


def model(random: Random, whole: dict[str, Any]) -> Any:
    """Of another kind, with other settings, or with a vocabulary of another size."""
    kind = random.randrange(6)
    if kind == 0:
        return bpe(random, whole["model"])
    if kind == 1:
        return unigram(random)
    vocabulary = {said: at for at, said in enumerate(words(random))}
    unknown = random.choice(("a", "<unk>", ""))
    if kind == 2:
        longest = random.choice((0, 100, 10**9))
        made = {"type": "WordPiece", "vocab": vocabulary, "unk_token": unknown}
        return made | {"continuing_subword_prefix": "##", "max_input_chars_per_word": longest}
    if kind == 3:
        return {"type": "WordLevel", "vocab": vocabulary, "unk_token": unknown}
    if kind == 4:
        return damage.of_object(random, {k: v for k, v in whole["model"].items() if k != "vocab"})
    return bpe(random, {"type": "BPE", "vocab": vocabulary, "merges": []})


def words(random: Random) -> list[str]:
    count = random.choice((0, 10, 300, 5_000, 5_000 if random.randrange(20) else 300_000))
    kind = random.randrange(4)
    if kind == 0:
        return ["a" * (at % 500 + 1) for at in range(count)]
    if kind == 1:
        side = int(count**0.5)
        return ["a" * i + "b" * j for i in range(min(side, 150)) for j in range(min(side, 150))]
    return [*tiny.VOCABULARY, *(f"w{at}" for at in range(count))]


def bpe(random: Random, whole: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(whole)
    names = list(changed["vocab"]) or [""]
    count = random.choice((0, 5, 300, 20_000))
    some = [[random.choice(names), random.choice(names)] for _ in range(count)]
    splits = [[n[:1], n[1:]] for n in names if len(n) > 1]
    changed["merges"] = random.choice((some, splits, [" ".join(p) for p in some], [["a"]], ["a"]))
    for name, edges in BPE_SETTINGS.items():
        if not random.randrange(4):
            changed[name] = random.choice(edges)
    return changed


BPE_SETTINGS: Final[dict[str, tuple[Any, ...]]] = {
    "dropout": (0.0, 0.5, 1.0, 2.0, -1.0),
    "unk_token": ("a", "<unk>", "", 5),
    "continuing_subword_prefix": ("##", "a", "x" * 1_000),
    "end_of_word_suffix": ("</w>", ""),
    "fuse_unk": (True, False),
    "byte_fallback": (True, False, 1),
    "ignore_merges": (True, False),
}


def unigram(random: Random) -> dict[str, Any]:
    scores = (0.0, -1.0, -1e308, 1e308, -10.5, 5)
    vocabulary = [[said, random.choice(scores)] for said in words(random)[:20_000]]
    unknown = random.choice((0, None, 10**9, -1))
    return {"type": "Unigram", "unk_id": unknown, "vocab": vocabulary, "byte_fallback": True}


PARTS: Final[dict[str, Any]] = {
    "normalizer": normalizer,
    "pre_tokenizer": pre_tokenizer,
    "decoder": decoder,
    "post_processor": post_processor,
    "model": model,
    "added_tokens": added,
}


# ---------------------------------------------------------------------------- SentencePiece


def sentencepiece(random: Random) -> bytes:
    """A tokenizer.model: pieces, a trainer's settings and a normaliser's, damaged in places."""
    pieces = [("<unk>", 2), ("<s>", 3), ("</s>", 3)]
    pieces += [(f"<0x{at:02X}>", 6) for at in range(256)]
    pieces += [(f"\u2581{said}" if at % 2 else said, 1) for at, said in enumerate("abcdehlot")]
    if random.randrange(2):
        pieces += [(said, random.choice((1, 3, 4, 9))) for said in contents(random)[:3_000]]
    if not random.randrange(3):
        random.shuffle(pieces)
    scores = (0.0, -1.0, float("nan"), float("inf"), -1e38)
    made = b"".join(
        _field(1, _field(1, said.encode("utf-8", "surrogatepass")) + _score(random, scores, kind))
        for said, kind in pieces
    )
    settings = _number(3, random.choice((1, 2, 3, 4, 99))) + _number(4, len(pieces))
    settings += b"".join(
        _number(40 + at, random.choice((0, 1, 2, 2**31, 2**63))) for at in range(4)
    )
    table = random.randbytes(random.choice((0, 4, 300)))
    made += _field(2, settings) + _field(3, _field(1, b"nmt_nfkc") + _field(2, table))
    return damage.of_bytes(random, made) if random.randrange(3) else made


def _score(random: Random, scores: tuple[float, ...], kind: int) -> bytes:
    return b"\x15" + struct.pack("<f", random.choice(scores)) + _number(3, kind)


def _varint(number: int) -> bytes:
    said = bytearray()
    while number > 127:
        said.append(number & 127 | 128)
        number >>= 7
    return bytes([*said, number])


def _field(index: int, data: bytes) -> bytes:
    return _varint(index << 3 | 2) + _varint(len(data)) + data


def _number(index: int, number: int) -> bytes:
    return _varint(index << 3) + _varint(number)
