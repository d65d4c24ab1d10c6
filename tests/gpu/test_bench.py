"""The benchmark on the GPU: the longest context within so much of its memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.bench import measure, subject
from engine.bench.program import Hearth
from engine.errors import HearthError
from tests.engine.driven import write_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
LONGEST = 65_536


@pytest.fixture
def program(tmp_path: Path) -> Hearth:
    """128 KiB of keys and values a token, so that 1 GiB does not hold the longest context."""
    sizes = {"num_attention_heads": 64, "num_key_value_heads": 64, "head_dim": 128}
    folder = write_model(tmp_path / "wide", **sizes, max_position_embeddings=LONGEST)
    return Hearth(subject.of_model(str(folder)), "flash", "on")


def test_the_longest_context_within_a_limit_is_found(program: Hearth) -> None:
    (found,) = measure.longest_within(program, program._subject, 1)
    assert found.figure is not None, found.why_not
    assert 2048 <= found.figure.median < 8192
    assert torch.cuda.get_per_process_memory_fraction() == pytest.approx(1)
    program.open(512)
    program.prefill(program._subject.draw(500, seed=0))


def test_a_limit_above_the_gpu_is_told(program: Hearth) -> None:
    with pytest.raises(HearthError, match="This GPU has"):
        measure.longest_within(program, program._subject, 100_000)
