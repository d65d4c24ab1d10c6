from __future__ import annotations

import json

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from app.chat.reply_rows import drawn_with
from app.models.loader import LoadOptions
from app.settings import layers
from app.settings.controls import Number, Text, number_of
from app.settings.drawer import ChatDrawer
from app.settings.layers import Layers
from app.settings.page import SettingsPage
from app.settings.scope import Scope
from app.settings.values import ROWS, Row, Settings, changed, over, read, shown_value, write
from app.store.chat_settings import ChatSettings
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
    full_context="leave_out",
    dtype="float32",
    theme="dark",
    text_size=120,
    language="de",
    enter="new_line",
    motion="none",
    notify="no",
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
        *(("stop", "END"), ("system_prompt", None), ("unknown", 1), ("text_size", None)),
        *(("text_size", 300), ("dtype", "int4")),
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
    control = page.rows["temperature"].control
    assert isinstance(control, Number)
    field = control.field
    QTest.keyClicks(field, "0.5")
    assert last(told).temperature == 0.5
    QTest.keyClicks(field, "x")
    assert page.settings.temperature == 0.5
    problem = page.rows["temperature"].problem
    assert problem.isVisible()
    assert problem.text() == "A number from 0 to 2, or nothing"
    field.selectAll()
    QTest.keyClick(field, Qt.Key.Key_Delete)
    assert last(told).temperature is None
    assert not problem.isVisible()


def test_a_text_is_set_after_the_last_key(qtbot: QtBot, page: SettingsPage) -> None:
    field = page.rows["system_prompt"].control
    assert isinstance(field, Text)
    with qtbot.waitSignal(page.changed, timeout=TIMEOUT_MS) as told:
        QTest.keyClicks(field, "Be brief.")
    assert told.args is not None
    assert told.args[0].system_prompt == "Be brief."


def test_stop_texts_are_one_a_line(qtbot: QtBot, page: SettingsPage) -> None:
    field = page.rows["stop"].control
    assert isinstance(field, Text)
    with qtbot.waitSignal(page.changed, timeout=TIMEOUT_MS):
        field.setPlainText("END\n\n###")
    assert page.settings.stop == ("END", "###")


def test_a_choice_is_one_of_its_buttons(page: SettingsPage) -> None:
    told = QSignalSpy(page.changed)
    buttons = page.rows["theme"].control.findChildren(QAbstractButton)
    assert [button.isChecked() for button in buttons] == [False, True, False, False, False]
    assert not buttons[0].isVisible()  # what lies below is for chats, presets and models
    QTest.mouseClick(buttons[3], Qt.MouseButton.LeftButton)
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
    assert window.dialogue.seen.settings_of(None) == ALL
    assert window.loader.options_of("m") == LoadOptions(4096, "float32")
    assert theme() is DARK
    again = make_window(store=store)
    assert again.dialogue.seen.settings_of(None) == ALL
    assert again.settings.settings == ALL
    again.settings.set(Settings())


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


def test_texts_are_larger_and_smaller_by_keys(make_window: MakeWindow) -> None:
    window = make_window()
    normal = window.font().pixelSize()
    window.actions_table["larger"].trigger()
    window.actions_table["larger"].trigger()
    assert window.settings.settings.text_size == 120
    assert window.header.title.font().pixelSize() > normal
    window.actions_table["smaller"].trigger()
    assert window.settings.settings.text_size == 110
    window.actions_table["normal_size"].trigger()
    assert window.settings.settings.text_size == 100
    for _ in range(20):
        window.actions_table["smaller"].trigger()
    assert window.settings.settings.text_size == 80
    window.actions_table["normal_size"].trigger()


def test_the_language_changes_at_once(make_window: MakeWindow) -> None:
    window = make_window()
    page = opened(window)
    german = page.rows["language"].control.findChildren(QAbstractButton)[3]
    QTest.mouseClick(german, Qt.MouseButton.LeftButton)
    assert page.search.placeholderText() == "Einstellungen durchsuchen"
    assert window.actions_table["settings"].text() == "Einstellungen"


# ---------------------------------------------------------------------------- presets, models


def test_layers_read_as_they_were_written() -> None:
    made, preset = Layers().with_preset("Precise", {"temperature": 0.2, "stop": ["END"]})
    made = made.with_values("models", "m", {"context_length": 8192, "dtype": "float32"})
    assert layers.read(layers.write(made)) == made
    assert made.names == {preset: "Precise"}
    wrong = '{"presets": {"a": {"temperature": 9, "theme": "dark"}}, "models": 7, "names": []}'
    assert layers.read(wrong) == Layers({"a": {}}, {}, {"a": "a"})
    assert layers.read("[") == Layers()


def test_each_layer_lies_over_the_one_below() -> None:
    settings = over(Settings(temperature=0.8, top_k=40), {"temperature": 0.5}, {"top_k": 1})
    assert (settings.temperature, settings.top_k) == (0.5, 1)


def test_a_preset_is_made_named_and_deleted_on_the_page(page: SettingsPage) -> None:
    told = QSignalSpy(page.layers_changed)
    QTest.mouseClick(page.scope.add, Qt.MouseButton.LeftButton)
    QTest.keyClicks(page.scope.name, "Precise")
    QTest.keyClick(page.scope.name, Qt.Key.Key_Return)
    control = page.rows["temperature"].control
    assert isinstance(control, Number)
    QTest.keyClicks(control.field, "0.2")
    (preset,) = page.layers.presets
    assert page.layers == Layers({preset: {"temperature": 0.2}}, {}, {preset: "Precise"})
    assert not page.rows["theme"].isVisible()
    page.scope.choose(Scope())
    assert control.field.text() == ""
    page.scope.choose(Scope("presets", preset))
    assert control.field.text() == "0.2"
    QTest.mouseClick(page.scope.delete, Qt.MouseButton.LeftButton)
    assert page.layers == Layers()
    assert told.at(told.count() - 1)[0] == Layers()


def test_what_a_preset_does_not_set_is_shown_as_it_is_for_all(qtbot: QtBot, look: Look) -> None:
    made, preset = Layers().with_preset("Precise", {})
    page = SettingsPage(Settings(temperature=0.9), made)
    qtbot.addWidget(page)
    page.scope.choose(Scope("presets", preset))
    control = page.rows["temperature"].control
    assert isinstance(control, Number)
    assert (control.field.text(), control.field.placeholderText()) == ("", "0.9")


def test_a_model_has_settings_of_its_own(ready: MakeWindow) -> None:
    window = ready()
    model = window.loader.model
    known = window.settings.layers
    window.settings.set_layers(known.with_values("models", model, {"context_length": 512}))
    window.settings.set(Settings(context_length=4096))
    assert window.loader.options_of(model).context == 512
    assert window.loader.options_of("another").context == 4096


# ---------------------------------------------------------------------------- a chat's own


def drawer_of(window: MainWindow) -> ChatDrawer:
    window.actions_table["chat_settings"].trigger()
    drawer = window.findChild(ChatDrawer)
    assert isinstance(drawer, ChatDrawer)
    return drawer


def test_what_a_chat_sets_holds_for_it_alone(qtbot: QtBot, ready: MakeWindow, store: Store) -> None:
    window = ready()
    control = drawer_of(window).rows["temperature"].control
    assert isinstance(control, Number)
    QTest.keyClicks(control.field, "0.3")
    with qtbot.waitSignal(window.dialogue.finished, timeout=TIMEOUT_MS):
        window.send("Why is it round?")
    chat = window.dialogue.conversation
    assert chat is not None
    assert store.chat_settings(chat).own == {"temperature": 0.3}
    assert window.dialogue.seen.settings_of(chat).temperature == 0.3
    window.new_chat()
    assert window.dialogue.seen.settings_of(None).temperature is None
    figures = store.messages(chat)[-1].figures
    assert json.loads(figures.settings)["temperature"] == 0.3


def test_a_chat_uses_a_preset_and_sets_more(make_window: MakeWindow, store: Store) -> None:
    window = make_window()
    known, preset = Layers().with_preset("Brief", {"system_prompt": "Be brief.", "top_k": 5})
    window.settings.set_layers(known)
    chat = store.add_conversation("A chat")
    window.dialogue.open(chat)
    drawer = drawer_of(window)
    drawer.preset.setCurrentIndex(1)
    drawer.preset.activated.emit(1)
    drawer._set("top_k", 7)
    settings = window.dialogue.seen.settings_of(chat)
    assert (settings.system_prompt, settings.top_k) == ("Be brief.", 7)
    QTest.mouseClick(drawer.reset, Qt.MouseButton.LeftButton)
    assert window.dialogue.seen.settings_of(chat).top_k == 5
    assert store.chat_settings(chat).preset == preset


def test_what_a_chat_sets_becomes_a_preset(make_window: MakeWindow, store: Store) -> None:
    window = make_window()
    chat = store.add_conversation("A chat")
    window.dialogue.open(chat)
    drawer = drawer_of(window)
    drawer._set("seed", 7)
    QTest.mouseClick(drawer.save, Qt.MouseButton.LeftButton)
    ((preset, values),) = window.settings.layers.presets.items()
    assert values == {"seed": 7}
    assert store.chat_settings(chat) == ChatSettings(preset=preset)


def test_the_drawer_closes_by_esc_and_by_a_click_beside_it(make_window: MakeWindow) -> None:
    window = make_window()
    for _ in range(2):
        drawer = drawer_of(window)
        assert drawer.geometry().right() == window.width() - 1
        QTest.keyClick(drawer.preset, Qt.Key.Key_Escape)
        assert not drawer.isVisible()
        drawer = drawer_of(window)
        QTest.mouseClick(window.page.welcome, Qt.MouseButton.LeftButton)
        assert not drawer.isVisible()


# ---------------------------------------------------------------------------- of a reply


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.05, "0.05"), (2048, "2,048"), (1.0, "1"), (["END", "\n"], "END · ↵"), ("ask", "ask")],
)
def test_a_value_is_shown_as_people_read_it(value: object, shown: str) -> None:
    assert shown_value(value) == shown


def test_a_reply_says_what_it_was_drawn_with() -> None:
    said = drawn_with('{"temperature": 0.8, "min_p": 0.0, "stop": [], "seed": 7}')
    assert said == "Temperature 0.8 · Seed 7"
    assert drawn_with("") == ""
