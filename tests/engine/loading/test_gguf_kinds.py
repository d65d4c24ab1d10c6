"""A GGUF file that is no language model is called what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import PoolingType

from engine.catalog import model_card
from engine.errors import UnsupportedError
from engine.loading import load
from engine.protocol import ModelInfo
from tests.engine import tiny


def lora(writer: Any) -> None:
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_string("general.base_model.0.name", "Llama 3.1 8B")
    weight(writer)


def projector(writer: Any) -> None:
    writer.kv_data[0]["general.architecture"].value = "clip"
    weight(writer)


def typed_projector(writer: Any) -> None:
    writer.add_type("mmproj")
    weight(writer)


def imatrix(writer: Any) -> None:
    del writer.kv_data[0]["general.architecture"]
    writer.add_type("imatrix")
    weight(writer)


def control_vector(writer: Any) -> None:
    writer.kv_data[0]["general.architecture"].value = "controlvector"
    weight(writer)


def vocabulary(writer: Any) -> None:
    tiny.write_vocabulary(writer)


def embedding(writer: Any) -> None:
    writer.add_pooling_type(PoolingType.LAST)
    tiny.write_vocabulary(writer)
    weight(writer)


def nameless(writer: Any) -> None:
    del writer.kv_data[0]["general.architecture"]
    weight(writer)


def weight(writer: Any) -> None:
    writer.add_tensor("token_embd.weight", tiny.zeros(8, 8))


KINDS = {
    lora: ("is a LoRA adapter: .* it is made for 'Llama 3.1 8B'", "merged"),
    projector: ("is a projector: .* sees images", "language model itself"),
    typed_projector: ("is a projector: .* sees images", "language model itself"),
    imatrix: ("is an importance matrix", "quantised with it"),
    control_vector: ("is a control vector", "language model itself"),
    vocabulary: ("holds no weights", "with the weights"),
    embedding: ("is an embedding model", "made for chats"),
    nameless: ("does not say which architecture", "another file"),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_it_is_called_what_it_is(kind: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    writer = tiny.gguf_writer(path)
    kind(writer)
    tiny.finish(writer)
    words, hint = KINDS[kind]
    with pytest.raises(UnsupportedError, match=rf"^x\.gguf {words}") as caught:
        opened(path)
    assert hint in caught.value.hint
    assert "damaged" not in str(caught.value)
    card = ModelInfo(id="x", name="x", path=str(path), source="imported", format="unknown")
    assert model_card.read(card).problem == f"{caught.value.detail} {caught.value.hint}"


@pytest.mark.parametrize("magic", [b"lmgg", b"fmgg", b"tjgg", b"algg"])
def test_a_model_of_an_older_format_is_called_so(magic: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ggml-model-q4_0.bin"
    path.write_bytes(magic + bytes(400))
    with pytest.raises(UnsupportedError, match="format that models had before GGUF") as caught:
        opened(path)
    assert caught.value.hint == "Choose a GGUF file of this model."


def opened(path: Path) -> object:
    return load.load(
        path,
        device=torch.device("cpu"),
        dtype=torch.float32,
        progress=lambda *_: None,
    )
