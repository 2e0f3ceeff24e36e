"""Runs with margined instruments for the tests: what one is worth, and what moved its cash.

The description of `purses`, in which instruments are futures of 50 per point unless something else is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from .purses import Row, day, describe

#: An account that goes by its equity.
RICH = {"leverage": "10", "allows_short": True}

GAINS = ("variation_margin", "realized", "cash_out", "cash_in_lieu")


def margined(
    paths: Mapping[str, Iterable[float]],
    *given: Any,  # noqa: ANN401 - rates, if any
    opens: Iterable[float] | None = None,
    settlement: str = "daily",
    multiplier: str = "50",
    only: Iterable[str] | None = None,
    **others: Any,  # noqa: ANN401 - parts of the description
) -> Row:
    """Return the description of a run of margined instruments, all of them or `only` some.

    Bars open at their close, unless `opens` says otherwise for each of a single instrument.
    """
    spec = describe(paths, *given, **({"account": RICH} | others))
    chosen = set(paths if only is None else only)
    spec["instruments"] = [
        each | {"settlement": settlement, "multiplier": multiplier, "is_borrowed": False}
        if each["symbol"] in chosen
        else each
        for each in spec["instruments"]
    ]
    if opens is not None:
        opened = pl.Series("open", [float(price) for price in opens])
        frame = spec["feeds"][0]["frame"].with_columns(opened)
        high, low = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
        spec["feeds"][0]["frame"] = frame.with_columns(high=high, low=low)
    return spec


def settled_at(*rows: tuple[float, float]) -> list[Row]:
    """Return settlement prices of the first instrument, by day."""
    return [{"ts": day(at), "instrument": 0, "price": price} for at, price in rows]


def action(at: float, kind: str, **others: Any) -> Row:  # noqa: ANN401 - parts of its description
    """Return a corporate action of the first instrument."""
    spec = {"ts": day(at), "instrument": 0, "kind": kind, "ratio_num": 1, "ratio_den": 1}
    return spec | {"amount": "", "pay_ts": 0} | others


def gains(tables: Mapping[str, list[Row]]) -> list[tuple[str, float, Any]]:
    """Return kind, day and amount of the postings between cash and results, below zero what was paid."""
    found = []
    for row in tables["ledger"]:
        if row["kind"] in GAINS:
            assert {row["debit"], row["credit"]} == {"cash", "realized_pnl"}
            at = (row["ts_event"].timestamp() - day(0) / 10**9) / 86_400
            found.append((row["kind"], at, row["amount"] if row["debit"] == "cash" else -row["amount"]))
    return found


def navs(tables: Mapping[str, list[Row]], *names: str) -> list[tuple[Any, ...]]:
    """Return columns of the portfolio at closes of sessions."""
    return [tuple(row[name] for name in names) for row in tables["portfolio_history"] if row["is_nav"]]
