"""The specification's own examples: what we show has the structure of the HTML that they expect."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from app.chat import markdown, sections
from app.chat.flow import BREAK, Code, Flow, Leaf, Style, Table

EXAMPLES = json.loads(
    (Path(__file__).parent / "commonmark" / "spec.json").read_text(encoding="utf-8")
)

EXTENSIONS = {
    "an address that stands in the text is a link": {602, 608, 611},
}
"""Examples that show the lack of an extension which we have."""

Shown = tuple[str, int, tuple[str, ...], str, tuple[tuple[str, int, str], ...]]
"""Kind, heading, what it stands in, marker, and text with its styles and links."""


def shown(source: str) -> list[Shown]:
    split = sections.split(source)
    names = markdown.names_in(source, split)
    found: list[Shown] = []
    for section in split:
        for piece in markdown.read(source, section, names, 0):
            match piece.content:
                case Flow(leaves=leaves):
                    found += [of_leaf(leaf) for leaf in leaves]
                case Code() as code:
                    around = tuple(each.kind for each in code.around)
                    runs = ((code.text, Style.CODE, code.language),)
                    found.append(("code", 0, around, "", runs))
                case Table():
                    found.append(("table", 0, (), "", ()))
    return found


def with_words(found: list[Shown]) -> list[Shown]:
    return [each for each in found if each != ("text", 0, (), "", ())]


def of_leaf(leaf: Leaf) -> Shown:
    around = tuple(each.kind for each in leaf.around)
    runs = merged([(run.text, run.style, run.link) for run in leaf.runs])
    return (leaf.kind, leaf.heading, around, leaf.marker, runs)


def merged(runs: list[tuple[str, int, str]]) -> tuple[tuple[str, int, str], ...]:
    """Runs of one style as one, without space at the ends; ends of lines are spaces."""
    made = []
    for (style, link), group in groupby(runs, key=lambda run: run[1:]):
        text = "".join(run[0] for run in group).replace("\n", " ").replace(f"{BREAK} ", BREAK)
        made.append((text, style, unquote(link)))
    if made:
        made[0] = (made[0][0].lstrip(" "), *made[0][1:])
        made[-1] = (made[-1][0].rstrip(" "), *made[-1][1:])
    return tuple(run for run in made if run[0])


BLOCKS = {"p", "ul", "ol", "li", "blockquote", "pre", "hr", *(f"h{n}" for n in range(1, 7))}


STYLES = {"em": Style.ITALIC, "strong": Style.BOLD, "code": Style.CODE}


class Expected(HTMLParser):
    """The same of the HTML that the specification gives."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[Shown] = []
        self.around: list[str] = []
        self.numbers: list[int | None] = []
        self.marker = ""
        self.heading = 0
        self.runs: list[tuple[str, int, str]] | None = None
        self.style: int = Style.PLAIN
        self.links = [""]
        self.code: str | None = None
        self.language = ""
        self.feed(html)
        self.close()
        self.end()

    def begin(self) -> None:
        if self.runs is None:
            self.runs = []

    def end(self) -> None:
        if self.runs is not None:
            self.put("text", merged(self.runs))
        self.runs = None

    def put(self, kind: str, runs: tuple[tuple[str, int, str], ...]) -> None:
        self.found.append((kind, self.heading, tuple(self.around), self.marker, runs))
        self.marker = ""

    def put_marker(self) -> None:
        if self.marker:
            self.put("text", ())

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        given = dict(attributes)
        if tag in BLOCKS:
            self.end()
        match tag:
            case "p":
                self.begin()
            case "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
                self.heading = int(tag[1])
                self.begin()
            case "ul":
                self.numbers.append(None)
            case "ol":
                self.numbers.append(int(given.get("start", 1)))
            case "li":
                self.put_marker()
                number = self.numbers[-1]
                self.marker = "•" if number is None else str(number)
                if number is not None:
                    self.numbers[-1] = number + 1
                self.around.append("item")
            case "blockquote":
                self.around.append("quotation")
            case "pre":
                self.put_marker()
                self.code = ""
            case "code" if self.code is not None:
                self.language = str(given.get("class") or "").removeprefix("language-")
            case "hr":
                self.put("rule", ())
            case _:
                self.inline(tag, given)

    def inline(self, tag: str, given: dict[str, str | None]) -> None:
        self.begin()
        assert self.runs is not None
        match tag:
            case "em" | "strong" | "code":
                self.style |= STYLES[tag]
            case "a":
                self.links.append(given["href"] or "")
            case "img":
                link = given["src"] or ""
                text = given["alt"] or link or "image"
                self.runs.append((text, self.style | Style.IMAGE, link))
            case "br":
                self.runs.append((BREAK, self.style, self.links[-1]))

    def handle_endtag(self, tag: str) -> None:
        match tag:
            case "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
                self.end()
                self.heading = 0
            case "ul" | "ol":
                self.numbers.pop()
            case "li":
                self.end()
                self.put_marker()
                self.around.pop()
            case "blockquote":
                self.end()
                self.around.pop()
            case "pre":
                text = (self.code or "").removesuffix("\n")
                self.put("code", ((text, Style.CODE, self.language),))
                self.code, self.language = None, ""
            case "em" | "strong" | "code" if self.code is None:
                self.style &= ~STYLES[tag]
            case "a":
                self.links.pop()

    def handle_data(self, data: str) -> None:
        if self.code is not None:
            self.code += data
        elif self.runs is not None or data.strip():
            self.begin()
            assert self.runs is not None
            self.runs.append((data, self.style, self.links[-1]))


def without_delimiters(found: list[Shown]) -> list[Shown]:
    """HTML does not say whether a number had a full stop or a parenthesis."""
    return [(*each[:3], each[3].rstrip(".)"), *each[4:]) for each in found]


def has_html(found: list[Shown]) -> bool:
    return any(run[1] & Style.HTML for each in found for run in each[4])


SECTIONS = {section: list(group) for section, group in groupby(EXAMPLES, lambda e: e["section"])}


@pytest.mark.parametrize("section", SECTIONS)
def test_examples_have_the_structure_that_the_specification_gives(section: str) -> None:
    for example in SECTIONS[section]:
        found = shown(example["markdown"])
        if has_html(found) or section in ("HTML blocks", "Raw HTML"):
            continue  # HTML is shown as its source; what is expected has no structure of ours
        if any(example["example"] in numbers for numbers in EXTENSIONS.values()):
            continue
        expected = Expected(example["html"]).found
        assert with_words(without_delimiters(found)) == with_words(expected), example["example"]
