"""Value dates of spot trades in currencies, and for how many days a position is rolled over each evening."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import attrs
import polars as pl

from ml4t.core.errors import ArgumentError, DataError
from ml4t.funding.closing_days import DAY, SATURDAY, closing_days

if TYPE_CHECKING:
    from ml4t.funding.closing_days import Holidays

__all__ = ["ROLL_COLUMNS", "CurrencyPair", "ValueDates", "rollover_days"]

NEW_YORK = ZoneInfo("America/New_York")
ROLL_TIME = dt.time(17)
#: They settle one business day after the trade against USD; all others two.
ONE_DAY = frozenset({"CAD", "KZT", "PHP", "PKR", "RUB", "TRY"})
#: For them a day on which New York is closed is no business day on the way to the value date.
COUNT_NEW_YORK = frozenset({"ARS", "CLP", "MXN"})
LONGEST_CLOSURE = dt.timedelta(days=45)  #: no payment system was ever closed as long
_CURRENCY = re.compile("[A-Z]{3}")
_PAIR = re.compile(r"([A-Z]{3})[/._-]?([A-Z]{3})")

ROLL_COLUMNS: dict[str, pl.DataType] = {
    "pair": pl.String(),
    "trade_date": pl.Date(),
    "ts_event": pl.Datetime("ns", "UTC"),
    "value_date": pl.Date(),
    "next_value_date": pl.Date(),
    "days": pl.Int64(),
}


@attrs.frozen
class CurrencyPair:
    """Units of `quote` for one of `base`."""

    base: str
    quote: str

    @classmethod
    def of(cls, text: object) -> CurrencyPair:
        """Read a pair such as ``EURUSD`` or ``EUR/USD``.

        Raises
        ------
        DataError
            If it is none.

        Examples
        --------
        >>> CurrencyPair.of("eur/usd")
        CurrencyPair(base='EUR', quote='USD')
        """
        found = _PAIR.fullmatch(text.strip().upper()) if isinstance(text, str) else None
        if found is None or found[1] == found[2]:
            message = f"{text!r} is no pair; expected two currencies such as 'EURUSD' or 'EUR/USD'"
            raise DataError(message)
        return cls(found[1], found[2])


@attrs.frozen
class ValueDates:
    """When spot trades in a pair settle.

    Each currency but USD counts its own business days from the trade date on, two, or one for CAD, TRY, PHP,
    RUB, KZT and PKR. A day on which only New York is closed counts all the same, except for ARS, CLP and MXN.
    The trade settles on the first day from the latest of these on, on which both currencies and USD settle: a
    cross of two others too does not settle without New York.

    Build it with `between`.

    Notes
    -----
    Sources: London FX, "Value dates" (londonfx.co.uk: T+2, USD/CAD T+1, crosses take the later date, USD
    holidays on T+1, ARS, CLP and MXN); the R package `fmbasics`, `is_t1` (pairs that settle after one day);
    Interactive Brokers, "Forex settlement" (crosses do not settle on USD holidays).
    """

    pair: CurrencyPair
    lags: Mapping[str, int]  #: business days that each currency but USD counts
    closed: Mapping[str, frozenset[dt.date]]  #: weekdays on which a currency does not settle

    @classmethod
    def between(
        cls,
        pair: CurrencyPair,
        start: dt.date,
        end: dt.date,
        *,
        holidays: Holidays | None = None,
        spot_days: Mapping[str, int] | None = None,
    ) -> ValueDates:
        """Build those of trade dates from `start` to `end`; see `rollover_days`.

        Raises
        ------
        ArgumentError
            If a number of business days is below one.
        DataError
            If nobody says when a currency settles.
        """
        given = {} if spot_days is None else spot_days
        lags = {}
        for currency in (pair.base, pair.quote):
            if currency != "USD":
                lag = given.get(currency, 1 if currency in ONE_DAY else 2)
                if type(lag) is not int or lag < 1:
                    message = f"spot_days of {currency} = {lag!r}; expected a whole number of 1 or more"
                    raise ArgumentError(message)
                lags[currency] = lag
        last = end + LONGEST_CLOSURE
        closed = {
            currency: closing_days(currency, start, last, holidays)
            for currency in sorted({pair.base, pair.quote, "USD"})
        }
        return cls(pair, lags, closed)

    def of(self, trade_date: dt.date) -> dt.date:
        """Return the value date of trades of a day.

        Examples
        --------
        Thanksgiving is on Thursday, 28 November 2024. A trade of Tuesday would settle then, and waits; one of
        Wednesday counts it, because the euro settles:

        >>> import datetime as dt
        >>> week = dt.date(2024, 11, 25), dt.date(2024, 11, 29)
        >>> dates = ValueDates.between(CurrencyPair("EUR", "USD"), *week)
        >>> [f"{dates.of(dt.date(2024, 11, day)):%a %d}" for day in (25, 26, 27)]
        ['Wed 27', 'Fri 29', 'Fri 29']
        """
        found = max(self._counted(trade_date, currency, lag) for currency, lag in self.lags.items())
        while any(not self._is_open(found, currency) for currency in self.closed):
            found += DAY
        return found

    def _counted(self, day: dt.date, currency: str, lag: int) -> dt.date:
        """Return the day on which a currency has counted `lag` business days."""
        counting = (currency, "USD") if currency in COUNT_NEW_YORK else (currency,)
        while lag:
            day += DAY
            lag -= all(self._is_open(day, each) for each in counting)
        return day

    def _is_open(self, day: dt.date, currency: str) -> bool:
        return day.weekday() < SATURDAY and day not in self.closed[currency]


def rollover_days(
    pairs: str | Sequence[str],
    start: dt.date,
    end: dt.date,
    *,
    holidays: Holidays | None = None,
    spot_days: Mapping[str, int] | None = None,
) -> pl.DataFrame:
    """Return when positions in currency pairs are rolled over, and for how many days.

    A trade date ends at 17:00 in New York, from Monday to Friday. Whoever holds a position then has it moved
    from the value date of that trade date to that of the next one; the calendar days between the two are what
    is paid. Three on a Wednesday (for pairs that settle after one day on a Thursday) are no rule of their
    own: the weekend lies between these value dates. Holidays shift it.

    Parameters
    ----------
    pairs : str or sequence of str
        ``EURUSD`` or ``EUR/USD``.
    start, end : datetime.date
        First and last trade date, both included; weekends have none.
    holidays : mapping or None
        By currency of the pairs, or USD, the name of a calendar of pandas-market-calendars, or the dates on
        which its banks are closed. USD, EUR, GBP and JPY are known without it.
    spot_days : mapping or None
        By currency, business days from a trade against USD to its value date, where it is not the usual
        number, such as ``{"TRY": 2}``.

    Returns
    -------
    polars.DataFrame
        ``pair``, ``trade_date``, ``ts_event`` (the roll), ``value_date``, ``next_value_date`` and ``days``: 0
        where both settle on one day, so that nothing is rolled. Sorted by time and pair.

    Raises
    ------
    ArgumentError
        If `end` is before `start`, a number of `spot_days` is below one, or `holidays` or `spot_days` speak
        of a currency that is in none of the pairs.
    DataError
        If a text is no pair, or nobody says when a currency settles.

    Notes
    -----
    NZD is rolled over with all others at 17:00 in New York, as brokers do; between banks NZD/USD is rolled at
    7:00 in Auckland.

    Examples
    --------
    >>> import datetime as dt
    >>> week = dt.date(2024, 3, 4), dt.date(2024, 3, 8)
    >>> rollover_days("EURUSD", *week)["days"].to_list()
    [1, 1, 3, 1, 1]
    >>> rollover_days("USDCAD", *week, holidays={"CAD": "XTSE"})["days"].to_list()
    [1, 1, 1, 3, 1]
    """
    for name, day in (("start", start), ("end", end)):
        if type(day) is not dt.date:
            message = f"{name} = {day!r}; expected a date, that of the trade"
            raise ArgumentError(message)
    if end < start:
        message = f"start = {start} is after end = {end}"
        raise ArgumentError(message)
    asked: object = pairs
    if not isinstance(asked, Iterable):
        message = f"pairs = {pairs!r}; expected a pair such as 'EURUSD', or a list of pairs"
        raise ArgumentError(message)
    read = [(name, CurrencyPair.of(name)) for name in ([asked] if isinstance(asked, str) else asked)]
    currencies = {each for _, pair in read for each in (pair.base, pair.quote)}
    holidays = _by_currency("holidays", holidays, currencies | {"USD"}, "{'CAD': 'XTSE'}")
    spot_days = _by_currency("spot_days", spot_days, currencies - {"USD"}, "{'TRY': 2}")
    if holidays is not None:
        # Dates that can be read only once would count for the first pair alone.
        holidays = {
            currency: tuple(days) if isinstance(days, Iterator) else days
            for currency, days in holidays.items()
        }
    rows: list[tuple[object, ...]] = []
    for name, pair in read:
        dates = ValueDates.between(pair, start, end + 3 * DAY, holidays=holidays, spot_days=spot_days)
        rows += _rolls(name, start, end, dates)
    return pl.DataFrame(rows, schema=ROLL_COLUMNS, orient="row").sort("ts_event", "pair")


def _by_currency(name: str, given: object, allowed: set[str], example: str) -> Mapping[str, Any] | None:
    """Refuse terms of a currency that none of the pairs has: they would change nothing."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        message = f"{name} = {given!r}; expected a mapping by currency, such as {example}"
        raise ArgumentError(message)
    known = ", ".join(sorted(allowed)) or "none"
    for key in given:
        if not isinstance(key, str) or not _CURRENCY.fullmatch(key):
            message = f"{name}: {key!r} is no currency; expected three capital letters, here of {known}"
            raise ArgumentError(message)
        if key not in allowed:
            why = "USD counts no days of its own" if key == "USD" else f"{key} is in none of the pairs"
            message = f"{name}: {why}; those that count here are {known}. Leave {key} out"
            raise ArgumentError(message)
    return given


def _rolls(name: str, start: dt.date, end: dt.date, dates: ValueDates) -> Iterable[tuple[object, ...]]:
    for n in range((end - start).days + 1):
        day = start + n * DAY
        if day.weekday() < SATURDAY:
            next_day = day + (DAY if day.weekday() < SATURDAY - 1 else 3 * DAY)
            value, following = dates.of(day), dates.of(next_day)
            roll = dt.datetime.combine(day, ROLL_TIME, NEW_YORK).astimezone(dt.UTC)
            yield name, day, roll, value, following, (following - value).days
