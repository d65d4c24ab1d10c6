"""The errors a person may see: what happened, and what to do. They cross the pipe as data."""

from __future__ import annotations

from typing import Final

SHOWN: Final = 80
REASON: Final = 200
"""Characters of a value, and of why a library refused something, in a message."""


def shown(value: object) -> str:
    """For a message: what stands in a file may be as long as the file, and unprintable."""
    text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def reason(error: Exception) -> str:
    """What a library says, in one line, to stand in a sentence."""
    said = " ".join(str(error).split()) or type(error).__name__
    # It may quote what a file says, and half of a surrogate pair cannot cross the pipe.
    return said[:REASON].encode("utf-8", "backslashreplace").decode()[:REASON].rstrip(".")


class HearthError(Exception):
    """Base of all errors meant for a person; `title` names it, `hint` says what to do."""

    code = "internal"
    title = "Something went wrong in the engine"
    default_hint = "Try again; if it happens again, the log file says more."

    def __init__(self, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint or self.default_hint


class CheckpointError(HearthError):
    code = "checkpoint"
    title = "This model cannot be opened"
    default_hint = "Download the file again, or choose another model."


class UnsupportedError(HearthError):
    code = "unsupported"
    title = "This model is not supported"
    default_hint = "Choose another model, or another file of this one."


class AttentionError(HearthError):
    code = "attention"
    title = "Flash attention was asked for and is not possible here"
    default_hint = "Set flash attention to auto or off."


class PromptError(HearthError):
    code = "prompt"
    title = "This prompt cannot be sent"
    default_hint = "Change the prompt and send it again."


class PromptTooLongError(PromptError):
    """The context cannot hold it."""

    code = "context"


class SettingError(HearthError):
    code = "setting"
    title = "This setting is not possible"
    default_hint = "Choose another value."


class OutOfMemoryError(HearthError):
    code = "memory"
    title = "There is not enough memory"
    default_hint = "Choose a smaller model or a shorter context, or close other programs."

    @classmethod
    def offering(cls, context: int, detail: str) -> OutOfMemoryError:
        """With a context, in tokens, that would fit; 0 where none would."""
        if not context:
            return cls(detail, "Choose a smaller model, or close other programs.")
        return cls(
            detail,
            f"Load the model with a context of {context:,} tokens, choose a smaller model, or "
            "close other programs.",
        )


class StorageError(HearthError):
    code = "storage"
    title = "A file could not be read or written"
    default_hint = "Check the free space and the permissions of the folder, then try again."
