"""Unsettled money in several currencies, with fees, short sales, dividends and futures, worked by hand.

Day 0 begins on 1 January 2024, and everything costs 50. A step sends as each day ends; its order fills as the
next one begins, and is a trade of that one. So with two days, as here, what is sold at day 2 is due as day 4
begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ml4t.reference.dealer import Deal
from ml4t.reference.unsettled import NEVER, Parcel, Spent, TradeSettlement, Unsettled, Use

from .margins import action, margined
from .purses import FlatFee, Row, Spread, both, buy, convert, describe, model, nothing, play, sell
from .settling import Seen

RATES = [(day, "EUR/USD", 1.1) for day in range(7)]
BOTH = {"EUR.A": [50.0] * 6, "USD.B": [50.0] * 6}
EARLY = (
    "sells 100 EUR.A bought with money that settles at 2024-01-05T00:00:00Z: good-faith violation 1 of 3 "
    "within 12 months (2024-01-04T00:00:00Z)"
)


def account(unsettled: str = "good_faith", days: int = 2, **others: Any) -> Row:  # noqa: ANN401
    """Return the description of an account whose trades settle later."""
    return {"settlement": {"days": [[-(2**31), days]], "unsettled": unsettled}, **others}


def told(tables: Mapping[str, list[Row]]) -> list[str]:
    """Return the sentences of good-faith violations."""
    return [row["reason"] for row in tables["order_events"] if row["reason_code"] == "GOOD_FAITH_VIOLATION"]


def refused(tables: Mapping[str, list[Row]]) -> list[tuple[str, str]]:
    """Return why orders were refused."""
    return [(row["reason_code"], row["reason"]) for row in tables["orders"] if row["status"] == "rejected"]


# -- conversions ---------------------------------------------------------------------------------------------


def test_what_is_sold_at_once_for_the_base_currency_stays_unsettled() -> None:
    """5,000 EUR are 5,500 of 10,000 USD and come back as such: due on day 4."""
    seen = Seen()
    look = seen.look("USD", "EUR")
    spec = describe(BOTH, RATES, account=account(conversion="always"))
    play(spec, buy("EUR.A", 100), sell("EUR.A", 100), look, look)
    assert seen == [(10_000, 4_500, 0, 0), (10_000, 10_000, 0, 0)]


def test_what_stays_in_its_currency_is_unsettled_there() -> None:
    """Of all together 4,500 have settled, and 5,000 EUR are worth 5,500 USD."""
    seen = Seen()
    spec = describe(BOTH, RATES, account=account())
    play(spec, buy("EUR.A", 100), sell("EUR.A", 100), both(seen.look("USD", "EUR"), seen.look()))
    assert seen == [(4_500, 4_500, 5_000, 0), (10_000, 4_500)]


SWAP = (buy("USD.B", 200), both(sell("USD.B", 200), buy("EUR.A", 100)))


def test_money_that_was_converted_is_as_unsettled_as_what_it_was_bought_with() -> None:
    """5,500 of the 10,000 USD of day 4 buy 5,000 EUR, which pay for A at once."""
    seen = Seen()
    look = seen.look("USD", "EUR")
    tables = play(describe(BOTH, RATES, account=account()), *SWAP, both(look, sell("EUR.A", 100)), look)
    assert seen == [(4_500, 0, 0, 0), (4_500, 4_500, 5_000, 0)]
    assert told(tables) == [EARLY]
    assert told(play(describe(BOTH, RATES, account=account()), *SWAP, nothing, sell("EUR.A", 100))) == []


def test_settled_money_of_the_base_currency_pays_for_foreign_shares_first() -> None:
    """5,500 of 15,500 USD were not spent on B, and are what 5,000 EUR cost; a unit less is not."""
    for cash, sentences in (("15500", []), ("15499.99", [EARLY])):
        spec = describe(BOTH, RATES, account=account(initial_cash=cash))
        assert told(play(spec, *SWAP, sell("EUR.A", 100))) == sentences


def test_money_that_is_asked_for_stays_unsettled() -> None:
    """2,000 EUR cost 2,200 of the 5,000 USD of day 4."""
    seen = Seen()
    look = seen.look("USD", "EUR")
    steps = (buy("USD.B", 100), both(sell("USD.B", 100), convert("EUR", 2_000)), look, look)
    play(describe(BOTH, RATES, account=account(initial_cash="5000")), *steps)
    assert seen == [(2_800, 0, 2_000, 0), (2_800, 2_800, 2_000, 2_000)]


def test_a_conversion_loses_of_what_is_unsettled_what_it_costs() -> None:
    """1,000 EUR, 500 of them settled, at 1.0989 less 2 are 1,096.90 USD: 548.45 of them are unsettled."""
    seen = Seen()
    purse = account(initial_balances={"EUR": "5500"})
    spec = describe(BOTH, RATES, account=purse, fx_model=model(Spread(0.001, 2.0)))
    play(spec, buy("EUR.A", 100), both(sell("EUR.A", 100), convert("EUR", -1_000)), seen.look("USD", "EUR"))
    assert seen == [(11_096.9, 10_548.45, 4_500, 0)]


@pytest.mark.parametrize(
    ("deal", "spent", "back"),
    [
        # 1 x 3 / 2 and 1 x 5 / 2: halves to even.
        (Deal(currency="EUR", amount=-2, value=3, cost=0), [("EUR", 7, 1)], [("USD", 7, 2)]),
        (Deal(currency="EUR", amount=-2, value=7, cost=2), [("EUR", 7, 1)], [("USD", 7, 2)]),
        # Half a unit is none; of the other parts each is rounded by itself.
        (Deal(currency="EUR", amount=-2, value=1, cost=0), [("EUR", 7, 1)], []),
        (
            Deal(currency="EUR", amount=-4, value=6, cost=0),
            [("EUR", 7, 1), ("EUR", 8, 3)],
            [("USD", 7, 2), ("USD", 8, 4)],
        ),
        # Bought: 6 are paid for 4, and what else was spent meanwhile stays away.
        (Deal(currency="EUR", amount=4, value=5, cost=1), [("USD", 7, 3), ("EUR", 7, 3)], [("EUR", 7, 2)]),
        # Nothing comes of what brings nothing, or is free.
        (Deal(currency="EUR", amount=-2, value=3, cost=3), [("EUR", 7, 1)], []),
        (Deal(currency="EUR", amount=2, value=3, cost=-3), [("USD", 7, 1)], []),
        # What is due is settled.
        (Deal(currency="EUR", amount=-2, value=2, cost=0), [("EUR", 6, 1)], []),
    ],
)
def test_parts_that_come_back_are_whole_units(
    deal: Deal, spent: list[tuple[str, int, int]], back: list[tuple[str, int, int]]
) -> None:
    """At 6; amounts are the smallest units of the ledger."""
    unsettled = Unsettled(TradeSettlement((), Use.USABLE), ())
    unsettled.convert(deal, "USD", [Spent(currency, Parcel(due, size)) for currency, due, size in spent], 6)
    found = [(name, each.due, each.amount) for name, kept in unsettled.parcels.items() for each in kept]
    assert found == back


def test_parcels_of_one_time_go_as_they_came() -> None:
    """3 and 4 of time 8, and 5 of time 7 after them: 10 are taken, 2 of the last one stay."""
    unsettled = Unsettled(TradeSettlement((), Use.USABLE), ())
    for due, amount in ((8, 3), (8, 4), (7, 5)):
        unsettled.bring("USD", Parcel(due, amount), 0)
    with unsettled.noting() as spent:
        unsettled.follow("USD", 2, 0)
    assert [each.parcel for each in spent] == [Parcel(7, 5), Parcel(8, 3), Parcel(8, 2)]
    assert unsettled.amount("USD", 7) == 2
    assert unsettled.amount("USD", 8) == 0
    # Cash below zero has nothing that could be unsettled.
    unsettled.follow("USD", -1, 0)
    assert unsettled.amount("USD", 0) == 0


# -- held ----------------------------------------------------------------------------------------------------


def test_held_money_is_not_converted() -> None:
    """2,200 of 5,000 unsettled USD would be needed, and 1,000 of 5,000 EUR."""
    steps = (
        buy("USD.B", 100),
        both(sell("USD.B", 100), convert("EUR", 2_000)),
        nothing,
        convert("EUR", 2_000),
    )
    tables = play(describe(BOTH, RATES, account=account("held", initial_cash="5000")), *steps)
    assert [(row["status"], row["reason"]) for row in tables["conversions"]] == [
        ("refused", "buying 2000 EUR needs 2200 USD, the account has 0 (2024-01-04T00:00:00Z)"),
        ("executed", ""),
    ]
    purse = account("held", initial_balances={"EUR": "5000"})
    steps = (buy("EUR.A", 100), both(sell("EUR.A", 100), convert("EUR", -1_000)))
    tables = play(describe(BOTH, RATES, account=purse), *steps)
    assert tables["conversions"][0]["reason"] == (
        "selling 1000 EUR needs 1000 EUR, the account has 0 (2024-01-04T00:00:00Z)"
    )


def test_held_money_of_the_base_currency_buys_no_foreign_shares() -> None:
    """5,500 of 10,000 unsettled USD: refused at intake a day later, and at the fill of the same day."""
    seen = Seen()
    spec = describe(BOTH, RATES, account=account("held"))
    tables = play(spec, *SWAP, both(seen.powers(), buy("EUR.A", 100)))
    assert seen == [(0,)]
    assert refused(tables) == [
        (
            "INSUFFICIENT_CASH",
            "buy 100 EUR.A at 50 with fee 0 needs more than the account has: cash 0 EUR and 10000 USD, "
            "buying power 0 (2024-01-03T00:00:00Z)",
        ),
        (
            "INSUFFICIENT_BUYING_POWER",
            "buy 100 EUR.A needs buying power of 5500, 0 is free, 10000 has not settled "
            "(2024-01-04T00:00:00Z)",
        ),
    ]


def test_held_money_of_a_currency_buys_nothing_in_it() -> None:
    """Without conversions the 5,000 EUR that A brings are all there is of them."""
    purse = account("held", conversion="never", initial_balances={"EUR": "5000"})
    tables = play(
        describe(BOTH, RATES, account=purse), buy("EUR.A", 100), sell("EUR.A", 100), *[buy("EUR.A", 100)] * 2
    )
    assert refused(tables) == [
        (
            "INSUFFICIENT_BUYING_POWER",
            "buy 100 EUR.A needs buying power of 5000 EUR, 0 EUR is free, 5000 EUR has not settled "
            "(2024-01-04T00:00:00Z)",
        )
    ]


def test_held_money_of_a_currency_leaves_it_to_the_base_currency() -> None:
    """5,000 EUR are held, 4,500 USD are not: they have to pay for all of 4,500 EUR, and for 4,000.

    What is posted is cash all the same: the purchase leaves 1,000 EUR, of which none has settled.
    """
    looks = Seen()
    steps = (buy("EUR.A", 100), sell("EUR.A", 100), both(buy("EUR.A", 90), buy("EUR.A", 80)))
    spec = describe(BOTH, RATES, account=account("held", days=3))
    tables = play(spec, *steps, looks.look("USD", "EUR"))
    assert [reason for _, reason in refused(tables)] == [
        "buy 90 EUR.A needs buying power of 4950, 4500 is free (2024-01-04T00:00:00Z)"
    ]
    assert looks == [(4_500, 4_500, 1_000, 0)]


def test_orders_of_a_currency_reserve_the_base_currency_while_theirs_is_held() -> None:
    """40 of A at 45 reserve 1,800 EUR, none of which is there: 1,980 of 4,500 USD."""
    later = both(buy("EUR.A", 40, limit_price=45), buy("USD.B", 60))
    tables = play(
        describe(BOTH, RATES, account=account("held")), buy("EUR.A", 100), sell("EUR.A", 100), later
    )
    assert [reason for _, reason in refused(tables)] == [
        "buy 60 USD.B needs buying power of 3000, 2520 is free (2024-01-04T00:00:00Z)"
    ]


def test_held_money_of_the_base_currency_is_told_of_where_nothing_is_converted() -> None:
    purse = account("held", conversion="never")
    tables = play(
        describe(BOTH, RATES, account=purse), buy("USD.B", 200), sell("USD.B", 200), buy("USD.B", 1)
    )
    assert [reason for _, reason in refused(tables)] == [
        "buy 1 USD.B needs buying power of 50, 0 is free, 10000 has not settled (2024-01-04T00:00:00Z)"
    ]


# -- what is unsettled, and what is not ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fee", "settled", "unsettled"),
    [
        # Bought for 501; 499 come of the sale.
        (1.0, 9_499, 499),
        # A rebate is a part of what a sale brings, and what a purchase costs.
        (-1.0, 9_501, 501),
        # A purchase that brings more than it costs: 100, and 1,100 of the sale.
        (-600.0, 10_000, 1_200),
        # A sale that costs more than it brings: 1,100 and 100 of 10,000.
        (600.0, 8_800, 0),
    ],
)
def test_a_fill_brings_what_it_adds_to_cash(fee: float, settled: int, unsettled: int) -> None:
    """10 of B at 50, bought and sold at once, with a fee or a rebate on both."""
    looks = Seen()
    spec = describe(BOTH, RATES, account=account(days=4), fee_model=model(FlatFee(fee)))
    play(spec, buy("USD.B", 10), sell("USD.B", 10), looks.look("USD"))
    assert looks == [(settled + unsettled, settled)]


SHORTS = {"buying_power": "cash", "allows_short": True}


def test_what_a_short_sale_brings_is_unsettled() -> None:
    """10 at 50 sold short bring 500; covering them takes 500 of what has settled."""
    looks = Seen()
    ask = both(looks.powers(), looks.look("USD"))
    spec = describe(BOTH, RATES, account=account("held", days=3, **SHORTS))
    play(spec, sell("USD.B", 10), both(ask, buy("USD.B", 10)), ask, ask)
    assert looks == [(10_000,), (10_500, 10_000), (9_500,), (10_000, 9_500), (10_000,), (10_000, 10_000)]


def test_only_what_is_long_can_be_unpaid() -> None:
    """40 sold short bring 2,000. 60 are bought for 3,000, of which 2,000 are unsettled: 20 are a new lot.

    Of 50 that are sold on the next day 20 are of that lot; 30 are sold short, and covering them is free.
    """
    purse = account(initial_cash="1000", days=3, **SHORTS)
    steps = (sell("USD.B", 40), buy("USD.B", 60), sell("USD.B", 50), buy("USD.B", 30), sell("USD.B", 5))
    tables = play(describe(BOTH, RATES, account=purse), *steps)
    assert told(tables) == [
        "sells 20 USD.B bought with money that settles at 2024-01-05T00:00:00Z: good-faith violation 1 of 3 "
        "within 12 months (2024-01-04T00:00:00Z)"
    ]


def test_dividends_and_the_end_of_an_instrument_bring_settled_money() -> None:
    """10 of A pay 1 each on day 2, and 30 each as it ends on day 3."""
    looks = Seen()
    dividend = action(2, "cash_dividend", amount="1", pay_ts=0)
    spec = describe({"USD.A": [50.0] * 3, "USD.B": [50.0] * 6}, account=account())
    spec["actions"] = [dividend, action(3, "cash_out", amount="30")]
    play(spec, buy("USD.A", 10), looks.look(), looks.look())
    assert looks == [(9_510, 9_510), (9_810, 9_810)]


def test_what_a_future_gains_has_settled() -> None:
    """1 x 50 x (60 - 50) as day 2 ends, when 5,000 of B are unsettled."""
    looks = Seen()
    paths = {"USD.B": [50.0] * 6, "USD.ZC": [50.0, 50.0, 60.0, 60.0, 60.0, 60.0]}
    spec = margined(paths, only=["USD.ZC"], account=account(), fee_model=model(FlatFee(1.0)))
    play(spec, both(buy("USD.B", 100), buy("USD.ZC", 1)), sell("USD.B", 100), looks.look(), looks.look())
    # 10,000 - 5,001 - 1 + 4,999 + 500.
    assert looks == [(10_497, 5_498), (10_497, 10_497)]


def test_held_money_is_no_collateral() -> None:
    """A future of 50 x 50 needs 2,500 of the base currency, of which nothing has settled."""
    paths = {"USD.B": [50.0] * 6, "USD.ZC": [50.0] * 6}
    steps = (
        buy("USD.B", 200),
        both(sell("USD.B", 200), buy("USD.ZC", 1)),
        buy("USD.ZC", 1),
        buy("USD.ZC", 1),
    )
    tables = play(margined(paths, only=["USD.ZC"], account=account("held")), *steps)
    assert refused(tables) == [
        (
            "INSUFFICIENT_CASH",
            "buy 1 USD.ZC at 50 with fee 0 needs more than the account has: cash 10000, buying power 0 "
            "(2024-01-03T00:00:00Z)",
        ),
        (
            "INSUFFICIENT_BUYING_POWER",
            "buy 1 USD.ZC needs buying power of 2500, 0 is free, 10000 has not settled "
            "(2024-01-04T00:00:00Z)",
        ),
    ]


def test_a_future_is_not_bought_with_money() -> None:
    """In good faith 9,999 are its collateral, and 1 of them its fee; it may be sold at any time."""
    paths = {"USD.B": [50.0] * 6, "USD.ZC": [50.0] * 6}
    purse = account(initial_cash="10001")
    spec = margined(paths, only=["USD.ZC"], account=purse, fee_model=model(FlatFee(1.0)))
    looks = Seen()
    steps = (
        buy("USD.B", 200),
        both(sell("USD.B", 200), buy("USD.ZC", 1)),
        both(looks.look(), sell("USD.ZC", 1)),
    )
    tables = play(spec, *steps)
    assert looks == [(9_998, 0)]
    assert refused(tables) == []
    assert told(tables) == []


def test_a_short_position_is_not_bought_with_money() -> None:
    """10 sold short bring 500 and cost 600, of which 100 have not settled; who covers it does no wrong."""
    purse = account(initial_cash="5600", **SHORTS)
    spec = describe(BOTH, RATES, account=purse, fee_model=model(FlatFee(600.0)))
    looks = Seen()
    steps = (buy("USD.B", 100), both(sell("USD.B", 100), sell("USD.B", 10)))
    tables = play(spec, *steps, both(looks.look(), buy("USD.B", 10)))
    assert looks == [(4_300, 0)]
    assert told(tables) == []


def test_a_restriction_ends_at_its_instant() -> None:
    unsettled = Unsettled(TradeSettlement((), Use.GOOD_FAITH), (), restricted_until=8)
    assert [unsettled.is_held(now) for now in (7, 8)] == [True, False]


def test_a_trade_after_which_no_session_comes_never_settles() -> None:
    """The calendar has six days."""
    looks = Seen()
    steps = (*SWAP, sell("EUR.A", 100), nothing, looks.look("EUR"))
    tables = play(describe(BOTH, RATES, account=account(days=29)), *steps)
    assert looks == [(5_000, 0)]
    assert told(tables) == [EARLY.replace("2024-01-05T00:00:00Z", "never")]
    assert NEVER == 2**63 - 1
