"""What traded in each session, and what own orders took of it: for caps on an average of sessions.

A bar belongs to the session that closes after its open, a print to the one that closes at or after it. All of
it counts in today's shares: a split scales what was before it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from fractions import Fraction

import attrs

from ml4t.reference.matching import Bar, Quote, Trade
from ml4t.reference.plan import Instrument, Plan

__all__ = ["Turnover"]


@attrs.define
class _Row:
    """The volume of a row that is complete."""

    session: int
    ts_event: int
    volume: float


@attrs.define
class Turnover:
    """Volumes of the feeds that fill orders, and what orders took, by session."""

    plan: Plan
    rows: dict[int, list[_Row]] = attrs.field(factory=dict)  #: by instrument, from the oldest to the newest
    taken: dict[tuple[int, int], Fraction] = attrs.field(factory=dict)  #: units, by instrument and session

    def see(self, instrument: Instrument, data: Bar | Quote | Trade) -> None:
        """Count a row that is complete."""
        if isinstance(data, Quote):
            return
        volume = data.volume if isinstance(data, Bar) else data.values.get("size", math.nan)
        row = _Row(self._session(instrument, data), data.ts_event, volume)
        self.rows.setdefault(instrument.index, []).append(row)

    def split(self, instrument: Instrument, ratio: Fraction) -> None:
        """Count what was before a split in the shares of after it."""
        for row in self.rows.get(instrument.index, []):
            row.volume = row.volume * ratio.numerator / ratio.denominator
        for key in self.taken:
            if key[0] == instrument.index:
                self.taken[key] *= ratio

    def take(self, instrument: Instrument, data: Bar | Quote | Trade, units: int) -> None:
        """Count what an order took of the session of a row."""
        if not isinstance(data, Quote):
            key = instrument.index, self._session(instrument, data)
            self.taken[key] = self.taken.get(key, Fraction(0)) + units

    def shown(self, instrument: Instrument, data: Bar | Quote | Trade, days: int) -> dict[str, float]:
        """Return what a fill model is shown of sessions: the mean of the last ones before that of a row.

        The mean is 0 before the first of them is over, and NaN where a volume is missing.
        """
        session = self._session(instrument, data)
        used = self.taken.get((instrument.index, session), Fraction(0))
        fields = {"session_used": instrument.quantity(used)}
        before = [row for row in self.rows.get(instrument.index, []) if row.session < session]
        last = sorted({row.session for row in before})[-days:]
        if not last:
            return fields | {"average_volume": 0.0}
        total = 0.0
        for row in before:
            if row.session < last[0]:
                continue
            total += row.volume
        return fields | {"average_volume": total / len(last)}

    def _session(self, instrument: Instrument, data: Bar | Quote | Trade) -> int:
        closes = self.plan.calendars[instrument.calendar].closes
        if isinstance(data, Bar):
            return bisect_right(closes, data.ts_open)
        return bisect_left(closes, data.ts_event)
