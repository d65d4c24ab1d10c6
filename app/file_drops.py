"""Files that are dropped on the window, pasted, or chosen: attached, or taken for a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

from PySide6.QtCore import QEvent, QMimeData, QObject
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QFileDialog, QWidget

from app.attached import RefusedFileError, read_file
from app.background import Background
from app.chat.composer import Composer
from app.notices import Level, Notice, Notices
from app.store.records import Attachment
from app.words import now, translate

MODEL_FILES: Final = (".gguf", ".safetensors")
REFUSED_MS: Final = 12_000
"""How long it is said why a file was not attached."""


class FileDrops(QObject):
    """Reads files in a thread of their own; those of a model go to `add_model`."""

    def __init__(
        self,
        window: QWidget,
        composer: Composer,
        background: Background,
        notices: Notices,
        add_model: Callable[[Path], None],
    ) -> None:
        super().__init__(window)
        self._window = window
        self._composer = composer
        self._background = background
        self._notices = notices
        self._add_model = add_model
        self._folder = ""
        """In which a file was chosen last."""
        composer.field.files_pasted.connect(self.take)
        composer.attach_requested.connect(self.ask)
        window.setAcceptDrops(True)
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QDropEvent) and (paths := files_in(event.mimeData())):
            if event.type() in (QEvent.Type.DragEnter, QEvent.Type.DragMove):
                event.acceptProposedAction()
                return True
            if event.type() is QEvent.Type.Drop:
                event.acceptProposedAction()
                self.take(paths)
                return True
        return super().eventFilter(watched, event)

    def ask(self) -> None:
        """Has files chosen in the system's dialog, in the folder of the last ones."""
        title = now(translate("FileDrops", "Attach text or code"))
        names, _ = QFileDialog.getOpenFileNames(self._window, title, self._folder)
        if names:
            self._folder = str(Path(names[0]).parent)
            self.take([Path(name) for name in names])

    def take(self, paths: Iterable[Path]) -> None:
        for path in paths:
            if is_model(path):
                self._add_model(path)
            else:
                self._background.run(partial(read_file, path), self._on_read)

    def _on_read(self, read: Attachment | Exception) -> None:
        if isinstance(read, Attachment):
            self._composer.files.add(read)
            self._composer.setFocus()
        elif isinstance(read, RefusedFileError):
            title = translate("FileDrops", "A file was not attached")
            about = f"file {read.sentence}"
            self._notices.say(
                Notice(about, title, read.sentence, level=Level.NOTE, lasts_ms=REFUSED_MS)
            )
        else:
            raise read


def files_in(source: QMimeData) -> list[Path]:
    """The files of this computer that were dropped or pasted."""
    return [Path(url.toLocalFile()) for url in source.urls() if url.isLocalFile()]


def is_model(path: Path) -> bool:
    """Whether it looks like a model's file or folder; the catalog says more."""
    if path.suffix.lower() in MODEL_FILES:
        return True
    try:
        names = {entry.name.lower() for entry in path.iterdir()} if path.is_dir() else set()
    except OSError:
        return False
    return "config.json" in names or any(name.endswith(MODEL_FILES) for name in names)
