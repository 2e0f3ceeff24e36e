"""Events of the market as a user's own feed yields them.

Stamps are nanoseconds UTC or timezone-aware datetimes. `ts_event` is when a row was complete, `ts_arrival`
when it could be known (None: the same instant). Prices are in the instrument's currency; what is missing is
NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import attrs
from attrs.converters import optional

from ml4t.core.errors import DataError
from ml4t.core.types import ActionKind
from ml4t.core.values import FrozenMapping, format_ns, to_decimal, to_fraction, to_ns

__all__ = ["Bar", "CorporateAction", "Event", "Quote", "Signal", "TradeTick", "to_ns"]


class _Stamped:
    """What the events have in common: nothing is known before it has happened."""

    __slots__ = ()

    _numbers: ClassVar[tuple[str, ...]]
    symbol: str
    ts_event: int
    ts_arrival: int | None

    def __attrs_post_init__(self) -> None:
        for name in self._numbers:
            value: object = getattr(self, name)
            if type(value) is not float:
                msg = f"{self._where}: {name} is {value!r}; expected a number, NaN where it is missing"
                raise DataError(msg)
        if self.ts_arrival is not None and self.ts_arrival < self.ts_event:
            arrival, event = format_ns(self.ts_arrival), format_ns(self.ts_event)
            msg = f"ts_arrival {arrival} of {self.symbol} is before its ts_event {event}"
            raise DataError(msg)
        ts_open = getattr(self, "ts_open", None)
        if ts_open is not None and ts_open >= self.ts_event:
            event = format_ns(self.ts_event)
            msg = f"ts_open {format_ns(ts_open)} of a bar of {self.symbol} is not before its ts_event {event}"
            raise DataError(msg)

    @property
    def _where(self) -> str:
        return f"{self.symbol} at {format_ns(self.ts_event)}"


def _number(value: Any) -> float:  # noqa: ANN401 - whatever a feed found
    """Return a float; what is no number is kept, for the event to name it with instrument and instant."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        wrong: float = value
        return wrong


@attrs.frozen
class Bar(_Stamped):
    """Open, high, low, close and volume of one interval.

    `ts_event` is its end, `ts_open` its begin (None: the feed's declared `interval` earlier); `fields` are
    features that travel with the bar.
    """

    _numbers: ClassVar = ("open", "high", "low", "close", "volume")
    symbol: str
    ts_event: int = attrs.field(converter=to_ns)
    open: float = attrs.field(converter=_number)
    high: float = attrs.field(converter=_number)
    low: float = attrs.field(converter=_number)
    close: float = attrs.field(converter=_number)
    volume: float = attrs.field(default=math.nan, converter=_number)
    ts_open: int | None = attrs.field(default=None, converter=optional(to_ns), kw_only=True)
    ts_arrival: int | None = attrs.field(default=None, converter=optional(to_ns), kw_only=True)
    fields: Mapping[str, float] = attrs.field(factory=FrozenMapping, converter=FrozenMapping, kw_only=True)


@attrs.frozen
class Quote(_Stamped):
    """Best bid and ask with their sizes."""

    _numbers: ClassVar = ("bid_price", "ask_price", "bid_size", "ask_size")
    symbol: str
    ts_event: int = attrs.field(converter=to_ns)
    bid_price: float = attrs.field(converter=_number)
    ask_price: float = attrs.field(converter=_number)
    bid_size: float = attrs.field(default=math.nan, converter=_number)
    ask_size: float = attrs.field(default=math.nan, converter=_number)
    ts_arrival: int | None = attrs.field(default=None, converter=optional(to_ns), kw_only=True)


@attrs.frozen
class TradeTick(_Stamped):
    """One print of the market."""

    _numbers: ClassVar = ("price", "size")
    symbol: str
    ts_event: int = attrs.field(converter=to_ns)
    price: float = attrs.field(converter=_number)
    size: float = attrs.field(default=math.nan, converter=_number)
    ts_arrival: int | None = attrs.field(default=None, converter=optional(to_ns), kw_only=True)


@attrs.frozen
class Signal(_Stamped):
    """A prediction about the instant `ts_event`; strategies see it at `ts_arrival`, which has no default."""

    _numbers: ClassVar = ("score", "confidence")
    symbol: str
    ts_event: int = attrs.field(converter=to_ns)
    ts_arrival: int = attrs.field(converter=to_ns)
    score: float = attrs.field(converter=_number)
    model_id: str = attrs.field(default="", kw_only=True)
    confidence: float = attrs.field(default=math.nan, converter=_number, kw_only=True)
    version: str = attrs.field(default="", kw_only=True)


@attrs.frozen
class CorporateAction:
    """A corporate action, effective at 00:00 exchange-local time of `ex_date`.

    A split has a `ratio` of new shares per old share, exact: 7 for a 7-for-1 split, "1/3" for a 1-for-3
    reverse split; a stock dividend one of further shares per share, "1/20" for 5 %. A cash dividend has an
    `amount` in currency per share as held on the ex-date, a `pay_date` (None: the ex-date), and the fraction
    of it that is withheld as tax from who holds, `withholding`. A spin-off gives `ratio` shares of `into` for
    a share, which are worth `amount` of it. A cash merger has the `amount` that is paid for a share; a stock
    merger the `ratio` of shares of `into` for a share, and the `amount` that is paid beside; a symbol change
    makes each share one of `into`; a delisting has what a share is worth then, 0 for nothing and None for its
    last price. These four end the instrument. Anything else is a DataError.
    """

    symbol: str
    ex_date: date
    kind: ActionKind
    ratio: Fraction | None = attrs.field(default=None, converter=optional(to_fraction), kw_only=True)
    amount: Decimal | None = attrs.field(default=None, converter=optional(to_decimal), kw_only=True)
    pay_date: date | None = attrs.field(default=None, kw_only=True)
    into: str | None = attrs.field(default=None, kw_only=True)
    withholding: Decimal | None = attrs.field(default=None, converter=optional(to_decimal), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if fault := next(self._faults(), None):
            msg = f"{getattr(self.kind, 'value', self.kind)} of {self.symbol} on {self.ex_date}: {fault}"
            raise DataError(msg)

    def _faults(self) -> Iterator[str]:
        days: list[object] = [self.ex_date, self.ex_date if self.pay_date is None else self.pay_date]
        if any(isinstance(day, datetime) or not isinstance(day, date) for day in days):
            yield f"ex_date and pay_date must be dates without a time, found {days}"
        if self.kind not in list(ActionKind):
            yield f"kind must be one of {', '.join(map(str, ActionKind))}"
        *allowed, words = _TAKES.get(self.kind, ("", "", "", "a known kind"))
        into = "=" if self.into == self.symbol else "-" if self.into is None else "+"
        found = (_sign(self.ratio), _sign(self.amount), into)
        if any(sign not in signs for sign, signs in zip(found, allowed, strict=True)):
            wrong = f"ratio={self.ratio}, amount={self.amount}, into={self.into}"
            yield f"it takes {words} and nothing else; {wrong}"
        if self.pay_date is not None and self.kind is not ActionKind.CASH_DIVIDEND:
            yield f"only cash dividends have a pay_date, found {self.pay_date}"
        if self.pay_date is not None and self.pay_date < self.ex_date:
            yield f"pay_date {self.pay_date} is before the ex-date"
        if self.withholding is not None and self.kind is not ActionKind.CASH_DIVIDEND:
            yield f"only cash dividends have a withholding, found {self.withholding}"
        if self.withholding is not None and not 0 <= self.withholding <= 1:
            yield f"withholding is a fraction from 0 to 1, found {self.withholding}"


def _sign(value: Fraction | Decimal | None) -> str:
    return "-" if value is None else "+" if value > 0 else "0" if value == 0 else "<"


# Signs that ratio, amount and into may have, `-` for none; and how to say so.
_TAKES = {
    ActionKind.SPLIT: ("+", "-", "-", "a ratio above zero"),
    ActionKind.STOCK_DIVIDEND: ("+", "-", "-", "a ratio above zero"),
    ActionKind.CASH_DIVIDEND: ("-", "+", "-", "an amount above zero"),
    ActionKind.SPIN_OFF: ("+", "+", "+", "a ratio and an amount above zero, another symbol as into,"),
    ActionKind.CASH_MERGER: ("-", "+", "-", "an amount above zero"),
    ActionKind.STOCK_MERGER: ("+", "-+", "+", "a ratio above zero, another symbol as into, maybe an amount,"),
    ActionKind.SYMBOL_CHANGE: ("-", "-", "+", "another symbol as into"),
    ActionKind.DELISTING: ("-", "-0+", "-", "an amount of zero or more, or none,"),
}

Event = Bar | Quote | TradeTick | Signal
