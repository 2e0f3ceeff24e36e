"""The base class of strategies.

A strategy overrides the callbacks it wants; the engine finds out once which they are and never calls the
rest. Parameters are keywords of the constructor, which need not call `super().__init__()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ml4t.core.errors import EngineStateError, unknown_name

if TYPE_CHECKING:
    from ml4t.core.schedule import Schedule
    from ml4t.core.sources import Broker, MarketView
    from ml4t.core.types import EventType

__all__ = ["Strategy"]

LOG_LEVELS = ("debug", "info", "warning", "error")

# Names of the methods that an engine may call.
CALLBACKS = ["on_start", "on_data", "on_event", "on_bar", "on_quote", "on_trade", "on_batch", "on_signal"]
CALLBACKS += ["on_fill", "on_order", "on_margin_call", "on_daily_close", "on_rebalance_trigger", "on_stop"]


class StrategyRuntime(Protocol):
    """What an engine offers to the strategy it runs, behind the methods of `Strategy`."""

    def subscribe(self, **wanted: Any) -> None:  # noqa: ANN401 - the keywords of `Strategy.subscribe`
        """Add a subscription."""

    def track(self, indicator: object, fields: str | Iterable[str] | None) -> Any:  # noqa: ANN401 - of the engine
        """Keep an indicator up to date for every instrument."""

    def schedule(self, callback: Callable[[], object] | None, rule: Schedule) -> None:
        """Call `callback` by the rule; None means `on_rebalance_trigger`."""

    def record(self, values: Mapping[str, float]) -> None:
        """Keep named numbers of this instant."""

    def log(self, message: str, level: str) -> None:
        """Keep a line of text of this instant; `level` is one of `LOG_LEVELS`."""


class _FromStart:
    """An attribute that a strategy has from `on_start` on; before, it says so.

    A descriptor, because a `__getattr__` would slow down every attribute of every strategy.
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def __get__(self, instance: object, owner: type) -> _FromStart:
        """Explain an attribute that is not there yet; once it is, the instance's own comes first."""
        if instance is None:
            return self
        msg = f"{self._what} of {owner.__name__} cannot be used before the run begins; "
        raise EngineStateError(msg + "move it from the constructor to on_start")


class Strategy:
    """Base class of strategies written in Python.

    Examples
    --------
    >>> class BuyAndHold(Strategy):
    ...     def __init__(self, symbol="AAPL"):
    ...         self.symbol = symbol
    ...
    ...     def on_data(self, timestamp, data, context, broker):
    ...         if not broker.get_position(self.symbol):
    ...             broker.order_target_percent(self.symbol, 1.0)
    """

    if TYPE_CHECKING:
        broker: Broker  #: orders and account, from `on_start` on
        data: MarketView  #: what is known now, from `on_start` on
        _runtime: StrategyRuntime
    else:
        broker = _FromStart("self.broker")
        data = _FromStart("self.data")
        _runtime = _FromStart("subscribe, track, schedule, record and log")
    warmup: int | str = 0  #: how long orders are refused at first: a number of sessions, or such as "20d"

    def bind(self, runtime: StrategyRuntime, *, broker: Broker, data: MarketView) -> None:
        """Attach the strategy to a run; engines call it before `on_start`."""
        self._runtime = runtime
        self.broker = broker
        self.data = data

    def on_start(self) -> None:
        """Prepare: subscribe, schedule, create indicators. Called once, before the first event."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        """Decide, once per instant, with everything that is readable at it.

        `timestamp` becomes a datetime only when used; `data` is a `MarketView` that is valid during the call;
        `context` maps names of market-wide series to their last known values; `broker` is `self.broker`.
        """

    def on_event(self, event: Any) -> None:  # noqa: ANN401
        """Handle any subscribed event that has no callback of its own."""

    def on_bar(self, event: Any) -> None:  # noqa: ANN401
        """Handle a completed bar."""

    def on_quote(self, event: Any) -> None:  # noqa: ANN401
        """Handle a quote."""

    def on_trade(self, event: Any) -> None:  # noqa: ANN401
        """Handle a trade tick."""

    def on_batch(self, batch: Any) -> None:  # noqa: ANN401
        """Handle the rows of a window that is over, as arrays; `subscribe(window=...)` asks for them."""

    def on_signal(self, event: Any) -> None:  # noqa: ANN401
        """Handle a signal that has just arrived."""

    def on_fill(self, event: Any) -> None:  # noqa: ANN401
        """Handle an execution of one of this strategy's orders."""

    def on_order(self, event: Any) -> None:  # noqa: ANN401
        """Handle a change of state of one of this strategy's orders."""

    def on_margin_call(self, event: Any) -> None:  # noqa: ANN401
        """Handle a margin call, a warning of one, or what became of it."""

    def on_daily_close(self) -> None:
        """Act after the close of each session of the NAV calendar; its NAV is known."""

    def on_rebalance_trigger(self) -> None:
        """Act when a schedule without a callback is due."""

    def on_stop(self) -> None:
        """Finish: called once, after the last event."""

    def subscribe(  # noqa: PLR0913 - the parts of a subscription, each by its name
        self,
        *,
        asset: str | None = None,
        assets: Iterable[str] | None = None,
        event_type: str | EventType | None = None,
        frequency: str | None = None,
        model_id: str | None = None,
        every: int | str | None = None,
        window: str | None = None,
    ) -> None:
        """Ask for events in `on_start`; a strategy that never does sees them all.

        Parameters
        ----------
        asset, assets : str, iterable of str
            Symbols, one or several; all by default.
        event_type : str or EventType
            bar, quote, trade, signal, fill or order, in any case; all by default.
        frequency : str
            Interval of bars, such as "1d".
        model_id : str
            Model whose signals are wanted.
        every : int or str
            Not all of them: every so manieth of an instrument, or, for a duration such as "5m", the first of
            an instrument at or after each whole multiple of it since 1970 UTC.
        window : str
            Bars, quotes or trades together: the rows of each window of that length ("1s") go to `on_batch` at
            its end, as arrays. They come one by one no more, unless another subscription wants that, and
            `on_data` is called at the ends of the windows instead of at each row.

        Raises
        ------
        StrategyError
            If parts contradict each other: `asset` and `assets`, `every` and `window`, a window of signals.
        UnknownNameError
            If there is no such symbol, event type or model.
        """
        whose = {"asset": asset, "assets": assets, "event_type": event_type, "frequency": frequency}
        self._runtime.subscribe(**whose, model_id=model_id, every=every, window=window)

    def track(self, indicator: Any, *, fields: str | Iterable[str] | None = None) -> Any:  # noqa: ANN401
        """Have the engine keep an indicator up to date for every instrument, before each callback.

        Called in `on_start`. It sees every row of an instrument that becomes readable, and those that are
        when the run begins (rows before `start_date` are not read); which of them go to callbacks makes no
        difference.

        Parameters
        ----------
        indicator : indicator of `ml4t.backtest.indicators`
            Such as `SMA(50)`; every instrument gets a copy of it as it stands.
        fields : str or iterable of str
            What it is fed with, such as "volume" or, where several feeds have it, "feed.close"; its usual
            fields by default (close; high, low and close for `ATR`).

        Returns
        -------
        IndicatorColumn
            `column[symbol]` is the last answer, NaN until warm; `column.values` is an array over
            `data.symbols`. An indicator with several outputs has an array for each, such as `column.line`.
        """
        return self._runtime.track(indicator, fields)

    def schedule(self, callback: Callable[[], object] | None = None, *, rule: Schedule) -> None:
        """Have `callback`, by default `on_rebalance_trigger`, called by a rule of `ml4t.core.schedule`.

        Raises
        ------
        StrategyError
            If that is no rule, or no plain function: an `async` one or a generator would never run.
        """
        self._runtime.schedule(callback, rule)

    def record(self, **values: float) -> None:
        """Keep named numbers of this instant; they become rows of the `recorded` table."""
        self._runtime.record(values)

    def log(self, message: str, *, level: str = "info") -> None:
        """Keep a line of text of this instant, at level debug, info, warning or error, in table `logs`."""
        if level not in LOG_LEVELS:
            raise unknown_name("log level", level, LOG_LEVELS)  # noqa: EM101
        # Half of a surrogate pair is no Unicode text; it is kept as its escape.
        self._runtime.log(str(message).encode(errors="backslashreplace").decode(), level)


def overridden_callbacks(strategy: Strategy) -> frozenset[str]:
    """Return the names of the callbacks that a strategy implements, on its class or on the instance."""
    cls = type(strategy)
    own = vars(strategy)
    return frozenset(n for n in CALLBACKS if n in own or getattr(cls, n) is not getattr(Strategy, n))
