"""Corporate actions as read, with exact ratios and amounts."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

import polars as pl
from attrs import frozen

from ml4t.backtest.calendars import local_midnight_ns
from ml4t.backtest.data.action_dates import read_dates
from ml4t.backtest.data.columns import find_symbol, folded, refuse_near_misses
from ml4t.backtest.data.frames import files_of, read_each, read_table
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
_Number = TypeVar("_Number", Decimal, Fraction)
LARGEST_RATIO_PART = 2**63 - 1
LABEL = "corporate actions"
OPTIONAL = ("ratio", "amount", "pay_date", "into", "withholding")  #: columns that may be absent
LARGEST_AMOUNT, AMOUNT_DECIMALS = 10**15, 18  #: of money for a share
ENDS = ("cash_out", "exchange")  #: what the engine does when an instrument ends
STAGES = {"cash_dividend": 0, "cash_out": 0, "split": 0, "spin_off": 1, "exchange": 2}
# Dates whose instants fit 64 bits of nanoseconds.
FIRST_DATE, LAST_DATE = dt.date(1678, 1, 1), dt.date(2261, 12, 31)


# Corporate actions as read: exact ratios, amounts as texts of plain digits, null for what an action has not.
READ_SCHEMA = pl.Schema(
    {
        "symbol": pl.String(),
        "ex_date": pl.Date(),
        "kind": pl.String(),
        "ratio_num": pl.Int64(),
        "ratio_den": pl.Int64(),
        "amount": pl.String(),
        "pay_date": pl.Date(),
        "into": pl.String(),
        "withholding": pl.String(),
    }
)


@frozen(kw_only=True)
class Actions:
    """Corporate actions as read, a row of `table` each, and the files they came from."""

    table: pl.DataFrame
    files: tuple[SourceFile, ...] = ()

    @property
    def rows(self) -> tuple[CorporateAction, ...]:
        """The actions as objects."""
        return tuple(_of_row(row) for row in self.table.iter_rows(named=True))

    @classmethod
    def of(cls, rows: Iterable[CorporateAction]) -> Actions:
        """Return objects as a table."""
        columns = [_to_row(row) for row in rows]
        return cls(table=pl.DataFrame(columns, schema=READ_SCHEMA, orient="row"))

    @classmethod
    def together(cls, parts: Sequence[Actions]) -> Actions:
        """Return the actions of several sources, one after the other."""
        tables = [READ_SCHEMA.to_frame(), *(part.table for part in parts)]
        return cls(table=pl.concat(tables), files=tuple(file for part in parts for file in part.files))


def _to_row(action: CorporateAction) -> tuple[object, ...]:
    """Return an action as a row of `READ_SCHEMA`, if its numbers and dates have room there."""
    where = f"{action.kind.value} of {action.symbol}"
    _refuse_dates(where, action.ex_date, action.pay_date)
    where = f"{where} on {action.ex_date}"
    _refuse_amounts(where, action.amount, action.withholding)
    try:
        ratio = None if action.ratio is None else exact_ratio(action.ratio)
    except DataError as error:
        message = f"{LABEL}: {where}: {error}"
        raise DataError(message) from None
    return (
        action.symbol,
        action.ex_date,
        action.kind.value,
        None if ratio is None else ratio.numerator,
        None if ratio is None else ratio.denominator,
        None if action.amount is None else decimal_text(action.amount),
        action.pay_date,
        action.into,
        None if action.withholding is None else decimal_text(action.withholding),
    )


def _of_row(row: Mapping[str, Any]) -> CorporateAction:
    return CorporateAction(
        row["symbol"],
        row["ex_date"],
        ActionKind(row["kind"]),
        ratio=None if row["ratio_num"] is None else Fraction(row["ratio_num"], row["ratio_den"]),
        amount=row["amount"],
        pay_date=row["pay_date"],
        into=row["into"],
        withholding=row["withholding"],
    )


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
        return Actions.of([source])
    if isinstance(source, Sequence) and files_of(source) is None:
        parts: list[Actions] = []
        for are_objects, group in groupby(source, key=lambda each: isinstance(each, CorporateAction)):
            some = list(group)
            if are_objects:
                parts.append(Actions.of(some))
            else:
                parts += [read_actions(each, columns=columns) for each in some]
        return Actions.together(parts)
    of_files = read_each(source, partial(read_actions, columns=columns), label=LABEL)
    if of_files is not None:
        return Actions.together(of_files)
    frame, found = read_table(source, label=LABEL, columns=columns)
    plain = _plain(frame)
    table = _in_columns(plain)
    if table is None:
        # One by one, so that the first that is wrong is named.
        table = Actions.of(_action(row) for row in plain.iter_rows(named=True)).table
    return Actions(table=table, files=found)


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
    refuse_near_misses(by_fold, OPTIONAL, (symbol, by_fold["ex_date"], by_fold["kind"]), label=LABEL)
    columns = {"symbol": frame[symbol].cast(pl.String), "kind": frame[by_fold["kind"]].cast(pl.String)}
    for name in ("ex_date", "pay_date"):
        columns[name] = (
            read_dates(frame[by_fold[name]], columns["symbol"], label=LABEL)
            if name in by_fold
            else _nulls(frame.height, pl.Date())
        )
    into = by_fold.get("into")
    columns["into"] = _nulls(frame.height, pl.String()) if into is None else frame[into].cast(pl.String)
    for name in ("ratio", "amount", "withholding"):
        column = frame[by_fold[name]] if name in by_fold else _nulls(frame.height, pl.String())
        # NaN is how pandas writes "not applicable".
        columns[name] = column.fill_nan(None) if column.dtype.is_float() else column
    # An empty text says as little as an empty cell.
    plain = pl.DataFrame(columns).with_columns(
        pl.col(pl.String).str.strip_chars().replace("", None)  # symbols, kinds and numbers as text
    )
    _refuse_nameless(plain, {"symbol": frame[symbol], "ex_date": frame[by_fold["ex_date"]]})
    return plain


def _refuse_nameless(plain: pl.DataFrame, source: Mapping[str, pl.Series]) -> None:
    """Refuse a row without a symbol or an ex-date, by its number: nothing else could tell it."""
    for name, expected in (("symbol", "a symbol such as 'SPY'"), ("ex_date", "a date such as 2024-03-04")):
        missing = plain[name].is_null()
        if missing.any():
            number = missing.arg_max() or 0
            row, found = plain.row(number, named=True), source[name][number]
            what = f"a {row['kind'] or 'corporate action'} of {row['symbol']}"
            if name == "symbol":
                what = f"the {row['kind'] or 'corporate action'} on {row['ex_date']}"
            message = (
                f"{LABEL}: row {number}: {what} has no {name}, found {found!r}; expected {expected}. Fill it "
                "in, or drop the row"
            )
            raise DataError(message)


def _nulls(count: int, dtype: pl.DataType) -> pl.Series:
    return pl.Series([None], dtype=dtype).new_from_index(0, count)


def _in_columns(plain: pl.DataFrame) -> pl.DataFrame | None:
    """Return actions as a table, for which each number and each combination of what they have is read once.

    None where one of them may be wrong, or is of a type that only objects have.
    """
    if plain.is_empty():
        return READ_SCHEMA.to_frame()
    kinds = {kind: _kind(kind) for kind in plain["kind"].unique()}
    ratios = _read_once(plain["ratio"], exact_ratio)
    amounts, taxes = (_read_once(plain[name], _amount) for name in ("amount", "withholding"))
    if ratios is None or amounts is None or taxes is None:
        return None
    table = plain.select(
        "symbol",
        "ex_date",
        pl.col("kind").replace_strict(kinds, default=None, return_dtype=pl.String),
        _mapped("ratio", ratios, lambda ratio: ratio.numerator, pl.Int64).alias("ratio_num"),
        _mapped("ratio", ratios, lambda ratio: ratio.denominator, pl.Int64).alias("ratio_den"),
        _mapped("amount", amounts, decimal_text, pl.String),
        "pay_date",
        "into",
        _mapped("withholding", taxes, decimal_text, pl.String),
    )
    given = pl.col("symbol", "ex_date", "kind").is_not_null()
    dates = pl.col("ex_date", "pay_date").fill_null(FIRST_DATE).is_between(FIRST_DATE, LAST_DATE)
    if not table.select(pl.all_horizontal(given, dates).all()).item():
        return None
    # What else may be wrong with an action depends on what it has, on signs, and on what comes before what.
    whole = _mapped("withholding", taxes, lambda tax: 0 <= tax <= 1, pl.Boolean)
    like = plain.select(
        table["kind"],
        pl.col("ratio").is_null(),
        _mapped("amount", amounts, lambda amount: (amount > 0) - (amount < 0), pl.Int8),
        (pl.col("into") == pl.col("symbol")),
        (pl.col("pay_date") < pl.col("ex_date")),
        whole,
    )
    try:
        for row in plain.filter(like.to_struct().is_first_distinct()).iter_rows(named=True):
            _action(row)
    except DataError:
        return None
    return table.cast(READ_SCHEMA)


def _read_once(column: pl.Series, read: Callable[[object], _Number]) -> dict[object, _Number] | None:
    """Return what the values of a column are; None where one is not to be read, or is an object."""
    if not (column.dtype in (pl.String, pl.Null) or column.dtype.is_integer() or column.dtype.is_float()):
        return None
    try:
        return {value: read(value) for value in column.unique() if value is not None}
    except ValueError:
        return None


def _mapped(
    name: str, numbers: Mapping[object, _Number], part: Callable[[_Number], object], dtype: type[pl.DataType]
) -> pl.Expr:
    """Return a column with something about each of its numbers; null stays null."""
    if not numbers:
        return pl.lit(None, dtype=dtype).alias(name)
    found = [part(number) for number in numbers.values()]
    return pl.col(name).replace_strict(list(numbers), found, default=None, return_dtype=dtype)


def _amount(value: object) -> Decimal:
    """Return an amount that a ledger can hold."""
    number = to_decimal(value)
    if decimal_places(number) > AMOUNT_DECIMALS or abs(number) > LARGEST_AMOUNT:
        raise ValueError
    return number


def _kind(text: object) -> str | None:
    """Return the name of a kind however it is written; None if there is none such."""
    kind = re.sub(r"[\s-]+", "_", str(text).strip().lower())
    return kind if kind in [known.value for known in ActionKind] else None


def _action(row: Mapping[str, Any]) -> CorporateAction:
    symbol, ex_date, pay_date = str(row["symbol"]), row["ex_date"], row["pay_date"]
    words = [kind.value for kind in ActionKind]
    kind = _kind(row["kind"])
    if kind is None:
        guess = nearest(str(row["kind"]), words)
        hint = f"; did you mean {guess!r}?" if guess else ""
        message = (
            f"corporate actions: {symbol} on {ex_date}: kind {row['kind']!r} is not one of "
            f"{', '.join(words)}{hint}"
        )
        raise DataError(message)
    _refuse_dates(f"{row['kind']} of {symbol}", ex_date, pay_date)
    try:
        ratio = None if row["ratio"] is None else exact_ratio(row["ratio"])
        amount, withholding = (_number(row, name) for name in ("amount", "withholding"))
    except ValueError as error:
        message = f"{LABEL}: {row['kind']} of {symbol} on {ex_date}: {error}"
        raise DataError(message) from None
    _refuse_amounts(f"{row['kind']} of {symbol} on {ex_date}", amount, withholding)
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


def _refuse_dates(where: str, ex_date: dt.date, pay_date: dt.date | None) -> None:
    """Refuse dates whose instants do not fit 64 bits."""
    for name, date in (("ex_date", ex_date), ("pay_date", pay_date)):
        if date is not None and not FIRST_DATE <= date <= LAST_DATE:
            message = f"{LABEL}: {where}: {name} {date} is not from 1678 to 2261"
            raise DataError(message)


def _refuse_amounts(where: str, amount: Decimal | None, withholding: Decimal | None) -> None:
    """Refuse numbers that a ledger cannot hold."""
    for name, number in (("amount", amount), ("withholding", withholding)):
        if number is not None and (decimal_places(number) > AMOUNT_DECIMALS or abs(number) > LARGEST_AMOUNT):
            message = (
                f"{LABEL}: {where}: {name} {decimal_text(number)} is not a number up to {LARGEST_AMOUNT:,} "
                f"with at most {AMOUNT_DECIMALS} decimals"
            )
            raise DataError(message)


def _number(row: Mapping[str, object], name: str) -> Decimal | None:
    try:
        return None if row[name] is None else to_decimal(row[name])
    except ValueError as error:
        message = f"{name}: {error}"
        raise ValueError(message) from None


def _effects() -> list[pl.Expr]:
    """Return what the engine does: one of a few things, a ratio, and an amount, empty for the last price."""
    kind = pl.col("kind")
    words = {
        ActionKind.CASH_DIVIDEND: "cash_dividend",
        ActionKind.SPIN_OFF: "spin_off",
        ActionKind.CASH_MERGER: "cash_out",
        ActionKind.DELISTING: "cash_out",
        ActionKind.STOCK_MERGER: "exchange",
        ActionKind.SYMBOL_CHANGE: "exchange",
        ActionKind.SPLIT: "split",
        ActionKind.STOCK_DIVIDEND: "split",
    }
    # Of what changes shares alone nothing is paid; of a stock dividend the ratio is of further shares.
    adds = pl.when(kind == ActionKind.STOCK_DIVIDEND.value).then(pl.col("ratio_den")).otherwise(0)
    is_exact = kind.is_in([each.value for each, word in words.items() if word in ("split", "exchange")])
    return [
        kind.replace_strict({each.value: word for each, word in words.items()}),
        pl.col("ratio_num").fill_null(1) + adds,
        pl.col("ratio_den").fill_null(1),
        pl.col("amount").fill_null(pl.when(is_exact).then(pl.lit("0")).otherwise(pl.lit(""))),
    ]


def action_table(actions: pl.DataFrame, ids: Mapping[str, int], timezones: Mapping[str, str]) -> pl.DataFrame:
    """Return the actions as sorted columns.

    Parameters
    ----------
    actions
        Table of `Actions`, of instruments of the universe.
    ids, timezones
        Id and venue zone by symbol. An action takes effect at 00:00 local time of its ex-date.

    Raises
    ------
    DataError
        An action is there twice, two of one day contradict each other, or a ratio has no room.
    """
    _refuse_large_stock_dividends(actions)
    done = actions.with_columns(_effects())
    kind = pl.col("kind")
    _refuse_twice(actions, done)
    zone = pl.col("symbol").replace_strict(timezones, return_dtype=pl.String)
    taker = pl.col("into").fill_null(pl.col("symbol"))
    table = done.with_columns(zone=zone, pay_date=pl.col("pay_date").fill_null(pl.col("ex_date")))
    table = table.select(
        ts=_midnights(table, "ex_date"),
        instrument=pl.col("symbol").replace_strict(ids, return_dtype=pl.UInt32),
        kind=kind,
        ratio_num="ratio_num",
        ratio_den="ratio_den",
        amount="amount",
        pay_ts=_midnights(table, "pay_date"),
        into=taker.replace_strict(ids, return_dtype=pl.UInt32),
        withholding=pl.col("withholding").fill_null("0"),
    )
    # The amount of a dividend is per share as held before a split of that day; who gets shares of another
    # instrument gets them after all that happens to those, and an instrument ends after what it gave away.
    stage = kind.replace_strict(STAGES, return_dtype=pl.Int8)
    order = ("instrument", "kind", "pay_ts", "into", "amount")
    return table.cast(ACTION_SCHEMA).sort("ts", stage, *order)


def _midnights(table: pl.DataFrame, name: str) -> pl.Series:
    """Return 00:00 of a column of dates in the zone of each row."""
    midnights = pl.lit(None, dtype=pl.Int64)
    for zone in table["zone"].drop_nulls().unique(maintain_order=True):
        local = (
            pl.col(name)
            .cast(pl.Datetime("ns"))
            .dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        )
        midnights = pl.when(pl.col("zone") == zone).then(local.cast(pl.Int64)).otherwise(midnights)
    found = table.with_columns(midnights.alias("ns"))["ns"]
    # Where daylight saving time removes midnight.
    for row in (found.is_null() & table[name].is_not_null()).arg_true():
        found[row] = local_midnight_ns(table[name][row], table["zone"][row])
    return found


def _refuse_large_stock_dividends(actions: pl.DataFrame) -> None:
    """Refuse further shares for a share that do not fit 64 bits together with it."""
    room = LARGEST_RATIO_PART - pl.col("ratio_den")
    wrong = actions.filter(pl.col("kind") == ActionKind.STOCK_DIVIDEND.value, pl.col("ratio_num") > room)
    for row in wrong.iter_rows(named=True):
        message = (
            f"{LABEL}: stock_dividend of {row['symbol']} on {row['ex_date']}: ratio "
            f"{row['ratio_num']}/{row['ratio_den']} and the old share are no fraction of two 64-bit integers"
        )
        raise DataError(message)


def _refuse_twice(actions: pl.DataFrame, done: pl.DataFrame) -> None:
    """Refuse an action that is there already; `done` says what the engine does for each."""
    kind = pl.col("kind")
    other = pl.when(kind == "cash_dividend").then("amount").when(kind == "spin_off").then("into")
    once = (
        done.select(
            "symbol",
            "ex_date",
            pl.when(kind.is_in(ENDS)).then(pl.lit("end")).otherwise(kind).alias("kind"),
            other.alias("other"),
        )
        .to_struct()
        .is_first_distinct()
    )
    if not once.all():
        place = once.not_().arg_max() or 0
        row = actions.row(place, named=True)
        raise DataError(_twice(row, str(done["kind"][place])))


def _twice(action: Mapping[str, object], kind: str) -> str:
    """Say what is wrong with an action that is there already."""
    where = f"of {action['symbol']} on {action['ex_date']}"
    if kind in ENDS:
        return f"{LABEL}: {action['symbol']} ends twice on {action['ex_date']}; keep one"
    return {
        "split": f"{LABEL}: the split {where} is there twice; keep one, or write a split and a stock "
        "dividend of one day as one split",
        "cash_dividend": f"{LABEL}: the cash_dividend {where} is there twice; keep one (two dividends of one "
        "day with equal amounts are written as their sum)",
        "spin_off": f"{LABEL}: the spin_off {where} into {action['into']} is there twice; keep one",
    }[kind]
