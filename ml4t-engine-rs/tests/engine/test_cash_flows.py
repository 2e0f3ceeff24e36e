"""What is paid in and taken out while a run goes on, and what it does to returns."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Results, Strategy, run
from ml4t.core.errors import ConfigError, DataError

DAYS = [dt.date(2024, 3, 4), dt.date(2024, 3, 5), dt.date(2024, 3, 6), dt.date(2024, 3, 7)]
CLOSES = [100.0, 110.0, 121.0, 96.8]


class BuyOnce(Strategy):
    """Buys 100 at the first close."""

    def on_start(self) -> None:
        self.is_sent = False

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if not self.is_sent:
            broker.buy("XYZ", 100)
            self.is_sent = True


def at(day: int, hour: int) -> dt.datetime:
    return dt.datetime(2024, 3, day, hour, tzinfo=dt.UTC)


def flows(*rows: tuple[dt.datetime, object], currency: str | None = None) -> pl.DataFrame:
    frame = pl.DataFrame({"ts_event": [ts for ts, _ in rows], "amount": [str(amount) for _, amount in rows]})
    return frame if currency is None else frame.with_columns(currency=pl.lit(currency))


def play(cash_flows: object = None, **options: Any) -> Results:  # noqa: ANN401
    prices = dict.fromkeys(("high", "low", "close"), CLOSES)
    opens = {"open": [100.0, *CLOSES[:-1]]}
    highs = {"high": [max(pair) for pair in zip(opens["open"], CLOSES, strict=True)]}
    lows = {"low": [min(pair) for pair in zip(opens["open"], CLOSES, strict=True)]}
    rows = {"symbol": ["XYZ"] * 4, "session": DAYS, "volume": [1e6] * 4} | prices | opens | highs | lows
    broker = {"initial_cash": 10_000} | options.pop("broker", {})
    config = {"broker": broker, **options.pop("config", {})}
    return run(
        BuyOnce,
        DataFeed(pl.DataFrame(rows), stamp="session"),
        config=config,
        cash_flows=cash_flows,
        **options,
    )


def test_returns_are_those_of_the_time_between_payments() -> None:
    results = play(flows((at(5, 22), 9_000), (at(6, 12), -1_000)))
    # 11,000 after the first day, 20,000 with what is paid in, 19,000 without what is taken out.
    assert results.returns()["return"].to_list() == pytest.approx(
        [0.0, 0.1, 20_100 / 19_000 - 1, 17_680 / 20_100 - 1]
    )
    assert results.metrics["total_return"] == pytest.approx(1.1 * 20_100 / 19_000 * 17_680 / 20_100 - 1)
    assert results.initial_capital == 10_000
    assert results.drawdowns()["drawdown"][-1] == pytest.approx(17_680 / 20_100 - 1)
    assert results.nav["nav"][-1] == 17_680


def test_a_payment_that_doubles_the_account_is_no_return() -> None:
    class Idle(Strategy):
        pass

    paid = play(flows((at(5, 22), 10_000)))
    bars = pl.DataFrame({"symbol": ["XYZ"] * 4, "session": DAYS, "volume": [1e6] * 4}).with_columns(
        pl.lit(100.0).alias(name) for name in ("open", "high", "low", "close")
    )
    idle = run(Idle, DataFeed(bars, stamp="session"), cash_flows=flows((at(5, 22), 100_000)))
    assert idle.returns()["return"].to_list() == [0.0] * 4
    assert idle.portfolio_history["equity"].to_list() == [100_000, 100_000, 200_000, 200_000]
    assert paid.cash_flows.select("amount", "value", "equity").row(0) == (10_000, 10_000, 11_000)


def test_the_money_weighted_return_is_the_rate_of_all_payments() -> None:
    results = play(flows((at(5, 22), 9_000), (at(6, 12), -1_000)))
    rate = results.metrics["money_weighted_return"]
    start = results.ledger["ts_event"].min()
    end, left = results.nav.select("ts_event", "nav").row(-1)
    year = dt.timedelta(days=365)
    assert isinstance(start, dt.datetime)
    grown = 10_000 * (1 + rate) ** ((end - start) / year)
    for ts, value in results.cash_flows.select("ts_event", "value").iter_rows():
        grown += float(value) * (1 + rate) ** ((end - ts) / year)
    assert grown == pytest.approx(left, rel=1e-9)
    assert "money_weighted_return" not in play().metrics


def test_a_run_without_payments_is_as_it_was() -> None:
    with_none, without = play(flows((at(1, 12), 5)), broker={}), play()
    assert with_none.cash_flows.is_empty()
    assert "cash flows: 1 row lies outside the span of the market data" in with_none.warnings
    assert with_none.portfolio_history.equals(without.portfolio_history)


def test_a_payment_of_another_currency_counts_at_its_rate() -> None:
    rates = pl.DataFrame({"pair": ["EURUSD"] * 2, "ts_event": [at(4, 12), at(5, 23)], "rate": [1.2, 1.5]})
    results = play(flows((at(5, 22), 1_000), currency="EUR"), fx=rates)
    assert results.cash_flows.select("currency", "amount", "value").row(0) == ("EUR", 1_000, 1_200)
    parts = results.attribution.filter(pl.col("symbol").is_null(), pl.col("session") == DAYS[2]).row(
        0, named=True
    )
    assert (parts["external"], parts["fx"]) == (1_200, 300)
    # The rate has moved since: that is a return, of the money that was paid in.
    assert results.returns()["return"][2] == pytest.approx((12_100 + 1_500) / (11_000 + 1_200) - 1)


def test_a_file_of_payments_is_read(tmp_path: Any) -> None:  # noqa: ANN401
    flows((at(5, 22), "9000.50")).write_csv(tmp_path / "flows.csv")
    results = play(tmp_path / "flows.csv")
    assert str(results.cash_flows["amount"][0]) == "9000.500000000000000000"


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([(at(5, 22), 0)], r"the amount at 2024-03-05T22:00:00Z is '0', expected a number other than zero"),
        ([(at(5, 22), "nan")], r"is 'nan', expected a number"),
        ([(at(5, 22), "1e-19")], r"at most 18 decimals"),
        ([(at(5, 22), "much")], r"is 'much', expected a number"),
        ([(at(5, 22), -50_000)], r"50000 USD are to be taken out at 2024-03-05T22:00:00Z, the account has 0"),
    ],
)
def test_a_payment_that_cannot_be_is_refused(rows: list[tuple[dt.datetime, object]], wanted: str) -> None:
    with pytest.raises(DataError, match=wanted):
        play(flows(*rows))


def test_what_is_no_table_of_payments_is_refused() -> None:
    with pytest.raises(DataError, match="column amount is absent"):
        play(pl.DataFrame({"ts_event": [at(5, 22)], "sum": [5]}))
    with pytest.raises(DataError, match="holds dates; give the instant"):
        play(pl.DataFrame({"ts_event": DAYS[:1], "amount": [5]}))
    with pytest.raises(DataError, match="the list is empty"):
        play([])
    with pytest.raises(ConfigError, match="no fx rates lead from EUR"):
        play(flows((at(5, 22), 5), currency="EUR"))


def test_an_account_on_margin_may_owe_what_is_taken_out() -> None:
    results = play(flows((at(5, 22), -5_000)), broker={"leverage": 2})
    assert results.portfolio_history["cash"][-1] == -5_000
