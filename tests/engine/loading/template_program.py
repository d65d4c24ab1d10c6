"""A process that only renders templates, within the limits of the one that makes prompts."""

from __future__ import annotations

from typing import Any

from engine.loading.sandbox import child_loop, prompt_child
from engine.loading.sandbox.chat_template import ChatTemplate


def answer(request: dict[str, Any] | None) -> str:
    if request is None:
        return ""
    return ChatTemplate(request["template"], {}).render(request["messages"])


if __name__ == "__main__":
    child_loop.limit_memory(prompt_child.MEMORY)
    child_loop.serve(answer)
