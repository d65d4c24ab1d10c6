from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.engine import EngineState
from app.models.loader import FailedModel, LoadingModel, ModelLoader, NoModel, ReadyModel
from app.models.picker import ModelPicker
from app.models.table import COLUMNS, family
from app.theming import Look
from engine import protocol
from tests.app.conftest import POPUP, TIMEOUT_MS, MakeEngine, process_of
from tests.app.stand_in import ADDED, BROKEN, IMPORTED, MODEL

FOLDER = protocol.ModelInfo(
    id="llama-3.2-1b",
    name="Llama 3.2 1B Instruct",
    path="/home/me/models/llama-3.2-1b",
    source="folder",
    format="safetensors",
    architecture="LlamaForCausalLM",
    parameters=1_240_000_000,
    weights="bf16",
    size_bytes=2_470_000_000,
    context_length=131_072,
)
PACKAGED = protocol.ModelInfo(
    id="gemma-3-270m",
    name="Gemma 3 270M it",
    path="/env/gemma.gguf",
    source="package",
    format="gguf",
    architecture="gemma3",
    parameters=268_000_000,
    weights="Q4_K",
    size_bytes=250_000_000,
    context_length=32_768,
)
MODELS = (MODEL, IMPORTED, BROKEN, FOLDER, PACKAGED)
VERDICT = COLUMNS.index("This computer")

pytestmark = POPUP
MakeLoader = Callable[..., ModelLoader]


@pytest.fixture
def make_loader(qtbot: QtBot, make_engine: MakeEngine) -> MakeLoader:
    """Makes a loader whose engine has listed its models."""

    def make(script: str = "", *options: str, **given: str) -> ModelLoader:
        engine = make_engine(script, *options)
        loader = ModelLoader(engine, given.get("wanted", ""), parent=engine)
        with qtbot.waitSignal(loader.models_changed, timeout=TIMEOUT_MS):
            engine.start()
        return loader

    return make


@pytest.fixture
def loader(make_loader: MakeLoader) -> ModelLoader:
    return make_loader()


@pytest.fixture
def picker(
    qtbot: QtBot, loader: ModelLoader, look: Look, monkeypatch: pytest.MonkeyPatch
) -> ModelPicker:
    loader._models = MODELS
    monkeypatch.setattr(loader, "rescan", lambda: None)
    return opened(qtbot, loader)


def opened(qtbot: QtBot, loader: ModelLoader) -> ModelPicker:
    made = ModelPicker(loader)
    qtbot.addWidget(made)
    made.open()
    qtbot.waitExposed(made)
    return made


def row(picker: ModelPicker, name: str) -> list[str]:
    rows = picker._rows
    for number in range(rows.rowCount()):
        cells = [str(rows.index(number, c).data()) for c in range(rows.columnCount())]
        if cells[0] == name:
            picker.view.selectRow(number)
            return cells
    raise AssertionError(f"no row for {name}")


# ---------------------------------------------------------------------------- what is listed


@pytest.mark.parametrize(
    ("model", "cells"),
    [
        (MODEL, ["Llama", "135 M", "Q4_1", "98 MB", "8,192", "Ready to load"]),
        (IMPORTED, ["Gemma 3", "4.3 B", "bf16", "8.6 GB", "131,072", "Ready to load"]),
        (FOLDER, ["Llama", "1.2 B", "bf16", "2.5 GB", "131,072", "Ready to load"]),
        (PACKAGED, ["Gemma 3", "268 M", "Q4_K", "250 MB", "32,768", "Ready to load"]),
        (BROKEN, ["", "", "", "2.2 GB", "", "Cannot be used"]),
    ],
    ids=["embedded", "imported", "folder", "package", "broken"],
)
def test_each_source_is_listed_with_what_is_known(
    picker: ModelPicker, model: protocol.ModelInfo, cells: list[str]
) -> None:
    assert row(picker, model.name) == [model.name, *cells]
    assert picker.reason.text() == (model.problem or model.path)
    assert picker.load.isEnabled() is not bool(model.problem)
    assert picker.remove.isVisible() is (model.source == "imported")


def test_why_a_model_cannot_be_used_is_said(picker: ModelPicker, loader: ModelLoader) -> None:
    row(picker, BROKEN.name)
    assert picker.reason.text() == BROKEN.problem
    index = picker._rows.index(picker.view.currentIndex().row(), VERDICT)
    assert index.data(Qt.ItemDataRole.ToolTipRole) == BROKEN.problem
    before = loader.state
    QTest.keyClick(picker, Qt.Key.Key_Return)
    picker.view.doubleClicked.emit(index)
    assert loader.state is before
    assert picker.isVisible()


def test_a_verdict_fits_its_column(picker: ModelPicker) -> None:
    words = picker.view.fontMetrics().horizontalAdvance("Cannot be used")
    assert picker.view.columnWidth(VERDICT) >= words + 2 * 8 + 11


@pytest.mark.parametrize(
    ("architecture", "shown"),
    [
        ("LlamaForCausalLM", "Llama"),
        ("llama", "Llama"),
        ("gemma3", "Gemma 3"),
        ("Gemma3ForConditionalGeneration", "Gemma 3"),
        ("", ""),
    ],
)
def test_an_architecture_is_named_as_people_do(architecture: str, shown: str) -> None:
    assert family(architecture) == shown


def test_a_small_picker_keeps_names_and_verdicts(picker: ModelPicker, qtbot: QtBot) -> None:
    picker.resize(picker.minimumSize())
    qtbot.waitUntil(lambda: picker.view.isColumnHidden(COLUMNS.index("Weights")))
    assert picker.view.columnWidth(0) >= 100
    last = picker.view.columnViewportPosition(VERDICT) + picker.view.columnWidth(VERDICT)
    assert last <= picker.view.viewport().width() + 1
    assert picker.filter.geometry().right() < picker.add_folder.x()
    picker.resize(980, 560)
    qtbot.waitUntil(lambda: not picker.view.isColumnHidden(COLUMNS.index("Weights")))


def test_the_loaded_model_is_chosen_when_the_picker_opens(
    qtbot: QtBot, make_loader: MakeLoader, look: Look
) -> None:
    loader = make_loader(wanted=IMPORTED.id)
    until(qtbot, loader, ReadyModel)
    picker = opened(qtbot, loader)
    selected = picker.selected()
    assert selected is not None
    assert selected.id == IMPORTED.id


def test_without_a_model_it_says_what_to_add(
    qtbot: QtBot, make_loader: MakeLoader, look: Look
) -> None:
    picker = opened(qtbot, make_loader("no_models"))
    assert picker.empty.isVisible()
    assert "Add a folder" in picker.empty.text()
    assert not picker.view.isVisible()
    assert not picker.load.isEnabled()
    assert not picker.remove.isVisible()


def test_before_the_engine_has_listed_them_it_says_that_it_looks(
    qtbot: QtBot, make_engine: MakeEngine, look: Look
) -> None:
    engine = make_engine()
    loader = ModelLoader(engine, parent=engine)
    engine.start()
    picker = opened(qtbot, loader)
    assert picker.empty.text() == "Looking for models…"
    qtbot.waitUntil(picker.view.isVisible, timeout=TIMEOUT_MS)
    assert picker._rows.rowCount() == 3


# ---------------------------------------------------------------------------- choosing


def test_a_model_is_chosen_with_the_keyboard_alone(
    picker: ModelPicker, loader: ModelLoader, qtbot: QtBot
) -> None:
    until(qtbot, loader, ReadyModel)
    picker.view.selectRow(0)
    assert picker.filter.hasFocus()
    QTest.keyClick(picker.filter, Qt.Key.Key_Down)
    QTest.keyClick(picker.filter, Qt.Key.Key_Return)
    assert isinstance(loader.state, LoadingModel)
    assert loader.state.id == IMPORTED.id
    assert not picker.isVisible()
    until(qtbot, loader, ReadyModel)


def test_escape_changes_nothing(picker: ModelPicker, loader: ModelLoader) -> None:
    before = loader.state
    QTest.keyClick(picker, Qt.Key.Key_Escape)
    assert not picker.isVisible()
    assert loader.state is before


def test_a_double_click_loads(picker: ModelPicker, loader: ModelLoader, qtbot: QtBot) -> None:
    until(qtbot, loader, ReadyModel)
    where = picker.view.visualRect(picker._rows.index(1, 0)).center()
    QTest.mouseClick(picker.view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    QTest.mouseDClick(picker.view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert isinstance(loader.state, LoadingModel)
    assert loader.state.id == IMPORTED.id


def test_the_filter_finds_by_any_column(picker: ModelPicker) -> None:
    for text, count in (("gemma", 2), ("Q4_K", 1), ("llama", 2), ("cannot", 1), ("zzz", 0)):
        picker.filter.setText(text)
        assert picker._rows.rowCount() == count, text
        assert picker.load.isEnabled() is (count > 0 and text != "cannot")
    assert picker.empty.text() == "No model matches the filter."
    picker.filter.clear()
    assert picker._rows.rowCount() == len(MODELS)
    assert picker.selected() is not None


@pytest.mark.parametrize("flash", ["auto", "on", "off"])
def test_flash_attention_is_asked_for_with_the_load(
    picker: ModelPicker, loader: ModelLoader, flash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[protocol.Command] = []

    def send(command: protocol.Command) -> bool:
        sent.append(command)
        return True

    monkeypatch.setattr(loader._engine, "send", send)
    picker.flash.setCurrentIndex(picker.flash.findData(flash))
    row(picker, FOLDER.name)
    QTest.mouseClick(picker.load, Qt.MouseButton.LeftButton)
    assert sent == [protocol.Load(model=FOLDER.id, flash=flash)]  # type: ignore[arg-type]


# ---------------------------------------------------------------------------- adding, removing


@pytest.mark.parametrize(
    ("button", "mode"),
    [
        ("add_folder", QFileDialog.FileMode.Directory),
        ("add_file", QFileDialog.FileMode.ExistingFile),
    ],
)
def test_what_cannot_be_added_says_why_in_the_picker(
    picker: ModelPicker,
    loader: ModelLoader,
    qtbot: QtBot,
    button: str,
    mode: QFileDialog.FileMode,
) -> None:
    until(qtbot, loader, ReadyModel)
    QTest.mouseClick(getattr(picker, button), Qt.MouseButton.LeftButton)
    dialog = picker.findChild(QFileDialog)
    assert isinstance(dialog, QFileDialog)
    assert dialog.fileMode() is mode
    with qtbot.waitSignal(loader.trouble, timeout=TIMEOUT_MS):
        dialog.fileSelected.emit("/models/empty")
    dialog.close()
    assert picker.trouble.isVisible()
    assert picker.trouble.text() == (
        "This model cannot be opened. /models/empty holds no checkpoint. "
        "Choose a folder with safetensors files, or a GGUF file."
    )


def test_a_model_that_was_added_is_selected(qtbot: QtBot, loader: ModelLoader, look: Look) -> None:
    until(qtbot, loader, ReadyModel)
    picker = opened(qtbot, loader)
    picker._say(protocol.Error(title="Before", detail="", hint=""))
    picker.filter.setText("smollm2")
    picker.add(ADDED.path)
    assert not picker.trouble.isVisible()
    qtbot.waitUntil(lambda: picker.selected() == ADDED, timeout=TIMEOUT_MS)
    assert picker.view.currentIndex().isValid()
    row(picker, MODEL.name)
    with qtbot.waitSignal(loader.models_changed, timeout=TIMEOUT_MS):
        loader.rescan()
    assert picker.selected() == MODEL


def test_models_are_looked_for_again_when_the_picker_opens(
    qtbot: QtBot, loader: ModelLoader, look: Look
) -> None:
    until(qtbot, loader, ReadyModel)
    with qtbot.waitSignal(loader.models_changed, timeout=TIMEOUT_MS):
        opened(qtbot, loader)


def test_only_gguf_files_are_offered(picker: ModelPicker) -> None:
    QTest.mouseClick(picker.add_file, Qt.MouseButton.LeftButton)
    dialog = picker.findChild(QFileDialog)
    assert isinstance(dialog, QFileDialog)
    assert dialog.nameFilters() == ["GGUF models (*.gguf)"]
    dialog.close()


def test_an_imported_model_can_be_taken_off_the_list(
    qtbot: QtBot, loader: ModelLoader, look: Look
) -> None:
    until(qtbot, loader, ReadyModel)
    picker = opened(qtbot, loader)
    row(picker, IMPORTED.name)
    QTest.mouseClick(picker.remove, Qt.MouseButton.LeftButton)
    # The list that was asked for when the picker opened may come before the one without it.
    qtbot.waitUntil(
        lambda: IMPORTED.id not in [model.id for model in loader.models], timeout=TIMEOUT_MS
    )
    assert picker._rows.rowCount() == 2
    assert picker.selected() is not None


# ---------------------------------------------------------------------------- loader


def until(qtbot: QtBot, loader: ModelLoader, kind: type) -> None:
    qtbot.waitUntil(lambda: isinstance(loader.state, kind), timeout=TIMEOUT_MS)


def test_loading_is_told_step_by_step(qtbot: QtBot, make_engine: MakeEngine) -> None:
    engine = make_engine()
    loader = ModelLoader(engine, parent=engine)
    states = QSignalSpy(loader.state_changed)
    engine.start()
    until(qtbot, loader, ReadyModel)
    told = [states.at(i)[0] for i in range(states.count())]
    steps = [s for s in told if isinstance(s, LoadingModel)]
    assert steps[0] == LoadingModel(MODEL.id, MODEL.name, "starting")
    done = [s.done for s in steps]
    assert done == sorted(done)
    assert steps[-1].total == 270_000_000
    assert isinstance(told[-1], ReadyModel)


def test_the_model_of_last_time_is_loaded_again(qtbot: QtBot, make_loader: MakeLoader) -> None:
    loader = make_loader(wanted=IMPORTED.id)
    until(qtbot, loader, ReadyModel)
    assert isinstance(loader.state, ReadyModel)
    assert loader.state.loaded.model.id == IMPORTED.id


@pytest.mark.parametrize("wanted", ["gone", BROKEN.id])
def test_a_model_that_cannot_be_used_any_more_gives_way_to_the_default(
    qtbot: QtBot, make_loader: MakeLoader, wanted: str
) -> None:
    loader = make_loader(wanted=wanted)
    until(qtbot, loader, ReadyModel)
    assert isinstance(loader.state, ReadyModel)
    assert loader.state.loaded.model.id == MODEL.id


def test_cancelling_a_load_ends_the_engine_and_loads_nothing(
    qtbot: QtBot, make_loader: MakeLoader
) -> None:
    loader = make_loader("loads_forever")
    qtbot.waitUntil(lambda: isinstance(loader.state, LoadingModel), timeout=TIMEOUT_MS)
    first = process_of(loader._engine)
    with qtbot.waitSignal(loader.models_changed, timeout=TIMEOUT_MS):
        loader.cancel()
    assert process_of(loader._engine) not in (0, first)
    assert loader._engine.state is EngineState.READY
    assert isinstance(loader.state, NoModel)


def test_a_load_that_fails_keeps_the_engine_and_its_reason(
    qtbot: QtBot, make_loader: MakeLoader
) -> None:
    loader = make_loader("load_fails")
    until(qtbot, loader, FailedModel)
    assert isinstance(loader.state, FailedModel)
    assert loader.state.error.title == "There is not enough memory"
    assert loader.state.name == MODEL.name
    assert loader._engine.state is EngineState.READY


@pytest.mark.parametrize("change", ["add", "remove"])
def test_without_an_engine_the_list_is_not_changed_in_silence(
    make_engine: MakeEngine, change: str
) -> None:
    loader = ModelLoader(make_engine())
    told = QSignalSpy(loader.trouble)
    getattr(loader, change)(IMPORTED.id)
    assert told.at(0)[0].title == "The engine is not running"
