"""Models of margin and liquidation in random cases, and margin rates at times that lie within the data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import polars as pl
from hypothesis import strategies as st

#: Symbol, thousandths of the span of the data (-1: before it), initial and maintenance.
MarginRate = tuple[str, int, float, float]

# What holds a position is near to what opens it, so that short markets are enough for calls.
MARGINS: list[dict[str, Any]] = [
    {"type": "RegT", "maintenance_long": 0.48, "maintenance_short": 0.5},
    {"type": "RegT", "intraday": 0.2, "maintenance_long": 0.18, "maintenance_short": 0.2},
    {"type": "RegT", "initial": 0.1, "maintenance_long": 0.097, "special": {"B": 0.3}},
    {"type": "FixedLeverage", "leverage": 10, "maintenance": 0.097},
    {"type": "FixedLeverage", "leverage": 4, "maintenance": 0.24},
    {"type": "FixedLeverage", "leverage": 2, "maintenance": 0.5},
    {"type": "PortfolioMargin", "underlyings": {"A": "X", "B": "X"}, "minimum": {"A": 0.2}, "initial": 1.02},
]
FUTURES: list[dict[str, Any]] = [
    {"type": "FuturesMargin"},
    {"type": "FuturesMargin", "intraday": 0.5},
]
TIERS: list[list[list[float]]] = [[[0, 0.09]], [[0, 0.03], [500, 0.06], [2_000, 0.2]]]
CRYPTO: list[dict[str, Any]] = [
    {"type": "CryptoMargin", "leverage": 10, "tiers": tiers, "mode": mode, "liquidation_fee": fee}
    for tiers in TIERS
    for mode in ("cross", "isolated")
    for fee in (0.0, 0.0125)
]
amounts = st.sampled_from([0.1, 0.25, 0.7, 1.0, 2.0])


@st.composite
def liquidations(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a liquidation model, and when it acts."""
    model: dict[str, Any] = {"type": draw(st.sampled_from(["LargestLoserFirst", "ProRata", "CloseAll"]))}
    if draw(st.booleans()):
        model["grace"] = draw(st.sampled_from(["1h", "36h", "3d"]))
    if draw(st.booleans()):
        model["warn_at"] = draw(st.sampled_from([0.5, 0.9, 0.97]))
    if model["type"] != "CloseAll" and draw(st.booleans()):
        model["buffer"] = draw(st.sampled_from([0.1, 1.0]))
    return model


@st.composite
def by_calls(draw: st.DrawFn, margins: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Draw keys of `[broker]`: a margin model, and mostly one of liquidation."""
    models = {"margin_model": draw(st.sampled_from(margins))}
    if draw(st.integers(0, 7)):
        models["liquidation_model"] = draw(liquidations())
    return models


@st.composite
def margin_rates(draw: st.DrawFn, symbols: Sequence[str]) -> tuple[MarginRate, ...]:
    """Draw rates: of each symbol some before the data, and others while they go on."""
    rows: dict[tuple[str, int], MarginRate] = {}
    for symbol in symbols:
        rows[symbol, -1] = (symbol, -1, 0.8, 0.7)
    for _ in range(draw(st.integers(0, 5))):
        symbol, place, held = draw(st.sampled_from(list(symbols))), draw(st.integers(0, 1000)), draw(amounts)
        rows[symbol, place] = (symbol, place, held * 1.1, held)
    return tuple(rows.values())


def margin_rates_of(rows: Sequence[MarginRate], stamps: Sequence[dt.datetime]) -> pl.DataFrame:
    """Return the margin rates of a case, every third at the instant of a row."""
    times = sorted(stamps)
    begin, span = times[0] - dt.timedelta(days=3), times[-1] - times[0]

    def at(place: int) -> dt.datetime:
        if place < 0:
            return begin
        return times[place * (len(times) - 1) // 1000] if place % 3 == 0 else times[0] + span * place // 1000

    found = {(symbol, at(place)): (initial, held) for symbol, place, initial, held in rows}
    schema = {"symbol": pl.String, "ts_event": pl.Datetime("ns", "UTC")}
    schema |= {"initial": pl.Float64, "maintenance": pl.Float64}
    return pl.DataFrame([(*key, *value) for key, value in found.items()], schema=schema, orient="row")
