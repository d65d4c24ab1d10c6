"""Folders of plain numbers, held in 8 bits from loading on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.device.facts import DeviceFacts
from engine.errors import SettingError
from engine.formats.registry import FORMATS
from engine.loading import load as loading
from engine.local import open_model
from engine.protocol import Load
from tests.engine import tiny
from tests.engine.family_models import MODELS

CPU = torch.device("cpu")
Q8 = FORMATS["Q8_0"]


@pytest.mark.parametrize("name", ["llama", "gemma3", "mixtral", "gpt_oss", "deepseek_v3"])
def test_matrices_become_q8_0_and_all_else_stays(name: str, tmp_path: Path) -> None:
    folder = tiny.write_folder(tmp_path / name, MODELS[name].make())
    plain, held = (
        loading.load(folder, device=CPU, dtype=torch.float32, progress=lambda *_: None, rest=rest)
        for rest in (None, Q8)
    )
    assert {part.form.name for part in held.model.in_blocks()} == {"Q8_0"}
    wanted, found = plain.model.published(), held.model.published()
    assert wanted.keys() == found.keys()
    for each, weight in wanted.items():
        assert float((found[each] - weight).abs().max()) <= float(weight.abs().max()) / 127, each


def test_a_device_without_kernels_for_blocks_refuses_8_bits() -> None:
    here = DeviceFacts(kind="mps", name="Apple M3")
    with pytest.raises(SettingError, match="Apple M3 does not compute with weights in 8 bits"):
        open_model.quantised_to(here, Load(model="any", dtype="q8"))
