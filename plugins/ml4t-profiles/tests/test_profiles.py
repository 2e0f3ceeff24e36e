"""The profiles: data only, read as configurations are, and each does what it is for."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

import ml4t.profiles
from ml4t.backtest import DataFeed, Strategy, run
from ml4t.core.config import load_config
from ml4t.core.errors import ConfigError
from ml4t.core.plugins import load_plugins
from ml4t.engine.configuration import to_mapping
from ml4t.profiles import plugin

NAMES = [spec.name for spec in plugin.ml4t_register_profiles()]


def read(broker: dict[str, Any]) -> Any:  # noqa: ANN401 - a configuration
    document = {"broker": broker}
    return load_config(document, plugins=load_plugins()).broker


def test_every_profile_of_the_package_is_registered() -> None:
    assert {name.upper() for name in NAMES} == set(ml4t.profiles.__all__)
    for spec in plugin.ml4t_register_profiles():
        assert spec.load() is getattr(ml4t.profiles, spec.name.upper())
        assert spec.summary


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_a_valid_section_and_is_kept_with_all_that_came_of_it(name: str) -> None:
    broker = read({"profile": name})
    assert broker.profile == name
    values = getattr(ml4t.profiles, name.upper())
    for policy, value in values["policies"].items():
        assert getattr(broker.policies, policy).value == value
    document = {"broker": {"profile": name}}
    config = load_config(document, plugins=load_plugins())
    assert load_config(to_mapping(config), plugins=load_plugins()) == config


def test_what_is_written_beside_a_profile_comes_before_it() -> None:
    broker = read(
        {
            "profile": "zipline",
            "fee_model": {"type": "PerOrder", "fee": 1.0},
            "policies": {"limit_slippage": "refuse"},
        }
    )
    assert broker.commission_model == {"type": "PerOrder", "fee": 1.0}
    assert broker.policies.limit_slippage.value == "refuse"
    assert broker.policies.path.value == "close_only"


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="backtrader") as caught:
        read({"profile": "backtrade"})
    assert caught.value.findings[0].path == "broker.profile"


def test_a_profile_that_nobody_can_look_up_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"broker\.profile.*load_plugins"):
        load_config({"broker": {"profile": "zipline"}})


@pytest.mark.parametrize(
    ("broker", "price"),
    [
        ({}, 101.0),
        ({"profile": "conservative"}, 101.0505),
        ({"profile": "backtrader"}, 101.0),
        ({"profile": "zipline"}, 104.052),
        ({"profile": "vectorbt"}, 101.0),
        ({"profile": "lean"}, 101.0),
    ],
)
def test_a_market_order_fills_as_the_profile_says(broker: dict[str, Any], price: float) -> None:
    """Decided at a close of 101.00; the next bar opens at 101.00 and closes at 104.00."""
    rows = [(100.0, 102.0, 99.0, 101.0), (101.0, 105.0, 100.0, 104.0), (104.0, 106.0, 103.0, 105.0)]
    days = [dt.date(2024, 3, 4), dt.date(2024, 3, 5), dt.date(2024, 3, 6)]
    bars = pl.DataFrame(rows, schema=["open", "high", "low", "close"], orient="row")
    bars = bars.with_columns(symbol=pl.lit("XYZ"), session=pl.Series(days), volume=50_000.0)

    class BuyOnce(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if not broker.positions and not broker.open_orders:
                broker.buy("XYZ", 10)

    results = run(BuyOnce, DataFeed(bars, stamp="session"), config={"broker": broker})
    assert results.fills["price"].to_list() == [pytest.approx(price, rel=1e-12)]


def lean_fills(rows: list[tuple[float, float, float, float]], **order: Any) -> list[tuple[float, float]]:  # noqa: ANN401
    """Return price and fee of what a buy gets that was sent after the first bar."""
    days = [dt.date(2024, 3, 4 + number) for number in range(len(rows))]
    bars = pl.DataFrame(rows, schema=["open", "high", "low", "close"], orient="row")
    bars = bars.with_columns(symbol=pl.lit("XYZ"), session=pl.Series(days), volume=0.0)

    class BuyOnce(Strategy):
        def on_start(self) -> None:
            self.sent = False

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if not self.sent:
                broker.buy("XYZ", **order)
                self.sent = True

    results = run(BuyOnce, DataFeed(bars, stamp="session"), config={"broker": {"profile": "lean"}})
    return results.fills.select("price", "fee").rows()


@pytest.mark.parametrize(
    ("low", "filled"), [(98.0, []), (97.99, [(98.0, 1.0)])], ids=["touched", "traded through"]
)
def test_under_lean_a_limit_fills_once_it_is_traded_through(
    low: float, filled: list[tuple[float, float]]
) -> None:
    rows = [(100.0, 100.0, 100.0, 100.0), (100.0, 103.0, low, 101.0)]
    assert lean_fills(rows, quantity=10, limit_price=98) == filled


def test_under_lean_a_limit_takes_the_better_open_of_a_gap() -> None:
    rows = [(100.0, 100.0, 100.0, 100.0), (95.0, 96.0, 94.0, 95.5)]
    assert lean_fills(rows, quantity=10, limit_price=98) == [(95.0, 1.0)]


def test_under_lean_twice_the_equity_may_be_bought_in_whole_shares_at_half_a_cent_each() -> None:
    """100 000 carry 200 000 and no more; 1 999.9 shares of 100 are cut to 1 999, at 9.995."""
    rows = [(100.0, 100.0, 100.0, 100.0)] * 2
    assert lean_fills(rows, quantity=1999.9) == [(100.0, 9.995)]
    assert lean_fills(rows, quantity=2001) == []
