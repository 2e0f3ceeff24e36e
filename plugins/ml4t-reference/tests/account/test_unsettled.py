"""Trades that settle later: when, what unsettled money buys, and good-faith violations, worked by hand.

Days are those of New York, from Tuesday 2 January 2024: 2, 3, 4, 5, 8, 9, 10, 11, 12, 16 January (the 15th is
a holiday). The step of one close fills at the next open, 14:30 UTC. Where nothing else is said trades settle
after two sessions, the account has 1,000 and everything costs 10.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import StopLoss
from ml4t.core.errors import ConfigError, DataError

from .settling import Seen, both, buy, exchange, nothing, outcomes, play, sell, sessions, violations

CODE = "GOOD_FAITH_VIOLATION"
FIRST = "2024-01-02"
FLAT = exchange(sessions(FIRST, 10), A=10, B=10)
# A is bought on the 3rd and sold on the 4th, when B is bought with what that brings: due on the 8th.
SWAP = (buy("A", 100), both(sell("A", 100), buy("B", 100)))
EARLY = (
    "sells 100 B bought with money that settles at 2024-01-08T14:30:00Z: good-faith violation 1 of 3 within "
    "12 months (2024-01-05T14:30:00Z)"
)


# -- when trades settle --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "days", "due"),
    [
        # Sold at the open of Wednesday 10 January.
        ("2024-01-08", 1, "2024-01-11T14:30:00+00:00"),
        ("2024-01-08", 2, "2024-01-12T14:30:00+00:00"),
        # Over a weekend and a holiday: sold on Friday the 12th, due on Tuesday the 16th.
        ("2024-01-10", 1, "2024-01-16T14:30:00+00:00"),
        ("2024-01-10", 3, "2024-01-18T14:30:00+00:00"),
        # Settlement after one day since 28 May 2024: Friday 24 May is T+2 over Memorial Day, as is what is
        # sold on Tuesday at T+1; so both are due on the 29th.
        ("2024-05-22", {"2017-09-05": 2, "2024-05-28": 1}, "2024-05-29T13:30:00+00:00"),
        ("2024-05-23", {"2017-09-05": 2, "2024-05-28": 1}, "2024-05-29T13:30:00+00:00"),
        ("2024-05-21", {"2017-09-05": 2, "2024-05-28": 1}, "2024-05-28T13:30:00+00:00"),
        # The latest of three dates that are not after it.
        ("2024-01-08", {"1995-06-07": 3, "2024-01-10": 2, "2024-01-11": 1}, "2024-01-12T14:30:00+00:00"),
        ("2024-01-08", {"1995-06-07": 3, "2024-01-11": 1}, "2024-01-16T14:30:00+00:00"),
    ],
)
def test_what_a_sale_brings_is_due_as_a_session_opens(first: str, days: Any, due: str) -> None:  # noqa: ANN401
    """Until then it cannot be taken out: not a second before, but at the open itself."""
    feed = exchange(sessions(first, 8), A=10)
    early = (dt.datetime.fromisoformat(due) - dt.timedelta(seconds=1)).isoformat()
    steps = (buy("A", 100), sell("A", 100))
    with pytest.raises(DataError, match=r"1000 USD are to be taken out .*, the account has 0 settled"):
        play(feed, *steps, days=days, flows={early: "-1000"})
    results = play(feed, *steps, days=days, flows={due: "-1000"})
    assert results.cash_flows["amount"].to_list() == [-1000]


@pytest.mark.parametrize("days", [0, {"2024-01-05": 5}])
def test_trades_may_settle_at_once(days: Any) -> None:  # noqa: ANN401
    """With no days, or before the first date that is given."""
    seen = Seen()
    play(FLAT, buy("A", 100), sell("A", 100), seen.look(), days=days)
    assert seen == [(1000, 1000)]


def test_what_has_settled_is_known_at_each_time() -> None:
    """1,000 of A are bought and sold: cash is that of trade dates, and on the 8th it has settled."""
    seen = Seen()
    steps = (seen.look(), both(seen.look(), sell("A", 60)), both(seen.look(), sell("A", 40)))
    play(FLAT, buy("A", 100), *steps[1:], *[seen.look()] * 3)
    # Sold on the 4th and 5th, due on the 8th and 9th.
    assert seen == [(0, 0), (600, 0), (1000, 0), (1000, 600), (1000, 1000)]


def test_the_use_of_unsettled_money_is_one_of_three() -> None:
    words = "expected one of good_faith, usable, held, found 'lent'"
    with pytest.raises(ConfigError, match=words):
        play(FLAT, unsettled="lent")


# -- what unsettled money buys -------------------------------------------------------------------------------


def test_held_money_buys_nothing_until_it_settles() -> None:
    """After one session: what is sold on the 4th may be spent on the 5th, and not before."""
    seen = Seen()
    ask = both(seen.powers(), buy("B", 100))
    results = play(FLAT, buy("A", 100), sell("A", 100), ask, ask, days=1, unsettled="held")
    assert seen == [(0,), (1000,)]
    assert outcomes(results)[2:] == [("rejected", "INSUFFICIENT_BUYING_POWER"), ("filled", "")]
    assert results.orders["reason"][2] == (
        "buy 100 B needs buying power of 1000, 0 is free, 1000 has not settled (2024-01-04T21:00:00Z)"
    )
    assert results.fills["ts_event"][2] == dt.datetime(2024, 1, 8, 14, 30, tzinfo=dt.UTC)


def test_a_fill_has_to_be_paid_with_what_has_settled() -> None:
    """What a working sale will bring counts at intake; at its fill the purchase finds it unsettled."""
    results = play(FLAT, *SWAP, unsettled="held")
    assert outcomes(results) == [("filled", ""), ("filled", ""), ("rejected", "INSUFFICIENT_CASH")]
    assert results.orders["reason"][2] == (
        "buy 100 B at 10 with fee 0 needs more than the account has: cash 1000, buying power 0 "
        "(2024-01-04T14:30:00Z)"
    )


def test_a_part_is_bought_of_what_has_settled() -> None:
    """1,250 less 1,000 for A: the 250 that are left buy 25 of B."""
    policies = {"insufficient_cash": "partial"}
    results = play(FLAT, *SWAP, unsettled="held", initial_cash=1250, policies=policies)
    assert results.fills["quantity"].to_list() == [100, 100, 25]


def test_a_larger_order_is_refused_with_what_has_not_settled() -> None:
    """100 of 1,000 have settled, of which 50 are reserved; 10 more at 10 need 100."""

    def enlarge(broker: Any) -> None:  # noqa: ANN401
        broker.modify_order(broker.open_orders[0], quantity=15)

    steps = (buy("A", 90), sell("A", 90), buy("B", 5, limit_price=10))
    feed = exchange(sessions(FIRST, 8), A=10, B=11)
    results = play(feed, *steps, enlarge, days=4, unsettled="held")
    changes = results.order_events.filter(reason_code="REPLACE_REJECTED")["reason"].to_list()
    assert changes == [
        "change refused: it needs buying power of 100 more, 50 is free, 900 has not settled "
        "(B, 2024-01-05T21:00:00Z)"
    ]


def test_nothing_is_said_where_all_has_settled() -> None:
    results = play(FLAT, buy("B", 200), unsettled="held")
    assert results.orders["reason"][0] == (
        "buy 200 B needs buying power of 2000, 1000 is free (2024-01-02T21:00:00Z)"
    )


def test_usable_money_buys_and_nothing_is_counted() -> None:
    steps = (*SWAP, sell("B", 100))
    results = play(FLAT, *steps, unsettled="usable")
    assert outcomes(results) == [("filled", "")] * 4
    assert violations(results) == []


@pytest.mark.parametrize("unsettled", ["usable", "good_faith", "held"])
def test_only_settled_money_is_taken_out(unsettled: str) -> None:
    """400 of 1,000 were never spent, and 600 are due on the 8th."""
    steps = (buy("A", 60), sell("A", 60))
    at = "2024-01-05T21:00:00+00:00"
    play(FLAT, *steps, unsettled=unsettled, flows={at: "-400"})
    with pytest.raises(DataError) as caught:
        play(FLAT, *steps, unsettled=unsettled, flows={at: "-400.01"})
    assert (
        "cash flows: 400.01 USD are to be taken out at 2024-01-05T21:00:00Z, the account has 400 settled; "
        in (str(caught.value))
    )


def test_a_payment_takes_what_has_settled_and_purchases_the_earliest_due() -> None:
    """Of A 300 are due on the 8th and 700 on the 9th; a purchase of 400 takes 300 and 100 of them."""
    seen = Seen()
    steps = (buy("A", 100), sell("A", 30), both(sell("A", 70), buy("B", 40)), *[seen.look()] * 3)
    results = play(FLAT, *steps, sell("B", 1))
    assert seen == [(600, 0), (600, 0), (600, 600)]
    assert violations(results) == []
    # The lot is paid for on the 9th only.
    results = play(FLAT, *steps[:3], nothing, sell("B", 1))
    assert violations(results) == []
    results = play(FLAT, *steps[:3], sell("B", 1))
    assert [text.partition(":00Z")[0] for text in violations(results)] == [
        "sells 1 B bought with money that settles at 2024-01-09T14:30"
    ]


# -- good faith ----------------------------------------------------------------------------------------------


def test_a_sale_of_what_is_not_paid_for_is_a_violation() -> None:
    """Bought on the 4th with money of the 8th, sold on the 5th: the order and its event say so."""
    results = play(FLAT, *SWAP, sell("B", 100))
    assert outcomes(results) == [("filled", "")] * 3 + [("filled", CODE)]
    assert violations(results) == [EARLY]
    assert results.orders["reason"][3] == EARLY


def test_a_sale_as_the_money_settles_is_none() -> None:
    assert violations(play(FLAT, *SWAP, nothing, sell("B", 100))) == []


def test_a_purchase_that_settled_money_pays_is_free() -> None:
    """With 2,000 the other 1,000 pay for B; 150 of B take 500 of the parcel."""
    assert violations(play(FLAT, *SWAP, sell("B", 100), initial_cash=2000)) == []
    steps = (buy("A", 100), both(sell("A", 100), buy("B", 150)), sell("B", 150))
    (text,) = violations(play(FLAT, *steps, initial_cash=2000))
    assert text == EARLY.replace("100 B", "150 B")


def thrice(*more: Any) -> tuple[Any, ...]:  # noqa: ANN401 - steps
    """Return steps of which the third commits three violations, of 30, 30 and 40 units."""
    return (*SWAP, both(sell("B", 30), sell("B", 30), sell("B", 40)), *more)


def test_the_third_violation_holds_what_is_unsettled() -> None:
    """On the 5th, 90 days before 4 April: what B brings is due on the 9th and buys nothing before."""
    seen = Seen()
    ask = both(seen.powers(), buy("A", 100))
    results = play(FLAT, *thrice(ask, ask))
    last = "only settled money buys until 2024-04-04T14:30:00Z (2024-01-05T14:30:00Z)"
    numbers = [text.partition("violation ")[2] for text in violations(results)]
    assert numbers == [
        "1 of 3 within 12 months (2024-01-05T14:30:00Z)",
        "2 of 3 within 12 months (2024-01-05T14:30:00Z)",
        f"3 of 3 within 12 months, {last}",
    ]
    assert violations(results)[2].startswith(
        "sells 40 B bought with money that settles at 2024-01-08T14:30:00Z"
    )
    # As the 5th and the 8th close it is unsettled, and nothing else is there.
    assert seen == [(0,), (0,)]
    assert results.orders["reason"][6:].to_list() == [
        f"buy 100 A needs buying power of 1000, 0 is free, 1000 has not settled ({day}T21:00:00Z)"
        for day in ("2024-01-05", "2024-01-08")
    ]
    assert outcomes(results)[6:] == [("rejected", "INSUFFICIENT_BUYING_POWER")] * 2


def test_two_violations_restrict_nothing() -> None:
    steps = (*SWAP, both(sell("B", 50), sell("B", 50)), buy("A", 100))
    results = play(FLAT, *steps)
    assert len(violations(results)) == 2
    assert outcomes(results)[-1] == ("filled", "")


@pytest.mark.parametrize(("day", "buys"), [(dt.date(2024, 4, 3), False), (dt.date(2024, 4, 4), True)])
def test_a_restriction_ends_after_ninety_days(day: dt.date, buys: bool) -> None:  # noqa: FBT001
    """It ends on 4 April at 14:30, an hour after that day opens; B is bought at the open after `day`."""
    days = [
        each for each in sessions(FIRST, 70) if each <= dt.date(2024, 1, 10) or each > dt.date(2024, 3, 28)
    ]
    place = days.index(day)
    late = {place - 1: buy("A", 100), place: both(sell("A", 100), buy("B", 100))}
    first = dict(enumerate(thrice()))
    steps = [(first | late).get(number, nothing) for number in range(len(days))]
    results = play(exchange(days, A=10, B=10), *steps)
    assert len(violations(results)) == 3
    assert outcomes(results)[-1] == (("filled", "") if buys else ("rejected", "INSUFFICIENT_CASH"))


@pytest.mark.parametrize(
    ("begin", "words"),
    [
        (
            "2024-12-31",
            "3 of 3 within 12 months, only settled money buys until 2025-04-06T14:30:00Z (2025-01-06T",
        ),
        ("2025-01-02", "1 of 3 within 12 months (2025-01-07T"),
    ],
)
def test_violations_count_for_a_year(begin: str, words: str) -> None:
    """Two at the open of 8 January 2024: at that of 6 January 2025 they are 364 days old, then 365."""
    days = sessions("2024-01-03", 4)
    days += map(dt.date.fromisoformat, ["2024-12-31", "2025-01-02", "2025-01-03", "2025-01-06", "2025-01-07"])
    days += map(dt.date.fromisoformat, ["2025-01-08"])
    again = days.index(dt.date.fromisoformat(begin))
    asked = dict(enumerate((*SWAP, both(sell("B", 50), sell("B", 50)))))
    asked |= {again + number: step for number, step in enumerate((*SWAP, sell("B", 100)))}
    steps = [asked.get(number, nothing) for number in range(len(days))]
    found = violations(play(exchange(days, A=10, B=10), *steps))
    assert len(found) == 3
    assert words in found[2]


def test_several_fills_of_an_order_are_one_violation() -> None:
    """A tenth of the volume a day: 30 on the 5th, 20 on the 8th, as they close; two of them restrict nothing.

    Sold on the 4th, what paid for B is due five sessions later, on the 11th.
    """
    feed = exchange(sessions(FIRST, 10), volume=[500] * 3 + [300] * 7, A=10, B=10)
    cap = {"fill_model": {"type": "Default", "volume_limit": 0.1}, "initial_cash": 500}
    steps = (buy("A", 50), both(sell("A", 50), buy("B", 50)), sell("B", 50))
    results = play(feed, *steps, days=5, **cap)
    assert violations(results) == [
        f"sells {units} B bought with money that settles at 2024-01-11T14:30:00Z: good-faith violation 1 of "
        f"3 within 12 months ({day}T21:00:00Z)"
        for units, day in ((30, "2024-01-05"), (20, "2024-01-08"))
    ]
    events = results.order_events.filter(reason_code=CODE)
    assert events["status"].to_list() == ["partially_filled", "filled"]


def test_what_else_a_third_order_fills_extends_no_restriction() -> None:
    """Two on the 5th, as it closes; a third order sells 30 then and 10 on the 8th: 90 days from the 5th."""
    feed = exchange(sessions(FIRST, 10), volume=[500, 500, 500, 320] + [300] * 6, A=10, B=10)
    cap = {"fill_model": {"type": "Default", "volume_limit": 0.1}, "initial_cash": 500}
    steps = (buy("A", 50), both(sell("A", 50), buy("B", 50)), both(sell("B", 1), sell("B", 1), sell("B", 40)))
    found = violations(play(feed, *steps, days=5, **cap))
    assert [text.partition(" B ")[0] for text in found] == ["sells 1", "sells 1", "sells 30", "sells 10"]
    assert all("3 of 3 within 12 months, only settled money buys until 2024-04-04T21" in x for x in found[2:])


def test_the_order_of_a_rule_commits_one_as_well() -> None:
    """B opens at 9 on the 5th, below its stop of 9.50."""
    feed = exchange(sessions(FIRST, 10), A=10, B=[10.0] * 3 + [9.0] * 7)

    def guard(broker: Any) -> None:  # noqa: ANN401
        broker.set_position_rules(StopLoss(pct=0.05))

    results = play(feed, *SWAP, guard)
    assert violations(results) == [EARLY]
    assert results.orders["tag"][3] == "stop_loss"


# -- lots ----------------------------------------------------------------------------------------------------

# 100 of B are bought with settled money, 100 more on the day after with that of A.
TWO_LOTS = (both(buy("A", 100), buy("B", 100)), both(sell("A", 100), buy("B", 100)))


@pytest.mark.parametrize(
    ("policy", "quantity", "unpaid"),
    [
        ("fifo", 100, None),
        ("fifo", 130, 30),
        ("lifo", 100, 100),
        ("lifo", 130, 100),
        # Of a pool nothing is paid for before all is.
        ("average", 50, 50),
        ("average", 200, 200),
    ],
)
def test_the_lot_policy_says_what_is_sold(policy: str, quantity: int, unpaid: int | None) -> None:
    results = play(FLAT, *TWO_LOTS, sell("B", quantity), initial_cash=2000, lot_policy=policy)
    expected = [] if unpaid is None else [EARLY.replace("100 B", f"{unpaid} B")]
    assert violations(results) == expected


@pytest.mark.parametrize(("policy", "is_violation"), [("lifo", False), ("average", True)])
def test_a_pool_is_paid_for_when_the_latest_of_it_is(policy: str, is_violation: bool) -> None:  # noqa: FBT001
    """100 of B with money of the 9th, and 10 more with 100 that were paid in; sold are 10 on the 8th."""
    steps = (*SWAP, buy("B", 10), sell("B", 10))
    flows = {"2024-01-04T20:00:00+00:00": "100"}
    results = play(FLAT, *steps, days=3, lot_policy=policy, flows=flows)
    expected = EARLY.replace("100 B", "10 B").replace("01-08", "01-09").replace("01-05", "01-08")
    assert violations(results) == ([expected] if is_violation else [])


def given(kind: str, **values: str) -> pl.DataFrame:
    """Return one corporate action of B on 5 January."""
    row = {"symbol": "B", "ex_date": dt.date(2024, 1, 5), "kind": kind} | values
    return pl.DataFrame({name: [value] for name, value in row.items()})


def test_a_split_leaves_it_unpaid() -> None:
    """100 of B become 200 at 5 on the morning of the 5th."""
    prices = [10.0] * 3 + [5.0] * 7
    feed = exchange(sessions(FIRST, 10), actions=given("split", ratio="2"), A=10, B=prices)
    results = play(feed, *SWAP, sell("B", 100))
    # An order of before scales as well.
    assert violations(results) == [EARLY.replace("100 B", "200 B")]


@pytest.mark.parametrize("kind", ["spin_off", "symbol_change", "stock_merger"])
def test_given_lots_are_as_unpaid_as_what_gave_them(kind: str) -> None:
    """On the 5th; C is sold on the 8th, and what paid for B is due on the 9th with three days."""
    values = {"into": "C"}
    if kind != "symbol_change":
        values["ratio"] = "1"
    if kind == "spin_off":
        values["amount"] = "2"
    prices = 10.0 if kind == "spin_off" else [10.0] * 3
    feed = exchange(sessions(FIRST, 10), actions=given(kind, **values), A=10, B=prices, C=10)
    results = play(feed, *SWAP, nothing, sell("C", 100), days=3)
    (text,) = violations(results)
    assert text.startswith("sells 100 C bought with money that settles at 2024-01-09T14:30:00Z")


@pytest.mark.parametrize(("policy", "units"), [("fifo", 10), ("lifo", 60), ("average", 60)])
def test_given_lots_come_to_a_position(policy: str, units: int) -> None:
    """50 of C were there on the 3rd, and 100 are given for B: 60 are sold on the 8th, before the 9th."""
    feed = exchange(
        sessions(FIRST, 10), actions=given("spin_off", into="C", ratio="1", amount="2"), A=10, B=10, C=10
    )
    steps = (both(SWAP[0], buy("C", 50)), SWAP[1], nothing, sell("C", 60))
    (text,) = violations(play(feed, *steps, days=3, initial_cash=1500, lot_policy=policy))
    assert text.startswith(f"sells {units} C bought with money that settles at 2024-01-09T14:30:00Z")
