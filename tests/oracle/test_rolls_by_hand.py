"""What a waiting leg of a roll does, and what a contract is worth at its end: by hand, on both engines."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Instrument, Results, Strategy
from ml4t.core.errors import DataError

from .play import ENGINES, NAMES

DAYS = [dt.date(2024, 3, day) for day in (4, 5, 6, 7, 8, 11)]


def bars(symbol: str, price: float, days: list[dt.date]) -> pl.DataFrame:
    return pl.DataFrame({"symbol": symbol, "session": days, "volume": 1e4} | dict.fromkeys(NAMES, price))


def future(symbol: str, **more: Any) -> Instrument:  # noqa: ANN401
    return Instrument(symbol, asset_class="future", multiplier=50, calendar="XNYS", **more)


class BuysTwo(Strategy):
    def on_start(self) -> None:
        self.calls = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if self.calls == 0:
            broker.buy("OLD", 2)
        self.calls += 1


def play(engine: str, frames: list[pl.DataFrame], instruments: list[Instrument], **more: Any) -> Results:  # noqa: ANN401
    feed = DataFeed(pl.concat(frames), stamp="session", instruments=instruments)
    config = {"backtest": {"engine": engine}, "broker": {"initial_cash": 3_000_000}}
    return Engine(feed, BuysTwo, config=config, **more).run()


@ENGINES
def test_a_leg_that_waits_goes_on_into_the_contract_after(engine: str) -> None:
    middle = [DAYS[0], DAYS[1], DAYS[4], DAYS[5]]
    rolls = pl.DataFrame({"session": DAYS[2:4], "from": ["OLD", "MID"], "to": ["MID", "NEW"]})
    frames = [bars("OLD", 5000.0, DAYS), bars("MID", 5100.0, middle), bars("NEW", 5200.0, DAYS)]
    results = play(engine, frames, [future(each) for each in ("OLD", "MID", "NEW")], rolls=rolls)
    # OLD is left on the 6th; MID, which has no bar before the 8th, on the 7th.
    filled = results.fills.select(pl.col("ts_event").dt.date(), "symbol", "side", "quantity").rows()
    assert filled == [(DAYS[1], "OLD", "buy", 2), (DAYS[2], "OLD", "sell", 2), (DAYS[3], "NEW", "buy", 2)]
    ends = results.orders.sort("order_id").select("symbol", "status", "reason_code").rows()
    assert ends[2] == ("MID", "canceled", "ROLLED")
    # What was to be opened of MID is opened of NEW: nothing is closed at that roll.
    made = results.rolls.select("from", "to", "quantity", "from_order_id", "to_order_id").rows()
    assert made == [("OLD", "MID", 2, 2, 3), (None, "NEW", 2, None, 4)]
    assert results.table("rolls").equals(results.rolls)


def settlement(*rows: tuple[dt.datetime, float]) -> pl.DataFrame:
    times, prices = zip(*rows, strict=True)
    return pl.DataFrame({"symbol": "OLD", "ts_event": times, "settlement_price": prices})


@ENGINES
def test_a_settlement_price_of_the_last_opening_is_final(engine: str) -> None:
    first = (dt.datetime(2024, 3, 5, 21, tzinfo=dt.UTC), 5000.0)
    final = (dt.datetime(2024, 3, 6, 15, tzinfo=dt.UTC), 5045.0)
    frames = [bars("OLD", 5000.0, DAYS[:2]), bars("X", 10.0, DAYS[:4])]
    instruments = [future("OLD", last_trade=DAYS[2]), future("X")]
    results = play(engine, frames, instruments, settlements=settlement(first, final))
    # 2 x 50 x 45, paid at 15:00, and nothing after it.
    assert results.round_trips.select("exit_price", "gross_pnl").rows() == [(5045, 4500)]
    paid = results.ledger.filter(pl.col("kind") != "deposit").select("kind", "debit", "amount").rows()
    assert [(kind, debit, float(amount)) for kind, debit, amount in paid] == [
        ("variation_margin", "cash", 4500)
    ]


@ENGINES
def test_a_settlement_price_after_the_end_is_refused(engine: str) -> None:
    late = (dt.datetime(2024, 3, 7, 15, tzinfo=dt.UTC), 5045.0)
    frames = [bars("OLD", 5000.0, DAYS[:2]), bars("X", 10.0, DAYS[:4])]
    instruments = [future("OLD", last_trade=DAYS[2]), future("X")]
    with pytest.raises(
        DataError, match="OLD has one at 2024-03-07T15:00:00Z, and its last_trade is 2024-03-06"
    ):
        play(engine, frames, instruments, settlements=settlement(late))


@ENGINES
def test_a_roll_that_is_never_done_is_a_warning(engine: str) -> None:
    # OLD has settlement prices of its own until the 6th, NEW its closes: no instant settles both.
    prices = settlement(*((dt.datetime(2024, 3, day, 22, tzinfo=dt.UTC), 5000.0) for day in (4, 5, 6)))
    rolls = pl.DataFrame({"session": [DAYS[2]], "from": ["OLD"], "to": ["NEW"], "roll_at": ["settlement"]})
    contracts = [future(each, settlement="daily") for each in ("OLD", "NEW")]
    frames = [bars("OLD", 5000.0, DAYS), bars("NEW", 5200.0, DAYS)]
    results = play(engine, frames, contracts, rolls=rolls, settlements=prices)
    assert results.rolls.is_empty()
    (warning,) = [each for each in results.warnings if "roll" in each]
    assert warning == (
        "The roll of OLD into NEW, due 2024-03-06T14:30:00Z, was never done: from then on no instant "
        "settled both contracts. Give settlement prices of both for one instant, or roll at next_open."
    )


@ENGINES
def test_a_leg_of_a_roll_that_finds_no_bar_is_a_warning(engine: str) -> None:
    rolls = pl.DataFrame({"session": [DAYS[2]], "from": ["OLD"], "to": ["NEW"]})
    frames = [bars("OLD", 5000.0, DAYS), bars("NEW", 5200.0, DAYS[:2])]
    results = play(engine, frames, [future(each) for each in ("OLD", "NEW")], rolls=rolls)
    (warning,) = [each for each in results.warnings if "roll" in each]
    sent = "sent 2024-03-06 14:30:00+00:00"
    assert warning.startswith(f"Order 3 of a roll, buy 2 NEW {sent}, ended canceled with 0")
    done = play(engine, [*frames[:1], bars("NEW", 5200.0, DAYS)], [future("OLD"), future("NEW")], rolls=rolls)
    assert not [each for each in done.warnings if "roll" in each]


@ENGINES
def test_slippage_of_a_roll_that_fills_in_part_is_money(engine: str) -> None:
    rolls = pl.DataFrame({"session": [DAYS[2]], "from": ["OLD"], "to": ["NEW"]})
    thin = bars("NEW", 5200.0, DAYS).with_columns(
        volume=pl.when(pl.col("session") == DAYS[2]).then(10.0).otherwise(0.0)
    )
    frames = [bars("OLD", 5000.0, DAYS), thin]
    costs = {
        "slippage_model": {"type": "Spread", "spread": 1.0},
        "commission_model": {"type": "PerOrder", "fee": 1.0},
    }
    costs["fill_model"] = {"type": "Default", "volume_limit": 0.1}
    feed = DataFeed(pl.concat(frames), stamp="session", instruments=[future("OLD"), future("NEW")])
    config = {"backtest": {"engine": engine}, "broker": {"initial_cash": 3_000_000} | costs}
    results = Engine(feed, BuysTwo, config=config, rolls=rolls).run()
    (roll,) = results.rolls.rows(named=True)
    # Half a point of each of the 2 that are closed and of the 1 that is opened, at 50 a point.
    assert (roll["slippage"] * roll["quantity"] * 50, roll["fees"]) == (75, 2)
    assert float(results.attribution["roll"].sum()) == -77
