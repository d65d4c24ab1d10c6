"""The hostile inputs: one for each number, always the same one.

`make(number, ...)` draws everything from `random.Random` of that number; the kind is that of
`KINDS[number % len(KINDS)]`, so that any run of consecutive numbers has all kinds.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.engine import tiny
from tests.hostile import damage, gguf_text, templates, tokenizer_programs
from tests.hostile.bases import MULTIMODAL, SHARDED, Bases

Make = Callable[[Random, Bases, Path], Path]
CONFIG: Final = "config.json"
WEIGHTS: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
TOKENIZER: Final = "tokenizer.json"
TOKENIZER_CONFIG: Final = "tokenizer_config.json"
TEMPLATE: Final = "chat_template.jinja"


@dataclass(frozen=True)
class Cut:
    """A file that loses its end while it is loaded."""

    file: Path
    size: int
    after: float
    """Seconds behind the command to load."""


@dataclass(frozen=True)
class Input:
    number: int
    kind: str
    path: Path
    """A folder or a .gguf file."""
    messages: tuple[tuple[str, str], ...]
    stop_after: float | None
    """Seconds after which the prompt is stopped, if it has not been answered by then."""
    cut: Cut | None


def kind_of(number: int) -> str:
    return ORDER[number % len(ORDER)]


def first_of(kind: str, count: int) -> list[int]:
    """The first numbers of inputs of this kind."""
    numbers = (number for number in itertools.count() if kind_of(number) == kind)
    return list(itertools.islice(numbers, count))


def make(number: int, bases: Bases, folder: Path) -> Input:
    """Writes the input into `folder`, which is empty."""
    kind = kind_of(number)
    random = Random(number)
    path = KINDS[kind].make(random, bases, folder)
    stop_after = 10 ** random.uniform(-3, 0.3) if random.randrange(3) == 0 else None
    cut = _cut(random, path) if kind == "file cut while it is read" else None
    return Input(number, kind, path, _messages(random, kind), stop_after, cut)


def _cut(random: Random, path: Path) -> Cut:
    file = path / WEIGHTS if path.is_dir() else path
    return Cut(file, random.randrange(file.stat().st_size), 10 ** random.uniform(-3, -0.5))


# ---------------------------------------------------------------------------- prompts

LETTERS: Final = (
    "a", " ", "1", "\n", "ab ", "!", "é", "e\u0301", "日本", "\U0001f469\u200d\U0001f680", "\0",
    "'s", "<|im_start|>", "<|im_end|>", "a1", "aaaaaaaaab", "\U000f0000", "\t \n", "_", "A",
    "<think>",
)  # fmt: skip


def _messages(random: Random, kind: str) -> tuple[tuple[str, str], ...]:
    """Of kinds whose harm shows at the prompt, half are long."""
    said = "Hello"
    if random.randrange(2 if KINDS[kind].at_prompt else 12) == 0:
        length = int(10 ** random.uniform(0, 5.5))
        letters = random.choice(LETTERS)
        said = (letters * (length // len(letters) + 1))[:length] + random.choice(("", "!", "x"))
    if random.randrange(12) == 0:
        return (("system", "Be brief."), ("user", "Hi"), ("assistant", ""), ("user", said))
    return (("user", said),)


# ---------------------------------------------------------------------------- folders


def family(random: Random, bases: Bases) -> str:
    return random.choice(tuple(bases.folders))


def config(random: Random, bases: Bases, folder: Path) -> Path:
    base = bases.folders[family(random, bases)]
    changed = damage.of_object(random, base.json(CONFIG))
    return base.write(folder / "model", {CONFIG: damage.json_text(random, changed)})


def config_key(random: Random, bases: Bases, folder: Path) -> Path:
    """One setting that the family has, or that another one has, of a hostile value."""
    base = bases.folders[family(random, bases)]
    other = bases.folders[family(random, bases)]
    whole = base.json(CONFIG)
    key = random.choice((*whole, *other.json(CONFIG), *damage.KEYS))
    target = whole.get("text_config", whole) if random.randrange(2) else whole
    target[key] = damage.value(random)
    return base.write(folder / "model", {CONFIG: damage.json_text(random, whole)})


def of_bytes(name: str) -> Make:
    """Damages this file of a folder as bytes."""

    def made(random: Random, bases: Bases, folder: Path) -> Path:
        base = random.choice([base for base in bases.folders.values() if name in base.files])
        return base.write(folder / "model", {name: damage.of_bytes(random, base.files[name])})

    return made


def of_json(name: str, base_name: str = "") -> Make:
    """Damages this file of a folder as an object."""

    def made(random: Random, bases: Bases, folder: Path) -> Path:
        base = bases.folders[base_name or family(random, bases)]
        whole = base.json(name) if name in base.files else {}
        changed = damage.of_object(random, whole or {random.choice(damage.KEYS): 1})
        return base.write(folder / "model", {name: damage.json_text(random, changed)})

    return made


def special_tokens(random: Random, bases: Bases, folder: Path) -> Path:
    """Tokens named in tokenizer_config.json, in special_tokens_map.json, or in both."""
    base = bases.folders[family(random, bases)]
    settings = base.json(TOKENIZER_CONFIG)
    said = tokenizer_programs.contents(random)
    decoder = {
        str(random.choice((at, 256 + at, *tokenizer_programs.IDS))): tokenizer_programs.token(
            random, content, at
        )
        for at, content in enumerate(said[:20_000])
    }
    named = {
        name: random.choice((damage.value(random), said[0], {"content": said[-1]}, said[:50]))
        for name in random.sample(SPECIAL, 3)
    }
    where = random.randrange(3)
    changed = {}
    if where != 1:
        settings |= named | ({"added_tokens_decoder": decoder} if random.randrange(2) else {})
        changed[TOKENIZER_CONFIG] = damage.json_text(random, settings)
    if where:
        changed["special_tokens_map.json"] = damage.json_text(random, named)
        changed["added_tokens.json"] = damage.json_text(random, {s: i for i, s in enumerate(said)})
    return base.write(folder / "model", changed)


SPECIAL: Final = (
    "bos_token", "eos_token", "unk_token", "pad_token", "cls_token", "sep_token", "mask_token",
    "additional_special_tokens", "extra_special_tokens",
)  # fmt: skip


def generation_config(random: Random, bases: Bases, folder: Path) -> Path:
    base = bases.folders[family(random, bases)]
    names = random.sample((*SAMPLING, *damage.KEYS), 4)
    whole = {name: damage.value(random) for name in names}
    content = damage.json_text(random, whole)
    return base.write(folder / "model", {"generation_config.json": content})


SAMPLING: Final = (
    "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty",
    "frequency_penalty", "eos_token_id", "bos_token_id", "max_length", "max_new_tokens",
    "do_sample", "stop_strings", "suppress_tokens", "bad_words_ids",
)  # fmt: skip


def tokenizer(random: Random, bases: Bases, folder: Path) -> Path:
    base = bases.folders[family(random, bases)]
    changed = damage.of_object(random, base.json(TOKENIZER))
    return base.write(folder / "model", {TOKENIZER: damage.json_text(random, changed)})


def tokenizer_program(random: Random, bases: Bases, folder: Path) -> Path:
    base = bases.folders["llama"]
    changed = tokenizer_programs.hostile(random, base.json(TOKENIZER))
    return base.write(folder / "model", {TOKENIZER: json.dumps(changed).encode()})


def added_tokens(random: Random, bases: Bases, folder: Path) -> Path:
    base = bases.folders["llama"]
    whole = base.json(TOKENIZER)
    whole["added_tokens"] = tokenizer_programs.added(random, whole)
    if random.randrange(3) == 0:
        random.shuffle(whole["added_tokens"])
    files: dict[str, bytes | None] = {TOKENIZER: json.dumps(whole).encode()}
    if random.randrange(3) == 0:
        files[TEMPLATE] = template_text(random)
    return base.write(folder / "model", files)


def tokenizer_model(random: Random, bases: Bases, folder: Path) -> Path:
    base = bases.folders["llama"]
    files: dict[str, bytes | None] = {"tokenizer.model": tokenizer_programs.sentencepiece(random)}
    if random.randrange(5):
        files[TOKENIZER] = None
    return base.write(folder / "model", files)


def template_text(random: Random) -> bytes:
    return templates.hostile(random).encode("utf-8", "surrogatepass")


def template(random: Random, bases: Bases, folder: Path) -> Path:
    base = bases.folders["llama"]
    if random.randrange(4):
        return base.write(folder / "model", {TEMPLATE: template_text(random)})
    settings = base.json(TOKENIZER_CONFIG)
    said = template_text(random).decode("utf-8", "surrogatepass")
    named = [{"name": random.choice(("default", "tool_use", 5)), "template": said}]
    settings["chat_template"] = random.choice((said, named, {"default": said}, [said], named * 2))
    return base.write(folder / "model", {TOKENIZER_CONFIG: json.dumps(settings).encode()})


def index(random: Random, bases: Bases, folder: Path) -> Path:
    base = bases.folders[SHARDED]
    whole = base.json(INDEX)
    names = list(whole["weight_map"])
    for _ in range(random.randint(1, 3)):
        name = random.choice((*names, "lm_head.weight", ""))
        whole["weight_map"][name] = random.choice((*FILES, damage.value(random)))
    if random.randrange(6) == 0:
        many = random.choice((1_000, 30_000))
        whole["weight_map"] |= {f"x{at}": random.choice(FILES) for at in range(many)}
    if random.randrange(4) == 0:
        whole = damage.of_object(random, whole)
    return base.write(folder / "model", {INDEX: damage.json_text(random, whole)})


FILES: Final = (
    "../model.safetensors", "/etc/passwd", "a/b.safetensors", "\0.safetensors", ".safetensors",
    "model-00001-of-00003.safetensors", "x" * 300 + ".safetensors", "config.json", ".", "..", "",
    "missing.safetensors", "C:\\x.safetensors", "\ud800.safetensors", "tokenizer.json",
)  # fmt: skip


# ---------------------------------------------------------------------------- safetensors

DTYPES: Final = (
    "F32", "F16", "BF16", "F64", "I64", "I32", "U8", "I8", "BOOL", "F8_E4M3", "F8_E5M2", "F4",
    "F6_E2M3", "C64", "U64", "X", "", "f32",
)  # fmt: skip


def safetensors(random: Random, bases: Bases, folder: Path) -> Path:
    base = random.choice([base for base in bases.folders.values() if WEIGHTS in base.files])
    content = base.files[WEIGHTS]
    end = 8 + int.from_bytes(content[:8], "little")
    head, data = json.loads(content[8:end]), content[end:]
    if random.randrange(2):
        for name in random.sample(sorted(head), random.randint(1, 4)):
            if isinstance(head[name], dict) and "shape" in head[name]:
                _change_tensor(random, head, name)
    else:
        head = damage.of_object(random, head)
    text = damage.json_text(random, head)
    length = len(text) if random.randrange(20) else damage.number(random)
    return base.write(
        folder / "model", {WEIGHTS: (length % 2**64).to_bytes(8, "little") + text + data}
    )


def _change_tensor(random: Random, head: dict[str, Any], name: str) -> None:
    tensor = head[name]
    kind = random.randrange(8)
    if kind == 0:
        tensor["shape"] = [damage.number(random) for _ in range(random.choice((0, 1, 3, 70)))]
    elif kind == 1:
        digits = random.choice((1, 20, 300))
        tensor["shape"] = [10**digits] * random.choice((2, 1_000, 20_000))
    elif kind == 2:
        tensor["shape"] = [0, *tensor["shape"]]
    elif kind == 3:
        tensor["dtype"] = random.choice((*DTYPES, damage.value(random)))
    elif kind == 4:
        tensor["data_offsets"] = [damage.number(random) for _ in range(random.choice((2, 2, 1, 3)))]
    elif kind == 5:
        tensor["data_offsets"] = list(reversed(tensor["data_offsets"]))
    elif kind == 6:
        new = random.choice(("", "x" * 10_000, "\ud800", "model.layers.99.x", "lm_head.weight"))
        head[new] = head.pop(name)
    else:
        nothing = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
        many = random.choice((10, 1_000, 100_000 if random.randrange(5) == 0 else 10))
        head |= {f"t{at}": nothing for at in range(many)}


# ---------------------------------------------------------------------------- GGUF


def written(folder: Path, content: bytes, name: str = "model.gguf") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def gguf_bytes(random: Random, bases: Bases, folder: Path) -> Path:
    content, parsed = bases.ggufs[random.choice(tuple(bases.ggufs))]
    head = len(content) - len(parsed.data)
    end = head if random.randrange(4) else len(content)
    return written(folder, damage.of_bytes(random, content, end))


def gguf_metadata(random: Random, bases: Bases, folder: Path) -> Path:
    file = bases.gguf(random.choice(tuple(bases.ggufs)))
    for _ in range(random.randint(1, 3)):
        _change_pair(random, file)
    if random.randrange(20) == 0:
        file.counts = (damage.number(random), damage.number(random))
    if random.randrange(40) == 0:
        file.version = damage.number(random) % 2**32
    return written(folder, file.encoded())


def _change_pair(random: Random, file: gguf_text.File) -> None:
    pair = random.choice(file.pairs)
    kind = random.randrange(8)
    if kind == 0:
        file.pairs.remove(pair)
    elif kind == 1:
        file.pairs.append(pair)
    elif kind == 2:
        pair.key = random.choice((*GGUF_KEYS, *(p.key for p in file.pairs), "x" * 100_000, ""))
    elif kind == 3:
        file.set(random.choice(GGUF_KEYS), 4, damage.number(random))
    elif pair.type == gguf_text.ARRAY and kind < 7:
        _change_array(random, pair)
    elif kind == 4:
        pair.type, pair.value = gguf_text.STRING, str(damage.value(random))
    elif kind == 5:
        inner = random.choice((4, 5, 6, 8, 0, 10))
        items = [damage.number(random)] * random.choice((0, 1, 2, 3, 1_000))
        pair.type, pair.value = gguf_text.ARRAY, (inner, items)
    elif kind == 6:
        pair.type, pair.value = random.choice((6, 12)), random.choice(FLOATS)
    elif isinstance(pair.value, int):
        pair.type, pair.value = random.choice((pair.type, 4, 5, 10, 11)), damage.number(random)
    else:
        pair.value = str(damage.value(random)) if pair.type == gguf_text.STRING else pair.value


FLOATS: Final = (0.0, -1.0, 1e-38, 1e38, float("nan"), float("inf"), float("-inf"), 1e-320, 5.0)
GGUF_KEYS: Final = (
    "general.alignment", "general.architecture", "general.file_type", "general.name",
    "llama.block_count", "llama.context_length", "llama.attention.head_count",
    "llama.attention.head_count_kv", "llama.rope.dimension_count", "llama.expert_count",
    "llama.attention.sliding_window", "llama.rope.scaling.factor", "llama.vocab_size",
    "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.padding_token_id",
    "tokenizer.ggml.add_bos_token", "tokenizer.ggml.pre", "tokenizer.ggml.model",
    "tokenizer.ggml.eos_token_ids", "tokenizer.ggml.remove_extra_whitespaces",
    "tokenizer.chat_template", "tokenizer.ggml.add_space_prefix", "split.count", "split.no",
)  # fmt: skip


def _change_array(random: Random, pair: gguf_text.Pair) -> None:
    inner, items = pair.value
    items = list(items)
    kind = random.randrange(6)
    if kind == 0:
        del items[random.randrange(len(items) + 1) :]
    elif kind == 1:
        items += items * random.choice((1, 3, 100))
    elif kind == 2:
        random.shuffle(items)
    elif kind == 3:
        inner = random.choice((0, 4, 5, 6, 7, 8, 10, 12))
        items = [str(i) if inner == gguf_text.STRING else damage.number(random) for i in items]
    elif items:
        at = random.randrange(len(items))
        text = ("", " ", "x" * 5_000, "a b", "\0", *items[:3], "\ud800")
        edge = random.choice(FLOATS) if inner in (6, 12) else damage.number(random)
        items[at] = random.choice(text) if inner == gguf_text.STRING else edge
    pair.value = (inner, items)


def gguf_tensors(random: Random, bases: Bases, folder: Path) -> Path:
    file = bases.gguf(random.choice(tuple(bases.ggufs)))
    for tensor in random.sample(file.tensors, random.randint(1, 3)):
        kind = random.randrange(7)
        if kind == 0:
            tensor.shape = [damage.number(random) for _ in range(random.choice((0, 1, 2, 4, 9)))]
        elif kind == 1:
            tensor.shape[random.randrange(len(tensor.shape))] = damage.number(random)
        elif kind == 2:
            tensor.type = random.choice((*range(42), damage.number(random)))
        elif kind == 3:
            near = (tensor.offset + 1, tensor.offset + 32, 0)
            tensor.offset = random.choice((damage.number(random), *near))
        elif kind == 4:
            names = [other.name for other in file.tensors]
            tensor.name = random.choice(
                (*names, "", "x" * 10_000, "blk.99.attn_q.weight", "\ud800")
            )
        elif kind == 5:
            tensor.shape.reverse()
        else:
            file.tensors = [other for other in file.tensors if other is not tensor]
    return written(folder, file.encoded())


def gguf_vocabulary(random: Random, bases: Bases, folder: Path) -> Path:
    """More tokens than the valid ones, and an embedding that has a row for each of them."""
    file = bases.gguf("llama")
    control = random.randrange(2)
    tokens = [*tiny.VOCABULARY, *_tokens(random, control=bool(control))]
    kinds = [3 if token in tiny.CONTROL else 1 for token in tiny.VOCABULARY]
    more = random.choice((3, 4)) if control else random.choice((1, 1, 5, 6, 0, 2**31 - 1))
    kinds += [more] * (len(tokens) - len(kinds))
    model = random.choice(("gpt2", "gpt2", "llama", "llama", "bert", "t5", "rwkv"))
    file.set("tokenizer.ggml.model", gguf_text.STRING, model)
    file.set("tokenizer.ggml.tokens", gguf_text.ARRAY, (8, tokens))
    file.set("tokenizer.ggml.token_type", gguf_text.ARRAY, (5, kinds))
    if model == "llama" or random.randrange(4) == 0:
        scores = [-float(at) for at in range(len(tokens))]
        if random.randrange(4) == 0:
            scores[random.randrange(len(scores))] = random.choice(FLOATS)
        file.set("tokenizer.ggml.scores", gguf_text.ARRAY, (6, scores))
    if random.randrange(3) == 0:
        file.set("tokenizer.ggml.merges", gguf_text.ARRAY, (8, _merges(random, tokens)))
    if random.randrange(2):
        said = random.choice((template_text(random).decode("utf-8", "replace"), LONG_TEMPLATE))
        file.set("tokenizer.chat_template", gguf_text.STRING, said)
    return written(folder, _with_rows(file, len(tokens)).encoded())


LONG_TEMPLATE: Final = "{{ 'a' * 10000000 }}"


def _tokens(random: Random, *, control: bool) -> list[str]:
    if control or random.randrange(2):
        return tokenizer_programs.contents(random)[:60_000]
    side = random.choice((10, 40, 100, 200))
    return ["a" * i + "b" * j for i in range(side) for j in range(side - i) if i + j]


def _merges(random: Random, tokens: list[str]) -> list[str]:
    splits = [f"{t[:1]} {t[1:]}" for t in tokens if len(t) > 1]
    some = random.choices(tokens, k=random.choice((0, 10, 5_000)))
    pairs = [f"{token} {random.choice(tokens)}" for token in some]
    odd = ["a", "a b c", "", " ", "x" * 10_000]
    return random.choice((splits, pairs, pairs + odd, [], splits * 3))[:300_000]


def _with_rows(file: gguf_text.File, rows: int) -> gguf_text.File:
    """The embedding for so many tokens, tied to the output, its rows of zeros behind the data."""
    file.tensors = [tensor for tensor in file.tensors if tensor.name != "output.weight"]
    for tensor in file.tensors:
        if tensor.name == "token_embd.weight":
            tensor.shape[1], tensor.offset = rows, len(file.data) + -len(file.data) % 32
            file.data += bytes(-len(file.data) % 32 + 4 * rows * tensor.shape[0])
    return file


def gguf_template(random: Random, bases: Bases, folder: Path) -> Path:
    file = bases.gguf(random.choice(tuple(bases.ggufs)))
    said = template_text(random).decode("utf-8", "surrogatepass")
    file.set("tokenizer.chat_template", gguf_text.STRING, said)
    if random.randrange(4) == 0:
        tokens = tokenizer_programs.contents(random)[:20_000]
        file.set("tokenizer.ggml.pre", gguf_text.STRING, random.choice(("default", *tokens[:1])))
    return written(folder, file.encoded())


def gguf_parts(random: Random, bases: Bases, folder: Path) -> Path:
    """A model in three files, one or two things of which are wrong."""
    file = bases.gguf("llama")
    parts = _split(file)
    names = [f"model-{at:05}-of-00003.gguf" for at in (1, 2, 3)]
    for _ in range(random.randint(1, 2)):
        at = random.randrange(3)
        kind = random.randrange(8)
        if kind == 0:
            key = random.choice(("split.no", "split.count", "split.tensors.count"))
            parts[at].set(key, random.choice((2, 4, 5, 10)), damage.number(random))
        elif kind == 1:
            parts[at].remove(random.choice(("split.no", "split.count", "split.tensors.count")))
        elif kind == 2:
            parts[at] = parts[(at + 1) % 3]
        elif kind == 3:
            parts[at].tensors = parts[at].tensors[1:]
        elif kind == 4:
            parts[at].tensors += parts[(at + 1) % 3].tensors
        elif kind == 5:
            parts[at].data = parts[at].data[: random.randrange(len(parts[at].data) + 1)]
        elif kind == 6:
            names[at] = random.choice(PART_NAMES)
        else:
            _change_pair(random, parts[0])
    for name, part in zip(names, parts, strict=True):
        content = part.encoded()
        written(folder, content if random.randrange(12) else damage.of_bytes(random, content), name)
    return folder / random.choice(names)


PART_NAMES: Final = (
    "model-00004-of-00003.gguf", "model-00000-of-00003.gguf", "model-00001-of-99999.gguf",
    "other-00002-of-00003.gguf", "model-1-of-3.gguf", "model-00001-of-00000.gguf",
    "model-00001-of-00001.gguf", "MODEL-00002-of-00003.GGUF",
)  # fmt: skip


def _split(file: gguf_text.File) -> list[gguf_text.File]:
    """Each with a third of the tensors, and all of the data."""
    third = -(-len(file.tensors) // 3)
    made = []
    for at in range(3):
        pairs = file.pairs if at == 0 else []
        some = file.tensors[at * third : (at + 1) * third]
        begin = min(tensor.offset for tensor in some)
        end = min(
            (t.offset for t in file.tensors if t.offset > max(s.offset for s in some)), default=None
        )
        moved = [gguf_text.Tensor(t.name, list(t.shape), t.type, t.offset - begin) for t in some]
        part = gguf_text.File(list(pairs), moved, file.data[begin:end])
        part.set("split.no", 2, at)
        part.set("split.count", 2, 3)
        part.set("split.tensors.count", 5, len(file.tensors))
        made.append(part)
    return made


# ---------------------------------------------------------------------------- files


def swapped(random: Random, bases: Bases, folder: Path) -> Path:
    """A file of the folder has the content of another one, or is no file."""
    base = bases.folders[family(random, bases)]
    other = bases.folders[family(random, bases)]
    path = base.write(folder / "model", {})
    name = random.choice((*base.files, *ABSENT))
    file = path / name
    file.unlink(missing_ok=True)
    kind = random.randrange(11)
    if kind < 4:
        file.write_bytes(random.choice((*other.files.values(), *base.files.values())))
    elif kind == 4:
        file.write_bytes(random.choice((b"", b"\xff" * 1_000, b"null", b"[]", b'""', b"PK\3\4")))
    elif kind == 5:
        file.touch()
        os.truncate(file, random.choice((1, 10**8, 2**33, 2**40)))
    elif kind == 6:
        file.mkdir()
    elif kind == 7:
        os.mkfifo(file)
    elif kind == 8:
        file.symlink_to(random.choice(("/dev/zero", "/dev/stdin", "/etc/passwd", name, "..", "/")))
    elif kind == 9:
        file.write_bytes(bases.ggufs["llama"][0])
    else:
        (path / "more").mkdir()
        for at in range(random.choice((10, 2_000))):
            (path / f"{at:05}.safetensors").touch()
    return path


ABSENT: Final = (
    TEMPLATE, INDEX, "tokenizer.model", "generation_config.json", "adapter_config.json",
    "adapter_model.safetensors", "params.json", "vocab.json", "merges.txt", "chat_template.json",
    "preprocessor_config.json", "consolidated.safetensors", "model.gguf", "added_tokens.json",
)  # fmt: skip


def gguf_swapped(random: Random, bases: Bases, folder: Path) -> Path:
    """A .gguf that is something else, or lies in a folder of other files."""
    kind = random.randrange(6)
    llama = bases.folders["llama"]
    if kind == 0:
        return written(folder, random.choice(tuple(llama.files.values())))
    if kind == 1:
        path = written(folder, b"GGUF" + random.randbytes(random.choice((0, 20, 3_000))))
        os.truncate(path, random.choice((24, 5_000, 2**41)))
        return path
    if kind == 2:
        (folder / "model.gguf").mkdir(parents=True)
        return folder / "model.gguf"
    if kind == 3:
        folder.mkdir(parents=True, exist_ok=True)
        os.mkfifo(folder / "model.gguf")
        return folder / "model.gguf"
    if kind == 4:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.gguf").symlink_to(random.choice(("/dev/zero", "model.gguf", "missing")))
        return folder / "model.gguf"
    names = random.choice((("a.gguf",), ("a.gguf", "b.gguf"), ("mmproj-a.gguf",)))
    for name in names:
        content = bases.ggufs[random.choice(tuple(bases.ggufs))][0]
        written(folder / "model", damage.of_bytes(random, content), name)
    return folder / "model"


def cut_while_read(random: Random, bases: Bases, folder: Path) -> Path:
    if random.randrange(2):
        return written(folder, bases.ggufs[random.choice(tuple(bases.ggufs))][0])
    return bases.folders["llama"].write(folder / "model", {})


# ---------------------------------------------------------------------------- all of them


@dataclass(frozen=True)
class Kind:
    make: Make
    share: int
    """Of a hundred inputs."""
    at_prompt: bool = False
    """Whether the harm shows when a prompt is encoded."""


KINDS: Final[dict[str, Kind]] = {
    "config.json, object": Kind(config, 8),
    "config.json, one setting": Kind(config_key, 7),
    "config.json, bytes": Kind(of_bytes(CONFIG), 3),
    "multimodal config.json": Kind(of_json(CONFIG, MULTIMODAL), 2),
    "safetensors, header": Kind(safetensors, 10),
    "safetensors, bytes": Kind(of_bytes(WEIGHTS), 5),
    "index": Kind(index, 5),
    "generation_config.json": Kind(generation_config, 3),
    "tokenizer_config.json": Kind(of_json(TOKENIZER_CONFIG), 3),
    "special tokens": Kind(special_tokens, 3),
    "tokenizer.json, object": Kind(tokenizer, 3),
    "tokenizer.json, bytes": Kind(of_bytes(TOKENIZER), 2),
    "tokenizer.json, program": Kind(tokenizer_program, 6, at_prompt=True),
    "added tokens": Kind(added_tokens, 3, at_prompt=True),
    "tokenizer.model": Kind(tokenizer_model, 2),
    "chat template": Kind(template, 6, at_prompt=True),
    "GGUF, bytes": Kind(gguf_bytes, 5),
    "GGUF, metadata": Kind(gguf_metadata, 7),
    "GGUF, tensors": Kind(gguf_tensors, 6),
    "GGUF, vocabulary": Kind(gguf_vocabulary, 3, at_prompt=True),
    "GGUF, template": Kind(gguf_template, 2, at_prompt=True),
    "GGUF, parts": Kind(gguf_parts, 2),
    "files swapped": Kind(swapped, 2),
    "GGUF swapped": Kind(gguf_swapped, 1),
    "file cut while it is read": Kind(cut_while_read, 1),
}
ORDER: Final = tuple(name for name, kind in KINDS.items() for _ in range(kind.share))
