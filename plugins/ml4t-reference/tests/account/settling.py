"""Accounts whose trades settle later, for the tests: days of New York, and what a script sees of its cash.

An order that a step sends as one session closes fills as the next one opens: at 14:30 UTC in winter, at 13:30
in summer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from ml4t.backtest import DataFeed, Instrument, Results

from .play import play as run_steps

Step = Callable[[Any], object]
Days = int | Mapping[str, int]

HOLIDAYS = [dt.date(2024, 1, 1), dt.date(2024, 1, 15), dt.date(2024, 2, 19), dt.date(2024, 3, 29)]
HOLIDAYS += [dt.date(2024, 5, 27)]
PRICES = ("open", "high", "low", "close")


def sessions(first: str, count: int) -> list[dt.date]:
    """Return sessions of New York of the first half of 2024."""
    found, day = [], dt.date.fromisoformat(first)
    while len(found) < count:
        if day.weekday() < 5 and day not in HOLIDAYS:
            found.append(day)
        day += dt.timedelta(days=1)
    return found


def exchange(
    days: Sequence[dt.date],
    *,
    volume: float | Sequence[float] = 1e6,
    actions: pl.DataFrame | None = None,
    **prices: float | Sequence[float],
) -> DataFeed:
    """Return days of instruments that never leave their price: one for all days, or one a day."""

    def path(given: float | Sequence[float]) -> Sequence[float]:
        return given if isinstance(given, Sequence) else [given] * len(days)

    rows = [
        {"symbol": symbol, "session": day, "volume": float(size)} | dict.fromkeys(PRICES, float(price))
        for symbol, given in prices.items()
        for day, price, size in zip(days, path(given), path(volume), strict=False)
    ]
    return DataFeed(
        pl.DataFrame(rows),
        stamp="session",
        calendar="XNYS",
        instruments=[Instrument(symbol, calendar="XNYS") for symbol in prices],
        **({} if actions is None else {"actions": actions}),
    )


def play(
    feed: DataFeed | list[DataFeed],
    *steps: Step,
    days: Days = 2,
    unsettled: str = "good_faith",
    flows: Mapping[str, str] | None = None,
    **broker: Any,  # noqa: ANN401 - settings of that section
) -> Results:
    """Run one step at each close on an account of 1,000, with payments by their times."""

    payments = None
    if flows:
        rows = {"ts_event": [dt.datetime.fromisoformat(ts) for ts in flows], "amount": list(flows.values())}
        payments = pl.DataFrame(rows)
    account = {"allows_short": False, "settlement": {"days": days, "unsettled": unsettled}}
    return run_steps(feed, *steps, cash_flows=payments, **(account | broker))


# -- steps ---------------------------------------------------------------------------------------------------


def buy(symbol: str, quantity: float, **terms: Any) -> Step:  # noqa: ANN401 - of `OrderTerms`
    return lambda broker: broker.buy(symbol, quantity, **terms)


def sell(symbol: str, quantity: float, **terms: Any) -> Step:  # noqa: ANN401
    return lambda broker: broker.sell(symbol, quantity, **terms)


def both(*steps: Step) -> Step:
    """Do several things at one call."""
    return lambda broker: [step(broker) for step in steps]


def nothing(broker: object) -> None:
    """Let a day pass."""


class Seen(list[tuple[float, ...]]):
    """Cash and what of it has settled, of each currency asked for, at each step that looks."""

    def look(self, *currencies: str) -> Step:
        """Write it down: for all currencies together where none is named."""

        def step(broker: Any) -> None:  # noqa: ANN401
            named = currencies or (None,)
            self.append(
                tuple(broker.get_cash(each, settled=settled) for each in named for settled in (False, True))
            )

        return step

    def powers(self) -> Step:
        """Write the buying power down."""
        return lambda broker: self.append((broker.buying_power,))


# -- what came of it -----------------------------------------------------------------------------------------


def violations(results: Results) -> list[str]:
    """Return the sentences of good-faith violations."""
    return results.order_events.filter(reason_code="GOOD_FAITH_VIOLATION")["reason"].to_list()


def outcomes(results: Results) -> list[tuple[str, str]]:
    """Return how each order ended, and why."""
    return results.orders.sort("order_id").select("status", "reason_code").rows()
