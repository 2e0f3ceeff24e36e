"""What market data must satisfy. Each refusal names symbol, instant, value and what to do.

A check looks at whole columns first and searches for the row only when something is wrong, so
good data cost one pass per column and keep their buffers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl
from attrs import evolve, field, frozen

from ml4t.backtest.data.settings import RangeCheck
from ml4t.core.errors import DataError
from ml4t.core.instrument import Instrument
from ml4t.core.types import DataKind
from ml4t.core.values import format_ns

__all__ = ["Rows", "check_order", "check_values", "neighbours"]

PRICES = {
    DataKind.BAR: ("open", "high", "low", "close"),
    DataKind.QUOTE: ("bid_price", "ask_price"),
    DataKind.TRADE: ("price",),
    DataKind.CONTEXT: (),
}
SIZES = {
    DataKind.BAR: ("volume",),
    DataKind.QUOTE: ("bid_size", "ask_size"),
    DataKind.TRADE: ("size",),
    DataKind.CONTEXT: (),
}


# Prices are 64-bit integers of the instrument's price step.
LARGEST = 2.0**63

# Neighbours are compared so many rows at a time: what a comparison makes on the way stays small.
PIECE = 1 << 16


@frozen(kw_only=True, eq=False)
class Rows:
    """The rows of a feed, keys and values apart so that values need not be copied.

    Attributes
    ----------
    label
        What messages call the feed.
    kind
        What a row is.
    keys
        ``symbol`` (not for context), ``ts_event``, and where they exist ``ts_open`` and ``ts_arrival``.
    values
        Value columns, then features, Float64.
    """

    label: str
    kind: DataKind
    keys: pl.DataFrame = field(repr=False)
    values: pl.DataFrame = field(repr=False)

    def name_row(self, row: int) -> str:
        """Return symbol and instant of a row, as messages show them."""
        at = format_ns(self.keys["ts_event"][row])
        return f"{self.keys['symbol'][row]} at {at}" if "symbol" in self.keys.columns else at


def neighbours(frame: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield pieces of a frame that overlap by one row, each with the number of its first row."""
    for start in range(0, max(frame.height - 1, 1), PIECE):
        yield start, frame.slice(start, PIECE + 1)


def check_order(rows: Rows) -> None:
    """Refuse duplicates, overlapping bars, bars without length, arrivals early or out of order.

    `rows` are sorted by ``ts_event``. Several quotes or trades of one instrument may share an
    instant: prints of one millisecond are the rule, and their order is that of the source.

    Raises
    ------
    DataError
        Naming the first offending row.
    """
    keys = rows.keys
    if "ts_arrival" in keys.columns:
        early = keys["ts_arrival"] < keys["ts_event"]
        if early.any():
            row = early.arg_max() or 0
            message = (
                f"{rows.label}: {rows.name_row(row)}: ts_arrival {format_ns(keys['ts_arrival'][row])} is "
                "before ts_event; a row cannot be known before it is complete: check the order or the zone "
                "of the two stamps"
            )
            raise DataError(message)
        _refuse_overtaking(rows)
    if rows.kind in (DataKind.BAR, DataKind.CONTEXT):
        _refuse_duplicates(rows)
    if rows.kind is DataKind.BAR:
        _refuse_overlap(rows)


def _refuse_overtaking(rows: Rows) -> None:
    """Refuse a row that arrives before one that it follows: the last known row would go back in time."""
    of = "symbol" if "symbol" in rows.keys.columns else pl.lit("")
    before = rows.keys.select(
        arrival=pl.col("ts_arrival").shift(1).over(of), event=pl.col("ts_event").shift(1).over(of)
    )
    overtakes = (rows.keys["ts_arrival"] < before["arrival"]).fill_null(value=False)
    if overtakes.any():
        row = overtakes.arg_max() or 0
        arrival, late = format_ns(rows.keys["ts_arrival"][row]), format_ns(before["arrival"][row])
        message = (
            f"{rows.label}: {rows.name_row(row)}: ts_arrival {arrival} is before {late}, when the row before "
            f"it, of {format_ns(before['event'][row])}, arrives; rows of one instrument arrive in their "
            "order: delay this one, or drop the late one"
        )
        raise DataError(message)


def _refuse_duplicates(rows: Rows) -> None:
    by = [name for name in ("symbol", "ts_event") if name in rows.keys.columns]
    # Rows are sorted by these keys, so equal ones are neighbours.
    is_second = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in by)
    for start, piece in neighbours(rows.keys):
        second = piece.select(is_second).to_series()
        if second.any():
            row = start + (second.arg_max() or 0)
            message = (
                f"{rows.label}: {rows.name_row(row)} has two rows; keep one, for example "
                "frame.unique(subset=[symbol, stamp], keep='last'), or load the second series as a feed of "
                "its own"
            )
            raise DataError(message)


def _refuse_overlap(rows: Rows) -> None:
    empty = rows.keys["ts_open"] >= rows.keys["ts_event"]
    if empty.any():
        row = empty.arg_max() or 0
        message = (
            f"{rows.label}: {rows.name_row(row)}: the bar opens at {format_ns(rows.keys['ts_open'][row])}, "
            "not before it ends; check the meaning of the stamps"
        )
        raise DataError(message)
    if _begin_after_all(rows.keys):
        return
    before = rows.keys.select(pl.col("ts_event").shift(1).over("symbol")).to_series()
    overlap = (rows.keys["ts_open"] < before).fill_null(value=False)
    if overlap.any():
        row = overlap.arg_max() or 0
        message = (
            f"{rows.label}: {rows.name_row(row)}: the bar opens at {format_ns(rows.keys['ts_open'][row])}, "
            f"before the last one ended at {format_ns(before[row])}; bars of one instrument may not overlap: "
            "check interval and stamp, or carry both stamps in columns ts_open and ts_event with "
            "stamp='event'"
        )
        raise DataError(message)


def _begin_after_all(keys: pl.DataFrame) -> bool:
    """Whether each bar opens no earlier than the last bar before it ended, of whichever symbol.

    Bars of one interval or one calendar do, and then no symbol has to be looked at.
    """
    latest = None
    later = pl.col("ts_event") != pl.col("ts_event").shift(1)
    for _, piece in neighbours(keys.select("ts_open", "ts_event")):
        ended = pl.when(later).then(pl.col("ts_event").shift(1)).forward_fill()
        found = piece.select(pl.col("ts_open"), ended=ended.fill_null(pl.lit(latest, dtype=pl.Int64)))
        if (found["ts_open"] < found["ended"]).any():
            return False
        # Rows are sorted by their end.
        latest = latest if (last := found["ended"].max()) is None else last
    return True


def check_values(
    rows: Rows, *, instruments: Mapping[str, Instrument], range_check: RangeCheck
) -> tuple[Rows, tuple[str, ...]]:
    """Return the rows with nulls of sizes and features as NaN, and notes on what is unusual.

    Parameters
    ----------
    rows
        Sorted rows.
    instruments
        By symbol: which may have prices of zero or below, and how many decimals the engine keeps of them.
    range_check
        What to do with an open or close outside low and high.

    Raises
    ------
    DataError
        A price is missing, not finite, zero or below, or beyond 64 bits; a size is negative or infinite;
        a high is below its low; a quote has neither side.
    """
    notes: list[str] = []
    negative = [symbol for symbol, instrument in instruments.items() if instrument.allows_negative_prices]
    exponents = {symbol: instrument.price_exponent for symbol, instrument in instruments.items()}
    for name in PRICES[rows.kind]:
        _refuse_price(rows, name, negative)
        _refuse_unrepresentable(rows, name, exponents, negative)
    rows = _nulls_as_nan(rows)
    for name in SIZES[rows.kind]:
        _refuse_size(rows, name)
    if rows.kind is DataKind.BAR:
        rows, note = _check_ranges(rows, range_check)
        notes.extend(note)
    if rows.kind is DataKind.QUOTE:
        notes.extend(_check_quotes(rows))
    return rows, tuple(notes)


def _refuse_price(rows: Rows, name: str, negative: Sequence[str]) -> None:
    column = rows.values[name]
    if not len(column):
        return
    if rows.kind is DataKind.QUOTE:
        # One side of a quote may be absent; a null becomes NaN below.
        column = column.drop_nulls().drop_nans()
        known = rows.values[name].is_not_null() & rows.values[name].is_not_nan()
    else:
        known = pl.repeat(value=True, n=len(column), eager=True)
    if column.null_count() or not column.is_finite().all():
        bad = (rows.values[name].is_null() | ~rows.values[name].is_finite()) & known
        row = bad.arg_max() or 0
        message = (
            f"{rows.label}: {rows.name_row(row)}: {name} is {_shown(rows.values[name][row])}; each price of "
            f"a {rows.kind.value} is a finite number: drop the row, or fill it from a source you trust"
        )
        raise DataError(message)
    lowest = column.min()
    if not isinstance(lowest, float) or lowest > 0:
        return
    bad = rows.values[name] <= 0
    if negative:
        bad = bad & ~rows.keys["symbol"].is_in(list(negative))
    if bad.any():
        row = bad.arg_max() or 0
        symbol = rows.keys["symbol"][row]
        message = (
            f"{rows.label}: {rows.name_row(row)}: {name} is {rows.values[name][row]}, and prices of {symbol} "
            f"are above zero; drop the row, or declare Instrument({symbol!r}, allows_negative_prices=True)"
        )
        raise DataError(message)


def _refuse_unrepresentable(
    rows: Rows, name: str, exponents: Mapping[str, int], negative: Sequence[str]
) -> None:
    """Refuse prices that leave 64 bits at the instrument's decimals, and those that round to nothing."""
    column = rows.values[name]
    if rows.kind is DataKind.QUOTE:
        column = column.fill_nan(None)
    low, high = column.min(), column.max()
    if not (exponents and isinstance(low, float) and isinstance(high, float)):
        return
    if low > 0.5 * 10.0 ** -min(exponents.values()) and high < LARGEST / 10.0 ** max(exponents.values()):
        return
    scale = rows.keys.select(
        pl.col("symbol").replace_strict({k: 10.0**e for k, e in exponents.items()}, return_dtype=pl.Float64)
    ).to_series()
    size = column.abs() * scale
    large, small = size >= LARGEST, (size <= 0.5) & (column != 0)
    if negative:
        small = small & ~rows.keys["symbol"].is_in(list(negative))
    if (bad := large | small).any():
        row = bad.arg_max() or 0
        exponent = exponents[rows.keys["symbol"][row]]
        fault = (
            f"leaves 64 bits at {exponent} decimals, which end at {LARGEST / 10.0**exponent:.10g}; declare "
            "the instrument with a lower price_exponent"
            if large[row]
            else f"is zero at {exponent} decimals; declare the instrument with a higher price_exponent"
        )
        message = f"{rows.label}: {rows.name_row(row)}: {name} {column[row]} {fault}, or drop the row"
        raise DataError(message)


def _nulls_as_nan(rows: Rows) -> Rows:
    holed = [name for name in rows.values.columns if rows.values[name].null_count()]
    if not holed:
        return rows
    return evolve(
        rows, values=rows.values.with_columns(pl.col(name).fill_null(float("nan")) for name in holed)
    )


def _refuse_size(rows: Rows, name: str) -> None:
    column = rows.values[name]
    bad = (column < 0) | column.is_infinite()
    if bad.any():
        row = bad.arg_max() or 0
        message = (
            f"{rows.label}: {rows.name_row(row)}: {name} is {column[row]}; a {name} is zero or more, and NaN "
            "where it is not known"
        )
        raise DataError(message)


def _check_ranges(rows: Rows, range_check: RangeCheck) -> tuple[Rows, list[str]]:
    values = rows.values
    upside_down = values["high"] < values["low"]
    if upside_down.any():
        row = upside_down.arg_max() or 0
        message = (
            f"{rows.label}: {rows.name_row(row)}: high {values['high'][row]} is below low "
            f"{values['low'][row]}; correct or drop the row"
        )
        raise DataError(message)
    low, high = pl.col("low"), pl.col("high")
    ends = [pl.col("open"), pl.col("close")]
    outside = values.select(
        pl.any_horizontal([end < low for end in ends] + [end > high for end in ends])
    ).to_series()
    count = int(outside.sum())
    if not count or range_check is RangeCheck.KEEP:
        return rows, [f"{count} bars with open or close outside low and high, kept"] if count else []
    if range_check is RangeCheck.WIDEN:
        widened = values.with_columns(
            high=pl.max_horizontal("open", "high", "close"), low=pl.min_horizontal("open", "low", "close")
        )
        return evolve(rows, values=widened), [f"{count} bars widened to include their open and close"]
    row = outside.arg_max() or 0
    shown = ", ".join(f"{name} {values[name][row]}" for name in PRICES[DataKind.BAR])
    message = (
        f"{rows.label}: {rows.name_row(row)}: open or close lies outside low and high ({shown}), in {count} "
        f"bar{'' if count == 1 else 's'}; correct the data, or say what to do: range_check='widen' moves low "
        "and high, range_check='keep' takes the bars as they are"
    )
    raise DataError(message)


def _check_quotes(rows: Rows) -> list[str]:
    bid, ask = rows.values["bid_price"], rows.values["ask_price"]
    empty = bid.is_nan() & ask.is_nan()
    if empty.any():
        row = empty.arg_max() or 0
        message = f"{rows.label}: {rows.name_row(row)}: the quote has neither bid nor ask; drop the row"
        raise DataError(message)
    notes = []
    one_sided = int((bid.is_nan() | ask.is_nan()).sum())
    if one_sided:
        notes.append(f"{one_sided} quotes have one side only")
    return notes


def crossed_quotes(rows: Rows) -> tuple[str, ...]:
    """Return a note on quotes whose bid is above their ask; orders meet them as they are."""
    if rows.kind is not DataKind.QUOTE:
        return ()
    bid, ask = rows.values["bid_price"], rows.values["ask_price"]
    crossed = int(((bid > ask) & bid.is_not_nan() & ask.is_not_nan()).sum())
    return (f"{crossed} quotes are crossed (bid above ask), kept",) if crossed else ()


def _shown(value: float | None) -> str:
    return "missing" if value is None else str(value)
