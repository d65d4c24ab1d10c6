"""A model's chat template: a stranger's program, run in jinja2's sandbox.

It runs in a process that others can do without: `prompt_child`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_TEXT: Final = 20_000_000
"""Characters that a rendering may have; a long conversation has half a million."""

Message = Mapping[str, Any]
"""A role, and a content: a text, or a list of parts of it."""


class TemplateError(Exception):
    """The template refused these messages, or failed at them; the message says why."""


class Generation(Extension):
    """`{% generation %}`, with which training marks the replies: its body is rendered as it is."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("body"), [], [], body).set_lineno(line)

    def body(self, caller: Callable[[], str]) -> str:
        return caller()


class Dict:
    """`dict` without what the type itself has."""

    def __call__(self, *args: Any, **items: Any) -> dict[Any, Any]:
        return dict(*args, **items)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


class Namespace(jinja2.utils.Namespace):
    """Without underscored names, by which Python's internals could be reached."""

    def __init__(*args: Any, **names: Any) -> None:  # `self` may be one of the names
        attributes = dict(*args[1:], **names)
        for name in attributes:
            check_name(name)
        jinja2.utils.Namespace.__init__(args[0], attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        check_name(name)
        super().__setitem__(name, value)


def check_name(name: Any) -> None:
    if str(name).startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a namespace may not have the name {name!r}")


def environment() -> ImmutableSandboxedEnvironment:
    """As transformers' `_compile_jinja_template` has it: templates are written for that."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = strftime_now
    made.globals["dict"] = Dict()
    made.globals["namespace"] = Namespace
    return made


def tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def raise_exception(message: str) -> NoReturn:
    raise jinja2.exceptions.TemplateError(message)


def strftime_now(layout: str) -> str:
    return datetime.now().astimezone().strftime(layout)


class ChatTemplate:
    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        """`variables`: the model's special tokens, by the names that templates know them by."""
        self._text = text
        self._variables = variables

    def render(self, messages: Sequence[Message]) -> str:
        """The conversation as a text, up to where the reply begins. Raises TemplateError."""
        try:
            return self._rendered(messages)
        except Exception as error:
            raise TemplateError(str(error) or type(error).__name__) from error

    @cached_property
    def _compiled(self) -> jinja2.Template:
        return environment().from_string(self._text)

    def _rendered(self, messages: Sequence[Message]) -> str:
        variables = {
            "add_generation_prompt": True,
            "tools": None,
            "documents": None,
            **self._variables,
        }
        pieces, length = [], 0
        for piece in self._compiled.generate(messages=messages, **variables):
            pieces.append(piece)
            length += len(piece)
            if length > MAX_TEXT:
                raise ValueError(f"it writes more than {MAX_TEXT:,} characters")
        text = "".join(pieces)
        text.encode()  # half of a surrogate pair, which a template can spell, is no text
        return text
