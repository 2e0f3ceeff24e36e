"""Whether decisions depend on how much history precedes the begin of a run."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import polars as pl

from ml4t.backtest.audit.compare import first_difference
from ml4t.backtest.audit.report import Finding
from ml4t.backtest.audit.subject import Outcome, Subject
from ml4t.backtest.audit.traced import Recorder
from ml4t.backtest.data.tables import MarketData
from ml4t.core.types import DataKind
from ml4t.core.values import format_ns

__all__ = ["begun_later", "unstable_warmup"]

# A value that forgets its begin is off by this part at first, and by a tenth of that later.
_LARGE = 1e-3
_FEWEST = 8


def begun_later(data: MarketData, sessions: int) -> MarketData | None:
    """Return the data without the rows before the session of that number; None if too few would be left."""
    table = next(each for each in data.calendars if each.name == data.nav_calendar)
    opens = table.frame.filter(pl.col("open_ns") >= data.span_ns[0])["open_ns"]
    if sessions >= len(opens):
        return None
    start = int(opens[sessions])
    feeds = []
    for feed in data.feeds:
        stamp = "ts_open" if feed.kind is DataKind.BAR else "ts_event"
        feeds.append(attrs.evolve(feed, frame=feed.frame.filter(pl.col(stamp) >= start).rechunk()))
    if any(feed.frame.is_empty() and feed.kind is not DataKind.CONTEXT for feed in feeds):
        return None
    signals = data.signals
    if signals is not None:
        signals = attrs.evolve(signals, frame=signals.frame.filter(pl.col("ts_arrival") >= start).rechunk())
    changed: dict[str, Any] = {
        name: None
        if (frame := getattr(data, name)) is None
        else frame.filter(pl.col("ts") >= start).rechunk()
        for name in ("actions", "flows", "rolls")
    }
    return attrs.evolve(data, feeds=tuple(feeds), signals=signals, **changed)


def unstable_warmup(subject: Subject, sessions: int) -> Finding | None:
    """Run from the begin and from some sessions later; compare what the strategy keeps once it decides.

    Positions and equity depend on the begin of any run. A number in an attribute of the strategy that
    differs when the later run first decides, then comes ever closer, and decisions that differ as long as
    it does: that is an average which had not forgotten how it began.
    """
    later = begun_later(subject.data, sessions)
    if later is None or subject.native:
        return None
    early, late = (subject.run(Recorder(keeps_state=True), data=data) for data in (None, later))
    orders = [each.at_ns for each in late.decisions if each.what not in ("record", "log", "failed")]
    if late.error or early.error or not orders:
        return None
    for name in late.recorder.state:
        found = _forgets(early, late, name, orders[0])
        if found is None:
            continue
        until, at, before, after = found
        was, now = (
            [each for each in outcome.decisions if orders[0] <= each.at_ns <= until]
            for outcome in (early, late)
        )
        difference = first_difference(was, now, orders_only=True)
        if difference is None:
            continue
        read = (
            f"self.{name} was {before:.6g} at {format_ns(at)}, and {after:.6g} in a run that began {sessions}"
            " sessions later, although it decided already; later both are the same"
        )
        return Finding(
            kind="unstable_warmup",
            read=read,
            at_ns=difference.at_ns,
            before=difference.before,
            after=difference.after,
        )
    return None


def _forgets(early: Outcome, late: Outcome, name: str, since: int) -> tuple[int, int, float, float] | None:
    """Return until when a number was off, and its values at the first decision; None if it never was."""
    one, other = early.recorder.state.get(name, {}), late.recorder.state[name]
    width = len(next(reversed(other.values())))
    instants = [at for at in other if at >= since and len(one.get(at, ())) == len(other[at]) == width]
    if len(instants) < 3 * _FEWEST:
        return None
    a, b = (np.array([values[at] for at in instants]) for values in (one, other))
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.nan_to_num(np.abs(a - b) / np.maximum(np.abs(a), 1e-12)).max(axis=1)
    third = len(off) // 3
    # Two states of a flag that fall in step at once are no average: there are no values in between.
    between = np.unique(off[(off > _LARGE * 1e-4) & (off < off[0])])
    if off[0] < _LARGE or off[-third:].max() > off[0] / 10 or len(between) < _FEWEST:
        return None
    column = int(np.argmax(np.abs(a[0] - b[0])))
    gone = int(np.flatnonzero(off > off[0] / 100)[-1])
    return instants[gone], instants[0], float(a[0][column]), float(b[0][column])
