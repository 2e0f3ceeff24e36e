"""Dated contracts: when they end by themselves, and when positions go from one into the next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import polars as pl
from attrs import frozen

from ml4t.backtest.calendars import local_midnight_ns
from ml4t.backtest.data.actions import ACTION_SCHEMA, ENDS, FIRST_DATE, LAST_DATE
from ml4t.backtest.data.columns import folded, refuse_near_misses
from ml4t.backtest.data.context import Context, all_symbols, hint
from ml4t.backtest.data.frames import read_each, read_table
from ml4t.backtest.data.readers import SourceFile
from ml4t.core.errors import DataError, nearest
from ml4t.core.instrument import Instrument
from ml4t.core.values import decimal_text, format_ns, to_decimal

__all__ = ["ROLL_AT", "Rolls", "expiry_table", "read_rolls", "refuse_expired_rows", "roll_table"]

LABEL = "rolls"
ROLL_AT = ("next_open", "settlement")
ROLL_SCHEMA = pl.Schema({"ts": pl.Int64(), "from": pl.UInt32(), "to": pl.UInt32(), "roll_at": pl.String()})
DAY = dt.timedelta(days=1)
MOST_SHOWN = 5


# Expiry -------------------------------------------------------------------------------------------


def expiry_table(
    context: Context, settled: pl.DataFrame | None, actions: pl.DataFrame | None
) -> pl.DataFrame | None:
    """Return the ends of dated contracts as rows beside corporate actions; None where there are none.

    A contract ends as the session of its `last_trade` closes, or when it is settled for the last time in that
    session or before the next one opens. An action that ends the instrument stands instead.

    Raises
    ------
    DataError
        A last trade is no session of the calendar.
    """
    ended = set() if actions is None else {*actions.filter(pl.col("kind").is_in(ENDS))["instrument"]}
    rows = []
    for index, instrument in enumerate(context.universe.values()):
        if instrument.last_trade is None or index in ended:
            continue
        end = _end_of(instrument, context, _settlements_of(index, settled))
        if end is not None and end[0] <= context.span_ns[1]:
            rows.append(_expiry(*end, index))
    return pl.DataFrame(rows, schema=ACTION_SCHEMA, orient="row").sort("ts", "instrument") if rows else None


def _expiry(ts: int, price: str, index: int) -> dict[str, Any]:
    row = {"ts": ts, "instrument": index, "kind": "expiry", "ratio_num": 1, "ratio_den": 1, "amount": price}
    return row | {"pay_ts": ts, "into": index, "withholding": "0"}


def _settlements_of(index: int, settled: pl.DataFrame | None) -> Sequence[tuple[int, float]]:
    return (
        [] if settled is None else settled.filter(pl.col("instrument") == index).select("ts", "rate").rows()
    )


def _end_of(
    instrument: Instrument, context: Context, settled: Sequence[tuple[int, float]]
) -> tuple[int, str] | None:
    """Return when a contract ends, and its final price; None where that lies beyond the data.

    The price is empty where it is that of the instant itself.
    """
    last = instrument.last_trade
    table = context.book.table(instrument.calendar, *context.span)
    labels = table.frame["label"]
    if last is None or not len(labels) or last > labels[-1]:
        return None
    if last < labels[0]:
        # It was over long before the data begin; no session table reaches back to it.
        return local_midnight_ns(last + DAY, table.timezone), ""
    place = labels.search_sorted(last)
    if labels[place] != last:
        near = f"{labels[place - 1] if place else 'none'} and {labels[place]}"
        message = (
            f"{instrument.symbol}: last_trade {last} is no session of {instrument.calendar}; the sessions "
            f"around it are {near}"
        )
        raise DataError(message)
    opened, closed = table.frame["open_ns"][place], table.frame["close_ns"][place]
    after = table.frame["open_ns"][place + 1] if place + 1 < len(labels) else None
    if after is not None and (late := [ts for ts, _ in settled if ts >= after]):
        message = (
            f"settlement prices: {instrument.symbol} has one at {format_ns(late[0])}, and its last_trade is "
            f"{last}: its final settlement comes before the next session opens, at {format_ns(int(after))}; "
            "stamp it before that, or correct last_trade"
        )
        raise DataError(message)
    own = [(ts, price) for ts, price in settled if ts >= opened]
    if own and own[-1][0] < closed:
        # Of the opening quotation: nothing after it changes what the contract is worth.
        return int(closed), decimal_text(to_decimal(own[-1][1]))
    return int(max([closed, *(ts for ts, _ in own)])), ""


def refuse_expired_rows(ends: pl.DataFrame | None, context: Context) -> None:
    """Refuse rows of a contract after its end: an expired contract does not trade.

    Raises
    ------
    DataError
        Names contract, feed and time.
    """
    for ts, index in () if ends is None else ends.select("ts", "instrument").rows():
        instrument = list(context.universe.values())[index]
        for each in context.loaded:
            keys = each.prepared.rows.keys
            if "symbol" not in keys.columns:
                continue
            later = keys.filter(pl.col("symbol") == instrument.symbol, pl.col("ts_event") > ts)["ts_event"]
            if len(later):
                message = (
                    f"{instrument.symbol} traded last in the session of {instrument.last_trade} and ended at "
                    f"{format_ns(ts)}, and has a row of feed {each.name} at "
                    f"{format_ns(int(later.min()))}: an expired contract does not trade. "  # type: ignore[arg-type]
                    "Correct last_trade, or drop the row"
                )
                raise DataError(message)


# Rolls --------------------------------------------------------------------------------------------


@frozen(kw_only=True, eq=False)
class Rolls:
    """Rows as read, and the files they came from.

    Columns: `session` Date, `from`, `to`, `roll_at` String.
    """

    frame: pl.DataFrame
    files: tuple[SourceFile, ...] = ()


def read_rolls(source: object, *, columns: Mapping[str, str] | None = None) -> Rolls:
    """Return the rolls of a frame or of files.

    A frame has ``session`` (the first one in which the new contract is in front), ``from`` and ``to``
    (symbols) and, if wanted, ``roll_at``: ``next_open``, which goes without saying, or ``settlement``.
    `columns` renames, our name to the source's.

    Raises
    ------
    DataError
        A column is absent, or a row is not possible; the message names the row.
    """
    if isinstance(source, Rolls):
        return source
    if (parts := read_each(source, partial(read_rolls, columns=columns), label=LABEL)) is not None:
        files = tuple(file for part in parts for file in part.files)
        return Rolls(frame=pl.concat(part.frame for part in parts), files=files)
    frame, files = read_table(source, label=LABEL, columns=columns)
    by_fold = {folded(name): name for name in reversed(frame.columns)}
    for name in ("session", "from", "to"):
        if name not in by_fold:
            there = f"the columns are {', '.join(frame.columns)}" if frame.columns else "there are none"
            message = f"{LABEL}: column {name} is absent; {there}; expected session, from and to"
            raise DataError(message)
    read = {name: frame[by_fold[name]].cast(pl.String) for name in ("from", "to")}
    read["roll_at"] = _times(frame, by_fold)
    rows = pl.DataFrame({"session": _sessions(frame[by_fold["session"]]), **read})
    for number, row in enumerate(rows.iter_rows(named=True)):
        if row["from"] is None or row["to"] is None or row["session"] is None:
            message = f"{LABEL}: row {number} lacks its session or a contract, found {row}"
            raise DataError(message)
        if not FIRST_DATE <= row["session"] <= LAST_DATE:
            message = f"{LABEL}: row {number} has the session {row['session']}, expected one of 1678 to 2261"
            raise DataError(message)
        if row["roll_at"] not in ROLL_AT:
            guess = nearest(row["roll_at"], ROLL_AT)
            meant = f"; did you mean {guess!r}?" if guess else ""
            message = (
                f"{LABEL}: row {number} ({row['from']} to {row['to']}) has roll_at {row['roll_at']!r}, "
                f"allowed are {', '.join(ROLL_AT)}{meant}"
            )
            raise DataError(message)
    return Rolls(frame=rows, files=files)


def _times(frame: pl.DataFrame, by_fold: Mapping[str, str]) -> pl.Series:
    """Return when in its session each roll is due; what goes without saying where nothing is said."""
    at = by_fold.get("roll_at", by_fold.get("rollat"))
    if at is not None:
        return frame[at].cast(pl.String).fill_null(ROLL_AT[0])
    refuse_near_misses(
        by_fold, ["roll_at"], [by_fold[name] for name in ("session", "from", "to")], label=LABEL
    )
    return pl.Series([ROLL_AT[0]], dtype=pl.String).new_from_index(0, frame.height)


def _sessions(column: pl.Series) -> pl.Series:
    """Return labels of sessions; an instant belongs to one that a calendar would have to find."""
    if column.dtype == pl.String:
        dates = column.str.strip_chars().str.to_date("%Y-%m-%d", strict=False)
    elif column.dtype == pl.Date:
        dates = column
    elif isinstance(column.dtype, pl.Datetime) and (column.dt.truncate("1d") == column).all():
        # That is how pandas writes dates.
        dates = column.dt.date()
    else:
        dates = pl.Series(column.name, [None], dtype=pl.Date).new_from_index(0, len(column))
    if dates.null_count():
        row = dates.is_null().arg_max() or 0
        message = f"{LABEL}: row {row} has the session {column[row]!r}, expected a date such as 2024-03-04"
        raise DataError(message)
    return dates


def roll_table(
    rolls: Rolls, context: Context, ends: pl.DataFrame | None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the rolls of the run, sorted by time and contract, and notes on the others.

    A roll is due as its session opens, on the calendar of the contract that is left.

    Raises
    ------
    DataError
        A session is none, contracts do not go into each other one for one, one has ended, or two rolls of a
        session meet.
    """
    _refuse_unknown(rolls.frame, context)
    loaded = pl.col("from", "to").is_in(list(context.universe))
    table, others = (
        rolls.frame.filter(each) for each in (pl.all_horizontal(loaded), ~pl.all_horizontal(loaded))
    )
    over = {} if ends is None else dict(ends.select("instrument", "ts").rows())
    first, last = context.span_ns
    rows, outside = [], []
    for row in table.iter_rows(named=True):
        roll = _roll(row, context, over)
        if roll is not None and first < roll["ts"] <= last:
            rows.append(roll)
        else:
            outside.append(_where(row) + ("" if roll is None else f", due at {format_ns(roll['ts'])}"))
    inside = pl.DataFrame(rows, schema=ROLL_SCHEMA, orient="row").sort("ts", "from")
    notes: tuple[str, ...] = ()
    if others.height:
        what = "1 row is" if others.height == 1 else f"{others.height} rows are"
        each = _listed([_where(row) for row in others.iter_rows(named=True)])
        notes = (f"{LABEL}: {what} left out, of contracts that were not loaded: {each}",)
    if outside:
        what = "1 row lies" if len(outside) == 1 else f"{len(outside)} rows lie"
        notes += (
            f"{LABEL}: {what} outside the span of the market data (after {format_ns(first)}, up to "
            f"{format_ns(last)}): {_listed(outside)}",
        )
    for fault in _meetings(inside, list(context.universe)):
        raise DataError(fault)
    return inside.rechunk(), notes


def _where(row: Mapping[str, Any]) -> str:
    return f"{row['from']} to {row['to']} in the session of {row['session']}"


def _listed(rows: Sequence[str]) -> str:
    more = [f"and {len(rows) - MOST_SHOWN} more"] if len(rows) > MOST_SHOWN else []
    return "; ".join([*rows[:MOST_SHOWN], *more])


def _refuse_unknown(rolls: pl.DataFrame, context: Context) -> None:
    """Refuse a contract that no feed knows."""
    names = {*rolls["from"], *rolls["to"]} - {*context.universe}
    if not names or not (unknown := names - (known := all_symbols(context.loaded))):
        return
    for row in rolls.iter_rows(named=True):
        for side in ("from", "to"):
            if (symbol := row[side]) in unknown:
                message = (
                    f"{LABEL}: {_where(row)}: symbol {symbol!r} is in no feed{hint(symbol, known)}. Correct "
                    "it, or drop its rows: "
                    f"frame.filter(pl.all_horizontal(pl.col('from', 'to') != {symbol!r}))"
                )
                raise DataError(message)


def _roll(row: Mapping[str, Any], context: Context, over: Mapping[int, int]) -> dict[str, Any] | None:
    where = f"{LABEL}: {_where(row)}"
    contracts = [context.universe[row[side]] for side in ("from", "to")]
    _refuse_unequal(where, *contracts)
    table = context.book.table(contracts[0].calendar, *context.span)
    labels = table.frame["label"]
    if not len(labels) or not labels[0] <= row["session"] <= labels[-1]:
        return None
    place = labels.search_sorted(row["session"])
    if labels[place] != row["session"]:
        message = f"{where}: that is no session of {contracts[0].calendar}; the next one is {labels[place]}"
        raise DataError(message)
    ts = int(table.frame["open_ns"][place])
    for each in contracts:
        if (end := over.get(context.ids[each.symbol])) is not None and end <= ts:
            message = (
                f"{where}: {each.symbol} traded last in the session of {each.last_trade} and has ended by "
                "then; roll earlier, into a contract that still trades"
            )
            raise DataError(message)
    ids = {side: context.ids[row[side]] for side in ("from", "to")}
    return {"ts": ts, **ids, "roll_at": row["roll_at"]}


def _refuse_unequal(where: str, one: Instrument, two: Instrument) -> None:
    """Refuse contracts of which one does not stand for one of the other."""
    if one.symbol == two.symbol:
        message = f"{where}: a contract cannot be rolled into itself"
        raise DataError(message)
    for name in ("currency", "multiplier", "lot_size", "quantity_exponent"):
        of_one, of_two = getattr(one, name), getattr(two, name)
        if of_one != of_two:
            shown = (each if isinstance(each, str | int) else decimal_text(each) for each in (of_one, of_two))
            message = f"{where}: {name} is {' and '.join(str(each) for each in shown)}; they have to be equal"
            raise DataError(message)


def _meetings(rolls: pl.DataFrame, symbols: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with rolls of one instant."""
    for (ts,), rows in rolls.group_by("ts", maintain_order=True):
        left = rows["from"].to_list()
        for index in left:
            if left.count(index) > 1:
                yield f"{LABEL}: {symbols[index]} is left twice at {format_ns(ts)}; keep one"
            if index in rows["to"].to_list():
                yield (
                    f"{LABEL}: at {format_ns(ts)} positions would go into {symbols[index]} and out of it; "
                    "write one roll, into the contract that follows"
                )
