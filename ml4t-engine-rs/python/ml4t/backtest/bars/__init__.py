"""Bars from trade ticks, and coarser bars from bars.

============================== ==================================================================
`time_bars`                    one bar per window of time, by sessions of a calendar
`tick_bars`                    one bar per number of ticks
`volume_bars`                  one bar per volume traded
`dollar_bars`                  one bar per value traded
`imbalance_bars`               one bar per surplus of buying or selling over what was expected
`resample`                     bars of minutes, hours, sessions, weeks or months from shorter bars
============================== ==================================================================

**In.** Ticks in any form that a :class:`~ml4t.backtest.DataFeed` of trades takes: a polars (eager or
lazy), pandas or pyarrow frame, a mapping of frames by symbol, a path. Columns are ``symbol``,
``timestamp`` (or another of the feed's names), ``price`` and ``size``, in order of time within each
symbol. Ticks of one symbol that share an instant keep the order of the source.

**Out.** A frame sorted by ``ts_event`` and ``symbol``:

============== ============================== ====================================================
column         type                           what it is
============== ============================== ====================================================
``symbol``     String
``ts_open``    Datetime, ns, UTC              when the bar began
``ts_event``   Datetime, ns, UTC              when it was complete, and could be known
``ts_arrival`` Datetime, ns, UTC              only where the source has it: when the last row arrived
``open`` …     Float64                        price units; first, highest, lowest and last price
``volume``     Float64                        sum of the sizes, whole
``ticks``      Int64                          number of ticks (not of `resample`)
============== ============================== ====================================================

Bars carry both stamps, so every result goes into ``DataFeed(bars, stamp="event")``; no `interval` is
needed, also where bars differ in length.

**The last bar.** A bar that is not complete when the data end is left out, for its stamp and its volume
would be those of the end of the file. ``keep_incomplete=True`` keeps it and adds the column
``is_complete``; the volumes of the bars then sum to the sizes of the ticks, exactly for whole sizes up to
2**53, and within the rounding of 64-bit sums for others.

**Options** of all functions are those of a feed: `columns`, `symbols`, `timezone` (of naive stamps, which
are refused without it) and `instruments` (their calendars, and which of them may trade below zero).

**Inside a run** the same bars are built by :meth:`ml4t.backtest.data.feed.LoadedFeed.consolidate`.

Data and parameters are refused with a :class:`~ml4t.core.errors.DataError` that names symbol, instant and
value; a keyword that is none with an :class:`~ml4t.core.errors.ArgumentError`.
"""

from __future__ import annotations

from ml4t.backtest.bars.activity import dollar_bars, tick_bars, volume_bars
from ml4t.backtest.bars.imbalance import imbalance_bars
from ml4t.backtest.bars.intake import BarOptions, TickOptions
from ml4t.backtest.bars.timed import resample, time_bars

__all__ = [
    "BarOptions",
    "TickOptions",
    "dollar_bars",
    "imbalance_bars",
    "resample",
    "tick_bars",
    "time_bars",
    "volume_bars",
]
