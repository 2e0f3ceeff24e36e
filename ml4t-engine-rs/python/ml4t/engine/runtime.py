"""What a running strategy can ask of its engine, beside orders and data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from ml4t.core.errors import ConfigError, EngineStateError, StrategyError
from ml4t.core.schedule import Schedule
from ml4t.core.strategy import CALLBACKS, Strategy, overridden_callbacks
from ml4t.engine.callbacks import refuse_deferred
from ml4t.engine.schedules import instants
from ml4t.engine.subscriptions import Subscription

if TYPE_CHECKING:
    from ml4t.backtest.calendars import SessionTable
    from ml4t.core.sources import EngineRun

__all__ = ["Runtime", "handlers_of"]

# Called by the front door or through timers, not by the loop.
_NOT_OF_THE_LOOP = frozenset({"on_start", "on_rebalance_trigger"})


class Runtime:
    """Implements `ml4t.core.strategy.StrategyRuntime` on a run of an engine."""

    def __init__(
        self, run: EngineRun, strategy: Strategy, *, sessions: SessionTable, span: tuple[int, int]
    ) -> None:
        self._run = run
        self._strategy = strategy
        self._sessions = sessions
        self._span = span
        self._is_over = False

    def close(self) -> None:
        """Refuse everything from now on: the tables are about to be handed out."""
        self._is_over = True

    def _check_open(self, call: str) -> None:
        if self._is_over:
            msg = (
                f"{call}: the run of this {type(self._strategy).__name__} is over; on_stop is the last chance"
            )
            raise EngineStateError(msg)

    def _hears_windows(self) -> bool:
        return not overridden_callbacks(self._strategy).isdisjoint({"on_batch", "on_data"})

    def subscribe(self, **wanted: Any) -> None:  # noqa: ANN401 - the keywords of `Strategy.subscribe`
        """Restrict typed events."""
        self._check_open("subscribe")
        subscription = Subscription.of(**wanted)
        if subscription.window_ns is not None and not self._hears_windows():
            msg = (
                f"subscribe(window={wanted['window']!r}): {type(self._strategy).__name__} has neither"
                " on_batch, which is given the rows of a window, nor on_data, which is called at its end"
            )
            raise StrategyError(msg)
        kind = None if subscription.event_type is None else subscription.event_type.value
        self._run.subscribe(
            subscription.assets,
            kind,
            subscription.frequency_ns,
            subscription.model_id,
            every=subscription.every,
            every_ns=subscription.every_ns,
            window_ns=subscription.window_ns,
        )

    def track(self, indicator: object, fields: str | Iterable[str] | None) -> Any:  # noqa: ANN401 - of the engine
        """Keep an indicator up to date for every instrument."""
        self._check_open("track")
        if fields is None:
            return self._run.track(indicator, None)
        given: object = [fields] if isinstance(fields, str) else fields
        chosen = list(given) if isinstance(given, Iterable) else []
        if not chosen or not all(isinstance(field, str) for field in chosen):
            msg = f"track(fields={fields!r}); expected the name of a field, or a list of names"
            raise ConfigError(msg)
        return self._run.track(indicator, chosen)

    def schedule(self, callback: Callable[[], object] | None, rule: Schedule) -> None:
        """Set timers for every instant of the rule that lies ahead."""
        self._check_open("schedule")
        given: list[object] = [rule, callback]
        if not isinstance(given[0], Schedule) or not (given[1] is None or callable(given[1])):
            msg = f"expected a rule such as schedule.month_end() and a callable, found {given}"
            raise StrategyError(msg)
        if callback is not None:
            refuse_deferred(callback, f"a scheduled callback of {type(self._strategy).__name__}")
        start, end = self._span
        now = self._run.now
        after = start if now is None else now + 1
        times = instants(rule, self._sessions, start_ns=after, end_ns=end)
        if callback is None:
            self._run.add_timers(times, self._strategy.on_rebalance_trigger, "on_rebalance_trigger")
        else:
            self._run.add_timers(times, callback, "a scheduled callback")

    def record(self, values: Mapping[str, float]) -> None:
        """Keep named numbers of this instant."""
        self._check_open("record")
        self._run.record(dict(values))

    def log(self, message: str, level: str) -> None:
        """Keep a line of text of this instant."""
        self._check_open("log")
        self._run.log(message, level)

    def fill_costs(self, number: int) -> tuple[float, float]:
        """Return slippage and impact per unit of a fill, by its number from 0.

        Events do not carry them; a strategy that stands in for native code reads them off the table so far.
        """
        self._check_open("fill_costs")
        fills: Any = pl.from_arrow(pa.RecordBatchReader.from_stream(self._run.tables()["fills"]).read_all())
        return float(fills["slippage"][number]), float(fills["impact"][number])


def handlers_of(strategy: Strategy) -> dict[str, Any]:
    """Return the bound methods that the loop should call: only what the strategy overrides."""
    overridden = overridden_callbacks(strategy)
    return {
        name: getattr(strategy, name)
        for name in CALLBACKS
        if name in overridden and name not in _NOT_OF_THE_LOOP
    }
