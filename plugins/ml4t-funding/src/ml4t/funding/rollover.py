"""What rolling positions in currency pairs over costs and brings, as funding rates of a run."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeGuard

import polars as pl

from ml4t.core.errors import ArgumentError, DataError
from ml4t.core.values import parse_duration
from ml4t.funding.value_dates import CurrencyPair, rollover_days

if TYPE_CHECKING:
    from ml4t.funding.closing_days import Holidays

__all__ = ["rollover_rates"]

LABEL = "rollover"
STYLES = (("long_rate", "short_rate"), ("long_points", "short_points"), ("base_rate", "quote_rate"))
RATES, POINTS, INTEREST = STYLES
DAY_NS = 86_400_000_000_000
LONGEST_NS = 2**63 - 1
MOST = 10.0  #: a fraction per year, 1,000 %; beyond it a rate is rather a percentage


def rollover_rates(  # noqa: PLR0913 - each is a word of its own about the table
    quotes: pl.DataFrame,
    start: dt.date,
    end: dt.date,
    *,
    day_count: float = 365.0,
    admin_fee: float | None = None,
    pip_size: float | Mapping[str, float] | None = None,
    max_age: float | str | dt.timedelta | None = None,
    holidays: Holidays | None = None,
    spot_days: Mapping[str, int] | None = None,
) -> pl.DataFrame:
    """Return the funding rates of currency pairs: one row per pair and evening on which it is rolled over.

    At 17:00 in New York whoever is long gets, for the days of that evening (`rollover_days`),

    - with yearly rates of each side ``units * price * long_rate * days / day_count``;
    - with swap points ``units * long_points * pip_size * days``;
    - with interest rates of both currencies ``units * price * (base_rate - quote_rate - admin_fee) * days /
      day_count``, and whoever is short gets ``units * price * (quote_rate - base_rate - admin_fee) * ...``,

    likewise with ``short_rate`` or ``short_points`` for whoever is short, units counted above zero; an amount
    below zero is paid. All of it is money of the second currency of the pair.

    Parameters
    ----------
    quotes : polars.DataFrame
        ``symbol``, ``ts_event`` (from when on it is known, an instant with a zone) and one pair of columns:
        ``long_rate`` and ``short_rate`` (fractions per year with the sign of what the holder gets, as brokers
        quote them: -0.03 costs 3 %), ``long_points`` and ``short_points`` (pips per day and unit, with the
        same sign), or ``base_rate`` and ``quote_rate`` (fractions per year that each currency earns). Rates
        beyond 10, which is 1,000 %, are refused. Where symbols are no pairs, ``pair`` says which. For each
        evening the latest row at or before it counts.
    start, end : datetime.date
        First and last trade date, both included.
    day_count : float
        Days of a year; 365 for rates of OANDA.
    admin_fee : float or None
        Fraction per year that the broker keeps on either side, with interest rates; None for none.
    pip_size : float, mapping or None
        What a pip is, such as 0.0001, or 0.01 for pairs with JPY; by symbol where they differ. Required with
        points.
    max_age : float, str, datetime.timedelta or None
        How old the row that counts may be: a number of days, or a text such as ``"2d"`` or ``"36h"``; None
        for any age.
    holidays, spot_days
        As in `rollover_days`.

    Returns
    -------
    polars.DataFrame
        What ``run(..., funding=...)`` takes: ``symbol``, ``ts_event``, ``funding_rate``,
        ``funding_rate_short`` and ``mark_price`` (1 with points, else empty: the price is what the position
        is valued at); and, to be read, ``days``, ``trade_date``, ``value_date`` and ``next_value_date``.
        Evenings of no days have no row.

    Raises
    ------
    ArgumentError
        If a number is out of its range, or belongs to another pair of columns, or `holidays` or `spot_days`
        speak of a currency that is in none of the pairs.
    DataError
        If the table is not of that form, an evening has no rates or older ones than `max_age`, or nobody says
        when a currency settles.

    Notes
    -----
    Source: OANDA, "Financing costs": units x price at 17:00 Eastern x rate / 365, with the sign of the quoted
    rate; 100,000 EUR/USD long at 1.15826 and -3.00 % pay 9.52. Rates of interest leave out interest on
    interest of the days themselves.

    Examples
    --------
    >>> import datetime as dt
    >>> import polars as pl
    >>> quotes = pl.DataFrame(
    ...     {
    ...         "symbol": ["EURUSD"],
    ...         "ts_event": [dt.datetime(2024, 3, 1, tzinfo=dt.UTC)],
    ...         "long_rate": [-0.03],
    ...         "short_rate": [0.01],
    ...     }
    ... )
    >>> rates = rollover_rates(quotes, dt.date(2024, 3, 5), dt.date(2024, 3, 6))
    >>> yearly = [(pl.col(name) * 365).round(9) for name in ("funding_rate", "funding_rate_short")]
    >>> rates.select("days", *yearly).rows()
    [(1, 0.03, 0.01), (3, 0.09, 0.03)]
    """
    _check_number("day_count", day_count)
    style = _style(quotes)
    _check_extras(style, admin_fee, pip_size)
    oldest_ns = _age_ns(max_age)
    rows = _checked(quotes, style)
    pairs = _pairs(rows)
    days = rollover_days(
        list(dict.fromkeys(pairs.values())), start, end, holidays=holidays, spot_days=spot_days
    )
    symbols = pl.DataFrame({"symbol": list(pairs), "pair": list(pairs.values())}, schema_overrides=_TEXTS)
    rolls = symbols.join(days.filter(pl.col("days") > 0), on="pair").sort("ts_event", "symbol")
    known = rows.select("symbol", "ts_event", *style, known="ts_event").sort("ts_event", "symbol")
    found = rolls.join_asof(known, on="ts_event", by="symbol", check_sortedness=False)
    _refuse_unknown(found, style, oldest_ns)
    return found.select(
        "symbol",
        "ts_event",
        **_rates(style, float(day_count), admin_fee or 0.0, _pips(pip_size, pairs)),
        days="days",
        trade_date="trade_date",
        value_date="value_date",
        next_value_date="next_value_date",
    )


_TEXTS = {"symbol": pl.String, "pair": pl.String}


def _rates(
    style: tuple[str, str], day_count: float, admin_fee: float, pips: Mapping[str, float]
) -> dict[str, pl.Expr]:
    """Return the columns of funding: longs pay the one, shorts get the other."""
    first, second = (pl.col(name) for name in style)
    mark = pl.lit(None, dtype=pl.Float64)
    if style == POINTS:
        pip = pl.col("symbol").replace_strict(dict(pips), return_dtype=pl.Float64)
        long, short, mark = first * pip * pl.col("days"), second * pip * pl.col("days"), pl.lit(1.0)
    else:
        if style == INTEREST:
            first, second = first - second - admin_fee, second - first - admin_fee
        long, short = (rate * pl.col("days") / day_count for rate in (first, second))
    return {"funding_rate": -long, "funding_rate_short": short, "mark_price": mark}


def _style(quotes: object) -> tuple[str, str]:
    if not isinstance(quotes, pl.DataFrame):
        kind = type(quotes).__name__
        message = f"{LABEL}: expected a polars DataFrame, found {kind}; make it one with pl.DataFrame(...)"
        raise DataError(message)
    given = [style for style in STYLES if set(style) & set(quotes.columns)]
    allowed = ", or ".join(f"{first} and {second}" for first, second in STYLES)
    if len(given) != 1:
        there = f"the columns are {', '.join(quotes.columns)}" if quotes.columns else "it has no columns"
        message = f"{LABEL}: expected either {allowed}; {there}"
        raise DataError(message)
    for name in ("symbol", "ts_event", *given[0]):
        if name not in quotes.columns:
            message = f"{LABEL}: column {name} is absent; the columns are {', '.join(quotes.columns)}"
            raise DataError(message)
    return given[0]


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_number(name: str, value: object) -> None:
    if not _is_number(value) or not 0 < value < math.inf:
        message = f"{name} = {value!r}; expected a number above zero"
        raise ArgumentError(message)


def _check_extras(style: tuple[str, str], admin_fee: object, pip_size: object) -> None:
    if admin_fee is not None:
        if style != INTEREST:
            message = f"admin_fee belongs to {' and '.join(INTEREST)}; {' and '.join(style)} have it in them"
            raise ArgumentError(message)
        if not _is_number(admin_fee) or not 0 <= admin_fee <= MOST:
            message = (
                f"admin_fee = {admin_fee!r}; expected a number of 0 or more, a fraction per year such as "
                f"0.01 for 1 %, and at most {MOST:g}"
            )
            raise ArgumentError(message)
    if (pip_size is None) == (style == POINTS):
        message = (
            "points need pip_size, what a pip is: 0.0001, or 0.01 for pairs with JPY; by symbol where they "
            "differ"
            if pip_size is None
            else f"pip_size belongs to {' and '.join(POINTS)}; the quotes have {' and '.join(style)}"
        )
        raise ArgumentError(message)
    if pip_size is not None and not _is_number(pip_size) and not isinstance(pip_size, Mapping):
        message = (
            f"pip_size = {pip_size!r}; expected a number such as 0.0001, or a mapping by symbol such as "
            '{"EURUSD": 0.0001, "USDJPY": 0.01}'
        )
        raise ArgumentError(message)


def _age_ns(max_age: object) -> int | None:
    """Return an age in ns; longer than that can be told of is any age."""
    if max_age is None:
        return None
    found: float
    try:
        if isinstance(max_age, dt.timedelta):
            found = max_age // dt.timedelta(microseconds=1) * 1000
        elif isinstance(max_age, str):
            found = parse_duration(max_age)
        else:
            found = max_age * DAY_NS if _is_number(max_age) else math.nan
    except DataError:
        found = math.nan
    if not found >= 0:
        message = (
            f"max_age = {max_age!r}; expected a number of days of 0 or more such as 2, a text such as '2d' "
            "or '36h', or a datetime.timedelta"
        )
        raise ArgumentError(message)
    return int(min(found, LONGEST_NS))


def _pips(pip_size: float | Mapping[str, float] | None, pairs: Mapping[str, str]) -> dict[str, float]:
    if pip_size is None:
        return {}
    found = {}
    for symbol in pairs:
        size = pip_size.get(symbol) if isinstance(pip_size, Mapping) else pip_size
        _check_number(f"pip_size of {symbol}", size)
        found[symbol] = float(size or 0.0)
    return found


def _checked(quotes: pl.DataFrame, style: tuple[str, str]) -> pl.DataFrame:
    """Return the rows with instants in UTC and numbers, or say what is wrong with the first that is not."""
    dtype = quotes["ts_event"].dtype
    if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
        message = (
            f"{LABEL}: column ts_event holds {dtype}; expected instants with a time zone, from which on "
            'rates are known: pl.col("ts_event").dt.replace_time_zone("UTC") says that they are UTC'
        )
        raise DataError(message)
    for name in style:
        if not (quotes[name].dtype.is_numeric() or quotes[name].dtype == pl.Null):
            message = f"{LABEL}: column {name} holds {quotes[name].dtype}, expected numbers"
            raise DataError(message)
    rows = quotes.with_columns(
        pl.col("symbol").cast(pl.String),
        pl.col("ts_event").dt.convert_time_zone("UTC").dt.cast_time_unit("ns"),
        *(pl.col(name).cast(pl.Float64).fill_nan(None) for name in style),
    )
    for name in ("symbol", "ts_event"):
        if rows[name].null_count():
            message = f"{LABEL}: row {rows[name].is_null().arg_max()} has no {name}"
            raise DataError(message)
    for name in style:
        infinite = rows.filter(pl.col(name).is_infinite())
        if infinite.height:
            row = infinite.row(0, named=True)
            where = f"{LABEL}: {row['symbol']} at {_shown(row['ts_event'])}"
            message = f"{where}: {name} is {row[name]}, expected a finite number"
            raise DataError(message)
        large = rows.filter(pl.col(name).abs() > MOST)
        if style != POINTS and large.height:
            row = large.row(0, named=True)
            message = (
                f"{LABEL}: {row['symbol']} at {_shown(row['ts_event'])}: {name} is {row[name]:g}, which is "
                f"{row[name] * 100:,g} % a year; expected a fraction of {-MOST:g} to {MOST:g}, such as 0.03 "
                "for 3 %"
            )
            raise DataError(message)
    twins = rows.filter(pl.struct("symbol", "ts_event").is_duplicated()).sort("ts_event", "symbol")
    if twins.height:
        row = twins.row(0, named=True)
        message = f"{LABEL}: {row['symbol']} has two rows at {_shown(row['ts_event'])}; keep one"
        raise DataError(message)
    return rows


def _pairs(rows: pl.DataFrame) -> dict[str, str]:
    """Return the pair of each symbol."""
    column = "pair" if "pair" in rows.columns else "symbol"
    found: dict[str, str] = {}
    for symbol, text in (
        rows.select("symbol", pl.col(column).alias("text")).unique(maintain_order=True).rows()
    ):
        try:
            pair = CurrencyPair.of(text)
        except DataError as error:
            message = f"{LABEL}: {symbol}: {error}; where symbols are no pairs, a column pair says which"
            raise DataError(message) from error
        name = pair.base + pair.quote
        if found.setdefault(symbol, name) != name:
            message = f"{LABEL}: {symbol} has two pairs, {found[symbol]} and {name}"
            raise DataError(message)
    return dict(sorted(found.items()))


def _refuse_unknown(found: pl.DataFrame, style: tuple[str, str], oldest_ns: int | None) -> None:
    """Refuse the first evening without rates: what nobody has quoted is not free."""
    missing = pl.any_horizontal(pl.col(name).is_null() for name in style)
    age = (pl.col("ts_event") - pl.col("known")).dt.total_nanoseconds()
    old = pl.lit(value=False) if oldest_ns is None else age > oldest_ns
    odd = found.filter(missing | old.fill_null(value=False))
    if not odd.height:
        return
    row = odd.row(0, named=True)
    where = f"{LABEL}: {row['symbol']} is rolled over at {_shown(row['ts_event'])}"
    if row["known"] is None:
        what = "no row is as old"
    else:
        what = f"the latest row is of {_shown(row['known'])}"
        for name in style:
            what += f", without {name}" if row[name] is None else ""
        what += "" if oldest_ns is None else f", and max_age is {oldest_ns / DAY_NS:g} days"
    message = f"{where}, and {what}; add {' and '.join(style)} that were known by then, or begin later"
    raise DataError(message)


def _shown(instant: dt.datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
