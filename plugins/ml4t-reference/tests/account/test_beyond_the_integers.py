"""Numbers that 64 bits of a step or 128 bits of money do not hold: refused orders, or the end of the run."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from ml4t.backtest import Results, TakeProfit
from ml4t.core.errors import NumericOverflowError

from .play import DAY, Action, both, buy, fills, market, play, sent

MOST = 9 * 10**18
RICH = {"initial_cash": 10**17}


def split(ratio: str) -> pl.DataFrame:
    rows = {"symbol": ["A"], "ex_date": [DAY.replace(day=3)], "kind": ["split"], "ratio": [ratio]}
    return pl.DataFrame(rows)


def limits(count: int) -> Action:
    """Send limits that wait for want of cash and set 1.62e19 aside each; money ends at 1.7e20."""
    return both(*(buy(MOST, limit_price="1.8") for _ in range(count)))


def waiting(count: int) -> Results:
    policies = {"insufficient_cash": "wait"}
    return play(market(10, 10), limits(count), policies=policies, **RICH)


def entered(rule: TakeProfit) -> Action:
    return both(lambda broker: broker.set_position_rules(rule), buy(1))


RUNS: dict[str, tuple[Callable[[], object], str]] = {
    "a position": (
        lambda: play(market(0.01, 0.01, 0.01), both(buy(MOST), buy(MOST)), buying_power="unlimited", **RICH),
        "the position in A after a fill of order 2 does not fit",
    ),
    "the value of a position": (
        lambda: play(market(0.01, 0.01, 9e9), buy(MOST // 10), **RICH),
        "the value of the position in A does not fit",
    ),
    "what orders set aside together": (
        lambda: waiting(11),
        "what working orders leave of the buying power does not fit",
    ),
    "the level of a rule": (
        lambda: play(market(10, 10), entered(TakeProfit(pct=1e9)), **RICH),
        "the level of the rule take_profit of A does not fit",
    ),
    "a position after a split": (
        lambda: play(market(10, 10, 10, actions=split(str(2**62))), buy(1000), **RICH),
        "the position in A after its split does not fit",
    ),
    "an order after a split": (
        lambda: play(market(10, 10, 10, actions=split(str(2**62))), buy(1000, limit_price=5), **RICH),
        "order 1 of A after its split does not fit",
    ),
    "a price after a split": (
        lambda: play(market(10, 10, 10, actions=split(f"1/{2**62}")), buy(1000, limit_price=5), **RICH),
        "order 1 of A after its split does not fit",
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_what_no_integer_holds_ends_the_run(name: str) -> None:
    run, words = RUNS[name]
    with pytest.raises(NumericOverflowError, match=words):
        run()


def test_what_orders_set_aside_may_be_more_than_there_is() -> None:
    assert sent(waiting(10)) == [(MOST, "END_OF_DATA")] * 10


@pytest.mark.parametrize("terms", [{"limit_price": 9e9}, {"stop_price": 9e9}])
def test_an_order_that_costs_more_than_any_ledger_holds_is_refused(terms: dict[str, float]) -> None:
    results = play(market(10, 10), both(buy(MOST, **terms), buy(1)), **RICH)
    assert sent(results) == [(MOST, "INSUFFICIENT_BUYING_POWER"), (1.0, "")]
    assert (
        "needs buying power of 81000000000000000000000000000, 100000000000000000 is free"
        in (results.orders["reason"][0])
    )
    assert fills(results) == [(10.0, 1.0)]
