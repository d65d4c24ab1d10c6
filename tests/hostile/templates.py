"""Chat templates that loop, allocate, recur, write much or reach for what is not theirs."""

from __future__ import annotations

from random import Random
from typing import Final

from tests.engine import tiny

EXHAUSTING: Final = (
    "{{ range(10 ** 9) | list }}",
    "{{ 'x' * 10 ** 10 }}",
    "{{ [1] * 10 ** 10 }}",
    "{% set x = 'a' %}" + "{% set x = x ~ x %}" * 40 + "{{ x | length }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ '{:>1000000000}'.format('a') }}",
    "{{ 'a' | center(1000000000) }}",
    "{{ 'a'.zfill(10 ** 10) }}",
    "{{ messages | tojson(indent=10 ** 9) }}",
    "{{ 2 ** (10 ** 9) }}",
    "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    "{% for m in messages recursive %}{{ loop([m, m]) }}{% endfor %}",
    "{{ lipsum(n=100000) }}",
    "{% for i in range(99999) %}{{ 'x' * 9999 }}{% endfor %}",
    "{{ " + "(" * 100_000 + "1" + ")" * 100_000 + " }}",
    "{% if 1 %}" * 10_000 + "{% endif %}" * 10_000,
    "{{ " + "-" * 1_000_000 + "1 }}",
)
"""Each takes time or memory until it is ended."""
SIZES: Final = (
    0,
    1,
    9,
    300,
    5_000,
    60_000,
    99_999,
    10**6,
    10**7,
    10**9,
    10**12,
    2**63,
    -1,
    -(10**9),
)
LETTERS: Final = (
    "a", " ", "\\n", "1", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_start", "\\ud800",
    "\\x1b[2J", "é", "\\u0301", "日", "<think>", "</think>", "ab", "'", "\\0", "\\U000f0000",
)  # fmt: skip
FILTERS: Final = (
    "center({n})", "indent({n})", "wordwrap({m})", "truncate({n})", "batch({m})", "slice({m})",
    "replace('', {e})", "replace('a', {e})", "join({e})", "list", "length", "upper", "trim",
    "tojson(indent={n})", "tojson", "urlize", "xmlattr", "format({n})", "reverse", "sort",
    "unique | list", "groupby({m})", "map('string') | join", "sum", "round({n})", "float", "int",
    "filesizeformat", "pprint", "random", "first", "last", "string", "escape", "e", "safe",
    "striptags", "wordcount", "dictsort", "items | list", "select | list", "default({e})", "abs",
    "title", "capitalize", "attr({e})", "map(attribute={e}) | list", "min", "max", "urlencode",
)  # fmt: skip


def hostile(random: Random) -> str:
    """One in four whole of itself, the others around a template that works."""
    kind = random.randrange(8)
    if kind == 0:
        return random.choice(EXHAUSTING)
    if kind == 1:
        return _much(random)
    if kind == 2:
        return _broken(random)
    parts = [_statement(random, random.randint(1, 3)) for _ in range(random.randint(1, 4))]
    if kind > 3:
        parts.insert(random.randint(0, len(parts)), tiny.TEMPLATE)
    return "".join(parts)


def _much(random: Random) -> str:
    """Writes up to twenty million characters: one letter, one marker, or turns between markers."""
    count = int(10 ** random.uniform(2, 7.3))
    letter = random.choice(LETTERS)
    size = max(1, len(letter.encode("utf-8").decode("unicode_escape", "replace")))
    kind = random.randrange(3)
    if kind == 0:
        return f"{{{{ '{letter}' * {count // size} }}}}"
    pieces = random.choice((30, 300, 3_000, 90_000))
    body = f"<|im_start|>{{{{ '{letter}' * {max(1, count // pieces // size)} }}}}"
    if kind == 1:
        return f"{{% for i in range({pieces}) %}}{body}{{% endfor %}}"
    return tiny.TEMPLATE + f"{{% for i in range({pieces}) %}}{body}<|im_end|>{{% endfor %}}"


def _broken(random: Random) -> str:
    """No template, or one that is cut, nested deep, or large by itself."""
    kind = random.randrange(6)
    if kind == 0:
        return tiny.TEMPLATE[: random.randrange(len(tiny.TEMPLATE))]
    if kind == 1:
        mark = random.choice(("{% if 1 %}", "{{ ", "{% for i in x %}", "{# ", "{% raw %}", "{%"))
        return mark * random.choice((1, 50, 5_000))
    if kind == 2:
        return "x" * random.choice((10**4, 10**6, 15 * 10**6)) + tiny.TEMPLATE
    if kind == 3:
        return "{{ " + " ~ ".join(["'a'"] * random.choice((50, 1_000, 20_000))) + " }}"
    if kind == 4:
        return "".join(random.choices("{}%#'\"|()[]~ \nabcmessages", k=random.choice((20, 500))))
    return "".join(map(chr, random.choices(range(1, 0xD7FF), k=200)))


def _statement(random: Random, depth: int) -> str:
    body = _statement(random, depth - 1) if depth > 1 else f"{{{{ {_expression(random, 2)} }}}}"
    chosen = random.choice(STATEMENTS)
    return _filled(chosen, random, body=body, left=_expression(random, 2))


def _expression(random: Random, depth: int) -> str:
    if depth == 0:
        return _filled(random.choice(NAMES), random)
    left, right = _expression(random, depth - 1), _expression(random, random.randrange(depth))
    return _filled(random.choice(EXPRESSIONS), random, left=left, right=right)


def _filled(text: str, random: Random, **parts: str) -> str:
    """With parts, sizes, letters and filters in place of the words in capitals."""
    for name, part in parts.items():
        text = text.replace(name.upper(), part)
    while "FILTER" in text:
        text = text.replace("FILTER", _filter(random), 1)
    text = text.replace("SIZE", str(_size(random)))
    return text.replace("LETTER", random.choice(LETTERS))


NAMES: Final = (
    "'LETTER'", "'LETTER'", "SIZE", "SIZE", "messages", "bos_token", "x", "messages[0]",
    "messages[-1].content", "[1]", "{}", "none", "1.5e308", "loop", "i", "range", "cycler",
    "joiner()", "dict", "tools", "self", "''", "caller", "namespace",
)  # fmt: skip
STATEMENTS: Final = (
    "{% for i in LEFT %}BODY{% endfor %}",
    "{% for i in range(SIZE) %}BODY{% endfor %}",
    "{% if LEFT %}BODY{% else %}BODY{% endif %}",
    "{% set x = LEFT %}BODY{{ x }}",
    "{% set ns = namespace(a=LEFT) %}{% set ns.a = ns.a ~ ns.a %}BODY{{ ns.a }}",
    "{% macro f(n) %}BODY{{ f(n) }}{% endmacro %}{{ f(LEFT) }}",
    "{% macro f(n=1) %}{{ caller() }}{% endmacro %}{% call f() %}BODY{% endcall %}",
    "{% filter FILTER %}BODY{% endfilter %}",
    "{% for m in messages recursive %}BODY{{ loop(LEFT) }}{% endfor %}",
    "{% with y = LEFT %}BODY{{ y }}{% endwith %}",
    "{{ raise_exception(LEFT) }}",
    "{% generation %}BODY{% endgeneration %}",
    "BODYLEFT",
)
EXPRESSIONS: Final = (
    "(LEFT * SIZE)", "(LEFT ~ RIGHT)", "(LEFT + RIGHT)", "(LEFT ** SIZE)", "('%SIZEd' % RIGHT)",
    "'{:>SIZE}'.format(RIGHT)", "(LEFT | FILTER)", "(LEFT | FILTER | FILTER)", "range(SIZE)",
    "[LEFT, RIGHT] * SIZE", "LEFT.join(RIGHT)", "LEFT.split(RIGHT)", "LEFT.ljust(SIZE, RIGHT)",
    "LEFT.replace('LETTER', RIGHT)", "LEFT.__class__(RIGHT)", "LEFT.append(RIGHT)", "LEFT[RIGHT]",
    "LEFT[::SIZE]", "(LEFT if RIGHT else LEFT)", "(LEFT in RIGHT)", "dict(a=LEFT)",
    "strftime_now(LEFT)", "(LEFT // RIGHT)",
)  # fmt: skip


def _filter(random: Random) -> str:
    chosen = random.choice(FILTERS)
    return chosen.format(n=_size(random), m=_size(random), e=_expression(random, 0))


def _size(random: Random) -> int:
    return random.choice(SIZES)
