"""What results say of an account in several currencies, and of positions that are not paid for."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, Results, Strategy, run
from ml4t.core.errors import ConfigError, DataError, UnknownNameError

DAYS = [dt.date(2024, 1, day) for day in (2, 3, 4, 5)]
RATES = [1.25, 1.25, 1.0, 2.0]


class Hold(Strategy):
    """Buys once, at the first call."""

    def __init__(self, quantity: int = 10) -> None:
        self.quantity = quantity

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if self.quantity:
            broker.buy("A", self.quantity)
        self.quantity = 0


def bars(*closes: float) -> pl.DataFrame:
    frame = pl.DataFrame({"session": DAYS, "close": [float(close) for close in closes]})
    prices = {name: pl.col("close") for name in ("open", "high", "low")}
    return frame.with_columns(symbol=pl.lit("A"), volume=pl.lit(1e6), **prices)


def rates() -> pl.DataFrame:
    """Return rates of 17:00 UTC of each day, before its close, and one from before the first of them."""
    times = [dt.datetime.combine(day, dt.time(17), dt.UTC) for day in DAYS]
    times = [times[0] - dt.timedelta(days=1), *times]
    return pl.DataFrame({"pair": "EURUSD", "ts_event": times, "rate": [RATES[0], *RATES]})


def result(instrument: Instrument, *closes: float, **parts: Any) -> Results:  # noqa: ANN401
    feed = DataFeed(bars(*closes), stamp="session", instruments=[instrument])
    return run(lambda: Hold(parts.pop("quantity", 10)), feed, **parts)


def test_foreign_cash_is_no_money_that_moved_after_the_last_nav() -> None:
    config = {"backtest": {"base_currency": "EUR"}, "broker": {"initial_balances": {"USD": 500}}}
    found = result(Instrument("A", currency="USD"), 10, 11, 12, 13, config=config, fx=rates())
    assert not [each for each in found.warnings if "after the last NAV" in each]


def test_foreign_cash_that_moved_after_the_last_nav_is_named_by_currency() -> None:
    class Late(Hold):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if timestamp.datetime.date() == DAYS[-1]:
                broker.buy("A", 2)

    config = {
        "backtest": {"base_currency": "EUR"},
        "broker": {"initial_balances": {"USD": 500}, "policies": {"fill_timing": "same_close"}},
    }
    feed = DataFeed(bars(10, 10, 10, 10), stamp="session", instruments=[Instrument("A", currency="USD")])
    warnings = run(Late, feed, config=config, fx=rates()).warnings
    (said,) = [each for each in warnings if "after the last NAV" in each]
    assert said.startswith("Cash moved by -20.00 USD after the last NAV")


@pytest.mark.parametrize("settlement", ["upfront", "daily", "on_close"])
def test_a_position_is_exposed_whether_or_not_it_is_paid_for(settlement: Any) -> None:  # noqa: ANN401
    """10 x 100 of 100,000 at three of four closes."""
    found = result(Instrument("A", settlement=settlement), 100, 100, 100, 100).metrics
    assert (found["exposure"], found["time_in_market"]) == (pytest.approx(0.0075), 0.75)


def test_a_benchmark_of_another_currency_is_converted_at_each_close() -> None:
    """A share of 10 USD that moves not at all: 8.00, 8.00, 10.00 and 5.00 EUR."""
    config = {"backtest": {"base_currency": "EUR"}, "report": {"benchmark": "A"}}
    found = result(Instrument("A", currency="USD"), 10, 10, 10, 10, config=config, fx=rates())
    assert found.benchmark is not None
    assert found.benchmark["return"].to_list() == pytest.approx([0.0, 0.0, 0.25, -0.5])


@pytest.mark.parametrize(
    ("instrument", "price", "said"),
    [
        (
            Instrument("A"),
            10.0,
            "its settlement is 'upfront' \\(equity\\); drop the row, or declare Instrument",
        ),
        (Instrument("A", settlement="daily"), 0.0, "of 0.0, expected a price above zero; drop the row"),
        (Instrument("A", settlement="daily"), -3.0, "of -3.0, expected a price above zero; drop the row"),
    ],
)
def test_a_settlement_price_that_cannot_be_is_named(instrument: Instrument, price: float, said: str) -> None:
    rows = pl.DataFrame({"symbol": ["A"], "ts_event": [rates()["ts_event"][2]], "settlement_price": [price]})
    with pytest.raises(DataError, match=f"A has one at 2024-01-03T17:00:00Z.*{said}"):
        result(instrument, 10, 10, 10, 10, settlements=rows)


def test_a_settlement_price_below_zero_is_one_where_prices_may_be() -> None:
    rows = pl.DataFrame({"symbol": ["A"], "ts_event": [rates()["ts_event"][3]], "settlement_price": [-3.0]})
    instrument = Instrument("A", settlement="daily", allows_negative_prices=True)
    ledger = result(instrument, 10, 10, 10, 10, settlements=rows).ledger
    paid = ledger.filter(pl.col("kind") == "variation_margin")
    assert [float(each) for each in paid["amount"]] == [130.0]


def test_an_unknown_settlement_is_named_where_it_is_declared() -> None:
    with pytest.raises(
        ConfigError, match="expected upfront, daily, on_close or None, found 'dialy'"
    ) as found:
        Instrument("A", settlement="dialy")  # type: ignore[arg-type]
    assert found.value.findings[0].nearest == "daily"


def test_a_currency_that_is_no_text_is_unknown() -> None:
    config = {"backtest": {"base_currency": "EUR"}}
    found = result(Instrument("A", currency="USD"), 10, 10, 10, 10, config=config, fx=rates())
    with pytest.raises(UnknownNameError, match="unknown currency 5; known: EUR, USD"):
        found.returns(currency=5)  # type: ignore[arg-type]
