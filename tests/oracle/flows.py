"""Payments from outside in random cases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl
from hypothesis import strategies as st

from .currencies import Money

Flow = tuple[int, str, str]  # thousandths of the span of the data, amount, currency or nothing for the base


@st.composite
def flows(draw: st.DrawFn, money: Money | None) -> tuple[Flow, ...]:
    """Draw payments, some more than an account has; in three of four cases there are none."""
    if draw(st.integers(0, 3)):
        return ()
    names = ["", *(money.currencies if money is not None else ())]
    amounts = ["1000", "-100", "0.0000000001", "-250.55", "70000", "-900"]
    return tuple(
        (draw(st.integers(1, 1000)), draw(st.sampled_from(amounts)), draw(st.sampled_from(names)))
        for _ in range(draw(st.integers(1, 4)))
    )


def flows_of(rows: Sequence[Flow], stamps: Sequence[dt.datetime]) -> pl.DataFrame:
    """Return the payments of a case, every third at the instant of a row."""
    times = sorted(stamps)
    first, span = times[0], times[-1] - times[0]
    found = []
    for place, amount, currency in rows:
        at = times[place * (len(times) - 1) // 1000] if place % 3 == 0 else first + span * place // 1000
        found.append((at, amount, currency))
    schema = {"ts_event": pl.Datetime("ns", "UTC"), "amount": pl.String, "currency": pl.String}
    return pl.DataFrame(found, schema=schema, orient="row")
