"""Which models are on this machine. Reads headers only; imports neither torch nor transformers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from engine import folders, imported, model_card
from engine.errors import CheckpointError, HearthError, StorageError
from engine.packaged import PACKAGED, Packaged
from engine.protocol import ModelInfo

_log = logging.getLogger(__name__)


def scan() -> tuple[ModelInfo, ...]:
    """Every model, the embedded one first; those that cannot be used say why."""
    carried = [_packaged_card(model) for model in PACKAGED if model.paths()]
    added = [_card(path, "imported", str(path)) for path in _unless_unreadable(imported.paths)]
    found = [_card(path, "folder", path.name) for path in _unless_unreadable(_in_models_folder)]
    return (*carried, *added, *found)


def find(model: str) -> ModelInfo:
    """By id, or by the path of a folder or GGUF file. Raises CheckpointError for neither."""
    for card in scan():
        if model in (card.id, card.path):
            return card
    path = Path(model).expanduser()
    if path.exists():
        return _card(path.absolute(), "imported", str(path.absolute()))
    raise CheckpointError(
        f"There is no model or file named {model!r}.",
        "`hearth models` lists the models that are here; a folder or a .gguf file works too.",
    )


def resolve(model: str) -> Path:
    """The folder or file to load; puts a model together that packages carry in parts.

    Raises CheckpointError, UnsupportedError or StorageError.
    """
    for carried in PACKAGED:
        if carried.id == model and carried.paths():
            return carried.file()
    return Path(find(model).path)


def add(path: str) -> ModelInfo:
    """Remembers a model of the user's. Raises CheckpointError when it cannot be used, and why."""
    chosen = Path(path).expanduser().absolute()
    card = _card(chosen, "imported", str(chosen))
    if card.problem:
        raise CheckpointError(card.problem, "Choose another file or folder.")
    imported.add(chosen)
    return card


def remove(id: str) -> None:  # noqa: A002 - as in ModelInfo
    """Forgets an imported model; its files stay."""
    imported.remove(Path(id))


def default_model() -> str:
    """The id of what to load when nobody has chosen; "" where there is no model."""
    for model in PACKAGED:
        if model.source == "embedded" and model.paths():
            return model.id
    return next((card.id for card in scan() if not card.problem), "")


def models_folder() -> Path:
    """Whatever lies here is listed. Raises StorageError when it cannot be made."""
    folder = folders.data() / "models"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    return folder


def _unless_unreadable(listed: Callable[[], list[Path]]) -> list[Path]:
    """A folder that cannot be read must not hide the models that lie elsewhere."""
    try:
        return listed()
    except (HearthError, OSError) as error:
        _log.warning("models not listed: %s", error)
        return []


def _in_models_folder() -> list[Path]:
    """GGUF files, and folders with a config, at the top and one level below."""
    inside = sorted(models_folder().iterdir())
    below = [path for folder in inside if folder.is_dir() for path in sorted(folder.iterdir())]
    return [path for path in (*inside, *below) if _looks_like_a_model(path)]


def _looks_like_a_model(path: Path) -> bool:
    return path.suffix == ".gguf" or (path / "config.json").is_file()


def _card(path: Path, source: model_card.Source, id: str) -> ModelInfo:  # noqa: A002
    name = path.stem if path.suffix == ".gguf" else path.name
    card = ModelInfo(id=id, name=name, path=str(path), source=source, format="unknown")
    return model_card.read(card)


def _packaged_card(model: Packaged) -> ModelInfo:
    paths = model.paths()
    card = ModelInfo(
        id=model.id,
        name=model.name,
        path=str(paths[0]),
        source=model.source,
        format="unknown",
        size_bytes=sum(path.stat().st_size for path in paths),
    )
    return model_card.read(card)
