"""The process that renders chat templates, which are programs of strangers.

Started by path, so that nothing of Hearth and no torch is imported. One JSON object a line in
(template, messages, variables), one out (text or error). Whoever starts it sets the time limit.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

MEMORY = 1 << 30
"""Bytes of address space."""


def environment() -> ImmutableSandboxedEnvironment:
    """As transformers' `_compile_jinja_template` has it: templates are written for that."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = strftime_now
    return made


def tojson(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def raise_exception(message: str) -> NoReturn:
    raise jinja2.exceptions.TemplateError(message)


def strftime_now(layout: str) -> str:
    return datetime.now().astimezone().strftime(layout)


def render(request: dict[str, Any]) -> dict[str, str]:
    try:
        template = environment().from_string(request["template"])
        text = template.render(
            messages=request["messages"],
            add_generation_prompt=True,
            tools=None,
            documents=None,
            **request["variables"],
        )
    except Exception as error:  # noqa: BLE001 - whatever a template does wrong is its error
        return {"error": str(error) or type(error).__name__}
    return {"text": text}


def limit_memory() -> None:
    if sys.platform != "win32":
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))


def main() -> None:
    limit_memory()
    for line in sys.stdin.buffer:
        answer = json.dumps(render(json.loads(line)))
        sys.stdout.buffer.write(answer.encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
