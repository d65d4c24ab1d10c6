"""Chats read from files: Hearth's own, ChatGPT's and Open WebUI's exports, LM Studio's
conversations, and lists of messages as OpenAI's interface takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from app import number_format
from app.store.chat import VERSION, Chat, File, Message
from app.store.records import moment
from app.words import now, translate

LARGEST: Final = 500 * 2**20
"""Bytes of a file that is read."""

NAMELESS: Final = translate("ExchangeReading", "Imported chat")
_ROLES: Final = {"system": "system", "developer": "system", "user": "user", "human": "user"} | {
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
}

Json = Any


class ImportProblemError(Exception):
    """Sentences: what is wrong with the file, and what to do."""

    def __init__(self, sentences: str) -> None:
        super().__init__(sentences)
        self.sentences = sentences


def read_file(path: Path) -> list[Chat]:
    """Raises ImportProblemError."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise ImportProblemError(
                translate(
                    "ExchangeReading",
                    "{name} has {size} MB; files of up to {largest} MB are read. Export fewer "
                    "chats at once.",
                ).format(
                    name=path.name,
                    size=number_format.count(size // 2**20),
                    largest=LARGEST // 2**20,
                )
            )
        content = path.read_bytes()
    except OSError as error:
        raise ImportProblemError(
            translate(
                "ExchangeReading",
                "{name} cannot be read: {strerror}. Check that it is still there and that "
                "you may read it.",
            ).format(name=path.name, strerror=error.strerror or error)
        ) from error
    return read(content, path.name)


def read(content: bytes, name: str) -> list[Chat]:
    """The chats of a file; those without a message are left out. Raises ImportProblemError."""
    found = _decoded(content, name)
    if isinstance(found, dict) and "hearth" in found:
        return _own(found, name)
    chats = [chat for entry in _entries(found) if (chat := _chat(entry)) and chat.messages]
    if not chats:
        raise ImportProblemError(
            translate(
                "ExchangeReading",
                "No chat was found in {name}. Hearth reads its own JSON, conversations.json "
                "of ChatGPT's export, Open WebUI's export, LM Studio's conversations, and "
                "lists of messages with role and content.",
            ).format(name=name)
        )
    return chats


def _decoded(content: bytes, name: str) -> Json:
    if not content.strip():
        raise ImportProblemError(translate("ExchangeReading", "{name} is empty.").format(name=name))
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        lines = [line for line in content.splitlines() if line.strip()]
        if len(lines) > 1:
            try:
                return [msgspec.json.decode(line) for line in lines]
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                pass
        raise ImportProblemError(
            translate(
                "ExchangeReading",
                "{name} is not whole JSON: {error}. If it came out of an archive, unpack it "
                "again; choose the .json file in it.",
            ).format(name=name, error=error)
        ) from error


def _own(found: Json, name: str) -> list[Chat]:
    try:
        file = msgspec.convert(found, File)
    except msgspec.ValidationError as error:
        raise ImportProblemError(
            translate("ExchangeReading", "{name} is not as Hearth wrote it: {error}.").format(
                name=name, error=error
            )
        ) from error
    if file.hearth > VERSION:
        raise ImportProblemError(
            translate(
                "ExchangeReading",
                "A newer version of Hearth wrote {name}. Install that version to read it.",
            ).format(name=name)
        )
    return list(file.chats)


def _entries(found: Json) -> list[Json]:
    """What may be a chat each: a list of messages is one."""
    if isinstance(found, dict):
        inner = found.get("conversations") or found.get("chats")
        return inner if isinstance(inner, list) else [found]
    if isinstance(found, list):
        return [{"messages": found}] if found and _is_message(found[0]) else found
    return []


def _is_message(value: Json) -> bool:
    return isinstance(value, dict) and "role" in value and "content" in value


def _chat(entry: Json) -> Chat | None:
    if isinstance(entry, list):
        entry = {"messages": entry}
    if not isinstance(entry, dict):
        return None
    for fits, make in _FORMS:
        if fits(entry):
            return make(entry)
    return None


# ---------------------------------------------------------------------------- forms


def _chatgpt(entry: Json) -> Chat:
    """`mapping`: nodes by id, with parent; `current_node`: where one was last."""
    nodes = {key: node for key, node in entry["mapping"].items() if isinstance(node, dict)}
    messages = {}
    for key, node in nodes.items():
        said = node.get("message")
        if isinstance(said, dict):
            messages[key] = _message(
                key,
                _dict(said.get("author")).get("role"),
                _parts(_dict(said.get("content")).get("parts")),
                said.get("create_time"),
                _dict(said.get("metadata")).get("model_slug"),
            )
    parents = {key: node.get("parent") for key, node in nodes.items()}
    return _made(entry, messages, parents, entry.get("current_node"), "create_time", "update_time")


def _open_webui(entry: Json) -> Chat:
    """`chat.history.messages`: by id, with parentId; `currentId`."""
    history = entry["chat"]["history"]
    nodes = {key: node for key, node in history["messages"].items() if isinstance(node, dict)}
    messages = {
        key: _message(
            key, node.get("role"), _parts(node.get("content")), node.get("timestamp"),
            node.get("model"),
        )
        for key, node in nodes.items()
    }  # fmt: skip
    parents = {key: node.get("parentId") for key, node in nodes.items()}
    return _made(entry, messages, parents, history.get("currentId"), "created_at", "updated_at")


def _lm_studio(entry: Json) -> Chat:
    """`messages`: each with versions, of which one is selected; a reply has steps."""
    messages: dict[str, Message | None] = {}
    parents: dict[str, Json] = {}
    before: str | None = None
    chosen = None
    for place, turn in enumerate(_list(entry["messages"])):
        versions = _list(_dict(turn).get("versions"))
        selected = _dict(turn).get("currentlySelected", 0)
        for number, version in enumerate(versions):
            key = f"{place}.{number}"
            known = _dict(version)
            steps = [_parts(_dict(step).get("content")) for step in _list(known.get("steps"))]
            words = _parts(known.get("content")) or "\n\n".join(filter(None, steps))
            messages[key], parents[key] = _message(key, known.get("role"), words), before
        key = f"{place}.{selected}"
        if messages.get(key):
            before = chosen = key
    named = {"title": entry.get("name"), "create_time": _seconds(entry.get("createdAt"))}
    return _made(named, messages, parents, chosen, "create_time", "create_time")


def _message_list(entry: Json) -> Chat:
    """`messages`: role and content, one behind the other."""
    messages: dict[str, Message | None] = {}
    parents: dict[str, Json] = {}
    before: str | None = None
    for place, said in enumerate(_list(entry.get("messages") or entry.get("conversation"))):
        known, key = _dict(said), str(place)
        role = known.get("role") or known.get("from")
        words = _parts(known.get("content") or known.get("value"))
        messages[key] = _message(key, role, words, known.get("created_at"), known.get("model"))
        parents[key] = before
        before = key if messages[key] else before
    return _made(entry, messages, parents, before, "created_at", "updated_at")


def _has(*names: str) -> Callable[[Json], bool]:
    def has(entry: Json) -> bool:
        for name in names:
            entry = entry.get(name) if isinstance(entry, dict) else None
        return isinstance(entry, dict | list)

    return has


def _has_versions(entry: Json) -> bool:
    messages = _list(entry.get("messages"))
    return bool(messages) and "versions" in _dict(messages[0])


_FORMS: Final[tuple[tuple[Callable[[Json], bool], Callable[[Json], Chat]], ...]] = (
    (_has("mapping"), _chatgpt),
    (_has("chat", "history", "messages"), _open_webui),
    (_has_versions, _lm_studio),
    (_has("messages"), _message_list),
    (_has("conversation"), _message_list),
)
"""What tells a form, and what reads it; the first that fits."""


# ---------------------------------------------------------------------------- parts


def _message(key: str, role: Json, words: str, at: Json = 0, model: Json = "") -> Message | None:
    """None for what is no turn of a chat: tools, pictures alone, empty system messages."""
    known = _ROLES.get(role) if isinstance(role, str) else None
    if known is None or not words.strip():
        return None
    return Message(
        id=key,
        role=known,  # type: ignore[arg-type]
        content=words,
        created_at=_seconds(at),
        model=model if isinstance(model, str) else "",
    )


def _made(
    entry: Json,
    messages: dict[str, Message | None],
    parents: dict[str, Json],
    chosen: Json,
    created: str,
    updated: str,
) -> Chat:
    """The chat of those that are turns, each behind the next turn above it."""
    listed = []
    for key in _downwards(parents):
        message = messages.get(key)
        if message:
            above = _turn_above(parents.get(key), parents, messages)
            listed.append(msgspec.structs.replace(message, parent=above))
    title = entry.get("title") or _dict(entry.get("chat")).get("title")
    times = [message.created_at for message in listed if message.created_at]
    return Chat(
        title=title.strip() if isinstance(title, str) and title.strip() else now(NAMELESS),
        messages=tuple(listed),
        created_at=_seconds(entry.get(created)) or min(times, default=0.0),
        updated_at=_seconds(entry.get(updated)) or max(times, default=0.0),
        chosen=_turn_above(chosen, parents, messages),
    )


def _downwards(parents: dict[str, Json]) -> Iterator[str]:
    """Every node, parents before their children; each of a ring once."""
    children: dict[Json, list[str]] = {}
    for key, parent in parents.items():
        above = parent if isinstance(parent, str) and parent in parents else None
        children.setdefault(above, []).append(key)
    seen: set[str] = set()
    for start in (*children.get(None, ()), *parents):
        todo = [start]
        while todo:
            key = todo.pop()
            if key not in seen:
                seen.add(key)
                yield key
                todo += reversed(children.get(key, []))


def _turn_above(
    key: Json, parents: dict[str, Json], messages: dict[str, Message | None]
) -> str | None:
    """This node, or the first above it that is a turn."""
    seen: set[str] = set()
    while isinstance(key, str) and key in parents and key not in seen:
        if messages.get(key):
            return key
        seen.add(key)
        key = parents.get(key)
    return None


def _parts(content: Json) -> str:
    """Text, or the texts in a list of parts; pictures and the like are left out."""
    if isinstance(content, str):
        return content
    texts = []
    for part in _list(content):
        text = part if isinstance(part, str) else _dict(part).get("text")
        if isinstance(text, str) and text:
            texts.append(text)
    return "\n\n".join(texts)


def _seconds(at: Json) -> float:
    """Seconds since the epoch, also of milliseconds; 0 for what is no time."""
    if isinstance(at, bool) or not isinstance(at, int | float):
        return 0.0
    return moment(at / 1000 if at > 1e11 else at)


def _dict(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
