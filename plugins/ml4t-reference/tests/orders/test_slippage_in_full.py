"""`limit_slippage = "full"`: a limit pays what the model says, worked by hand on the bar of the page.

The model takes half of a spread of 0.10: 0.05 for each fill.
"""

from __future__ import annotations

from typing import Any

import pytest

from .market import BAR, FLAT, daily, ends, play, prints, quotes, send

MODEL = {"type": "Spread", "spread": 0.1}
FULL: dict[str, Any] = {"slippage_model": MODEL, "policies": {"limit_slippage": "full"}}


@pytest.mark.parametrize(
    ("side", "terms", "price", "liquidity"),
    [
        # It rested, and fills beyond its limit.
        ("buy", {"limit_price": 98}, 98.05, "maker"),
        ("sell", {"limit_price": 102}, 101.95, "maker"),
        # Marketable at the open of 100.00; at its very limit it goes beyond.
        ("buy", {"limit_price": 102}, 100.05, "taker"),
        ("buy", {"limit_price": 100}, 100.05, "taker"),
        ("sell", {"limit_price": 100}, 99.95, "taker"),
        # A stop-limit that takes where it is triggered, and one that rests from there on.
        ("buy", {"stop_price": 102, "limit_price": 102}, 102.05, "taker"),
        ("buy", {"stop_price": 99, "limit_price": 99.5}, 99.55, "maker"),
        # Others pay it under every policy.
        ("buy", {"stop_price": 102}, 102.05, "taker"),
    ],
)
def test_every_fill_of_a_limit_pays(side: str, terms: dict[str, Any], price: float, liquidity: str) -> None:
    (fill,) = play(daily(FLAT, BAR), {0: send(side, **terms)}, **FULL).fills.to_dicts()
    assert (fill["price"], fill["spread"], fill["liquidity"]) == (price, 0.05, liquidity)


@pytest.mark.parametrize(
    ("policy", "price"), [("none", 100.0), ("clamp", 100.0), ("refuse", None), ("full", 100.05)]
)
def test_the_four_policies_at_the_very_limit(policy: str, price: float | None) -> None:
    broker = {"slippage_model": MODEL, "policies": {"limit_slippage": policy}}
    flat = daily(FLAT, FLAT)
    results = play(flat, {0: send("buy", limit_price=100)}, **broker)
    assert results.fills["price"].to_list() == ([] if price is None else [price])


def test_quotes_and_prints_are_no_exception() -> None:
    """It rested at 98.50, and a hundredth of that is 0.985."""
    broker = FULL | {"slippage_model": {"type": "FixedFraction", "fraction": 0.01}}
    for feed in (quotes((100, 100), (99.98, 100), (97, 98)), prints(100, 100, 98)):
        results = play(feed, {0: send("buy", limit_price=98.5)}, **broker)
        assert results.fills.select("price", "liquidity").rows() == [(99.485, "maker")]


def test_the_account_pays_the_price_that_it_really_gets() -> None:
    """Ten at 100.00 are set aside and 1,000 are there; 100.05 would take 1,000.50."""
    broker = FULL | {"initial_cash": 1000, "allows_short": False, "leverage": 1}
    results = play(daily(FLAT, FLAT), {0: send("buy", limit_price=100)}, **broker)
    assert ends(results) == [("rejected", "INSUFFICIENT_CASH")]
