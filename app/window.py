"""The main window: puts the parts together and connects them; what they do is their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, get_args

from PySide6.QtCore import QByteArray, QEvent, QSize, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QPaintEvent, QResizeEvent, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QVBoxLayout, QWidget

from app import theming
from app.chat.dialogue import Dialogue
from app.chat.page import ChatPage
from app.engine import Death, Engine, EngineState
from app.models.loader import (
    FailedModel,
    LoadingModel,
    ModelLoader,
    ModelState,
    NoModel,
    ReadyModel,
)
from app.status.line import StatusLine
from app.store.errors import GoneError, StoreError
from app.store.store import Store
from app.store_keeper import StoreKeeper
from app.widgets.banner import Toast
from app.widgets.header import Header
from app.widgets.sidebar import Sidebar
from engine import protocol

SIZE: Final = QSize(1180, 760)
"""Px, at the first start."""

FOLD_WIDTH: Final = 900
"""Px under which the sidebar folds; opened then, it lies over the page, which cannot give way."""


class MainWindow(QMainWindow):
    """`painted()` once, after the first paint; `closed()` when the engine has left too."""

    painted = Signal()
    closed = Signal()

    def __init__(self, store: Store, engine: Engine, store_problem: str = "") -> None:
        super().__init__()
        self.setWindowTitle("Hearth")
        self.setWindowIcon(theming.icon("flame", "accent"))
        self._store = store
        self.engine = engine
        self.loader = ModelLoader(engine, store.setting("model"), _flash(store), self)
        self.dialogue = Dialogue(store, engine, self)
        self.sidebar = Sidebar()
        self.header = Header()
        self.page = ChatPage(self.dialogue)
        self._keeper = StoreKeeper(store, self.page.storage_banner, self)
        self.status = StatusLine()
        self._toast = Toast(self.page, self.page.composer)
        self._was_painted = False
        self._loses_unsaved = False
        self._titles: dict[int, str] = {}
        self._picker: QWidget | None = None
        self._build()
        self._connect()
        self._add_shortcuts()
        self._restore_geometry()
        if store_problem:
            self.page.storage_banner.say("Nothing will be saved", store_problem)
        self.dialogue.open(None)  # what the store itself says takes its place
        self._on_engine_state(engine.state)

    # ------------------------------------------------------------------ building

    def _build(self) -> None:
        right = QVBoxLayout()
        right.setSpacing(0)
        right.addWidget(self.header)
        right.addWidget(self.page, 1)
        self._body = QHBoxLayout()
        self._body.setSpacing(0)
        self._body.addWidget(self.sidebar)
        self._body.addLayout(right, 1)
        around = QWidget()
        layout = QVBoxLayout(around)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(self._body, 1)
        layout.addWidget(self.status)
        self.setCentralWidget(around)
        self.setMinimumSize(480, 400)
        self.setTabOrder(self.page.composer.field, self.sidebar)

    def _connect(self) -> None:
        self.engine.event_received.connect(self.status.take)
        self.engine.state_changed.connect(self._on_engine_state)
        self.engine.answers_changed.connect(self._on_answers)
        self.engine.died.connect(self._on_death)
        self.engine.closed.connect(self.closed)
        self.loader.state_changed.connect(self._on_model_state)
        self.loader.trouble.connect(self._on_trouble)
        self.loader.load_asked.connect(self.dialogue.stop)  # else the load waits for its end
        self.dialogue.listing_changed.connect(self._list)
        self.dialogue.store_failed.connect(self._keeper.tell)
        self.dialogue.sent.connect(self.page.composer.clear)
        self.dialogue.waiting_changed.connect(self._on_waiting)
        self._keeper.moved.connect(self.dialogue.follow)
        self._keeper.changed.connect(self._list)
        self._keeper.free.connect(self.dialogue.go_on)
        self.dialogue.opened.connect(lambda _: self._list())
        self.dialogue.opened.connect(lambda _: self._keeper.show_problem())
        self.dialogue.opened.connect(lambda _: self._refresh_composer())
        self.dialogue.answering_changed.connect(lambda _: self._refresh_composer())
        self.page.composer.sent.connect(self.send)
        self.page.composer.field.focused.connect(self._on_composer_focus)
        self.page.transcript.regenerate_requested.connect(self._regenerate)
        self.sidebar.new_chat.connect(self.new_chat)
        self.sidebar.opened.connect(self._open)
        self.sidebar.renamed.connect(self._rename)
        self.sidebar.delete_requested.connect(self._delete)
        self.header.picker_requested.connect(self.open_picker)
        self.header.cancel_requested.connect(self.loader.cancel)
        self.header.sidebar_requested.connect(self._toggle_sidebar)

    def _add_shortcuts(self) -> None:
        for keys, action in (
            ("Ctrl+N", self.new_chat),
            ("Ctrl+M", self.open_picker),
            ("Ctrl+B", self._toggle_sidebar),
            ("Esc", self.dialogue.stop),
        ):
            QShortcut(QKeySequence(keys), self).activated.connect(action)

    # ------------------------------------------------------------------ what the user does

    def send(self, prompt: str) -> None:
        if self._ready():
            self.dialogue.send(prompt, self._model_id())

    def new_chat(self) -> None:
        self._open(None)

    def open_picker(self) -> None:
        from app.models.picker import ModelPicker

        picker = ModelPicker(self.loader, self)
        self._picker = picker
        picker.destroyed.connect(self._forget_picker)
        picker.finished.connect(picker.deleteLater)
        picker.open()

    def _forget_picker(self) -> None:
        self._picker = None

    def start_engine(self) -> None:
        self.engine.start()

    def _regenerate(self) -> None:
        if self._ready():
            self.dialogue.regenerate(self._model_id())
        self.page.composer.setFocus()  # the button is gone, or the reason for nothing stands there

    def _open(self, conversation: int | None) -> None:
        self.dialogue.open(conversation)
        self._fold_if_narrow()

    def _rename(self, conversation: int, title: str) -> None:
        if self._stored(partial(self._store.rename_conversation, conversation, title)):
            self._list()

    def _delete(self, conversation: int) -> None:
        title = self._titles.get(conversation, "")
        if not self._stored(partial(self._store.delete_conversation, conversation)):
            return
        if conversation == self.dialogue.answers_in:
            self.dialogue.stop()
        if conversation == self.dialogue.conversation:
            self.dialogue.open(None)
        self._list()
        self._toast.say(f"Deleted “{title}”", partial(self._undelete, conversation))

    def _undelete(self, conversation: int) -> None:
        if self._stored(partial(self._store.restore_conversation, conversation)):
            self.dialogue.open(conversation)

    def _toggle_sidebar(self) -> None:
        opens = self.sidebar.isHidden()
        self.sidebar.setVisible(opens)
        if self._narrow:
            (self.sidebar.chats if opens else self.page.composer).setFocus()

    # ------------------------------------------------------------------ what has happened

    def _on_engine_state(self, state: EngineState) -> None:
        if state is not EngineState.READY:
            self.status.clear()
        if state is EngineState.STARTING:
            self.page.banner.hide()  # it spoke of the engine before
        self._refresh_composer()

    def _on_death(self, death: Death) -> None:
        last = death.last_lines[-1] if death.last_lines else ""
        self.page.banner.say(
            death.title,
            f"{death.detail} {last}".strip(),
            "Your chats are kept.",
            "Start the engine again",
            self.start_engine,
            stays=True,
        )

    def _on_answers(self, answers: bool) -> None:
        """Nobody else uses the banner while the engine does not answer."""
        self._refresh_composer()
        if answers:
            self.page.banner.hide()
            return
        self.page.banner.say(
            "The engine does not answer",
            "It has sent nothing for a while: it hangs, or the computer is very busy.",
            "Wait, or start it again: your chats and the reply so far are kept.",
            "Start the engine again",
            self.engine.replace,
            stays=True,
        )

    def _on_model_state(self, state: ModelState) -> None:
        self.header.show_model(state)
        self.page.welcome.show_model(state)
        self._refresh_composer()
        if isinstance(state, FailedModel):
            error = state.error
            self.page.banner.say(
                error.title, error.detail, error.hint, "Choose a model", self.open_picker
            )
        if isinstance(state, ReadyModel):
            self.page.banner.hide()
            self._set("model", state.loaded.model.id)
            self._set("flash", self.loader.flash)
            if state.loaded.notes:
                self.page.banner.say("About this model", "\n".join(state.loaded.notes))

    def tell_fault(self, where: str) -> None:
        """An error of our own that nobody caught. The banner of a dead engine stays."""
        if self.engine.state is not EngineState.DEAD:
            self.page.banner.say(
                "Something went wrong in the window",
                f"{where}. Your chats are kept.",
                "If it does not go on, close Hearth and open it again; please report this line.",
            )

    def _on_trouble(self, error: protocol.Error) -> None:
        """In the picker while it is open. A banner that starts an engine anew stays."""
        dead = self.engine.state is EngineState.DEAD
        if self._picker is None and self.engine.answers and not dead:
            self.page.banner.say(error.title, error.detail, error.hint)

    def _list(self) -> None:
        try:
            conversations = self._store.conversations()
        except StoreError as error:
            self._keeper.tell(error)
            return
        current = self.dialogue.conversation
        self.sidebar.show_conversations(conversations, current)
        self._titles = {conversation.id: conversation.title for conversation in conversations}
        self.header.show_title(self._titles.get(current or 0, "New chat"))

    # ------------------------------------------------------------------ the store

    def _stored(self, change: Callable[[], None]) -> bool:
        """Whether the store took the change, which it does unless the chat is gone."""
        try:
            change()
        except GoneError as error:
            self._keeper.tell(error)
            self._list()
            return False
        return True

    def _set(self, name: str, value: str) -> None:
        self._store.set_setting(name, value)

    def _on_waiting(self, waits: bool) -> None:
        """What is in the composer is what waits: it cannot be changed until it is sent or given up
        (Esc)."""
        self.page.composer.field.setReadOnly(waits)
        self._refresh_composer()
        if waits:
            self._keeper.hurry()

    # ------------------------------------------------------------------ the model

    def _ready(self) -> bool:
        return isinstance(self.loader.state, ReadyModel)

    def _model_id(self) -> str:
        state = self.loader.state
        return state.loaded.model.id if isinstance(state, ReadyModel) else ""

    def _refresh_composer(self) -> None:
        state = self.loader.state
        name = state.loaded.model.name if isinstance(state, ReadyModel) else ""
        self.page.composer.set_model(name)
        self.page.composer.set_reason(self._why_not())

    def _why_not(self) -> str:
        """Why no prompt can be sent now."""
        engine = self.engine.state
        if engine is EngineState.DEAD:
            return "The engine has stopped"
        if engine is not EngineState.READY:
            return "The engine is starting"
        if not self.engine.answers:
            return "The engine does not answer"
        match self.loader.state:
            case ReadyModel() if self.dialogue.waits:
                return "Waits until the database of your chats is free; Esc stops waiting"
            case ReadyModel():
                elsewhere = self.dialogue.answers_in not in (None, self.dialogue.conversation)
                return "Another chat's reply is running; stop it or wait" if elsewhere else ""
            case LoadingModel():
                return "The model is loading; write on, and send when it is there"
            case FailedModel() | NoModel():
                return "Choose a model first (Ctrl+M)"

    # ------------------------------------------------------------------ the window itself

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._was_painted:
            self._was_painted = True
            QTimer.singleShot(0, self, self.painted.emit)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        narrow = self._narrow
        if narrow != (event.oldSize().width() < FOLD_WIDTH) or event.oldSize().width() < 0:
            self._fold(narrow)
        if narrow:
            top, below = self.header.height(), self.status.height()
            self.sidebar.setGeometry(0, top, self.sidebar.width(), self.height() - top - below)
        if self._toast.isVisible():
            self._toast.place()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange:
            self.update()

    def closeEvent(self, event: QCloseEvent) -> None:
        self.dialogue.save()
        geometry = bytes(self.saveGeometry().toBase64().data()).decode("ascii")
        self._set("geometry", geometry)
        if self._store.unsaved and not self._loses_unsaved:
            event.ignore()
            self._keeper.ask_to_quit(self._quit_unsaved)
            return
        self._keeper.stop()
        self.engine.close()
        super().closeEvent(event)

    def _quit_unsaved(self) -> None:
        self._loses_unsaved = True
        self.close()

    @property
    def _narrow(self) -> bool:
        return self.width() < FOLD_WIDTH

    def _fold(self, narrow: bool) -> None:
        self.sidebar.setVisible(not narrow)
        self.header.menu.setVisible(narrow)
        self.status.show_narrow(narrow)
        if narrow:
            self._body.removeWidget(self.sidebar)
            self.sidebar.raise_()
        else:
            self._body.insertWidget(0, self.sidebar)

    def _fold_if_narrow(self) -> None:
        if self._narrow:
            self.sidebar.hide()

    def _on_composer_focus(self, focused: bool) -> None:
        if focused:
            self._fold_if_narrow()

    def _restore_geometry(self) -> None:
        self.resize(SIZE)
        saved = self._store.setting("geometry")
        if saved:
            self.restoreGeometry(QByteArray.fromBase64(saved.encode()))


def _flash(store: Store) -> protocol.Flash:
    saved = store.setting("flash", "auto")
    flashes: tuple[protocol.Flash, ...] = get_args(protocol.Flash)
    return next((flash for flash in flashes if flash == saved), "auto")
