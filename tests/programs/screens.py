"""Pictures of every screen and state: `python -m tests.programs.screens OUT [NAME ...]`.

Each is drawn in light, dark and high contrast, in English and German, at 800x600 and 1366x768, at
the scale that QT_SCALE_FACTOR says. The engine is the tests' stand-in, so that all figures are the
same at every run. A virtual display is enough: `QT_QPA_PLATFORM=offscreen`, or Xvfb.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from PySide6.QtCore import QSize
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog

from app import engine_client, language
from app.chat.reply_rows import Footer
from app.command.palette import Palette
from app.engine_client import EngineClient
from app.models.loader import ReadyModel
from app.program import application
from app.settings.drawer import ChatDrawer
from app.settings.page import SettingsPage
from app.settings.scope import Scope
from app.store.database import open_in_memory
from app.store.records import NO_TROUBLE, Figures, Thinking, Trouble
from app.store.store import Store
from app.theming import Look
from app.widgets.floating import Floating
from app.window import MainWindow
from resources.theme import DARK, DARK_CONTRAST, LIGHT, Theme

RAINBOW: Final = "Why is a rainbow round?"
STAND_IN: Final = Path(__file__).parents[1] / "app" / "stand_in.py"
THEMES: Final[dict[str, Theme]] = {"light": LIGHT, "dark": DARK, "contrast": DARK_CONTRAST}
SIZES: Final = {"800x600": QSize(800, 600), "1366x768": QSize(1366, 768)}
LANGUAGES: Final = ("en", "de")
PATIENCE_MS: Final = 20_000
SETTLED_MS: Final = 200

REPLY: Final = """A rainbow is **sunlight**, sorted by colour[^1].

1. Light enters a drop and is *refracted*: $n = c / v$.
2. It is reflected at the back, and leaves at 42°:

$$\\theta = 4\\arcsin\\frac{\\sin i}{n} - 2i$$

```python
def angle(colour: str) -> float:
    \"\"\"Degrees between the sun's rays and the eye.\"\"\"
    return {"red": 42.4, "violet": 40.6}[colour]  # known since Descartes
```

| Colour | Wavelength | Angle |
|---|---:|---:|
| red | 700 nm | 42.4° |
| violet | 400 nm | 40.6° |

> The sun stands behind you.

- [x] sun
- [ ] rain

[^1]: Seen by each eye in another place.
"""
FIGURES: Final = Figures(
    1284, 1012, 612, 84.0, 1500.0, 68.2, 214, '{"temperature": 0.7, "seed": 7}'
)


def filled() -> Store:
    """Chats of several days."""
    day = 86_400.0
    now = [0.0]
    store = Store(open_in_memory(), clock=lambda: now[0])
    for title, days in (
        ("Ideas for a rainy Sunday", 20),
        ("A letter about the heating", 3),
        ("What a very long title of a chat looks like in a narrow list", 1),
        ("Planning a trip to the Harz mountains", 0),
    ):
        now[0] = time.time() - days * day
        chat = store.add_conversation(title)
        store.add_prompt(chat, title)
        reply = store.add_reply(chat, "SmolLM2-135M-Instruct")
        store.finish_reply(reply, "Here are some.", "stop", FIGURES, NO_TROUBLE)
    store.pin_conversation(chat, pinned=True)
    store.move_conversation(1, "Leisure")
    now[0] = time.time()
    filled_with(store)
    return store


def filled_with(store: Store) -> None:
    """Adds a chat with everything that a reply may have, and one that failed."""
    chat = store.add_conversation(RAINBOW)
    store.add_prompt(chat, RAINBOW)
    reply = store.add_reply(chat, "SmolLM2-135M-Instruct")
    thought = Thinking("The person asks about optics. A short answer with the angle will do.", 4.2)
    store.finish_reply(reply, REPLY, "stop", FIGURES, NO_TROUBLE, thought)
    store.add_prompt(chat, "And why are there two?")
    reply = store.add_reply(chat, "SmolLM2-135M-Instruct")
    trouble = Trouble(
        "There is not enough memory",
        "The reply needs 1.2 GB more than is free.",
        "Choose a smaller model or a shorter context, or close other programs.",
    )
    store.finish_reply(reply, "The second one is", "error", Figures(), trouble)


class Stage:
    """A window with a model, and what leads it into each state."""

    def __init__(self, script: str = "") -> None:
        for event in engine_client.LONGEST_SILENCE:  # the stand-in says nothing by itself
            engine_client.LONGEST_SILENCE[event] = 10**6
        self.store = filled()
        self.engine = EngineClient(
            [sys.executable, "-P", str(STAND_IN), script, "--word-ms", "300"]
        )
        self.window = MainWindow(self.store, self.engine)
        self.window.show()
        self.engine.start()
        self.until(lambda: isinstance(self.window.loader.state, ReadyModel) or script != "")

    def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(PATIENCE_MS // 20):
            if holds():
                return
            QTest.qWait(20)
        raise TimeoutError("a state was not reached")

    def do(self, name: str) -> None:
        self.window.actions_table[name].trigger()

    # ------------------------------------------------------------------ states

    def welcome(self) -> None:
        self.do("new_chat")

    def chat(self) -> None:
        chat = next(c for c in self.store.conversations() if c.title == RAINBOW)
        self.window.dialogue.open(chat.id)
        self.window.page.transcript.verticalScrollBar().setValue(0)

    def chat_end(self) -> None:
        self.chat()
        self.do("to_end")

    def figures(self) -> None:
        self.chat_end()
        footers = self.window.page.transcript.viewport().findChildren(Footer)
        next(f for f in footers if f.isVisible() and f.block.figures.new_tokens)._info.click()

    def writing(self) -> None:
        self.do("new_chat")
        self.window.send("Tell me about rain")
        QTest.qWait(150)
        self.window.send("And about snow")
        QTest.qWait(50)

    def draft(self) -> None:
        self.chat_end()
        self.window.page.composer.set_text("One line\nand another\nand a third")

    def edit(self) -> None:
        self.chat()
        self.do("edit_last")

    def find(self) -> None:
        self.chat()
        self.do("find")
        QTest.keyClicks(self.window.page.find_bar.field, "sun")

    def search(self) -> None:
        self.chat()
        self.do("search")
        QTest.keyClicks(self.window.sidebar.search, "rainbow")
        QTest.qWait(400)

    def palette(self) -> None:
        self.chat()
        self.do("palette")
        found = self.window.findChild(Palette)
        assert found is not None
        QTest.keyClicks(found.field, "chat")

    def settings(self) -> None:
        self.do("settings")

    def settings_preset(self) -> None:
        layers, _ = self.window.settings.layers.with_preset("Precise", {"temperature": 0.2})
        if not self.window.settings.layers.presets:
            self.window.settings.set_layers(layers)
        self.do("settings")
        page = self.window.findChild(SettingsPage)
        assert page is not None
        page.scope.choose(Scope("presets", next(iter(self.window.settings.layers.presets))))

    def settings_window(self) -> None:
        self.do("settings")
        page = self.window.findChild(SettingsPage)
        assert page is not None
        list(page._section_buttons.values())[2].click()

    def drawer(self) -> None:
        self.chat()
        self.do("chat_settings")

    def shortcuts(self) -> None:
        self.do("shortcuts")

    def picker(self) -> None:
        self.do("choose_model")

    def attention(self) -> None:
        self.chat()
        self.window.status.open_popover()

    def toast(self) -> None:
        self.chat()
        other = next(c for c in self.store.conversations() if c.title != RAINBOW)
        self.window.chats.delete(other.id)

    def trash(self) -> None:
        self.do("trash")

    def leave(self) -> None:
        """Back to a window in which nothing is open."""
        for dialog in self.window.findChildren(QDialog):
            dialog.close()
        for floating in self.window.findChildren(Floating):
            floating.close()
        for palette in self.window.findChildren(Palette):
            palette.leave()
        for drawer in self.window.findChildren(ChatDrawer):
            drawer.close()
        self.window.dialogue.stop_all()
        for chat in self.store.conversations():
            if chat.title == "Tell me about rain":
                self.store.delete_conversation(chat.id)
                self.store.purge_conversation(chat.id)
        for waiting in self.window.dialogue.queue:
            self.window.dialogue.take_back(waiting)
        self.until(lambda: not self.window.dialogue.replies.running)
        self.window.settings_views.leave_page()
        self.window.page.find_bar.hide()
        self.window.page.leave_edit()
        self.window.page.composer.set_text("")
        self.window.sidebar.search.clear()
        self.window._fold_if_narrow()
        for notice in list(self.window.notices.waiting):
            self.window.notices.leave(notice)
        trashed = self.store.trash()
        if trashed:
            self.window.chats.restore(trashed[0].id)
        QTest.qWait(20)


STATES: Final[dict[str, Callable[[Stage], None]]] = {
    name: state
    for name, state in vars(Stage).items()
    if not name.startswith("_") and name not in ("until", "do", "leave")
}


def main(out: Path, wanted: list[str]) -> None:
    running = application()
    look = Look(running)
    out.mkdir(parents=True, exist_ok=True)
    stage = Stage()
    for (size_name, size), speech in itertools.product(SIZES.items(), LANGUAGES):
        language.choose(speech)
        stage.window.resize(size)
        for name, state in STATES.items():
            if wanted and name not in wanted:
                continue
            state(stage)
            for theme_name, theme in THEMES.items():
                look.show(theme)
                QTest.qWait(SETTLED_MS)
                shown = next((d for d in QApplication.topLevelWidgets() if is_dialog(d)), None)
                picture = (shown or stage.window).grab()
                picture.save(str(out / f"{name}-{theme_name}-{speech}-{size_name}.png"))
            look.show(LIGHT)
            stage.leave()
    stage.window.closed.connect(running.quit)
    stage.window.close()
    running.exec()


def is_dialog(widget: object) -> bool:
    return isinstance(widget, QDialog) and widget.isVisible()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(STATES))
    given = parser.parse_args()
    main(given.out, given.names)
