"""Positions in futures through rolls and expiries: what a run is told, what it refuses, what it shows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, Results, Strategy, load_config, run
from ml4t.backtest.configured import engine_of
from ml4t.core.errors import ConfigError, DataError, OrderError
from ml4t.futures import BeforeExpiry, ContinuousFuture, FuturesChain

DAYS = [dt.date(2024, 3, 27), dt.date(2024, 3, 28), dt.date(2024, 4, 1), dt.date(2024, 4, 2)]
ENGINES = pytest.mark.parametrize("engine", ["rust", "reference"])
TERMS: dict[str, Any] = {"multiplier": 50, "tick_size": "0.25", "calendar": "XNYS", "settlement": "cash"}


def chain(first_ends: dt.date = DAYS[2]) -> FuturesChain:
    """Return two contracts; Friday, 29 March 2024 was a holiday."""
    ends = [first_ends, dt.date(2024, 6, 21)]
    return FuturesChain.from_frame(
        pl.DataFrame({"symbol": ["ESH4", "ESM4"], "last_trade": ends}), "ES", **TERMS
    )


def bars(last_of_first: int = 3) -> pl.DataFrame:
    """Return days at 5,000, 5,010, 5,020, 5,030, and at 50 more for the second contract."""
    rows = [
        {"symbol": symbol, "session": day, "volume": 1e5}
        | dict.fromkeys(("open", "high", "low", "close"), base + 10.0 * k)
        for symbol, base, count in (("ESH4", 5_000, last_of_first), ("ESM4", 5_050, 4))
        for k, day in enumerate(DAYS[:count])
    ]
    return pl.DataFrame(rows)


def rolls(**columns: Any) -> pl.DataFrame:  # noqa: ANN401
    plan = {"session": [DAYS[2]], "from": ["ESH4"], "to": ["ESM4"]} | columns
    return pl.DataFrame(plan)


class Script(Strategy):
    """Sends at each call what it is given: symbol and signed quantity."""

    def __init__(self, sent: dict[int, tuple[str, float]]) -> None:
        self.sent, self.calls = sent, 0
        self.told: list[tuple[str, str]] = []

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if self.calls in self.sent:
            symbol, quantity = self.sent[self.calls]
            (broker.buy if quantity > 0 else broker.sell)(symbol, abs(quantity))
        self.calls += 1


def play(
    engine: str,
    sent: dict[int, tuple[str, float]],
    frame: pl.DataFrame | None = None,
    **parts: Any,  # noqa: ANN401
) -> Results:
    frame = bars() if frame is None else frame
    instruments = parts.pop("instruments", chain().instruments())
    config = {"backtest": {"engine": engine}, "broker": {"initial_cash": 10_000_000, "allows_short": True}}
    config["broker"] |= parts.pop("broker", {})
    feed = DataFeed(frame, stamp="session", instruments=instruments)
    return run(Script, feed, params={"sent": sent}, config=config, **parts)


@ENGINES
def test_a_contract_of_a_chain_ends_by_itself(engine: str) -> None:
    results = play(engine, {0: ("ESH4", 2), 3: ("ESH4", 1)})
    (trip,) = results.round_trips.rows(named=True)
    # From the open of 5,010 to the last settlement of 5,020: 2 x 50 x 10.
    assert (trip["exit_price"], trip["gross_pnl"], trip["exit_reason"]) == (5_020, 1_000, "expiry")
    assert trip["exit_order_id"] is None
    refused = results.orders.row(1, named=True)
    assert refused["reason_code"] == "CONTRACT_EXPIRED"
    assert refused["reason"] == "ESH4 expired at 2024-04-01T20:00:00Z (ESH4, 2024-04-02T20:00:00Z)"
    assert results.portfolio_history["equity"][-1] == 10_001_000


@ENGINES
def test_a_contract_that_is_delivered_is_settled_in_cash_all_the_same(engine: str) -> None:
    physical = FuturesChain(
        "ES", [type(each)(**{**_fields(each), "settlement": "physical"}) for each in chain()]
    )
    results = play(engine, {0: ("ESH4", 2)}, instruments=physical.instruments())
    assert results.round_trips["exit_reason"].to_list() == ["expiry"]


def _fields(contract: Any) -> dict[str, Any]:  # noqa: ANN401
    names = ("symbol", "root", "last_trade", "multiplier", "tick_size", "calendar")
    return {name: getattr(contract, name) for name in names}


@ENGINES
def test_a_delisting_stands_instead_of_the_expiry(engine: str) -> None:
    ends = pl.DataFrame(
        {"symbol": ["ESH4"], "ex_date": [DAYS[3]], "kind": ["delisting"], "amount": [5_021.5]}
    )
    results = play(engine, {0: ("ESH4", 2)}, actions=ends)
    (trip,) = results.round_trips.rows(named=True)
    assert (trip["exit_price"], trip["exit_reason"]) == (5_021.5, "delisting")


@ENGINES
def test_a_contract_that_expired_before_the_data_takes_no_order(engine: str) -> None:
    before = (
        bars(4)
        .filter(pl.col("session") >= DAYS[1])
        .filter((pl.col("symbol") == "ESM4") | (pl.col("session") < DAYS[0]))
    )
    old = [*chain(dt.date(2023, 12, 15)).instruments()]
    frame = pl.concat(
        [before, bars(1).filter(symbol="ESH4").with_columns(session=pl.lit(dt.date(2023, 12, 1)))]
    )
    results = run(
        Script,
        DataFeed(frame, stamp="session", instruments=old),
        params={"sent": {0: ("ESH4", 1)}},
        config={"backtest": {"engine": engine, "start_date": dt.date(2024, 3, 1)}},
    )
    assert results.orders["reason_code"].to_list() == ["CONTRACT_EXPIRED"]
    assert "expired at 2023-12-16T05:00:00Z" in results.orders["reason"][0]


def test_a_row_of_an_expired_contract_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"ESH4 traded last in the session of 2024-04-01 .* 2024-04-02T20:00:00Z: an exp"
    ):
        play("rust", {}, bars(4))


def test_a_last_trade_on_a_holiday_is_refused() -> None:
    good_friday = chain(dt.date(2024, 3, 29)).instruments()
    with pytest.raises(
        DataError, match=r"ESH4: last_trade 2024-03-29 is no session of XNYS.* 2024-03-28 and 2024-04-01"
    ):
        play("rust", {}, bars(2), instruments=good_friday)


def test_an_instant_is_no_last_trade() -> None:
    with pytest.raises(ConfigError, match="last_trade: expected the date of a session"):
        Instrument("ESH4", last_trade=dt.datetime(2024, 4, 1, tzinfo=dt.UTC))


# Rolls --------------------------------------------------------------------------------------------


@ENGINES
@pytest.mark.parametrize(("roll_at", "ts", "phase"), [("next_open", 13, "open"), ("settlement", 20, "close")])
def test_a_position_goes_into_the_next_contract_for_the_costs_of_two_orders(
    engine: str, roll_at: str, ts: int, phase: str
) -> None:
    costs = {
        "slippage_model": {"type": "Spread", "spread": 1.0},
        "commission_model": {"type": "PerOrder", "fee": 3.0},
    }
    results = play(engine, {0: ("ESH4", -2)}, rolls=rolls(roll_at=[roll_at]), broker=costs)
    (roll,) = results.rolls.rows(named=True)
    assert roll["ts_event"] == dt.datetime(2024, 4, 1, ts, 30 if ts == 13 else 0, tzinfo=dt.UTC)
    # Bought back at 5,020 and half a spread, sold again at 5,070 less half a spread.
    assert {name: roll[name] for name in ("from", "to", "quantity", "from_price", "to_price", "spread")} == {
        "from": "ESH4",
        "to": "ESM4",
        "quantity": -2,
        "from_price": 5_020.5,
        "to_price": 5_069.5,
        "spread": 49.0,
    }
    assert (roll["slippage"], roll["fees"]) == (1.0, 6.0)
    fills = results.fills.filter(pl.col("order_id") > 1)
    assert fills["phase"].to_list() == [phase, phase]
    assert results.orders["tag"].to_list() == ["", "roll", "roll"]
    assert results.round_trips["exit_reason"].to_list() == ["roll"]
    # Short from 5,009.5 to 5,020.5 and from 5,069.5 to 5,080: 2 x 50 x -(11 + 10.5), and three fees.
    assert results.portfolio_history["equity"][-1] == 10_000_000 - 100 * 21.5 - 9


@ENGINES
def test_a_roll_without_a_position_does_nothing_but_take_orders_back(engine: str) -> None:
    results = play(engine, {1: ("ESH4", 1)}, rolls=rolls())
    assert results.rolls.height == 0
    assert results.orders.select("status", "reason_code").rows() == [("canceled", "ROLLED")]


@ENGINES
def test_the_strategy_cannot_take_a_roll_back_or_change_it(engine: str) -> None:
    class Meddler(Strategy):
        def on_start(self) -> None:
            self.is_first = True

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if self.is_first:
                broker.buy("ESH4", 2)
            self.is_first = False
            for order in broker.open_orders:
                if order.tag == "roll":
                    assert order.cancel() is False
                    with pytest.raises(OrderError, match="belongs to a roll"):
                        broker.modify_order(order, quantity=1)
                    self.log("tried")

    # Nothing of the new contract trades in the roll session: its leg is open as the strategy is called.
    frame = bars().filter((pl.col("symbol") == "ESH4") | (pl.col("session") != DAYS[2]))
    feed = DataFeed(frame, stamp="session", instruments=chain().instruments())
    results = run(
        Meddler,
        feed,
        config={"backtest": {"engine": engine}, "broker": {"initial_cash": 1_000_000}},
        rolls=rolls(),
    )
    assert results.logs["message"].to_list() == ["tried"]
    assert results.rolls["to_price"].to_list() == [5_080]


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (rolls(session=[dt.date(2024, 3, 29)]), "that is no session of XNYS; the next one is 2024-04-01"),
        (rolls(session=[DAYS[3]]), "ESH4 traded last in the session of 2024-04-01 and has ended by then"),
        (rolls(to=["ESH4"]), "a contract cannot be rolled into itself"),
        (
            rolls(to=["ESZ4"]),
            r"rolls: ESH4 to ESZ4 in the session of 2024-04-01: symbol 'ESZ4' is in no feed.*"
            r"frame\.filter\(pl\.all_horizontal\(pl\.col\('from', 'to'\) != 'ESZ4'\)\)",
        ),
        (
            rolls(roll_at=["nextopen"]),
            "has roll_at 'nextopen', allowed are next_open, settlement; did you mean",
        ),
        (rolls(session=["tomorrow"]), "row 0 has the session 'tomorrow', expected a date"),
        (rolls().drop("to"), "rolls: column to is absent; the columns are session, from; expected session,"),
        (pl.DataFrame(), "rolls: column session is absent; there are none; expected session, from and to"),
        (rolls().vstack(rolls()), "ESH4 is left twice at 2024-04-01T13:30:00Z"),
        (
            rolls().vstack(pl.DataFrame({"session": [DAYS[2]], "from": ["ESM4"], "to": ["ESH4"]})),
            "positions would go into ESH4 and out of it",
        ),
    ],
)
def test_a_plan_that_cannot_be_is_refused(plan: pl.DataFrame, why: str) -> None:
    with pytest.raises(DataError, match=why):
        play("rust", {}, rolls=plan)


@pytest.mark.parametrize(
    ("fields", "plan", "why"),
    [
        ({"multiplier": 20}, rolls(), "multiplier is 50 and 20; they have to be equal"),
        ({"currency": "EUR"}, rolls(), "currency is USD and EUR"),
        (
            {"settlement": "upfront"},
            rolls(),
            "its settlement is 'upfront' .future.; allowed are daily, on_close",
        ),
        ({"settlement": "on_close"}, rolls(roll_at=["settlement"]), "allowed are daily: declare"),
    ],
)
def test_contracts_that_do_not_stand_for_each_other_are_not_rolled(
    fields: dict[str, Any], plan: pl.DataFrame, why: str
) -> None:
    old, new = chain()
    with pytest.raises(DataError, match=why):
        play("rust", {}, instruments=[old.instrument(), new.instrument(**fields)], rolls=plan)


def test_rolls_outside_the_data_are_left_out_with_a_note() -> None:
    far = rolls(session=[dt.date(2024, 6, 20)]).vstack(rolls())
    results = play("rust", {0: ("ESH4", 1)}, rolls=far)
    assert results.rolls.height == 1
    (note,) = [each for each in results.warnings if each.startswith("rolls: ")]
    assert note.startswith("rolls: 1 row lies outside the span of the market data (after ")
    assert note.endswith("): ESH4 to ESM4 in the session of 2024-06-20")


def test_a_roll_into_a_contract_that_was_not_loaded_is_left_out_with_a_note() -> None:
    feed = DataFeed(bars(), stamp="session", instruments=chain().instruments()[:1], symbols=["ESH4"])
    results = run(Script, feed, params={"sent": {}}, rolls=rolls())
    (note,) = [each for each in results.warnings if each.startswith("rolls: ")]
    assert note == (
        "rolls: 1 row is left out, of contracts that were not loaded: "
        "ESH4 to ESM4 in the session of 2024-04-01"
    )


def test_a_roll_in_the_first_session_is_named() -> None:
    results = play("rust", {}, rolls=rolls(session=[DAYS[0]]))
    (note,) = [each for each in results.warnings if each.startswith("rolls: ")]
    assert note.endswith(": ESH4 to ESM4 in the session of 2024-03-27, due at 2024-03-27T13:30:00Z")


def test_a_file_of_rolls_and_last_trades_is_a_run(tmp_path: Path) -> None:
    rolls(roll_at=["settlement"]).write_csv(tmp_path / "rolls.csv")
    bars().write_parquet(tmp_path / "bars.parquet")
    (tmp_path / "hold.py").write_text(
        "from ml4t.backtest import Strategy\n"
        "class Hold(Strategy):\n"
        "    def on_start(self):\n"
        "        self.sent = False\n"
        "    def on_data(self, timestamp, data, context, broker):\n"
        "        if not self.sent:\n"
        "            broker.buy('ESH4', 1)\n"
        "        self.sent = True\n",
        encoding="utf-8",
    )
    terms = 'asset_class = "future"\nmultiplier = 50\n'
    (tmp_path / "run.toml").write_text(
        "config_version = 1\n[broker]\ninitial_cash = 1000000\n"
        f'[[instruments]]\nsymbol = "ESH4"\nlast_trade = 2024-04-01\n{terms}'
        f'[[instruments]]\nsymbol = "ESM4"\n{terms}'
        '[[data_feeds]]\nname = "bars"\npath = "bars.parquet"\nstamp = "session"\n'
        '[[rolls]]\nname = "rolls"\npath = "rolls.csv"\n'
        '[[strategies]]\nname = "hold"\ntype = "hold.py:Hold"\n',
        encoding="utf-8",
    )
    results = engine_of(load_config(tmp_path / "run.toml")).run()
    assert results.rolls.select("from", "to", "from_price", "to_price").rows() == [
        ("ESH4", "ESM4", 5_020, 5_070)
    ]
    assert "rolls" in str(results.manifest["inputs"])


def test_a_plan_of_a_rule_decides_nothing_with_later_rows() -> None:
    es = ContinuousFuture("ES", BeforeExpiry(1), chain=chain(), roll_at="settlement")
    contract = pl.col("symbol").alias("contract")
    plan = es.roll_plan(bars().select(pl.exclude("symbol"), contract))
    assert plan.rows() == [(DAYS[1], "ESH4", "ESM4", "settlement")]
    altered = bars().with_columns(
        pl.when(pl.col("session") > DAYS[1]).then(pl.col(name) + 7).otherwise(pl.col(name)).alias(name)
        for name in ("open", "high", "low", "close")
    )
    both = [play("rust", {0: ("ESH4", 2)}, frame, rolls=plan) for frame in (bars(), altered)]
    known = [
        each.fills.filter(pl.col("ts_event") <= dt.datetime(2024, 3, 28, 21, tzinfo=dt.UTC)) for each in both
    ]
    assert known[0].equals(known[1])
    assert known[0]["price"].to_list() == [5_010, 5_010, 5_060]


def test_the_front_contract_is_that_of_the_session_that_is_open_or_was_last() -> None:
    es = ContinuousFuture("ES", BeforeExpiry(0), chain=chain(DAYS[1]))
    front = es.front(bars(2).select(pl.exclude("symbol"), pl.col("symbol").alias("contract")))
    opens = {day: dt.datetime(day.year, day.month, day.day, 13, 30, tzinfo=dt.UTC) for day in DAYS}
    moments = [
        opens[DAYS[0]],
        opens[DAYS[1]],
        opens[DAYS[2]] - dt.timedelta(seconds=1),
        opens[DAYS[2]],
        opens[DAYS[3]],
    ]
    assert [front.at(each) for each in moments] == ["ESH4", "ESM4", "ESM4", "ESM4", "ESM4"]
    with pytest.raises(
        DataError, match="no contract of ES is in front at 2024-03-27T13:29:59Z: the first session"
    ):
        front.at(opens[DAYS[0]] - dt.timedelta(seconds=1))


def test_roll_at_is_one_of_two() -> None:
    with pytest.raises(ConfigError, match="roll_at: found 'open'"):
        ContinuousFuture("ES", BeforeExpiry(1), chain=chain(), roll_at="open")  # type: ignore[arg-type]
