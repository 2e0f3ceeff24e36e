"""Borrow fees, funding and interest in whole runs of both engines, against ledgers computed by hand.

0.36 a year is 0.001 a day, so 100 shares at 50 cost 5.00. Orders are sent at the n-th close and fill at the
next open. New York closes at 21:00 UTC, from 11 March on at 20:00.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, Results
from ml4t.core.errors import ConfigError, DataError, ModelError
from ml4t.funding import BorrowFee, IbkrBorrow

DAYS = [dt.date(2024, 3, day) for day in (4, 5, 6, 7, 8, 11, 12, 13, 14, 15)]
PER_DAY = {"borrow_model": {"type": "BorrowFee", "rate": 0.36}}
BY_DATA = {"borrow_model": {"type": "BorrowFee"}}
FUNDED = {"funding_model": {"type": "PerpetualFunding"}}
CREDIT = {"interest_model": {"type": "CashInterest", "credit": 0.036, "debit": 0.072}}
SHORT, LONG = {0: [("A", -100)]}, {0: [("A", 100)]}  # held from the open of 5 March on

Trade = Callable[..., Results]
Row = tuple[Any, ...]


def bars(prices: Mapping[str, Sequence[Any]], days: Sequence[dt.date] = DAYS, **options: Any) -> DataFeed:  # noqa: ANN401
    """Daily bars of New York: a price that stays, (open, high, low, close), or None for no bar."""
    rows = [
        (symbol, day, *map(float, price if isinstance(price, tuple) else (price,) * 4), 1e6)
        for symbol, series in prices.items()
        for day, price in zip(days, series, strict=False)
        if price is not None
    ]
    names = ["symbol", "session", "open", "high", "low", "close", "volume"]
    return DataFeed(pl.DataFrame(rows, schema=names, orient="row"), stamp="session", **options)


def at(text: str) -> Any:  # noqa: ANN401 - a date where there is no hour
    moment = dt.datetime.fromisoformat(f"2024-{text}").replace(tzinfo=dt.UTC)
    return moment if "T" in text else moment.date()


def borrowing(*rows: Row, symbol: str = "A") -> pl.DataFrame:
    columns = {"symbol": [symbol] * len(rows), "ts_event": [at(row[0]) for row in rows]}
    return pl.DataFrame(columns | {"borrow_rate": pl.Series([row[1] for row in rows], dtype=pl.Float64)})


def funding(*rows: Row, symbol: str = "A") -> pl.DataFrame:
    """Rows of time, rate and perhaps mark price."""
    full = [(symbol, at(row[0]), *(*row[1:], None)[:2]) for row in rows]
    zone = pl.Datetime("us", "UTC")
    schema = {"symbol": pl.String, "ts_event": zone, "funding_rate": pl.Float64, "mark_price": pl.Float64}
    return pl.DataFrame(full, schema=schema, orient="row")


@pytest.fixture(params=["rust", "reference"])
def trade(play: Callable[..., Any], request: pytest.FixtureRequest) -> Trade:
    """Return a function that sends orders, (symbol, quantity) or terms, by the number of the close."""

    def step(orders: Sequence[Any]) -> Callable[[Any], object]:
        def send(now: Any) -> None:  # noqa: ANN401
            for order in orders:
                if isinstance(order, dict):
                    now.broker.submit_order(order_type="limit", **order)
                else:
                    now.broker.submit_order(*order)

        return send

    def go(orders: Mapping[int, Sequence[Any]], feed: DataFeed | None = None, **parts: Any) -> Results:  # noqa: ANN401
        broker = {"allows_short": True, "initial_cash": 10_000} | parts.pop("broker", {})
        backtest = {"engine": request.param} | parts.pop("backtest", {})
        steps = {number: step(sent) for number, sent in orders.items()}
        feed = bars({"A": [50] * 10}) if feed is None else feed
        played = play(steps, feed, broker=broker, backtest=backtest, **parts)
        played.results.calls = played.script.times
        results: Results = played.results
        return results

    return go


def signed(row: Mapping[str, Any]) -> Decimal:
    """Cost that a posting is: above zero where its account was debited."""
    return row["amount"] if row["debit"] == row["kind"] else -row["amount"]


def costs(results: Results, kind: str) -> list[tuple[str, float]]:
    """Time and cost of the postings of a kind, each against cash."""
    rows = results.ledger.filter(pl.col("kind") == kind).rows(named=True)
    assert all({row["debit"], row["credit"]} == {kind, "cash"} and row["amount"] > 0 for row in rows)
    assert all((row["symbol"] is None) == (kind == "interest") for row in rows)
    return [(f"{row['ts_event']:%m-%dT%H:%M}", float(signed(row))) for row in rows]


# -- borrow: what was short at a close pays at the next ----------------------------------------------------

COVER = {"asset": "A", "quantity": 9, "limit_price": 48}
NIGHTS = [("03-06T21:00", 5.0), ("03-07T21:00", 5.0), ("03-08T21:00", 5.0)]


@pytest.mark.parametrize(
    ("orders", "prices", "expected"),
    [
        # Friday to Monday are three days, and the settlement price is that of Friday.
        (SHORT, [50, 50, 50, 50, 49, 60], [*NIGHTS, ("03-11T20:00", 14.7)]),
        # Covered at the open of the 6th, before its close: short over one night.
        (SHORT | {1: [("A", 100)]}, [50] * 6, NIGHTS[:1]),
        # At that open 40 are bought back, 20 more are sold.
        (SHORT | {1: [("A", 40)]}, [50] * 4, [NIGHTS[0], ("03-07T21:00", 3.0)]),
        (SHORT | {1: [("A", -20)]}, [50] * 4, [NIGHTS[0], ("03-07T21:00", 6.0)]),
        # Turned from short to long at the open of the 7th, and back at that of the 8th.
        (SHORT | {2: [("A", 200)], 3: [("A", -110)]}, [50] * 6, [*NIGHTS[:2], ("03-11T20:00", 1.5)]),
        # A long position never pays.
        (LONG | {4: [("A", -100)]}, [50] * 10, []),
        # Sold at the open of the 5th, covered in the same bar: short at no close.
        ({0: [("A", -9), COVER]}, [50, (50, 50, 47, 50), 50, 50], []),
        # Data that end leave the last price, until the run ends.
        (SHORT, [50, 50, 40, None, None], [NIGHTS[0], ("03-07T21:00", 4.0), ("03-08T21:00", 4.0)]),
    ],
)  # fmt: skip
def test_a_short_position_pays_from_close_to_close(
    trade: Trade, orders: Any, prices: Sequence[Any], expected: list[tuple[str, float]]  # noqa: ANN401
) -> None:  # fmt: skip
    results = trade(orders, bars({"A": prices, "B": [1] * len(prices)}), broker=PER_DAY)
    assert results.orders["status"].unique().to_list() == ["filled"]
    assert costs(results, "borrow") == expected


def test_a_holiday_makes_a_long_weekend(trade: Trade) -> None:
    # 29 March is Good Friday: from Thursday to Monday are four days.
    days = [*(dt.date(2024, 3, day) for day in (26, 27, 28)), dt.date(2024, 4, 1)]
    results = trade(SHORT, bars({"A": [50] * 4}, days), broker=PER_DAY)
    assert costs(results, "borrow") == [("03-28T20:00", 5.0), ("04-01T20:00", 20.0)]


def test_a_split_between_two_closes_changes_nothing_of_what_was_noted(trade: Trade) -> None:
    split = pl.DataFrame({"symbol": ["A"], "ex_date": [DAYS[3]], "kind": ["split"], "ratio": ["4"]})
    results = trade(SHORT, bars({"A": [50, 50, 50, 12, 13]}), broker=PER_DAY, actions=split)
    # The 7th charges 100 x 50, the 8th 400 x 12.
    assert costs(results, "borrow") == [*NIGHTS[:2], ("03-08T21:00", 4.8)]


def test_a_dividend_on_a_short_is_paid_beside_the_borrow_fee(trade: Trade) -> None:
    terms = {"kind": ["cash_dividend"], "amount": ["0.5"], "ex_date": [DAYS[3]], "pay_date": [DAYS[4]]}
    actions = pl.DataFrame({"symbol": ["A"]} | terms)
    results = trade(SHORT, bars({"A": [50, 50, 50, 49, 49]}), broker=PER_DAY, actions=actions)
    rows = results.ledger.select(pl.col("ts_event").dt.strftime("%dT%H"), "debit", "credit", "amount").rows()
    assert rows[2:] == [
        ("06T21", "borrow", "cash", 5),
        ("07T05", "dividends", "receivable", 50),
        ("07T21", "borrow", "cash", 5),
        ("08T05", "receivable", "cash", 50),
        ("08T21", "borrow", "cash", Decimal("4.9")),
    ]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        # What is in force at a close counts until the next, whatever comes before that.
        ([("02-01T00:00", 0.36), ("03-06T21:00", 0.72)], [5.0, 10.0, 10.0]),
        ([("02-01T00:00", 0.36), ("03-06T21:00:00.000001", 0.72)], [5.0, 5.0, 10.0]),
        ([("03-01T00:00", 0.36), ("03-07T10:00", None), ("03-07T11:00", 0.72)], [5.0, 5.0, 10.0]),
        ([("03-05", 0.36), ("03-07", -0.72)], [5.0, 5.0, -10.0]),
        ([("03-05", 0.0), ("03-09", 0.36)], []),
    ],
)
def test_the_rate_in_force_at_the_close_before_counts(
    trade: Trade, rates: list[Row], expected: list[float]
) -> None:
    borrow = pl.concat([borrowing(*rates), borrowing(*rates, symbol="B").with_columns(borrow_rate=9.0)])
    results = trade(SHORT, bars({"A": [50] * 5, "B": [1] * 5}), broker=BY_DATA, borrow=borrow)
    assert [cost for _, cost in costs(results, "borrow")] == expected


@pytest.mark.parametrize("day", ["03-07", "03-12"])
def test_a_date_begins_at_midnight_of_the_exchange(trade: Trade, day: str) -> None:
    # The NAV is taken at midnight UTC, five hours (in summer four) before that of New York.
    rates = borrowing(("03-01", 0.36), (day, 0.72))
    results = trade(SHORT, broker=BY_DATA, borrow=rates, backtest={"nav_calendar": "24/7"})
    paid = {dt.datetime.fromisoformat(f"2024-{when}").date(): cost for when, cost in costs(results, "borrow")}
    assert [paid[at(day) + dt.timedelta(n)] for n in (0, 1, 2)] == [5.0, 5.0, 10.0]


@pytest.mark.parametrize("order", [1, -1])
def test_dates_of_one_table_and_instants_of_another_go_together(trade: Trade, order: int) -> None:
    tables = [borrowing(("03-01T00:00", 0.36)), borrowing(("03-07", 0.72))]
    results = trade(SHORT, bars({"A": [50] * 5}), broker=BY_DATA, borrow=tables[::order])
    assert [cost for _, cost in costs(results, "borrow")] == [5.0, 5.0, 10.0]


@pytest.mark.parametrize("rates", [[], [("03-05T21:00:01", 0.36)], [("03-01", 0.36), ("03-05", None)]])
@pytest.mark.parametrize("model", [BorrowFee(), IbkrBorrow()], ids=repr)
def test_a_rate_that_is_not_known_stops_the_run(trade: Trade, rates: list[Row], model: object) -> None:
    with pytest.raises(ModelError, match="none was in force at the close before") as raised:
        trade(SHORT, models={"borrow": model}, borrow=borrowing(*rates) if rates else None)
    assert all(part in str(raised.value) for part in (type(model).__name__, " A,", "2024-03-06T21:00:00Z"))


# -- funding -----------------------------------------------------------------------------------------------

RISING = {"A": [(50, 59, 49, 55), (60, 69, 58, 65), (70, 79, 69, 75), (80, 89, 79, 85)]}


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("row", "cost"),
    [
        (("03-06T16:00", 0.001, 40.0), 4.0),  # on the mark of the row
        (("03-06T16:00", -0.002, 40.0), -8.0),
        (("03-06T14:30", 0.001), 6.5),  # on its own: what opens now comes later
        (("03-06T16:00", 0.001), 7.0),  # the open of the bar that has begun
        (("03-06T21:00", 0.001), 7.5),  # rows that are complete now are counted
        (("03-07T21:00", 0.001), 8.5),  # the last instant of the run
        (("03-06T16:00", 0.0), None),
        (("03-04T20:00", 0.001), None),  # not held yet
        (("03-05T14:30", 0.001), None),  # bought at this very open, which comes after
        (("03-05T14:30:00.000001", 0.001), 6.0),
    ],
)
def test_funding_is_paid_at_its_time_on_the_mark(
    trade: Trade, row: Row, cost: float | None, sign: int
) -> None:
    results = trade({0: [("A", sign * 100)]}, bars(RISING), broker=FUNDED, funding=funding(row))
    assert costs(results, "funding") == ([] if cost is None else [(row[0][:11], sign * cost)])
    assert not [note for note in results.warnings if "rates" in note]


@pytest.mark.parametrize(
    ("short", "quantity", "cost"),
    [
        (0.004, 100, 5.0),  # 100 x 50 x 0.1 %
        (0.004, -100, -20.0),  # shorts get what is above zero
        (-0.004, -100, 20.0),
        (0.0, -100, None),
        (None, -100, -5.0),  # the rate of longs
    ],
)
def test_shorts_may_have_a_rate_of_their_own(
    trade: Trade, short: float | None, quantity: int, cost: float | None
) -> None:
    own = pl.lit(short, dtype=pl.Float64)
    rates = funding(("03-06T16:00", 0.001)).with_columns(funding_rate_short=own)
    results = trade({0: [("A", quantity)]}, broker=FUNDED, funding=rates)
    assert costs(results, "funding") == ([] if cost is None else [("03-06T16:00", cost)])


def test_orders_that_fill_at_completed_rows_come_before_funding_and_opens_after(trade: Trade) -> None:
    buy = {"asset": "A", "quantity": 100, "limit_price": 45}
    sell = {"asset": "A", "quantity": -100, "limit_price": 55}
    feed = bars({"A": [50, (50, 50, 44, 50), (50, 56, 50, 50), 50, 50, 50]})
    hours = ["05T21:00", "06T20:00", "06T21:00", "07T20:00", "08T14:30", "11T13:30"]
    rates = funding(*[(f"03-{hour}", 0.001) for hour in hours])
    orders = {0: [buy], 1: [sell], 3: [("A", 10)], 4: [("A", -10)]}
    results = trade(orders, feed, broker=FUNDED, funding=rates)
    assert [f"{ts:%dT%H}" for ts in results.fills["ts_event"]] == ["05T21", "06T21", "08T14", "11T13"]
    assert costs(results, "funding") == [("03-05T21:00", 5.0), ("03-06T20:00", 5.0), ("03-11T13:30", 0.5)]


def test_nobody_pays_when_flat_and_no_callback_is_caused(trade: Trade) -> None:
    rates = funding(*[(f"03-{day:02}T{hour:02}:00", 0.01) for day in (5, 6, 7) for hour in (0, 8, 16)])
    flat = trade({}, broker=FUNDED, funding=rates)
    assert (costs(flat, "funding"), flat.calls) == ([], trade({}).calls)
    bought = trade(LONG | {1: [("A", -100)]}, broker=FUNDED, funding=rates)
    assert [when for when, _ in costs(bought, "funding")] == ["03-05T16:00", "03-06T00:00", "03-06T08:00"]


def test_rows_outside_the_span_are_left_out_with_a_note(trade: Trade) -> None:
    rates = funding(
        *[(when, 0.001) for when in ("02-04T16:00", "03-06T16:00", "03-15T20:00:01", "04-04T16:00")]
    )
    results = trade(LONG, broker=FUNDED, funding=rates)
    assert costs(results, "funding") == [("03-06T16:00", 5.0)]
    assert [note for note in results.warnings if note.startswith("funding rates: 3 rows lie outside")]


@pytest.mark.parametrize("day", ["03-06", "03-12"])
def test_funding_outside_the_data_of_its_instrument_is_refused(trade: Trade, day: str) -> None:
    rates, feed = funding((f"{day}T16:00", 0.001), symbol="B"), {"A": [50] * 10, "B": [None] * 3 + [20] * 3}
    with pytest.raises(DataError, match=rf"funding rates: B .*2024-{day}T16:00:00Z"):
        trade({}, bars(feed), broker=FUNDED, funding=rates)


def test_funding_of_an_instrument_without_a_row_in_the_period_is_refused(trade: Trade) -> None:
    parts = {"instruments": [Instrument("B")], "backtest": {"start_date": "2024-03-07"}, "broker": FUNDED}
    with pytest.raises(DataError, match=r"funding rates: B .*2024-03-08T16:00:00Z"):
        trade(
            {}, bars({"A": [50] * 9, "B": [20]}), funding=funding(("03-08T16:00", 1.0), symbol="B"), **parts
        )


def test_funding_rates_need_a_model(trade: Trade) -> None:
    with pytest.raises(ConfigError, match=r"broker\.funding_model: .*PerpetualFunding"):
        trade({}, funding=funding(("03-06T16:00", 0.001)))


WHEN = "03-06T16:00"


@pytest.mark.parametrize(
    ("kind", "table", "says"),
    [
        *[("funding", funding((WHEN, bad)), f"funding_rate is {bad}") for bad in (math.inf, -math.inf)],
        ("funding", funding((WHEN, math.nan)), "funding_rate is absent"),
        *[("funding", funding((WHEN, 0.1, bad)), f"mark_price is {bad}") for bad in (0.0, -1.0, math.inf)],
        ("funding", funding((WHEN, None)), "funding_rate is"),
        ("funding", funding((WHEN, 0.1), (WHEN, 0.2)), "two rows"),
        ("funding", funding((WHEN, 0.1)).with_columns(funding_rate_short=math.inf), "funding_rate_short is"),
        *[("borrow", borrowing((WHEN, bad)), f"borrow_rate is {bad}") for bad in (math.inf, -math.inf)],
        ("borrow", borrowing((WHEN, 0.1)).with_columns(available=-1.0), "available is -1.0"),
        ("borrow", borrowing((WHEN, 0.1), (WHEN, 0.1)), "two rows"),
        ("borrow", [borrowing(("03-06", 0.1)), borrowing(("03-06T05:00", 0.1))], "two rows"),
    ],
)
def test_a_row_that_cannot_be_is_refused_with_symbol_and_time(
    trade: Trade, kind: str, table: object, says: str
) -> None:
    with pytest.raises(DataError, match=f"{kind} rates: A .*{says}|{says} .*A") as raised:
        trade({}, broker=FUNDED | BY_DATA, **{kind: table})
    assert "2024-03-06" in str(raised.value)


# -- interest, and all together ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("orders", "prices", "expected"),
    [
        # 10,000 at 3.6 % earn 1 a day, three over the weekend.
        ({}, [50] * 6, [-1.0, -1.0, -1.0, -1.0, -3.0]),
        # 300 shares at 50 leave a debt of 4,999 from the close of the 5th on: 0.9998 a day at 7.2 %.
        ({0: [("A", 300)]}, [50] * 6, [-1.0, 1.0, 1.0, 1.0, 3.0]),
        # Proceeds are kept apart: 15,001 less 100 x 50, then (at 40) less 4,000.
        (SHORT, [50, 50, 50, 40, 40, 40], [-1.0, -1.0, -1.0, -1.1, -3.3]),
    ],
)
def test_cash_earns_and_debt_costs(
    trade: Trade, orders: Any, prices: list[float], expected: list[float]  # noqa: ANN401
) -> None:  # fmt: skip
    broker = CREDIT | {"posting_quantum": "0.01", "leverage": 2}
    results = trade(orders, bars({"A": prices}), broker=broker)
    assert [cost for _, cost in costs(results, "interest")] == expected


def test_the_first_close_and_a_session_that_does_not_end_charge_nothing(trade: Trade, minutes: Any) -> None:  # noqa: ANN401
    feed = minutes(["2024-03-05", "2024-03-06", "2024-03-07"])
    results = trade({0: [("A", -100)]}, feed, broker=PER_DAY | CREDIT)
    assert results.portfolio_history["session"].drop_nulls().max() == dt.date(2024, 3, 7)
    assert costs(results, "borrow") == [("03-06T21:00", 1.0)]
    assert costs(results, "interest") == [("03-06T21:00", -1.0)]


def test_postings_of_an_instant_have_their_sequence(trade: Trade, daily: Any) -> None:  # noqa: ANN401
    # On a market that never closes the pay date begins when a session ends. The table names B first.
    terms = {"kind": ["cash_dividend"], "amount": ["1"], "ex_date": [dt.date(2024, 1, 3)]}
    actions = pl.DataFrame({"symbol": ["A"], "pay_date": [dt.date(2024, 1, 4)]} | terms)
    rates = pl.concat(funding(("01-04T00:00", 0.01), symbol=symbol) for symbol in "BA")
    feed = daily({"A": [10] * 4, "B": [10] * 4})
    parts = {"broker": PER_DAY | FUNDED | CREDIT, "actions": actions, "funding": rates}
    results = trade({0: [("B", -10), ("A", -10)]}, feed, **parts)
    kinds = results.ledger.filter(pl.col("ts_event") == at("01-04T00:00")).select("kind", "symbol").rows()
    assert kinds == [
        ("dividend_payment", "A"),
        ("funding", "A"),
        ("funding", "B"),
        ("interest", None),
        ("borrow", "A"),
        ("borrow", "B"),
    ]
