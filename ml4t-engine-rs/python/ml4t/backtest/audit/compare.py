"""What a strategy decided up to an instant, and where two runs first decide differently."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
import polars as pl

from ml4t.core.values import format_ns
from ml4t.engine.results import Results

__all__ = ["ORDER", "Decision", "Difference", "first_difference", "of_tables", "plain", "same"]

ORDER = "asset side order_type quantity limit_price stop_price time_in_force tag".split()
_ASKED = "symbol side order_type time_in_force limit_price stop_price quantity tag".split()
# So close are numbers that differ by the order of a sum only.
_RELATIVE = 1e-9


@attrs.frozen
class Decision:
    """Something a strategy did.

    Attributes
    ----------
    at_ns
        When, UTC ns.
    what
        Name of the call: `order_target_percent`, `cancel_order`, `record`, `log` ...
    said
        Its arguments and what came of it, as plain values.
    place
        File, line and text of the strategy's source that did it, where it is known.
    """

    at_ns: int
    what: str
    said: tuple[Any, ...]
    place: str = attrs.field(default="", eq=False)

    def __str__(self) -> str:
        return f"{self.what}({', '.join(_shown(value) for value in self.said)})"


@attrs.frozen
class Difference:
    """The first decision that is another one; None is none at all."""

    at_ns: int
    before: Decision | None
    after: Decision | None

    def __str__(self) -> str:
        was, now = (("nothing" if d is None else str(d)) for d in (self.before, self.after))
        return f"{format_ns(self.at_ns)}: {was} became {now}"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, tuple):
        return "(" + ", ".join(_shown(each) for each in value if each is not None) + ")"
    return str(value)


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever a strategy hands over
    """Return a value as numbers, texts and tuples, which can be compared when its run is over."""
    if hasattr(value, "client_order_id") and hasattr(value, "order_type"):
        return tuple(plain(getattr(value, name)) for name in ORDER)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict):
        return tuple((str(key), plain(each)) for key, each in value.items())
    if isinstance(value, list | tuple):
        return tuple(plain(each) for each in value)
    if hasattr(value, "value") and hasattr(value, "name"):
        return str(value.value)
    try:
        return float(value)
    except (TypeError, ValueError):
        return f"a {type(value).__name__}"


def same(one: Any, other: Any) -> bool:  # noqa: ANN401 - plain values
    """Say whether plain values are the same, apart from the last digits of numbers."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, int | float):
        both_missing = math.isnan(one) and math.isnan(other)
        return both_missing or math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=1e-12)
    return bool(one == other)


def first_difference(
    before: Sequence[Decision],
    after: Sequence[Decision],
    until_ns: int | None = None,
    *,
    orders_only: bool = False,
) -> Difference | None:
    """Return where two runs first decide differently, up to an instant that counts in; None if nowhere."""

    def counted(decisions: Sequence[Decision]) -> list[Decision]:
        return [
            each
            for each in decisions
            if (until_ns is None or each.at_ns <= until_ns)
            and not (orders_only and each.what in ("record", "log"))
        ]

    one, other = counted(before), counted(after)
    for k in range(max(len(one), len(other))):
        was = one[k] if k < len(one) else None
        now = other[k] if k < len(other) else None
        if (
            was is None
            or now is None
            or (was.at_ns, was.what) != (now.at_ns, now.what)
            or not same(was.said, now.said)
        ):
            at = min(each.at_ns for each in (was, now) if each is not None)
            # What one run does later is not what stands against what the other does now.
            return Difference(at, *(d if d is not None and d.at_ns == at else None for d in (was, now)))
    return None


def of_tables(results: Results, *, calls: bool) -> list[Decision]:
    """Return decisions as the tables of a run have them.

    Parameters
    ----------
    results : Results
        Of a run, also one that was stopped.
    calls : bool
        Whether orders, records and logs were written down as they were asked for, so that only what a
        handle did, `order.cancel()`, is left to the tables.
    """
    found = []
    events = results.order_events.with_columns(pl.col("ts_event").cast(pl.Int64))
    changes = events.filter((pl.col("status") == "canceled") | (pl.col("reason_code") == "REPLACED"))
    for row in changes.iter_rows(named=True):
        said = (row["order_id"], row["status"], row["reason_code"])
        found.append(Decision(row["ts_event"], "order_event", said))
    if not calls:
        orders = results.orders.with_columns(pl.col("ts_submitted").cast(pl.Int64))
        for row in orders.iter_rows(named=True):
            found.append(Decision(row["ts_submitted"], "order", tuple(row[name] for name in _ASKED)))
    return sorted(found, key=lambda each: each.at_ns)
