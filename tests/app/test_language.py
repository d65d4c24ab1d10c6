"""Every text in every language, and the window in another one without a restart."""

from __future__ import annotations

import ast
import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QLabel, QLineEdit, QWidget

from app import language, number_format, plain, words
from app.engine_sentences import shown_sentence
from app.store.records import Figures, Thinking, Trouble
from app.store.store import Store
from app.window import MainWindow
from app.words import joined, translate
from tests.app.conftest import MakeWindow
from tests.programs import translations

ROOT = translations.ROOT
LETTERS = re.compile(r"[A-Za-z]{2}")
PLACES = re.compile(r"%n|\{\w+\}")
SHOWS = {
    *("Label", "SelectableLabel", "ElidedLabel", "Button", "RadioButton", "setText", "addAction"),
    *("set_name", "set_description", "set_tool_tip", "set_placeholder", "set_title", "set_text"),
}
"""Calls that show their first or second argument."""
SAME_EVERYWHERE = {"Hearth", "Esc"}


def messages(name: str) -> Iterator[tuple[str, ET.Element]]:
    """Context and message of each text."""
    path = translations.FOLDER / f"hearth_{name}.ts"
    for context in ET.parse(path).iter("context"):  # noqa: S314  # our own file
        for message in context.iter("message"):
            yield context.findtext("name", ""), message


def forms(message: ET.Element) -> list[str]:
    found = message.find("translation")
    assert found is not None
    return [f.text or "" for f in found.iter("numerusform")] or [found.text or ""]


def test_each_text_has_a_german_one_with_the_same_places() -> None:
    for context, message in messages("de"):
        source, several = message.findtext("source", ""), message.get("numerus") == "yes"
        for n, form in enumerate(forms(message)):
            assert form.strip(), f"{context}: no German for {source!r}"
            said = f"{context}: {source!r} and {form!r} have other places"
            one = {"%n"} if several and n == 0 else set()  # it may be said without a number
            assert set(PLACES.findall(form)) | one == set(PLACES.findall(source)) | one, said


def test_the_texts_are_those_of_the_sources_and_the_window_reads_them(tmp_path: Path) -> None:
    """If it fails: `python -m tests.programs.translations`, then the German of what is new."""
    for path in translations.FOLDER.glob("*.ts"):
        shutil.copy(path, tmp_path)
    translations.update(tmp_path)
    translations.compile_texts(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        assert path.read_bytes() == (translations.FOLDER / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    "path", sorted((ROOT / "app").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_text_is_shown_that_is_not_translated(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            shown = node.args[1:2] if name.startswith("set_") else node.args[:1]
            if name in SHOWS and shown and isinstance(shown[0], ast.Constant):
                words = str(shown[0].value)
                assert not LETTERS.search(words) or words in SAME_EVERYWHERE, node.lineno


def sentences_of_the_engine() -> Iterator[str]:
    """Each title and each hint that stands in the engine's sources as it is."""
    for path in (ROOT / "engine").rglob("*.py"):
        if path.parent.name in ("bench", "command_line"):
            continue  # they speak on the terminal
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Assign([ast.Name("title" | "default_hint")], ast.Constant(str(said))):
                    yield said
                case ast.keyword("title" | "hint", ast.Constant(str(said))):
                    yield said
                case ast.Call(ast.Name(name), [_, ast.Constant(str(said)), *_]) if name.endswith(
                    "Error"
                ):
                    yield said


def test_each_title_and_hint_of_the_engine_is_known_to_the_window() -> None:
    language.choose("de")
    said = {sentence for sentence in sentences_of_the_engine() if sentence}
    assert len(said) > 50
    assert not {sentence for sentence in said if shown_sentence(sentence) == sentence}


def test_what_happened_in_the_engine_is_said_as_it_came() -> None:
    language.choose("de")
    assert shown_sentence("model.gguf ends at byte 7.") == "model.gguf ends at byte 7."


def test_numbers_follow_the_language() -> None:
    size, rate = number_format.disk(16_100_000_000), number_format.rate(8.25)
    assert (number_format.count(12345), size, rate) == ("12,345", "16.1 GB", "8.2")
    language.choose("de")
    assert number_format.count(12345) == "12.345"
    assert (words.now(size), words.now(rate)) == ("16,1 GB", "8,2")


def test_a_text_of_parts_is_made_again_in_all_its_parts() -> None:
    hits = translate("SearchResults", "%n hits", "", 1)
    one = translate("SearchResults", "{found} in %n chats", "", 1).of(1).format(found=hits.of(2000))
    both = joined(": ", (translate("SearchResults", "What was found"), one))
    assert both == "What was found: 2,000 hits in 1 chat"
    language.choose("de")
    assert words.now(both) == "Treffer: 2.000 Treffer in 1 Chat"


def test_the_systems_language_is_taken_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for codes, expected in ((["de-AT", "en"], "de"), (["fr-FR"], "en"), (["fr", "de"], "de")):
        monkeypatch.setattr(QLocale, "uiLanguages", lambda _, codes=codes: codes)
        assert language.of_system() == expected


def texts_of(window: MainWindow) -> dict[str, set[str]]:
    """Each text that a person reads or hears, by the class of what shows it."""
    found: dict[str, set[str]] = {}
    for widget in window.findChildren(QWidget):
        own = {widget.accessibleName(), widget.accessibleDescription(), widget.toolTip()}
        if isinstance(widget, QLabel | plain.Button):
            own.add(widget.text())
        if isinstance(widget, QLineEdit):
            own.add(widget.placeholderText())
        found.setdefault(type(widget).__name__, set()).update(own)
    found["actions"] = {action.text() for action in window.actions_table}
    chats = window.sidebar.chats
    found["chats"] = {str(chats.item(row).data(0)) for row in range(chats.count())}
    return found


def filled(store: Store) -> int:
    """A chat with a reply, one that failed, and what was thought."""
    chat = store.add_conversation("Rainbow")
    store.add_prompt(chat, "What is a rainbow?")
    reply = store.add_reply(chat, "m")
    trouble = Trouble("There is not enough memory", "13 GB are needed.", "Choose another model.")
    figures = Figures(new_tokens=2000, prompt_tokens=9, decode_rate=8.25)
    store.finish_reply(reply, "Light.", "error", figures, trouble, Thinking("Hm.", 75))
    return chat


def test_a_window_that_changes_its_language_says_what_one_in_that_language_says(
    make_window: MakeWindow, store: Store
) -> None:
    chat = filled(store)
    language.choose("de")
    german = make_window()
    german.dialogue.open(chat)
    expected = texts_of(german)
    language.choose("en")
    changed = make_window()
    changed.dialogue.open(chat)
    english = texts_of(changed)
    language.choose("de")
    assert texts_of(changed) == expected
    assert not english["actions"] & expected["actions"]
