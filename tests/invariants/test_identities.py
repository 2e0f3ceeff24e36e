"""The identities of the ledger and of matching, recomputed exactly from the tables of random runs."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t.backtest import CorporateAction, DataFeed, Engine, Instrument, Results, Strategy, schedule
from ml4t.core.types import ActionKind

from .identities import Case, check_all
from .markets import MARKETS
from .readers import Reader
from .running import draw_config, plugins, run_reader


def check(name: str, seed: int) -> int:
    """Check every identity on a random run; return how many fills it had."""
    rng = np.random.default_rng([seed, 3, *name.encode()])
    market = MARKETS[name](rng)
    config = draw_config(rng, market)
    reader = Reader(seed=seed, activity=float(rng.choice([0.1, 0.4])), reads_all=False)
    results = run_reader(market, reader, config)
    try:
        check_all(Case(market, config, results))
    except AssertionError as error:
        error.add_note(f"market {name}, seed {seed}, broker {config['broker']}")
        raise
    return results.fills.height


@pytest.mark.parametrize("name", MARKETS)
def test_ledger_fills_and_orders_of_random_runs_satisfy_every_identity(name: str, seed: int) -> None:
    filled = [check(name, seed + k) for k in range(8)]
    assert sum(filled) > 80, "the strategies hardly traded, so the identities say little"


@pytest.mark.soak
@pytest.mark.parametrize("name", MARKETS)
def test_ledger_fills_and_orders_of_random_runs_satisfy_every_identity_at_length(
    name: str, seed: int
) -> None:
    for k in range(1_500):
        check(name, seed + 1_000 + k)


class Tampered:
    """Results with one table exchanged."""

    def __init__(self, results: Results, name: str, frame: pl.DataFrame) -> None:
        self.results = results
        self.name = name
        self.frame = frame

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any table
        return self.frame if name == self.name else getattr(self.results, name)


TAMPERINGS = {
    "price of a fill": ("fills", pl.col("price") + 0.01),
    "reference of a fill": ("fills", pl.col("reference_price") - 0.01),
    "quantity of a fill": ("fills", pl.col("quantity") + 1),
    "time of a fill": ("fills", pl.col("ts_event") + pl.duration(nanoseconds=1)),
    "fee of a fill": ("fills", pl.col("fee") + 0.001),
    "slippage of a fill": ("fills", pl.col("slippage") + 0.000001),
    "amount of a posting": ("ledger", pl.col("amount") + pl.lit(Decimal("1e-18"))),
    "account of a posting": ("ledger", pl.lit("fees").alias("debit")),
    "state of an order": ("orders", pl.lit("accepted").alias("status")),
    "reason of an order": ("orders", pl.lit("BECAUSE").alias("reason_code")),
    "filled quantity of an order": ("orders", pl.col("filled_quantity") + 1),
    "a transition": ("order_events", pl.lit("filled").alias("status")),
    "a position": ("positions", pl.col("quantity") + 1),
    "a mark": ("positions", pl.col("mark_price") + 0.01),
    "cash": ("portfolio_history", pl.col("cash") + 0.01),
    "equity": ("portfolio_history", pl.col("equity") + 0.01),
    "unrealized": ("portfolio_history", pl.col("unrealized_pnl") + 0.01),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_the_checks_notice_when_a_single_number_is_changed(what: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    market = MARKETS["daily"](rng)
    # At the limit every price of a limit order is allowed; at the stop, of a stop that a split scales.
    config = draw_config(rng, market, initial_cash="100000")
    config["broker"]["policies"] |= {"limit_gap": "open_if_better", "stop_gap": "open"}
    # Equity is recomputed at NAVs, so every row is one.
    config["backtest"]["record"] = "session"
    results = run_reader(market, Reader(seed=seed, activity=0.3, reads_all=False), config)
    check_all(Case(market, config, results))
    name, expression = TAMPERINGS[what]
    frame = results.table(name)
    row = frame.height // 2
    column = expression.meta.output_name()
    one = pl.int_range(pl.len()) == row
    changed = frame.with_columns(pl.when(one).then(expression).otherwise(pl.col(column)).alias(column))
    assert not changed.equals(frame)
    with pytest.raises(AssertionError):
        check_all(Case(market, config, Tampered(results, name, changed)))  # type: ignore[arg-type]


# --------------------------------------------------------------------------- single rules, by hand

DAYS = [dt.date(2012, 1, day) for day in (3, 4, 5, 6)]


class BuyOnce(Strategy):
    """Sends its orders at the first close and writes the worth of the account at each opening."""

    def __init__(self, *quantities: float | str) -> None:
        self.quantities = quantities
        self.worth: list[float] = []

    def on_start(self) -> None:
        self.schedule(
            lambda: self.worth.append(self.broker.get_account_value()), rule=schedule.session_open("-1m")
        )

    def on_bar(self, event: Any) -> None:  # noqa: ANN401
        if event.timestamp.date() == DAYS[0]:
            for quantity in self.quantities:
                self.broker.submit_order("A", quantity)


def hold(
    instrument: Instrument,
    strategy: BuyOnce,
    closes: list[float],
    *actions: CorporateAction,
    **broker: object,
) -> Results:
    """Hold a share over four sessions in which it only moves overnight."""
    frame = pl.DataFrame(
        {
            "symbol": ["A"] * 4,
            "session": DAYS,
            **{name: closes for name in ("open", "high", "low", "close")},
            "volume": [1e6] * 4,
        }
    )
    feed = DataFeed(frame, stamp="session", instruments=[instrument])
    return Engine(feed, strategy, actions=actions, config={"broker": broker}, plugins=plugins()).run()


@pytest.mark.parametrize("quantity", ["10", "-10"])
@pytest.mark.parametrize("multiplier", ["1", "2.5", "50"])
def test_a_dividend_leaves_equity_where_it_was(multiplier: str, quantity: str) -> None:
    dividend = CorporateAction("A", DAYS[2], ActionKind.CASH_DIVIDEND, amount="0.76", pay_date=DAYS[3])
    strategy = BuyOnce(quantity)
    hold(
        Instrument("A", multiplier=Decimal(multiplier)),
        strategy,
        [50.0, 50, 49.24, 49.24],
        dividend,
        allows_short=True,
    )
    # The share falls by what it pays, and what it pays is due from then on.
    assert strategy.worth == [100_000.0] * 3


@pytest.mark.parametrize("ratio", ["4/5", "3/2", "1/3", "7", "1/100"])
@pytest.mark.parametrize("lots", [(31,), (31, 31, 31), (1, 1, 1, 1, 1), (7, 11, 13, 17)])
@pytest.mark.parametrize("lot_policy", ["fifo", "lifo", "highest_cost", "average"])
def test_a_split_of_any_lots_leaves_equity_where_it_was(
    ratio: str, lots: tuple[int, ...], lot_policy: str
) -> None:
    exact_ratio = Fraction(ratio)
    after = float(48 / exact_ratio)
    strategy = BuyOnce(*lots)
    split = CorporateAction("A", DAYS[2], ActionKind.SPLIT, ratio=ratio)
    results = hold(Instrument("A"), strategy, [48.0, 48, after, after], split, lot_policy=lot_policy)
    whole = int(sum(lots) * exact_ratio)
    held = results.positions.filter(pl.col("session") == DAYS[3])["quantity"].to_list()
    assert held == ([float(whole)] if whole else [])
    postings = results.ledger.filter(pl.col("kind") == "cash_in_lieu").rows(named=True)
    paid = sum(
        (each["amount"] * ((each["debit"] == "cash") - (each["credit"] == "cash")) for each in postings),
        Decimal(),
    )
    fraction = sum(lots) * exact_ratio - whole
    assert float(paid) == pytest.approx(float(fraction * 48 / exact_ratio), abs=1e-7)
    assert strategy.worth == pytest.approx([100_000.0] * 3, abs=1e-6)


@pytest.mark.parametrize(("tick_rounding", "kept"), [("reject", None), ("passive", 0.3)])
def test_the_noise_of_a_float_in_a_price_is_a_matter_of_the_tick_and_no_exception(
    tick_rounding: str, kept: float | None
) -> None:
    class Noisy(BuyOnce):
        def on_bar(self, event: Any) -> None:  # noqa: ANN401
            if event.timestamp.date() == DAYS[0]:
                self.broker.buy("A", 1, limit_price=0.1 + 0.2)

    results = hold(Instrument("A"), Noisy(), [50.0] * 4, policies={"tick_rounding": tick_rounding})
    (order,) = results.orders.rows(named=True)
    if kept is None:
        assert (order["status"], order["reason_code"]) == ("rejected", "OFF_TICK")
        assert "0.30000000000000004" in order["reason"]
    else:
        assert order["limit_price"] == kept


def test_floats_of_tables_and_handles_are_the_ones_nearest_to_what_is_counted() -> None:
    seen: list[float] = []

    class Look(BuyOnce):
        def on_fill(self, event: Any) -> None:  # noqa: ANN401
            seen.append(event.order.avg_fill_price)

    # 5 x 38.51 / 5 and 1 x 22.83141 are floats that two roundings miss.
    for price, quantity in ((38.51, 5), (22.83141, 1), (0.07, 3), (1234567.89, 7)):
        seen.clear()
        results = hold(Instrument("A"), Look(quantity), [price] * 4, initial_cash="1000000000")
        (fill,) = results.fills.rows(named=True)
        assert seen == [price]
        assert results.orders["avg_fill_price"].to_list() == [price]
        assert fill["notional"] == float(Fraction(repr(price)) * quantity)
        assert results.positions["avg_price"].to_list() == [price] * 3
