"""What is done with whole chats: listed, named, pinned, put into the trash and taken out again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from PySide6.QtCore import QObject, Signal

from app.chat.dialogue import Dialogue
from app.notices import Level, Notice, Notices
from app.store.errors import GoneError, StoreError
from app.store.records import Conversation
from app.store.store import Store
from app.store_keeper import StoreKeeper
from app.words import translate

UNDO_MS: Final = 10_000
"""How long undoing is offered; the trash keeps a chat for longer."""

NEW: Final = translate("Chats", "New chat")


class Chats(QObject):
    """`listed(list of Conversation)`: what there is now, the newest first."""

    listed = Signal(object)

    def __init__(
        self,
        store: Store,
        dialogue: Dialogue,
        keeper: StoreKeeper,
        notices: Notices,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._dialogue = dialogue
        self._keeper = keeper
        self._notices = notices
        self._known: dict[int, Conversation] = {}
        self._unseen: set[int] = set()
        dialogue.replies.finished.connect(lambda reply, _: self._on_finished(reply.conversation))
        dialogue.listing_changed.connect(self.show_list)
        dialogue.opened.connect(lambda _: self._on_opened())
        keeper.changed.connect(self.show_list)

    @property
    def current(self) -> Conversation | None:
        """The one on screen, if it has been saved."""
        return self._known.get(self._dialogue.conversation or 0)

    @property
    def known(self) -> list[Conversation]:
        """The newest first."""
        return list(self._known.values())

    @property
    def unseen(self) -> set[int]:
        """Those with a reply that nobody has looked at."""
        return self._unseen

    @property
    def title(self) -> str:
        """Of the chat on screen."""
        return self.current.title if self.current else NEW

    def title_of(self, conversation: int) -> str:
        known = self._known.get(conversation)
        return known.title if known else ""

    def show_list(self) -> None:
        """Reads what there is now, and tells it."""
        try:
            conversations = self._store.conversations()
        except StoreError as error:
            self._keeper.tell(error)
            return
        self._known = {conversation.id: conversation for conversation in conversations}
        self.listed.emit(conversations)

    def _on_opened(self) -> None:
        """What there is has not changed, unless the open one is new."""
        here = self._dialogue.conversation
        self._unseen.discard(here or 0)
        if self._known and (here is None or here in self._known):
            self.listed.emit(self.known)
        else:
            self.show_list()

    def _on_finished(self, conversation: int) -> None:
        if conversation != self._dialogue.conversation:
            self._unseen.add(conversation)
            self.listed.emit(self.known)

    def rename(self, conversation: int, title: str) -> None:
        if title.strip():
            self._change(partial(self._store.rename_conversation, conversation, title.strip()))

    def toggle_pin(self, conversation: int) -> None:
        known = self._known.get(conversation)
        if known:
            pin = partial(self._store.pin_conversation, conversation, pinned=not known.pinned)
            self._change(pin)

    @property
    def folders(self) -> list[str]:
        """The names of those in which chats are, by the alphabet."""
        return sorted({known.folder for known in self.known if known.folder}, key=str.casefold)

    def move(self, conversations: Sequence[int], folder: str) -> None:
        """Into the folder of this name, which is made by that; empty for none."""
        for conversation in conversations:
            self._change(partial(self._store.move_conversation, conversation, folder.strip()))

    def delete(self, conversation: int) -> None:
        """Puts it into the trash, and offers to undo that."""
        self.delete_all([conversation])

    def delete_all(self, conversations: Sequence[int]) -> None:
        """Puts them into the trash, and offers to undo that."""
        titles = [self.title_of(conversation) for conversation in conversations]
        gone = [each for each in conversations if self._delete(each)]
        if not gone:
            return
        if len(gone) == 1:
            words = translate("Chats", "Moved “{title}” to the trash").format(title=titles[0])
        else:
            words = translate("Chats", "Moved %n chats to the trash", "", 1).of(len(gone))
        undo = partial(self._restore_all, gone)
        self._notices.say(
            Notice(
                f"trash {gone[0]}",
                words,
                "",
                "",
                Level.DONE,
                translate("Chats", "Undo"),
                undo,
                False,
                UNDO_MS,
            )
        )

    def _delete(self, conversation: int) -> bool:
        if not self._change(partial(self._store.delete_conversation, conversation)):
            return False
        self._dialogue.stop_in(conversation)
        if conversation == self._dialogue.conversation:
            self._dialogue.open(None)
        return True

    def _restore_all(self, conversations: Sequence[int]) -> None:
        """The first one is shown then."""
        for conversation in reversed(conversations):
            self.restore(conversation)

    def trash(self) -> list[Conversation]:
        try:
            return self._store.trash()
        except StoreError as error:
            self._keeper.tell(error)
            return []

    def purge(self, conversation: int) -> None:
        """Deletes for good what is in the trash."""
        self._store.purge_conversation(conversation)
        self._notices.withdraw(f"trash {conversation}")

    def restore(self, conversation: int) -> None:
        if self._change(partial(self._store.restore_conversation, conversation)):
            self._dialogue.open(conversation)
            self._dialogue.send_next()

    def _change(self, change: Callable[[], None]) -> bool:
        """Whether the store took it, which it does unless the chat is gone."""
        try:
            change()
        except GoneError as error:
            self._keeper.tell(error)
            self.show_list()
            return False
        self.show_list()
        return True
