"""Tries on this machine what the rules choose, and takes the first kernel that is right."""

from __future__ import annotations

import logging
from typing import Final

from engine.attention import choice, probe
from engine.attention.choice import Choice, Requested, Shape
from engine.attention.kernels import KERNELS
from engine.device import memory
from engine.device.facts import DeviceFacts
from engine.errors import HearthError, reason

PROMPT_TOKENS: Final = 37
_HINT: Final = "Load the model in another dtype."

_log = logging.getLogger(__name__)


def for_prompt(facts: DeviceFacts, shape: Shape, requested: Requested) -> Choice:
    """The first kernel of the rules that runs here and agrees with the float32 reference.

    Raises AttentionError where flash attention must be and cannot, HearthError where nothing runs.
    """
    refused: dict[str, str] = {}
    while True:
        chosen = choice.choose(facts, shape, requested, refused)
        objection = _objection(facts, shape, chosen, (PROMPT_TOKENS, 1))
        if objection is None:
            return chosen
        if KERNELS[chosen.kernel].last_resort:
            raise HearthError(f"{objection}.", _HINT)
        refused[chosen.kernel] = objection
        _log.warning("attention kernel %s refused: %s", chosen.kernel, objection)


def for_token(facts: DeviceFacts, shape: Shape, requested: Requested, prompt: Choice) -> Choice:
    """What one token takes beside `prompt`: a kernel of its own if that is right, else the same.

    Raises HearthError where the cache holds latents and attending to them is not right.
    """
    chosen = choice.choose_decode(facts, shape, requested, prompt)
    if chosen is prompt:
        return prompt
    objection = _objection(facts, shape, chosen, (1,))
    if objection is None:
        return chosen
    if shape.latent:
        raise HearthError(f"{objection}.", _HINT)
    _log.warning("attention kernel %s refused: %s", chosen.kernel, objection)
    return choice.choose_decode(facts, shape, requested, prompt, objection)


def _objection(
    facts: DeviceFacts, shape: Shape, chosen: Choice, counts: tuple[int, ...]
) -> str | None:
    device = facts.device
    try:
        error = max(probe.check(chosen.kernel, shape, device, tokens) for tokens in counts)
    except Exception as fault:  # no compiler, a wheel of another torch
        if memory.is_used_up(fault):
            raise
        return f"{chosen.label} does not run here: {reason(fault)}"
    if error <= probe.TOLERANCE[shape.dtype]:
        return None
    return f"{chosen.label} disagrees with float32 attention: error {error:.3g}"
