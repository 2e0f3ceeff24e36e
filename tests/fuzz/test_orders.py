"""Whatever a strategy asks of its broker, the call returns or says why not, and the books add up."""

from __future__ import annotations

import functools
import re
from decimal import localcontext
from typing import Any

import attrs
import numpy as np
import polars as pl
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from invariants import identities
from invariants.identities import Case, check_fills_against_market, check_postings, rows_of
from invariants.markets import MARKETS, Market
from invariants.running import draw_config, plugins

from ml4t.backtest import Engine, Results
from ml4t.core.errors import NumericOverflowError
from ml4t.core.schemas import TABLES

from . import no_hang, part
from .calls import CALLS, Call, Hostile

NAMES = ("minutes-stamped-at-the-close", "minutes-stamped-at-the-open", "quotes", "trades", "mixed")
RULES = ["stop_loss", "take_profit", "trailing_stop"]
IDENTITIES = [name for name in dir(identities) if name.startswith("check_") and name != "check_all"]
IDENTITIES.remove("check_fills_against_market")
SEEDS = st.integers(0, 2**32 - 1)


@functools.lru_cache(maxsize=64)
def market_of(name: str, number: int) -> tuple[Market, dict[str, Any]]:
    """Return a random market and a configuration for it."""
    rng = np.random.default_rng([number, *name.encode()])
    market = MARKETS[name](rng)
    return market, draw_config(rng, market)


def run(
    market: Market, config: dict[str, Any], script: list[Call]
) -> tuple[Hostile, Results, Exception | None]:
    """Run to the end, or to where a number left its range; any other error is the test's."""
    strategy = Hostile(script)
    engine = Engine(market.feeds(), strategy, config=config, plugins=plugins(), **market.parts())
    error = None
    with no_hang():
        try:
            engine.run()
        except NumericOverflowError as raised:
            error = raised
    assert engine.results is not None
    strategy.act("after")
    return strategy, engine.results, error


class Unguarded:
    """Results without the fills of position rules."""

    def __init__(self, results: Results) -> None:
        self.results = results
        guards = results.orders.filter(pl.col("tag").is_in(RULES))["order_id"].implode()
        self.fills = results.fills.filter(~pl.col("order_id").is_in(guards))
        self.guarded = results.fills.filter(pl.col("order_id").is_in(guards))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any table
        return getattr(self.results, name)


def check_books(case: Case) -> None:
    """Check every identity. Orders of rules meet the rest of a bar, but they too fill at a price it had."""
    for name in IDENTITIES:
        getattr(identities, name)(case)
    others = Unguarded(case.results)
    check_fills_against_market(attrs.evolve(case, results=others))
    for fill in rows_of(others.guarded):
        table = case.source(fill["symbol"])
        if table.kind == "bar":
            at, price = pl.lit(fill["ts_event"]), fill["reference_price"]
            rows = table.rows.filter(
                pl.col("symbol") == fill["symbol"], (pl.col("ts_event") == at) | (pl.col("ts_open") == at)
            )
            assert any(row["low"] <= price <= row["high"] for row in rows.rows(named=True)), (fill, rows)


def check(market: Market, config: dict[str, Any], script: list[Call], *, is_exact: bool = True) -> None:
    """Run twice and check what came of it; beyond 2**53 a float of a table is only the nearest number."""
    if any(call.method == "set_position_rules" for call in script):
        # Orders of rules rest at the venue, so no latency keeps them from it, which the identities allow for.
        config = {**config, "broker": {**config["broker"], "latency": "0s"}}
    strategy, results, error = run(market, config, script)
    event("overflow" if error else "complete")
    assert results.status == ("failed" if error else "complete")
    with localcontext() as context:
        # As many digits as the ledger has.
        context.prec = 60
        case = Case(market, config, results)
        check_books(case) if is_exact and error is None else check_postings(case)
    other, again, repeated = run(market, config, script)
    assert str(repeated) == str(error)
    assert other.outcomes == strategy.outcomes
    for name in TABLES:
        assert again.table(name).equals(results.table(name)), name
    symbols = [each.symbol for each in market.instruments]
    assert error is None or re.search(rf"\b({'|'.join(symbols)})\b", str(error)), f"which instrument: {error}"


def enriched(config: dict[str, Any], cash: int) -> dict[str, Any]:
    """Return a configuration whose account can pay for a lot.

    Left out, a defect of the engine: where equity x leverage leaves the ledger, no instrument is named.
    """
    account = {"initial_cash": cash, "leverage": 100, "allows_short": True}
    return config | {"broker": config["broker"] | account}


@pytest.mark.parametrize("name", NAMES)
@part(2)
@given(number=SEEDS, script=CALLS, cash=st.sampled_from([None, None, 10**14]))
def test_any_calls_return_or_say_why_not_and_the_books_add_up(
    name: str, number: int, script: list[Call], cash: int | None
) -> None:
    market, config = market_of(name, number % 1_000)
    check(market, config if cash is None else enriched(config, cash), script)


@part(2)
@given(name=st.sampled_from(NAMES), number=SEEDS, script=CALLS)
def test_near_the_end_of_the_ledger_the_books_add_up_or_the_instrument_is_named(
    name: str, number: int, script: list[Call]
) -> None:
    market, config = market_of(name, number % 1_000)
    check(market, enriched(config, 10**17), script, is_exact=False)


@part(2)
@given(script=CALLS)
def test_after_the_end_nothing_can_be_sent_and_everything_can_be_read(script: list[Call]) -> None:
    market, config = market_of("quotes", 1)
    strategy, results, _ = run(market, config, [])
    before = {name: results.table(name).clone() for name in TABLES}
    for call in script:
        outcome = strategy.made(call)
        if call.method in ("submit_order", "buy", "sell", "set_position_rules"):
            assert re.match(r"\w+Error: ", outcome), outcome
    for name, table in before.items():
        assert results.table(name).equals(table)
