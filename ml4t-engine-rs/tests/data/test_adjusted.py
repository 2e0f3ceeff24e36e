from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ml4t.backtest import datasets
from ml4t.backtest.data import adjusted_prices, read_actions
from ml4t.core.errors import DataError
from ml4t.core.events import CorporateAction
from ml4t.core.types import ActionKind

START = dt.date(2024, 2, 16)
Row = tuple[str, dt.date, float, float]
SCHEMA = {"symbol": pl.String, "session": pl.Date, "close": pl.Float64, "volume": pl.Float64}
SPLIT, STOCK = ActionKind.SPLIT, ActionKind.STOCK_DIVIDEND
CASH, SPIN = ActionKind.CASH_DIVIDEND, ActionKind.SPIN_OFF


def day(number: int) -> dt.date:
    return START + dt.timedelta(days=number)


def closes(*values: float, symbol: str = "XYZ", **more: Any) -> pl.DataFrame:  # noqa: ANN401 - any column
    sessions = [day(k) for k in range(len(values))]
    return pl.DataFrame({"symbol": [symbol] * len(values), "session": sessions, "close": values, **more})


def action(kind: ActionKind, number: int, symbol: str = "XYZ", **terms: object) -> CorporateAction:
    into = {"into": "NEW", "ratio": 1} if kind is SPIN else {}
    return CorporateAction(symbol, day(number), kind, **into, **terms)


def total(prices: object, *actions: CorporateAction, **more: Any) -> list[float]:  # noqa: ANN401 - options
    return adjusted_prices(prices, actions, how="total_return", **more)["close"].to_list()


# -- what is published -------------------------------------------------------------------------------------

PUBLISHED = closes(46.99, 48.30, 24.96, 24.91, 24.95, 24.53, 24.54)
PUBLISHED_ACTIONS = (action(SPLIT, 2, ratio=2), action(CASH, 5, amount="0.08"))


def test_the_published_sample_comes_out() -> None:
    found = total(PUBLISHED, *PUBLISHED_ACTIONS)
    factor = 1 - 0.08 / 24.95
    expected = [0.5 * factor * 46.99, 0.5 * factor * 48.30]
    expected += [factor * each for each in (24.96, 24.91, 24.95)]
    assert found == pytest.approx([*expected, 24.53, 24.54], rel=1e-15)
    assert [round(each, 2) for each in found] == [23.42, 24.07, 24.88, 24.83, 24.87, 24.53, 24.54]


def test_a_split_alone_leaves_dividends_in_the_price() -> None:
    found = adjusted_prices(PUBLISHED, PUBLISHED_ACTIONS)["close"].to_list()
    assert found == [23.495, 24.15, 24.96, 24.91, 24.95, 24.53, 24.54]


@pytest.mark.parametrize(
    ("close", "terms", "factor"),
    [
        (24.96, {"kind": CASH, "amount": "0.08"}, 0.9968),
        (16.51, {"kind": CASH, "amount": "2.40"}, 0.8546),
        (51.20, {"kind": CASH, "amount": "1.25"}, 0.9756),
        (51.20, {"kind": SPIN, "amount": "1.25"}, 0.9756),
        (80.00, {"kind": SPLIT, "ratio": 2}, 0.5),
        (80.00, {"kind": SPLIT, "ratio": 4}, 0.25),
        (80.00, {"kind": SPLIT, "ratio": "1/5"}, 5.0),
        (80.00, {"kind": STOCK, "ratio": "1/4"}, 0.8),
    ],
)
def test_the_published_factors_come_out(close: float, terms: dict[str, Any], factor: float) -> None:
    before, after = total(closes(close, 20.0), action(number=1, **terms))
    assert round(before / close, 4) == factor
    assert after == 20.0


def test_the_shipped_splits_join_what_they_cut(prices: pl.DataFrame) -> None:
    adjusted = adjusted_prices(prices, datasets.us_equity_actions())
    assert adjusted.drop("open", "high", "low", "close", "volume").equals(
        prices.drop("open", "high", "low", "close", "volume")
    )
    moves = adjusted.filter(pl.col("symbol") == "AAPL").sort("session")["close"].pct_change()
    raw = prices.filter(pl.col("symbol") == "AAPL").sort("session")["close"].pct_change()
    split = prices.filter(pl.col("symbol") == "AAPL")["session"].sort().index_of(dt.date(2005, 2, 28))
    assert split is not None
    assert raw[split] < -0.45
    assert abs(moves[split]) < 0.05


def test_the_shipped_adjusted_close_differs_by_where_it_reinvests(prices: pl.DataFrame) -> None:
    # Its dividends are put back at the close of the ex-date; that of MSFT of 2004 is 3.08 of 29.97.
    adjusted = adjusted_prices(prices, datasets.us_equity_actions(), how="total_return")
    ratio = pl.col("close") / pl.col("adj_close")
    spread = adjusted.group_by("symbol").agg((ratio.max() / ratio.min() - 1).alias("spread"))
    found = dict(spread.rows())
    assert found["GOOG"] < 1e-5
    assert found["AAPL"] < 2e-4
    assert 0.001 < found["MSFT"] < 0.003


# -- rules -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actions", "factor"),
    [
        # 100 a share: 4 is paid, 96 become two shares of 48, and each gives away 6.
        ([action(CASH, 1, amount=4), action(SPLIT, 1, ratio=2)], 0.48),
        ([action(SPLIT, 1, ratio=2), action(SPIN, 1, amount=6)], 0.44),
        ([action(SPIN, 1, amount=6), action(SPLIT, 1, ratio=2), action(CASH, 1, amount=4)], 0.42),
        ([action(SPLIT, 1, ratio=2), action(STOCK, 1, ratio="1/4")], 0.4),
        ([action(CASH, 1, amount=4), action(CASH, 1, amount=6)], 0.9),
        ([action(CASH, 1, amount=10)], 0.9),
    ],
)
def test_actions_of_one_day_act_as_in_a_run(actions: Sequence[CorporateAction], factor: float) -> None:
    for order in (actions, actions[::-1]):
        assert total(closes(100.0, 50.0), *order) == pytest.approx([100 * factor, 50.0], rel=1e-15)


def test_all_prices_move_and_volume_only_with_shares() -> None:
    prices = closes(30.0, 10.0, 9.0, open=[29, 11, 9], High=[31, 12, 9], low=[28, 9, 9], volume=[7, 8, 9])
    prices = prices.with_columns(vwap=pl.lit(5.0), count=pl.lit(3))
    actions = [action(SPLIT, 1, ratio=3), action(STOCK, 2, ratio="1/4"), action(CASH, 2, amount=1)]
    found = adjusted_prices(prices, actions, how="total_return")
    assert found.columns == prices.columns
    assert found["volume"].to_list() == [26.25, 10.0, 9.0]
    for name in ("open", "High", "low", "close"):
        factor = 0.9 * 0.8
        expected = [prices[name][0] * factor / 3, prices[name][1] * factor, prices[name][2]]
        assert found[name].to_list() == pytest.approx(expected, rel=1e-15)
        assert found.schema[name] == pl.Float64
    assert found.select("symbol", "session", "vwap", "count").equals(
        prices.select("symbol", "session", "vwap", "count")
    )


def test_the_close_before_may_be_of_days_ago_and_the_ex_date_no_session() -> None:
    prices = closes(100.0, 90.0, 80.0, 70.0).filter(pl.col("session") != day(2))
    assert total(prices, action(CASH, 2, amount=9)) == pytest.approx([90.0, 81.0, 70.0])


def test_an_action_after_the_last_row_counts_and_without_a_row_before_it_does_not() -> None:
    assert total(closes(100.0, 90.0), action(CASH, 7, amount=9)) == pytest.approx([90.0, 81.0])
    # Its amount is far above all closes, and nothing is multiplied by it.
    nothing = [action(CASH, 0, amount=500), action(SPLIT, -1, ratio=2), action(SPLIT, 1, "NOBODY", ratio=2)]
    assert total(closes(100.0, 90.0), *nothing, *nothing) == [100.0, 90.0]


@pytest.mark.parametrize("kind", ["cash_merger", "stock_merger", "symbol_change", "delisting"])
def test_the_end_of_an_instrument_changes_nothing(kind: str) -> None:
    terms: dict[str, Any] = {"cash_merger": {"amount": 5}, "symbol_change": {"into": "NEW"}}.get(kind, {})
    terms = {"into": "NEW", "ratio": 2} if kind == "stock_merger" else terms
    end = CorporateAction("XYZ", day(1), ActionKind(kind), **terms)
    assert total(closes(100.0, 90.0), end) == [100.0, 90.0]


def test_without_actions_or_rows_everything_stays() -> None:
    prices = closes(100.0, 90.0)
    for how in ("split", "total_return"):
        assert adjusted_prices(prices, [], how=how).equals(prices)
        assert adjusted_prices(prices.clear(), PUBLISHED_ACTIONS, how=how).equals(prices.clear())


def test_missing_values_stay_missing() -> None:
    prices = closes(100.0, 90.0, 80.0).with_columns(
        open=pl.Series([None, float("nan"), 8.0]), low=pl.lit(None), volume=pl.Series([None, 2, 3])
    )
    found = adjusted_prices(prices, [action(SPLIT, 2, ratio=2)])
    assert found["open"].is_nan().to_list() == [None, True, False]
    assert found["low"].to_list() == [None] * 3
    assert found["volume"].to_list() == [None, 4.0, 3.0]


@pytest.mark.parametrize("how", ["split", "total_return"])
def test_every_form_of_frame_gives_the_same(how: Any, tmp_path: Path) -> None:  # noqa: ANN401 - a literal
    expected = adjusted_prices(PUBLISHED, PUBLISHED_ACTIONS, how=how)
    file = tmp_path / "prices.csv"
    PUBLISHED.write_csv(file)
    pandas = pd.DataFrame({name: PUBLISHED[name].to_list() for name in PUBLISHED.columns})
    stamped = pandas.assign(session=pd.to_datetime(pandas["session"]))
    forms = {
        "lazy": PUBLISHED.lazy(),
        "arrow": PUBLISHED.to_arrow(),
        "file": file,
        "pandas": pandas,
        "datetime64": stamped,
        "indexed": stamped.set_index(["symbol", "session"]),
        "ticker": PUBLISHED.rename({"symbol": "ticker", "close": "Close", "session": "Session"}),
        "categories": PUBLISHED.with_columns(pl.col("symbol").cast(pl.Categorical)),
        "zoned": PUBLISHED.with_columns(
            pl.col("session").cast(pl.Datetime).dt.replace_time_zone("America/New_York")
        ),
        "decimals": PUBLISHED.with_columns(pl.col("close").cast(pl.Decimal(10, 2))),
    }
    for name, form in forms.items():
        found = adjusted_prices(form, PUBLISHED_ACTIONS, how=how, as_of=day(6))
        close = "Close" if name == "ticker" else "close"
        assert found[close].to_list() == expected["close"].to_list(), name


def test_actions_are_taken_in_every_form() -> None:
    frame = pl.DataFrame(
        {
            "symbol": ["XYZ", "XYZ"],
            "ex_date": [day(2), day(5)],
            "kind": ["split", "cash_dividend"],
            "ratio": [2.0, None],
            "amount": [None, 0.08],
        }
    )
    expected = total(PUBLISHED, *PUBLISHED_ACTIONS)
    for form in (frame, frame.to_arrow(), read_actions(frame), [frame[:1], frame[1:]]):
        assert adjusted_prices(PUBLISHED, form, how="total_return")["close"].to_list() == expected


# -- random markets ----------------------------------------------------------------------------------------

RATIOS = st.sampled_from([2, 3, 7, Fraction(3, 2), Fraction(1, 3), Fraction(1, 10), Fraction(21, 20)])
AMOUNTS = st.integers(1, 300).map(lambda cents: Decimal(cents) / 100)
LAST = 24


@st.composite
def some_actions(draw: st.DrawFn, first: int = -2, last: int = LAST + 2) -> list[CorporateAction]:
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from("ABC"),
                st.integers(first, last),
                st.sampled_from([SPLIT, STOCK, CASH, CASH, SPIN]),
                RATIOS,
                AMOUNTS,
            ),
            max_size=14,
            unique_by=lambda each: (each[0], each[1], each[2], each[4] if each[2] in (CASH, SPIN) else 0),
        )
    )
    return [
        action(kind, number, symbol, **({"ratio": ratio} if kind in (SPLIT, STOCK) else {"amount": amount}))
        for symbol, number, kind, ratio, amount in drawn
    ]


@st.composite
def some_rows(draw: st.DrawFn, first: int = 0, last: int = LAST) -> pl.DataFrame:
    """Rows of two symbols with gaps, in any order; the amounts of a day stay below the closes."""
    keys = draw(
        st.lists(st.tuples(st.sampled_from("AB"), st.integers(first, last)), unique=True, max_size=30)
    )
    rows: list[Row] = [
        (symbol, day(number), draw(st.integers(20_000, 90_000)) / 100, float(draw(st.integers(0, 1000))))
        for symbol, number in keys
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def of_symbol(prices: pl.DataFrame, symbol: str) -> list[Row]:
    return sorted(row for row in prices.rows() if row[0] == symbol)


def by_day(actions: Sequence[CorporateAction], symbol: str) -> dict[dt.date, list[CorporateAction]]:
    days: dict[dt.date, list[CorporateAction]] = {}
    for each in sorted(actions, key=lambda each: each.ex_date):
        if each.symbol == symbol:
            days.setdefault(each.ex_date, []).append(each)
    return days


def shares_of(actions: Sequence[CorporateAction]) -> Fraction:
    ratio = Fraction(1)
    for each in actions:
        if each.kind in (SPLIT, STOCK):
            assert each.ratio is not None
            ratio *= each.ratio + (each.kind is STOCK)
    return ratio


def paid(actions: Sequence[CorporateAction], kind: ActionKind) -> Fraction:
    return sum((Fraction(each.amount or 0) for each in actions if each.kind is kind), Fraction(0))


def oracle(
    prices: pl.DataFrame, actions: Sequence[CorporateAction], how: str, as_of: dt.date
) -> dict[tuple[str, dt.date], tuple[Fraction, Fraction]]:
    """Close and volume of each row, by the formula and exactly."""
    found = {}
    for symbol, session, close, volume in prices.rows():
        if session > as_of:
            continue
        price, shares = Fraction(close), Fraction(volume)
        for ex_date, group in by_day(actions, symbol).items():
            if not session < ex_date <= as_of:
                continue
            ratio = shares_of(group)
            price, shares = price / ratio, shares * ratio
            before = [row for row in of_symbol(prices, symbol) if row[1] < ex_date]
            last = Fraction(before[-1][2])
            if how == "total_return":
                price *= 1 - paid(group, CASH) / last - paid(group, SPIN) / (last / ratio)
        found[symbol, session] = (price, shares)
    return found


def payable(prices: pl.DataFrame, actions: Sequence[CorporateAction]) -> list[CorporateAction]:
    """Leave out days that pay more than half of a close."""
    kept = []
    for symbol in "ABC":
        for ex_date, group in by_day(actions, symbol).items():
            before = [row for row in of_symbol(prices, symbol) if row[1] < ex_date]
            amount = paid(group, CASH) + paid(group, SPIN) * shares_of(group)
            if not before or 2 * amount < Fraction(before[-1][2]):
                kept += group
    return kept


@pytest.mark.parametrize("how", ["split", "total_return"])
@given(prices=some_rows(), actions=some_actions(), last=st.integers(-1, LAST + 3))
def test_the_formula_in_plain_python_agrees(
    how: Any,  # noqa: ANN401 - a literal
    prices: pl.DataFrame,
    actions: list[CorporateAction],
    last: int,
) -> None:
    actions = payable(prices, actions)
    found = adjusted_prices(prices, actions, how=how, as_of=day(last))
    expected = oracle(prices, actions, how, day(last))
    kept = prices.filter(pl.col("session") <= day(last))
    assert found.select("symbol", "session").equals(kept.select("symbol", "session"))
    for symbol, session, close, volume in found.rows():
        price, shares = expected[symbol, session]
        assert abs(Fraction(close) - price) <= price * Fraction(1, 10**12)
        assert abs(Fraction(volume) - shares) <= shares * Fraction(1, 10**12)
    everything = adjusted_prices(prices, actions, how=how)
    assert everything.equals(adjusted_prices(prices, actions, how=how, as_of=day(LAST + 9)))


@pytest.mark.parametrize("how", ["split", "total_return"])
@given(data=st.data(), last=st.integers(0, LAST - 1))
def test_what_comes_after_as_of_changes_no_bit(how: Any, data: st.DataObject, last: int) -> None:  # noqa: ANN401
    prices, actions = data.draw(some_rows(last=last)), data.draw(some_actions(last=last))
    actions = payable(prices, actions)
    expected = adjusted_prices(prices, actions, how=how)
    # Later rows and actions may be impossible in themselves: two rows of a session, payments above the close.
    later = data.draw(some_rows(first=last + 1))
    later = pl.concat([later, later.with_columns(pl.col("close") / 1_000)])
    more = data.draw(some_actions(first=last + 1))
    mixed = pl.concat([later, prices])
    order = data.draw(st.permutations(range(mixed.height)))
    both = data.draw(st.permutations([*actions, *more, *more]))
    found = adjusted_prices(mixed[list(order)], both, how=how, as_of=day(last))
    key = ["symbol", "session"]
    assert_frame_equal(found.sort(key), expected.sort(key), check_exact=True)
    unmoved = adjusted_prices(mixed, both, how=how, as_of=day(last))
    assert_frame_equal(unmoved, expected, check_exact=True)


def wealth(rows: Sequence[Row], actions: Sequence[CorporateAction], symbol: str) -> Fraction:
    """What one share at the first close has become at the last, each payment reinvested as it is made.

    It buys at the close before the ex-date less what was paid: the price that leaves wealth the same.
    """
    held = Fraction(1)
    for ex_date, group in by_day(actions, symbol).items():
        if not rows[0][1] < ex_date <= rows[-1][1]:
            continue
        price = Fraction([row for row in rows if row[1] < ex_date][-1][2])
        dividend, ratio, given_away = paid(group, CASH), shares_of(group), paid(group, SPIN)
        price -= dividend
        held += held * dividend / price
        held, price = held * ratio, price / ratio
        price -= given_away
        held += held * given_away / price
    return held * Fraction(rows[-1][2])


@given(prices=some_rows(), actions=some_actions())
def test_adjusted_closes_grow_as_who_reinvests(prices: pl.DataFrame, actions: list[CorporateAction]) -> None:
    actions = payable(prices, actions)
    found = adjusted_prices(prices, actions, how="total_return")
    for symbol in "AB":
        rows, adjusted = of_symbol(prices, symbol), of_symbol(found, symbol)
        if len(rows) < 2:
            continue
        product = Fraction(1)
        for before, after in pairwise(adjusted):
            product *= Fraction(after[2]) / Fraction(before[2])
        expected = wealth(rows, actions, symbol) / Fraction(rows[0][2])
        assert abs(product / expected - 1) < Fraction(1, 10**12)


@given(prices=some_rows(), actions=some_actions(last=LAST))
def test_rows_that_no_action_follows_stay_bit_for_bit(
    prices: pl.DataFrame, actions: list[CorporateAction]
) -> None:
    actions = payable(prices, actions)
    for row, raw in zip(
        adjusted_prices(prices, actions, how="total_return").rows(), prices.rows(), strict=True
    ):
        if not any(each.symbol == raw[0] and each.ex_date > raw[1] for each in actions):
            assert row == raw


# -- refusals ----------------------------------------------------------------------------------------------

ONE_DAY = closes(10.0, 9.0)


@pytest.mark.parametrize(
    ("prices", "actions", "options", "message"),
    [
        (
            ONE_DAY,
            [],
            {"how": "splits"},
            r"how is 'splits'; known: split, total_return; did you mean 'split'\?",
        ),
        (ONE_DAY, [], {"how": ["split"]}, r"how is \['split'\]; known: split, total_return"),
        (ONE_DAY, [], {"as_of": dt.datetime(2024, 2, 16, 9)}, r"as_of is datetime.*expected the date"),
        (ONE_DAY, [], {"as_of": "2024-02-16"}, "as_of is '2024-02-16'; expected the date"),
        (
            ONE_DAY.rename({"close": "open"}),
            [],
            {"how": "total_return"},
            "needs the column close; the columns are symbol, session, open",
        ),
        (ONE_DAY.drop("symbol"), [], {}, "no column is the symbol"),
        (ONE_DAY.drop("session"), [], {}, "column session is absent; the columns are symbol, close"),
        (ONE_DAY.with_columns(Close=1.0), [], {}, "'close' and 'Close' are both our 'close'"),
        (ONE_DAY.with_columns(session=pl.lit("Friday")), [], {}, "session 'Friday' of XYZ in row 0"),
        (
            ONE_DAY.with_columns(session=pl.lit(3)),
            [],
            {},
            r"session 3 of XYZ in row 0 \(.*Int32\) is no date",
        ),
        (
            ONE_DAY.with_columns(session=pl.lit(dt.datetime(2024, 2, 16, 9))),
            [],
            {},
            r"session datetime.datetime\(2024, 2, 16, 9, 0\) of XYZ in row 0",
        ),
        (
            ONE_DAY.with_columns(session=pl.Series([day(0), None])),
            [],
            {"as_of": day(0)},
            "session None of XYZ in row 1",
        ),
        (ONE_DAY.with_columns(session=pl.lit(None)), [], {}, "session None of XYZ in row 0"),
        (pl.concat([ONE_DAY, ONE_DAY[1:]]), [], {}, "XYZ has two rows of 2024-02-17; keep one"),
        (
            ONE_DAY.with_columns(symbol=pl.Series(["XYZ", None])),
            [],
            {},
            "a row of 2024-02-17 has no symbol",
        ),
        (
            ONE_DAY.cast({"close": pl.String}),
            [],
            {},
            "column close is String; prices and volumes are numbers",
        ),
        (
            ONE_DAY,
            [action(CASH, 1, amount=10)],
            {"how": "total_return"},
            "XYZ pays 10.0 a share on 2024-02-17, which is not below its close of 10.0 on 2024-02-16",
        ),
        (
            # 5 of each of two shares that closed as one of 10.
            ONE_DAY,
            [action(SPLIT, 1, ratio=2), action(SPIN, 1, amount=5)],
            {"how": "total_return"},
            "XYZ pays 10.0 a share on 2024-02-17, which is not below its close of 10.0",
        ),
        (
            ONE_DAY,
            [action(CASH, 1, amount=6), action(CASH, 1, amount=4)],
            {"how": "total_return"},
            "XYZ pays 10.0 a share on 2024-02-17",
        ),
        (
            closes(-1.0, 9.0),
            [action(CASH, 1, amount=1)],
            {"how": "total_return"},
            "not below its close of -1.0 on 2024-02-16",
        ),
        (
            closes(10.0, float("nan"), 9.0),
            [action(CASH, 2, amount=1)],
            {"how": "total_return"},
            "the close of XYZ on 2024-02-17 is nan, and the payment of 1.0 on 2024-02-18",
        ),
        (
            ONE_DAY.with_columns(close=pl.lit(None)),
            [action(SPIN, 1, amount=1)],
            {"how": "total_return"},
            "the close of XYZ on 2024-02-16 is None",
        ),
        (
            ONE_DAY,
            [action(SPLIT, 1, ratio=2), action(SPLIT, 1, ratio=2)],
            {},
            "the split of XYZ on 2024-02-17 is there twice",
        ),
        (
            ONE_DAY,
            [action(CASH, 1, amount=1), action(CASH, 1, amount="1.0")],
            {"how": "total_return"},
            "the cash_dividend of XYZ on 2024-02-17 is there twice",
        ),
        (
            ONE_DAY,
            pl.DataFrame({"symbol": ["XYZ"], "ex_date": [day(1)], "kind": ["spilt"], "ratio": [2]}),
            {},
            "XYZ on 2024-02-17: kind 'spilt' is not one of split",
        ),
        ([1.0, 2.0], [], {}, "list is no frame"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    prices: object, actions: object, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        adjusted_prices(prices, actions, **options)


def test_a_payment_that_does_not_count_is_not_refused() -> None:
    huge = [action(CASH, 1, amount=100), action(CASH, 1, amount=100)]
    assert adjusted_prices(ONE_DAY, huge)["close"].to_list() == [10.0, 9.0]
    assert total(ONE_DAY, *huge, as_of=day(0)) == [10.0]
    gap = closes(10.0, float("nan"))
    assert total(gap, action(SPLIT, 2, ratio=2))[0] == 5.0


def test_a_refusal_of_an_amount_says_what_amounts_are() -> None:
    with pytest.raises(DataError) as caught:
        total(ONE_DAY, action(CASH, 1, amount=11))
    assert re.search(r"in the currency of the prices.*before a split of that day", str(caught.value))
