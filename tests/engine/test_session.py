"""The kernel that a session settles on, where one misbehaves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.attention import kernels
from engine.attention.choice import Shape
from engine.errors import HearthError
from engine.session import Session

SHAPE = Shape(4, 2, 64, torch.float32, windows=(0, 16))


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """One that takes SDPA first, whatever the machine."""
    made = Session()
    monkeypatch.setattr(made, "_device", torch.device("cpu"))
    return made


def no_number(tokens: int, window: int) -> kernels.Kernel:
    """SDPA that returns NaN for so many tokens and that window."""

    def run(
        query: Tensor, key: Tensor, value: Tensor, step: kernels.LayerStep, scoring: kernels.Scoring
    ) -> Tensor:
        out = kernels.sdpa(query, key, value, step, scoring)
        spoilt = query.shape[1] == tokens and scoring.window == window
        return out * torch.nan if spoilt else out

    return run


@pytest.mark.parametrize("window", [0, 16])
@pytest.mark.parametrize("tokens", [37, 1])
def test_a_kernel_that_returns_no_number_gives_way(
    session: Session, monkeypatch: pytest.MonkeyPatch, tokens: int, window: int
) -> None:
    monkeypatch.setitem(kernels.KERNELS, "sdpa", no_number(tokens, window))
    chosen = session._working_choice(SHAPE, "off")
    assert chosen.kernel == "math"


def test_a_kernel_that_fails_without_a_word_gives_way(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Tensor:
        raise NotImplementedError

    monkeypatch.setitem(kernels.KERNELS, "sdpa", fail)
    chosen = session._working_choice(SHAPE, "off")
    assert chosen.kernel == "math"


def test_where_no_kernel_works_the_sentence_does_not_speak_of_flash_attention(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(kernels.KERNELS, "sdpa", no_number(1, 0))

    def fail(*_: object, **__: object) -> Tensor:
        raise RuntimeError("no such thing")

    monkeypatch.setitem(kernels.KERNELS, "math", fail)
    with pytest.raises(HearthError, match="plain math in float32 does not run here") as caught:
        session._working_choice(SHAPE, "auto")
    assert "asked for" not in caught.value.title
