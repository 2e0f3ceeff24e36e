"""A share held with all it pays grows as its adjusted price does.

The adjusted closes that ship with the raw prices were made by the vendor: splits undone and each dividend
reinvested at the close of its ex-date. The engine never sees them. It holds raw shares, applies the corporate
actions, and buys with the cash of each dividend.
"""

from __future__ import annotations

import collections
import datetime as dt
import functools
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Instrument, Results, Strategy, datasets

LAST = dt.date(2013, 3, 1)
UNIT = Decimal("0.00000001")

# Last adjusted close over the first.
GROWTH = {"AAPL": 13.40862, "IBM": 2.37921, "MSFT": 0.81667}

# The same through orders that fill at the next open, as measured. Whatever is bought with a closing price in
# mind trades at the open of the next session, so each purchase buys close / open as many shares. The first
# purchase, of everything, makes nearly all of the difference: AAPL closed at 130.31 and opened at 127.00
# (2.6 % more shares), IBM at 100.25 and 100.50 (0.2 % fewer), MSFT at 90.81 and 91.81 (1.1 % fewer). A
# dividend of half a per cent moves the result only by half a per cent of its own gap. What an open below
# the close leaves over is invested one day later, what one above it cannot pay is not bought.
GROWTH_AT_NEXT_OPENS = {"AAPL": 13.76299, "IBM": 2.37388, "MSFT": 0.80790}


class Reinvest(Strategy):
    """Puts all cash into one share at every close."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        price = Decimal(str(data[self.symbol]["close"]))
        quantity = (Decimal(str(broker.get_cash())) / price).quantize(UNIT, ROUND_DOWN)
        if quantity > 0:
            broker.buy(self.symbol, quantity)


@functools.cache
def hold(symbol: str, fill_timing: str) -> Results:
    feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=[symbol])
    # What a price above the one decided on leaves unpaid is not bought; what one below leaves over is
    # invested the day after.
    policies = {"fill_timing": fill_timing, "insufficient_cash": "partial"}
    return Engine(
        feed,
        Reinvest,
        params={"symbol": symbol},
        config={"broker": {"policies": policies}},
        actions=datasets.us_equity_actions(),
        instruments=[Instrument.fractional(symbol)],
    ).run()


def growth(results: Results) -> float:
    assert results.nav["session"][-1] == LAST
    return float(results.nav["nav"][-1]) / results.initial_capital


@pytest.mark.parametrize("symbol", GROWTH)
def test_same_close_reinvestment_grows_as_the_adjusted_close_does(symbol: str) -> None:
    adjusted = datasets.us_equity_daily().filter(pl.col("symbol") == symbol).sort("session")["adj_close"]
    found = growth(hold(symbol, "same_close"))
    assert found == pytest.approx(GROWTH[symbol], abs=5e-6)
    assert found == pytest.approx(adjusted[-1] / adjusted[0], abs=5e-6)


@pytest.mark.parametrize("symbol", GROWTH)
def test_next_open_reinvestment_differs_by_the_gaps_between_close_and_open(symbol: str) -> None:
    found = growth(hold(symbol, "next_open"))
    assert found == pytest.approx(GROWTH_AT_NEXT_OPENS[symbol], abs=5e-6)
    assert found == pytest.approx(by_hand(symbol), rel=1e-9)
    first, second = (
        datasets.us_equity_daily().filter(pl.col("symbol") == symbol).sort("session")[:2].rows(named=True)
    )
    assert found / GROWTH[symbol] == pytest.approx(first["close"] / second["open"], abs=5e-4)


def by_hand(symbol: str) -> float:
    """Hold and reinvest at the next open, on paper: money is exact, shares come in units of 1e-8."""
    by_date = collections.defaultdict(list)
    for action in datasets.us_equity_actions().filter(pl.col("symbol") == symbol).rows(named=True):
        by_date[action["ex_date"]].append(action)
    cash, shares, wanted, price = Fraction(100_000), Fraction(0), Fraction(0), Fraction(1)
    for bar in datasets.us_equity_daily().filter(pl.col("symbol") == symbol).sort("session").rows(named=True):
        for action in sorted(by_date[bar["session"]], key=lambda each: str(each["kind"])):
            if action["kind"] == "split":
                shares *= Fraction(str(action["ratio"]))
            else:
                cash += shares * Fraction(str(action["amount"]))
        opened, price = Fraction(str(bar["open"])), Fraction(str(bar["close"]))
        bought = min(wanted, _units(cash / opened))
        cash, shares = cash - bought * opened, shares + bought
        wanted = _units(cash / price)
    return float((cash + shares * price) / 100_000)


def _units(quantity: Fraction) -> Fraction:
    return Fraction(int(quantity * 10**8), 10**8)
