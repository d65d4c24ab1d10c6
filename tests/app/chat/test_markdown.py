"""Markdown to what is shown, and its sections."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat import markdown, sections
from app.chat.document import Document
from app.chat.flow import BREAK, Code, Content, Flow, Leaf, Style, Table
from app.chat.markdown import Piece
from app.engine_command import ROOT
from app.store.records import StoredMessage

FRAGMENTS = [
    *("# Head\n", "\n", "\n\n", "words and more words ", "word\n", "- item\n", "  - inner\n"),
    *("1. one\n", "```py\n", "```\n", "    code\n", "~~~\n", "> said\n", "> ```\n", " ```\n"),
    *("| a | b |\n", "|---|---|\n", "| 1 | 2 |\n", "$$\n", "$x$", "**", "*", "`", "[a](b)"),
    *("[^1]", "[^1]: note\n", "[a]: /b\n", "<div>\n", "<br>", "---\n", "\\", "&amp;", "\t"),
    *("https://a.org ", "é👨\u200d👩", "שלום ", "\r\n", "long " * 300),
]
markdowns = st.lists(st.sampled_from(FRAGMENTS), max_size=60).map("".join)


def pieces(source: str) -> list[Piece]:
    split = sections.split(source)
    names = markdown.names_in(source, split)
    return [piece for each in split for piece in markdown.read(source, each, names, 0)]


def leaves(source: str) -> list[Leaf]:
    return [
        leaf
        for piece in pieces(source)
        if isinstance(piece.content, Flow)
        for leaf in piece.content.leaves
    ]


def only(source: str) -> Content:
    (piece,) = pieces(source)
    return piece.content


# ---------------------------------------------------------------------------- beyond CommonMark


def test_a_table_aligns_numbers_at_the_right() -> None:
    table = only("| a | b | c |\n|---|---|:-:|\n| 1 | 4.5 ms | x |\n| 2 | 1,204 | y |\n")
    assert isinstance(table, Table)
    assert table.aligns == ("left", "right", "centre")
    assert [leaf.text for leaf in table.flow.leaves][3:6] == ["1", "4.5 ms", "x"]
    assert table.rows == 3


def test_an_item_may_have_the_box_of_a_task() -> None:
    found = leaves("- [x] **done**\n- [ ] not\n- [link](x)\n- plain\n")
    assert [(leaf.marker, leaf.text) for leaf in found] == [
        ("[x]", "done"),
        ("[ ]", "not"),
        ("•", "link"),
        ("•", "plain"),
    ]


def test_struck_text_footnotes_and_addresses() -> None:
    (text, note) = leaves("~~no~~ see[^n] www.a.org/x_(y), https://b.org.\n\n[^n]: the **note**\n")
    assert [(run.text, run.style, run.link) for run in text.runs] == [
        ("no", Style.STRIKE, ""),
        (" see", Style.PLAIN, ""),
        ("n", Style.NOTE, ""),
        (" ", Style.PLAIN, ""),
        ("www.a.org/x_(y)", Style.PLAIN, "http://www.a.org/x_(y)"),
        (", ", Style.PLAIN, ""),
        ("https://b.org", Style.PLAIN, "https://b.org"),
        (".", Style.PLAIN, ""),
    ]
    assert (note.marker, note.text) == ("n.", "the note")


@pytest.mark.parametrize("formula", ["$a_b$", "\\(a_b\\)", "$$a_b$$"])
def test_a_formula_is_its_source_and_no_markup_is_read_in_it(formula: str) -> None:
    (text,) = leaves(f"with {formula} and a_b_c")
    assert ("a_b", Style.MATH) in [(run.text.strip(), run.style) for run in text.runs]


@pytest.mark.parametrize("formula", ["$$\na + b\n$$", "\\[\na + b\n\\]"])
def test_a_formula_may_stand_alone(formula: str) -> None:
    (found,) = leaves(formula)
    assert (found.kind, found.text.strip("\u2028")) == ("math", "a + b")


def test_prices_are_no_formula() -> None:
    (text,) = leaves("It costs $5, not $10.")
    assert text.text == "It costs $5, not $10."
    assert all(run.style == Style.PLAIN for run in text.runs)


def test_html_is_its_source_and_an_image_what_it_is_said_to_show() -> None:
    (text, block) = leaves(
        'a <b onclick="x()">b</b> ![a cat](http://a.org/c.png)\n\n<script>\nx\n</script>\n'
    )
    assert text.text == 'a <b onclick="x()">b</b> a cat'
    assert [(run.style, run.link) for run in text.runs if run.text == "a cat"] == [
        (Style.IMAGE, "http://a.org/c.png")
    ]
    assert block.text == "<script>\u2028x\u2028</script>"


def test_a_break_in_html_ends_a_line() -> None:
    table = only("| a |\n|---|\n| x<br>y |\n")
    assert isinstance(table, Table)
    assert table.flow.leaves[1].text == "x\u2028y"


def test_code_in_a_list_stands_in_the_list_and_knows_its_lines() -> None:
    source = "1. do\n   ```sh\n   ls\n     cd\n   ```\n2. then\n"
    (_, piece, _) = pieces(source)
    assert isinstance(piece.content, Code)
    assert (piece.content.text, piece.content.language) == ("ls\n  cd", "sh")
    assert [each.kind for each in piece.content.around] == ["item"]
    assert piece.content.copied(0, len(source)) == "ls\n  cd"
    assert [source[at : at + 2] for at in piece.content.lines] == ["ls", "  "]


def test_a_link_to_a_script_is_no_link() -> None:
    (text,) = leaves("[x](javascript:alert(1)) [y](data:text/html,x)")
    assert not any(run.link for run in text.runs)


def test_a_link_may_be_defined_in_another_section() -> None:
    source = (
        "[a][b] and[^n]\n\n" + "word " * 400 + "\n\n" + "word " * 400 + "\n\n[b]: /x\n[^n]: y\n"
    )
    assert len(sections.split(source)) > 1
    assert leaves(source)[0].runs[0].link == "/x"
    assert leaves(source)[0].runs[-1].style == Style.NOTE


# ---------------------------------------------------------------------------- places in the source


@given(markdowns)
@settings(deadline=None)
def test_what_is_shown_stands_in_the_source(source: str) -> None:
    """But for characters that stand for others: spaces, breaks and what is spelled out."""
    for leaf in leaves(source):
        for run in leaf.runs:
            assert 0 <= run.source <= len(source)
    for before, after in zip(pieces(source), pieces(source)[1:], strict=False):
        assert before.start <= after.start


def test_each_word_knows_its_place() -> None:
    source = (
        "# One\n\n> two **three**\n> four \\* five &amp; `six`\n\n- [seven](/eight 'nine') ten\n"
    )
    for leaf in leaves(source):
        for run in leaf.runs:
            if run.text.strip().isalpha():
                assert source[run.source :].startswith(run.text)


@pytest.mark.parametrize(
    ("selected", "copied"),
    [
        ("# One\n\n- a *b*\n- c\n\n1. d\n", "One\n\n• a b\n• c\n\n1. d"),
        ("> x  \n> y\n", "x\ny"),
    ],
)
def test_text_is_copied_as_it_is_shown(selected: str, copied: str) -> None:
    flow = only(selected)
    assert isinstance(flow, Flow)
    assert flow.copied(0, len(selected)) == copied


# ---------------------------------------------------------------------------- sections


@given(markdowns)
@settings(deadline=None)
def test_sections_are_the_text(source: str) -> None:
    split = sections.split(source)
    assert "".join(source[each.start : each.stop] for each in split) == source


@given(markdowns, st.integers(1, 400))
@settings(deadline=None, max_examples=40)
def test_a_reply_that_streamed_reads_as_one_that_is_opened(source: str, step: int) -> None:
    streamed, opened = Document(), Document()
    streamed.show([StoredMessage(1, "assistant", "", "streaming")])
    for at in range(0, len(source), step):
        streamed.append(source[at : at + step])
    names = markdown.names_in(source, sections.split(source))
    opened.show([StoredMessage(1, "assistant", source)])
    while unread := [block for block in opened.blocks if block.unread]:
        opened.read(unread[0])
    if not names.references and not names.notes and source:
        assert seen(streamed) == seen(opened)


def seen(document: Document) -> list[object]:
    return [
        (type(block.content).__name__, block.start, block.stop, block.above, words(block.content))
        for block in document.blocks
        if block.part
    ]


def words(content: Content | None) -> str:
    if isinstance(content, Code):
        return content.text
    return (content.flow if isinstance(content, Table) else content).text if content else ""


def test_a_long_table_goes_on_with_the_same_columns() -> None:
    rows = "".join(f"| row {n} | {n} | something to fill it |\n" for n in range(300))
    found = pieces("| a | b | c |\n|---|--:|---|\n" + rows)
    assert len(found) == 1 or all(isinstance(piece.content, Table) for piece in found)


def test_a_fenced_block_is_a_section_however_long() -> None:
    source = "before\n\n```py\n" + "x = 1\n\n" * 5000 + "```\nafter\n"
    first, code, last = sections.split(source)
    assert (first.fenced, code.fenced, last.fenced) == (False, True, False)
    assert source[last.start :] == "after\n"


# ---------------------------------------------------------------------------- hostile texts

HOSTILE = {
    "quotations in quotations": "> " * 10_000 + "a",
    "lists in lists": "- " * 10_000 + "a",
    "brackets": "[" * 100_000,
    "images": "![" * 50_000,
    "links": "[a](" * 25_000,
    "stars": "*a " * 30_000,
    "underscores": "_a" * 50_000,
    "backticks": " ".join("`" * n for n in range(1, 400)),
    "one line": "x" * 1_000_000,
    "one line of code": "```\n" + "x" * 1_000_000,
    "ends of lines": "\n" * 100_000,
    "an open fence": "```\n" + "a\n" * 50_000,
    "an open fence in a list": "- ```\n" + "  a\n" * 50_000,
    "an open comment": "<!--" + "a\n\n" * 30_000,
    "controls": "".join(map(chr, range(32))) * 3000,
    "formulas": "$a" * 50_000,
    "formulas in parentheses": "\\(" * 50_000,
    "macros": "$\\def\\a{\\a\\a}\\a$ " * 5000,
    "entities": "&amp" * 25_000,
    "angles": "<" * 100_000,
    "columns": "|a" * 2000 + "|\n" + "|-" * 2000 + "|\n" + ("|a" * 2000 + "|\n") * 10,
    "footnotes": "[^a]" * 25_000,
    "definitions": "[a]: b\n" * 15_000,
    "addresses": "https://a.b/" * 10_000,
    "digits in a table": "| a |\n|---|\n| " + "1" * 3000 + "x |\n",
    "half a surrogate pair": "a\ud83d b" * 2000,
    "tabs": "\t" * 50_000,
}
LONGEST_MS = 100.0


def fastest_ms(text: str, each: sections.Section) -> float:
    """Of three tries: other programs want the caches too."""
    took = []
    for _ in range(3):
        before = time.thread_time()
        markdown.read(text, each, markdown.Names(), 0)
        took.append(1000 * (time.thread_time() - before))
    return min(took)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_section_of_a_hostile_text_takes_long(text: str) -> None:
    split = sections.split(text)
    for each in [*split[:2], split[-1]]:
        assert fastest_ms(text, each) < LONGEST_MS


def test_a_line_of_blanks_is_passed_in_a_time_that_grows_with_it() -> None:
    text = "```\n```\n" + " \t" * 50_000
    before = time.thread_time()
    sections.split(text)
    assert 1000 * (time.thread_time() - before) < LONGEST_MS


@pytest.mark.parametrize("text", ["[" * 2000, "| a |\n" * 600, "*a " * 900, "1\n" * 1000])
def test_a_section_that_costs_the_parser_too_much_is_shown_as_it_is_written(text: str) -> None:
    written = "".join(leaf.text for leaf in leaves(text))
    assert written.replace(BREAK, "") == text.replace("\n", "")


def test_the_costliest_paragraph_that_people_write_is_read() -> None:
    text = "See [the paper](https://a.org/b_c), *its* `code` and **data** in $x_1$. " * 30
    assert Style.BOLD in {run.style for leaf in leaves(text) for run in leaf.runs}


def test_a_window_without_a_reply_imports_no_parser_and_no_lexers() -> None:
    program = "import sys, app.window; print({'markdown_it', 'pygments'} & set(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "set()"
