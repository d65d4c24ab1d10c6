"""Chats as one page of HTML that needs nothing else, and as what is printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from markdown_it import MarkdownIt
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.tasklists import tasklists_plugin
from PySide6.QtCore import QMarginsF
from PySide6.QtGui import QPagedPaintDevice, QPageLayout, QPageSize, QPdfWriter, QTextDocument

from app.exchange.writing import NAMES
from app.store.records import Conversation, StoredMessage
from app.store.tree import Tree
from app.words import now, translate
from resources.theme import LIGHT

Exported = tuple[Conversation, Sequence[StoredMessage]]
"""A chat with the messages of all its branches."""

STYLE: Final = """
body { font-family: sans-serif; color: $text; background: $surface; max-width: 45em;
       margin: 2em auto; padding: 0 1em; line-height: 1.5; }
h1 { font-size: 1.4em; }
.who { color: $muted; font-size: 0.85em; margin-top: 1.6em; }
.user { background: $user; border-radius: 12px; padding: 0.1em 1em; }
.thought { color: $muted; }
pre { background: $code_back; border: 1px solid $line; border-radius: 8px; padding: 0.8em 1em;
      overflow-x: auto; white-space: pre-wrap; }
code { background: $code_back; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid $line; padding: 0.3em 0.8em; text-align: left; }
blockquote { border-left: 3px solid $thumb; margin-left: 0; padding-left: 1em; color: $muted; }
"""
MARGIN_MM: Final = 18.0
PRINTED_PT: Final = 10


def as_html(chats: Iterable[Exported]) -> str:
    """The branches that are shown. HTML in a message is shown as it was written, and no picture is
    fetched."""
    parser = _parser()
    bodies = [body for chat in chats for body in _chat(parser, *chat)]
    style = Template(STYLE).substitute(asdict(LIGHT))
    head = f'<meta charset="utf-8"><title>Hearth</title><style>{style}</style>'
    body = "\n".join(bodies)
    return f"<!DOCTYPE html>\n<html><head>{head}</head><body>\n{body}\n</body></html>\n"


def write_pdf(html: str, path: Path) -> int:
    """Returns the number of bytes; in any thread. Raises OSError."""
    path.touch()  # what is wrong with the place is said by an OSError, which Qt has none of
    writer = QPdfWriter(str(path))
    writer.setPageSize(QPageSize(QPageSize.PageSizeId.A4))
    margins = QMarginsF(MARGIN_MM, MARGIN_MM, MARGIN_MM, MARGIN_MM)
    writer.setPageMargins(margins, QPageLayout.Unit.Millimeter)
    draw(html, writer)
    return path.stat().st_size


def draw(html: str, device: QPagedPaintDevice) -> None:
    """Page by page."""
    document = QTextDocument()
    font = document.defaultFont()
    font.setPointSize(PRINTED_PT)
    document.setDefaultFont(font)
    document.setHtml(html)
    document.print_(device)


def _chat(
    parser: MarkdownIt, conversation: Conversation, messages: Sequence[StoredMessage]
) -> list[str]:
    parts = [f"<h1>{escape(conversation.title)}</h1>"]
    for message in Tree(list(messages), conversation.leaf).path:
        parts.append(f'<p class="who">{escape(_heading(message))}</p>')
        if message.thinking.text:
            thought = parser.render(message.thinking.text)
            said = escape(now(translate("ExchangePage", "Thought")))
            parts.append(f'<div class="thought"><p><i>{said}</i></p>{thought}</div>')
        if message.role == "user":
            lines = escape(message.content).replace("\n", "<br>")
            parts.append(f'<div class="user"><p>{lines}</p></div>')
            parts += [
                f"<p><b>{escape(each.name)}</b></p><pre>{escape(each.content)}</pre>"
                for each in message.attachments
            ]
        else:
            parts.append(parser.render(message.content, {"docId": str(message.id)}))
    return parts


def _heading(message: StoredMessage) -> str:
    parts = [now(NAMES[message.role]), message.model]
    if message.created_at:
        when = datetime.fromtimestamp(message.created_at).astimezone()
        parts.append(when.strftime("%Y-%m-%d %H:%M"))
    return " · ".join(part for part in parts if part)


def _parser() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False, "maxNesting": 40})
    made.enable(["table", "strikethrough"]).disable("image")
    return made.use(footnote_plugin).use(tasklists_plugin)
