"""Prices adjusted for corporate actions: for features and signals, while orders meet raw prices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Literal

import polars as pl

from ml4t.backtest.data.actions import read_actions
from ml4t.backtest.data.columns import find_symbol, folded
from ml4t.backtest.data.frames import read_table
from ml4t.core.errors import DataError, nearest
from ml4t.core.events import CorporateAction
from ml4t.core.types import ActionKind
from ml4t.core.values import shown

__all__ = ["adjusted_prices"]

LABEL = "prices to adjust"
PRICES = ("open", "high", "low", "close")
OUR_NAMES = ("symbol", "session", *PRICES, "volume")
SHARES = (ActionKind.SPLIT, ActionKind.STOCK_DIVIDEND)
#: The kinds of actions that count, by what they are adjusted to.
COUNTED = {
    "split": SHARES,
    "total_return": (*SHARES, ActionKind.CASH_DIVIDEND, ActionKind.SPIN_OFF),
}
DAYS = pl.Schema(
    {
        "symbol": pl.String(),
        "ex_date": pl.Date(),
        "volume": pl.Float64(),
        "price": pl.Float64(),
        "amount": pl.Float64(),
        "repeated": pl.String(),
    }
)


def adjusted_prices(
    prices: object,
    actions: object,
    *,
    how: Literal["split", "total_return"] = "split",
    as_of: dt.date | None = None,
) -> pl.DataFrame:
    """Return prices without the jumps that corporate actions make, adjusted backwards.

    A row of session `s` is multiplied by the factors of all actions of its symbol with ``s < ex_date``; the
    rows from the last ex-date on stay as they are. The factor of one ex-date is

    ==================== ============================== ===================================================
    kind                 factor of prices               counts for
    ==================== ============================== ===================================================
    ``split``            ``1 / ratio``                  both
    ``stock_dividend``   ``1 / (1 + ratio)``            both
    ``cash_dividend``    ``1 - amount / C``             ``total_return``
    ``spin_off``         ``1 - amount / C``             ``total_return``
    ==================== ============================== ===================================================

    `C` is the raw close of the symbol's last row before the ex-date. On one day dividends come first, then
    splits, then spin-offs, as in a run: a dividend is per share as held before a split of that day, the
    amount of a spin-off per share after it, so that its `C` is divided by the ratio. What one day pays is
    added up before it is divided by `C`: a dividend written in two rows is the same as in one. Volumes are
    multiplied by ``ratio`` and ``1 + ratio`` of splits and stock dividends alone.

    Other kinds change nothing: a merger, a delisting or a change of symbol ends a series here. So do actions
    without a row of their symbol before them. Withholding is not deducted.

    Parameters
    ----------
    prices
        A polars, pandas or pyarrow frame, or a path: one row per symbol and session, in any order, with a
        symbol column, ``session`` (dates, midnights or text such as 2024-03-04), any of ``open``, ``high``,
        ``low``, ``close``, and maybe ``volume``. Missing values stay missing. Other columns are left alone.
    actions
        What :func:`~ml4t.backtest.data.read_actions` takes.
    how
        ``"split"``: the price of a share of today's size. ``"total_return"``: with payments put back, so
        that ratios of closes are returns of who reinvests each payment at ``C`` less the payment.
    as_of
        The last day that is known at its close: later actions do not count, later rows are not returned,
        and neither has any influence on the others. None: all of both, so that each later action has
        changed the level of every price before it.

    Returns
    -------
    polars.DataFrame
        The rows and columns of `prices` in their order, prices and volume as Float64.

    Raises
    ------
    DataError
        `how` or `as_of` is none of the above; a column is absent or there twice; a symbol has two rows of
        one session; a session is no date; with ``total_return``, a payment is not below `C`, or `C` is
        missing; an action is there twice.

    Notes
    -----
    The formula is that of Yahoo (help page SLN28256, "What is the adjusted close?"), which names the
    standards of CRSP, the Center for Research in Security Prices, for it. A
    return ``(P + amount) / C - 1``, with `P` the close of the ex-date, reinvests at `P`, and so do vendors
    whose factor is ``1 / (1 + amount / P)``: it differs by about ``amount / C`` times the return of that
    day, which is nothing where `P` is ``C - amount``.

    Examples
    --------
    The sample of that page: a split of 2 for 1 on the 18th, 0.08 paid on the 21st.

    >>> import polars as pl
    >>> prices = pl.DataFrame(
    ...     {
    ...         "symbol": ["XYZ"] * 6,
    ...         "session": [f"2024-02-{day}" for day in range(16, 22)],
    ...         "close": [46.99, 48.30, 24.96, 24.91, 24.95, 24.53],
    ...     }
    ... )
    >>> actions = pl.DataFrame(
    ...     {
    ...         "symbol": ["XYZ", "XYZ"],
    ...         "ex_date": ["2024-02-18", "2024-02-21"],
    ...         "kind": ["split", "cash_dividend"],
    ...         "ratio": [2, None],
    ...         "amount": [None, 0.08],
    ...     }
    ... )
    >>> adjusted_prices(prices, actions, how="total_return")["close"].round(2).to_list()
    [23.42, 24.07, 24.88, 24.83, 24.87, 24.53]
    >>> adjusted_prices(prices, actions, as_of=dt.date(2024, 2, 18))["close"].to_list()
    [23.495, 24.15, 24.96]
    """
    _check_options(how, as_of)
    frame, _ = read_table(prices, label=LABEL, columns=None)
    columns = _columns(frame)
    if how == "total_return" and "close" not in columns:
        message = (
            f"{LABEL}: a total return needs the column close; the columns are {', '.join(frame.columns)}"
        )
        raise DataError(message)
    sessions = _sessions(frame, columns)
    if as_of is not None:
        known = sessions <= as_of
        frame, sessions = frame.filter(known), sessions.filter(known)
    values = _values(frame, columns)
    rows = pl.DataFrame(
        {
            "symbol": frame[columns["symbol"]].cast(pl.String),
            "session": sessions,
            "close": values.get("close", pl.Series([None], dtype=pl.Float64).new_from_index(0, frame.height)),
        }
    )
    _refuse_keys(rows)
    counted = [
        action
        for action in read_actions(actions).rows
        if action.kind in COUNTED[how] and (as_of is None or action.ex_date <= as_of)
    ]
    factors = _factors(rows, _days(counted))
    return frame.with_columns(
        (series * factors["volume" if name == "volume" else "price"]).alias(columns[name])
        for name, series in values.items()
    )


def _check_options(how: object, as_of: object) -> None:
    if not isinstance(how, str) or how not in COUNTED:
        guess = nearest(how, COUNTED) if isinstance(how, str) else None
        hint = f"; did you mean {guess!r}?" if guess else ""
        message = f"how is {shown(how)}; known: {', '.join(COUNTED)}{hint}"
        raise DataError(message)
    # An instant is a date to Python; which session it lies in is for a calendar to say.
    if as_of is not None and type(as_of) is not dt.date:
        message = f"as_of is {shown(as_of)}; expected the date of the last session whose close is known"
        raise DataError(message)


def _columns(frame: pl.DataFrame) -> dict[str, str]:
    """Return the columns that are read, by our name."""
    by_fold: dict[str, str] = {}
    for name in frame.columns:
        if by_fold.setdefault(folded(name), name) != name and folded(name) in OUR_NAMES:
            message = (
                f"{LABEL}: {by_fold[folded(name)]!r} and {name!r} are both our {folded(name)!r}; "
                "drop or rename one"
            )
            raise DataError(message)
    symbol = find_symbol(dict(reversed(by_fold.items())), label=LABEL)
    if "session" not in by_fold:
        message = f"{LABEL}: column session is absent; the columns are {', '.join(frame.columns)}"
        raise DataError(message)
    return {**{name: by_fold[name] for name in OUR_NAMES if name in by_fold}, "symbol": symbol}


def _sessions(frame: pl.DataFrame, columns: Mapping[str, str]) -> pl.Series:
    """Return the sessions as dates."""
    column = frame[columns["session"]]
    if column.dtype == pl.String:
        days = column.str.to_date("%Y-%m-%d", strict=False)
    elif isinstance(column.dtype, pl.Datetime):
        # A time of day makes it an instant, whose session is for a calendar to say.
        is_midnight = (column.dt.time() == dt.time(0)).alias("is_midnight")
        days = pl.select(pl.when(is_midnight).then(column.dt.date())).to_series()
    elif column.dtype in (pl.Date, pl.Null):
        days = column.cast(pl.Date)
    else:
        days = pl.Series([None], dtype=pl.Date).new_from_index(0, frame.height)
    if days.null_count():
        row = days.is_null().arg_max() or 0
        message = (
            f"{LABEL}: session {shown(column[row])} of {frame[columns['symbol']][row]} in row {row} (column "
            f"{column.name}, {column.dtype}) is no date; write 2024-03-04, or cast the column to dates"
        )
        raise DataError(message)
    return days.alias("session")


def _values(frame: pl.DataFrame, columns: Mapping[str, str]) -> dict[str, pl.Series]:
    """Return the columns to adjust as Float64, by our name."""
    found = {}
    for name in (*PRICES, "volume"):
        if name not in columns:
            continue
        column = frame[columns[name]]
        if not column.dtype.is_numeric() and column.dtype != pl.Null:
            message = f"{LABEL}: column {column.name} is {column.dtype}; prices and volumes are numbers"
            raise DataError(message)
        found[name] = column.cast(pl.Float64)
    return found


def _refuse_keys(rows: pl.DataFrame) -> None:
    """Refuse rows without a symbol, and two of a symbol for one session."""
    nameless = rows.filter(pl.col("symbol").is_null())
    if not nameless.is_empty():
        message = f"{LABEL}: a row of {nameless['session'][0]} has no symbol; drop it or fill the symbol"
        raise DataError(message)
    twins = rows.filter(rows.select("symbol", "session").is_duplicated())
    if not twins.is_empty():
        symbol, session = twins.row(0)[:2]
        message = f"{LABEL}: {symbol} has two rows of {session}; keep one"
        raise DataError(message)


def _days(actions: Iterable[CorporateAction]) -> pl.DataFrame:
    """Return one row per symbol and ex-date, with what all its actions do together.

    It is added and multiplied exactly and rounded once, so that the order of the actions has no influence.
    ``amount`` is per share as held before the day, ``repeated`` the kind of an action that is there twice.
    """
    by_day: dict[tuple[str, dt.date], list[CorporateAction]] = {}
    for action in actions:
        by_day.setdefault((action.symbol, action.ex_date), []).append(action)
    rows = []
    for (symbol, ex_date), found in by_day.items():
        ratio, before, after = Fraction(1), Fraction(0), Fraction(0)
        seen: set[object] = set()
        repeated = None
        for action in found:
            key = (action.kind, action.ratio, action.amount, action.into)
            repeated = action.kind.value if key in seen else repeated
            seen.add(key)
            if action.kind in SHARES:
                ratio *= (action.ratio or 0) + (action.kind is ActionKind.STOCK_DIVIDEND)
            elif action.kind is ActionKind.CASH_DIVIDEND:
                before += Fraction(action.amount or 0)
            else:
                after += Fraction(action.amount or 0)
        rows.append(
            (symbol, ex_date, float(ratio), float(1 / ratio), float(before + after * ratio), repeated)
        )
    return pl.DataFrame(rows, schema=DAYS, orient="row").sort("symbol", "ex_date")


def _factors(rows: pl.DataFrame, days: pl.DataFrame) -> pl.DataFrame:
    """Return what to multiply ``price`` and ``volume`` of each row by, in the order of `rows`.

    Parameters
    ----------
    rows
        ``symbol``, ``session`` and ``close``.
    days
        What :func:`_days` returns.

    Raises
    ------
    DataError
        A payment cannot be put back, or an action is there twice.
    """
    sorted_rows = rows.with_row_index("row").sort("session")
    # polars cannot check the order within symbols; both sides are sorted by date as a whole.
    changes = (
        days.sort("ex_date", "symbol")
        .join_asof(
            sorted_rows.select("symbol", "close", on="session", last="session"),
            left_on="ex_date",
            right_on="on",
            by="symbol",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .filter(pl.col("last").is_not_null())
    )
    _refuse_changes(changes)
    # `C - amount` is exact where the two are near each other, `1 - amount / C` is not.
    kept = pl.when(pl.col("amount") > 0).then((pl.col("close") - pl.col("amount")) / pl.col("close"))
    after = changes.select(
        "symbol",
        "ex_date",
        (kept.otherwise(1.0) * pl.col("price")).cum_prod(reverse=True).over("symbol").alias("price"),
        pl.col("volume").cum_prod(reverse=True).over("symbol"),
    )
    return (
        sorted_rows.join_asof(
            after,
            left_on="session",
            right_on="ex_date",
            by="symbol",
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .sort("row")
        .select(pl.col("price", "volume").fill_null(1.0))
    )


def _refuse_changes(changes: pl.DataFrame) -> None:
    """Refuse days with an action that is there twice, or that pay what cannot be put back."""
    for row in changes.filter(pl.col("repeated").is_not_null()).head(1).iter_rows(named=True):
        message = (
            f"corporate actions: the {row['repeated']} of {row['symbol']} on {row['ex_date']} is there "
            "twice; keep one (two payments of one day with equal amounts are written as their sum)"
        )
        raise DataError(message)
    paying = changes.filter(pl.col("amount") > 0)
    for row in (
        paying.filter(~pl.col("close").is_finite().fill_null(value=False)).head(1).iter_rows(named=True)
    ):
        message = (
            f"{LABEL}: the close of {row['symbol']} on {row['last']} is {row['close']}, and the payment of "
            f"{row['amount']} on {row['ex_date']} is put back by it; fill it, or drop "
            "the row to use the one before"
        )
        raise DataError(message)
    for row in paying.filter(pl.col("amount") >= pl.col("close")).head(1).iter_rows(named=True):
        message = (
            f"{LABEL}: {row['symbol']} pays {row['amount']} a share on {row['ex_date']}, which is not "
            f"below its close of {row['close']} on {row['last']}; correct the amount or the close "
            "(an amount is in the currency of the prices, for a share as held before a split of that day; of "
            "a spin-off after it)"
        )
        raise DataError(message)
