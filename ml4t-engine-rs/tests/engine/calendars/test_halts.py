"""Halts as data: bars that are missing or did not trade, and quotes with a side missing or none at all."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pytest

from ml4t.backtest import DataFeed, StopLoss

from .conftest import Go
from .helpers import (
    Made,
    Market,
    buy,
    done,
    ended,
    expired,
    filled,
    limit,
    market_feed,
    quotes,
    sell,
    share,
    stop,
    utc,
)

DAY = ("2024-11-06", "2024-11-07")
CLOCK = Market(share("CLK", "24/7"), 600.0)
MARGIN = {"initial_cash": 1_000_000, "allows_short": True, "leverage": 2}
# New York on the 6th is open from 14:30 to 21:00. From 16:00 to 18:00 nothing trades; it opens at 90 then.
GAP = {"open": 90.0, "high": 91.0, "low": 89.0, "close": 90.0}
NOON = ("16:00", "16:30", "17:00", "17:30")
EVENING = ("19:30", "20:00", "20:30")
MORNING = ("14:30", "15:00")
MISSING, ZERO = "rows missing", "zero volume"
FORMS = pytest.mark.parametrize("form", [MISSING, ZERO])


def halted(
    form: str, spans: tuple[str, ...], *, day: str = "2024-11-06", moves: Mapping[str, Made] | None = None
) -> DataFeed:
    """Return half hours of STK, of which some are missing or without volume, beside a market that goes on."""
    opens = [f"{day} {each}" for each in spans]
    if form == ZERO:
        quiet = {"volume": 0.0, "high": 100.0, "low": 100.0}
        market = Market(share("STK"), 100.0, moves={**{each: quiet for each in opens}, **(moves or {})})
        return market_feed([market, CLOCK], *DAY, minutes=30)
    hours = [(each, each[:-5] + f"{utc(each).hour:02}:{utc(each).minute + 1:02}") for each in opens]
    market = Market(share("STK"), 100.0, moves=moves or {}, halts=hours)
    return market_feed([market, CLOCK], *DAY, minutes=30)


AFTER = {"2024-11-06 18:00": GAP}


@FORMS
@pytest.mark.parametrize("sent", ["2024-11-06 16:00", "2024-11-06 17:00"])
def test_orders_survive_a_halt_and_meet_the_open_after_it(go: Go, form: str, sent: str) -> None:
    plan = {
        "2024-11-06 15:00": [
            buy("held", "STK", 100),
            sell("stop", "STK", 10, **stop(95.0)),
            sell("day stop", "STK", 10, **stop(95.0, "day")),
            buy("limit", "STK", 10, **limit(97.0)),
            sell("stop limit", "STK", 10, order_type="stop_limit", stop_price=95.0, limit_price=94.0),
            sell("target", "STK", 10, **limit(110.0)),
        ],
        sent: [
            buy("market", "STK", 10),
            buy("day limit", "STK", 10, **limit(92.0, "day")),
            buy("day", "STK", 10, **limit(1.0, "day")),
            buy("range", "STK", 10, **limit(89.5)),
        ],
    }
    results = go(plan, halted(form, NOON, moves=AFTER), backtest={"nav_calendar": "XNYS"}, broker=MARGIN)
    ends = ended(results)
    for tag in ("stop", "day stop", "limit", "market", "day limit"):
        assert ends[tag] == done("2024-11-06 18:00"), tag
    assert ends["range"] == done("2024-11-06 18:30")
    assert ends["day"] == expired("2024-11-06 21:00")
    # Triggered at the open of 90, below its limit; later the market came back to 100.
    assert ends["stop limit"] == done("2024-11-06 18:30")
    assert ends["target"][1:] == ("canceled", "END_OF_DATA")
    prices = {tag: price for tag, _, price in filled(results)}
    assert {tag: prices[tag] for tag in ("stop", "day stop", "limit", "market", "day limit", "range")} == {
        "stop": 90.0,
        "day stop": 90.0,
        "limit": 90.0,
        "market": 90.0,
        "day limit": 90.0,
        "range": 89.5,
    }
    halt = results.fills.filter(pl.col("symbol") == "STK")["ts_event"].is_between(
        utc("2024-11-06 16:00"), utc("2024-11-06 17:59")
    )
    assert not halt.any()


@FORMS
def test_marks_stay_while_nothing_trades(go: Go, form: str) -> None:
    plan = {"2024-11-06 15:00": [buy("held", "STK", 100)]}
    results = go(
        plan,
        halted(form, NOON, moves=AFTER),
        backtest={"nav_calendar": "XNYS", "record": "step"},
        broker=MARGIN,
    )
    steps = dict(results.portfolio_history.select("ts_event", "equity").rows())
    for at in ("16:00", "16:30", "17:00", "17:30"):
        assert steps[utc(f"2024-11-06 {at}")] == 1_000_000.0
    # The open of 18:00 is a loss of 10 on each of 100.
    assert steps[utc("2024-11-06 18:00")] == 999_000.0


@FORMS
def test_day_orders_expire_at_the_close_of_a_session_that_is_halted_to_its_end(go: Go, form: str) -> None:
    plan = {
        "2024-11-06 19:30": [
            buy("day", "STK", time_in_force="day"),
            buy("day limit", "STK", **limit(150.0, "day")),
            buy("close", "STK", time_in_force="cls"),
            buy("gtc", "STK"),
            buy("to the label", "STK", **limit(150.0, "gtd"), expire_at=utc("2024-11-06 20:00")),
        ],
        "2024-11-06 21:00": [buy("tomorrow", "STK", time_in_force="day")],
    }
    ends = ended(go(plan, halted(form, EVENING), backtest={"nav_calendar": "XNYS"}))
    assert ends == {
        "day": expired("2024-11-06 21:00"),
        "day limit": expired("2024-11-06 21:00"),
        "close": expired("2024-11-06 21:00", "NOT_FILLED_AT_CLOSE"),
        "to the label": expired("2024-11-06 20:00", "TIME_EXPIRED"),
        "gtc": done("2024-11-07 14:30"),
        "tomorrow": done("2024-11-07 14:30"),
    }


@FORMS
def test_a_session_that_is_halted_as_a_whole_has_a_nav_and_ends_its_day_orders(go: Go, form: str) -> None:
    spans = tuple(f"{14 + (n + 1) // 2}:{30 * ((n + 1) % 2):02}" for n in range(13))
    plan = {"2024-11-06 12:00": [buy("day", "STK", time_in_force="day"), buy("gtc", "STK")]}
    results = go(plan, halted(form, spans), backtest={"nav_calendar": "XNYS"})
    assert ended(results) == {"day": expired("2024-11-06 21:00"), "gtc": done("2024-11-07 14:30")}
    labels = results.portfolio_history.filter(pl.col("session").is_not_null())["session"]
    assert [str(label) for label in labels] == ["2024-11-06", "2024-11-07"]


def test_an_opening_that_is_late_fills_orders_for_the_open_where_rows_are_missing(go: Go) -> None:
    plan = {
        "2024-11-06 12:00": [
            buy("open", "STK", time_in_force="opg"),
            buy("at once", "STK", time_in_force="ioc"),
        ]
    }
    ends = ended(go(plan, halted(MISSING, MORNING), backtest={"nav_calendar": "XNYS"}))
    assert ends == {"open": done("2024-11-06 15:30"), "at once": done("2024-11-06 15:30")}


def test_a_first_bar_that_did_not_trade_was_the_open_for_orders_of_one_event(go: Go) -> None:
    plan = {
        "2024-11-06 12:00": [
            buy("open", "STK", time_in_force="opg"),
            buy("at once", "STK", time_in_force="ioc"),
        ]
    }
    results = go(plan, halted(ZERO, MORNING), backtest={"nav_calendar": "XNYS"})
    ends = {tag: end[1:] for tag, end in ended(results).items()}
    assert ends == {"open": ("expired", "NOT_FILLED_AT_OPEN"), "at once": ("canceled", "NOT_FILLED_AT_ONCE")}
    assert not filled(results)


@FORMS
@pytest.mark.parametrize("tag", ["trailing", "rule"])
def test_a_stop_that_follows_the_market_takes_the_gap_after_the_halt(go: Go, form: str, tag: str) -> None:
    def protect(broker: Made) -> None:
        if tag == "trailing":
            broker.sell("STK", 100, order_type="trailing_stop", trail_amount=5.0, tag="trailing")

    plan: dict[str, list[Made]] = {
        "2024-11-06 15:00": [buy("held", "STK", 100)],
        "2024-11-06 15:30": [protect],
    }
    if tag == "rule":
        plan["2024-11-06 15:00"].insert(0, lambda broker: broker.set_position_rules(StopLoss(pct=0.05)))
    results = go(plan, halted(form, NOON, moves=AFTER), backtest={"nav_calendar": "XNYS"}, broker=MARGIN)
    fills = results.fills.select("side", "ts_event", "price").rows()
    assert fills == [("buy", utc("2024-11-06 15:00"), 100.0), ("sell", utc("2024-11-06 18:00"), 90.0)]


def test_volume_that_is_missing_for_an_hour_caps_nothing_and_what_is_left_goes_on(go: Go) -> None:
    plan = {"2024-11-06 15:30": [buy("big", "STK", 15_000)]}
    cap = {"type": "VolumeShare", "volume_limit": 0.01}
    results = go(
        plan,
        halted(ZERO, NOON),
        backtest={"nav_calendar": "XNYS"},
        broker={"initial_cash": 10_000_000, "slippage_model": cap},
    )
    fills = results.fills.select("ts_event", "quantity").rows()
    # Booked when their bars are complete: 15:30 to 16:00, and 18:00 to 18:30.
    assert fills == [(utc("2024-11-06 16:00"), 10_000.0), (utc("2024-11-06 18:30"), 5_000.0)]


# -- quotes ----------------------------------------------------------------------------------------------

STK = share("STK")
NAN = float("nan")
TICKS = [
    ("2024-11-06 15:00", 99.9, 100.1),
    ("2024-11-06 16:00", None, 100.1),
    ("2024-11-06 16:10", NAN, 100.1),
    ("2024-11-06 17:00", 99.9, None),
    ("2024-11-06 17:10", 99.9, NAN),
    ("2024-11-06 18:00", 89.9, 90.1),
    ("2024-11-07 15:00", 89.9, 90.1),
]


def test_an_order_waits_for_the_side_it_needs(go: Go) -> None:
    plan = {
        "2024-11-06 15:00": [
            buy("held", "STK", 100),
            sell("stop", "STK", 10, **stop(95.0)),
            buy("limit", "STK", 10, **limit(95.0)),
        ],
        "2024-11-06 16:30": [buy("buy", "STK", 10), sell("sell", "STK", 10)],
    }
    feeds = [quotes(STK, TICKS), market_feed([CLOCK], *DAY, minutes=30)]
    results = go(plan, feeds, backtest={"nav_calendar": "XNYS"}, broker=MARGIN)
    assert filled(results) == [
        ("held", utc("2024-11-06 16:00"), 100.1),
        # From 17:00 on there is a bid and no ask.
        ("sell", utc("2024-11-06 17:00"), 99.9),
        ("stop", utc("2024-11-06 18:00"), 89.9),
        # Other quotes have made it wait, so it rests at its price.
        ("limit", utc("2024-11-06 18:00"), 95.0),
        ("buy", utc("2024-11-06 18:00"), 90.1),
    ]


def test_day_orders_end_at_the_close_of_a_session_without_their_side(go: Go) -> None:
    ticks = [
        ("2024-11-06 15:00", 99.9, 100.1),
        ("2024-11-06 17:00", 99.9, None),
        ("2024-11-07 15:00", 99.9, 100.1),
    ]
    plan = {
        "2024-11-06 16:00": [
            buy("day", "STK", time_in_force="day"),
            buy("gtc", "STK"),
            buy("close", "STK", time_in_force="cls"),
        ]
    }
    feeds = [quotes(STK, ticks), market_feed([CLOCK], *DAY, minutes=30)]
    assert ended(go(plan, feeds, backtest={"nav_calendar": "XNYS"})) == {
        "day": expired("2024-11-06 21:00"),
        "close": expired("2024-11-06 21:00", "NOT_FILLED_AT_CLOSE"),
        "gtc": done("2024-11-07 15:00"),
    }


def test_marks_stay_while_nobody_quotes(go: Go) -> None:
    ticks = [TICKS[0], ("2024-11-06 15:30", 99.9, 100.1), *TICKS[-2:]]
    feeds = [quotes(STK, ticks), market_feed([CLOCK], *DAY, minutes=30)]
    results = go(
        {"2024-11-06 14:30": [buy("held", "STK", 100)]},
        feeds,
        backtest={"nav_calendar": "XNYS", "record": "step"},
        broker=MARGIN,
    )
    steps = dict(results.portfolio_history.select("ts_event", "equity").rows())
    assert [steps[utc(f"2024-11-06 {at}")] for at in ("15:30", "16:00", "17:00", "17:30", "18:00")] == [
        *(pytest.approx(999_990.0, abs=0.01) for _ in range(4)),
        pytest.approx(998_990.0, abs=0.01),
    ]


@pytest.mark.parametrize("policy", ["next", "standing"])
def test_a_quote_that_stands_offers_the_side_that_it_has(go: Go, policy: str) -> None:
    # A standing quote of 16:00 has an ask and no bid: a buy takes it, a sale waits for a bid.
    plan = {"2024-11-06 16:30": [buy("buy", "STK", 10), sell("sell", "STK", 10)]}
    feeds = [quotes(STK, TICKS), market_feed([CLOCK], *DAY, minutes=30)]
    policies = {"policies": {"quote_fill": policy}}
    results = go(plan, feeds, backtest={"nav_calendar": "XNYS"}, broker=MARGIN | policies)
    at = "2024-11-06 16:30" if policy == "standing" else "2024-11-06 18:00"
    price = 100.1 if policy == "standing" else 90.1
    assert sorted(filled(results)) == [("buy", utc(at), price), ("sell", utc("2024-11-06 17:00"), 99.9)]
