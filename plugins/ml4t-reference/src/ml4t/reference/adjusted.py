"""Past prices in the shares of now, as a view shows them to signals.

A price of a row is multiplied, for each corporate action between the row and now, by 1 / ratio of a split
and, where dividends count too, by 1 - D / C of a dividend or a spin-off: C is the last close before it, in
the shares that D is paid for. A number of shares is multiplied by the ratios of splits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from ml4t.core.errors import DataError
from ml4t.core.types import DataKind
from ml4t.reference.plan import Action, Effect, Feed, Plan

__all__ = ["adjusted", "check_adjust"]

PRICES = {"open", "high", "low", "close", "bid_price", "ask_price", "price"}
SHARES = {"volume", "bid_size", "ask_size", "size"}


def check_adjust(adjust: object) -> None:
    """Refuse what past prices are not adjusted for."""
    if adjust not in (None, "split", "total_return"):
        message = f"adjust takes split or total_return, found {adjust!r}"
        raise DataError(message)


def adjusted(  # noqa: PLR0913 - what a window is of
    plan: Plan, feed: Feed, name: str, instrument: int, rows: Sequence[int], shown: int, now: int, how: str
) -> list[float]:
    """Return the last `shown` of the known rows of an instrument, in the shares of now."""
    values = [float(feed.columns[name][row]) for row in rows[len(rows) - shown :]]
    own = [each for each in plan.actions if each.instrument == instrument and each.ts <= now]
    if feed.kind is DataKind.CONTEXT or not own or name not in PRICES | SHARES:
        return values
    stamps = feed.columns["ts_event"]
    found = []
    for row, value in zip(rows[len(rows) - shown :], values, strict=True):
        factor = Fraction(1)
        for action in own:
            if action.ts < stamps[row]:
                continue
            if action.kind is Effect.SPLIT:
                factor *= action.ratio if name in SHARES else 1 / action.ratio
            elif how == "total_return" and name in PRICES:
                factor *= _kept(action, own, _close_before(feed, rows, action.ts))
        found.append(value * float(factor))
    return found


def _kept(action: Action, own: Sequence[Action], close: float) -> Fraction:
    """Return what a dividend or a spin-off leaves of a price."""
    if action.kind not in (Effect.CASH_DIVIDEND, Effect.SPIN_OFF) or math.isnan(close):
        return Fraction(1)
    base = Fraction(close)
    for before in own[: own.index(action)]:
        if before.ts != action.ts:
            continue
        if before.kind is Effect.SPLIT:
            base /= before.ratio
        elif before.kind in (Effect.CASH_DIVIDEND, Effect.SPIN_OFF):
            base -= Fraction(before.amount)
    amount = Fraction(action.amount)
    return 1 - amount / base if amount < base else Fraction(1)


def _close_before(feed: Feed, rows: Sequence[int], ts: int) -> float:
    """Return the last close, print or middle of a quote at or before an instant; NaN where there is none."""
    stamps = feed.columns["ts_event"]
    for row in reversed(rows):
        if stamps[row] > ts:
            continue
        names = {DataKind.BAR: ("close",), DataKind.TRADE: ("price",)}.get(
            feed.kind, ("bid_price", "ask_price")
        )
        close = sum(float(feed.columns[each][row]) for each in names) / len(names)
        if not math.isnan(close):
            return close
    return math.nan
