"""Terms of an order that are refused where they are written."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ml4t.core.errors import OrderError

from .market import BAR, FLAT, TRAILING, TRAILING_LIMIT, Action, at, daily, ends, play, send


@pytest.mark.parametrize(
    ("terms", "error", "words"),
    [
        ({"price": 3}, TypeError, "unexpected keyword argument 'price'"),
        (
            {"limit_price": 99, "trail_amount": 1},
            OrderError,
            r"a limit order takes no trail_amount \(A, 2024",
        ),
        ({"order_type": "market_if_touched"}, OrderError, "needs a stop_price"),
        ({"order_type": "limit_if_touched", "stop_price": 9}, OrderError, "needs a limit_price"),
        (TRAILING, OrderError, "needs trail_amount or trail_fraction"),
        (TRAILING | {"trail_amount": 1, "trail_fraction": 0.1}, OrderError, "not both"),
        (TRAILING | {"trail_amount": 1, "limit_offset": 1}, OrderError, "takes no limit_offset"),
        (TRAILING | {"trail_amount": 0}, OrderError, "above 0"),
        (TRAILING | {"trail_fraction": 1}, OrderError, "below 1"),
        (TRAILING | {"trail_fraction": "0.0000000001"}, OrderError, "above 0"),
        (TRAILING_LIMIT | {"trail_amount": 1}, OrderError, "needs a limit_offset"),
        (TRAILING_LIMIT | {"trail_amount": 1, "limit_offset": -1}, OrderError, "0 or above"),
        ({"stop_price": 9, "activation_price": 8}, OrderError, "takes no activation_price"),
        ({"stop_price": 9, "time_in_force": "ioc"}, OrderError, "takes no time_in_force ioc; allowed: gtc"),
        (TRAILING | {"trail_amount": 1, "time_in_force": "cls"}, OrderError, "takes no time_in_force cls"),
        ({"time_in_force": "gtd"}, OrderError, "needs expire_at"),
        ({"expire_at": at(5)}, OrderError, "a gtc order takes no expire_at; allowed with gtd"),
        ({"post_only": True}, OrderError, "a market order takes no post_only; allowed with limit"),
        ({"display_quantity": 1}, OrderError, "a market order takes no display_quantity"),
        ({"limit_price": 9, "post_only": True, "time_in_force": "fok"}, OrderError, "takes no post_only"),
        ({"limit_price": 9, "display_quantity": 11}, OrderError, "not above the quantity"),
        ({"limit_price": 9, "display_quantity": 1.5}, OrderError, "not a multiple of lot_size 1"),
        ({"limit_price": 9, "post_only": 1}, TypeError, "True or False"),
        ({"time_in_force": "gtd", "expire_at": dt.datetime(2024, 1, 5)}, OrderError, "no time zone"),
        ({"time_in_force": "gtd", "expire_at": "soon"}, OrderError, "neither"),
        ({"time_in_force": "gtd", "expire_at": 5}, OrderError, "found 5"),
        (
            {"time_in_force": "gtd", "expire_at": dt.date(1800, 1, 5)},
            OrderError,
            "1800-01-05: .*no such session",
        ),
        ({"order_type": "market_on_open", "time_in_force": "day"}, OrderError, "takes no time_in_force day"),
        ({"order_type": "limit_on_close"}, OrderError, "a limit order needs a limit_price"),
        ({"order_type": "iceberg"}, OrderError, "allowed: market, .*trailing_stop_limit, market_on_open"),
    ],
)
def test_terms_that_do_not_fit_are_refused_at_the_call(
    terms: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        play(daily(FLAT, BAR), {0: send("buy", **terms)})


def test_an_activation_price_off_the_tick_is_rejected_and_an_amount_is_not() -> None:
    terms = TRAILING | {"trail_amount": "1.00001"}
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.sell("A", 1, **terms, activation_price="110.001"),
            now.broker.sell("A", 1, **terms, activation_price="110"),
        )
    }
    assert ends(play(daily(FLAT, BAR), steps)) == [("rejected", "OFF_TICK"), ("canceled", "END_OF_DATA")]
