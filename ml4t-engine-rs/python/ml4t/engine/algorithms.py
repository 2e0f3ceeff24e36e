"""Find the execution algorithms that a strategy names, and decide what executes them."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from ml4t.core.config import RunConfig
from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.plugins import PluginManager
from ml4t.core.types import ModelKind
from ml4t.engine.chosen import changeable
from ml4t.engine.compile import ChosenModel, model_path
from ml4t.engine.provenance import origin_note

__all__ = ["Algorithms"]


class Algorithms:
    """The execution algorithms of one run, found when the strategy asks for them.

    Calling it with an object, a name, or a table `{"type": name, **parameters}` returns the object and its
    native table, None where it runs in Python.
    """

    def __init__(self, config: RunConfig, plugins: PluginManager, *, runs_native: bool) -> None:
        self._config = config
        self._plugins = plugins
        self._runs_native = runs_native
        self._chosen: dict[object, ChosenModel] = {}

    @property
    def chosen(self) -> list[ChosenModel]:
        """What was used, in the sequence in which it was asked for first."""
        return list(self._chosen.values())

    def __call__(self, algorithm: object) -> tuple[object, object]:
        """Find an algorithm.

        Raises
        ------
        ConfigError
            If its table is wrong, or only native code is allowed and it has none.
        ModelError
            If it is no execution algorithm, or its native table is none that the engine can use.
        """
        model = self._made(algorithm)
        key = (type(model), repr(model))
        if key not in self._chosen:
            self._chosen[key] = self._path(model)
        chosen = self._chosen[key]
        # Of an object that has state the present one counts, not that of the first use.
        return model, chosen.capsule if chosen.model is model else self._path(model).capsule

    def _made(self, algorithm: object) -> object:
        table = {"type": algorithm} if isinstance(algorithm, str) else algorithm
        if isinstance(table, Mapping):
            try:
                return self._plugins.build_model(ModelKind.EXECUTOR, table)
            except ConfigError as error:
                raise ConfigError(each.under("algorithm") for each in error.findings) from None
        can_run = callable(getattr(algorithm, "evaluate", None)) or hasattr(algorithm, "__ml4t_model_v1__")
        if isinstance(algorithm, type) or not attrs.has(type(algorithm)) or not can_run:
            msg = (
                f"algorithm = {algorithm!r}; expected an instance of an attrs class with evaluate(ctx), the "
                'name of an execution algorithm, or its table {"type": name, ...}'
            )
            raise ModelError(msg)
        if message := changeable("executor", algorithm):
            raise ConfigError(message)
        return algorithm

    def _path(self, model: object) -> ChosenModel:
        try:
            return model_path("executor", model, self._config.backtest.native, runs_native=self._runs_native)
        except ModelError as error:
            error.add_note(origin_note("executor", model, self._plugins))
            raise
