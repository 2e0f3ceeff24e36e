"""Orders that cannot be: an exception, or a rejection with code and sentence."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t.backtest import Engine, Results, Strategy
from ml4t.core.errors import NumericOverflowError, OrderError

from .inputs import by_session, daily, kept, refused

CASH = {"initial_cash": 1_000}


def engine_of(order: Callable[[Any], object], frame: pl.DataFrame | None = None, **parts: Any) -> Engine:  # noqa: ANN401
    """Return an engine whose strategy buys one unit at first and sends one more order a session later."""

    class Sends(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if timestamp.day == 2:
                broker.buy("XYZ", 1)
            elif timestamp.day == 3:
                order(broker)

    broker = parts.pop("broker", {})
    feed = by_session(daily() if frame is None else frame, **parts)
    return Engine(feed, Sends, config={"broker": broker})


def expect_exception(order: Callable[[Any], object], error: type[BaseException], *parts: str) -> None:
    engine = engine_of(order)
    with refused(error, *parts, "raised in on_data, at 2024-01-03T21:00:00Z") as caught:
        engine.run()
    assert kept(engine, caught).fills["quantity"].to_list() == [1.0]


# --------------------------------------------------------------------------- what cannot be expressed

NO_NUMBERS = [math.nan, math.inf, -math.inf, "x", "", None, True, [1], 1j, Decimal("NaN"), np.float64("nan")]
METHODS: dict[str, tuple[Callable[[Any, Any], object], str]] = {
    "buy": (lambda broker, value: broker.buy("XYZ", value), "quantity"),
    "sell": (lambda broker, value: broker.sell("XYZ", value), "quantity"),
    "limit": (
        lambda broker, value: broker.buy("XYZ", 1, order_type="limit", limit_price=value),
        "limit_price",
    ),
    "stop": (lambda broker, value: broker.buy("XYZ", 1, order_type="stop", stop_price=value), "stop_price"),
    "target quantity": (lambda broker, value: broker.order_target_quantity("XYZ", value), "quantity"),
    "target percent": (lambda broker, value: broker.order_target_percent("XYZ", value), "percent"),
    "target value": (lambda broker, value: broker.order_target_value("XYZ", value), "value"),
    "target weights": (lambda broker, value: broker.order_target_weights({"XYZ": value}), "weight"),
}


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_a_quantity_that_is_no_number_is_refused_with_what_it_is(value: object) -> None:
    allowed = "is not a finite number (int, float, str or Decimal)"
    expect_exception(lambda broker: broker.buy("XYZ", value), OrderError, f"quantity = {value!r} {allowed}")


@pytest.mark.parametrize("method", METHODS)
def test_nan_is_refused_wherever_a_number_goes(method: str) -> None:
    send, what = METHODS[method]
    expect_exception(lambda broker: send(broker, math.nan), OrderError, f"{what} = nan", "finite number")


def test_a_quantity_that_is_no_number_names_the_instrument() -> None:
    expect_exception(lambda broker: broker.buy("XYZ", math.nan), OrderError, "XYZ")


@pytest.mark.parametrize("method", ["buy", "limit", "target value"])
def test_a_finite_number_that_fits_no_integer_is_an_overflow(method: str) -> None:
    send, what = METHODS[method]
    expect_exception(lambda broker: send(broker, 1e300), NumericOverflowError, f"{what} = 1e+300", "XYZ")


@pytest.mark.parametrize("quantity", [0, -0.0, "0.0", -3])
def test_a_quantity_of_zero_or_below_is_refused(quantity: object) -> None:
    text = "quantity of an order must be above zero"
    expect_exception(
        lambda broker: broker.buy("XYZ", quantity), OrderError, text, "(XYZ, 2024-01-03T21:00:00Z)"
    )


@pytest.mark.parametrize("quantity", [0, -3])
def test_a_quantity_of_zero_or_below_is_refused_with_what_it_is(quantity: int) -> None:
    expect_exception(lambda broker: broker.buy("XYZ", quantity), OrderError, f"found {quantity}")


@pytest.mark.parametrize(
    ("terms", "part"),
    [
        ({"side": "bye"}, 'Side "bye" is not known; allowed: buy, sell'),
        ({"order_type": "markt"}, "allowed: market, limit, stop, stop_limit"),
        ({"time_in_force": "dya"}, "allowed: day, gtc"),
        ({"order_type": "market", "limit_price": 9}, "a market order takes no limit_price"),
        ({"order_type": "limit"}, "a limit order needs a limit_price"),
        ({"order_type": "stop_limit", "limit_price": 9}, "a stop_limit order needs a stop_price"),
    ],
)
def test_terms_that_contradict_each_other_are_refused(terms: dict[str, Any], part: str) -> None:
    given = {"side": "buy", **terms}
    expect_exception(lambda broker: broker.submit_order("XYZ", 1, **given), OrderError, part)


@pytest.mark.parametrize("order", [99, -1, None, "first"])
def test_an_order_that_was_never_sent_cannot_be_canceled(order: object) -> None:
    part = "no order 99; this run has sent 1" if order == 99 else "by its handle or by its id"
    expect_exception(lambda broker: broker.cancel_order(order), OrderError, part)


# --------------------------------------------------------------------------- what is rejected


def rejection(
    order: Callable[[Any], object],
    frame: pl.DataFrame | None = None,
    **parts: Any,  # noqa: ANN401 - as engine_of
) -> tuple[str, str]:
    """Return code and sentence of the order, which left cash and positions alone."""
    results = engine_of(order, frame, **parts).run()
    row = results.orders.row(1, named=True)
    assert row["status"] == "rejected"
    assert results.fills.height == 1
    assert_never_below_zero(results)
    return row["reason_code"], row["reason"]


def assert_never_below_zero(results: Results) -> None:
    assert results.portfolio_history["cash"].min() >= 0  # type: ignore[operator]


AT = "(XYZ, 2024-01-03T21:00:00Z)"
REJECTED: dict[str, tuple[dict[str, Any], str, str]] = {
    "limit off the tick": (
        {"limit_price": 9.995},
        "OFF_TICK",
        f"limit_price 9.995 is not a multiple of tick_size 0.01 {AT}",
    ),
    "stop off the tick": (
        {"stop_price": "11.001"},
        "OFF_TICK",
        f"stop_price 11.001 is not a multiple of tick_size 0.01 {AT}",
    ),
    "limit of zero": ({"limit_price": 0}, "PRICE_NOT_POSITIVE", f"limit_price 0 must be above zero {AT}"),
    "limit below zero": (
        {"limit_price": -5},
        "PRICE_NOT_POSITIVE",
        f"limit_price -5 must be above zero {AT}",
    ),
    "half a share": ({"quantity": 1.5}, "OFF_LOT", f"quantity 1.5 is not a multiple of lot_size 1 {AT}"),
    "less than any step": (
        {"quantity": Decimal("1e-30")},
        "OFF_LOT",
        f"quantity 1E-30 is not a multiple of lot_size 1 {AT}",
    ),
    "more than the cash": (
        {"quantity": 1_000},
        "INSUFFICIENT_BUYING_POWER",
        "buy 1000 XYZ needs buying power of 10500, 990 is free (2024-01-03T21:00:00Z)",
    ),
    "the most that 64 bits hold": (
        {"quantity": 10**18},
        "INSUFFICIENT_BUYING_POWER",
        f"buy {10**18} XYZ needs buying power of 10500000000000000000, 990 is free (2024-01-03T21:00:00Z)",
    ),
    "more than is held": (
        {"quantity": 2, "side": "sell"},
        "SHORT_NOT_ALLOWED",
        "sells 2 XYZ, the account holds 1 and may not sell short (2024-01-03T21:00:00Z)",
    ),
}


@pytest.mark.parametrize("what", REJECTED)
def test_an_order_the_account_or_market_refuses_has_a_code_and_a_sentence(what: str) -> None:
    given, code, sentence = REJECTED[what]
    kind = "limit" if "limit_price" in given else "stop" if "stop_price" in given else "market"
    terms = {"quantity": 1, "side": "buy", "order_type": kind, **given}
    assert rejection(lambda broker: broker.submit_order("XYZ", **terms), broker=CASH) == (code, sentence)


def test_a_quantity_off_the_lot_is_rejected_with_the_lot() -> None:
    halves = {"lot_size": "0.5", "quantity_exponent": 1}
    code, sentence = rejection(lambda broker: broker.buy("XYZ", "1.25"), instrument_defaults=halves)
    assert (code, sentence) == ("OFF_LOT", f"quantity 1.25 is not a multiple of lot_size 0.5 {AT}")


GAP = daily(open=[10.0, 10.0, 20.0, 20.0], high=[21.0] * 4)


def test_cash_that_a_gap_has_eaten_rejects_the_order_and_never_goes_below_zero() -> None:
    code, sentence = rejection(lambda broker: broker.buy("XYZ", 90), GAP, broker=CASH)
    assert code == "INSUFFICIENT_CASH"
    assert (
        sentence == "buy 90 XYZ at 20 with fee 0 needs more than the account has: cash 990, buying power 990 "
        "(2024-01-04T14:30:00Z)"
    )


@pytest.mark.parametrize("policy", ["reject", "partial", "wait"])
def test_no_policy_takes_a_cash_account_below_zero(policy: str) -> None:
    broker = {**CASH, "policies": {"insufficient_cash": policy}}
    results = engine_of(lambda each: [each.buy("XYZ", 90) for _ in range(3)], GAP, broker=broker).run()
    assert_never_below_zero(results)


def test_a_fee_larger_than_the_cash_rejects_the_order() -> None:
    broker = {**CASH, "commission_model": {"type": "PerOrder", "fee": 995}}
    results = engine_of(lambda each: each.buy("XYZ", 1), broker=broker).run()
    assert results.orders["reason_code"].to_list() == ["INSUFFICIENT_CASH"] * 2
    assert results.orders["reason"].str.contains("with fee 995").all()
    assert_never_below_zero(results)


def test_orders_of_the_warm_up_are_rejected_until_it_is_over() -> None:
    class Warming(Strategy):
        warmup = 2

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            broker.buy("XYZ", 1)

    orders = Engine(by_session(daily()), Warming).run().orders
    first = orders.row(0, named=True)
    assert first["reason_code"] == "WARM_UP"
    assert first["reason"] == "orders are refused until 2024-01-03T21:00:00Z (XYZ, 2024-01-02T21:00:00Z)"
