"""The messages of one conversation as a tree, and the branch of it that is shown."""

from __future__ import annotations

from collections.abc import Sequence

from app.store.records import StoredMessage


class Tree:
    """Every message is in it, whatever its row says: one whose parent is gone hangs on the message
    before it, and of a ring of parents one is a first message."""

    def __init__(self, messages: Sequence[StoredMessage], leaf: int | None = None) -> None:
        """`messages` in the order of their ids; `leaf`, if it is there, was chosen last."""
        self._messages = {message.id: message for message in messages}
        self._parents: dict[int, int | None] = {}
        self._children: dict[int | None, list[int]] = {None: []}
        before: int | None = None
        for message in messages:
            parent = message.parent
            if parent is not None and (parent not in self._messages or parent == message.id):
                parent = before
            self._parents[message.id] = parent
            self._children.setdefault(parent, []).append(message.id)
            before = message.id
        self._open_rings()
        chosen = leaf if leaf in self._messages else before
        self.path = self._path(chosen)
        """The messages that are shown, from the first one to the end."""

    def versions(self, message: int) -> list[int]:
        """The messages that stand in the same place, oldest first, with the message itself."""
        return self._children.get(self._parents[message], []) if message in self._parents else []

    def before(self, message: int) -> list[StoredMessage]:
        """The messages that lead to this one, from the first, without it."""
        return self._upwards(self._parents.get(message))

    def newest_below(self, message: int) -> int:
        """The end of the branch that goes on from this message with the newest one each time."""
        while children := self._children.get(message):
            message = children[-1]
        return message

    def _path(self, chosen: int | None) -> list[StoredMessage]:
        return [] if chosen is None else self._upwards(self.newest_below(chosen))

    def _upwards(self, message: int | None) -> list[StoredMessage]:
        found: list[StoredMessage] = []
        while message is not None:
            found.append(self._messages[message])
            message = self._parents[message]
        return found[::-1]

    def _open_rings(self) -> None:
        """Makes a first message of one in each ring, so that all can be reached from the top."""
        reached: set[int] = set()
        self._reach(None, reached)
        for message in self._messages:
            if message not in reached:
                self._children[self._parents[message]].remove(message)
                self._parents[message] = None
                self._children[None].append(message)
                reached.add(message)
                self._reach(message, reached)

    def _reach(self, top: int | None, reached: set[int]) -> None:
        todo = [top]
        while todo:
            for child in self._children.get(todo.pop(), ()):
                if child not in reached:
                    reached.add(child)
                    todo.append(child)
