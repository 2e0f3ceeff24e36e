"""What an execution algorithm may answer: orders, cancels, prices, and giving up."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from ml4t.backtest import DataFeed, Instrument
from ml4t.backtest.executors import Answer, CancelChild, ChildOrder, ExecutorArgs, RepriceChild
from ml4t.core.errors import ModelError, OrderError
from ml4t.core.types import OrderType, TimeInForce

Build = Callable[..., DataFeed]
Run = Any  # a run, or what a step of a script is given; see conftest
Work = Callable[..., Run]
Child = Callable[..., Run]

nan = math.nan


# -- orders ------------------------------------------------------------------------------------------------

# The order, and the price at which it fills: bought after the close of 10, on days that open at 10 and reach
# from 8 to 12, with nothing but the first day of it.
KINDS = [
    ({"order_type": "market"}, 10.0),
    ({"order_type": "limit", "limit_price": 9.0}, 9.0),
    ({"order_type": "stop", "stop_price": 11.0}, 11.0),
    ({"order_type": "stop_limit", "stop_price": 11.0, "limit_price": 11.5}, 11.0),
    ({"order_type": "market_if_touched", "stop_price": 9.0}, 9.0),
    ({"order_type": "limit_if_touched", "stop_price": 9.0, "limit_price": 9.5}, 9.0),
]


@pytest.mark.parametrize(("terms", "price"), KINDS, ids=[terms["order_type"] for terms, _ in KINDS])
def test_every_order_type_fills_as_one_of_the_strategy(
    work: Work, play: Callable[..., Run], daily: Build, terms: dict[str, Run], price: float
) -> None:
    feed = daily({"A": [10, (10, 12, 8, 10), 10]})
    own = play({0: lambda now: now.broker.submit_order("A", 5, "buy", **terms)}, feed)
    run = work(feed, 5, {0: (ChildOrder(quantity=5, **terms),)})
    assert run.fills == [(5.0, price)] == [(quantity, paid) for _, _, quantity, paid in own.fills]
    assert run.handle.status == "filled"
    typed = {**terms, "order_type": OrderType(terms["order_type"])}
    assert work(feed, 5, {0: (ChildOrder(quantity=5, **typed),)}).fills == [(5.0, price)]


# What comes of an order at 9 that no day reaches, and of one at the market.
LIVES = [
    ("gtc", 9.0, "canceled", 0.0),  # at the end of the run
    ("day", 9.0, "expired", 0.0),
    ("ioc", 9.0, "canceled", 0.0),
    ("fok", 9.0, "canceled", 0.0),
    ("opg", None, "filled", 5.0),
    ("cls", None, "filled", 5.0),
]


@pytest.mark.parametrize(("life", "limit", "status", "filled"), LIVES, ids=[each[0] for each in LIVES])
def test_every_lifetime_but_gtd_ends_as_one_of_the_strategy(  # noqa: PLR0913
    work: Work,
    play: Callable[..., Run],
    daily: Build,
    child: Child,
    life: str,
    limit: float | None,
    status: str,
    filled: float,
) -> None:
    feed = daily({"A": [10, (10, 12, 9.5, 11), 10, 10]})
    terms = {"order_type": "market"} if limit is None else {"order_type": "limit", "limit_price": limit}
    own = play({0: lambda now: now.broker.submit_order("A", 5, "buy", time_in_force=life, **terms)}, feed)
    run = work(feed, 5, {0: (child(5, limit, time_in_force=life),)})
    names = ["status", "filled_quantity", "time_in_force", "reason_code", "ts_closed"]
    assert run.results.orders.select(names).rows() == own.results.orders.select(names).rows()
    assert run.orders[0][1:3] == (filled, status)
    same = work(feed, 5, {0: (child(5, limit, time_in_force=TimeInForce(life)),)})
    assert same.orders == run.orders


def test_an_order_that_expired_does_not_end_it_and_is_sent_again(
    work: Work, daily: Build, child: Child
) -> None:
    def each_day(ctx: ExecutorArgs) -> Answer:
        return (child(ctx.to_send, 9.0, time_in_force="day"),) if ctx.to_send else ()

    run = work(daily({"A": [10, 10, 10, (10, 10, 9, 9), 10]}), 5, each_day)
    assert [status for _, _, status, _ in run.orders] == ["expired", "expired", "filled"]
    assert (run.handle.status, run.handle.average_price) == ("filled", 9.0)


def test_an_order_that_was_refused_does_not_end_it(work: Work, daily: Build, child: Child) -> None:
    """100 at 11 cost more than the account has; 40 a day cost 440, then 480."""
    run = work(
        daily({"A": [10, 11, 12, 13]}),
        100,
        {0: (child(100),), 1: (child(40),)},
        broker={"initial_cash": 1_000},
    )
    assert run.orders == [
        (100.0, 0.0, "rejected", "INSUFFICIENT_CASH"),
        (40.0, 40.0, "filled", ""),
    ]
    assert run.told("filled", "working", "to_send")[1:] == [
        (0.0, 0.0, 100.0),
        (40.0, 0.0, 60.0),
        (40.0, 0.0, 60.0),
    ]
    assert run.handle.status == "working"


def test_several_orders_of_one_answer_may_take_all_that_is_left(
    work: Work, daily: Build, child: Child
) -> None:
    run = work(daily({"A": [10, 11]}), 100, {0: [child(60), child(30), child(10)]})
    assert run.fills == [(60.0, 11.0), (30.0, 11.0), (10.0, 11.0)]
    assert run.handle.status == "filled"


@pytest.mark.parametrize("answer", [(), [], iter(())], ids=["tuple", "list", "iterator"])
def test_an_empty_answer_is_nothing(work: Work, daily: Build, answer: Run) -> None:
    run = work(daily({"A": [10, 11]}), 100, {0: answer})
    assert (len(run.asked), run.orders, run.handle.status) == (2, [], "working")


# -- cancel and reprice ------------------------------------------------------------------------------------


def test_a_cancel_takes_an_order_back(work: Work, daily: Build, child: Child) -> None:
    table = {0: (child(60, 5.0, 1), child(40, 5.0, 2)), 1: (CancelChild(1),)}
    run = work(daily({"A": [10, 10, 10]}), 100, table)
    assert run.told("working") == [0.0, 100.0, 40.0]
    assert [each.client_id for each in run.asked[2].open_orders] == [2]
    assert [status for _, _, status, _ in run.orders] == ["canceled", "canceled"]
    closed = run.results.orders["ts_closed"].dt.day().to_list()
    assert closed[0] == 3  # the end of the second day


def test_cancel_and_replace_in_one_answer(work: Work, daily: Build, child: Child) -> None:
    """What is being taken back counts as left, so all of it can be sent anew."""
    table = {0: (child(100, 5.0, 1),), 1: (CancelChild(1), child(100, number=2))}
    run = work(daily({"A": [10, 10, 12]}), 100, table)
    assert run.orders == [(100.0, 0.0, "canceled", run.orders[0][3]), (100.0, 100.0, "filled", "")]
    assert run.fills == [(100.0, 12.0)]
    assert run.handle.status == "filled"


@pytest.mark.parametrize("before", [(), (CancelChild(1),)], ids=["at work", "being canceled"])
def test_a_number_that_an_order_at_work_has_is_refused(
    work: Work, daily: Build, child: Child, before: tuple[Run, ...]
) -> None:
    table = {0: (child(50, 5.0, 1),), 1: (*before, child(50, number=1))}
    with pytest.raises(ModelError, match="client_id 1, and an order at work has it already"):
        work(daily({"A": [10, 10, 12]}), 100, table)


def test_the_replacement_comes_after_the_cancel(work: Work, daily: Build, child: Child) -> None:
    table = {0: (child(100, 5.0, 1),), 1: (child(100, number=2), CancelChild(1))}
    with pytest.raises(ModelError, match="it asks for 100 more, and 0 are left to send"):
        work(daily({"A": [10, 10, 12]}), 100, table)


def test_other_prices_of_an_order_at_work(work: Work, daily: Build, child: Child) -> None:
    """A limit of 5 becomes 9; of a stop-limit one price changes and NaN leaves the other."""
    table = {
        0: (
            child(60, 5.0, 1),
            ChildOrder(quantity=40, order_type="stop_limit", stop_price=20, limit_price=21, client_id=2),
        ),
        1: (RepriceChild(client_id=1, limit_price=9.0), RepriceChild(client_id=2, stop_price=11.0)),
    }
    run = work(daily({"A": [10, 10, (10, 10, 9, 9), (9, 12, 9, 12), 12]}), 100, table)
    assert run.fills == [(60.0, 9.0), (40.0, 11.0)]
    assert run.told("working")[1:3] == [100.0, 40.0]
    (other,) = run.asked[2].open_orders
    assert (other.limit_price, other.stop_price) == (21.0, 11.0)


def test_a_number_may_be_used_again_when_its_order_is_over(work: Work, daily: Build, child: Child) -> None:
    table = {0: (child(60, number=1),), 1: (child(20, 5.0, 1),), 2: (CancelChild(1),)}
    run = work(daily({"A": [10] * 4}), 100, table)
    assert [status for _, _, status, _ in run.orders] == ["filled", "canceled"]
    assert run.told("working") == [0.0, 0.0, 20.0, 0.0]


# -- giving up ---------------------------------------------------------------------------------------------


def test_it_gives_up_with_none_and_its_orders_at_work_are_canceled(
    work: Work, daily: Build, child: Child
) -> None:
    run = work(daily({"A": [10, 10, 10, 10]}), 100, {0: (child(30), child(70, 5.0)), 1: None})
    assert len(run.asked) == 2
    assert (run.handle.status, run.handle.filled_quantity, run.handle.remaining_quantity) == (
        "canceled",
        30.0,
        70.0,
    )
    assert [status for _, _, status, _ in run.orders] == ["filled", "canceled"]
    assert run.results.orders["ts_closed"].dt.day().to_list() == [2, 3]


def test_when_all_has_traded_it_is_not_asked_again(work: Work, daily: Build, child: Child) -> None:
    run = work(daily({"A": [10] * 5}), 100, {0: (child(60),), 1: (child(40),)})
    assert len(run.asked) == 2


# -- quantities --------------------------------------------------------------------------------------------


def test_noise_of_the_arithmetic_is_no_part_of_a_quantity(work: Work, daily: Build) -> None:
    """3 x 1e-8 is 3.0000000000000004e-08; so are other multiples, and each counts as its lots."""
    instrument = Instrument("A", calendar="24/7", lot_size="0.00000001", quantity_exponent=8)
    lots = (3, 7, 35_999_999, 100_000_001)
    noisy = [n * 1e-8 for n in lots]
    assert sum(each != float(f"{n}e-8") for n, each in zip(lots, noisy, strict=True)) >= 1
    whole = f"{sum(lots)}e-8"
    feed = daily({"A": [10] * 8}, instruments=[instrument])

    def answer(ctx: ExecutorArgs) -> Answer:
        assert ctx.lot_size == 1e-8
        return (ChildOrder(quantity=lots[ctx.call] * ctx.lot_size),) if ctx.call < len(lots) else ()

    run = work(feed, whole, answer)
    assert [quantity for quantity, _ in run.fills] == [float(f"{n}e-8") for n in lots]
    assert run.handle.status == "filled"


def test_a_sum_of_lots_with_noise_takes_all_that_is_left(work: Work, daily: Build) -> None:
    """0.1 + 0.2 of a lot of 0.1 are 0.30000000000000004."""
    instrument = Instrument("A", calendar="24/7", lot_size="0.1", quantity_exponent=1)
    run = work(
        daily({"A": [10, 11]}, instruments=[instrument]), "0.3", {0: (ChildOrder(quantity=0.1 + 0.2),)}
    )
    assert (run.fills, run.handle.status) == ([(0.3, 11.0)], "filled")


def test_a_quantity_off_the_lot_is_refused_like_one_of_the_strategy(
    work: Work, daily: Build, child: Child
) -> None:
    run = work(daily({"A": [10, 11, 12]}), 100, {0: (child(0.5),), 1: (child(100),)})
    assert run.orders == [(0.5, 0.0, "rejected", "OFF_LOT"), (100.0, 100.0, "filled", "")]


def test_lot_rounding_of_the_run_is_that_of_its_orders(work: Work, daily: Build, child: Child) -> None:
    broker = {"policies": {"lot_rounding": "down"}}
    run = work(daily({"A": [10, 11, 12]}), 100, {0: (child(10.5),)}, broker=broker)
    assert run.orders == [(10.0, 10.0, "filled", "")]


# -- wrong answers -----------------------------------------------------------------------------------------


def refused(work: Work, daily: Build, answer: object, **more: object) -> str:
    with pytest.raises(ModelError) as raised:
        work(daily({"A": [10, 11, 12]}), 100, {1: answer} if not callable(answer) else answer, **more)
    return str(raised.value)


def boom(ctx: ExecutorArgs) -> Answer:
    if ctx.call == 1:
        msg = "no price"
        raise ZeroDivisionError(msg)
    return ()


WRONG = [
    ((ChildOrder(quantity=101),), "it asks for 101 more, and 100 are left to send"),
    ((ChildOrder(quantity=60), ChildOrder(quantity=41)), "it asks for 41 more, and 40 are left to send"),
    ((CancelChild(3),), "names order 3, which is not at work"),
    ((CancelChild(0),), "names order 0, which is not at work"),
    ((RepriceChild(client_id=3, limit_price=9.0),), "names order 3, which is not at work"),
    ((ChildOrder(quantity=nan),), "quantity NaN"),
    ((ChildOrder(quantity=math.inf),), "quantity inf"),
    ((ChildOrder(quantity=0),), "quantity 0 of an order record; it must be above zero"),
    ((ChildOrder(quantity=-5),), "quantity -5 of an order record; it must be above zero"),
    (("buy",), "evaluate answered 'buy'; expected a sequence of ChildOrder, CancelChild and RepriceChild"),
    (ChildOrder(quantity=1), "expected a sequence of ChildOrder, CancelChild and RepriceChild"),
    ((ChildOrder(quantity=1, client_id=-5),), "client_id = -5; expected a whole number of 0 or more"),
    ((ChildOrder(quantity="much"),), "expected a number"),
    (5, "evaluate answered 5; expected a sequence of ChildOrder, CancelChild and RepriceChild"),
    (
        (ChildOrder(quantity=1, time_in_force="gtd"),),
        "time_in_force = 'gtd'; expected one of day, gtc, ioc, fok, opg, cls",
    ),
    (
        (ChildOrder(quantity=1, order_type="trailing_stop"),),
        "order_type = 'trailing_stop'; expected one of market, limit, stop",
    ),
    (
        (ChildOrder(quantity=1, order_type="hidden"),),
        "order_type = 'hidden'; expected one of market, limit, stop",
    ),
    ([ChildOrder(quantity=1)] * 65, "more than 64 orders"),
    (boom, "ZeroDivisionError: no price"),
]


@pytest.mark.parametrize(("answer", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_a_wrong_answer_stops_the_run_and_says_who_what_and_when(
    work: Work, daily: Build, answer: object, sentence: str
) -> None:
    text = refused(work, daily, answer)
    assert sentence in text
    assert "executor Scripted, A, 2024-01-03T00:00:00Z" in text


def test_an_order_without_the_price_of_its_type_stops_the_run_as_one_of_the_strategy(
    work: Work, daily: Build
) -> None:
    with pytest.raises(OrderError, match=r"a limit order needs a limit_price \(A\)") as raised:
        work(daily({"A": [10, 11]}), 100, {0: (ChildOrder(quantity=1, order_type="limit"),)})
    assert "at 2024-01-02T00:00:00Z" in raised.value.__notes__


def test_what_it_raises_is_the_cause(work: Work, daily: Build) -> None:
    with pytest.raises(ModelError) as raised:
        work(daily({"A": [10, 11, 12]}), 100, boom)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_there_is_room_for_64_orders(work: Work, daily: Build, child: Child) -> None:
    run = work(daily({"A": [10, 11]}), 100, {0: [child(1)] * 64})
    assert run.results.fills.height == 64


def test_an_order_beyond_what_is_left_says_so_of_a_sale_in_its_sign(
    work: Work, daily: Build, child: Child
) -> None:
    broker = {"allows_short": True}
    with pytest.raises(ModelError, match=r"it asks for -101 more, and -100 are left to send"):
        work(daily({"A": [10, 11]}), -100, {0: (child(101),)}, broker=broker)


@pytest.mark.parametrize("use", ["buy", "get_position", "status", "cancel", "execute"])
def test_it_may_not_use_the_broker_nor_its_own_handle(
    play: Callable[..., Run], daily: Build, scripted: Run, use: str
) -> None:
    kept: dict[str, Run] = {}

    def answer(ctx: ExecutorArgs) -> Answer:
        if ctx.call == 1:
            {
                "buy": lambda: kept["broker"].buy("A", 1),
                "get_position": lambda: kept["broker"].get_position("A"),
                "status": lambda: kept["handle"].status,
                "cancel": lambda: kept["handle"].cancel(),
                "execute": lambda: kept["broker"].execute("A", 1, scripted()),
            }[use]()
        return ()

    def begin(now: Run) -> None:
        kept.update(broker=now.broker, handle=now.broker.execute("A", 10, scripted(answer)))

    with pytest.raises(ModelError, match="the engine is at work: models and other threads may not use"):
        play({0: begin}, daily({"A": [10, 11, 12]}))
