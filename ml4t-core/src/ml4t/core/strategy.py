"""The base class of strategies.

A strategy overrides the callbacks it wants; the engine finds out once which they are and never calls the
rest. Parameters are keywords of the constructor, which need not call `super().__init__()`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import attrs

from ml4t.core.errors import EngineStateError, StrategyError, unknown_name
from ml4t.core.schedule import Schedule
from ml4t.core.types import EventType
from ml4t.core.values import parse_duration

if TYPE_CHECKING:
    from ml4t.core.sources import Broker, MarketView

__all__ = ["Strategy"]

LOG_LEVELS = ("debug", "info", "warning", "error")

# Names of the methods that an engine may call.
CALLBACKS = ["on_start", "on_data", "on_event", "on_bar", "on_quote", "on_trade", "on_signal", "on_fill"]
CALLBACKS += ["on_order", "on_daily_close", "on_rebalance_trigger", "on_stop"]


@attrs.frozen(kw_only=True)
class Subscription:
    """Which events a strategy wants; None means all. A `frequency_ns` of one day means daily bars."""

    asset: str | None = None
    event_type: EventType | None = None
    frequency_ns: int | None = None
    model_id: str | None = None


class StrategyRuntime(Protocol):
    """What an engine offers to the strategy it runs, behind the methods of `Strategy`."""

    def subscribe(self, subscription: Subscription) -> None:
        """Add a subscription."""

    def schedule(self, callback: Callable[[], object] | None, rule: Schedule) -> None:
        """Call `callback` by the rule; None means `on_rebalance_trigger`."""

    def record(self, values: Mapping[str, float]) -> None:
        """Keep named numbers of this instant."""

    def log(self, message: str, level: str) -> None:
        """Keep a line of text of this instant; `level` is one of `LOG_LEVELS`."""


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

    broker: Broker  #: orders and account, from `on_start` on
    data: MarketView  #: what is known now, from `on_start` on
    warmup: int | str = 0  #: how long orders are refused at first: a number of sessions, or such as "20d"
    _runtime: StrategyRuntime

    def bind(self, runtime: StrategyRuntime, *, broker: Broker, data: MarketView) -> None:
        """Attach the strategy to a run; engines call it before `on_start`."""
        self._runtime = runtime
        self.broker = broker
        self.data = data

    if not TYPE_CHECKING:
        # Hidden from type checkers, which would otherwise accept any misspelled attribute.

        def __getattr__(self, name: str) -> NoReturn:
            """Explain an attribute that is not there."""
            if name in ("broker", "data", "_runtime"):
                what = "subscribe, schedule, record and log" if name == "_runtime" else f"self.{name}"
                msg = (
                    f"{what} of {type(self).__name__} cannot be used before the run begins; move it from the"
                )
                msg += " constructor to on_start"
                raise EngineStateError(msg)
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg, name=name, obj=self)

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

    def on_signal(self, event: Any) -> None:  # noqa: ANN401
        """Handle a signal that has just arrived."""

    def on_fill(self, event: Any) -> None:  # noqa: ANN401
        """Handle an execution of one of this strategy's orders."""

    def on_order(self, event: Any) -> None:  # noqa: ANN401
        """Handle a change of state of one of this strategy's orders."""

    def on_daily_close(self) -> None:
        """Act after the close of each session of the NAV calendar; its NAV is known."""

    def on_rebalance_trigger(self) -> None:
        """Act when a schedule without a callback is due."""

    def on_stop(self) -> None:
        """Finish: called once, after the last event."""

    def subscribe(
        self,
        *,
        asset: str | None = None,
        event_type: str | EventType | None = None,
        frequency: str | None = None,
        model_id: str | None = None,
    ) -> None:
        """Ask for events; a strategy that never does sees them all.

        `asset` is a symbol, `event_type` bar, quote, trade, signal, fill or order in any case, `frequency` a
        bar interval such as "1d", `model_id` the model whose signals are wanted; left out, all match.
        """
        if isinstance(event_type, str):
            names = [member.value for member in EventType]
            if event_type.lower() not in names:
                raise unknown_name("event type", event_type, names)  # noqa: EM101
            event_type = EventType(event_type.lower())
        interval = None if frequency is None else parse_duration(frequency)
        wanted = Subscription(asset=asset, event_type=event_type, frequency_ns=interval, model_id=model_id)
        self._runtime.subscribe(wanted)

    def schedule(self, callback: Callable[[], object] | None = None, *, rule: Schedule) -> None:
        """Have `callback`, by default `on_rebalance_trigger`, called by a rule of `ml4t.core.schedule`."""
        given: list[object] = [rule, callback]
        if not isinstance(given[0], Schedule) or not (given[1] is None or callable(given[1])):
            msg = f"expected a rule such as schedule.month_end() and a callable, found {given}"
            raise StrategyError(msg)
        if callback is not None:
            _refuse_deferred(callback, f"a scheduled callback of {type(self).__name__}")
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


def check_callbacks(strategy: Strategy) -> None:
    """Refuse callbacks that an engine cannot call, before the run and not in the middle of it.

    Raises
    ------
    StrategyError
        If one is no function, is `async` or a generator, whose bodies would never run, or does not take what
        it is called with.
    """
    for name in CALLBACKS:
        if name in overridden_callbacks(strategy):
            callback = getattr(strategy, name)
            _refuse_deferred(callback, f"{name} of {type(strategy).__name__}")
            wanted = list(inspect.signature(getattr(Strategy, name)).parameters)[1:]
            try:
                inspect.signature(callback).bind(*wanted)
            except TypeError as error:
                taken = f"{name}({', '.join(['self', *wanted])})"
                msg = f"{name} of {type(strategy).__name__} is called as {taken}: {error}"
                raise StrategyError(msg) from None
            except ValueError:
                # Written in C; the call itself will tell.
                continue


def _refuse_deferred(callback: object, what: str) -> None:
    if not callable(callback):
        msg = f"{what} must be a function, found {callback!r}"
        raise StrategyError(msg)
    kinds = {"async": inspect.iscoroutinefunction, "an async generator": inspect.isasyncgenfunction}
    kinds["a generator (it has yield)"] = inspect.isgeneratorfunction
    for kind, applies in kinds.items():
        if applies(callback):
            msg = (
                f"{what} is {kind}, and its body would never run; write a plain function with def and return"
            )
            raise StrategyError(msg)


def overridden_callbacks(strategy: Strategy) -> frozenset[str]:
    """Return the names of the callbacks that a strategy implements, on its class or on the instance."""
    cls = type(strategy)
    own = vars(strategy)
    return frozenset(n for n in CALLBACKS if n in own or getattr(cls, n) is not getattr(Strategy, n))
