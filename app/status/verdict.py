"""What the badge says about attention: a pure function of what was observed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from app import number_format
from app.words import translate
from engine import protocol

Tone = Literal["good", "caution", "neutral"]

Check = protocol.Attention | protocol.Error | None
"""What was observed, or why nothing could be; None while the check runs."""

CHECK_FAULTS: Final = ("memory", "internal", "device")
"""Codes of the errors that a check may end in. Others that come meanwhile are of the list of models
or of the pipe."""


@dataclass(frozen=True)
class Verdict:
    words: str
    """On the badge."""
    title: str
    """Of the popover."""
    tone: Tone
    sentence: str = ""
    """What that means for speed and memory."""


CHECKING = Verdict(
    translate("Verdict", "Checking attention"),
    translate("Verdict", "Attention is being checked"),
    "neutral",
)
NO_MODEL = Verdict(
    translate("Verdict", "No model"), translate("Verdict", "No model is loaded"), "neutral"
)

UNSEEN = Verdict(
    translate("Verdict", "Attention not observed"),
    translate("Verdict", "Which attention ran was not observed"),
    "caution",
    translate(
        "Verdict",
        "Replies are right all the same. Whether they are as quick as they can be is not known.",
    ),
)
UNCHECKED = Verdict(
    translate("Verdict", "Attention not checked"),
    translate("Verdict", "Attention could not be checked"),
    "caution",
)


def verdict(loaded: protocol.Loaded | None, attention: Check, device: str) -> Verdict:
    """`device` is cuda, mps or cpu."""
    if loaded is None:
        return NO_MODEL
    if attention is None:
        return CHECKING
    if isinstance(attention, protocol.Error):
        return UNCHECKED
    if attention.prefill.flash and attention.decode.flash:
        return Verdict(
            translate("Verdict", "Flash attention active"),
            translate("Verdict", "Flash attention is active"),
            "good",
            translate(
                "Verdict",
                "The GPU works by its fastest method. Long chats stay quick and need less memory.",
            ),
        )
    if device == "cuda" and not (seen(attention.prefill) and seen(attention.decode)):
        return UNSEEN
    if device == "cuda":
        return Verdict(
            translate("Verdict", "Standard attention"),
            translate("Verdict", "Flash attention is off"),
            "caution",
            translate(
                "Verdict",
                "The GPU works, but not by its fastest method. Short chats are as quick; long ones "
                "are read more slowly and need more memory.",
            ),
        )
    name = device.upper()
    return Verdict(
        name,
        translate("Verdict", "Flash attention is off: this model runs on the {name}").format(
            name=name
        ),
        "neutral",
        translate(
            "Verdict",
            "Flash attention works on NVIDIA GPUs. Here each reply runs by the quickest method "
            "there is, at the speed of this device.",
        ),
    )


def weights_sentence(loaded: protocol.Loaded | None) -> str:
    """How the weights are held, if that is as their file has them; "" if they are written out."""
    if loaded is None or loaded.weights.held in ("", loaded.weights.computed):
        return ""
    return translate(
        "Verdict",
        "The weights stay as they are in the file ({held}): {held_size} in place of {size}.",
    ).format(
        held=loaded.weights.held,
        held_size=number_format.disk(loaded.weights.held_bytes),
        size=number_format.disk(loaded.weights.written_out_bytes),
    )


def seen(phase: protocol.AttentionPhase) -> bool:
    """Whether the profiler recorded a kernel of attention."""
    return phase.observed not in ("", protocol.NOT_OBSERVED)


def report(loaded: protocol.Loaded | None, attention: Check) -> str:
    """The popover as text, for a bug report."""
    lines = ["Hearth attention report"]
    if loaded:
        lines.append(f"Model: {loaded.model.id} ({loaded.model.architecture})")
        lines.append(f"Device: {loaded.device}, {loaded.dtype}, context {loaded.context_length}")
        lines.append(f"use_flash_attn: {loaded.use_flash_attn}")
        weights = loaded.weights
        lines.append(
            f"Weights: stored {weights.stored}, held {weights.held}, computed {weights.computed}; "
            f"{weights.held_bytes:,} bytes"
        )
    if isinstance(attention, protocol.Error):
        lines.append(f"{UNCHECKED.title}: {attention.title}. {attention.detail}")
    elif attention:
        for name, phase in (("Prefill", attention.prefill), ("Decode", attention.decode)):
            lines.append(
                f"{name}: requested {phase.requested}, resolved {phase.resolved}, "
                f"observed {phase.observed or protocol.NOT_OBSERVED}"
                + (f", max error {phase.max_error:.2g}" if phase.max_error is not None else "")
            )
            lines.append(f"  {phase.reason}")
    return "\n".join(lines)
