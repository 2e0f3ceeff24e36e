"""Delivery: which callbacks of a strategy are told of what, and what is said of an exception they raise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import attrs

from ml4t.core.errors import ConfigError, unknown_name
from ml4t.core.types import DataKind
from ml4t.reference.desk import Desk
from ml4t.reference.events import (
    Event,
    FillEvent,
    MarginCallEvent,
    OrderEvent,
    SignalEvent,
    market_event,
    signal_event,
)
from ml4t.reference.plan import Plan
from ml4t.reference.readable import News
from ml4t.reference.timestamp import text_of
from ml4t.reference.windows import MicroBatch, Window

__all__ = ["Delivery", "Subscription"]

MARKET_KINDS = ("bar", "quote", "trade")


@attrs.frozen(kw_only=True)
class Subscription:
    """Which typed events are wanted; None matches all."""

    assets: tuple[str, ...] | None = None
    kind: str | None = None
    interval_ns: int | None = None
    model_id: str | None = None
    every: int | None = None
    every_ns: int | None = None
    window_ns: int | None = None
    #: By instrument how many events matched, or the period of the last one.
    _seen: dict[str, int] = attrs.field(factory=dict, init=False, eq=False)

    def matches(self, kind: str, asset: str, interval_ns: int | None, model_id: str | None) -> bool:
        """Say whether an event fits; an interval is one of bars, and a model one of signals."""
        return (
            (self.assets is None or asset in self.assets)
            and self.kind in (None, kind)
            and (self.interval_ns is None or (kind == "bar" and self.interval_ns == interval_ns))
            and (self.model_id is None or (kind == "signal" and self.model_id == model_id))
        )

    def takes(self, event: Event, kind: str, interval_ns: int | None, model_id: str | None) -> bool:
        """Count an event that fits, and say whether it is one of those wanted."""
        if self.window_ns is not None or not self.matches(kind, event.asset, interval_ns, model_id):
            return False
        if kind in ("fill", "order"):
            return True
        if self.every is not None:
            self._seen[event.asset] = self._seen.get(event.asset, 0) + 1
            return self._seen[event.asset] % self.every == 0
        if self.every_ns is not None:
            before = self._seen.get(event.asset)
            self._seen[event.asset] = event.ts_event // self.every_ns
            return before != self._seen[event.asset]
        return True


@attrs.define
class Delivery:
    """Calls the strategy."""

    plan: Plan
    desk: Desk
    handlers: dict[str, Callable[..., object]] = attrs.field(factory=dict)
    subscriptions: list[Subscription] = attrs.field(factory=list)
    windows: list[Window] = attrs.field(factory=list)
    due: list[MicroBatch] = attrs.field(factory=list)

    def subscribe(self, subscription: Subscription) -> None:
        """Add a subscription.

        Raises
        ------
        UnknownNameError
            If the run has no such instrument or no signals of that model.
        ConfigError
            If no feed has bars of that interval.
        """
        plan = self.plan
        for asset in subscription.assets or ():
            if asset not in plan.symbols:
                raise unknown_name("symbol", asset, plan.symbols)  # noqa: EM101
        names = () if plan.signals is None else plan.signals.names
        if subscription.model_id is not None and subscription.model_id not in names:
            raise unknown_name("model_id", subscription.model_id, names)  # noqa: EM101
        intervals = {feed.interval_ns for feed in plan.feeds if feed.kind is DataKind.BAR}
        if subscription.interval_ns is not None and subscription.interval_ns not in intervals:
            message = f"no feed has bars of {_duration(subscription.interval_ns)}"
            raise ConfigError(message)
        # A model has nothing but signals, an interval nothing but bars.
        if subscription.window_ns is not None:
            fitting = [
                feed
                for feed in plan.feeds
                if feed.kind.value in MARKET_KINDS and _fits(subscription, feed.kind.value, feed.interval_ns)
            ]
            if not fitting:
                kinds = sorted({feed.kind.value for feed in plan.feeds} & {*MARKET_KINDS})
                wanted = subscription.kind or "market"
                message = f"no feed has {wanted} rows for a window; this run has {', '.join(kinds)}"
                raise ConfigError(message)
            self.windows += [
                Window(
                    feed=feed,
                    length=subscription.window_ns,
                    subscription=subscription,
                    symbols=plan.symbols,
                )
                for feed in fitting
            ]
        self.subscriptions.append(subscription)

    def gather(self, news: News, now: int, *, is_last: bool) -> bool:
        """Take in what is new for windows, and say whether some are over; at the end of the data all are."""
        self.due = []
        for window in self.windows:
            window.take(news, now)
            if window.due is not None and (window.due <= now or is_last):
                self.due.append(window.give(now))
        return bool(self.due)

    def next_due(self) -> int | None:
        """Return when the next window is over; None where none has begun."""
        return min((window.due for window in self.windows if window.due is not None), default=None)

    def causes_data(self, news: News) -> bool:
        """Say whether new rows call `on_data`: those that come in windows do not, their ends do."""
        return bool(news.context or news.signals) or any(
            not any(window.has(index, row) for window in self.windows) for index, row in news.rows
        )

    def call(self, name: str, now: int | None, *args: object, asset: str = "", label: str = "") -> None:
        """Call a callback, if the strategy has it; an exception is told where and when it was raised."""
        handler = self.handlers.get(name)
        if handler is not None:
            self.run(handler, label or name, now, *args, asset=asset)

    def run(
        self, handler: Callable[..., object], label: str, now: int | None, *args: object, asset: str = ""
    ) -> None:
        """Call one function of the strategy."""
        self.desk.in_callback = True
        try:
            handler(*args)
        except BaseException as error:
            when = "" if now is None else f", at {text_of(now)}"
            # An exception class may refuse notes; the exception itself matters more.
            with contextlib.suppress(Exception):
                error.add_note(f"raised in {label}{f', {asset}' if asset else ''}{when}")
            raise
        finally:
            self.desk.in_callback = False

    def tell(
        self, event: Event, kind: str, now: int, interval_ns: int | None = None, model_id: str | None = None
    ) -> None:
        """Tell a typed event to its own callback, or to `on_event` where there is none.

        A strategy's own fills and orders reach their own callbacks whatever is subscribed to.
        """
        own = f"on_{kind}"
        name = own if own in self.handlers else "on_event"
        always = name == own and kind in ("fill", "order")
        # Each subscription counts, whatever the others say.
        takes = [each.takes(event, kind, interval_ns, model_id) for each in self.subscriptions]
        wanted = not self.subscriptions or any(takes)
        if always or wanted:
            self.call(name, now, event, asset=event.asset)

    def news(self, news: News, now: int) -> None:
        """Tell of rows, windows and signals that have just become readable."""
        hears = ("on_bar", "on_quote", "on_trade", "on_signal", "on_event")
        is_told = any(name in self.handlers for name in hears)
        for index, row in news.rows if is_told else ():
            feed = self.plan.feeds[index]
            self.tell(market_event(self.plan, feed, row), feed.kind.value, now, feed.interval_ns)
        for batch in self.due:
            self.call("on_batch", now, batch)
        for row in news.signals if is_told else ():
            signal: SignalEvent = signal_event(self.plan, row)
            self.tell(signal, "signal", now, model_id=signal.model_id)

    def wants_orders(self) -> bool:
        """Say whether anybody is told of fills, orders and margin calls."""
        hears = ("on_fill", "on_order", "on_margin_call", "on_event")
        return any(name in self.handlers for name in hears)

    def order(self, event: FillEvent | OrderEvent | MarginCallEvent, now: int) -> None:
        """Tell of a fill, of a change of an order, or of a margin call, which has no other callback."""
        if isinstance(event, MarginCallEvent):
            self.call("on_margin_call", now, event)
            return
        self.tell(event, "fill" if isinstance(event, FillEvent) else "order", now)


def _fits(subscription: Subscription, kind: str, interval_ns: int | None) -> bool:
    return subscription.kind in (None, kind) and subscription.interval_ns in (None, interval_ns)


def _duration(ns: int) -> str:
    from ml4t.core.values import format_duration

    return format_duration(ns)
