"""The main window: puts the parts together and connects them; what they do is their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, get_args

from PySide6.QtCore import QByteArray, QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QMainWindow,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app import plain, theming
from app.actions import Actions
from app.announcer import Announcer
from app.availability import Availability
from app.background import Background
from app.chat.dialogue import Dialogue
from app.chat.drafts import Drafts
from app.chat.page import ChatPage
from app.chat_files import ChatFiles
from app.chats import Chats
from app.context.keeper import ContextKeeper
from app.engine import Engine, EngineState
from app.engine_notices import EngineNotices
from app.file_drops import FileDrops
from app.models.another import AnotherModel
from app.models.loader import (
    ModelLoader,
    ModelState,
    ReadyModel,
)
from app.notices import Notice, Notices
from app.notifier import Notifier
from app.search.searcher import Searcher
from app.settings.keeper import SettingsKeeper
from app.settings.views import SettingsViews
from app.status.line import StatusLine
from app.store.records import Conversation
from app.store.search import Hit
from app.store.store import Store
from app.store_keeper import STORE, StoreKeeper
from app.widgets.banner import Toast
from app.widgets.chat_list import Sign
from app.widgets.header import Header
from app.widgets.shade import Shade
from app.widgets.sidebar import Sidebar
from app.widgets.trash import TrashDialog
from app.words import translate
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
        plain.set_title(self, "Hearth")
        self.setWindowIcon(theming.icon("flame", "accent"))
        self._store = store
        self.engine = engine
        self.actions_table = Actions(self)
        self.notices = Notices(self)
        self.loader = ModelLoader(engine, store.setting("model"), _flash(store), self)
        self.dialogue = Dialogue(store, engine, self)
        self._keeper = StoreKeeper(store, self.notices, self)
        self._background = Background(self)
        self.searcher = Searcher(store, self._background, self)
        self.chats = Chats(store, self.dialogue, self._keeper, self.notices, self)
        self._engine_notices = EngineNotices(
            engine, self.loader, self.notices, self.open_picker, self._picker_is_open, self
        )
        self.files = ChatFiles(store, self.chats, self._background, self.notices, self)
        self.sidebar = Sidebar(self.actions_table)
        self.header = Header()
        self.page = ChatPage(self.dialogue, self.notices)
        self.available = Availability(
            engine, self.loader, self.dialogue, self.chats, self.page, self.actions_table
        )
        self.context = ContextKeeper(
            store,
            engine,
            self.loader,
            self.dialogue,
            self.page.composer.gauge,
            self.page.context_card,
            self,
        )
        self._drafts = Drafts(store, self.dialogue, self.page, self)
        self.notifier = Notifier(
            self.dialogue.replies, self.chats.title_of, self.come_to_front, self
        )
        self.settings = SettingsKeeper(
            store, self.dialogue, self.loader, self.page.composer, self.notifier, self
        )
        self._drops = FileDrops(
            self, self.page.composer, self._background, self.notices, self.open_picker
        )
        self._pages = QStackedWidget()
        self._pages.addWidget(self.page)
        self.status = StatusLine()
        self.settings_views = SettingsViews(
            self.settings,
            self.loader,
            self._pages,
            self.header,
            self.sidebar,
            self.page.composer,
            self,
        )
        self._announcer = Announcer(self.dialogue, self.notices, self)
        self._toast = Toast(self.notices, self.page, self.page.composer)
        self._was_painted = False
        self._loses_unsaved = False
        self._picker: QWidget | None = None
        self._build()
        self._connect()
        self._connect_actions()
        self._shade = Shade(self.sidebar, lambda: self._narrow, self._fold_if_narrow)
        self._restore_geometry()
        if store_problem:
            self.notices.say(
                Notice(STORE, translate("Window", "Nothing will be saved"), store_problem)
            )
        self.dialogue.set_model(None)
        self.dialogue.open(None)  # what the store itself says takes its place
        self._on_engine_state(engine.state)

    # ------------------------------------------------------------------ building

    def _build(self) -> None:
        right = QVBoxLayout()
        right.setSpacing(0)
        right.addWidget(self.header)
        right.addWidget(self._pages, 1)
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
        self.engine.answers_changed.connect(lambda _: self.available.refresh())
        self.engine.closed.connect(self.closed)
        self.loader.state_changed.connect(self._on_model_state)
        self.loader.load_asked.connect(self.dialogue.stop_all)  # else the load waits for its end
        self.dialogue.store_failed.connect(self._keeper.tell)
        self.page.editing_changed.connect(self.available.refresh)
        self.dialogue.waiting_changed.connect(self._on_waiting)
        self.dialogue.opened.connect(lambda _: self._keeper.show_problem())
        self.dialogue.opened.connect(lambda _: self.settings_views.leave_page())
        self.dialogue.opened.connect(lambda _: self.available.refresh())
        self.dialogue.answering_changed.connect(lambda _: self.available.refresh())
        self.dialogue.versions_changed.connect(lambda _: self.available.refresh())
        self._keeper.moved.connect(self.dialogue.follow)
        self._keeper.free.connect(self.dialogue.go_on)
        self.chats.listed.connect(self._on_listed)
        self.page.composer.sent.connect(self.send)
        self.page.composer.field.textChanged.connect(self._on_draft)
        self.page.composer.files.changed.connect(self._on_draft)
        self.page.editing_changed.connect(self._on_draft)
        self.context.file_counted.connect(self.page.composer.files.show_tokens)
        self.context.asked.connect(self.available.refresh)
        self.context.seen_from.connect(self.page.transcript.see_from)
        self.page.transcript.see_all_requested.connect(self.context.see_all)
        self.context.shortens.connect(self.page.composer.setFocus)
        self.page.composer.field.focused.connect(self._on_composer_focus)
        self.page.transcript.regenerate_requested.connect(self._regenerate)
        self.page.transcript.continue_requested.connect(self.dialogue.continue_reply)
        AnotherModel(self.loader, self.dialogue, self.page.transcript.menu, self)
        self.sidebar.searched.connect(self.searcher.search)
        self.sidebar.hit_chosen.connect(self._open_hit)
        self.sidebar.left.connect(self.page.composer.setFocus)
        self.searcher.found.connect(lambda _, hits: self.sidebar.show_hits(hits))
        self.searcher.failed.connect(self._keeper.tell)
        self.sidebar.opened.connect(self._open)
        self.sidebar.renamed.connect(self.chats.rename)
        self.sidebar.pin_requested.connect(self.chats.toggle_pin)
        self.sidebar.delete_requested.connect(self.chats.delete_all)
        self.sidebar.move_requested.connect(self._move)
        self.sidebar.export_requested.connect(self.files.export)
        self.header.picker_requested.connect(self.open_picker)
        self.page.welcome.model_wanted.connect(self.open_picker)
        self.loader.models_changed.connect(self._on_models)
        self.header.cancel_requested.connect(self.loader.cancel)
        self.header.sidebar_requested.connect(self._toggle_sidebar)
        self.header.chat_settings_requested.connect(self._toggle_chat_settings)

    def _connect_actions(self) -> None:
        """What each row of the table does."""
        for name, does in (
            ("new_chat", self.new_chat),
            ("search", self._find_in_all),
            ("rename", lambda: self._with_current(self._rename_here)),
            ("pin", lambda: self._with_current(self.chats.toggle_pin)),
            ("delete", lambda: self._with_current(self.chats.delete)),
            ("trash", lambda: TrashDialog(self.chats, self).open()),
            ("find", self.page.find_bar.open_with),
            ("export", lambda: self._with_current(lambda chat: self.files.export([chat]))),
            ("print", lambda: self._with_current(lambda chat: self.files.print_chats([chat]))),
            ("export_all", self.files.export_all),
            ("import", self.files.ask_for_imports),
            ("stop", self.dialogue.stop),
            ("regenerate", self._regenerate),
            ("continue", self.dialogue.continue_reply),
            ("attach", self._drops.ask),
            ("edit_last", self.page.edit_last),
            ("previous_version", partial(self.page.step_version, -1)),
            ("next_version", partial(self.page.step_version, 1)),
            ("to_end", self.page.transcript.follow),
            ("choose_model", self.open_picker),
            ("start_engine", self.start_engine),
            ("sidebar", self._toggle_sidebar),
            ("palette", self.open_palette),
            ("unload", self.loader.unload),
            ("chat_settings", self._toggle_chat_settings),
            ("settings", self.settings_views.toggle_page),
            ("larger", partial(self.settings_views.resize_texts, 1)),
            ("smaller", partial(self.settings_views.resize_texts, -1)),
            ("normal_size", partial(self.settings_views.resize_texts, 0)),
            ("shortcuts", self.open_shortcuts),
            ("quit", self.close),
        ):
            self.actions_table[name].triggered.connect(_without_arguments(does))

    def _with_current(self, does: Callable[[int], None]) -> None:
        """Does it with the chat on screen, if that has been saved."""
        if self.dialogue.conversation is not None:
            does(self.dialogue.conversation)

    # ------------------------------------------------------------------ what the user does

    def send(self, prompt: str) -> None:
        if not self.available.why_not():
            files = self.page.composer.files.files
            if self.page.editing is None:
                self.context.send(prompt, files)
            else:
                self.context.edit(self.page.editing, prompt, files)

    def new_chat(self) -> None:
        self._open(None)

    def open_picker(self, add: Path | None = None) -> None:
        """`add`: a model's file or folder that is to be listed, too."""
        from app.models.picker import ModelPicker

        picker = ModelPicker(self.loader, self)
        self._picker = picker
        picker.destroyed.connect(self._forget_picker)
        picker.finished.connect(picker.deleteLater)
        picker.open()
        if add is not None:
            picker.add(str(add))

    def open_palette(self) -> None:
        """Actions, models and chats by their names."""
        from app.command.entries import entries
        from app.command.palette import Palette

        if self.findChild(Palette) is not None:
            return
        Palette(self, entries(self.actions_table, self.loader, self.chats, self._open))

    def _toggle_chat_settings(self) -> None:
        self.settings_views.toggle_drawer(self.dialogue.conversation)

    def open_shortcuts(self) -> None:
        from app.command.shortcuts import ShortcutSheet

        ShortcutSheet(self.actions_table, self).open()

    def _forget_picker(self) -> None:
        self._picker = None

    def _picker_is_open(self) -> bool:
        return self._picker is not None

    def start_engine(self) -> None:
        self.engine.start()

    def _regenerate(self, message: int | None = None) -> None:
        """A reply on screen, or the last one."""
        self.context.regenerate(message)
        self.page.composer.setFocus()  # the button is gone, or the reason for nothing stands there

    def _open(self, conversation: int | None) -> None:
        self.dialogue.open(conversation)
        self._fold_if_narrow()

    def _open_hit(self, hit: Hit) -> None:
        """The chat at the message that was found; the results stay."""
        self.dialogue.open_at(hit.conversation, hit.message)
        self.page.transcript.show_message(hit.message)
        words = next((piece.text for piece in hit.pieces if piece.hit), "")
        self.page.find_bar.show_at(words, hit.message)
        self._fold_if_narrow()

    def _move(self, conversations: list[int], folder: str | None) -> None:
        """Into a folder; None asks for the name of a new one."""
        if folder is not None:
            self.chats.move(conversations, folder)
            return
        from app.widgets.name_dialog import NameDialog

        words, button = translate("Window", "Name of the folder"), translate("Window", "Move there")
        NameDialog(words, button, partial(self.chats.move, conversations), self).open()

    def _find_in_all(self) -> None:
        self.sidebar.show()
        self.sidebar.focus_search()

    def _rename_here(self, conversation: int) -> None:
        """In the list, the row that has the focus there."""
        self.sidebar.show()
        chosen = self.sidebar.chats.chosen if self.sidebar.chats.hasFocus() else None
        self.sidebar.chats.rename(conversation if chosen is None else chosen)

    def _toggle_sidebar(self) -> None:
        opens = self.sidebar.isHidden()
        self.sidebar.setVisible(opens)
        if self._narrow:
            (self.sidebar.chats if opens else self.page.composer).setFocus()

    # ------------------------------------------------------------------ what has happened

    def _on_engine_state(self, state: EngineState) -> None:
        if state is not EngineState.READY:
            self.status.clear()
        self.available.refresh()
        if state is EngineState.READY:
            self.dialogue.send_next()

    def _on_models(self, _: object) -> None:
        """There may be none, which no change of the model's state tells."""
        self.page.welcome.show_model(self.loader.state)

    def _on_model_state(self, state: ModelState) -> None:
        self.header.show_model(state)
        self.page.welcome.show_model(state)
        if isinstance(state, ReadyModel):
            self._store.set_setting("model", state.loaded.model.id)
            self._store.set_setting("flash", self.loader.flash)
        self.dialogue.set_model(state.loaded.model.id if isinstance(state, ReadyModel) else None)
        self.available.refresh()

    def tell_fault(self, where: str) -> None:
        """An error of our own that nobody caught."""
        self.notices.say(
            Notice(
                "window",
                translate("Window", "Something went wrong in the window"),
                translate("Window", "{where}. Your chats are kept.").format(where=where),
                translate(
                    "Window",
                    "If it does not go on, close Hearth and open it again; please report this "
                    "line.",
                ),
            )
        )

    def _list(self) -> None:
        self.chats.show_list()

    def _on_listed(self, conversations: list[Conversation]) -> None:
        signs: dict[int, Sign] = dict.fromkeys(self.chats.unseen, "new")
        signs |= dict.fromkeys((known.conversation for known in self.dialogue.queue), "waits")
        signs |= dict.fromkeys((r.conversation for r in self.dialogue.replies.running), "writes")
        self.sidebar.show_conversations(conversations, self.dialogue.conversation, signs)
        self.header.show_title(self.chats.title)
        self.available.refresh()

    # ------------------------------------------------------------------ the store

    def _on_waiting(self, waits: bool) -> None:
        """What is in the composer is what waits: it cannot be changed until it is sent or given up
        (Esc)."""
        self.page.composer.field.setReadOnly(waits)
        self.available.refresh()
        if waits:
            self._keeper.hurry()

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
        self._store.set_setting("geometry", geometry)
        if self._store.unsaved and not self._loses_unsaved:
            event.ignore()
            self._keeper.ask_to_quit(self._quit_unsaved)
            return
        self._drafts.save()
        self._keeper.stop()
        self._background.close()
        self.engine.close()
        super().closeEvent(event)

    def come_to_front(self, conversation: int | None = None) -> None:
        """Somebody has started Hearth once more, or wants to see this conversation. Where the
        system lets no window take the front, it is marked."""
        if conversation is not None:
            self._open(conversation)
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()
        QApplication.alert(self)

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

    def _on_draft(self) -> None:
        composer = self.page.composer
        words, files = composer.field.toPlainText(), composer.files.files
        self.context.set_draft(words, files, self.page.editing)

    def _on_composer_focus(self, focused: bool) -> None:
        if focused:
            self._fold_if_narrow()

    def _restore_geometry(self) -> None:
        self.resize(SIZE)
        saved = self._store.setting("geometry")
        if saved:
            self.restoreGeometry(QByteArray.fromBase64(saved.encode()))


def _without_arguments(does: Callable[[], object]) -> Callable[[bool], None]:
    """For a signal that brings what is of no interest."""

    def do(_checked: bool) -> None:
        does()

    return do


def _flash(store: Store) -> protocol.Flash:
    saved = store.setting("flash", "auto")
    flashes: tuple[protocol.Flash, ...] = get_args(protocol.Flash)
    return next((flash for flash in flashes if flash == saved), "auto")
