from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ml4t.backtest import datasets
from ml4t.backtest.data import DataFeed, assemble, read_actions
from ml4t.backtest.data.actions import ACTION_SCHEMA, exact_ratio
from ml4t.core.errors import DataError
from ml4t.core.events import CorporateAction
from ml4t.core.types import ActionKind


def actions(**columns: Any) -> pl.DataFrame:  # noqa: ANN401 - columns of any type
    base = {
        "symbol": ["IBM", "IBM"],
        "ex_date": [dt.date(2012, 7, 5), dt.date(2012, 7, 5)],
        "kind": ["split", "cash_dividend"],
        "ratio": [1.5, None],
        "amount": [None, 0.85],
    }
    return pl.DataFrame({**base, **columns})


def table(prices: pl.DataFrame, source: object, **run: Any) -> pl.DataFrame:  # noqa: ANN401 - options of the run
    found = assemble(DataFeed(prices, stamp="session"), actions=source, **run).actions
    assert found is not None
    return found


def test_the_shipped_actions_are_exact(prices: pl.DataFrame, ns: Callable[[str], int]) -> None:
    frame = table(prices, datasets.us_equity_actions())
    assert frame.schema == ACTION_SCHEMA
    assert frame.height == 95
    assert frame["ts"].is_sorted()
    special = frame.filter(pl.col("ts") == ns("2004-11-15T00:00:00-05:00")).row(0, named=True)
    assert (special["instrument"], special["kind"], special["amount"]) == (4, "cash_dividend", "3.08")
    splits = frame.filter(pl.col("kind") == "split")
    assert splits.select("ts", "instrument", "ratio_num", "ratio_den").rows() == [
        (ns("2000-06-21T00:00:00-04:00"), 0, 2, 1),
        (ns("2003-02-18T00:00:00-05:00"), 4, 2, 1),
        (ns("2005-02-28T00:00:00-05:00"), 0, 2, 1),
    ]


def test_a_dividend_comes_before_a_split_of_the_same_day(
    prices: pl.DataFrame, ns: Callable[[str], int]
) -> None:
    at = ns("2012-07-05T00:00:00-04:00")
    assert table(prices, actions()).rows() == [
        (at, 3, "cash_dividend", 1, 1, "0.85", at, 3, "0"),
        (at, 3, "split", 3, 2, "0", at, 3, "0"),
    ]


def test_a_dividend_is_paid_on_its_pay_date_or_else_on_its_ex_date(
    prices: pl.DataFrame, ns: Callable[[str], int]
) -> None:
    dated = actions(pay_date=[None, dt.date(2012, 9, 10)])
    assert table(prices, dated)["pay_ts"].to_list() == [
        ns("2012-09-10T00:00:00-04:00"),
        ns("2012-07-05T00:00:00-04:00"),
    ]


def test_actions_take_effect_at_midnight_of_the_venue(ns: Callable[[str], int]) -> None:
    days = [dt.date(2012, 7, 4), dt.date(2012, 7, 5)]
    frame = pl.DataFrame(
        {"session": days, "symbol": "VOD", "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0}
    )
    london = DataFeed(frame, stamp="session", calendar="XLON", actions=actions(symbol=["VOD", "VOD"]))
    found = assemble(london).actions
    assert found is not None
    assert found["ts"].to_list() == [ns("2012-07-05T00:00:00+01:00")] * 2


@pytest.mark.parametrize("form", ["frame", "pandas", "arrow", "csv", "parquet", "objects", "text columns"])
def test_every_source_of_actions_gives_the_same_table(
    form: str, prices: pl.DataFrame, tmp_path: Path
) -> None:
    frame = datasets.us_equity_actions()
    source: object
    if form in ("csv", "parquet"):
        path = tmp_path / f"actions.{form}"
        frame.write_csv(path) if form == "csv" else frame.write_parquet(path)
        source = path
    elif form == "objects":
        source = [
            CorporateAction(symbol, day, ActionKind(kind), ratio=ratio, amount=amount)
            for symbol, day, kind, ratio, amount in frame.iter_rows()
        ]
    else:
        source = {
            "frame": frame,
            "pandas": frame.to_pandas(),
            "arrow": frame.to_arrow(),
            "text columns": frame.with_columns(pl.all().cast(pl.String)),
        }[form]
    assert_frame_equal(table(prices, source), table(prices, frame))
    files = assemble(DataFeed(prices, stamp="session"), actions=source).action_paths
    assert files == ((tmp_path / f"actions.{form}",) if form in ("csv", "parquet") else ())


def test_columns_of_actions_may_be_renamed(prices: pl.DataFrame) -> None:
    frame = actions().rename({"ex_date": "effective", "amount": "cash"})
    found = table(prices, read_actions(frame, columns={"ex_date": "effective", "amount": "cash"}))
    assert_frame_equal(found, table(prices, actions()))


@pytest.mark.parametrize(
    ("value", "ratio"),
    [
        (2, Fraction(2)),
        (2.0, Fraction(2)),
        (1.5, Fraction(3, 2)),
        ("3/2", Fraction(3, 2)),
        (Decimal("1.05"), Fraction(21, 20)),
        (0.125, Fraction(1, 8)),
        ("0.142857", Fraction(1, 7)),
        (0.142857, Fraction(1, 7)),
        (1 / 7, Fraction(1, 7)),
        ("0.3333", Fraction(1, 3)),
        (1 / 3, Fraction(1, 3)),
        ("0.0667", Fraction(667, 10_000)),
        ("0.066667", Fraction(1, 15)),
        # Not one seventh rounded: the digits given are kept.
        ("0.1428572", Fraction(357_143, 2_500_000)),
        ("1.0047", Fraction(10_047, 10_000)),
        ("0.33", Fraction(33, 100)),
    ],
)
def test_ratios_are_fractions_of_integers(value: object, ratio: Fraction) -> None:
    assert exact_ratio(value) == ratio


@given(st.integers(1, 10**6), st.integers(0, 6))
def test_a_decimal_stays_itself_or_becomes_a_fraction_that_rounds_to_it(units: int, digits: int) -> None:
    text = str(Decimal(units).scaleb(-digits))
    found = exact_ratio(text)
    assert found == Fraction(text) or (
        round(found, digits) == Fraction(text) and found.denominator**2 <= 10 ** (digits - 2)
    )


@given(st.integers(1, 60), st.integers(1, 60))
def test_a_simple_split_survives_its_decimal_text(new: int, old: int) -> None:
    assert exact_ratio(f"{new / old:.8f}") == Fraction(new, old)
    assert exact_ratio(new / old) == Fraction(new, old)


def test_chance_meetings_of_decimals_and_fractions_are_rare() -> None:
    changed = sum(exact_ratio(f"1.{n:04d}") != Fraction(10_000 + n, 10_000) for n in range(10_000))
    assert changed / 10_000 < 1 / 300


@pytest.mark.parametrize("value", [0, -2, "two", float("nan"), float("inf"), "1/0", "1e-30", 1e300])
def test_a_ratio_that_cannot_be_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="ratio"):
        exact_ratio(value)


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        (
            {"kind": ["spilt", "cash_dividend"]},
            "IBM on 2012-07-05: kind 'spilt' is not one of .*did you mean 'split'",
        ),
        ({"ratio": [None, None]}, "split of IBM on 2012-07-05: .*above zero"),
        ({"ratio": [-2.0, None]}, "split of IBM on 2012-07-05: ratio -2.0 is not a fraction above zero"),
        ({"amount": [None, 0.0]}, "cash_dividend of IBM on 2012-07-05: .*above zero"),
        ({"amount": [None, float("inf")]}, "cash_dividend of IBM on 2012-07-05: .*finite"),
        ({"amount": [1.0, 0.85]}, "split of IBM on 2012-07-05: .*ratio=3/2, amount=1"),
        ({"ratio": [2.0, 2.0]}, "cash_dividend of IBM on 2012-07-05: .*ratio=2, amount=0.85"),
        ({"pay_date": [None, dt.date(2012, 7, 1)]}, "pay_date 2012-07-01 is before the ex-date"),
        ({"ex_date": [None, dt.date(2012, 7, 5)]}, "row 0: a split of IBM has no ex_date, found None"),
        ({"symbol": ["IBN", "IBM"]}, "corporate actions: symbol 'IBN' is in no feed; did you mean 'IBM'"),
        ({"ex_date": ["July 5", "July 6"]}, "ex_date holds something that is no date"),
    ],
)
def test_an_action_that_cannot_be_is_refused(
    columns: dict[str, Any], fault: str, prices: pl.DataFrame
) -> None:
    with pytest.raises(DataError, match=fault):
        table(prices, actions(**columns))


def test_an_absent_column_is_refused(prices: pl.DataFrame) -> None:
    with pytest.raises(
        DataError, match="column kind is absent; the columns are symbol, ex_date, ratio, amount"
    ):
        table(prices, actions().drop("kind"))


def test_an_action_that_is_there_twice_is_refused(prices: pl.DataFrame) -> None:
    twice = pl.concat([actions(), actions()[1:]])
    with pytest.raises(DataError, match="the cash_dividend of IBM on 2012-07-05 is there twice"):
        table(prices, twice)
    splits = pl.concat([actions()[:1], actions(ratio=[2.0, None])[:1]])
    with pytest.raises(DataError, match="the split of IBM on 2012-07-05 is there twice"):
        table(prices, splits)
    regular_and_special = pl.concat([actions(), actions(amount=[None, 3.0])[1:]])
    assert table(prices, regular_and_special).height == 3


def test_actions_outside_the_data_are_left_out_and_noted(prices: pl.DataFrame) -> None:
    data = assemble(
        DataFeed(prices, stamp="session", actions=datasets.us_equity_actions()),
        start="2012-01-03",
        end="2012-12-31",
    )
    assert data.actions is not None
    expected = datasets.us_equity_actions().filter(pl.col("ex_date").dt.year() == 2012)
    assert data.actions.height == expected.height == 10
    assert data.notes == ("85 corporate actions lie outside the span of the market data",)


def test_actions_of_symbols_that_were_not_selected_are_left_out_and_noted(prices: pl.DataFrame) -> None:
    feed = DataFeed(prices, stamp="session", symbols=["AAPL"], actions=datasets.us_equity_actions())
    data = assemble(feed)
    assert data.actions is not None
    assert data.actions.height == 5
    assert data.notes == (
        "corporate actions: 90 rows of symbols that were not loaded are left out: IBM, MSFT",
    )


def test_a_run_without_actions_has_none_and_one_with_an_empty_list_has_an_empty_table(
    prices: pl.DataFrame,
) -> None:
    assert assemble(DataFeed(prices, stamp="session")).actions is None
    assert table(prices, []).schema == ACTION_SCHEMA


def test_dividends_reinvested_at_the_close_of_the_ex_date_reproduce_the_adjusted_close(
    prices: pl.DataFrame,
) -> None:
    """The table by itself, without an engine: AAPL x13.40862, IBM x2.37921, MSFT x0.81667."""
    data = assemble(DataFeed(prices, stamp="session"), actions=datasets.us_equity_actions())
    assert data.actions is not None
    growth = {}
    for index, symbol in ((0, "AAPL"), (3, "IBM"), (4, "MSFT")):
        bars = data.feeds[0].frame.filter(pl.col("instrument") == index)
        shares = 1.0
        for row in data.actions.filter(pl.col("instrument") == index).iter_rows(named=True):
            close = bars.filter(pl.col("ts_event") > row["ts"])["close"][0]
            shares *= row["ratio_num"] / row["ratio_den"] * (1 + float(row["amount"]) / close)
        growth[symbol] = round(shares * bars["close"][-1] / bars["close"][0], 5)
    assert growth == {"AAPL": 13.40862, "IBM": 2.37921, "MSFT": 0.81667}


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (
            # Midnight in Tokyo is the day before in UTC: the action would come a day early.
            pl.Series([dt.datetime(2012, 7, 4, 15, tzinfo=dt.UTC)] * 2),
            "column ex_date holds instants in UTC; a date of the exchange is wanted",
        ),
        (
            pl.Series([dt.datetime(2012, 7, 5, 9, 30)] * 2),
            "row 0 (IBM): column ex_date holds 2012-07-05 09:30:00, an instant; a date is wanted",
        ),
        (
            pl.Series([" 2012-07-05", "5.7.2012"]),
            "row 1 (IBM): column ex_date holds something that is no date, found '5.7.2012'; write 2024-03-04",
        ),
        (
            pl.Series([None, 20120705]),
            "row 1 (IBM): column ex_date holds numbers, found 20120705; write dates: 2024-03-04",
        ),
        (
            pl.Series([[1], [2]]),
            "row 0 (IBM): column ex_date holds something that is no date, found [1]; write 2024-03-04",
        ),
    ],
)
def test_an_ex_date_that_is_no_date_is_refused(column: pl.Series, found: str) -> None:
    with pytest.raises(DataError, match=re.escape(found)):
        read_actions(actions(ex_date=column))


def test_midnights_and_upper_case_kinds_are_understood() -> None:
    frame = actions(ex_date=[dt.datetime(2012, 7, 5)] * 2, kind=["Split", "CASH_DIVIDEND"])
    assert [(row.ex_date, row.kind) for row in read_actions(frame).rows] == [
        (dt.date(2012, 7, 5), ActionKind.SPLIT),
        (dt.date(2012, 7, 5), ActionKind.CASH_DIVIDEND),
    ]


def test_a_split_is_not_paid_out() -> None:
    words = "split of IBM on 2012-07-05: only cash dividends have a pay_date, found 2012-07-09"
    with pytest.raises(DataError, match=words):
        read_actions(actions(pay_date=[dt.date(2012, 7, 9), None]))


def evening_bars(symbol: str, hours: int) -> pl.DataFrame:
    """Bars of so many hours, from one in the evening on."""
    start = dt.datetime(2024, 3, 4, 23, tzinfo=dt.UTC)
    opens = [start + dt.timedelta(hours=n) for n in range(0, 24, hours)]
    frame = pl.DataFrame({"symbol": symbol, "ts_open": opens, "volume": 1e6})
    prices = [pl.lit(100.0).alias(name) for name in ("open", "high", "low", "close")]
    return frame.with_columns(*prices, ts_event=pl.col("ts_open") + pl.duration(hours=hours))


@pytest.mark.parametrize(("hours", "is_torn"), [(1, False), (2, True), (24, True)])
def test_a_split_inside_a_bar_that_orders_meet_is_refused(hours: int, is_torn: bool) -> None:  # noqa: FBT001
    actions = pl.DataFrame(
        {"symbol": ["A"], "ex_date": [dt.date(2024, 3, 5)], "kind": ["split"], "ratio": ["2"]}
    )
    frame = pl.concat([evening_bars("A", hours), evening_bars("B", 24)])
    feed = DataFeed(frame, stamp="event", calendar="24/7", actions=actions)
    if not is_torn:
        table = assemble(feed).actions
        assert table is not None and table.height == 1
        return
    ends = {2: "2024-03-05T01:00:00Z", 24: "2024-03-05T23:00:00Z"}[hours]
    fault = (
        "A changes at 2024-03-05T00:00:00Z, midnight of its ex-date, inside its bar from "
        "2024-03-04T23:00:00Z "
        f"to {ends}, whose prices would be of old shares and of new ones; give bars of which one ends"
    )
    with pytest.raises(DataError, match=re.escape(fault)):
        assemble(feed)


def test_a_split_inside_a_bar_that_no_order_meets_is_none_of_theirs() -> None:
    actions = pl.DataFrame(
        {"symbol": ["A"], "ex_date": [dt.date(2024, 3, 5)], "kind": ["split"], "ratio": ["2"]}
    )
    met = DataFeed(
        evening_bars("A", 1),
        name="hours",
        stamp="event",
        calendar="24/7",
        actions=actions,
        matches_orders=True,
    )
    seen = DataFeed(evening_bars("A", 24), name="days", stamp="event", calendar="24/7")
    table = assemble([met, seen]).actions
    assert table is not None and table.height == 1


KINDS: list[dict[str, Any]] = [
    {"kind": "split", "ratio": "3/2"},
    {"kind": "Stock Dividend", "ratio": "1/20"},
    {"kind": "cash_dividend", "amount": "0.110", "pay_date": dt.date(2012, 8, 1), "withholding": "0.15"},
    {"kind": "cash-dividend", "amount": "2"},
    {"kind": "spin_off", "ratio": "0.1", "amount": "0.5", "into": "AAPL"},
    {"kind": "cash_merger", "amount": "12"},
    {"kind": "stock_merger", "ratio": "0.3333", "amount": "1", "into": "AAPL"},
    {"kind": "stock_merger", "ratio": "2", "into": "AAPL"},
    {"kind": "symbol_change", "into": "AAPL"},
    {"kind": "delisting"},
    {"kind": "delisting", "amount": "0"},
]
# One fault each, of which the last two are of a column that is read once for each of its values.
FAULTS: list[dict[str, Any]] = [
    {"kind": "splitt", "ratio": "2"},
    {"kind": "split", "ratio": "2", "amount": "1"},
    {"kind": "split", "ratio": "2", "pay_date": dt.date(2012, 8, 1)},
    {"kind": "cash_dividend", "amount": "-1"},
    {"kind": "cash_dividend", "amount": "1", "pay_date": dt.date(2012, 7, 1)},
    {"kind": "cash_dividend", "amount": "1", "withholding": "1.01"},
    {"kind": "cash_dividend", "amount": "1", "withholding": "-0.1"},
    {"kind": "spin_off", "ratio": "1", "amount": "1", "into": "IBM"},
    {"kind": "spin_off", "ratio": "1", "amount": "1"},
    {"kind": "delisting", "ex_date": dt.date(1600, 1, 1)},
    {"kind": "cash_dividend", "amount": "1e-19"},
    {"kind": "split", "ratio": "0"},
]


def rows_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    names = ("symbol", "ex_date", "kind", "ratio", "amount", "pay_date", "into", "withholding")
    base = {"symbol": "IBM", "ex_date": dt.date(2012, 7, 5)}
    schema = dict.fromkeys(names, pl.String) | dict.fromkeys(("ex_date", "pay_date"), pl.Date)
    return pl.DataFrame([{name: (base | row).get(name) for name in names} for row in rows], schema=schema)


def test_columns_say_what_objects_say() -> None:
    read = read_actions(rows_of(KINDS))
    assert_frame_equal(read.table, read_actions(read.rows).table)
    for row, action in zip(KINDS, read.rows, strict=True):
        assert action.kind.value == row["kind"].lower().replace("-", "_").replace(" ", "_")
        assert action.amount == (None if "amount" not in row else Decimal(row["amount"]))
        assert action.ratio == (None if "ratio" not in row else exact_ratio(row["ratio"]))
        assert (action.pay_date, action.into) == (row.get("pay_date"), row.get("into"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda row: "-".join(map(str, row.values())))
def test_the_first_row_that_is_wrong_is_named_among_many(fault: dict[str, Any]) -> None:
    """The sentence is that of the row alone, whatever stands around it and after it."""
    with pytest.raises(DataError) as alone:
        read_actions(rows_of([fault]))
    later = {"kind": "nonsense", "symbol": "MSFT"}
    with pytest.raises(DataError) as among:
        read_actions(rows_of([*KINDS, fault, *KINDS, later]))
    assert str(among.value) == str(alone.value)


def test_further_shares_beyond_64_bits_are_refused(prices: pl.DataFrame) -> None:
    huge = rows_of([{"kind": "stock_dividend", "ratio": str(2**63 - 1)}])
    with pytest.raises(DataError, match=r"stock_dividend of IBM on 2012-07-05: ratio 9223372036854775807/1 "):
        table(prices, huge)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"symbol": ["IBM", None]},
            "row 1: the cash_dividend on 2012-07-05 has no symbol, found None; expected a symbol",
        ),
        (
            {"symbol": ["IBM", " "]},
            "row 1: the cash_dividend on 2012-07-05 has no symbol, found ' '; expected a symbol such",
        ),
        (
            {"ex_date": [dt.date(2012, 7, 5), None]},
            "row 1: a cash_dividend of IBM has no ex_date, found None; expected a date such as 2024-03-04",
        ),
        (
            {"ex_date": ["2012-07-05", ""]},
            "row 1: a cash_dividend of IBM has no ex_date, found ''; expected a date such as 2024-03-04",
        ),
        (
            {"ex_date": ["2012-07-05", ""], "kind": ["split", None]},
            "row 1: a corporate action of IBM has no ex_date, found ''",
        ),
        (
            {"pay_date": [None, "soon"]},
            "row 1 (IBM): column pay_date holds something that is no date, found 'soon'; write 2024-03-04",
        ),
        (
            {"pay_date": pl.Series([None, 2**40], dtype=pl.Int64).cast(pl.Datetime("ms")).dt.offset_by("9y")},
            "row 1 (IBM): column pay_date holds 2013-11-03 19:53:47.776000, an instant; a date is wanted",
        ),
    ],
    ids=["null symbol", "blank symbol", "null date", "blank date", "nothing else", "text", "instant"],
)
def test_a_row_that_nothing_else_names_is_named_by_its_number(columns: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"corporate actions: {words}")):
        read_actions(actions(**columns))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"kind": ActionKind.SPLIT, "ratio": Fraction(1, 2**63)},
            "split of IBM on 2012-07-05: ratio Fraction(1,",
        ),
        (
            {"kind": ActionKind.SPLIT, "ratio": 2**63},
            "split of IBM on 2012-07-05: ratio Fraction(9223372036854",
        ),
        (
            {"amount": "1e-19"},
            "cash_dividend of IBM on 2012-07-05: amount 0.0000000000000000001 is not a number",
        ),
        (
            {"amount": "1e16"},
            "cash_dividend of IBM on 2012-07-05: amount 10000000000000000 is not a number up to",
        ),
        (
            {"amount": 1, "pay_date": dt.date(2262, 1, 1)},
            "cash_dividend of IBM: pay_date 2262-01-01 is not from",
        ),
    ],
)
def test_an_object_that_leaves_its_range_is_named_as_a_row_is(columns: dict[str, Any], words: str) -> None:
    given = {"kind": ActionKind.CASH_DIVIDEND} | columns
    action = CorporateAction("IBM", dt.date(2012, 7, 5), **given)
    with pytest.raises(DataError, match=re.escape(f"corporate actions: {words}")):
        read_actions([action])


def test_files_of_actions_need_neither_equal_columns_nor_one_format(
    prices: pl.DataFrame, tmp_path: Path
) -> None:
    splits = actions()[:1].drop("amount")
    paid = actions(ex_date=["2012-07-05", "2012-07-06"], withholding=[None, "0.15"])[1:].drop("ratio")
    splits.write_parquet(tmp_path / "a.parquet")
    paid.write_csv(tmp_path / "b.csv")
    paid.with_columns(pl.col("ex_date").str.to_date(), amount=pl.lit("0.85")).write_parquet(
        tmp_path / "c.parquet"
    )
    expected = read_actions([*read_actions(splits).rows, *read_actions(paid).rows]).table
    for second in ("b.csv", "c.parquet"):
        names = [tmp_path / "a.parquet", tmp_path / second]
        read = read_actions(names)
        assert_frame_equal(read.table, expected)
        assert [file.path for file in read.files] == names
    (tmp_path / "c.parquet").unlink()
    assert_frame_equal(read_actions(tmp_path).table, expected)
    assert table(prices, tmp_path).height == 2


def test_which_of_several_files_is_wrong_is_said(tmp_path: Path) -> None:
    for name, columns in (("a.csv", {}), ("b.csv", {"symbol": ["IBM", None]})):
        actions(**columns).write_csv(tmp_path / name)
    words = f"row 1: the cash_dividend on 2012-07-05 has no symbol, found None; .* \\(in {tmp_path}/b.csv\\)$"
    with pytest.raises(DataError, match=words):
        read_actions([tmp_path / "a.csv", str(tmp_path / "b.csv")])
    (tmp_path / "b.csv").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"b\.csv is a Parquet file") as caught:
        read_actions([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert str(caught.value).count("b.csv") == 1


def test_folders_called_after_symbols_are_one_table(tmp_path: Path) -> None:
    for symbol in ("IBM", "007"):
        (tmp_path / f"symbol={symbol}").mkdir()
        actions()[:1].drop("symbol").write_parquet(tmp_path / f"symbol={symbol}" / "a.parquet")
    assert read_actions(tmp_path).table["symbol"].to_list() == ["007", "IBM"]
