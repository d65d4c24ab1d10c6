from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from app.plain import breakable
from app.status.line import StatusLine
from app.status.popover import AttentionPopover
from app.status.verdict import CHECKING, NO_MODEL, UNCHECKED, report, verdict, weights_sentence
from app.theming import Look
from engine import protocol
from resources.theme import DARK, LIGHT, Theme
from tests.app.stand_in import MODEL, phase

FLASH = protocol.Attention(prefill=phase(flash=True), decode=phase(flash=True))
PLAIN = protocol.Attention(prefill=phase(flash=False), decode=phase(flash=False))
HALF = protocol.Attention(prefill=phase(flash=True), decode=phase(flash=False))
UNSEEN = protocol.Attention(
    prefill=msgspec.structs.replace(phase(flash=False), observed=""),
    decode=msgspec.structs.replace(phase(flash=False), observed=""),
)
HALF_SEEN = protocol.Attention(
    prefill=phase(flash=True),
    decode=msgspec.structs.replace(phase(flash=False), observed="not observed"),
)

NO_ROOM = protocol.Error(
    title="There is not enough memory",
    detail="The model needed more to run than the 0.1 GB that are free beside its weights.",
    hint="Load the model with a context of 4,096 tokens, or close other programs.",
    code="memory",
)


def loaded(device: str = "cpu", **more: object) -> protocol.Loaded:
    given: dict[str, object] = {
        "model": MODEL,
        "device": device,
        "dtype": "bfloat16",
        "context_length": 8192,
        "use_flash_attn": False,
        "load_ms": 1000.0,
    }
    return protocol.Loaded(**given | more)  # type: ignore[arg-type]


def telemetry(**more: object) -> protocol.Telemetry:
    given: dict[str, object] = {
        "cpu_percent": 7.4,
        "engine_ram_bytes": 2_250_000_000,
        "ram_used_bytes": 6 * 2**30,
        "ram_total_bytes": 16 * 2**30,
    }
    return protocol.Telemetry(**given | more)  # type: ignore[arg-type]


def device(kind: str) -> protocol.Device:
    return protocol.Device(kind=kind, name=kind, torch="2", transformers="5")  # type: ignore[arg-type]


def colour_at(widget: QWidget, at: QPoint) -> QColor:
    """Of the widget's pixel there, whatever the scale of the screen."""
    image = widget.grab().toImage()
    return image.pixelColor((at.toPointF() * image.devicePixelRatio()).toPoint())


@pytest.fixture
def line(qtbot: QtBot, look: Look) -> Iterator[StatusLine]:
    window = QWidget()
    qtbot.addWidget(window)
    made = StatusLine()
    rows = QVBoxLayout(window)
    rows.setContentsMargins(0, 0, 0, 0)
    rows.addStretch()
    rows.addWidget(made)
    window.resize(1180, 600)
    window.show()
    qtbot.waitExposed(window)
    yield made
    window.close()


# ---------------------------------------------------------------------------- badge


@pytest.mark.parametrize(
    ("observed", "kind", "words", "tone"),
    [
        (FLASH, "cuda", "Flash attention active", "good"),
        (PLAIN, "cuda", "Standard attention", "caution"),
        (HALF, "cuda", "Standard attention", "caution"),
        (PLAIN, "cpu", "CPU", "neutral"),
        (PLAIN, "mps", "MPS", "neutral"),
        (UNSEEN, "cuda", "Attention not observed", "caution"),
        (HALF_SEEN, "cuda", "Attention not observed", "caution"),
        (UNSEEN, "cpu", "CPU", "neutral"),
    ],
)
def test_the_badge_says_what_was_observed(
    line: StatusLine, observed: protocol.Attention, kind: str, words: str, tone: str
) -> None:
    line.take(device(kind))
    line.take(loaded(kind))
    assert line.badge.text() == CHECKING.words
    line.take(protocol.AttentionObserved(attention=observed))
    assert line.badge.text() == words
    assert line.badge.property("tone") == tone
    assert line.badge.accessibleName() == f"Attention: {words}"


def test_active_is_never_said_from_the_branch_that_was_taken() -> None:
    chosen = msgspec.structs.replace(phase(flash=False), resolved="flash-attn 2.8.3")
    attention = protocol.Attention(prefill=chosen, decode=chosen)
    shown = verdict(loaded("cuda", use_flash_attn=True), attention, "cuda")
    assert shown.words == "Standard attention"


def test_the_badge_goes_with_the_model(line: StatusLine) -> None:
    assert line.badge.text() == NO_MODEL.words
    line.take(device("cuda"))
    line.take(loaded("cuda"))
    line.take(protocol.AttentionObserved(attention=FLASH))
    line.take(protocol.Loading(model="other", stage="weights"))
    assert line.badge.text() == NO_MODEL.words
    line.take(loaded("cuda"))
    assert line.badge.text() == CHECKING.words  # what another model showed says nothing
    line.take(protocol.Unloaded())
    assert line.badge.text() == NO_MODEL.words


@pytest.mark.parametrize("kind", ["cuda", "cpu"])
def test_the_badge_says_that_attention_could_not_be_checked(line: StatusLine, kind: str) -> None:
    line.take(device(kind))
    line.take(loaded(kind))
    line.take(NO_ROOM)
    assert line.badge.text() == UNCHECKED.words
    assert line.badge.property("tone") == "caution"
    assert line.badge.accessibleName() == f"Attention: {UNCHECKED.words}"
    line.take(loaded(kind))
    assert line.badge.text() == CHECKING.words


def test_a_reply_can_show_what_could_not_be_checked(line: StatusLine) -> None:
    line.take(device("cuda"))
    line.take(loaded("cuda"))
    line.take(NO_ROOM)
    line.take(finished())
    assert line.badge.text() == UNCHECKED.words
    line.take(finished(attention=FLASH))
    assert line.badge.text() == "Flash attention active"


@pytest.mark.parametrize("other", [{"request": "r"}, {"code": "storage"}, {"code": "checkpoint"}])
def test_an_error_of_something_else_does_not_end_the_check(
    line: StatusLine, other: dict[str, str]
) -> None:
    line.take(loaded())
    line.take(msgspec.structs.replace(NO_ROOM, **other))
    assert line.badge.text() == CHECKING.words


def test_an_error_after_the_check_leaves_what_was_observed(line: StatusLine) -> None:
    line.take(device("cuda"))
    line.take(loaded("cuda"))
    line.take(protocol.AttentionObserved(attention=FLASH))
    line.take(NO_ROOM)
    assert line.badge.text() == "Flash attention active"


def test_an_error_before_a_model_is_there_says_nothing_of_attention(line: StatusLine) -> None:
    line.take(protocol.Loading(model="smollm2-135m", stage="weights"))
    line.take(NO_ROOM)
    assert line.badge.text() == NO_MODEL.words


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_the_badge_of_a_failed_check_has_the_colours_of_caution(
    line: StatusLine, look: Look, theme: Theme
) -> None:
    look.show(theme)
    line.take(loaded())
    line.take(NO_ROOM)
    middle = line.badge.height() // 2
    assert colour_at(line.badge, QPoint(15, middle)) == QColor(theme.caution)
    assert colour_at(line.badge, QPoint(8, middle)) == QColor(theme.caution_back)


def test_the_badge_has_no_room_to_spare(line: StatusLine) -> None:
    line.take(device("cpu"))
    line.take(loaded())
    line.take(protocol.AttentionObserved(attention=PLAIN))
    words = line.badge.fontMetrics().horizontalAdvance("CPU")
    assert words + 21 + 8 <= line.badge.sizeHint().width() <= words + 21 + 8 + 8


# ---------------------------------------------------------------------------- figures


def test_memory_of_the_gpu_or_of_the_computer(line: StatusLine) -> None:
    line.take(telemetry())
    assert line.memory.text() == "RAM  6.4 / 17.2 GB"
    assert line.machine.text() == "CPU 7 % · Engine 2.2 GB"
    line.take(
        telemetry(
            gpu_name="NVIDIA H200",
            gpu_memory_used_bytes=17_900_000_000,
            gpu_memory_total_bytes=150_754_820_096,
        )
    )
    assert line.memory.text() == "H200  17.9 / 151 GB"


def shown_rate(line: StatusLine) -> str:
    return f"{line.rate.text()} {line.unit.text()}".strip()


def test_speed_is_shown_while_it_streams_and_after(line: StatusLine) -> None:
    line.take(telemetry())
    assert shown_rate(line) == ""
    line.take(telemetry(tokens_per_second=9.87))
    assert shown_rate(line) == "9.9 tokens/s"
    line.take(finished(decode_tokens_per_second=212.4))
    assert shown_rate(line) == "212 tokens/s"
    assert line.reply.text() == "first token 34 ms · 1,204 reused"
    line.take(telemetry())
    assert shown_rate(line) == "212 tokens/s"


def test_a_reply_without_a_token_shows_no_figures(line: StatusLine) -> None:
    line.take(finished(new_tokens=0, decode_tokens_per_second=0.0))
    assert shown_rate(line) == ""
    assert line.reply.text() == ""


def test_a_dead_engine_has_no_figures(line: StatusLine) -> None:
    line.take(loaded())
    line.take(telemetry(tokens_per_second=5.0))
    line.clear()
    assert [label.text() for label in (line.memory, line.rate, line.unit, line.reply)] == [""] * 4
    assert line.machine.text() == ""
    assert line.badge.text() == NO_MODEL.words


def test_a_narrow_line_keeps_badge_memory_and_speed(line: StatusLine) -> None:
    line.show_narrow(True)
    assert [w.isVisible() for w in (line.badge, line.memory, line.rate)] == [True] * 3
    assert not line.reply.isVisible()
    assert not line.machine.isVisible()
    line.show_narrow(False)
    assert line.reply.isVisible()
    assert line.machine.isVisible()


def finished(**more: object) -> protocol.Finished:
    given: dict[str, object] = {
        "request": "r",
        "finish_reason": "stop",
        "prompt_tokens": 40,
        "reused_tokens": 1204,
        "new_tokens": 12,
        "time_to_first_token_ms": 34.0,
        "prefill_tokens_per_second": 1200.0,
        "decode_tokens_per_second": 212.0,
        "peak_memory_bytes": 0,
    }
    return protocol.Finished(**given | more)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------- popover


def words(popover: AttentionPopover) -> list[str]:
    return [label.text().replace("\u200b", "") for label in popover.findChildren(QLabel)]


@pytest.fixture
def opened(line: StatusLine, qtbot: QtBot) -> AttentionPopover:
    line.take(device("cuda"))
    line.take(loaded("cuda", use_flash_attn=True))
    line.take(protocol.AttentionObserved(attention=HALF))
    QTest.mouseClick(line.badge, Qt.MouseButton.LeftButton)
    popover = line._popover
    assert isinstance(popover, AttentionPopover)
    assert popover.isVisible()
    return popover


def test_the_popover_tells_requested_resolved_observed_and_why(
    opened: AttentionPopover,
) -> None:
    shown = words(opened)
    assert shown[0] == "Flash attention is off"
    assert shown[1].startswith("The GPU works, but not by its fastest method.")
    assert shown[2:6] == ["Technical details", "Asked for", "Chosen", "Seen running"]
    assert shown[6:10] == ["Reading", "auto", "torch flash", "flash_fwd_kernel"]
    assert shown[10:14] == ["Writing", "auto", "SDPA, plain", "_scaled_dot_product_attention_math"]
    reasons = shown[14]
    assert "head size 64" in reasons
    assert "There is no CUDA GPU" in reasons
    assert "error 0.002" in reasons


def test_nothing_in_the_popover_is_cut(opened: AttentionPopover) -> None:
    for label in opened.findChildren(QLabel):
        need = (
            label.heightForWidth(label.width()) if label.wordWrap() else label.sizeHint().height()
        )
        assert label.height() >= need, label.text()
        assert opened.rect().contains(label.geometry()), label.text()


def test_escape_closes_the_popover(opened: AttentionPopover, qtbot: QtBot) -> None:
    assert opened.copy.hasFocus()
    QTest.keyClick(opened.copy, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not isValid(opened))


def test_a_click_elsewhere_closes_the_popover_and_one_inside_does_not(
    opened: AttentionPopover, line: StatusLine, qtbot: QtBot
) -> None:
    QTest.mouseClick(opened, Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
    assert opened.isVisible()
    QTest.mouseClick(line.window(), Qt.MouseButton.LeftButton, pos=QPoint(1000, 50))
    qtbot.waitUntil(lambda: not isValid(opened))
    assert line._popover is None


def test_the_badge_closes_the_popover_that_it_opened(
    opened: AttentionPopover, line: StatusLine, qtbot: QtBot
) -> None:
    QTest.mouseClick(line.badge, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not isValid(opened))
    QTest.mouseClick(line.badge, Qt.MouseButton.LeftButton)
    assert line._popover is not None


def test_the_popover_covers_what_is_below_it(opened: AttentionPopover) -> None:
    window = opened.window()
    inside = opened.mapTo(window, QPoint(opened.width() - 8, opened.height() // 2))
    assert colour_at(window, inside) == QColor(LIGHT.surface)
    assert window.rect().contains(opened.geometry())


def test_weights_that_stay_as_they_are_in_the_file_are_told_with_what_that_saves() -> None:
    weights = protocol.Weights(
        stored="Q4_K_M",
        held="Q4_K, Q6_K",
        computed="bfloat16",
        held_bytes=5_014_000_000,
        written_out_bytes=16_060_000_000,
    )
    assert weights_sentence(loaded("cuda", weights=weights)) == (
        "The weights stay as they are in the file (Q4_K, Q6_K): 5.0 GB in place of 16.1 GB."
    )
    written_out = msgspec.structs.replace(weights, held="bfloat16")
    assert weights_sentence(loaded("cuda", weights=written_out)) == ""


def test_the_report_is_copied_as_text(opened: AttentionPopover) -> None:
    (copy,) = opened.findChildren(QPushButton)
    QTest.mouseClick(copy, Qt.MouseButton.LeftButton)
    text = QGuiApplication.clipboard().text()
    assert text == report(loaded("cuda", use_flash_attn=True), HALF)
    assert "Model: smollm2-135m (llama)" in text
    assert "use_flash_attn: True" in text
    assert (
        "Decode: requested auto, resolved SDPA, plain, "
        "observed _scaled_dot_product_attention_math, max error 0.002" in text
    )


@pytest.mark.parametrize(
    ("events", "title", "reason"),
    [
        ([], "No model is loaded", "Load a model to see"),
        ([loaded()], "Attention is being checked", "A short run shows"),
        (
            [loaded(), protocol.AttentionObserved(attention=PLAIN)],
            "Flash attention is off: this model runs on the CPU",
            "There is no CUDA GPU",
        ),
        (
            [device("cuda"), loaded("cuda"), protocol.AttentionObserved(attention=UNSEEN)],
            "Which attention ran was not observed",
            "There is no CUDA GPU",
        ),
        (
            [loaded(), NO_ROOM],
            "Attention could not be checked",
            f"{NO_ROOM.title}. {NO_ROOM.detail} {NO_ROOM.hint}",
        ),
    ],
)
def test_the_popover_has_words_for_every_state(
    line: StatusLine, qtbot: QtBot, events: list[protocol.Event], title: str, reason: str
) -> None:
    for event in events:
        line.take(event)
    popover = line.open_popover()
    shown = words(popover)
    assert shown[0] == title
    assert reason in shown[-1]
    popover.close()


def test_the_report_says_why_attention_could_not_be_checked() -> None:
    last = report(loaded(), NO_ROOM).splitlines()[-1]
    assert last == f"Attention could not be checked: {NO_ROOM.title}. {NO_ROOM.detail}"


def test_what_was_not_observed_is_said_so(line: StatusLine, qtbot: QtBot) -> None:
    line.take(loaded())
    line.take(protocol.AttentionObserved(attention=UNSEEN))
    popover = line.open_popover()
    assert words(popover).count("not observed") == 2
    assert "observed not observed" in report(loaded(), UNSEEN)
    popover.close()


def test_a_kernel_name_can_be_broken_but_reads_the_same() -> None:
    name = "pytorch_flash::flash_fwd_splitkv_kernel<128>"
    assert len(breakable(name).split("\u200b")) == 7
    assert breakable(name).replace("\u200b", "") == name
