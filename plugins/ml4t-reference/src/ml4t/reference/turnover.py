"""What traded in each session at which price, and what own orders took of it: for averages and volatilities.

A bar belongs to the session that closes after its open, a print or quote to the one that closes at or after
it. All of it counts in today's shares: a split scales what was before it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from fractions import Fraction
from itertools import pairwise

import attrs

from ml4t.reference.matching import Bar, Quote, Trade
from ml4t.reference.plan import Instrument, Plan

__all__ = ["Turnover"]


@attrs.define
class _Row:
    """Volume and last price of a row that is complete; NaN where it has none."""

    session: int
    ts_event: int
    volume: float
    price: float


@attrs.define
class Turnover:
    """Volumes of the feeds that fill orders, and what orders took, by session."""

    plan: Plan
    rows: dict[int, list[_Row]] = attrs.field(factory=dict)  #: by instrument, from the oldest to the newest
    taken: dict[tuple[int, int], Fraction] = attrs.field(factory=dict)  #: units, by instrument and session

    def see(self, instrument: Instrument, data: Bar | Quote | Trade) -> None:
        """Count a row that is complete."""
        if isinstance(data, Bar):
            volume, price = data.volume, data.values["close"]
        elif isinstance(data, Quote):
            volume, price = math.nan, (data.values["bid_price"] + data.values["ask_price"]) / 2.0
        else:
            volume, price = data.values.get("size", math.nan), data.values["price"]
        row = _Row(self._session(instrument, data), data.ts_event, volume, price)
        self.rows.setdefault(instrument.index, []).append(row)

    def split(self, instrument: Instrument, ratio: Fraction) -> None:
        """Count what was before a split in the shares of after it."""
        for row in self.rows.get(instrument.index, []):
            row.volume = row.volume * ratio.numerator / ratio.denominator
            row.price = row.price * ratio.denominator / ratio.numerator
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
        before = self._before(instrument, session)
        last = _last_sessions(before, days)
        return fields | {"average_volume": _mean_volume(before, last) if last else 0.0}

    def estimates(self, instrument: Instrument, data: Bar | Quote | Trade, days: int) -> dict[str, float]:
        """Return what slippage and impact models are shown of the last sessions before that of a row.

        The average volume is NaN before the first session is over and where a volume is missing, also on
        quotes; the volatility is NaN with fewer than two returns.
        """
        before = self._before(instrument, self._session(instrument, data))
        last = _last_sessions(before, days)
        if not last:
            return {"average_volume": math.nan, "volatility": math.nan}
        return {"average_volume": _mean_volume(before, last), "volatility": _volatility(before, last[0])}

    def _before(self, instrument: Instrument, session: int) -> list[_Row]:
        return [row for row in self.rows.get(instrument.index, []) if row.session < session]

    def _session(self, instrument: Instrument, data: Bar | Quote | Trade) -> int:
        closes = self.plan.calendars[instrument.calendar].closes
        if isinstance(data, Bar):
            return bisect_right(closes, data.ts_open)
        return bisect_left(closes, data.ts_event)


def _last_sessions(rows: list[_Row], days: int) -> list[int]:
    """Return the last sessions that have rows, the oldest first."""
    return sorted({row.session for row in rows})[-days:]


def _mean_volume(rows: list[_Row], sessions: list[int]) -> float:
    """Return the mean volume of sessions, added from the oldest row to the newest."""
    total = 0.0
    for row in rows:
        if row.session >= sessions[0]:
            total += row.volume
    return total / len(sessions)


def _volatility(rows: list[_Row], first: int) -> float:
    """Return the standard deviation (n - 1) of the returns that end in a session from `first` on.

    A return goes from the last price of a session to that of the next that has one.
    """
    closes = {row.session: row.price for row in rows if not math.isnan(row.price)}
    pairs = [(closes[before], closes[now]) for before, now in pairwise(closes) if now >= first]
    # From a price of zero there is no return, and so nothing to estimate.
    returns = [(price - before) / before if before else math.nan for before, price in pairs]
    if len(returns) < 2:
        return math.nan
    mean = 0.0
    for each in returns:
        mean += each
    mean /= len(returns)
    squares = 0.0
    for each in returns:
        squares += (each - mean) * (each - mean)
    return math.sqrt(squares / (len(returns) - 1))
