"""Accounts in several currencies in random cases: which instrument settles in which, and the rates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import attrs
import polars as pl
from hypothesis import strategies as st

from .carry import INTERESTS

# Base currency and the rates that there are: direct, inverse, and by way of a third currency.
ACCOUNTS: list[tuple[str, dict[str, float]]] = [
    ("USD", {"EURUSD": 1.1, "GBPUSD": 1.3}),
    ("USD", {"USDEUR": 0.9, "USDGBP": 0.77}),
    ("GBP", {"EURUSD": 1.1, "GBPUSD": 1.3}),
    ("JPY", {"USDJPY": 150.55, "EURUSD": 1.08333, "GBPJPY": 190.0}),
    ("EUR", {"EURUSD": 1.1, "USDEUR": 0.9, "GBPUSD": 1.3}),
]
COSTS: list[dict[str, Any]] = [
    {"type": "FxSpread", "spread": 0.01},
    {"type": "FxSpread", "spread": 0.0003, "commission": 0.00002, "minimum": 2.0},
    {"type": "FxSpread", "spread": 0.0, "commission": 0.001},
]


@attrs.frozen
class Money:
    """Base currency, currencies of the instruments, settings of `[broker]`, and the rates.

    A row of rates is a pair, thousandths of the span of the data, and a rate.
    """

    base: str
    currencies: tuple[str, ...]
    broker: dict[str, Any]
    rates: tuple[tuple[str, int, float], ...]

    def currency(self, symbol: str) -> str:
        """Return the currency of an instrument."""
        return self.currencies["ABC".index(symbol)]


@st.composite
def moneys(draw: st.DrawFn) -> Money | None:
    """Draw currencies and their rates; in two of three cases there is one currency."""
    if draw(st.integers(0, 2)):
        return None
    base, given = draw(st.sampled_from(ACCOUNTS))
    names = ["USD", "EUR", "GBP"] if base != "JPY" else ["USD", "EUR", "GBP", "JPY"]
    currencies = tuple(draw(st.sampled_from(names)) for _ in range(3))
    broker: dict[str, Any] = {}
    if draw(st.booleans()):
        broker["conversion"] = draw(st.sampled_from(["always", "never"]))
    if draw(st.booleans()):
        broker["fx_model"] = draw(st.sampled_from(COSTS))
    others = [name for name in names if name != base]
    if draw(st.booleans()):
        broker["initial_balances"] = {draw(st.sampled_from(others)): draw(st.sampled_from([500, "2000.55"]))}
    if draw(st.integers(0, 3)) == 0:
        broker["interest_models"] = {draw(st.sampled_from(others)): draw(st.sampled_from(INTERESTS))}
    # One of each pair before anything happens, and others while it does.
    rates = [(pair, -1, rate) for pair, rate in given.items()]
    for _ in range(draw(st.integers(0, 8))):
        pair = draw(st.sampled_from(sorted(given)))
        moved = given[pair] * draw(st.sampled_from([0.9, 0.987654321, 1.01, 1.25]))
        rates.append((pair, draw(st.integers(0, 1000)), moved))
    return Money(base, currencies, broker, tuple(rates))


def fx_of(money: Money, stamps: Sequence[dt.datetime]) -> pl.DataFrame:
    """Return the rates of a case over the instants of its rows, one a pair and instant."""
    times = sorted(stamps)
    begin, span = times[0] - dt.timedelta(days=3), times[-1] - times[0]

    def at(place: int) -> dt.datetime:
        if place < 0:
            return begin
        # Every third place is that of a row.
        return times[place * (len(times) - 1) // 1000] if place % 3 == 0 else times[0] + span * place // 1000

    rows = {(pair, at(place)): rate for pair, place, rate in money.rates}
    schema = {"pair": pl.String, "ts_event": pl.Datetime("ns", "UTC"), "rate": pl.Float64}
    return pl.DataFrame([(*key, rate) for key, rate in rows.items()], schema=schema, orient="row")
