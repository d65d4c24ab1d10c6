"""Which models there are, which one is wanted, and how far its loading has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QObject, Signal

from app.engine import Engine, EngineState
from app.words import translate
from engine import protocol


@dataclass(frozen=True)
class NoModel:
    """Nothing is loaded, and nothing is being loaded."""


@dataclass(frozen=True)
class LoadingModel:
    id: str
    name: str
    stage: str
    done: int = 0
    total: int = 0
    """Bytes of weights; total 0 means not known yet."""


@dataclass(frozen=True)
class ReadyModel:
    loaded: protocol.Loaded


@dataclass(frozen=True)
class FailedModel:
    id: str
    name: str
    error: protocol.Error


NO_ENGINE: Final = protocol.Error(
    title=translate("ModelsLoader", "The engine is not running"),
    detail=translate("ModelsLoader", "Without it the list of models cannot be changed."),
    hint=translate(
        "ModelsLoader", "Load a model or press “Start the engine again”, then try once more."
    ),
    code="engine",
)


@dataclass(frozen=True)
class LoadOptions:
    context: int | None = None
    """Tokens, of a load that names none; None for as many as are usual and fit."""
    dtype: protocol.Dtype = "auto"


ModelState = NoModel | LoadingModel | ReadyModel | FailedModel


class ModelLoader(QObject):
    """Loads the wanted model as soon as the engine has listed it, and again after a restart.

    `state_changed(ModelState)`, `models_changed(tuple of ModelInfo)`, `trouble(protocol.Error)`;
    `load_asked()` before the engine is told to load.
    """

    load_asked = Signal()
    state_changed = Signal(object)
    models_changed = Signal(object)
    trouble = Signal(object)

    def __init__(
        self,
        engine: Engine,
        wanted: str = "",
        flash: protocol.Flash = "auto",
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._engine = engine
        self._wanted = wanted
        self.flash: protocol.Flash = flash
        self.options_of: Callable[[str], LoadOptions] = lambda _: LoadOptions()
        """What is set for a model."""
        self._state: ModelState = NoModel()
        self._models: tuple[protocol.ModelInfo, ...] = ()
        self._default = ""
        self._awaits_list = False
        self._cancelled = False
        engine.event_received.connect(self._on_event)
        engine.state_changed.connect(self._on_engine_state)

    @property
    def state(self) -> ModelState:
        return self._state

    @property
    def model(self) -> str:
        """The id of the one that is loaded or being loaded; else of the one that would be."""
        match self._state:
            case ReadyModel():
                return self._state.loaded.model.id
            case LoadingModel() | FailedModel():
                return self._state.id
            case _:
                return self._wanted or self._default

    @property
    def models(self) -> tuple[protocol.ModelInfo, ...]:
        return self._models

    @property
    def lists(self) -> bool:
        """Whether the engine has not yet said which models there are."""
        return self._awaits_list or self._engine.state is EngineState.STARTING

    def load(self, model: str, context: int | None = None) -> None:
        """Loads a model by id, with the flash attention that is set.

        `context`: tokens; None for those that are set.

        A dead engine is started first; the model is loaded when it has listed what there is.
        """
        self._wanted = model
        self._cancelled = False
        if self._engine.state is EngineState.DEAD:
            self._engine.start()
            return
        self.load_asked.emit()
        name = self.name_of(model)
        options = self.options_of(model)
        command = protocol.Load(
            model=model,
            flash=self.flash,
            dtype=options.dtype,
            context_length=context or options.context,
        )
        if self._engine.send(command):
            self._set_state(LoadingModel(model, name, "starting"))

    def unload(self) -> None:
        """Gives the model's memory back; the next load names a model."""
        self._engine.send(protocol.Unload())

    def cancel(self) -> None:
        """A load cannot be interrupted inside the engine: the process ends, and begins anew."""
        if isinstance(self._state, LoadingModel):
            self._cancelled = True
            self._engine.restart()

    def rescan(self) -> None:
        """Asks which models there are now; `models_changed` follows."""
        self._engine.send(protocol.ListModels())

    def add(self, path: str) -> None:
        self._change_list(protocol.AddModel(path=path))

    def remove(self, model: str) -> None:
        self._change_list(protocol.RemoveModel(id=model))

    def _change_list(self, change: protocol.Command) -> None:
        if not self._engine.send(change):
            self.trouble.emit(NO_ENGINE)

    def name_of(self, model: str) -> str:
        return next((info.name for info in self._models if info.id == model), model)

    def _on_engine_state(self, state: EngineState) -> None:
        if state is not EngineState.READY:
            self._set_state(NoModel())

    def _on_event(self, event: protocol.Event) -> None:
        match event:
            case protocol.Hello():
                self._default = event.default_model
                self._awaits_list = True
                self._engine.send(protocol.ListModels())
            case protocol.Models():
                self._models = event.models
                first, self._awaits_list = self._awaits_list, False
                self.models_changed.emit(self._models)
                if first:
                    self._load_first()
            case protocol.Loading():
                self._set_state(
                    LoadingModel(
                        event.model,
                        self.name_of(event.model),
                        event.stage,
                        event.done,
                        event.total,
                    )
                )
            case protocol.Loaded():
                self._set_state(ReadyModel(event))
            case protocol.Unloaded():
                if isinstance(self._state, ReadyModel):
                    self._set_state(NoModel())
            case protocol.Error(request=""):
                self._on_error(event)
            case _:
                pass

    def _load_first(self) -> None:
        """The model of last time, or the default one; none after a cancelled load."""
        cancelled, self._cancelled = self._cancelled, False
        usable = {info.id for info in self._models if not info.problem}
        choice = next((id_ for id_ in (self._wanted, self._default) if id_ in usable), "")
        if choice and not cancelled:
            self.load(choice)

    def _on_error(self, error: protocol.Error) -> None:
        if isinstance(self._state, LoadingModel):
            self._set_state(FailedModel(self._state.id, self._state.name, error))
        else:
            self.trouble.emit(error)

    def _set_state(self, state: ModelState) -> None:
        if state != self._state:
            self._state = state
            self.state_changed.emit(state)
