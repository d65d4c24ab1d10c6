"""What window and engine say to each other: one JSON object a line, nothing else on the pipe.

Commands go to the engine, events come back. The first event is `Hello` with `PROTOCOL_VERSION`; a
window that reads another version must not go on. This module imports neither torch nor Qt and is
the only part of `engine` that `app` imports.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Annotated, Final, Literal, get_type_hints

import msgspec

PROTOCOL_VERSION: Final = 6

Flash = Literal["auto", "on", "off"]
Dtype = Literal["auto", "float32", "bfloat16", "float16", "q8"]
"""What weights are held as. q8: those that are in no blocks yet are quantised as they are loaded,
and computed with in the dtype that "auto" means."""
Role = Literal["system", "user", "assistant"]
Overflow = Literal["leave_out", "refuse"]
"""What becomes of a conversation that the context cannot hold. leave_out: its oldest turns are left
out behind the system prompt, and `LeftOut` says so; refuse: it is an error."""
KEPT_FOR_REPLY: Final = 8
"""The context is divided by this: so many of its tokens are kept for a reply without a limit."""
FinishReason = Literal["stop", "length", "context", "stopped", "error"]
"""stop: end-of-turn token or stop string; length: max_new_tokens; context: the context is full;
stopped: the user's Stop; error: an `Error` event with the same request came before."""


NOT_OBSERVED: Final = "not observed"
"""What `AttentionPhase.observed` says where the profiler recorded no kernel of attention."""


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, because what crosses a pipe or a signal must not change under its reader.

    A field with a misspelt name is refused: ignored, it would be a setting that does nothing.
    """


# ---------------------------------------------------------------------------- shared parts


class Message(Struct, frozen=True, kw_only=True):
    role: Role
    content: str
    thinking: str = ""
    """What was thought before a reply. Only a reply that goes on has the model see it."""


@dataclass(frozen=True)
class Setting:
    """What a sampling setting may be, and what it is if neither request nor checkpoint says it."""

    default: float
    low: float = 0
    high: float = math.inf
    open_low: bool = False
    """Whether it must be above `low`."""
    open_high: bool = False
    """Whether it must be below `high`, which no number is if that is infinity."""
    meaning: str = ""
    """A few words on its least or neutral value."""

    def allows(self, value: float) -> bool:
        above = self.low < value if self.open_low else self.low <= value
        below = value < self.high if self.open_high else value <= self.high
        return above and below and math.isfinite(value)


class Sampling(Struct, frozen=True, kw_only=True):
    """None means: the checkpoint's generation_config, else the setting's default.

    The one definition of the sampling settings: their names, types, defaults and bounds.
    """

    temperature: Annotated[float | None, Setting(0.8, meaning="0 is greedy")] = None
    top_k: Annotated[int | None, Setting(40, meaning="0 is off")] = None
    top_p: Annotated[
        float | None, Setting(0.95, high=1, open_low=True, meaning="above 0 to 1; 1 is off")
    ] = None
    min_p: Annotated[
        float | None, Setting(0.05, high=1, open_high=True, meaning="0 to below 1; 0 is off")
    ] = None
    repetition_penalty: Annotated[float | None, Setting(1, open_low=True, meaning="1 is off")] = (
        None
    )
    presence_penalty: Annotated[float | None, Setting(0, -100, 100, meaning="0 is off")] = None
    frequency_penalty: Annotated[float | None, Setting(0, -100, 100, meaning="0 is off")] = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_new_tokens: int | None = None


SAMPLING_SETTINGS: Final[dict[str, Setting]] = {
    name: note
    for name, hint in get_type_hints(Sampling, include_extras=True).items()
    for note in getattr(hint, "__metadata__", ())
    if isinstance(note, Setting)
}
"""By name, in the order of `Sampling`."""


class ModelInfo(Struct, frozen=True, kw_only=True):
    """One checkpoint as the catalog sees it, from headers alone."""

    id: str
    """Stable name for `Load` and `hearth ask --model`: a short name, or the path for added ones."""
    name: str
    path: str
    source: Literal["embedded", "imported", "folder", "package"]
    """embedded: comes with Hearth; imported: added by the user; folder: found in the models folder;
    package: carried by an installed Python package."""
    format: Literal["gguf", "safetensors", "unknown"]
    architecture: str = ""
    parameters: int = 0
    weights: str = ""
    """Weight type as the field writes it: bf16, Q4_1, ..."""
    size_bytes: int = 0
    context_length: int = 0
    problem: str = ""
    """Why it cannot be used, as a sentence that says what to do; empty when it can."""


class AttentionPhase(Struct, frozen=True, kw_only=True):
    """Prefill or decode. `observed` is what torch.profiler recorded, never our own branch."""

    requested: Flash
    resolved: str
    observed: str
    reason: str
    flash: bool
    """True only when a CUDA flash kernel was observed."""
    max_error: float | None = None
    """Largest relative error of the probe against plain float32 attention."""


class Attention(Struct, frozen=True, kw_only=True):
    prefill: AttentionPhase
    decode: AttentionPhase


class Gpu(Struct, frozen=True, kw_only=True):
    index: int
    name: str
    memory_total_bytes: int
    driver: str = ""


# ---------------------------------------------------------------------------- commands


class Command(Struct, frozen=True, kw_only=True, tag_field="command"):
    pass


class ListModels(Command, frozen=True, kw_only=True, tag="list_models"):
    pass


class AddModel(Command, frozen=True, kw_only=True, tag="add_model"):
    """Remember a folder or GGUF file of the user's; answered by `Models` or `Error`."""

    path: str


class RemoveModel(Command, frozen=True, kw_only=True, tag="remove_model"):
    """Forget an imported model. Its files stay where they are."""

    id: str


class Load(Command, frozen=True, kw_only=True, tag="load"):
    model: str
    """An id from `Models`, a folder, or a GGUF file."""
    flash: Flash = "auto"
    dtype: Dtype = "auto"
    context_length: int | None = None


class Unload(Command, frozen=True, kw_only=True, tag="unload"):
    pass


class Generate(Command, frozen=True, kw_only=True, tag="generate"):
    """The whole conversation, last message from the user. The engine keeps no history."""

    request: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    overflow: Overflow = "leave_out"
    continues: bool = False
    """The last message is a reply that ended in the middle, with its thinking: the model goes on
    with it, as if it had not ended. Events bring what is new. Nothing is left out then."""


class Count(Command, frozen=True, kw_only=True, tag="count"):
    """How many tokens this conversation has, and what is left out if it does not fit.

    Answered by `Counted`, or by an `Error` with the same request; not at all if another command
    comes before it is done. `longest_reply`: as `Sampling.max_new_tokens`.
    """

    request: str
    messages: tuple[Message, ...]
    longest_reply: int | None = None


class Stop(Command, frozen=True, kw_only=True, tag="stop"):
    """Ends the named request, running or waiting; unknown names are ignored."""

    request: str


class Shutdown(Command, frozen=True, kw_only=True, tag="shutdown"):
    pass


# ---------------------------------------------------------------------------- events


class Event(Struct, frozen=True, kw_only=True, tag_field="event"):
    pass


class Hello(Event, frozen=True, kw_only=True, tag="hello"):
    """Sent before torch is imported."""

    protocol: int
    hearth: str
    python: str
    pid: int
    cpu_count: int
    ram_total_bytes: int
    gpus: tuple[Gpu, ...] = ()
    default_model: str = ""


class Device(Event, frozen=True, kw_only=True, tag="device"):
    """Sent once torch is there."""

    kind: Literal["cuda", "mps", "cpu"]
    name: str
    torch: str
    transformers: str
    flash_attn: str = ""
    compute_capability: str = ""
    threads: int = 0


class Models(Event, frozen=True, kw_only=True, tag="models"):
    models: tuple[ModelInfo, ...]


class Loading(Event, frozen=True, kw_only=True, tag="loading"):
    """`done` and `total` are bytes of weights; total 0 means not known yet."""

    model: str
    stage: Literal["starting", "converting", "weights", "probing"]
    done: int = 0
    total: int = 0


class Weights(Struct, frozen=True, kw_only=True):
    """How the numbers of a model are kept."""

    stored: str = ""
    """In its file: Q4_K_M, bf16, ..."""
    held: str = ""
    """In memory: the formats of blocks, the one with the most bytes first, or a dtype."""
    computed: str = ""
    """The dtype of activations."""
    held_bytes: int = 0
    written_out_bytes: int = 0
    """What they would take if all of them were held in the dtype of activations."""


class Loaded(Event, frozen=True, kw_only=True, tag="loaded"):
    model: ModelInfo
    device: str
    dtype: str
    context_length: int
    use_flash_attn: bool
    load_ms: float
    weights: Weights = Weights()
    notes: tuple[str, ...] = ()
    """Sentences the user should read, such as a missing chat template."""


class AttentionObserved(Event, frozen=True, kw_only=True, tag="attention"):
    """Follows `Loaded` when the probe has run; until then the badge says that it checks.

    An `Error` in its place says why nothing was observed.
    """

    attention: Attention


class Unloaded(Event, frozen=True, kw_only=True, tag="unloaded"):
    pass


class Prefill(Event, frozen=True, kw_only=True, tag="prefill"):
    request: str
    done: int
    total: int
    reused: int


class LeftOut(Event, frozen=True, kw_only=True, tag="left_out"):
    """The model does not see these messages: the context cannot hold them. Before `Prefill`."""

    request: str
    messages: int
    """The oldest ones behind the system prompt."""


class Counted(Event, frozen=True, kw_only=True, tag="counted"):
    request: str
    context_length: int
    tokens: int
    """Of the whole conversation as a prompt; at least this many if `exact` is False."""
    exact: bool
    last_tokens: int
    """Of them, those of the last message; 0 if that is not known."""
    reserved: int
    """Tokens of the context that are kept for the reply."""
    left_out: int
    """Messages to leave out for prompt and reply to fit; 0 if they do, or if nothing helps."""
    kept_tokens: int
    """Of the prompt without these; 0 if it fits in no way."""


class Thinking(Event, frozen=True, kw_only=True, tag="thinking"):
    """What a reasoning model writes before its answer; all of it comes before the first `Text`,
    unless `Rethought` comes between."""

    request: str
    text: str


class Rethought(Event, frozen=True, kw_only=True, tag="rethought"):
    """All `Text` of the request so far was thinking: the model has closed what it never opened."""

    request: str


class Text(Event, frozen=True, kw_only=True, tag="text"):
    """Of the answer."""

    request: str
    text: str


class Finished(Event, frozen=True, kw_only=True, tag="finished"):
    """The last event of a request, also after an `Error` for it."""

    request: str
    finish_reason: FinishReason
    prompt_tokens: int
    reused_tokens: int
    new_tokens: int
    time_to_first_token_ms: float
    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    peak_memory_bytes: int
    thinking_tokens: int = 0
    """Of the new tokens, those up to the end of the thinking."""
    attention: Attention | None = None
    weights: Weights | None = None
    sampling: Sampling | None = None
    """What the reply was drawn with: the request's settings, else the checkpoint's, else Hearth's
    own. None if nothing was drawn."""


class Telemetry(Event, frozen=True, kw_only=True, tag="telemetry"):
    """Sampled twice a second. GPU fields are 0 without NVML."""

    cpu_percent: float
    engine_ram_bytes: int
    ram_used_bytes: int
    ram_total_bytes: int
    gpu_name: str = ""
    gpu_memory_used_bytes: int = 0
    gpu_memory_total_bytes: int = 0
    gpu_percent: float = 0.0
    tokens_per_second: float = 0.0
    """Of the reply in progress, over the last second; 0 when idle."""


class Error(Event, frozen=True, kw_only=True, tag="error"):
    """Sentences for a person. `request` names the generation; empty for the engine itself."""

    title: str
    detail: str
    hint: str
    code: str = "internal"
    request: str = ""


AnyCommand = (
    ListModels | AddModel | RemoveModel | Load | Unload | Generate | Count | Stop | Shutdown
)
AnyEvent = (
    Hello
    | Device
    | Models
    | Loading
    | Loaded
    | AttentionObserved
    | Unloaded
    | Prefill
    | LeftOut
    | Counted
    | Thinking
    | Rethought
    | Text
    | Finished
    | Telemetry
    | Error
)

_encoder = msgspec.json.Encoder()
_commands: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)
_events: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The last is for brackets nested some thousands deep."""


class ProtocolError(ValueError):
    """A line that is not a command or event of this protocol."""


def encode(message: Command | Event) -> bytes:
    """One line, newline included. JSON escapes every newline inside.

    A file name that is not valid Unicode is sent with `?` for what cannot be said: the line must
    go out, for whoever writes it writes all that follows.
    """
    try:
        return _encoder.encode(message) + b"\n"
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(message), ensure_ascii=False)
        return text.encode("utf-8", "replace") + b"\n"


def decode_command(line: bytes) -> AnyCommand:
    """Raises ProtocolError for anything but a command."""
    try:
        return _commands.decode(line)
    except _UNREADABLE as error:
        raise ProtocolError(f"not a command: {error}") from error


def decode_event(line: bytes) -> AnyEvent:
    """Raises ProtocolError for anything but an event."""
    try:
        return _events.decode(line)
    except _UNREADABLE as error:
        raise ProtocolError(f"not an event: {error}") from error
