"""Corporate actions as read, with exact ratios and amounts."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

import polars as pl
from attrs import frozen

from ml4t.backtest.calendars import local_midnight_ns
from ml4t.backtest.data.columns import find_symbol, folded
from ml4t.backtest.data.frames import files_of, read_table
from ml4t.backtest.data.readers import SourceFile
from ml4t.core.errors import DataError, nearest
from ml4t.core.events import CorporateAction
from ml4t.core.types import ActionKind
from ml4t.core.values import decimal_places, decimal_text, to_decimal

__all__ = ["ACTION_SCHEMA", "Actions", "action_table", "exact_ratio", "read_actions"]

ACTION_SCHEMA = pl.Schema(
    {
        "ts": pl.Int64(),
        "instrument": pl.UInt32(),
        "kind": pl.String(),
        "ratio_num": pl.Int64(),
        "ratio_den": pl.Int64(),
        "amount": pl.String(),
        "pay_ts": pl.Int64(),
        "into": pl.UInt32(),
        "withholding": pl.String(),
    }
)
LARGEST_RATIO_PART = 2**63 - 1
LABEL = "corporate actions"
LARGEST_AMOUNT, AMOUNT_DECIMALS = 10**15, 18  #: of money for a share
ENDS = ("cash_out", "exchange")  #: what the engine does when an instrument ends
STAGES = {"cash_dividend": 0, "cash_out": 0, "split": 0, "spin_off": 1, "exchange": 2}
# Dates whose instants fit 64 bits of nanoseconds.
FIRST_DATE, LAST_DATE = dt.date(1678, 1, 1), dt.date(2261, 12, 31)


@frozen(kw_only=True)
class Actions:
    """Corporate actions as read, and the files they came from."""

    rows: tuple[CorporateAction, ...]
    files: tuple[SourceFile, ...] = ()


def exact_ratio(value: object) -> Fraction:
    """Return a ratio (new shares per old) as a fraction of integers.

    ``"3/2"`` and ``1.5`` are 3/2. A decimal that is a simple fraction cut off, such as 0.142857 or
    0.3333, becomes that fraction (1/7, 1/3), so that seven old shares make exactly one new one. It must
    round to the very digits given (of a float: be the nearest one), and with d digits after the point its
    denominator is at most the square root of 10**(d-2): 10 for four digits, 100 for six. Up to that size
    fewer than one in 300 decimals meet a fraction by chance; all others stay the decimal they are.

    Parameters
    ----------
    value
        int, float (its shortest text counts), Decimal, Fraction or text.

    Raises
    ------
    DataError
        It is no number above zero, or does not fit 64-bit integers.

    Examples
    --------
    >>> exact_ratio(1.5), exact_ratio("0.142857"), exact_ratio("0.1428572")
    (Fraction(3, 2), Fraction(1, 7), Fraction(357143, 2500000))
    """
    text = repr(value) if isinstance(value, float) else str(value)
    try:
        exact = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        message = f"ratio {value!r} is not a number such as 2, 1.5 or 3/2"
        raise DataError(message) from None
    if "/" not in text and exact.denominator > 1:
        exponent = Decimal(text.strip()).as_tuple().exponent
        digits = -exponent if isinstance(exponent, int) else 0
        simple = exact.limit_denominator(max(1, math.isqrt(10 ** max(digits - 2, 0))))
        if round(simple, digits) == exact or float(simple) == value:
            exact = simple
    if exact <= 0 or max(exact.numerator, exact.denominator) > LARGEST_RATIO_PART:
        message = f"ratio {value!r} is not a fraction above zero of two 64-bit integers"
        raise DataError(message)
    return exact


def read_actions(source: object, *, columns: Mapping[str, str] | None = None) -> Actions:
    """Return the corporate actions of a frame, a path, or a list of `CorporateAction`.

    A frame has ``symbol``, ``ex_date``, ``kind`` (of `ActionKind`), ``ratio`` (splits: new shares per old;
    stock dividends: further shares per share; spin-offs and stock mergers: shares of ``into`` per share),
    ``amount`` (currency per share; of a delisting null is the last price), ``into`` (the symbol that
    spin-offs, stock mergers and symbol changes give) and, if known, ``pay_date`` of cash dividends (the
    ex-date where absent or null) and what is withheld of them, ``withholding``, 0.15 for 15 %. `columns`
    renames, our name to the source's.

    Raises
    ------
    DataError
        A column is absent or a row is not a possible action; the message names symbol and ex-date.
    """
    if isinstance(source, Actions):
        return source
    if isinstance(source, CorporateAction):
        return Actions(rows=(source,))
    files = files_of(source)
    if isinstance(source, Sequence) and files is None:
        parts = [read_actions(each, columns=columns) for each in source]
        return Actions(
            rows=tuple(row for part in parts for row in part.rows),
            files=tuple(file for part in parts for file in part.files),
        )
    frame, found = read_table(source, label=LABEL, columns=columns)
    return Actions(rows=tuple(_action(row) for row in _plain(frame).iter_rows(named=True)), files=found)


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with our column names, dates as dates and absent optional columns as null."""
    by_fold = {folded(name): name for name in reversed(frame.columns)}
    symbol = find_symbol(by_fold, label=LABEL)
    for name in ("ex_date", "kind"):
        if name not in by_fold:
            message = (
                f"corporate actions: column {name} is absent; the columns are {', '.join(frame.columns)}"
            )
            raise DataError(message)
    columns = {"symbol": frame[symbol].cast(pl.String), "kind": frame[by_fold["kind"]].cast(pl.String)}
    for name in ("ex_date", "pay_date"):
        columns[name] = _dates(frame[by_fold[name]]) if name in by_fold else _nulls(frame.height, pl.Date())
    into = by_fold.get("into")
    columns["into"] = _nulls(frame.height, pl.String()) if into is None else frame[into].cast(pl.String)
    for name in ("ratio", "amount", "withholding"):
        column = frame[by_fold[name]] if name in by_fold else _nulls(frame.height, pl.String())
        # NaN is how pandas writes "not applicable".
        columns[name] = column.fill_nan(None) if column.dtype.is_float() else column
    # An empty text says as little as an empty cell.
    return pl.DataFrame(columns).with_columns(
        pl.col(pl.String).str.strip_chars().replace("", None)  # symbols, kinds and numbers as text
    )


def _nulls(count: int, dtype: pl.DataType) -> pl.Series:
    return pl.Series([None], dtype=dtype).new_from_index(0, count)


def _dates(column: pl.Series) -> pl.Series:
    try:
        if column.dtype == pl.String:
            return column.str.strip_chars().replace("", None).str.to_date("%Y-%m-%d")
        if isinstance(column.dtype, pl.Datetime):
            return _days(column)
        return column.cast(pl.Date)
    except pl.exceptions.PolarsError as error:
        wrong = column.filter(column.is_not_null())
        if column.dtype == pl.String:
            wrong = column.filter(
                column.is_not_null() & column.str.to_date("%Y-%m-%d", strict=False).is_null()
            )
        found = "" if wrong.is_empty() else f", found {wrong[0]!r}"
        message = f"{LABEL}: column {column.name} holds something that is no date{found}; write 2024-03-04"
        raise DataError(message) from error


def _days(column: pl.Series) -> pl.Series:
    """Return the days of a column of midnights; an instant in a zone may be another day at the exchange."""
    zone = column.dtype.time_zone if isinstance(column.dtype, pl.Datetime) else None
    if zone is not None:
        message = (
            f"{LABEL}: column {column.name} holds instants in {zone}; a date of the exchange is wanted, for "
            "example .dt.convert_time_zone('Asia/Tokyo').dt.date()"
        )
        raise DataError(message)
    clock = column.filter(column.is_not_null() & (column.dt.truncate("1d") != column))
    if not clock.is_empty():
        message = f"{LABEL}: column {column.name} holds {clock[0]}, an instant; a date is wanted"
        raise DataError(message)
    return column.dt.date()


def _action(row: Mapping[str, object]) -> CorporateAction:
    symbol, ex_date, pay_date = str(row["symbol"]), row["ex_date"], row["pay_date"]
    words = [kind.value for kind in ActionKind]
    kind = re.sub(r"[\s-]+", "_", str(row["kind"]).strip().lower())
    if kind not in words:
        guess = nearest(str(row["kind"]), words)
        hint = f"; did you mean {guess!r}?" if guess else ""
        message = (
            f"corporate actions: {symbol} on {ex_date}: kind {row['kind']!r} is not one of "
            f"{', '.join(words)}{hint}"
        )
        raise DataError(message)
    if row["symbol"] is None or not isinstance(ex_date, dt.date):
        message = f"corporate actions: a {row['kind']} of {symbol} has no ex_date or no symbol"
        raise DataError(message)
    for name, date in (("ex_date", ex_date), ("pay_date", pay_date)):
        if isinstance(date, dt.date) and not FIRST_DATE <= date <= LAST_DATE:
            message = f"{LABEL}: {row['kind']} of {symbol}: {name} {date} is not from 1678 to 2261"
            raise DataError(message)
    try:
        ratio = None if row["ratio"] is None else exact_ratio(row["ratio"])
        amount, withholding = (_number(row, name) for name in ("amount", "withholding"))
    except ValueError as error:
        message = f"{LABEL}: {row['kind']} of {symbol} on {ex_date}: {error}"
        raise DataError(message) from None
    for name, number in (("amount", amount), ("withholding", withholding)):
        if number is not None and (decimal_places(number) > AMOUNT_DECIMALS or abs(number) > LARGEST_AMOUNT):
            message = (
                f"{LABEL}: {row['kind']} of {symbol} on {ex_date}: {name} {decimal_text(number)} is not a "
                f"number up to {LARGEST_AMOUNT:,} with at most {AMOUNT_DECIMALS} decimals"
            )
            raise DataError(message)
    try:
        return CorporateAction(
            symbol,
            ex_date,
            ActionKind(kind),
            ratio=ratio,
            amount=amount,
            pay_date=pay_date if isinstance(pay_date, dt.date) else None,
            into=None if row["into"] is None else str(row["into"]),
            withholding=withholding,
        )
    except DataError as error:
        message = f"{LABEL}: {error}"
        raise DataError(message) from None


def _number(row: Mapping[str, object], name: str) -> Decimal | None:
    try:
        return None if row[name] is None else to_decimal(row[name])
    except ValueError as error:
        message = f"{name}: {error}"
        raise ValueError(message) from None


def _effect(action: CorporateAction) -> tuple[str, Fraction, str]:
    """Return what the engine does: one of a few things, a ratio, and an amount, empty for the last price."""
    ratio = Fraction(1) if action.ratio is None else action.ratio
    amount = "" if action.amount is None else decimal_text(action.amount)
    if action.kind in (ActionKind.CASH_DIVIDEND, ActionKind.SPIN_OFF):
        return action.kind.value, ratio, amount
    if action.kind in (ActionKind.CASH_MERGER, ActionKind.DELISTING):
        return "cash_out", ratio, amount
    if action.kind in (ActionKind.STOCK_MERGER, ActionKind.SYMBOL_CHANGE):
        return "exchange", ratio, amount or "0"
    return "split", ratio + (action.kind is ActionKind.STOCK_DIVIDEND), "0"


def action_table(
    actions: Sequence[CorporateAction], ids: Mapping[str, int], timezones: Mapping[str, str]
) -> pl.DataFrame:
    """Return the actions as sorted columns.

    Parameters
    ----------
    actions
        Actions of instruments of the universe.
    ids, timezones
        Id and venue zone by symbol. An action takes effect at 00:00 local time of its ex-date.

    Raises
    ------
    DataError
        An action is there twice, or two of one day contradict each other.
    """
    rows = []
    seen: set[object] = set()
    for action in actions:
        kind, ratio, amount = _effect(action)
        other = {"cash_dividend": amount, "spin_off": action.into}.get(kind)
        key = (action.symbol, action.ex_date, "end" if kind in ENDS else kind, other)
        if key in seen:
            raise DataError(_twice(action, kind))
        seen.add(key)
        zone = timezones[action.symbol]
        rows.append(
            {
                "ts": local_midnight_ns(action.ex_date, zone),
                "instrument": ids[action.symbol],
                "kind": kind,
                "ratio_num": ratio.numerator,
                "ratio_den": ratio.denominator,
                "amount": amount,
                "pay_ts": local_midnight_ns(action.pay_date or action.ex_date, zone),
                "into": ids[action.into or action.symbol],
                "withholding": decimal_text(action.withholding or Decimal(0)),
            }
        )
    # The amount of a dividend is per share as held before a split of that day; who gets shares of another
    # instrument gets them after all that happens to those, and an instrument ends after what it gave away.
    stage = pl.col("kind").replace_strict(STAGES, return_dtype=pl.Int8)
    order = ("instrument", "kind", "pay_ts", "into", "amount")
    return pl.DataFrame(rows, schema=ACTION_SCHEMA, orient="row").sort("ts", stage, *order)


def _twice(action: CorporateAction, kind: str) -> str:
    """Say what is wrong with an action that is there already."""
    where = f"of {action.symbol} on {action.ex_date}"
    if kind in ENDS:
        return f"{LABEL}: {action.symbol} ends twice on {action.ex_date}; keep one"
    return {
        "split": f"{LABEL}: the split {where} is there twice; keep one, or write a split and a stock "
        "dividend of one day as one split",
        "cash_dividend": f"{LABEL}: the cash_dividend {where} is there twice; keep one (two dividends of one "
        "day with equal amounts are written as their sum)",
        "spin_off": f"{LABEL}: the spin_off {where} into {action.into} is there twice; keep one",
    }[kind]
