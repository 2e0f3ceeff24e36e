"""Spin-offs, mergers for shares, changes of a symbol: what is refused, what does not jump, what is seen."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml4t.backtest import Broker, Context, DataFeed, Instrument, PITData, Strategy, Timestamp, datasets, run
from ml4t.backtest.data import adjusted_prices, read_actions
from ml4t.core.errors import DataError
from ml4t.engine.results import Results

DAYS = [dt.date(2024, 3, day) for day in (4, 5, 6, 7, 8)]


def prices(**closes: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "symbol": symbol,
                "session": day,
                **dict.fromkeys(("open", "high", "low", "close"), close),
                "volume": 100.0,
            }
            for symbol, column in closes.items()
            for day, close in zip(DAYS, column, strict=True)
            if close is not None
        ]
    )


def action(kind: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of an action
    return {"symbol": "A", "ex_date": DAYS[2], "kind": kind} | fields


class Hold(Strategy):
    """Buys or sells short at once, and writes down what it sees adjusted."""

    def __init__(self, quantity: int = 100) -> None:
        self.quantity = quantity
        self.seen: list[list[float]] = []

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        if not self.seen:
            (broker.buy if self.quantity > 0 else broker.sell)("A", abs(self.quantity))
        self.seen.append(data.history("close", 5, "A").tolist())


def hold(frame: pl.DataFrame, actions: list[dict[str, Any]], quantity: int = 100, **options: Any) -> Results:  # noqa: ANN401
    columns = ("symbol", "ex_date", "kind", "ratio", "amount", "into", "withholding")
    table = pl.DataFrame([{name: each.get(name) for name in columns} for each in actions])
    return run(
        Hold,
        DataFeed(frame, stamp="session", actions=table, **options),
        params={"quantity": quantity},
        config={"broker": {"initial_cash": 10**6, "allows_short": True, "leverage": 2}},
    )


PAIR = prices(A=[60, 60, 54, 54, 54], B=[20, 20, 20, 20, 20])
ENDED = PAIR.filter((pl.col("symbol") != "A") | (pl.col("session") < DAYS[2]))


@pytest.mark.parametrize(
    ("frame", "rows", "words"),
    [
        (
            PAIR,
            [action("spin_off", ratio="1/4", into="B")],
            "takes a ratio and an amount above zero, another",
        ),
        (PAIR, [action("spin_off", ratio="1/4", amount="6", into="A")], "another symbol as into"),
        (
            PAIR,
            [action("spin_off", ratio="0", amount="6", into="B")],
            "ratio '0' is not a fraction above zero",
        ),
        (PAIR, [action("split", ratio="2", into="B")], "it takes a ratio above zero and nothing else"),
        (
            ENDED,
            [action("symbol_change", into="B", ratio="2")],
            "it takes another symbol as into and nothing",
        ),
        (ENDED, [action("stock_merger", ratio="1", into="C")], "'C' is no instrument of the run"),
        (
            PAIR,
            [action("stock_merger", ratio="1", into="B")],
            "A ends at 2024-03-06T05:00:00Z, and has a row",
        ),
        (PAIR, [action("spin_off", ratio="1/4", amount="60", into="B")], "60 is not below the last price 60"),
        (
            PAIR,
            [action("spin_off", ratio="1/4", amount="6", into="B")] * 2,
            "into B is there twice; keep one",
        ),
        (
            PAIR,
            [action("spin_off", ratio="1/4", amount="6", into="B"), action("split", symbol="B", ratio="2")],
            "A gives shares of B (spin_off), which has an action of its own then (split)",
        ),
        (
            ENDED,
            [action("stock_merger", ratio="1", into="B"), action("cash_merger", amount="1")],
            "A ends twice on 2024-03-06",
        ),
        (PAIR, [action("cash_dividend", amount="1", withholding="1.5")], "a fraction from 0 to 1, found 1.5"),
        (PAIR, [action("split", ratio="2", withholding="0.1")], "only cash dividends have a withholding"),
    ],
)
def test_what_cannot_be_given_is_refused_with_instrument_and_date(
    frame: pl.DataFrame, rows: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(DataError) as caught:
        hold(frame, rows)
    assert words in str(caught.value)
    assert "2024-03-06" in str(caught.value)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Instrument("B", currency="EUR"), "A is in USD and B in EUR"),
        (Instrument("B", settlement="daily"), "the settlement of B is 'daily'"),
    ],
)
def test_only_what_is_paid_for_in_one_currency_is_exchanged(other: Instrument, words: str) -> None:
    merger = action("stock_merger", ratio="1", into="B")
    with pytest.raises(DataError, match=words):
        hold(ENDED, [merger], instruments=[Instrument("A"), other])


@settings(max_examples=40, deadline=None)
@given(
    quantity=st.integers(-300, 300).filter(bool),
    parts=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    amount=st.integers(1, 5900),
    kind=st.sampled_from(["spin_off", "stock_merger", "symbol_change"]),
)
def test_equity_does_not_jump_when_shares_of_another_instrument_come(
    quantity: int, parts: tuple[int, int], amount: int, kind: str
) -> None:
    row = action(kind, into="B")
    if kind != "symbol_change":
        row["ratio"] = f"{parts[0]}/{parts[1]}"
    if kind == "spin_off":
        row["amount"] = str(Decimal(amount) / 100)
    frame = prices(
        A=[60, 60, None, None, None], B=[3, None, None, None, 7], CLK=[1, 1, 1, 1, 1]
    )  # B is another's on Monday, and does not trade again before Friday
    found = hold(frame, [row], quantity)
    worth = found.portfolio_history.filter(pl.col("session") < DAYS[4])["equity"].to_list()
    # The price of the new shares is rounded to 9 decimals, and a fraction of them to the posting quantum.
    assert np.ptp(worth) < 1e-5
    parts_of = found.attribution.filter(pl.col("session").is_between(DAYS[1], DAYS[3]))
    assert abs(float(parts_of["total"].sum())) < 1e-5
    assert found.ledger.filter(pl.col("kind") == "transfer").height >= 2


class Adjusted(Strategy):
    """Writes down the adjusted closes and volumes that it sees each day."""

    def __init__(self) -> None:
        self.seen: dict[dt.date, tuple[list[float], list[float], list[float]]] = {}

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        ways = [data.history("close", 5, "A", adjust=how).tolist() for how in ("split", "total_return")]
        volumes = data.history("volume", 5, ["A"], adjust="split")[:, 0].tolist()
        self.seen[timestamp.datetime.date()] = (*ways, volumes)


@pytest.mark.parametrize("engine", ["rust", "reference"])
def test_adjusted_history_counts_what_has_happened_and_nothing_to_come(engine: str) -> None:
    # The published rows of a split of 2 for 1 and a dividend of 0.08 after a close of 24.95.
    frame = prices(A=[46.99, 48.30, 24.96, 24.95, 24.53])
    table = pl.DataFrame(
        {
            "symbol": ["A", "A"],
            "ex_date": [DAYS[2], DAYS[4]],
            "kind": ["split", "cash_dividend"],
            "ratio": ["2", None],
            "amount": [None, "0.08"],
        }
    )
    strategy = Adjusted()
    run(
        lambda: strategy,
        DataFeed(frame, stamp="session", actions=table),
        config={"backtest": {"engine": engine}},
    )
    split, total, volumes = strategy.seen[DAYS[1]]
    assert split[3:] == total[3:] == [46.99, 48.30]
    assert volumes[3:] == [100, 100]
    split, total, volumes = strategy.seen[DAYS[3]]
    assert split[1:] == total[1:] == pytest.approx([23.495, 24.15, 24.96, 24.95])
    split, total, volumes = strategy.seen[DAYS[4]]
    assert split == pytest.approx([23.495, 24.15, 24.96, 24.95, 24.53])
    factor = 1 - 0.08 / 24.95
    assert total == pytest.approx([23.495 * factor, 24.15 * factor, 24.96 * factor, 24.95 * factor, 24.53])
    assert total[:3] == pytest.approx([23.42, 24.07, 24.88], abs=0.005)
    assert volumes == [200, 200, 100, 100, 100]


def test_history_is_adjusted_for_what_it_knows() -> None:
    class Wrong(Strategy):
        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            data.history("close", 2, "A", adjust="dividends")  # type: ignore[call-overload]

    with pytest.raises(DataError, match="adjust takes split or total_return, found 'dividends'"):
        run(Wrong, DataFeed(PAIR, stamp="session"))


@pytest.mark.parametrize("engine", ["rust", "reference"])
@pytest.mark.parametrize("how", ["split", "total_return"])
def test_a_view_shows_what_adjusted_prices_gives_as_of_that_day(engine: str, how: Any) -> None:  # noqa: ANN401
    start, middle, end = dt.date(2004, 6, 1), dt.date(2004, 11, 30), dt.date(2005, 4, 29)
    own = pl.col("symbol").is_in(["AAPL", "MSFT"])
    frame = datasets.us_equity_daily().filter(pl.col("session").is_between(start, end), own)
    actions = datasets.us_equity_actions().filter(own)
    seen: dict[dt.date, dict[str, np.ndarray[Any, Any]]] = {}

    class Look(Strategy):
        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            if timestamp.datetime.date() in (middle, end):
                found = data.history(["close", "volume"], 100, adjust=how)
                seen[timestamp.datetime.date()] = {name: found[name].copy() for name in found}

    feed = DataFeed(frame, stamp="session", actions=actions)
    run(Look, feed, config={"backtest": {"engine": engine}})
    for day, found in seen.items():
        expected = adjusted_prices(frame, actions, how=how, as_of=day)
        for number, symbol in enumerate(["AAPL", "MSFT"]):
            last = expected.filter(pl.col("symbol") == symbol).sort("session").tail(100)
            for name in ("close", "volume"):
                np.testing.assert_allclose(found[name][:, number], last[name], rtol=1e-12)
    assert (
        len(seen) == 2
    )  # a special dividend of MSFT lies between them and before, a split of AAPL before the end


def test_kinds_and_cells_of_tables_are_taken_as_people_write_them() -> None:
    frame = pl.DataFrame(
        {
            "symbol": ["A", "A"],
            "ex_date": ["2024-03-06", "2024-03-07"],
            "kind": [" Spin-Off", "cash dividend"],
            "ratio": ["1/4", ""],
            "amount": ["6", "0.5"],
            "into": [" B ", ""],
            "pay_date": ["", "2024-03-08"],
        }
    )
    first, second = read_actions(frame).rows
    assert (first.kind.value, first.into, first.pay_date) == ("spin_off", "B", None)
    assert (second.kind.value, second.ratio, second.pay_date) == ("cash_dividend", None, DAYS[4])
    with pytest.raises(
        DataError, match="cash_dividend of A on 2024-03-06: withholding: expected a finite number"
    ):
        read_actions(pl.DataFrame([action("cash_dividend", amount="1", withholding="30%")]))
