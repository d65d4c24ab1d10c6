"""The settings: one table of rows, from which page, search and storage are made.

What a row sets holds for all chats, as a field of Settings. A layer, of a model, a preset or a
chat, sets some of them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal, get_args

import msgspec

from app.language import LANGUAGES, Language
from app.words import Words, joined, number, translate
from engine import protocol

ThemeName = Literal["system", "light", "dark", "contrast"]
Enter = Literal["sends", "new_line"]
FullContext = Literal["ask", "leave_out"]

Values = Mapping[str, Any]
"""Of a layer: by a row's name, what it sets. What has no name here is as below the layer."""

NORMAL_SIZE: Final = 100


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
    full_context: FullContext = "ask"
    context_length: int | None = None
    dtype: protocol.Dtype = "auto"
    theme: ThemeName = "system"
    text_size: int = NORMAL_SIZE
    """Percent of the system's."""
    language: Language | Literal["system"] = "system"
    enter: Enter = "sends"
    motion: Literal["system", "none"] = "system"
    notify: Literal["yes", "no"] = "yes"

    @property
    def sampling(self) -> protocol.Sampling:
        names = {field.name for field in fields(self)} & set(protocol.Sampling.__struct_fields__)
        return protocol.Sampling(**{name: getattr(self, name) for name in names})


Layer = Literal["none", "model", "chat"]
"""What may set a row anew: nothing, a model alone, or models, presets and chats."""


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
    layer: Layer = "none"

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
        translate("SettingsValues", "Stands unseen before the chat"),
        layer="chat",
    ),
    Row(
        "temperature",
        REPLIES,
        translate("SettingsValues", "Temperature"),
        translate("SettingsValues", "Low: steady answers. High: more surprising ones."),
        *(0, 2, 0.05),
        layer="chat",
    ),
    Row(
        "top_p",
        REPLIES,
        translate("SettingsValues", "Variety (top-p)"),
        translate("SettingsValues", "How far down the list of likely words to look"),
        *(0.01, 1, 0.01),
        layer="chat",
    ),
    Row(
        "top_k",
        REPLIES,
        translate("SettingsValues", "Most words (top-k)"),
        translate("SettingsValues", "How many likely words are looked at; 0 for all"),
        *(0, 1000, 1),
        layer="chat",
    ),
    Row(
        "min_p",
        REPLIES,
        translate("SettingsValues", "Least share (min-p)"),
        translate("SettingsValues", "How likely a word is at least, beside the likeliest"),
        *(0, 1, 0.01),
        layer="chat",
    ),
    Row(
        "repetition_penalty",
        REPLIES,
        translate("SettingsValues", "Against repetition"),
        translate("SettingsValues", "Above 1: words that were said come less often"),
        *(0.5, 2, 0.05),
        layer="chat",
    ),
    Row(
        "presence_penalty",
        REPLIES,
        translate("SettingsValues", "Presence penalty"),
        translate("SettingsValues", "For each word that the reply has used at all"),
        *(-2, 2, 0.1),
        layer="chat",
    ),
    Row(
        "frequency_penalty",
        REPLIES,
        translate("SettingsValues", "Frequency penalty"),
        translate("SettingsValues", "For each time that the reply has used a word"),
        *(-2, 2, 0.1),
        layer="chat",
    ),
    Row(
        "seed",
        REPLIES,
        translate("SettingsValues", "Seed"),
        translate("SettingsValues", "The same number gives the same reply again"),
        *(0, 2**31 - 1, 1),
        layer="chat",
    ),
    Row(
        "max_new_tokens",
        REPLIES,
        translate("SettingsValues", "Longest reply"),
        translate("SettingsValues", "In tokens; thinking counts"),
        *(1, 1_000_000, 1),
        layer="chat",
    ),
    Row(
        "stop",
        REPLIES,
        translate("SettingsValues", "Stop at"),
        translate("SettingsValues", "A reply ends before one of these texts, one a line"),
        layer="chat",
    ),
    Row(
        "full_context",
        REPLIES,
        translate("SettingsValues", "When the context is full"),
        translate("SettingsValues", "The model cannot see more than its context at once"),
        choices=(
            ("ask", translate("SettingsValues", "Ask")),
            ("leave_out", translate("SettingsValues", "Leave out the oldest")),
        ),
        layer="chat",
    ),
    Row(
        "context_length",
        MODEL,
        translate("SettingsValues", "Context length"),
        translate("SettingsValues", "In tokens, at the next load; the longer, the more memory"),
        *(256, 10_000_000, 1),
        layer="chat",
    ),
    Row(
        "dtype",
        MODEL,
        translate("SettingsValues", "Numbers of the model"),
        translate("SettingsValues", "At the next load; automatic fits the device"),
        choices=(
            ("auto", translate("SettingsValues", "Automatic")),
            *((name, name) for name in get_args(protocol.Dtype) if name not in ("auto", "q8")),
            ("q8", translate("SettingsValues", "8 bits, half the memory")),
        ),
        layer="model",
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
        "text_size",
        WINDOW,
        translate("SettingsValues", "Text size"),
        translate("SettingsValues", "In percent; also Ctrl++, Ctrl+- and Ctrl+0"),
        *(80, 160, 10),
    ),
    Row(
        "language",
        WINDOW,
        translate("SettingsValues", "Language"),
        translate("SettingsValues", "Of this window; a model answers as it is asked"),
        choices=(
            ("system", translate("SettingsValues", "As the system")),
            *LANGUAGES.items(),
        ),
    ),
    Row(
        "enter",
        WINDOW,
        translate("SettingsValues", "Enter"),
        translate("SettingsValues", "Shift+Enter does the other"),
        choices=(
            ("sends", translate("SettingsValues", "Sends")),
            ("new_line", translate("SettingsValues", "Begins a line")),
        ),
    ),
    Row(
        "motion",
        WINDOW,
        translate("SettingsValues", "Motion"),
        translate("SettingsValues", "What opens or folds moves for a moment"),
        choices=(
            ("system", translate("SettingsValues", "As the system")),
            ("none", translate("SettingsValues", "None")),
        ),
    ),
    Row(
        "notify",
        WINDOW,
        translate("SettingsValues", "Say when a reply is ready"),
        translate("SettingsValues", "If it took long and the window is not in front"),
        choices=(
            ("yes", translate("SettingsValues", "Yes")),
            ("no", translate("SettingsValues", "No")),
        ),
    ),
)

OF_CHATS: Final = tuple(row for row in ROWS if row.layer == "chat")
"""The rows that a chat or a preset can set anew."""

OF_MODELS: Final = tuple(row for row in ROWS if row.layer != "none")
"""The rows that a model can set anew."""


def read(text: str) -> Settings:
    """The settings in this JSON; what is not there, or is no value, is as it was made."""
    return over(Settings(), fitting(read_object(text)))


def write(settings: Settings) -> str:
    """JSON of what is not as it was made."""
    made = asdict(Settings())
    own = {name: value for name, value in asdict(settings).items() if value != made[name]}
    return msgspec.json.encode(own).decode()


def read_object(text: str) -> dict[str, Any]:
    """The object in this JSON; an empty one for anything else."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return {}


def changed(settings: Settings, name: str, value: object) -> Settings | None:
    """The settings with this value, if it is one of this name."""
    row = row_of(name)
    if row is None or not _fits(row, value):
        return None
    if name == "stop":
        assert isinstance(value, list | tuple)  # noqa: S101
        value = tuple(value)
    return replace(settings, **{name: value})  # type: ignore[arg-type]


def fitting(values: object, rows: tuple[Row, ...] = ROWS) -> dict[str, Any]:
    """Those of the values that these rows can set, whoever wrote them."""
    if not isinstance(values, Mapping):
        return {}
    by_name = {row.name: row for row in rows}
    return {
        name: value
        for name, value in values.items()
        if name in by_name and _fits(by_name[name], value)
    }


def over(settings: Settings, *layers: Values) -> Settings:
    """The settings with what the layers set anew, each over those before it."""
    for layer in layers:
        for name, value in layer.items():
            settings = changed(settings, name, value) or settings
    return settings


def row_of(name: str) -> Row | None:
    return next((row for row in ROWS if row.name == name), None)


def shown_value(value: object) -> Words:
    """A value as a person reads it: 0.05, 2,048, END · ###."""
    if isinstance(value, list | tuple):
        return joined(" · ", (str(text).replace("\n", "↵") for text in value))
    if isinstance(value, int | float):
        digits = 0 if value == int(value) else len(f"{value:.4f}".rstrip("0").split(".")[1])
        return Words(lambda: number(value, digits))
    return Words(lambda: str(value))


def _fits(row: Row, value: object) -> bool:
    if row.is_number:
        kinds = int if row.is_whole else (int, float)
        is_one = isinstance(value, kinds) and not isinstance(value, bool)
        if value is None:
            return getattr(Settings(), row.name) is None
        return is_one and row.low <= value <= row.high  # type: ignore[operator]
    if row.choices:
        return value in {choice for choice, _ in row.choices}
    if row.name == "stop":
        return isinstance(value, list | tuple) and all(
            isinstance(text, str) and text for text in value
        )
    return isinstance(value, str)


assert {row.name for row in ROWS} == {field.name for field in fields(Settings)}  # noqa: S101
assert set(get_args(ThemeName)) == {c for r in ROWS if r.name == "theme" for c, _ in r.choices}  # noqa: S101
