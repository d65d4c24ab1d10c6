"""Folders and files of strangers, each with one thing in it that would do harm.

What the headers of GGUF and safetensors may say is in test_gguf_header and test_safetensors_header.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import CheckpointError, HearthError
from engine.loading.weights import Extremes
from tests.engine import tiny
from tests.engine.tiny import load


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_folder(tmp_path_factory.mktemp("model") / "tiny", tiny.model("llama"))


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "tiny"))


def refusal(path: Path) -> str:
    with pytest.raises(HearthError) as caught:
        load(path)
    assert caught.value.hint
    assert len(caught.value.detail) < 400
    return caught.value.detail


# ---------------------------------------------------------------------------- weights


def rewritten(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_one_value_that_is_no_number_is_said(
    value: float, dtype: torch.dtype, folder: Path
) -> None:
    name = "model.layers.3.mlp.up_proj.weight"

    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name][5, 7] = value

    with pytest.raises(CheckpointError, match=f"1 of its weights, such as {name}, hold"):
        load(rewritten(folder, change), dtype)


def test_a_value_that_is_no_number_in_a_gguf_file_is_said(tmp_path: Path) -> None:
    made = tiny.model("llama")
    with torch.no_grad():
        made.model.norm.weight[3] = float("nan")
    assert "model.norm.weight" in refusal(tiny.write_gguf(tmp_path / "x.gguf", made))


def test_weights_too_large_for_the_dtype_are_said(folder: Path) -> None:
    rewritten(folder, lambda tensors: tensors["model.norm.weight"].fill_(1e6))
    load(folder, torch.bfloat16)
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight") as caught:
        load(folder, torch.float16)
    assert "another dtype" in caught.value.hint


def test_looking_for_numbers_takes_little_time() -> None:
    """135 million parameters in bfloat16: measured 10 ms on two cores."""
    extremes = Extremes()
    layers = [torch.zeros(1536, 576, dtype=torch.bfloat16) for _ in range(153)]
    begin = time.perf_counter()
    for layer in layers:
        extremes.add("weight", layer)
    extremes.check()
    assert time.perf_counter() - begin < 0.3
