"""`[broker] buying_power`: what bounds an account, worked by hand. It begins with 1,000."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import StopLoss
from ml4t.core.errors import ConfigError

from .play import DAY, Action, both, buy, cash, fills, market, nothing, play, powers, sell, sent

CASH: dict[str, Any] = {"buying_power": "cash"}
FEE = {"commission_model": {"type": "PerOrder", "fee": 2.0}}


# -- cash: what is set aside ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "left"),
    [
        # 40 short at 10.00 have brought 400: 1,400.
        (nothing, 1400.0),
        # A purchase sets its whole notional aside, also where it covers: 30 x 5.00; 30 x 12.00; 50 x 5.00.
        (buy(30, limit_price=5), 1250.0),
        (buy(30, stop_price=12), 1040.0),
        (buy(50, limit_price=5), 1150.0),
        (buy(30, limit_price=5, reduce_only=True), 1250.0),
        # A sale sets nothing aside, and none of a limit or stop is freed.
        (sell(500, limit_price=20), 1400.0),
        (sell(500, stop_price=5), 1400.0),
    ],
)
def test_what_works_against_a_short_position(order: Action, left: float) -> None:
    assert powers(sell(40), order, nothing, feed=market(10, 10, 10, 10), **CASH)[2:] == [left, left]


@pytest.mark.parametrize(("bound", "left"), [("equity", [600.0, 600.0]), ("cash", [1400.0, 1400.0])])
def test_the_order_of_a_rule_sets_nothing_aside(bound: str, left: list[float]) -> None:
    """By equity: 1,000 less the 400 that are held short."""

    def guarded(broker: Any) -> None:  # noqa: ANN401
        broker.set_position_rules(StopLoss(pct=0.5))
        broker.sell("A", 40)

    assert powers(guarded, nothing, feed=market(10, 10, 10), buying_power=bound)[1:] == left


def test_a_market_sale_frees_what_it_closes_for_what_is_sent_beside_it() -> None:
    """100 held, no cash: the sale of 150 closes 100, worth 1,000. 80 of B at 10.00 fit, 30 more do not."""

    def turn(broker: Any) -> None:  # noqa: ANN401
        broker.sell("A", 150)
        broker.buy("B", 80)
        broker.buy("B", 30)

    results = play(market(10, 10, 10, B=10), buy(100), turn, **CASH)
    assert sent(results) == [(100, ""), (-150, ""), (80, ""), (30, "INSUFFICIENT_BUYING_POWER")]
    # 0 + 1,500 - 800.
    assert cash(results) == 700.0


def test_a_short_sale_needs_no_cash() -> None:
    """200 at 10.00 are twice the equity, which `equity` refuses. Then 3,000 can be spent, not 3,010."""
    assert sent(play(market(10, 10), sell(200))) == [(-200, "INSUFFICIENT_BUYING_POWER")]
    spend = both(lambda broker: broker.buy("B", 301), lambda broker: broker.buy("B", 300))
    results = play(market(10, 10, 10, B=10), sell(200), spend, **CASH)
    assert sent(results) == [(-200, ""), (301, "INSUFFICIENT_BUYING_POWER"), (300, "")]
    assert cash(results) == 0.0


def test_a_change_sets_aside_what_it_adds() -> None:
    """100 at 5.00 set 500 of 1,000 aside: 201 x 5.00 would need 505 more, 200 need 500."""

    def change(quantity: int) -> Action:
        return lambda broker: broker.modify_order(1, quantity=quantity)

    results = play(market(10, 10, 10, 10), buy(100, limit_price=5), change(201), change(200), **CASH)
    reasons = results.order_events.select("reason_code", "reason").rows()[2:]
    assert reasons[0] == (
        "REPLACE_REJECTED",
        "change refused: it needs buying power of 505 more, 500 is free (A, 2024-01-03T00:00:00Z)",
    )
    assert reasons[1][0] == "REPLACED"


# -- cash: what is paid --------------------------------------------------------------------------------------


def test_a_cover_that_became_too_dear_is_not_paid() -> None:
    """100 short at 10.00: 2,000. At 19.00 a cover of 100 fits, the open of 21.00 takes 2,100."""
    results = play(market(10, 10, 19, 21), sell(100), nothing, buy(100), **CASH)
    assert sent(results) == [(-100, ""), (100, "INSUFFICIENT_CASH")]
    # By equity what only closes is always carried.
    results = play(market(10, 10, 19, 21), sell(100), nothing, buy(100))
    assert fills(results) == [(10, -100), (21, 100)]
    assert cash(results) == -100.0


@pytest.mark.parametrize(
    ("policy", "filled", "code"), [("partial", [(21, 95)], "INSUFFICIENT_CASH"), ("wait", [], "END_OF_DATA")]
)
def test_a_cover_goes_as_far_as_cash_or_waits(
    policy: str, filled: list[tuple[float, float]], code: str
) -> None:
    """2,000 pay 95 x 21.00 = 1,995."""
    policies = {"insufficient_cash": policy}
    results = play(market(10, 10, 19, 21), sell(100), nothing, buy(100), policies=policies, **CASH)
    assert fills(results)[1:] == filled
    assert sent(results)[1] == (100, code)


@pytest.mark.parametrize(("fee", "code", "left"), [(2.0, "", -24.0), (20.0, "INSUFFICIENT_CASH", -40.0)])
def test_a_fill_that_does_not_lower_cash_is_carried_below_zero(fee: float, code: str, left: float) -> None:
    """50 short at 10.00: 1,500, of which 149 of B take 1,490; a dividend of 1.00 on the short leaves -40.

    Two more sold at 9.00 bring 18.00, which a fee of 2.00 leaves above zero and one of 20.00 does not.
    """
    day = {"symbol": "A", "ex_date": DAY.replace(day=4), "pay_date": DAY.replace(day=4)}
    actions = pl.DataFrame([day | {"kind": "cash_dividend", "amount": "1"}])
    feed = market(10, 10, 10, 9, 9, B=10, actions=actions)
    costs = {"commission_model": {"type": "PerShare", "fee": fee / 2}}
    waived = {"initial_cash": 1000 + 199 * fee / 2}
    steps = (sell(50), lambda broker: broker.buy("B", 149), nothing, sell(2))
    results = play(feed, *steps, **CASH, **costs, **waived)
    assert sent(results)[2] == (-2, code)
    assert cash(results) == left


def test_a_sale_that_its_fee_turns_into_a_loss_is_refused_below_zero() -> None:
    """All but 0.50 is spent; one unit sold at 1.00 costs a fee of 2.00 and would leave -0.50."""
    feed = market(1, 1, 1)
    results = play(feed, buy(997), sell(1), initial_cash=999.5, **CASH, **FEE)
    assert sent(results) == [(997, ""), (-1, "INSUFFICIENT_CASH")]
    assert cash(results) == 0.5


@pytest.mark.parametrize("bound", ["equity", "cash"])
def test_nothing_changes_for_an_account_without_short_positions(bound: str) -> None:
    """60 at 10.00, then 40; 41 would be too many. What is sold may be spent beside it."""
    steps = (buy(60), both(buy(41), buy(40)), both(sell(50), buy(50)))
    results = play(market(10, 10, 10, 10), *steps, allows_short=False, buying_power=bound)
    codes = ["", "INSUFFICIENT_BUYING_POWER", "", "", ""]
    assert [code for _, code in sent(results)] == codes
    assert powers(*steps, feed=market(10, 10, 10, 10), allows_short=False, buying_power=bound) == [
        1000.0,
        400.0,
        0.0,
        0.0,
    ]


# -- unlimited -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["reject", "partial", "wait"])
def test_without_bounds_cash_goes_as_far_below_zero_as_it_will(policy: str) -> None:
    """1,000 at 10.00 of 1,000: -9,000, less a fee of 2.00. At 5.00 equity is below zero; 1,000 more fit."""
    found: list[float] = []

    def look(broker: Any) -> None:  # noqa: ANN401
        found.append(broker.buying_power)
        broker.buy("A", 1000)

    settings: dict[str, Any] = {"buying_power": "unlimited", "policies": {"insufficient_cash": policy}} | FEE
    results = play(market(10, 10, 5, 5), look, nothing, look, **settings)
    assert found == [math.inf, math.inf]
    assert fills(results) == [(10, 1000), (5, 1000)]
    assert cash(results) == 1000 - 10_002 - 5002


def test_without_bounds_short_positions_still_need_permission() -> None:
    results = play(market(10, 10), sell(1), allows_short=False, buying_power="unlimited")
    assert sent(results) == [(-1, "SHORT_NOT_ALLOWED")]


@pytest.mark.parametrize("bound", ["cash", "unlimited"])
def test_leverage_counts_by_equity_alone(bound: str) -> None:
    with pytest.raises(ConfigError, match="leverage counts where buying_power is 'equity' alone"):
        play(market(10, 10), leverage=2, buying_power=bound)
