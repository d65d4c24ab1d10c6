"""Chats written into files that the person names, and read from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, QStandardPaths, Qt, QTimer
from PySide6.QtWidgets import QFileDialog, QWidget

from app import number_format
from app.background import Background
from app.chats import Chats
from app.notices import Level, Notice, Notices
from app.store.chat import Chat
from app.store.errors import StoreError
from app.store.records import Conversation, StoredMessage
from app.store.store import Store
from app.words import joined, now, translate

FOLDER = "file folder"
"""Setting: where the last file lay."""

ADDING_S: Final = 0.02
"""Seconds of a frame in which chats are added."""

SUFFIXES: Final = (".md", ".json", ".html", ".pdf")
KINDS: Final = translate(
    "ChatFiles",
    "Markdown (*.md);;JSON, whole (*.json);;Page for a browser (*.html);;PDF (*.pdf)",
)
ABOUT = "chats"


class ChatFiles(QObject):
    def __init__(
        self,
        store: Store,
        chats: Chats,
        background: Background,
        notices: Notices,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._store = store
        self._chats = chats
        self._background = background
        self._notices = notices
        self._window = window

    def export(self, conversations: Sequence[int]) -> None:
        """Asks where these chats are to be written, all in one file, and as what."""
        known = [chat for chat in self._chats.known if chat.id in conversations]
        if not known:
            return
        from app.exchange.writing import file_name

        words = translate("ChatFiles", "Export %n chats", "", 1).of(len(known))
        dialog = self._dialog(words, now(KINDS))
        name = file_name(known[0].title) if len(known) == 1 else "hearth chats"
        dialog.selectFile(f"{name}.md")
        dialog.filterSelected.connect(partial(_fit_suffix, dialog))
        ids = [chat.id for chat in known]
        dialog.fileSelected.connect(lambda path: self.write(ids, Path(path)))
        dialog.open()

    def export_all(self) -> None:
        """Asks where all chats are to be written, and as what."""
        self.export([known.id for known in self._chats.known])

    def print_chats(self, conversations: Sequence[int]) -> None:
        """Asks on which printer."""
        try:
            chats = self._chats_here(conversations)
        except StoreError as error:
            self._tell(error.title, error.sentences)
            return
        from PySide6.QtPrintSupport import QPrintDialog, QPrinter

        from app.exchange.page import as_html, draw

        printer = QPrinter()
        dialog = QPrintDialog(printer, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.accepted.connect(lambda: draw(as_html(chats), printer))
        dialog.setModal(True)
        dialog.show()

    def ask_for_imports(self) -> None:
        """Asks for the files from which chats are to be read."""
        dialog = self._dialog(
            translate("ChatFiles", "Import chats"),
            translate("ChatFiles", "Chats (*.json *.jsonl);;All files (*)"),
        )
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptOpen)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.filesSelected.connect(lambda paths: self.read([Path(path) for path in paths]))
        dialog.open()

    # ------------------------------------------------------------------ writing

    def write(self, conversations: Sequence[int], path: Path) -> None:
        """The chats as the name of the file says: JSON, HTML, PDF, else Markdown."""
        if len(conversations) == 1:
            title = self._chats.title_of(conversations[0])
            what: str = translate("ChatFiles", "“{title}”").format(title=title)
        else:
            what = translate("ChatFiles", "%n chats", "", 1).of(len(conversations))
        try:
            work = self._writing(conversations, path)
        except StoreError as error:
            self._tell(error.title, error.sentences)
            return
        self._background.run(work, partial(self._on_written, path, what))

    def _writing(self, conversations: Sequence[int], path: Path) -> Callable[[], int]:
        """One chat as it is in this window, many as they are in the database, which is read by the
        thread that writes. Raises StoreError."""
        from app.exchange.writing import chats_of, written

        if len(conversations) == 1:
            chats = self._chats_here(conversations)
            return lambda: written(chats, path)
        opened = self._store.reader()

        def write() -> int:
            with closing(opened()) as connection:
                return written(chats_of(connection, conversations), path)

        return write

    def _chats_here(
        self, conversations: Sequence[int]
    ) -> list[tuple[Conversation, list[StoredMessage]]]:
        """Raises StoreError."""
        known = [chat for chat in self._chats.known if chat.id in conversations]
        return [(chat, self._store.messages(chat.id)) for chat in known]

    def _on_written(self, path: Path, what: str, result: int | Exception) -> None:
        if isinstance(result, OSError):
            self._tell(
                translate("ChatFiles", "The file could not be written"),
                translate(
                    "ChatFiles", "{path}: {strerror}. Choose another folder, or free some space."
                ).format(path=path, strerror=result.strerror or result),
            )
        elif isinstance(result, Exception):
            raise result
        else:
            self._keep_folder(path)
            self._done(
                translate("ChatFiles", "Exported {what} to {name}").format(
                    what=what, name=path.name
                )
            )

    # ------------------------------------------------------------------ reading

    def read(self, paths: list[Path]) -> None:
        """Adds the chats of these files, each file in its turn."""
        from app.exchange.reading import read_file

        for path in paths:
            self._background.run(partial(read_file, path), partial(self._on_read, path))

    def _on_read(self, path: Path, result: list[Chat] | Exception) -> None:
        from app.exchange.reading import ImportProblemError

        if isinstance(result, ImportProblemError):
            self._tell(
                translate("ChatFiles", "These chats could not be imported"), result.sentences
            )
            return
        if isinstance(result, Exception):
            raise result
        self._keep_folder(path)
        self._add(path, result, 0)

    def _add(self, path: Path, chats: list[Chat], added: int) -> None:
        """Adds as many as there is time for in a frame, and the rest in the next one."""
        begin, until = added, time.monotonic() + ADDING_S
        try:
            with self._store.transaction():
                while added < len(chats) and (added == begin or time.monotonic() < until):
                    self._store.add_chat(chats[added])
                    added += 1
        except StoreError as error:
            done = translate(
                "ChatFiles", "{begin} of {chats} chats of {name} were imported."
            ).format(
                begin=number_format.count(begin),
                chats=number_format.count(len(chats)),
                name=path.name,
            )
            self._tell(error.title, joined(" ", (done, error.sentences)))
            self._chats.show_list()
            return
        if added < len(chats):
            QTimer.singleShot(0, self, lambda: self._add(path, chats, added))
            return
        self._chats.show_list()
        words = translate("ChatFiles", "Imported %n chats from {name}", "", 1).of(len(chats))
        self._done(words.format(name=path.name))

    # ------------------------------------------------------------------ what is shared

    def _dialog(self, title: str, kinds: str) -> QFileDialog:
        dialog = QFileDialog(self._window, title)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter(kinds)
        documents = QStandardPaths.StandardLocation.DocumentsLocation
        home = QStandardPaths.writableLocation(documents)
        dialog.setDirectory(self._store.setting(FOLDER, home))
        dialog.finished.connect(dialog.deleteLater)
        return dialog

    def _keep_folder(self, path: Path) -> None:
        self._store.set_setting(FOLDER, str(path.parent))

    def _tell(self, title: str, detail: str) -> None:
        self._notices.say(Notice(ABOUT, title, detail))

    def _done(self, words: str) -> None:
        self._notices.say(Notice("file", words, level=Level.DONE, lasts_ms=5000))


def _fit_suffix(dialog: QFileDialog, kind: str) -> None:
    """The file that is named ends as the kind says."""
    suffix = next((known for known in SUFFIXES if f"*{known}" in kind), ".md")
    for name in dialog.selectedFiles():
        dialog.selectFile(str(Path(name).with_suffix(suffix)))
