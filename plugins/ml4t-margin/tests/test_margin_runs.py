"""Published accounts played through the engine: what is needed at each close, and where it ends."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, Results, Strategy, run
from ml4t.margin import (
    CloseAll,
    CryptoMargin,
    FixedLeverage,
    FuturesMargin,
    LargestLoserFirst,
    PortfolioMargin,
    ProRata,
    RegT,
)

BTC = [
    (0, 0.004),
    (50_000, 0.005),
    (250_000, 0.01),
    (1_000_000, 0.025),
    (10_000_000, 0.05),
    (20_000_000, 0.1),
]
ETH = [
    (0, 0.005),
    (10_000, 0.0065),
    (100_000, 0.01),
    (500_000, 0.02),
    (1_000_000, 0.05),
    (2_000_000, 0.1),
]
MONDAY = dt.date(2024, 3, 4)


class Hold(Strategy):
    """Order once, at the first bar, which the open of the next one fills."""

    def __init__(self, quantities: Mapping[str, float]) -> None:
        self.quantities = quantities
        self.has_ordered = False

    def on_bar(self, event: object) -> None:
        if not self.has_ordered:
            self.has_ordered = True
            for symbol, quantity in self.quantities.items():
                self.broker.submit_order(symbol, quantity)


def play(
    quantities: Mapping[str, float],
    bars: Mapping[str, Sequence[tuple[float, float, float, float]]],
    cash: float,
    models: Mapping[str, Any],
    **more: Any,  # noqa: ANN401 - keywords of `run`
) -> Results:
    """Hold quantities over daily bars of open, high, low and close, from a Monday on."""
    rows = [
        (symbol, MONDAY + dt.timedelta(days=k), *bar, 1e9)
        for symbol, found in bars.items()
        for k, bar in enumerate(found)
    ]
    schema = ["symbol", "session", "open", "high", "low", "close", "volume"]
    instruments = more.pop("instruments", None)
    calendar = instruments[0].calendar if instruments else "XNYS"
    feed = DataFeed(pl.DataFrame(rows, schema=schema, orient="row"), stamp="session", calendar=calendar)
    native = more.pop("native", "require")
    config = {"backtest": {"native": native}, "broker": {"initial_cash": cash, "allows_short": True}}
    params = {"quantities": quantities}
    return run(Hold, feed, params=params, config=config, models=models, instruments=instruments, **more)


def to(*closes: float) -> list[tuple[float, float, float, float]]:
    """Bars that open where the one before closed, and go straight to their close."""
    opens = [closes[0], *closes[:-1]]
    return [(a, max(a, b), min(a, b), b) for a, b in zip(opens, closes, strict=True)]


def needs(results: Results, *columns: str) -> list[tuple[float | None, ...]]:
    rows = results.margin.select(*columns).rows()
    return [tuple(None if value is None else float(value) for value in row) for row in rows]


# -- Regulation T ------------------------------------------------------------------------------------------


def test_the_example_of_interactive_brokers_to_its_end() -> None:
    # "Reg T Margin": 10,000 deposited, 500 bought at 40; equity is the maintenance at 26.6666667.
    models = {"margin": RegT(), "liquidation": LargestLoserFirst()}
    found = play({"XYZ": 500}, {"XYZ": to(40, 40, 45, 35, 26.67)}, 10_000, models)
    assert needs(found, "equity", "maintenance", "excess", "overnight", "sma") == [
        (10_000, 0, 10_000, None, 10_000),
        (10_000, 5_000, 5_000, 10_000, 0),
        (12_500, 5_625, 6_875, 11_250, 1_250),
        (7_500, 4_375, 3_125, 8_750, 1_250),
        (3_335, 3_333.75, 1.25, 6_667.5, 1_250),
    ]
    assert found.margin_calls.is_empty()
    called = play({"XYZ": 500}, {"XYZ": to(40, 40, 45, 35, 26.66)}, 10_000, models)
    (issued, liquidation) = called.margin_calls.to_dicts()
    assert (issued["status"], liquidation["status"]) == ("issued", "liquidation")
    assert (float(issued["equity"]), float(issued["requirement"])) == (3_330, 3_332.5)
    assert float(issued["amount"]) == 2.5


def test_the_proceeds_of_a_short_sale_are_in_its_equity() -> None:
    # 5,000 carry exactly 100 sold at 100: 15,000 of cash are 150 % of their value.
    models = {"margin": RegT(), "liquidation": LargestLoserFirst()}
    found = play({"XYZ": -100}, {"XYZ": to(100, 100, 110, 116, 116)}, 5_000, models)
    # Equity of 15,000 - 11,600 is below 30 % of 11,600: 80 lack, of 34.80 a share, and 3 are bought back.
    assert needs(found, "equity", "initial", "maintenance") == [
        (5_000, 0, 0),
        (5_000, 5_000, 3_000),
        (4_000, 5_500, 3_300),
        (3_400, 5_800, 3_480),
        (3_400, 97 * 58, 97 * 34.8),
    ]
    assert [(fill["side"], fill["quantity"]) for fill in found.fills.to_dicts()] == [
        ("sell", 100),
        ("buy", 3),
    ]
    over = play({"XYZ": -101}, {"XYZ": to(100, 100)}, 5_000, models)
    assert over.orders["reason_code"].to_list() == ["INSUFFICIENT_BUYING_POWER"]


# -- futures -----------------------------------------------------------------------------------------------


def future(
    quantity: float,
    cash: float,
    closes: Sequence[float],
    margin: FuturesMargin,
    rates: Sequence[tuple[str, dt.date, float, float]],
) -> Results:
    table = pl.DataFrame(rates, schema=["symbol", "ts_event", "initial", "maintenance"], orient="row")
    return play(
        {"ES": quantity},
        {"ES": to(*closes)},
        cash,
        {"margin": margin, "liquidation": LargestLoserFirst()},
        instruments=[Instrument("ES", asset_class="future", tick_size="0.25", multiplier=50)],
        margin_rates=table,
    )


def test_a_future_is_called_below_maintenance_and_not_below_initial() -> None:
    rates = [("ES", MONDAY, 15_400.0, 14_000.0)]
    held = future(1, 15_500, [5_000, 5_000, 4_970, 4_970], FuturesMargin(), rates)
    assert needs(held, "equity", "initial", "maintenance", "overnight")[2] == (14_000, 15_400, 14_000, None)
    assert held.margin_calls.is_empty()
    called = future(1, 15_500, [5_000, 5_000, 4_969.75, 4_969.75], FuturesMargin(), rates)
    assert called.margin_calls["status"].to_list() == ["issued", "liquidation", "met"]
    assert float(called.margin_calls["amount"][0]) == 12.5


def test_day_margins_end_at_the_close() -> None:
    # A quarter of 15,400 opens three contracts with 15,500; one of them can be carried past the close.
    found = future(3, 15_500, [5_000] * 4, FuturesMargin(0.25), [("ES", MONDAY, 15_400.0, 14_000.0)])
    (call, *_) = found.margin_calls.to_dicts()
    assert (call["kind"], float(call["requirement"]), float(call["amount"])) == ("overnight", 46_200, 30_700)
    assert found.fills["quantity"].to_list() == [3, 2]
    assert needs(found, "initial", "maintenance", "overnight")[-1] == (3_850, 3_500, 15_400)


def test_rates_count_from_their_date_on() -> None:
    rates = [("ES", MONDAY, 15_400.0, 14_000.0), ("ES", MONDAY + dt.timedelta(days=3), 17_600.0, 16_000.0)]
    found = future(2, 31_000, [5_000] * 5, FuturesMargin(), rates)
    assert needs(found, "initial", "maintenance") == [
        *((0, 0), (30_800, 28_000), (30_800, 28_000)),
        *((17_600, 16_000), (17_600, 16_000)),
    ]


# -- crypto currencies -------------------------------------------------------------------------------------


def perpetual(symbol: str) -> Instrument:
    return Instrument(
        symbol,
        asset_class="perpetual",
        calendar="24/7",
        lot_size="0.001",
        quantity_exponent=3,
        tick_size="0.01",
    )


# Binance, "How to Calculate Liquidation Price of USD-M Futures Contracts": 1,153.26 and 26,316.89. A position
# is closed at the first tick that is reached.
@pytest.mark.parametrize(("falls", "price"), [("ETH", 1_153.25), ("BTC", 26_316.89)])
def test_the_account_of_the_example_of_binance_is_closed_at_its_prices(falls: str, price: float) -> None:
    entry = {"BTC": 32_481.98, "ETH": 1_456.84}
    marks = {"BTC": 31_967.27, "ETH": 1_335.18}
    bars = {symbol: to(entry[symbol], marks[symbol], marks[symbol]) for symbol in entry}
    # The entry is at the open of the second bar.
    level = marks[falls]
    bars[falls][2] = (level, level, level / 2, level)
    model = CryptoMargin(tiers=BTC, tiers_by_symbol={"ETH": ETH})
    instruments = [perpetual("BTC"), perpetual("ETH")]
    found = play(
        {"BTC": 109.488, "ETH": 3_683.979}, bars, 1_535_443.01, {"margin": model}, instruments=instruments
    )
    ((equity, maintenance),) = needs(found, "equity", "maintenance")[1:2]
    assert equity == pytest.approx(1_535_443.01 - 56_354.568 - 448_192.885, abs=0.01)
    assert maintenance == pytest.approx(71_200.811 + 356_512.508, abs=0.01)
    closed = found.fills.to_dicts()[-1]
    assert (closed["symbol"], closed["side"], closed["price"]) == (falls, "sell", price)


@pytest.mark.parametrize(
    ("quantity", "tiers", "price"),
    [
        (1, [(0, 0.004)], 47_690.76),
        (-1, [(0, 0.004)], 52_290.84),
        (1, BTC, 47_690.76),
        (-1, BTC, 52_288.56),
    ],
)
def test_an_isolated_position_is_closed_by_what_opened_it(
    quantity: float, tiers: list[tuple[float, float]], price: float
) -> None:
    # A twentieth of 50,000 opens it: 2,500, whatever else the account has.
    bars = {"BTC": [*to(50_000, 50_000), (50_000, 55_000, 45_000, 50_000)]}
    model = CryptoMargin(20, tiers=tiers, mode="isolated", liquidation_fee=0.0125)
    found = play({"BTC": quantity}, bars, 100_000, {"margin": model}, instruments=[perpetual("BTC")])
    closed = found.fills.to_dicts()[-1]
    assert closed["price"] == price
    assert closed["fee"] == pytest.approx(0.0125 * price, rel=1e-12)
    lost = abs(price - 50_000)
    assert needs(found, "equity")[-1][0] == pytest.approx(100_000 - lost - 0.0125 * price, rel=1e-12)


# -- both forms --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("liquidation", [LargestLoserFirst("1d", 0.9, 0.1), ProRata(), CloseAll()], ids=repr)
@pytest.mark.parametrize(
    "margin",
    [
        RegT(intraday=0.3, special={"A": 0.4}),
        FixedLeverage(4, maintenance=0.2),
        PortfolioMargin(underlyings={"A": "X", "B": "X"}, minimum={"A": 1.0}),
    ],
    ids=repr,
)
def test_a_run_in_python_is_the_same_run(margin: Any, liquidation: Any) -> None:  # noqa: ANN401
    seed = 20_261_128
    print("seed", seed)
    dice = random.Random(seed)
    bars = {}
    for symbol, price in (("A", 100.0), ("B", 80.0)):
        closes = [price]
        while len(closes) < 60:
            closes.append(max(1.0, round(closes[-1] * (1 + dice.gauss(-0.01, 0.06)), 2)))
        bars[symbol] = to(closes[0], *closes)
    models = {"margin": margin, "liquidation": liquidation}
    instruments = [Instrument(symbol, calendar="24/7") for symbol in bars]
    found, expected = (
        play({"A": 150, "B": 20}, bars, 9_000, models, instruments=instruments, native=native)
        for native in ("require", "never")
    )
    assert found.margin_calls.height > 1
    for table in ("orders", "fills", "ledger", "margin", "margin_calls"):
        assert getattr(found, table).equals(getattr(expected, table)), table
