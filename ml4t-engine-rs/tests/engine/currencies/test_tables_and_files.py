"""What the tables and statistics say of currencies, and runs that a file describes."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from ml4t.backtest import Results
from ml4t.backtest.configured import engine_of
from ml4t.core.config import load_config
from ml4t.core.errors import ConfigError, DataError
from ml4t.engine.trade_statistics import trade_statistics

from .helpers import (
    EURUSD,
    FIRST,
    SPREAD,
    Made,
    Play,
    buy,
    closes,
    conversions,
    convert,
    equity,
    rates,
    same,
    sell,
)

# -- tables and statistics ---------------------------------------------------------------------------------


def test_fills_and_round_trips_say_their_currency_and_rate(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0, 100.0, 110.0, 110.0], IBM=[10.0, 10.0, 11.0, 11.0])
    steps = {
        0: lambda now: [now.broker.buy("SAP", 10), now.broker.buy("IBM", 10)],
        2: lambda now: [now.broker.sell("SAP", 10), now.broker.sell("IBM", 10)],
    }
    results = go(steps, feed).results
    assert sorted(results.fills.select("symbol", "currency", "fx_rate").rows()) == [
        ("IBM", "USD", 1.0),
        ("IBM", "USD", 1.0),
        ("SAP", "EUR", 1.1),
        ("SAP", "EUR", 1.3),
    ]
    trips = results.round_trips.select("symbol", "net_pnl", "currency", "fx_rate").rows()
    assert sorted(trips) == [("IBM", 10.0, "USD", 1.0), ("SAP", 100.0, "EUR", 1.3)]


def test_statistics_are_in_the_base_currency(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0, 100.0, 110.0, 110.0], IBM=[10.0, 10.0, 11.0, 11.0])
    steps = {
        0: lambda now: [now.broker.buy("SAP", 10), now.broker.buy("IBM", 10)],
        2: lambda now: [now.broker.sell("SAP", 10), now.broker.sell("IBM", 10)],
    }
    broker = {
        "commission_model": {"type": "PerOrder", "fee": 5},
        "slippage_model": {"type": "FixedFraction", "fraction": 0.01},
    }
    results = go(steps, feed, broker=broker).results
    trips = results.round_trips.sort("symbol")
    statistics = {name: each["all"] for name, each in results.trade_statistics.items()}
    expected = trips["net_pnl"][0] + trips["net_pnl"][1] * 1.3
    assert statistics["net_pnl"] == pytest.approx(expected)
    assert statistics["fees"] == pytest.approx(10.0 + 10.0 * 1.3)
    assert statistics["slippage_cost"] == pytest.approx(
        trips["slippage_cost"][0] + trips["slippage_cost"][1] * 1.3
    )
    # Metrics go by the rate of each fill.
    assert results.metrics["fees"] == pytest.approx(10.0 + 5.0 * 1.1 + 5.0 * 1.3)
    assert results.metrics["slippage_cost"] == pytest.approx(1.0 + 1.1 + 10.0 * 1.1 + 11.0 * 1.3)
    assert trade_statistics(results.round_trips.with_columns(fx_rate=1.0))["fees"]["all"] == 20.0


def test_positions_stay_in_the_currency_of_the_instrument(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0, 100.0, 110.0, 110.0])
    done = go({0: buy("SAP", 100), 2: lambda now: now.broker.get_position("SAP")}, feed)
    assert (done[2].mark_price, done[2].market_value, done[2].unrealized_pnl) == (110.0, 11_000.0, 1_000.0)
    assert closes(done.results, "positions", "market_value", "unrealized_pnl")[-1] == (11_000.0, 1_000.0)
    row = done.results.portfolio_history.row(2, named=True)
    assert (row["long_value"], row["unrealized_pnl"]) == (14_300.0, 1_300.0)


def test_the_base_currency_is_a_setting(go: Play, market: Made) -> None:
    feed = market(IBM=[100.0] * 4)
    done = go({0: buy("IBM", 110)}, feed, backtest={"base_currency": "EUR"})
    assert conversions(done.results)[0][:3] == ("USD", 11_000.0, 10_000.0)
    assert done.results.currency == "EUR"
    assert equity(done.results)[1] == pytest.approx(90_000.0 + 11_000.0 / 1.2)


def test_capital_is_what_all_opening_balances_are_worth(go: Play) -> None:
    results = go({}, broker={"initial_balances": {"EUR": 10_000}}).results
    assert results.initial_capital == 111_000.0
    assert results.metrics["total_return"] == pytest.approx(112_500.0 / 111_000.0 - 1.0)


def test_what_was_recorded_until_a_rate_was_missing_is_kept(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0] * 5, BP=[10.0] * 5)
    fx = rates(EURUSD=EURUSD, GBPUSD=[None, None, None, 1.3])
    with pytest.raises(DataError, match="GBPUSD") as refused:
        go({0: buy("SAP", 100), 1: buy("BP", 1)}, feed, fx=fx)
    partial = getattr(refused.value, "partial_results", None)
    assert partial is not None
    assert [row[4] for row in conversions(partial)] == ["SAP"]
    assert equity(partial) == [100_000.0, 101_000.0]


def test_a_result_that_is_saved_and_loaded_keeps_its_tables(go: Play, tmp_path: Path) -> None:
    steps = {0: buy("SAP", 100), 1: convert("EUR", 10), 2: sell("SAP", 100), 5: convert("EUR", -1)}
    results = go(steps, broker={"fx_model": SPREAD}).results
    assert all(results.table(name).height for name in ("balances", "conversions"))
    results.save(tmp_path / "run")
    same(results, Results.load(tmp_path / "run"))


def test_totals_of_attribution_are_changes_of_equity(go: Play, market: Made) -> None:
    feed = market(SAP=[100.0, 101.0, 99.0, 103.0], SONY=[1_000.0, 1_010.0, 990.0, 1_001.0])
    fx = rates(EURUSD=[1.1, 1.2, 1.15, 1.17], USDJPY=[150.0, 151.3, 149.7, 152.1])
    steps = {
        0: lambda now: [now.broker.buy("SAP", 100), now.broker.buy("SONY", 900)],
        2: lambda now: [now.broker.sell("SAP", 33), now.broker.convert("JPY", "12345.678")],
    }
    results = go(steps, feed, fx=fx, broker={"fx_model": SPREAD, "conversion": "always"}).results
    totals = results.attribution.group_by("session", maintain_order=True).agg(pl.col("total").sum())
    worth = results.table("balances").filter(pl.col("session").is_not_null())
    worth = worth.group_by("session", maintain_order=True).agg(pl.col("value").sum())
    changes = [b - a for a, b in itertools.pairwise([Decimal(0), *worth["value"]])]
    by_session = dict(totals.rows())
    assert [by_session.get(session, Decimal(0)) for session in worth["session"]] == changes


# -- files -------------------------------------------------------------------------------------------------

TOML = """
[backtest]
name = "two currencies"
base_currency = "USD"

[broker]
conversion = "always"
initial_balances = { EUR = 100 }
fx_model = { type = "FxSpread", spread = 0.01 }
interest_models = { EUR = { type = "CashInterest", credit = 0.036 } }

[[data_feeds]]
name = "daily"
path = "bars.csv"
stamp = "session"
calendar = "24/7"
currency = "EUR"
instrument_defaults = { calendar = "24/7" }

[[fx_rates]]
name = "eur"
path = "rates.csv"
columns = { pair = "ccy", ts_event = "when", rate = "mid" }

[[fx_rates]]
name = "jpy"
path = "more.parquet"

[[strategies]]
name = "once"
type = "strategy.py:Once"
"""
CODE = """
from ml4t.backtest import Strategy

class Once(Strategy):
    def on_data(self, timestamp, data, context, broker):
        if broker.get_position("SAP") is None:
            broker.buy("SAP", 100)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    days = [(FIRST + dt.timedelta(days=n)).date() for n in range(4)]
    values = dict.fromkeys(("open", "high", "low", "close"), [100.0] * 4)
    pl.DataFrame({"symbol": "SAP", "session": days, **values, "volume": 1e6}).write_csv(tmp_path / "bars.csv")
    renamed = rates(EURUSD=EURUSD).rename({"pair": "ccy", "ts_event": "when", "rate": "mid"})
    renamed.write_csv(tmp_path / "rates.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    rates(USDJPY=[150.0]).write_parquet(tmp_path / "more.parquet")
    (tmp_path / "run.toml").write_text(TOML, encoding="utf-8")
    (tmp_path / "strategy.py").write_text(CODE, encoding="utf-8")
    return tmp_path


def test_a_run_is_described_by_a_file(folder: Path) -> None:
    results = engine_of(load_config(folder / "run.toml")).run()
    assert conversions(results) == [
        ("EUR", 9_900.0, 10_890.0, 54.45, "SAP", "automatic", "executed"),
        # A day's interest on 100 EUR.
        ("EUR", -0.01, 0.012, 0.00006, None, "automatic", "executed"),
    ]
    assert results.table("balances")["currency"].unique(maintain_order=True).to_list() == ["USD", "EUR"]


def test_a_file_of_rates_that_is_absent_is_named(folder: Path) -> None:
    (folder / "more.parquet").unlink()
    with pytest.raises(DataError, match=r"fx rates: .*more\.parquet"):
        engine_of(load_config(folder / "run.toml")).run()


def test_a_file_without_rates_says_which_section_is_missing(folder: Path) -> None:
    text = TOML.split("[[fx_rates]]")[0] + TOML[TOML.index("[[strategies]]") :]
    (folder / "run.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"nothing settles in 'USD', and there are no \[\[fx_rates\]\]"):
        engine_of(load_config(folder / "run.toml"))
