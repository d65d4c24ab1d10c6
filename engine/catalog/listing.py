"""Which models are on this machine. Reads headers only; imports neither torch nor transformers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine import folders
from engine.catalog import fit, model_card, user_models
from engine.catalog.packaged import PACKAGED, Packaged
from engine.device import sizes
from engine.device.sizes import Memory
from engine.errors import CheckpointError, HearthError, StorageError
from engine.loading import model_paths
from engine.loading.gguf import parts as gguf_parts
from engine.protocol import ModelInfo
from ground import private

_log = logging.getLogger(__name__)


def scan() -> tuple[ModelInfo, ...]:
    """Every model, the embedded one first; those that cannot be used here say why."""
    memory = sizes.memory()
    return tuple(_judged(model_card.read(card), memory) for card in _unread())


def find(model: str) -> ModelInfo:
    """By id, or by the path of a folder or GGUF file. Raises CheckpointError for neither.

    Reads the headers of this model alone: no other one delays or prevents that it is opened.
    """
    for card in _unread():
        if model in (card.id, card.path):
            return model_card.read(card)
    path = _existing(model)
    if path is not None:
        return model_card.read(_card(path, "imported", str(path)))
    raise CheckpointError(
        f"There is no model or file named {model!r}.",
        "`python3 start.py models` lists those that are here; a folder or a .gguf file works too.",
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
    chosen = _existing(path)
    if chosen is None:
        raise CheckpointError(f"There is no file or folder {path}.", "Choose another one.")
    card = model_card.read(_card(chosen, "imported", str(chosen)))
    if card.problem:
        raise CheckpointError(card.problem, "It was not added.")
    user_models.add(chosen)
    return card


def remove(id: str) -> None:  # noqa: A002 - as in ModelInfo
    """Forgets an imported model; its files stay."""
    user_models.remove(Path(id))


def default_model() -> str:
    """The id of what to load when nobody has chosen; "" where there is no model."""
    for model in PACKAGED:
        if model.source == "embedded" and model.paths():
            return model.id
    memory = sizes.memory()
    cards = (_judged(model_card.read(card), memory) for card in _unread())
    return next((card.id for card in cards if not card.problem), "")


def models_folder() -> Path:
    """Whatever lies here is listed. Raises StorageError when it cannot be made."""
    folder = folders.data() / folders.MODELS
    try:
        private.make_folder(folder)
    except OSError as error:
        raise StorageError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    return folder


def _judged(card: ModelInfo, memory: Memory) -> ModelInfo:
    """With a problem if the weights fit into no memory here, in 8 bits either."""
    if card.problem or fit.fits_in_8_bits(card, memory):
        return card
    refused = fit.objection(card, memory)
    return msgspec.structs.replace(card, problem=f"{refused} {fit.HINT}") if refused else card


def _unread() -> list[ModelInfo]:
    """The cards of all models as `model_card.read` fills them: with name and path alone."""
    carried = [_packaged_card(model) for model in PACKAGED if model.paths()]
    added = _unless_unreadable(user_models.paths)
    found = [path for path in _unless_unreadable(_in_models_folder) if path not in added]
    return [
        *carried,
        *(_card(path, "imported", str(path)) for path in added),
        *(_card(path, "folder", _id_in_models_folder(path)) for path in found),
    ]


def _unless_unreadable(listed: Callable[[], list[Path]]) -> list[Path]:
    """A folder that cannot be read must not hide the models that lie elsewhere."""
    try:
        return listed()
    except (HearthError, OSError) as error:
        _log.warning("models not listed: %s", error)
        return []


def _existing(text: str) -> Path | None:
    """None also for what can be no path: too long, with a NUL, in the home of nobody.

    Of a model in several files, the one that stands for all; of a folder with one GGUF model, that.
    Raises CheckpointError for a folder with several.
    """
    try:
        path = Path(text).expanduser().absolute()
        return model_paths.meant(path) if path.exists() else None
    except (OSError, RuntimeError, ValueError):
        return None


def _in_models_folder() -> list[Path]:
    return model_paths.models_below(models_folder())


def _id_in_models_folder(path: Path) -> str:
    """Its path from there; the whole path where a package's model has that name."""
    id = path.relative_to(models_folder()).as_posix()  # noqa: A001
    return str(path) if id in {model.id for model in PACKAGED} else id


def _card(path: Path, source: model_card.Source, id: str) -> ModelInfo:  # noqa: A002
    part = gguf_parts.part_of(path)
    name = (
        part.model
        if part
        else path.stem
        if path.suffix.lower() == model_paths.SUFFIX
        else path.name
    )
    card = ModelInfo(id=id, name=name, path=str(path), source=source, format="unknown")
    return card if _is_text(str(path)) else _without_text(card)


def _is_text(name: str) -> bool:
    """Linux allows any bytes in a name; the protocol does not."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _without_text(card: ModelInfo) -> ModelInfo:
    printable = {
        name: getattr(card, name).encode("utf-8", "backslashreplace").decode()
        for name in ("id", "name", "path")
    }
    problem = "Its name is not valid text (UTF-8). Rename it."
    return msgspec.structs.replace(card, **printable, problem=problem)


def _packaged_card(model: Packaged) -> ModelInfo:
    paths = model.paths()
    return ModelInfo(
        id=model.id,
        name=model.name,
        path=str(paths[0]),
        source=model.source,
        format="unknown",
        size_bytes=sum(path.stat().st_size for path in paths),
    )
