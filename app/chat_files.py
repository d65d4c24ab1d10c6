"""Chats written into files that the person names, and read from them."""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, QStandardPaths, QTimer
from PySide6.QtWidgets import QFileDialog, QWidget

from app import number_format
from app.background import Background
from app.chats import Chats
from app.notices import Level, Notice, Notices
from app.store.chat import Chat
from app.store.errors import StoreError
from app.store.store import Store
from app.words import joined, now, translate

FOLDER = "file folder"
"""Setting: where the last file lay."""

ADDING_S: Final = 0.02
"""Seconds of a frame in which chats are added."""

KINDS = translate("ChatFiles", "Markdown (*.md);;JSON, whole (*.json)")
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

    def export(self, conversation: int) -> None:
        """Asks where this chat is to be written, as Markdown or as JSON."""
        known = next((chat for chat in self._chats.known if chat.id == conversation), None)
        if known is None:
            return
        from app.exchange.writing import file_name

        dialog = self._dialog(translate("ChatFiles", "Export this chat"), now(KINDS))
        dialog.selectFile(f"{file_name(known.title)}.md")
        dialog.filterSelected.connect(partial(_fit_suffix, dialog))
        dialog.fileSelected.connect(lambda path: self.write(conversation, Path(path)))
        dialog.open()

    def export_all(self) -> None:
        """Asks where all chats are to be written, as JSON."""
        dialog = self._dialog(
            translate("ChatFiles", "Export all chats"),
            translate("ChatFiles", "JSON, whole (*.json)"),
        )
        dialog.setDefaultSuffix("json")
        dialog.selectFile("hearth chats.json")
        dialog.fileSelected.connect(lambda path: self.write_all(Path(path)))
        dialog.open()

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

    def write(self, conversation: int, path: Path) -> None:
        """The chat as the name of the file says: JSON for `.json`, else Markdown."""
        known = next((chat for chat in self._chats.known if chat.id == conversation), None)
        if known is None:
            return
        try:
            messages = self._store.messages(conversation)
        except StoreError as error:
            self._tell(error.title, error.sentences)
            return
        from app.exchange.writing import as_json, as_markdown, chat_of

        if path.suffix.lower() == ".json":
            content = as_json([chat_of(known, messages)])
        else:
            content = as_markdown(known, messages).encode("utf-8", "replace")
        self._save(path, content, known.title)

    def write_all(self, path: Path) -> None:
        """All that are not in the trash, with what is in the file of them now."""
        try:
            opened = self._store.reader()
        except StoreError as error:
            self._tell(error.title, error.sentences)
            return

        from app.exchange.writing import all_chats, as_json

        def write() -> int:
            with closing(opened()) as connection:
                return path.write_bytes(as_json(all_chats(connection)))

        self._background.run(
            write, partial(self._on_written, path, translate("ChatFiles", "all chats"))
        )

    def _save(self, path: Path, content: bytes, title: str) -> None:
        what = translate("ChatFiles", "“{title}”").format(title=title)
        self._background.run(
            lambda: path.write_bytes(content), partial(self._on_written, path, what)
        )

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
    suffix = ".json" if "json" in kind else ".md"
    for name in dialog.selectedFiles():
        dialog.selectFile(str(Path(name).with_suffix(suffix)))
