"""Instructions: post only, reduce only, all or none, and how much of an order is shown."""

from __future__ import annotations

from ml4t.backtest import Instrument

from .market import BAR, FLAT, Action, at, daily, ends, fills, play, prints, send


def test_a_post_only_order_that_the_market_made_wait_makes() -> None:
    steps = {0: send("buy", limit_price=99, post_only=True)}
    results = play(daily(FLAT, (100, 100, 100, 100), (98, 98, 98, 98)), steps)
    assert results.fills.select("price", "liquidity").rows() == [(98.0, "maker")]
    assert results.orders["instructions"].to_list() == ["post_only"]


def test_a_reduce_only_order_fills_what_closes_the_position_and_ends() -> None:
    steps: dict[int, Action] = {0: send("buy", 6), 1: send("sell", 10, reduce_only=True)}
    results = play(daily(FLAT, FLAT, BAR), steps)
    assert fills(results) == [(100.0, 6.0), (100.0, 6.0)]
    assert ends(results) == [("filled", ""), ("canceled", "NOTHING_TO_REDUCE")]
    last = results.order_events.filter(order_id=2)["status"].to_list()
    assert last == ["submitted", "accepted", "partially_filled", "canceled"]


def test_a_reduce_only_order_may_be_sent_while_nothing_is_held_and_costs_no_buying_power() -> None:
    seen: list[float] = []
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.sell("A", 10, limit_price=103, reduce_only=True),
            now.broker.buy("A", 10, limit_price=98),
        ),
        1: lambda now: seen.append(now.broker.buying_power),
    }
    results = play(
        daily(FLAT, BAR, (102, 104, 102, 103)), steps, initial_cash=1000, leverage=1, allows_short=False
    )
    # In the second bar the buy fills at 98.00; the sell at 103.00 comes after it, in the same bar.
    assert fills(results) == [(98.0, 10.0), (103.0, 10.0)]
    assert seen == [1050.0]


def test_an_all_or_none_order_waits_for_a_bar_that_gives_all_of_it() -> None:
    steps = {0: send("buy", 80, all_or_none=True)}
    results = play(
        daily(FLAT, (*FLAT, 500), (*FLAT, 1000), FLAT),
        steps,
        fill_model={"type": "Default", "volume_limit": 0.1},
    )
    assert results.fills.select("quantity", "ts_event").rows() == [(80.0, at(4))]


def test_a_resting_limit_shows_so_much_on_prints_and_nothing_is_hidden_on_bars() -> None:
    terms = {"limit_price": 99, "display_quantity": 4}
    results = play(prints(100, 100, 99, 98, 97), {0: send("buy", **terms)})
    assert fills(results) == [(99.0, 4.0), (99.0, 4.0), (99.0, 2.0)]
    # Not resting yet, it takes all that it finds.
    assert fills(play(prints(100, 98, 97), {0: send("buy", **terms)})) == [(98.0, 10.0)]
    assert fills(play(daily(FLAT, BAR), {0: send("buy", **terms)})) == [(99.0, 10.0)]


def test_an_all_or_none_order_that_cash_pays_only_in_part_goes_on_working() -> None:
    results = play(
        daily(FLAT, (200, 200, 200, 200), (90, 90, 90, 90)),
        {0: send("buy", 10, all_or_none=True)},
        initial_cash=1000,
        leverage=1,
        allows_short=False,
        policies={"insufficient_cash": "partial"},
    )
    assert fills(results) == [(90.0, 10.0)]


def test_an_order_for_all_that_only_reduces_takes_all_that_can_be_reduced() -> None:
    steps: dict[int, Action] = {
        0: send("buy", 6),
        1: send("sell", 10, reduce_only=True, time_in_force="fok"),
    }
    results = play(daily(FLAT, FLAT, BAR), steps)
    assert fills(results) == [(100.0, 6.0), (100.0, 6.0)]
    assert ends(results)[1] == ("canceled", "NOTHING_TO_REDUCE")


def test_instructions_are_listed_in_their_order() -> None:
    steps = {0: send("buy", limit_price=98, all_or_none=True, reduce_only=True, post_only=True)}
    assert play(daily(FLAT, BAR), steps).orders["instructions"].to_list() == [
        "post_only reduce_only all_or_none"
    ]


def test_a_fractional_instrument_shows_whole_lots_of_its_own() -> None:
    feed = daily(FLAT, BAR, instruments=[Instrument.fractional("A", calendar="24/7")])
    results = play(feed, {0: send("buy", 0.5, limit_price=98, display_quantity=0.25)})
    assert results.orders["display_quantity"].to_list() == [0.25]
