"""What holding costs in random cases: models, and rates at times that lie within the data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import polars as pl
from hypothesis import strategies as st

BORROWS: list[dict[str, Any]] = [
    {"type": "BorrowFee", "rate": 0.37},
    {"type": "BorrowFee", "rate": -0.011, "day_count": 365},
    {"type": "IbkrBorrow", "rate": 0.5},
    {"type": "IbkrBorrow", "rate": 0.21, "collateral": 1.05, "decimals": 2},
]
lent = st.sampled_from([None, None, 30.0, 7.5, 0.0])  #: what can be borrowed
BY_DATA: list[dict[str, Any]] = [{"type": "BorrowFee"}, {"type": "IbkrBorrow"}]
INTERESTS: list[dict[str, Any]] = [
    {"type": "CashInterest", "credit": 0.043, "debit": 0.071},
    {"type": "CashInterest", "credit": [[0, 0.01], [900, 0.13]], "debit": [[0, 0.2], [500, 0.05]]},
    {"type": "CashInterest", "credit": -0.005, "short_rate": 0.03, "day_count": 365},
]


@attrs.frozen
class Holding:
    """Models by their keys in `[broker]`; rows of symbol, thousandths of the symbol's span, rates, other."""

    models: dict[str, Any]
    funding: tuple[tuple[str, int, float, float | None, float | None], ...] = ()
    borrow: tuple[tuple[str, int, float | None, float | None], ...] = ()
    pairs: frozenset[str] = frozenset()  #: symbols of currency pairs, whose funding is rollover


@st.composite
def holdings(draw: st.DrawFn, symbols: Sequence[str]) -> Holding | None:
    """Draw what holding costs; in half of the cases nothing."""
    if draw(st.booleans()):
        return None
    models: dict[str, Any] = {}
    funding: dict[tuple[str, int], tuple[str, int, float, float | None, float | None]] = {}
    pairs: list[str] = []
    borrow: dict[tuple[str, int], tuple[str, int, float | None, float | None]] = {}
    names = st.sampled_from(list(symbols))
    # The first and the last row, and many of those between, are met exactly.
    places = st.one_of(st.sampled_from([0, 1000]), st.integers(0, 1000))
    if draw(st.booleans()):
        models["interest_model"] = draw(st.sampled_from(INTERESTS))
    if draw(st.integers(0, 2)):
        models["borrow_model"] = draw(st.sampled_from(BORROWS + BY_DATA))
        for _ in range(draw(st.integers(0, 3))):
            symbol, place = draw(names), draw(places)
            rate, available = draw(st.sampled_from([0.08, 1.3, -0.02, None])), draw(lent)
            borrow[symbol, place] = (symbol, place, rate, available)
        if draw(st.booleans()):
            models["recall_sessions"] = draw(st.sampled_from([0, 1, 3]))
    if draw(st.integers(0, 2)):
        models["funding_model"] = {"type": "PerpetualFunding"}
        for _ in range(draw(st.integers(3, 9))):
            symbol, place = draw(names), draw(places)
            rate = draw(st.sampled_from([0.0001, -0.00037, 0.011]))
            short = draw(st.sampled_from([None, None, 0.0, -0.0042, 0.0003]))
            funding[symbol, place] = (symbol, place, rate, short, draw(st.sampled_from([None, None, 9.87])))
        pairs = draw(st.lists(names, max_size=1))
    return Holding(models, tuple(funding.values()), tuple(borrow.values()), frozenset(pairs))


def rates_of(holding: Holding | None, stamps: Mapping[str, Sequence[dt.datetime]]) -> dict[str, pl.DataFrame]:
    """Return the tables of a case, as `Engine` takes them; `stamps` are those of the rows of each symbol."""
    if holding is None:
        return {}

    def at(symbol: str, place: int) -> dt.datetime:
        times = sorted(stamps[symbol])
        # Every third place is that of a row.
        if place % 3 == 0:
            return times[place * (len(times) - 1) // 1000]
        return times[0] + (times[-1] - times[0]) * place // 1000

    time = pl.Datetime("ns", "UTC")
    tables: dict[str, pl.DataFrame] = {}
    funding = {(s, at(s, place)): terms for s, place, *terms in holding.funding}
    if funding:
        rows = [(*key, *value) for key, value in funding.items()]
        names = ("funding_rate", "funding_rate_short", "mark_price")
        schema = {"symbol": pl.String, "ts_event": time} | dict.fromkeys(names, pl.Float64)
        tables["funding"] = pl.DataFrame(rows, schema=schema, orient="row")
    borrow = {(s, at(s, place)): (rate, lent) for s, place, rate, lent in holding.borrow}
    if borrow:
        rows = [(*key, *value) for key, value in borrow.items()]
        schema = {"symbol": pl.String, "ts_event": time, "borrow_rate": pl.Float64, "available": pl.Float64}
        tables["borrow"] = pl.DataFrame(rows, schema=schema, orient="row")
    return tables
