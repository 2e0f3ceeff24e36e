"""Currencies: what an amount of one is worth in another, at the rates in force.

A row of rates says how many units of its `quote` one unit of its `base` is worth, from its time on until the
next row of the same pair. An amount goes from one currency to another by the pair of the two, by that pair
the other way round, or through a third currency. Every step is rounded to cash units, half to even, so money
that goes through a third currency is rounded twice.

Nothing is worth nothing, whether or not a rate is known: a currency that a run has not touched needs none.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import attrs

from ml4t.core.errors import ConfigError, DataError
from ml4t.reference.numbers import CASH_UNIT, cash_float, half_even
from ml4t.reference.timestamp import text_of

__all__ = ["Currencies", "Pair", "exact_rate", "rows_of"]

Pair = tuple[str, str]  #: units of the second for one unit of the first

RATE_DECIMALS = 15
SMALLEST_RATE, LARGEST_RATE = Fraction(1, 10**8), Fraction(10**8)


def rows_of(table: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a frame, or its rows already
    """Return the rows of a table of a description; there are none where there is no table."""
    if table is None or isinstance(table, list | tuple):
        return list(table or ())
    columns = {name: table[name].to_list() for name in table.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@attrs.frozen(kw_only=True)
class Row:
    """A rate and when it comes into force."""

    ts: int
    rate: Fraction


@attrs.frozen(kw_only=True)
class Step:
    """One step of a route: an amount times the rate of a pair, or divided by it."""

    pair: Pair
    divides: bool


@attrs.define
class Currencies:
    """The currencies of a run, the base currency first, and the rates between them.

    Raises
    ------
    ConfigError
        If there is no route from one of the currencies to the base currency.
    """

    names: tuple[str, ...]
    rows: Mapping[Pair, Sequence[Row]]  #: ascending in time; pairs without any row are left out
    routes: dict[str, tuple[Step, ...]] = attrs.field(init=False)  #: to the base currency

    @routes.default
    def _default_routes(self) -> dict[str, tuple[Step, ...]]:
        return {name: self._route_to_base(name) for name in self.names}

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Currencies:
        """Read them from the description of a run; without a word on them the base currency is the only one.

        Raises
        ------
        ConfigError
            If the base currency is not the first of them, or there is no route to it.
        DataError
            If a rate is out of its range.
        """
        base = spec["base_currency"]
        names = tuple(spec.get("currencies", (base,)))
        if names[:1] != (base,):
            message = f"the base currency {base} must be the first currency, found {', '.join(names)}"
            raise ConfigError(message)
        rows: dict[Pair, list[Row]] = {}
        for each in rows_of(spec.get("fx_rates")):
            pair = (each["base"], each["quote"])
            rows.setdefault(pair, []).append(_row(pair, each["ts"], float(each["rate"])))
        return cls(names, rows)

    @property
    def base(self) -> str:
        """The currency that the account is kept in."""
        return self.names[0]

    @property
    def is_single(self) -> bool:
        """Whether there is the base currency alone."""
        return len(self.names) == 1

    def refuse_others(self, currency: str, why: str) -> None:
        """Refuse a currency that is not of the run, saying why it would have to be."""
        if currency not in self.names:
            message = f"{currency} is no currency of the run, {', '.join(self.names)}, and {why}"
            raise ConfigError(message)

    # -- amounts -----------------------------------------------------------------------------------------

    def to_base(self, amount: int, currency: str, now: int) -> int:
        """Return what an amount is worth in the base currency at an instant, in cash units.

        Raises
        ------
        DataError
            If a rate that it takes is not in force yet.
        """
        if amount == 0:
            return 0
        for step in self.routes[currency]:
            rate = self._in_force(step.pair, now)
            amount = half_even(amount / rate if step.divides else amount * rate)
        return amount

    def rate(self, currency: str, now: int) -> float:
        """Return the units of the base currency for one unit of a currency, as tables and models see it."""
        return cash_float(self.to_base(CASH_UNIT, currency, now))

    def known_rate(self, currency: str, now: int) -> float:
        """Return the same where no amount depends on it: NaN before the first rate."""
        try:
            return self.rate(currency, now)
        except DataError:
            return math.nan

    def rounding(self, currency: str, now: int) -> Fraction:
        """Return by how much rounding may move an amount on its way to the base currency, in cash units.

        Half a unit at each step, and what a step has moved grows with the rate of the next one.
        """
        most = Fraction(0)
        for step in self.routes[currency]:
            rate = self._in_force(step.pair, now)
            most = (most / rate if step.divides else most * rate) + Fraction(1, 2)
        return most

    def next_row(self, currency: str, after: int) -> int | None:
        """Return when the next rate on the way from a currency to the base currency comes into force."""
        times = (row.ts for step in self.routes[currency] for row in self.rows[step.pair] if row.ts > after)
        return min(times, default=None)

    def _in_force(self, pair: Pair, now: int) -> Fraction:
        rows = self.rows[pair]
        known = bisect.bisect_right(rows, now, key=lambda row: row.ts)
        if known == 0:
            message = (
                f"no rate of {_named(pair)} is in force at {text_of(now)}; its first row is of "
                f"{text_of(rows[0].ts)}"
            )
            raise DataError(message)
        return rows[known - 1].rate

    # -- routes ------------------------------------------------------------------------------------------

    def _route_to_base(self, currency: str) -> tuple[Step, ...]:
        """Return the one way from a currency to the base currency: straight, or else through a third one."""
        if currency == self.base:
            return ()
        straight = self._step(currency, self.base)
        if straight is not None:
            return (straight,)
        # Of several third currencies the alphabetically first; it need not be one of the run.
        for third in sorted({name for pair in self.rows for name in pair}):
            first, second = self._step(currency, third), self._step(third, self.base)
            if first is not None and second is not None:
                return first, second
        given = ", ".join(_named(pair) for pair in sorted(self.rows)) or "none"
        message = (
            f"no rates lead from {currency} to the base currency {self.base}; the pairs given are {given}"
        )
        raise ConfigError(message)

    def _step(self, start: str, end: str) -> Step | None:
        if (start, end) in self.rows:
            return Step(pair=(start, end), divides=False)
        if (end, start) in self.rows:
            return Step(pair=(end, start), divides=True)
        return None


def exact_rate(value: float) -> Fraction:
    """Return a rate as the decimal that its shortest text says, rounded half to even to 15 decimals."""
    return Fraction(half_even(Fraction(repr(value)) * 10**RATE_DECIMALS), 10**RATE_DECIMALS)


def _row(pair: Pair, ts: int, value: float) -> Row:
    # What is no number at all has no exact rate.
    rate = exact_rate(value) if 0 < value < float("inf") else Fraction(0)
    if not SMALLEST_RATE <= rate <= LARGEST_RATE:
        message = f"rate {value!r} of {_named(pair)} at {text_of(ts)} must be from 1e-8 to 1e8"
        raise DataError(message)
    return Row(ts=ts, rate=rate)


def _named(pair: Pair) -> str:
    return "/".join(pair)
