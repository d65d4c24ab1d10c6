"""The settings as one frozen value, checked where they come in, and kept as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal, get_args

import msgspec

from app.words import translate
from engine import protocol

ThemeName = Literal["system", "light", "dark", "contrast"]
Enter = Literal["sends", "new_line"]


@dataclass(frozen=True)
class Settings:
    """None means: what the model's own files say, else what the engine takes."""

    system_prompt: str = ""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_new_tokens: int | None = None
    context_length: int | None = None
    theme: ThemeName = "system"
    enter: Enter = "sends"

    @property
    def sampling(self) -> protocol.Sampling:
        names = {field.name for field in fields(self)} & set(protocol.Sampling.__struct_fields__)
        return protocol.Sampling(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class Row:
    """One setting on the page."""

    name: str
    section: str
    title: str
    sentence: str
    low: float = 0.0
    high: float = 0.0
    """Of a number."""
    step: float = 0.0
    """Of a number; a whole one counts in whole numbers."""
    choices: tuple[tuple[str, str], ...] = ()
    """Value and words of each."""

    @property
    def is_number(self) -> bool:
        return self.step > 0

    @property
    def is_whole(self) -> bool:
        return self.is_number and self.step == int(self.step)


REPLIES: Final = translate("SettingsValues", "Replies")
MODEL: Final = translate("SettingsValues", "Model")
WINDOW: Final = translate("SettingsValues", "Window")

ROWS: Final[tuple[Row, ...]] = (
    Row(
        "system_prompt",
        REPLIES,
        translate("SettingsValues", "System prompt"),
        translate("SettingsValues", "Stands unseen before every chat"),
    ),
    Row(
        "temperature",
        REPLIES,
        translate("SettingsValues", "Temperature"),
        translate("SettingsValues", "Low: steady answers. High: more surprising ones."),
        0,
        2,
        0.05,
    ),
    Row(
        "top_p",
        REPLIES,
        translate("SettingsValues", "Variety (top-p)"),
        translate("SettingsValues", "How far down the list of likely words to look"),
        0.01,
        1,
        0.01,
    ),
    Row(
        "top_k",
        REPLIES,
        translate("SettingsValues", "Most words (top-k)"),
        translate("SettingsValues", "How many likely words are looked at; 0 for all"),
        0,
        1000,
        1,
    ),
    Row(
        "min_p",
        REPLIES,
        translate("SettingsValues", "Least share (min-p)"),
        translate("SettingsValues", "How likely a word is at least, beside the likeliest"),
        0,
        1,
        0.01,
    ),
    Row(
        "repetition_penalty",
        REPLIES,
        translate("SettingsValues", "Against repetition"),
        translate("SettingsValues", "Above 1: words that were said come less often"),
        0.5,
        2,
        0.05,
    ),
    Row(
        "presence_penalty",
        REPLIES,
        translate("SettingsValues", "Presence penalty"),
        translate("SettingsValues", "For each word that the reply has used at all"),
        -2,
        2,
        0.1,
    ),
    Row(
        "frequency_penalty",
        REPLIES,
        translate("SettingsValues", "Frequency penalty"),
        translate("SettingsValues", "For each time that the reply has used a word"),
        -2,
        2,
        0.1,
    ),
    Row(
        "seed",
        REPLIES,
        translate("SettingsValues", "Seed"),
        translate("SettingsValues", "The same number gives the same reply again"),
        0,
        2**31 - 1,
        1,
    ),
    Row(
        "max_new_tokens",
        REPLIES,
        translate("SettingsValues", "Longest reply"),
        translate("SettingsValues", "In tokens; thinking counts"),
        1,
        1_000_000,
        1,
    ),
    Row(
        "stop",
        REPLIES,
        translate("SettingsValues", "Stop at"),
        translate("SettingsValues", "A reply ends before one of these texts, one a line"),
    ),
    Row(
        "context_length",
        MODEL,
        translate("SettingsValues", "Context length"),
        translate("SettingsValues", "In tokens, at the next load; the longer, the more memory"),
        256,
        10_000_000,
        1,
    ),
    Row(
        "theme",
        WINDOW,
        translate("SettingsValues", "Colours"),
        translate("SettingsValues", "Changes show at once"),
        choices=(
            ("system", translate("SettingsValues", "As the system")),
            ("light", translate("SettingsValues", "Light")),
            ("dark", translate("SettingsValues", "Dark")),
            ("contrast", translate("SettingsValues", "High contrast")),
        ),
    ),
    Row(
        "enter",
        WINDOW,
        "Enter",
        "Shift+Enter does the other",
        choices=(
            ("sends", translate("SettingsValues", "Sends")),
            ("new_line", translate("SettingsValues", "Begins a line")),
        ),
    ),
)


def read(text: str) -> Settings:
    """The settings in this JSON; what is not there, or is no value, is as it was made."""
    try:
        found = msgspec.json.decode(text or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        found = {}
    settings = Settings()
    for name, value in found.items():
        settings = changed(settings, name, value) or settings
    return settings


def write(settings: Settings) -> str:
    """JSON of what is not as it was made."""
    made = asdict(Settings())
    own = {name: value for name, value in asdict(settings).items() if value != made[name]}
    return msgspec.json.encode(own).decode()


def changed(settings: Settings, name: str, value: object) -> Settings | None:
    """The settings with this value, if it is one of this name."""
    row = next((row for row in ROWS if row.name == name), None)
    if row is None or not _fits(row, value):
        return None
    if name == "stop":
        assert isinstance(value, list | tuple)  # noqa: S101
        value = tuple(value)
    return replace(settings, **{name: value})  # type: ignore[arg-type]


def _fits(row: Row, value: object) -> bool:
    if row.is_number:
        kinds = int if row.is_whole else (int, float)
        is_one = isinstance(value, kinds) and not isinstance(value, bool)
        return value is None or (is_one and row.low <= value <= row.high)  # type: ignore[operator]
    if row.choices:
        return value in {choice for choice, _ in row.choices}
    if row.name == "stop":
        return isinstance(value, list | tuple) and all(
            isinstance(text, str) and text for text in value
        )
    return isinstance(value, str)


assert {row.name for row in ROWS} == {field.name for field in fields(Settings)}  # noqa: S101
assert set(get_args(ThemeName)) == {c for r in ROWS if r.name == "theme" for c, _ in r.choices}  # noqa: S101
