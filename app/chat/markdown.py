"""Markdown to what is shown: CommonMark with tables, task lists, strikethrough, footnotes,
addresses that become links, and the source of formulas.

Nothing is fetched and no HTML is rendered: images are their description, HTML is its source, but
for `<br>`, which ends a line. Knows no Qt.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import groupby, islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from app.chat import sections
from app.chat.flow import (
    BREAK,
    GAP,
    TIGHT,
    Align,
    Around,
    Code,
    Content,
    Flow,
    Leaf,
    Run,
    Style,
    Table,
)
from app.chat.sections import Section

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.ruler import RuleOptionsType
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

DEEPEST: Final = 40
"""Quotations and lists within one another that are read; what is deeper is left out of them."""

MOST_STEPS: Final = 800
"""Steps of the parser, of 10 to 50 µs, after which a section is shown as it is written. Of 705
sections of the descriptions of Python packages the costliest one takes 530."""

STEPS: Final = "steps"
"""Where the parser's environment, which is one text's, holds how many were taken."""

LABEL_LETTERS: Final = 16
"""Characters of the label of a link that are searched in the time of a step."""

MOST_DEFINED: Final = 200
"""Definitions of links and footnotes that are read for what refers to them from another section."""

ABOVE: Final = {"heading": 20, "code": 4, "table": 4, "quotation": 4, "rule": 16, "math": 4}
BELOW: Final = {"heading": 8, "code": 16, "table": 16, "quotation": 16, "rule": 16, "math": 16}
"""Px; of two that meet the larger one holds. A paragraph has GAP below it."""

QUOTATION_INSET: Final = 19
ITEM_INSET: Final = 24
DIGIT: Final = 8
"""Px that a third letter of an item's number takes."""

DEEPEST_INSET: Final = 8
"""Lists and quotations within one another that are moved in further."""

_LINE_ENDS: Final = re.compile(r"\r\n?|\n")
_TASK: Final = re.compile(r"\[([ xX])\][ \t]+")
_BREAK_TAG: Final = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"(?<![\w/.:@-])(?:https?://|www\.)[^\s<>\"`\\^{|}]+", re.IGNORECASE)
_TRAILING: Final = "?!.,:;*_~'\"…"
_DEFINITION: Final = re.compile(
    r"^ {0,3}\[(\^?)([^\]\n]{1,200})\]:[^\n]*(?:\n[ \t]+[^\n]+)*", re.MULTILINE
)
_NUMBER: Final = re.compile(r"[^\w]*[\d.,'\u2009\u202f]*\d[\d.,'\u2009\u202f]*\s?[^\d]{0,8}")


@dataclass(frozen=True)
class Piece:
    """What one widget shows."""

    start: int
    """Source offset at which it begins; it ends where the next one does."""
    content: Content
    above: int
    """Px to what stands above it."""
    below: int
    """Px to what stands below it, unless that wants more."""


@dataclass(frozen=True)
class Names:
    """What links and footnotes of a text may refer to, wherever it is defined."""

    references: dict[str, Any] = field(default_factory=dict)
    notes: frozenset[str] = frozenset()


class Definitions:
    """Collects what the sections of a text define, as they come; a section that is parsed finds its
    own besides."""

    def __init__(self) -> None:
        self._env: dict[str, Any] = {}
        self._notes: set[str] = set()
        self._known: set[tuple[bool, str]] = set()
        self._left = MOST_DEFINED

    def take(self, text: str, section: Section) -> None:
        """Sections in their order: the first definition of a name holds."""
        if section.fenced or not self._left:
            return
        prose = text[section.start : section.stop]
        if "]:" not in prose:
            return
        links = []
        for found in islice(_definitions(prose), self._left):
            self._left -= 1
            is_note, label = bool(found[1]), found[2]
            if (is_note, label) in self._known:  # the first one holds
                continue
            self._known.add((is_note, label))
            if is_note:
                self._notes.add(label)
            else:
                links.append(found[0])
        if links:
            self._env.pop(STEPS, None)
            with suppress(TooCostlyError):
                _parser().parse("\n\n".join(links), self._env)

    def names(self) -> Names:
        return Names(dict(self._env.get("references", {})), frozenset(self._notes))


def names_in(text: str, split: Sequence[Section]) -> Names:
    """What the sections of a text define."""
    found = Definitions()
    for section in split:
        found.take(text, section)
    return found.names()


def _definitions(text: str) -> Iterator[re.Match[str]]:
    """Those that stand where a paragraph could begin, or below another one."""
    end = 0
    for found in _DEFINITION.finditer(text):
        above = text[: found.start()].rstrip(" \t")
        if not above or above.endswith("\n\n") or found.start() == end + 1:
            yield found
            end = found.end()


def read(text: str, section: Section, names: Names, above: int) -> list[Piece]:
    """What a section of a text shows. `above`: px that what stands above it wants below itself."""
    source = text[section.start : section.stop]
    if section.fenced:
        code = _fenced(source, section.start)
        return [Piece(section.start, code, max(above, ABOVE["code"]), BELOW["code"])]
    head = sections.head_of_table(text, section.start) if section.goes_on else ""
    pieces = _parsed(head + source, section.start - len(head), names, above)
    if head and isinstance(pieces[0].content, Table):
        rows = pieces[0].content.without_head()
        pieces[0] = replace(pieces[0], start=section.start, content=rows)
    return pieces


def _fenced(source: str, start: int) -> Code:
    """A fenced block, which may be too long for the parser to read it again and again."""
    opening = source.split("\n", 1)[0]
    indent = len(opening) - len(opening.lstrip(" "))
    mark = opening[indent]
    length = len(opening) - indent - len(opening[indent:].lstrip(mark))
    language = _language(opening[indent + length :])
    first = len(opening) + 1
    last = source.rstrip("\r\n").rfind("\n") + 1
    closing = re.match(rf" {{0,3}}{re.escape(mark)}{{{length},}}[ \t]*$", source[last:])
    end = last if closing and last >= first else len(source)
    text = source[first:end].removesuffix("\n").replace("\0", "\ufffd")
    if not indent and "\r" not in text:
        return Code(text, language, (), (start + first,))
    lines, offsets = [], []
    at = first
    for line in text.split("\n"):
        moved = min(indent, len(line) - len(line.lstrip(" ")))
        lines.append(line[moved:].removesuffix("\r"))
        offsets.append(start + at + moved)
        at += len(line) + 1
    return Code("\n".join(lines), language, (), tuple(offsets))


def _language(info: str) -> str:
    """What the line that opens a fenced block calls its language."""
    from markdown_it.common.utils import unescapeAll

    return unescapeAll(info).strip().split(" ", 1)[0]


def prepare() -> None:
    """Imports and builds the parser, so that the first reply does not wait for it. May run in a
    thread of its own."""
    _parser()


def _parsed(source: str, start: int, names: Names, above: int) -> list[Piece]:
    reader = _Reader(source, start, above)
    env: dict[str, Any] = {"references": dict(names.references), STEPS: source.count("\n")}
    env["footnotes"] = {"refs": {f":{note}": -1 for note in names.notes}}
    try:
        reader.read(_parser().parse(source, env))
    except TooCostlyError:
        reader = _Reader(source, start, above)
        reader.read_plain()
    return reader.pieces()


class TooCostlyError(Exception):
    """The parser has taken MOST_STEPS steps."""


def _take_steps(env: Any, steps: int) -> None:
    """Raises TooCostlyError. Steps and not a clock, which would cut a text another way while it
    streams than when it is opened."""
    env[STEPS] = taken = env.get(STEPS, 0) + steps
    if taken > MOST_STEPS:
        raise TooCostlyError


def _count_block(state: StateBlock, _line: int, _end: int, _silent: bool) -> bool:
    _take_steps(state.env, 1)
    return False


def _count_inline(state: StateInline, _silent: bool) -> bool:
    _take_steps(state.env, 1)
    return False


def _counted_label(state: StateInline, start: int, nested: bool = False) -> int:
    """As the parser's own, which searches the rest of a paragraph for each bracket."""
    from markdown_it.helpers import parseLinkLabel

    end = parseLinkLabel(state, start, nested)
    _take_steps(state.env, ((end if end >= 0 else state.posMax) - start) // LABEL_LETTERS)
    return end


@cache
def _parser() -> MarkdownIt:
    # Imported with the first reply: it takes 80 ms, which a window without one need not wait for.
    from markdown_it import MarkdownIt, helpers
    from mdit_py_plugins.dollarmath import dollarmath_plugin
    from mdit_py_plugins.footnote import footnote_plugin
    from mdit_py_plugins.texmath import texmath_plugin

    made = MarkdownIt("commonmark", {"maxNesting": DEEPEST}).enable(["table", "strikethrough"])
    made.use(dollarmath_plugin, allow_digits=False, double_inline=True)
    made.use(texmath_plugin, delimiters="brackets")
    made.use(footnote_plugin)
    # The text keeps its escapes apart, so that each character is found in the source; footnotes
    # stay where they were written.
    made.core.ruler.disable(["footnote_tail", "text_join"])
    made.inline.ruler.disable(["footnote_inline"])  # no part of the Markdown that models write
    interrupts: RuleOptionsType = {
        "alt": ["paragraph", "reference", "blockquote", "list", "footnote_def"]
    }
    made.block.ruler.before("table", "steps", _count_block, interrupts)
    made.inline.ruler.before("text", "steps", _count_inline)
    made.helpers = SimpleNamespace(  # type: ignore[assignment]
        parseLinkLabel=_counted_label,
        parseLinkDestination=helpers.parseLinkDestination,
        parseLinkTitle=helpers.parseLinkTitle,
    )
    return made


@dataclass(frozen=True)
class _Done:
    offset: int
    shown: Leaf | Code | Table
    above: int
    below: int


class _Reader:
    """From tokens to leaves, code and tables, in the order of the source."""

    def __init__(self, source: str, start: int, above: int) -> None:
        self._source = source
        self._start = start
        ends = [each.end() for each in _LINE_ENDS.finditer(source)]
        self._lines = [0, *ends, len(source)]
        self._done: list[_Done] = []
        self._around: list[Around] = []
        self._tight: list[bool] = []
        self._numbers: list[int] = []
        """Of the next item, for each list."""
        self._marker = ""
        self._heading = 0
        self._below = above

    def pieces(self) -> list[Piece]:
        """Leaves that follow one another are one piece."""
        made = []
        for is_leaf, group in groupby(self._done, key=lambda done: isinstance(done.shown, Leaf)):
            done = list(group)
            if is_leaf:
                leaves = [each.shown for each in done if isinstance(each.shown, Leaf)]
                made.append(Piece(done[0].offset, Flow(leaves), done[0].above, done[-1].below))
            else:
                made += [
                    Piece(each.offset, each.shown, each.above, each.below)
                    for each in done
                    if not isinstance(each.shown, Leaf)
                ]
        if not made:
            return [Piece(self._start, Flow([Leaf(())]), self._below, 0)]
        made[0] = replace(made[0], start=self._start)
        return made

    def read_plain(self) -> None:
        run = Run(_LINE_ENDS.sub(BREAK, self._source.rstrip("\r\n")), self._start)
        self._leaf(0, (run,), "text", 0, GAP)

    # ------------------------------------------------------------------ blocks

    def read(self, tokens: Sequence[Token]) -> None:
        index = 0
        while index < len(tokens):
            token = tokens[index]
            if token.type == "table_open":
                end = next(i for i in range(index, len(tokens)) if tokens[i].type == "table_close")
                self._table(token, tokens[index + 1 : end])
                index = end
            else:
                self._block(token)
            index += 1

    def _block(self, token: Token) -> None:
        kind = token.type
        if kind == "inline":
            self._paragraph(token)
        elif kind in ("heading_open", "heading_close"):
            self._heading = int(token.tag[1]) if kind == "heading_open" else 0
        elif kind == "paragraph_open":
            if self._tight:
                self._tight[-1] = token.hidden
        elif kind in ("fence", "code_block"):
            self._code(token)
        elif kind == "html_block":
            self._verbatim(token, "text", Style.HTML)
        elif kind.startswith("math"):
            self._verbatim(token, "math", Style.MATH)
        elif kind == "hr":
            self._leaf(self._line(token), (), "rule", ABOVE["rule"], BELOW["rule"])
        else:
            self._container(token)

    def _container(self, token: Token) -> None:
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                self._tight.append(True)
                self._numbers.append(int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                self._tight.pop()
                self._numbers.pop()
                if not self._tight:
                    self._below = max(self._below, GAP)
            case "list_item_open":
                self._open_item(f"{self._numbers[-1]}{token.markup}" if token.info else "•")
                self._numbers[-1] += 1
            case "footnote_reference_open":
                self._open_item(f"{token.meta['label']}.")
            case "list_item_close" | "footnote_reference_close":
                if self._marker:
                    self._leaf(self._line(token), (), "text", 0, TIGHT)
                self._around.pop()
            case "blockquote_open":
                self._around.append(Around("quotation", self._inset(QUOTATION_INSET)))
                self._below = max(self._below, ABOVE["quotation"])
            case "blockquote_close":
                self._around.pop()
                self._below = max(self._below, BELOW["quotation"])
            case _:
                pass

    def _open_item(self, marker: str) -> None:
        if self._marker:  # an item that begins with a list
            self._leaf(self._offset_now(), (), "text", 0, TIGHT)
        self._marker = marker
        inset = ITEM_INSET + DIGIT * max(0, len(marker) - 2)
        self._around.append(Around("item", self._inset(inset)))

    def _inset(self, wanted: int) -> int:
        return wanted if len(self._around) < DEEPEST_INSET else 0

    def _paragraph(self, token: Token) -> None:
        offset = self._line(token)
        stop = self._lines[token.map[1]] if token.map else len(self._source)
        runs = list(self._inline(token, offset, stop))
        if self._around and self._around[-1].kind == "item" and self._marker == "•" and runs:
            runs = self._task(runs)
        above = ABOVE["heading"] if self._heading else 0
        below = BELOW["heading"] if self._heading else GAP
        if self._tight and self._tight[-1]:
            below = TIGHT
        self._leaf(offset, tuple(runs), "text", above, below)

    def _task(self, runs: list[Run]) -> list[Run]:
        """Takes the box of a task from the beginning of an item."""
        text = "".join(run.text for run in runs[:3])
        box = _TASK.match(text)
        if not box:
            return runs
        self._marker = "[ ]" if box[1] == " " else "[x]"
        left = box.end()
        while left and runs:
            run = runs.pop(0)
            taken = min(left, len(run.text))
            left -= taken
            if run.text[taken:]:
                runs.insert(0, Run(run.text[taken:], run.source + taken, run.style, run.link))
        return runs

    def _leaf(self, offset: int, runs: tuple[Run, ...], kind: Any, above: int, below: int) -> None:
        space = max(self._below, above)
        leaf = Leaf(runs, kind, self._heading, tuple(self._around), self._marker, space)
        self._put(offset, leaf, above, below)

    def _put(self, offset: int, shown: Leaf | Code | Table, above: int, below: int) -> None:
        space = max(self._below, above)
        self._done.append(_Done(self._start + offset, shown, space, below))
        self._below, self._marker = below, ""

    def _put_marker(self, token: Token) -> None:
        """Shows the marker of an item that begins with code or a table."""
        if self._marker:
            self._leaf(self._line(token), (), "text", 0, TIGHT)

    def _verbatim(self, token: Token, kind: str, style: int) -> None:
        """The source of a block, line by line; of a formula, without what encloses it."""
        at = self._line(token)
        runs = []
        for line in token.content.strip("\n").split("\n"):
            where = max(at, self._source.find(line, at))
            at = where + len(line)
            runs.append(Run(line, self._start + where, style))
            runs.append(Run(BREAK, self._start + at, style))
        above, below = (ABOVE["math"], BELOW["math"]) if kind == "math" else (0, GAP)
        self._leaf(self._line(token), tuple(runs[:-1]), kind, above, below)

    def _code(self, token: Token) -> None:
        self._put_marker(token)
        offset = self._line(token)
        last = token.map[1] if token.map else len(self._lines) - 1
        stop = self._lines[min(last, len(self._lines) - 1)]
        text = token.content.removesuffix("\n")
        first = offset if token.type == "code_block" else self._next_line(offset)
        language = _language(token.info)
        lines: tuple[int, ...] = (self._start + first,)
        if self._source[first : first + len(text)] != text:
            lines = tuple(self._line_starts(text, first, stop))
        code = Code(text, language, tuple(self._around), lines)
        self._put(offset, code, ABOVE["code"], BELOW["code"])

    def _line_starts(self, text: str, at: int, stop: int) -> Iterator[int]:
        """Source offsets of the lines of code that is moved in."""
        for line in text.split("\n"):
            end = self._next_line(at)
            where = self._source.find(line, at, max(end, at + len(line)))
            yield self._start + (where if where >= 0 else at)
            at = min(end, stop)

    # ------------------------------------------------------------------ tables

    def _table(self, opened: Token, tokens: Sequence[Token]) -> None:
        self._put_marker(opened)
        cells: list[Leaf] = []
        aligns: list[Align | None] = []
        columns = 0
        at = self._line(opened)
        for index, token in enumerate(tokens):
            if token.type == "tr_open":
                at = self._lines[token.map[0]] if token.map else at
            elif token.type == "thead_close":
                columns = len(cells)
            elif token.type in ("th_open", "td_open"):
                inline = tokens[index + 1]
                end = self._next_line(at)
                runs = tuple(self._inline(inline, at, end))
                if runs:
                    at = max(at, runs[-1].source - self._start + len(runs[-1].text))
                cells.append(Leaf(runs))
                if token.type == "th_open":
                    aligns.append(_align(token))
        if not columns:
            return
        given = [
            side or _align_of(cells[columns:], number, columns)
            for number, side in enumerate(aligns)
        ]
        table = Table(Flow(cells), columns, tuple(given), tuple(self._around))
        self._put(self._line(opened), table, ABOVE["table"], BELOW["table"])

    # ------------------------------------------------------------------ text

    def _inline(self, token: Token, at: int, stop: int) -> Iterator[Run]:
        """The characters of a paragraph, each with its place between two offsets."""
        style, links = int(Style.PLAIN), [""]
        for child in token.children or []:
            match child.type:
                case "strong_open" | "em_open" | "s_open":
                    style |= STYLES[child.tag]
                case "strong_close" | "em_close" | "s_close":
                    style &= ~STYLES[child.tag]
                case "link_open":
                    links.append(str(child.attrs.get("href", "")))
                case "link_close":
                    links.pop()
                    at = self._behind_target(at, stop)
                case "footnote_anchor":
                    pass
                case _:
                    for text, written, added, link in _shown(child):
                        where = self._source.find(written, at, stop)
                        begin = where if where >= 0 else at
                        at = begin + (len(written) if where >= 0 else 0)
                        begin += max(0, written.find(text))
                        run = Run(text, self._start + begin, style | added, link or links[-1])
                        yield from _addresses(run)

    def _behind_target(self, at: int, stop: int) -> int:
        """Behind where a link leads, so that nothing of the text is looked for in it."""
        if not self._source.startswith("](", at):
            return at
        depth = 0
        for index in range(at + 1, stop):
            letter = self._source[index]
            depth += (letter == "(") - (letter == ")")
            if depth == 0:
                return index + 1
        return at

    # ------------------------------------------------------------------ places

    def _line(self, token: Token) -> int:
        """Offset of the line with which a block begins."""
        return self._lines[token.map[0]] if token.map else self._offset_now()

    def _offset_now(self) -> int:
        return self._done[-1].offset - self._start if self._done else 0

    def _next_line(self, at: int) -> int:
        return self._lines[min(bisect_right(self._lines, at), len(self._lines) - 1)]


STYLES: Final = {"strong": Style.BOLD, "em": Style.ITALIC, "s": Style.STRIKE}


def _shown(child: Token) -> Iterator[tuple[str, str, int, str]]:
    """What an inline token shows, what stands for it in the source, its style, and its link."""
    content = child.content
    match child.type:
        case "text":
            yield content, content, Style.PLAIN, ""
        case "text_special":
            yield content, child.markup, Style.PLAIN, ""
        case "softbreak":
            yield " ", "\n", Style.PLAIN, ""
        case "hardbreak":
            yield BREAK, "\n", Style.PLAIN, ""
        case "code_inline":
            yield content, content, Style.CODE, ""
        case "html_inline" if _BREAK_TAG.fullmatch(content):
            yield BREAK, content, Style.PLAIN, ""
        case "html_inline":
            yield content, content, Style.HTML, ""
        case "image":
            link = str(child.attrs.get("src", ""))
            alt = "".join(text for each in child.children or [] for text, *_ in _shown(each))
            yield alt or link or "image", alt, Style.IMAGE, link
        case "footnote_ref":
            yield child.meta["label"], f"[^{child.meta['label']}]", Style.NOTE, ""
        case kind if kind.startswith("math"):
            yield content, content, Style.MATH, ""
        case _:
            pass


def _addresses(run: Run) -> Iterator[Run]:
    """A run in parts, where addresses of the web that stand in it are links."""
    text, done = run.text, 0
    if not run.link and not run.style & ~(Style.BOLD | Style.ITALIC | Style.STRIKE):
        for found in _ADDRESS.finditer(text):
            address = _without_trailing(found[0])
            begin = found.start()
            if "." in address:
                if begin > done:
                    yield Run(text[done:begin], run.source + done, run.style)
                link = address if "://" in address else f"http://{address}"
                yield Run(address, run.source + begin, run.style, link)
                done = begin + len(address)
    if done < len(text):
        yield replace(run, text=text[done:], source=run.source + done)


def _without_trailing(address: str) -> str:
    """As people write them: punctuation and a closing parenthesis behind it belong to the text."""
    while True:
        shorter = address.rstrip(_TRAILING)
        if shorter.endswith(")") and shorter.count(")") > shorter.count("("):
            shorter = shorter[:-1]
        if shorter == address:
            return address
        address = shorter


SIDES: Final[dict[str, Align]] = {
    "text-align:right": "right",
    "text-align:center": "centre",
    "text-align:left": "left",
}


def _align(token: Token) -> Align | None:
    """As the table says; None if it does not."""
    return SIDES.get(str(token.attrs.get("style", "")))


def _align_of(cells: list[Leaf], column: int, columns: int) -> Align:
    """Numbers stand at the right, but for a first column, which names the rows."""
    texts = [leaf.text.strip() for leaf in cells[column::columns]]
    filled = [text for text in texts if text not in ("", "-", "\u2013", "\u2014")]
    numbers = bool(filled) and all(len(text) < 40 and _NUMBER.fullmatch(text) for text in filled)
    return "right" if numbers and column else "left"
