from __future__ import annotations

import json

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QAbstractButton, QLineEdit, QPlainTextEdit
from pytestqt.qtbot import QtBot

from app.settings.page import SettingsPage, number_of
from app.settings.values import ROWS, Row, Settings, changed, read, write
from app.store.store import Store
from app.theming import Look, theme
from app.window import MainWindow
from engine import protocol
from resources.theme import DARK, LIGHT
from tests.app.conftest import TIMEOUT_MS, MakeWindow

ALL = Settings(
    system_prompt="Be brief.",
    temperature=0.5,
    top_p=0.9,
    top_k=40,
    min_p=0.05,
    repetition_penalty=1.1,
    presence_penalty=0.5,
    frequency_penalty=-0.5,
    seed=7,
    stop=("END", "\n\n"),
    max_new_tokens=512,
    context_length=4096,
    theme="dark",
    enter="new_line",
)

# ---------------------------------------------------------------------------- values


def test_settings_read_as_they_were_written() -> None:
    assert read(write(ALL)) == ALL
    assert read(write(Settings())) == Settings()
    assert write(Settings()) == "{}"


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"temperature": "hot"}', "[" * 10_000])
def test_what_cannot_be_read_is_as_it_was_made(text: str) -> None:
    assert read(text) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("temperature", 3), ("temperature", True), ("top_k", 1.5), ("top_k", -1)),
        *(("seed", 2**40), ("max_new_tokens", 0), ("theme", "pink"), ("stop", [""])),
        *(("stop", "END"), ("system_prompt", None), ("unknown", 1)),
    ],
)
def test_a_value_that_is_none_of_its_name_is_refused(name: str, value: object) -> None:
    assert changed(Settings(), name, value) is None
    assert read(json.dumps({name: value, "seed_": 1})) == Settings()


def test_every_field_of_sampling_can_be_set() -> None:
    sampling = ALL.sampling
    assert sampling == protocol.Sampling(
        temperature=0.5,
        top_k=40,
        top_p=0.9,
        min_p=0.05,
        repetition_penalty=1.1,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        seed=7,
        stop=("END", "\n\n"),
        max_new_tokens=512,
    )
    assert set(protocol.Sampling.__struct_fields__) <= {row.name for row in ROWS}


def row_of(name: str) -> Row:
    return next(row for row in ROWS if row.name == name)


@pytest.mark.parametrize(
    ("name", "text", "number"),
    [
        ("temperature", " 0,7 ", 0.7),
        ("temperature", "", None),
        ("temperature", "2.1", ""),
        ("temperature", "nan", ""),
        ("top_k", "40", 40),
        ("top_k", "4.5", ""),
        ("seed", "x", ""),
    ],
)
def test_a_number_is_read_as_people_write_it(name: str, text: str, number: object) -> None:
    assert number_of(text, row_of(name)) == number


# ---------------------------------------------------------------------------- the page


@pytest.fixture
def page(qtbot: QtBot, look: Look) -> SettingsPage:
    made = SettingsPage(Settings())
    qtbot.addWidget(made)
    made.resize(900, 700)
    made.show()
    qtbot.waitExposed(made)
    return made


def last(spy: QSignalSpy) -> Settings:
    settings = spy.at(spy.count() - 1)[0]
    assert isinstance(settings, Settings)
    return settings


def test_a_number_is_set_at_once_and_a_wrong_one_is_said(page: SettingsPage) -> None:
    told = QSignalSpy(page.changed)
    field = page.rows["temperature"].control
    assert isinstance(field, QLineEdit)
    QTest.keyClicks(field, "0.5")
    assert last(told).temperature == 0.5
    QTest.keyClicks(field, "x")
    assert page.settings.temperature == 0.5
    problem = page.rows["temperature"].problem
    assert problem.isVisible()
    assert problem.text() == "A number from 0 to 2, or nothing: then the model decides"
    field.clear()
    assert last(told).temperature is None
    assert not problem.isVisible()


def test_a_text_is_set_after_the_last_key(qtbot: QtBot, page: SettingsPage) -> None:
    field = page.rows["system_prompt"].control
    assert isinstance(field, QPlainTextEdit)
    with qtbot.waitSignal(page.changed, timeout=TIMEOUT_MS) as told:
        QTest.keyClicks(field, "Be brief.")
    assert told.args is not None
    assert told.args[0].system_prompt == "Be brief."


def test_stop_texts_are_one_a_line(qtbot: QtBot, page: SettingsPage) -> None:
    field = page.rows["stop"].control
    assert isinstance(field, QPlainTextEdit)
    with qtbot.waitSignal(page.changed, timeout=TIMEOUT_MS):
        field.setPlainText("END\n\n###")
    assert page.settings.stop == ("END", "###")


def test_a_choice_is_one_of_its_buttons(page: SettingsPage) -> None:
    told = QSignalSpy(page.changed)
    buttons = page.rows["theme"].control.findChildren(QAbstractButton)
    assert [button.isChecked() for button in buttons] == [True, False, False, False]
    QTest.mouseClick(buttons[2], Qt.MouseButton.LeftButton)
    assert last(told).theme == "dark"


def test_the_search_leaves_the_rows_that_have_its_words(page: SettingsPage) -> None:
    QTest.keyClicks(page.search, "longest reply")
    shown = [name for name, row in page.rows.items() if row.isVisible()]
    assert shown == ["max_new_tokens"]
    QTest.keyClicks(page.search, "xyz")
    assert page._nothing.isVisible()
    page.search.clear()
    assert all(row.isVisible() for row in page.rows.values())


# ---------------------------------------------------------------------------- in the window


def sent(window: MainWindow) -> QSignalSpy:
    return QSignalSpy(window.dialogue.finished)


def opened(window: MainWindow) -> SettingsPage:
    window.actions_table["settings"].trigger()
    page = window._pages.currentWidget()
    assert isinstance(page, SettingsPage)
    assert page.isVisible()
    return page


def test_what_is_set_is_used_and_kept(make_window: MakeWindow, store: Store) -> None:
    window = make_window()
    opened(window).changed.emit(ALL)
    assert window.dialogue.sampling == ALL.sampling
    assert window.loader.context == 4096
    assert theme() is DARK
    again = make_window(store=store)
    assert again.dialogue.sampling == ALL.sampling
    assert again.settings.settings == ALL


def test_the_system_prompt_stands_before_every_chat(make_window: MakeWindow, store: Store) -> None:
    window = make_window()
    opened(window).changed.emit(ALL)
    chat = store.add_conversation("A chat")
    store.add_prompt(chat, "Hi")
    said = window.dialogue.seen.messages(chat, store.tree(chat).path)
    assert [(m.role, m.content) for m in said] == [("system", "Be brief."), ("user", "Hi")]


def test_enter_begins_a_line_if_that_is_set(make_window: MakeWindow) -> None:
    window = make_window()
    composer = window.page.composer
    asked = QSignalSpy(composer.sent)
    window.settings.set(Settings(enter="new_line"))
    composer.set_reason("")
    composer.set_note("")
    composer.set_text("one")
    QTest.keyClick(composer.field, Qt.Key.Key_Return)
    assert composer.field.toPlainText() == "one\n"
    assert asked.count() == 0
    assert "Shift+Enter sends" in composer._hint.text()
    QTest.keyClick(composer.field, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert asked.count() == 1


def test_colours_change_at_once_and_go_back_to_the_systems(make_window: MakeWindow) -> None:
    window = make_window()
    window.settings.set(Settings(theme="dark"))
    assert theme() is DARK
    window.settings.set(Settings(theme="light"))
    assert theme() is LIGHT
    window.settings.set(Settings())


def test_esc_and_a_chat_lead_back(make_window: MakeWindow, store: Store) -> None:
    window = make_window()
    page = opened(window)
    QTest.keyClick(page, Qt.Key.Key_Escape)
    assert window.page.isVisible()
    opened(window)
    window.new_chat()
    assert window.page.isVisible()
