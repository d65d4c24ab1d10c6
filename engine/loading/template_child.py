"""The process that renders chat templates, which are programs of strangers.

A request is an object (template, messages, variables), the answer a text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine.loading import child_loop

MEMORY = 1 << 30
"""Bytes of address space."""
MAX_TEXT = 20_000_000
"""Characters that a rendering may have; a long conversation has half a million."""


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


def render(request: dict[str, Any]) -> str:
    text = (
        environment()
        .from_string(request["template"])
        .render(
            messages=request["messages"],
            add_generation_prompt=True,
            tools=None,
            documents=None,
            **request["variables"],
        )
    )
    if len(text) > MAX_TEXT:
        raise ValueError(f"it wrote {len(text):,} characters")
    text.encode()  # half of a surrogate pair, which a template can spell, is no text
    return text


if __name__ == "__main__":
    child_loop.limit_memory(MEMORY)
    child_loop.serve(render)
