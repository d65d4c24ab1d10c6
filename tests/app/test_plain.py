from __future__ import annotations

import ast
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QImage, QKeySequence
from PySide6.QtGui import Qt as QtGui
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from app import number_format, plain
from app.models.loader import LoadingModel, ReadyModel
from app.models.picker import ModelPicker
from app.store.records import Figures, Trouble
from app.widgets.header import thousandths
from engine import protocol
from tests.app.conftest import MakeWindow

APP = Path(__file__).parents[2] / "app"

# ---------------------------------------------------------------------------- the check of app/

MADE_BY_US = {"QLabel": "Label", "QPushButton": "Button"}
TAKES_HTML = {
    *("QMessageBox", "QErrorMessage", "QToolTip", "QWhatsThis", "QTextBrowser", "QProgressDialog"),
    *("QCheckBox", "QRadioButton", "QGroupBox", "QCommandLinkButton", "QTabWidget", "QTabBar"),
    *("QSystemTrayIcon", "QSplashScreen", "QStatusBar", "QWizard"),
}
"""Classes that guess whether their words are HTML, or read mnemonics out of them."""

TELLS_HTML = {
    *("setToolTip", "setStatusTip", "setWhatsThis", "setTextFormat", "setHtml", "insertHtml"),
    *("appendHtml", "setMarkdown", "insertMarkdown", "setInformativeText", "setDetailedText"),
}
OUR_WORDS_ONLY = {"setWindowTitle", "setLabelText", "addAction", "addMenu", "QAction", "QMenu"}
"""Their words may hold an ampersand or markup only where we wrote them."""


def offences(source: str) -> Iterator[str]:
    """What in a module shows words in another way than `plain` does."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom():
                names = [alias.name for alias in node.names]
                yield from (n for n in names if n in MADE_BY_US or n in TAKES_HTML)
            case ast.Attribute(attr=name) if (
                name in TELLS_HTML or name in MADE_BY_US or name in TAKES_HTML
            ):
                yield name
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if (
                name in OUR_WORDS_ONLY and not _is_ours(node)
            ):
                yield name
            case ast.FunctionDef() if "ToolTipRole" in ast.dump(node):
                if "'tool_tip'" not in ast.dump(node):
                    yield "ToolTipRole"


def _is_ours(call: ast.Call) -> bool:
    words = [a for a in call.args if not isinstance(a, ast.Name) or a.id != "self"]
    return not words or isinstance(words[0], ast.Constant) or _is_made(words[0])


def _is_made(value: ast.expr) -> bool:
    """Whether it is an icon, or a text of the program's own."""
    text = isinstance(value, ast.Call) and ast.dump(value.func).startswith("Name(id='translate'")
    parent = isinstance(value, ast.Attribute) and value.attr == "_window"
    return text or parent or _is_icon(value)


def _is_icon(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and "attr='icon'" in ast.dump(value.func)


@pytest.mark.parametrize(
    "path", sorted(APP.rglob("*.py")), ids=lambda path: str(path.relative_to(APP))
)
def test_words_are_shown_by_the_one_place_that_makes_them_safe(path: Path) -> None:
    if path not in (APP / "plain.py", APP / "exchange" / "page.py"):  # which escapes what it prints
        assert list(offences(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "from PySide6.QtWidgets import QLabel",
        "from PySide6 import QtWidgets\nlabel = QtWidgets.QLabel(name)",
        "from PySide6.QtWidgets import QMessageBox",
        "widget.setToolTip(name)",
        "text.setHtml(name)",
        "window.setWindowTitle(name)",
        "menu.addAction(f'Delete {name}')",
        "def data(role):\n    if role == ToolTipRole:\n        return name",
    ],
)
def test_the_check_finds_words_that_are_shown_in_another_way(source: str) -> None:
    assert list(offences(source))


# ---------------------------------------------------------------------------- words

EVIL = "<img src='{}'><h1>BIG</h1> A&B &lt;b&gt; \u202egnp.exe\x1b[31m\0\u2029line\r\nline"


@given(st.text(st.sampled_from("<>&!?/ \n\tabimglt;='\"-x")))
def test_qt_takes_no_tooltip_for_html(words: str) -> None:
    assert not QtGui.mightBeRichText(plain.tool_tip(words))


@given(st.text())
def test_a_line_has_one_line_and_nothing_unseen(words: str) -> None:
    shown = plain.one_line(words)
    assert {unicodedata.category(letter) for letter in shown} & plain._UNSEEN == set()
    assert len(f"{shown}.".splitlines()) == 1


def test_words_are_whole_up_to_their_limit_and_the_rest_is_counted() -> None:
    assert plain.one_line("x" * 300) == "x" * 300
    assert plain.one_line("x" * 301) == "x" * 300 + "…"
    assert plain.several_lines("word " * 500).endswith("… (500 more characters)")
    assert plain.several_lines("Ünïcode  is kept\nin lines") == "Ünïcode  is kept\nin lines"


def test_a_tooltip_is_no_wider_than_a_screen() -> None:
    assert max(map(len, plain.tool_tip("word " * 100).split("\n"))) <= plain.TIP_WIDTH
    assert max(map(len, plain.tool_tip("x" * 900).split("\n"))) <= plain.TIP_WIDTH


@pytest.mark.parametrize("words", ["x" * 1_000_000, "word " * 200_000, "a\0" * 500_000])
def test_a_label_is_no_wider_than_its_place(qtbot: QtBot, words: str) -> None:
    label = plain.Label(words, wraps=True)
    qtbot.addWidget(label)
    assert label.minimumSizeHint().width() < 700
    assert label.text().endswith("more characters)")


def test_a_long_name_is_broken_at_its_joints() -> None:
    name = "Meta_Llama_3_8B_Instruct_Q4_K_M_imatrix.gguf"
    assert plain.several_lines(name).split("\u200b")[:2] == ["Meta_", "Llama_"]
    assert plain.several_lines(f"{name} {'x' * 90}").replace("\u200b", "") == f"{name} {'x' * 90}"


def test_what_is_copied_has_no_places_to_break(qtbot: QtBot) -> None:
    path = "/models/" + "x" * 200
    label = plain.SelectableLabel(path)
    qtbot.addWidget(label)
    label.setSelection(0, len(label.text()))
    QTest.keySequence(label, QKeySequence(QKeySequence.StandardKey.Copy))
    assert QGuiApplication.clipboard().text() == path


def test_an_ampersand_is_no_shortcut(qtbot: QtBot) -> None:
    button = plain.Button("Q&A")
    qtbot.addWidget(button)
    assert button.text() == "Q&A"
    assert button.shortcut().isEmpty()


# ---------------------------------------------------------------------------- all that shows them


@pytest.fixture
def evil(tmp_path: Path) -> str:
    """A name that is a high picture to whoever takes it for HTML."""
    picture = QImage(400, 300, QImage.Format.Format_RGB32)
    picture.save(str(tmp_path / "pixel.png"))
    return EVIL.format(tmp_path / "pixel.png")


def shown_in(root: QWidget, evil: str) -> list[QLabel]:
    start = evil[:4]
    return [label for label in root.findChildren(QLabel) if start in label.text()]


def check(root: QWidget, evil: str) -> None:
    labels = shown_in(root, evil)
    assert labels
    for label in labels:
        assert label.textFormat() is Qt.TextFormat.PlainText
        assert label.sizeHint().height() < 200
        assert label.minimumSizeHint().width() < 1000
        assert not QtGui.mightBeRichText(label.toolTip())


def test_a_strangers_words_are_plain_text_everywhere(
    make_window: MakeWindow, evil: str, qtbot: QtBot
) -> None:
    window = make_window()
    info = protocol.ModelInfo(
        id="m",
        name=evil,
        path=f"/{evil}",
        source="folder",
        format="gguf",
        architecture=evil,
        weights=evil,
        problem=evil,
    )
    loaded = protocol.Loaded(
        model=info,
        device=evil,
        dtype="bf16",
        context_length=8,
        use_flash_attn=False,
        load_ms=1.0,
        notes=(evil,),
    )
    phase = protocol.AttentionPhase(
        requested="auto", resolved=evil, observed=evil, reason=evil, flash=False
    )
    for state in (LoadingModel("m", evil, "weights", 1, 2), ReadyModel(loaded)):
        window._on_model_state(state)
        check(window.page, evil)
    window.status.take(loaded)
    window.status.take(
        protocol.AttentionObserved(attention=protocol.Attention(prefill=phase, decode=phase))
    )
    check(window.status.open_popover(), evil)
    window.status.take(
        protocol.Telemetry(
            cpu_percent=1,
            engine_ram_bytes=1,
            ram_used_bytes=1,
            ram_total_bytes=1,
            gpu_name=evil,
            gpu_memory_total_bytes=5,
        )
    )
    check(window.status, evil)
    assert window.header.model.shortcut().isEmpty()
    window.loader._models = (info,)
    picker = ModelPicker(window.loader, window)
    picker.view.selectRow(0)
    check(picker, evil)
    tip = picker.view.model().index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert not QtGui.mightBeRichText(tip)
    store = window._store
    chat = store.add_conversation(evil)
    reply = store.add_reply(chat, "m")
    store.finish_reply(reply, "", "error", Figures(), Trouble(evil, evil, evil))
    window._open(chat)
    check(window.page.transcript, evil)
    window.header.title.grab()
    check(window.header, evil)
    assert not QtGui.mightBeRichText(window.sidebar.chats.item(1).toolTip())


# ---------------------------------------------------------------------------- numbers

HUGE = {"no int of Qt": 2**63, "no float": 10**349, "no float, below 0": -(10**349)}


@pytest.mark.parametrize("number", HUGE.values(), ids=HUGE)
def test_any_number_of_the_engine_is_shown_in_few_letters(
    make_window: MakeWindow, number: int
) -> None:
    window = make_window()
    window._on_model_state(LoadingModel("m", "m", "weights", number, 7))
    window._on_model_state(LoadingModel("m", "m", "weights", 7, number))
    assert 0 <= window.header.bar.value() <= 1000
    line = window.status
    line.take(
        protocol.Telemetry(
            cpu_percent=1e308,
            engine_ram_bytes=number,
            ram_used_bytes=number,
            ram_total_bytes=number,
            tokens_per_second=1e308,
        )
    )
    for words in (
        window.header.progress_words.text(),
        line.memory.text(),
        line.machine.text(),
        line.rate.text(),
        number_format.disk(number),
        number_format.parameters(number),
        number_format.count(number),
    ):
        assert len(words) < 64


def test_progress_beyond_its_end_is_whole() -> None:
    assert [thousandths(*pair) for pair in ((1, 2), (3, 2), (-1, 2), (1, 0), (1, -5))] == [
        *(500, 1000, 0, 0, 0)
    ]
