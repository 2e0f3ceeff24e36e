"""Positions that are not paid for: variation margin, closing, the end and splits, worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

import ml4t.reference
from ml4t.core.errors import ConfigError, DataError
from ml4t.core.models import FundingOut

from .margins import RICH, action, gains, margined, navs, settled_at
from .purses import (
    DAY,
    HOUR,
    FlatFee,
    Row,
    Step,
    buy,
    column,
    day,
    model,
    money,
    nothing,
    play,
    postings,
    sell,
)
from .test_conversions import Flat

CORN = {"USD.ZC": [367.25, 367.25, 377.5, 376.0, 363.0]}


# -- variation margin ----------------------------------------------------------------------------------------


def test_a_future_is_paid_each_day_what_its_settlement_price_has_moved() -> None:
    """2 x 50 x (377.5 - 367.25), x (376 - 377.5), x (363 - 376); at its entry nothing but the fee moves."""
    tables = play(margined(CORN, fee_model=model(FlatFee(1.0))), buy("USD.ZC", 2))
    assert postings(tables) == [
        ("fee", "USD", "fees", "cash", 1),
        ("variation_margin", "USD", "cash", "realized_pnl", 1025),
        ("variation_margin", "USD", "realized_pnl", "cash", 150),
        ("variation_margin", "USD", "realized_pnl", "cash", 1300),
    ]
    assert [at for _, at, _ in gains(tables)] == [3, 4, 5]
    margin = [row for row in tables["ledger"] if row["kind"] == "variation_margin"]
    assert {(row["symbol"], row["order_id"], row["fill_id"]) for row in margin} == {("USD.ZC", None, None)}
    # Nothing is held that could be sold, and all that was gained is cash.
    found = navs(tables, "cash", "equity", "long_value", "open_pnl", "realized_pnl", "unrealized_pnl")
    assert found == [
        (cash, cash, 0, 0, cash - 9_999 if at else 0, 0)
        for at, cash in enumerate([10_000, 9_999, 11_024, 10_874, 9_574])
    ]
    assert navs(tables, "gross_exposure", "net_exposure")[2:] == [(37_750,) * 2, (37_600,) * 2, (36_300,) * 2]
    assert navs(tables, "leverage")[2] == (37_750 / 11_024,)


def test_positions_keep_their_entry_and_show_what_is_not_settled() -> None:
    spec = margined(CORN, settlements=settled_at((3, 377.0)))
    rows = play(spec, buy("USD.ZC", 2))["positions"]
    names = ("quantity", "avg_price", "mark_price", "market_value", "unrealized_pnl")
    assert [tuple(row[name] for name in names) for row in rows][1:3] == [
        # 377.5 less 377, the price at which it was settled; 376 less that.
        (2, 367.25, 377.5, 37_750, 50),
        (2, 367.25, 376.0, 37_600, -100),
    ]


def test_what_was_bought_between_settlements_is_settled_from_its_price() -> None:
    """4 at 100, half of them and then the rest closed with a flip to 3 short, and that covered."""
    spec = margined(
        {"USD.F": [100, 110, 115, 105, 101]}, opens=[100, 100, 112, 108, 101], fee_model=model(FlatFee(1.0))
    )
    tables = play(spec, buy("USD.F", 4), sell("USD.F", 2), sell("USD.F", 5), buy("USD.F", 3))
    assert gains(tables) == [
        ("variation_margin", 2, 2000),  # 4 x 50 x (110 - 100)
        ("realized", 2, 200),  # 2 x 50 x (112 - 110)
        ("variation_margin", 3, 500),  # 2 x 50 x (115 - 110)
        ("realized", 3, -700),  # 2 x 50 x (108 - 115)
        ("variation_margin", 4, 450),  # 3 x 50 x (108 - 105)
        ("realized", 4, 600),  # 3 x 50 x (105 - 101)
    ]
    # Round trips go from entry to exit, whatever was settled between.
    trips = [(row["entry_price"], row["exit_price"], row["gross_pnl"]) for row in tables["round_trips"]]
    assert trips == [(100, 112, 1200), (100, 108, 800), (108, 101, 1050)]
    assert navs(tables, "realized_pnl", "fees")[-1] == (3050, 4)
    assert {row["kind"] for row in tables["ledger"]} == {"deposit", "fee", "variation_margin", "realized"}
    # 3 short at 105, then nothing.
    assert navs(tables, "short_value", "gross_exposure", "net_exposure")[3:] == [
        (0, 15_750, -15_750),
        (0, 0, 0),
    ]


def test_settlement_prices_of_their_own_take_the_place_of_closes() -> None:
    """50 x (104 - 100) at the close of a day of 100, then 50 x (111 - 104) at noon of another."""
    prices = settled_at((-1, 90.0), (2, 104.0), (3.5, 111.0))
    spec = margined({"USD.F": [100, 100, 110, 120]}, settlements=prices)
    calls: list[int] = []
    look: Step = lambda broker: calls.append(broker.get_position("USD.F").market_value)  # noqa: E731
    tables = play(spec, buy("USD.F", 1), look, look, look, look)
    assert gains(tables) == [("variation_margin", 2, 200), ("variation_margin", 3.5, 350)]
    # The mark stays what it was: what was settled above it is owed.
    assert navs(tables, "cash", "open_pnl", "unrealized_pnl", "equity") == [
        (10_000, 0, 0, 10_000),
        (10_200, -200, -200, 10_000),
        (10_200, 300, 300, 10_500),
        (10_550, 450, 450, 11_000),
    ]
    # Nobody is called at noon, and nothing written down.
    assert calls == [5000, 5500, 6000]
    assert len(tables["portfolio_history"]) == 4


def test_a_price_of_before_the_data_is_left_out_and_still_takes_the_place_of_closes() -> None:
    spec = margined({"USD.F": [100, 100, 110]}, settlements=settled_at((-1, 90.0)))
    assert gains(play(spec, buy("USD.F", 1))) == []


def test_without_prices_it_is_settled_as_sessions_of_its_own_calendar_close() -> None:
    """Sessions that end at noon: the open of that day is its mark then."""
    spec = margined({"USD.F": [100, 100, 110, 120]}, opens=[100, 100, 108, 117])
    noon = spec["calendars"][0]["frame"]
    noon = noon.with_columns(close_ns=noon["close_ns"] - 12 * HOUR)
    spec["calendars"].append({"name": "noon", "frame": noon})
    spec["instruments"][0]["calendar"] = 1
    calls: list[object] = []
    tables = play(spec, buy("USD.F", 1), *[calls.append] * 9)
    assert gains(tables) == [("variation_margin", 2.5, 400), ("variation_margin", 3.5, 450)]
    assert len(calls) == 3


def test_several_are_settled_by_their_index_and_each_is_converted_by_itself() -> None:
    paths = {"EUR.F": [100, 100, 110], "USD.F": [100, 100, 90]}
    spec = margined(paths, [(0, "EUR/USD", 1.1)], account=RICH | {"conversion": "always"})
    spec["settlements"] = [{"ts": day(3), "instrument": 1, "price": 91.0}]
    tables = play(spec, lambda broker: (broker.buy("USD.F", 1), broker.buy("EUR.F", 1)))
    assert postings(tables) == [
        ("variation_margin", "EUR", "cash", "realized_pnl", 500),
        ("conversion", "EUR", "exchange", "cash", 500),
        ("conversion", "USD", "cash", "exchange", 550),
        ("variation_margin", "USD", "realized_pnl", "cash", 450),
    ]
    (row,) = tables["conversions"]
    assert (row["symbol"], row["cause"]) == ("EUR.F", "automatic")


def test_variation_margin_comes_before_funding_and_after_dividends() -> None:
    spec = margined({"USD.F": [100, 100, 110]}, funding_model=model(Flat(FundingOut(-3.0))))
    spec["funding"] = [{"ts": day(3), "instrument": 0, "rate": 0.1, "short_rate": 0.1, "mark": 100.0}]
    spec["actions"] = [action(2, "cash_dividend", amount="2", pay_ts=day(3))]
    tables = play(spec, buy("USD.F", 1))
    # The dividend of day 2 takes the mark to 98 after it was settled at 100, until the first print.
    kinds = ["dividend", "dividend_payment", "variation_margin", "funding"]
    assert [row[0] for row in postings(tables)] == kinds
    assert gains(tables) == [("variation_margin", 3, 500)]


# -- settled on close ----------------------------------------------------------------------------------------


def test_a_perpetual_pays_nothing_but_funding_until_it_is_closed() -> None:
    """2 x 10 x (130 - 100), half of it as half is sold; 3 of funding a day in between."""
    spec = margined({"USD.P": [100, 100, 120, 130, 130]}, settlement="on_close", multiplier="10")
    spec |= {"funding_model": model(Flat(FundingOut(-3.0)))}
    spec["funding"] = [
        {"ts": day(2 + n), "instrument": 0, "rate": 0.1, "short_rate": 0.1, "mark": 100.0} for n in (0, 1)
    ]
    tables = play(spec, buy("USD.P", 2), nothing, sell("USD.P", 1))
    assert postings(tables) == [
        ("funding", "USD", "funding", "cash", 3),
        ("funding", "USD", "funding", "cash", 3),
        ("realized", "USD", "cash", "realized_pnl", 300),
    ]
    assert navs(tables, "cash", "open_pnl", "equity", "gross_exposure") == [
        (10_000, 0, 10_000, 0),
        (9_997, 0, 9_997, 2000),
        (9_994, 400, 10_394, 2400),
        (10_294, 300, 10_594, 1300),
        (10_294, 300, 10_594, 1300),
    ]


@pytest.mark.parametrize(("conversion", "sold"), [("when_short", "0"), ("always", "66.666666667")])
def test_a_currency_pair_brings_its_gain_and_never_its_notional(conversion: str, sold: str) -> None:
    """10,000 EUR/JPY from 160 to 161 are 10,000 JPY, at 150 66.67 USD; 1.6 million JPY never move."""
    spec = margined(
        {"JPY.EURJPY": [160, 160, 161, 161]},
        [(0, "USD/JPY", 150.0)],
        settlement="on_close",
        multiplier="1",
        account=RICH | {"conversion": conversion},
    )
    tables = play(spec, buy("JPY.EURJPY", 10_000), sell("JPY.EURJPY", 10_000))
    assert postings(tables, "trade", "realized") == [("realized", "JPY", "cash", "realized_pnl", 10_000)]
    assert [(row["amount"], row["value"]) for row in tables["conversions"]] == (
        [] if sold == "0" else [(-10_000, money(sold))]
    )
    assert navs(tables, "equity")[-1] == pytest.approx((10_066.666667,), abs=1e-6)
    yen = [row for row in tables["balances"] if row["currency"] == "JPY"]
    assert yen[2]["open_pnl"] == yen[2]["long_value"] == yen[2]["short_value"] == 0
    assert yen[-1]["cash"] == (10_000 if sold == "0" else 0)
    # 1.6 million at 150 are 10,666.67 dollars.
    assert navs(tables, "gross_exposure")[1] == pytest.approx((10_666.666667,), abs=1e-6)


def test_balances_and_portfolio_show_what_is_open_in_each_currency() -> None:
    """10,000 JPY are open for a day; equity has them at 150 and the pair at 161 x 10,000."""
    spec = margined(
        {"JPY.EURJPY": [160, 160, 161, 161]}, [(0, "USD/JPY", 150.0)], settlement="on_close", multiplier="1"
    )
    tables = play(spec, sell("JPY.EURJPY", 10_000))
    yen = [row for row in tables["balances"] if row["currency"] == "JPY"]
    assert [(row["cash"], row["open_pnl"]) for row in yen] == [(0, 0)] * 3 + [(0, -10_000)] * 2
    assert yen[-1]["value"] == money("-66.666666666666666667")
    assert navs(tables, "open_pnl", "equity", "short_value")[-1] == pytest.approx(
        (-66.6666667, 9933.3333333, 0)
    )
    assert navs(tables, "gross_exposure", "net_exposure")[-1] == pytest.approx(
        (10_733.3333333, -10_733.3333333)
    )


# -- lots ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "realized", "rest"), [("average", -250, -550), ("lifo", -300, -500), ("fifo", -200, -600)]
)
def test_what_is_closed_takes_its_share_of_what_was_settled(policy: str, realized: int, rest: int) -> None:
    """3 at 100, settled at 110; 1 at 112; 2 sold at 108; the rest is settled at 105. In all -800 of 1,500.

    The pool stands at 15,000 + 1,500 + 5,600, half of which leaves for 10,800. The newest lot stands at 5,600
    and one of the old ones at 5,500; two old ones at 11,000.
    """
    spec = margined({"USD.F": [100, 110, 110, 105, 105]}, opens=[100, 100, 112, 108, 105])
    # Settled at the second close and the fourth alone.
    spec["settlements"] = settled_at((2, 110.0), (4, 105.0))
    spec["account"] |= {"lot_policy": policy}
    tables = play(spec, buy("USD.F", 3), buy("USD.F", 1), sell("USD.F", 2))
    assert gains(tables) == [
        ("variation_margin", 2, 1500),
        ("realized", 3, realized),
        ("variation_margin", 4, rest),
    ]


def test_the_dearest_lot_is_the_one_of_the_dearest_entry() -> None:
    """Both stand at 110 after their settlement, so entries decide: 108 goes before 100."""
    spec = margined({"USD.F": [100, 100, 110, 105]}, opens=[100, 100, 108, 105])
    spec["account"] |= {"lot_policy": "highest_cost"}
    tables = play(spec, buy("USD.F", 1), buy("USD.F", 1), sell("USD.F", 1))
    assert [row["entry_price"] for row in tables["round_trips"]] == [108]
    assert gains(tables)[1] == ("realized", 3, -250)


# -- corporate actions ---------------------------------------------------------------------------------------


def test_the_fraction_that_a_split_leaves_takes_its_share_of_what_was_settled() -> None:
    """3 at 100, settled at 104, marked at 110; 1 for 2 leaves half a new unit, for 5,500 at a mark of 220.

    A third leaves: 5,000 of cost and 200 of margin, for a gain of 300. The unit that stays has cost 10,000
    and received 400, so it gains 1,100 as it is sold at 230.
    """
    spec = margined({"USD.F": [100, 100, 110, 230, 230]}, settlements=settled_at((2, 104.0)))
    spec["actions"] = [action(3, "split", ratio_den=2)]
    tables = play(spec, buy("USD.F", 3), nothing, nothing, sell("USD.F", 1))
    assert gains(tables) == [("variation_margin", 2, 600), ("cash_in_lieu", 3, 300), ("realized", 4, 1100)]
    assert navs(tables, "open_pnl", "equity")[2:] == [(600, 11_500), (1100, 12_000), (0, 12_000)]


def test_a_lot_that_a_split_leaves_without_a_unit_hands_on_what_was_settled() -> None:
    """1 at 100 and 1 at 108, both settled at 110, become 1 at 208 with 12 of margin, in points."""
    spec = margined({"USD.F": [100, 100, 110, 230, 230]}, opens=[100, 100, 108, 230, 230])
    spec["actions"] = [action(3, "split", ratio_den=2)]
    tables = play(spec, buy("USD.F", 1), buy("USD.F", 1), nothing, sell("USD.F", 1))
    assert gains(tables) == [("variation_margin", 3, 600), ("variation_margin", 4, 500)]
    (trip,) = tables["round_trips"]
    assert (trip["entry_price"], trip["exit_price"], trip["gross_pnl"]) == (208, 230, 1100)


END = {"USD.F": [100, 100, 110, 110, 110]}


@pytest.mark.parametrize(
    ("rows", "at", "amount", "margin", "paid", "price"),
    [
        # Settled at the close at 110, and finally at an amount.
        ([], 3.5, "115.5", 1000, 550, 115.5),
        ([], 3.5, "0", 1000, -11_000, 0),
        # At its mark: what was settled above it comes back.
        ([(2, 112.0)], 3.5, "", 1200, -200, 110),
        # At the settlement price of the same instant, as far as there is none of its own.
        ([(3, 112.0)], 3, "", 1200, 0, 112),
        ([(3, 112.0)], 3, "113", 1200, 100, 113),
        # The one of another instant is a price of before.
        ([(2, 104.0), (3.25, 112.0)], 3.5, "", 1200, -200, 110),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_an_instrument_that_ends_is_settled_for_the_last_time(  # noqa: PLR0913
    rows: list[tuple[float, float]],
    at: float,
    amount: str,
    margin: int,
    paid: int,
    price: float,
    sign: int,
) -> None:
    spec = margined(END, settlements=settled_at(*rows), account=RICH | {"initial_cash": "20000"})
    spec["actions"] = [action(at, "cash_out", amount=amount)]
    tables = play(spec, buy("USD.F", 2) if sign > 0 else sell("USD.F", 2))
    found = gains(tables)
    assert sum(each for kind, _, each in found if kind == "variation_margin") == margin * sign
    assert [each for kind, _, each in found if kind == "cash_out"] == ([paid * sign] if paid else [])
    (trip,) = tables["round_trips"]
    assert (trip["exit_price"], trip["gross_pnl"]) == (price, (price - 100) * 100 * sign)
    assert trip["exit_order_id"] is None
    assert navs(tables, "cash", "equity", "gross_exposure")[-1] == (
        20_000 + (margin + paid) * sign,
        20_000 + (margin + paid) * sign,
        0,
    )


@pytest.mark.parametrize(
    ("amount", "paid"),
    [
        # A price is settled exactly, as a variation margin is; anything finer is an amount of money.
        ("115.0025", "100.05"),
        ("115.00250000005", "100.1"),
    ],
)
def test_an_amount_that_is_no_price_is_rounded_to_the_posting_quantum(amount: str, paid: str) -> None:
    spec = margined(END, multiplier="10", account=RICH | {"posting_quantum": "0.1"})
    spec["actions"] = [action(3.5, "cash_out", amount=amount)]
    assert gains(play(spec, buy("USD.F", 2)))[1] == ("cash_out", 3.5, money(paid))


def test_a_settlement_price_follows_a_split_of_the_instant_at_which_all_ends() -> None:
    """2 at 100 settled at 112, then 2 for 1, then the end: 4 at 56."""
    spec = margined(END, settlements=settled_at((3, 112.0)))
    spec["actions"] = [action(3, "split", ratio_num=2), action(3, "cash_out")]
    tables = play(spec, buy("USD.F", 2))
    assert gains(tables) == [("variation_margin", 3, 1200)]
    assert (tables["round_trips"][0]["exit_price"], tables["round_trips"][0]["gross_pnl"]) == (56, 1200)


# -- what a strategy sees, and attribution -------------------------------------------------------------------


def test_a_strategy_sees_notional_and_what_is_not_settled() -> None:
    spec = margined({"USD.F": [100, 100, 110, 110]}, settlements=settled_at((2, 104.0)))
    seen: list[Any] = []
    look: Step = lambda broker: seen.append((broker.get_position("USD.F"), broker.get_account_value()))  # noqa: E731
    play(spec, buy("USD.F", 2), nothing, look)
    position, worth = seen[0]
    assert (position.market_value, position.unrealized_pnl, position.realized_pnl) == (11_000, 600, 400)
    assert (position.avg_price, position.mark_price, worth) == (100, 110, 11_000)


def test_before_any_price_is_known_a_position_is_worth_what_it_was_settled_at() -> None:
    """Rows arrive two days late: bought at 100 and settled at 104 while nobody knows a price."""
    spec = margined({"USD.F": [100, 100, 110, 120]}, settlements=settled_at((1.75, 104.0)))
    feed = spec["feeds"][0]
    feed["frame"] = feed["frame"].with_columns(ts_arrival=feed["frame"]["ts_event"] + 2 * DAY)
    run = ml4t.reference.Run(spec)
    seen: list[Any] = []

    def look() -> None:
        position = run.broker.get_position("USD.F")
        assert position is not None
        values = (position.market_value, position.unrealized_pnl, position.mark_price)
        seen.append((*values, run.broker.get_account_value(), run.broker.buying_power))

    run.add_timers([day(0) + HOUR], lambda: run.broker.buy("USD.F", 2), "buy")
    run.add_timers([day(1) + 12 * HOUR, day(2) + HOUR, day(3) + HOUR], look, "look")
    run.execute({})
    assert seen == [
        (10_000, 0, 100, 10_000, 90_000),
        (10_400, 0, 100, 10_400, 93_600),
        # The first row has arrived: at 100 it has lost what it has received.
        (10_000, -400, 100, 10_000, 90_000),
    ]


def test_attribution_of_a_future_is_what_its_price_has_done() -> None:
    """Variation margin is no part of its own; fees are; nothing is left over, in two currencies neither."""
    spec = margined(
        {"EUR.F": [100, 110, 115, 105, 101]},
        [(0, "EUR/USD", 1.25), (3, "EUR/USD", 1.5)],
        opens=[100, 100, 112, 108, 101],
        settlements=settled_at((2, 108.0), (3.5, 109.0)),
        fee_model=model(FlatFee(2.0)),
    )
    tables = play(spec, buy("EUR.F", 4), sell("EUR.F", 2), sell("EUR.F", 5), buy("EUR.F", 3))
    rows = [row for row in tables["attribution"] if row["symbol"] == "EUR.F"]
    # 4 x 50 x 10 EUR at 1.25; 2 x 50 x (2 + 5) at 1.5; 2 x 50 x -7 + 3 x 50 x 3 at 1.5; 3 x 50 x 4.
    assert [row["price"] for row in rows] == [2500, 1050, -375, 900]
    assert [row["fees"] for row in rows] == [money("-2.5"), -3, -3, -3]
    # 400 EUR were open as the rate moved by 0.25, and what was cash then is of the account.
    assert [row["fx"] for row in rows][:2] == [0, 100]
    equity = [money(str(row[0])) for row in navs(tables, "equity")]
    for at, session in enumerate(sorted({row["session"] for row in tables["attribution"]})):
        total = sum(row["total"] for row in tables["attribution"] if row["session"] == session)
        assert total == equity[at] - (equity[at - 1] if at else 0)


# -- descriptions --------------------------------------------------------------------------------------------


def test_what_is_paid_for_has_no_settlement_prices() -> None:
    spec = margined(CORN, settlement="upfront", settlements=settled_at((2, 104.0)))
    with pytest.raises(DataError, match=r"USD\.ZC has settlement prices and settles upfront"):
        ml4t.reference.Run(spec)


def test_other_kinds_of_settlement_are_refused() -> None:
    with pytest.raises(ConfigError, match="settlement 'weekly' is not covered; covered are upfront, daily"):
        ml4t.reference.Run(margined(CORN, settlement="weekly"))


def test_an_instrument_that_is_paid_for_says_so_or_nothing() -> None:
    paths = {"USD.A": [10.0, 10.0, 12.0, 11.0]}
    said: Row = margined(paths, settlement="upfront", multiplier="1")
    unsaid = margined(paths, multiplier="1")
    for each in unsaid["instruments"]:
        del each["settlement"]
    steps = [buy("USD.A", 100), sell("USD.A", 150), buy("USD.A", 50)]
    assert play(said, *steps) == play(unsaid, *steps)
    assert "trade" in column(play(said, *steps), "ledger", "kind")
