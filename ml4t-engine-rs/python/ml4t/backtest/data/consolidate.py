"""Bars of a feed that is in the run, built from the very rows that the run has loaded of it.

The rules are those of :mod:`ml4t.backtest.bars`, by the same functions; what differs is where rows come from.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, TypedDict

import polars as pl
from attrs import evolve, frozen

from ml4t.backtest.bars.activity import VALUE, VOLUME, bars_by_amount, bars_by_count, positive, whole
from ml4t.backtest.bars.imbalance import ImbalanceRule, bars_by_imbalance
from ml4t.backtest.bars.intake import Intake, intake_of, refuse_unknown
from ml4t.backtest.bars.timed import bars_by_time, known_until, merged_bars, until_ns
from ml4t.backtest.bars.windows import Outside, Window, check_outside
from ml4t.backtest.data.bounds import Bounds, SessionBook
from ml4t.backtest.data.prepare import Prepared, Raw, prepare
from ml4t.backtest.data.settings import FeedSettings
from ml4t.backtest.data.stamps import Interval
from ml4t.backtest.data.tables import VALUE_COLUMNS
from ml4t.core.errors import ArgumentError, DataError
from ml4t.core.instrument import Instrument
from ml4t.core.types import DataKind, StampMeaning
from ml4t.core.values import format_duration

__all__ = ["Consolidation", "RuleOptions", "build", "check_source", "settings_of_bars"]

STAMPS = ("ts_open", "ts_event", "ts_arrival")
# What may be said beside each way to build bars.
OPTIONS: dict[str, tuple[str, ...]] = {
    "every": ("outside", "until"),
    "ticks": (),
    "volume": (),
    "dollar": (),
    "imbalance": ("expected_ticks", "span", "limits"),
}


class RuleOptions(TypedDict, total=False):
    """What may be said beside a rule; the keywords mean what they mean for the functions.

    `outside` and `until` are those of :func:`ml4t.backtest.bars.time_bars`, `expected_ticks`, `span` and
    `limits` those of :func:`ml4t.backtest.bars.imbalance_bars`.
    """

    outside: Outside
    until: dt.datetime | None
    expected_ticks: int | None
    span: float
    limits: tuple[int, int | None]


KEYWORDS = frozenset({*OPTIONS, *RuleOptions.__optional_keys__, "name", "matches_orders"})


@frozen(kw_only=True)
class Consolidation:
    """By which rule bars are built, checked.

    Attributes
    ----------
    text
        The rule as it was written, for reports.
    suffix
        What tells its bars from those of other rules, for names.
    window, outside, until
        Of bars by time; see :func:`ml4t.backtest.bars.time_bars`.
    ticks
        Ticks of a bar.
    volume, dollar
        Volume or value of a bar.
    imbalance
        Of bars by imbalance; see :func:`ml4t.backtest.bars.imbalance_bars`.
    """

    text: str
    suffix: str
    window: Window | None = None
    outside: Outside = "refuse"
    until: dt.datetime | None = None
    ticks: int | None = None
    volume: float | None = None
    dollar: float | None = None
    imbalance: ImbalanceRule | None = None

    @classmethod
    def parse(cls, rules: Mapping[str, Any], options: Mapping[str, Any]) -> Consolidation:
        """Return the rule that the keywords of ``consolidate`` state; what is None is not said.

        Raises
        ------
        ArgumentError
            There is no rule or more than one, or a keyword that is none or belongs to another rule.
        DataError
            A value is not what it must be.
        """
        refuse_unknown(options, KEYWORDS, function="consolidate")
        chosen = [name for name, value in rules.items() if value is not None]
        if len(chosen) != 1:
            found = " and ".join(chosen) or "none of them"
            message = f"bars are consolidated by one of {', '.join(OPTIONS)}; found {found}"
            raise ArgumentError(message)
        (name,) = chosen
        value, said = rules[name], {key: each for key, each in options.items() if each is not None}
        for option in said:
            if option not in OPTIONS[name]:
                owner = next(rule for rule, known in OPTIONS.items() if option in known)
                message = f"{option} belongs to {owner}, and these bars are built by {name}; leave it out"
                raise ArgumentError(message)
        text = ", ".join(f"{key}={_shown(each)}" for key, each in {name: value, **said}.items())
        if name == "every":
            return cls._by_time(value, said, text)
        suffix = f"{name}_{_shown(value).strip(chr(39))}"
        if name == "ticks":
            return cls(text=text, suffix=suffix, ticks=whole(name, value))
        if name == "imbalance":
            limits = said.get("limits", (1, None))
            rule = ImbalanceRule.parse(
                value, said.get("expected_ticks"), said.get("span", 20.0), limits, name=name
            )
            return cls(text=text, suffix=suffix, imbalance=rule)
        if name == "volume":
            return cls(text=text, suffix=suffix, volume=positive(name, value))
        return cls(text=text, suffix=suffix, dollar=positive(name, value))

    @classmethod
    def _by_time(cls, every: str | dt.timedelta, said: Mapping[str, Any], text: str) -> Consolidation:
        window = Window.parse(every)
        outside, until = said.get("outside", "refuse"), said.get("until")
        check_outside(outside)
        if until is not None:
            until_ns(until)
        return cls(text=text, suffix=window.interval.text, window=window, outside=outside, until=until)

    @property
    def interval(self) -> Interval | None:
        """Length of the bars; None where they have no common one."""
        return None if self.window is None else self.window.interval

    def known_ns(self, intake: Intake, reached_ns: int) -> int:
        """Return the instant up to which the rows of a source that reaches `reached_ns` are all there."""
        known = known_until(intake, self.until)
        return known if self.until is not None else max(known, reached_ns)

    def bars(self, intake: Intake, *, kind: DataKind, known_ns: int) -> pl.DataFrame:
        """Return the bars of rows, incomplete ones at the end included; see :mod:`ml4t.backtest.bars`.

        Parameters
        ----------
        intake
            Rows of ticks, or of bars for windows of time.
        kind
            Which of them.
        known_ns
            Instant up to which rows are all there: windows that end later are incomplete.
        """
        if self.window is not None:
            by_time = bars_by_time if kind is DataKind.TRADE else merged_bars
            return by_time(intake, self.window, outside=self.outside, known=known_ns, keep_incomplete=True)
        if self.ticks is not None:
            return bars_by_count(intake, self.ticks, keep_incomplete=True)
        if self.imbalance is not None:
            return bars_by_imbalance(intake, self.imbalance, keep_incomplete=True)
        if self.volume is not None:
            return bars_by_amount(intake, VOLUME, self.volume, keep_incomplete=True)
        return bars_by_amount(intake, VALUE, positive("dollar", self.dollar), keep_incomplete=True)


def _shown(value: object) -> str:
    if isinstance(value, dt.timedelta):
        return repr(str(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return f"'{value}'" if isinstance(value, str | dt.datetime) else str(value)


def check_source(kind: DataKind, interval_ns: int | None, rule: Consolidation, *, label: str) -> None:
    """Refuse rows that the rule cannot be built of.

    Parameters
    ----------
    kind, interval_ns
        What the source declares; an interval of None is not known.
    rule
        What is asked for.
    label
        What messages call the source.
    """
    if kind not in (DataKind.TRADE, DataKind.BAR):
        what = (
            "rows of context belong to no instrument" if kind is DataKind.CONTEXT else "quotes have no volume"
        )
        message = f"{label}: bars are built of trades or of shorter bars, and {what}; leave consolidate out"
        raise DataError(message)
    if kind is DataKind.TRADE:
        return
    if rule.interval is None:
        message = (
            f"{label}: {rule.text} counts trade ticks, and this feed holds bars, of which longer bars can be "
            "built: consolidate('1h')"
        )
        raise DataError(message)
    if interval_ns is not None and rule.interval.ns < interval_ns:
        message = (
            f"{label}: bars of {rule.interval.text} cannot be built of bars of "
            f"{format_duration(interval_ns)}, which are longer; choose a longer window, or a finer source"
        )
        raise DataError(message)


def build(
    source: Prepared,
    settings: FeedSettings,
    rule: Consolidation,
    *,
    declared: Mapping[str, Instrument],
    bounds: Bounds,
    book: SessionBook,
) -> Prepared:
    """Return the complete bars of prepared rows, as a feed of them would be prepared.

    Parameters
    ----------
    source
        Rows within the bounds of the run.
    settings
        Those of the new feed.
    rule
        How to build.
    declared, bounds, book
        As for :func:`ml4t.backtest.data.prepare.prepare`.

    Raises
    ------
    DataError
        The source cannot be consolidated by the rule, or no bar is complete.
    """
    kind, label = source.settings.kind, source.settings.label
    check_source(kind, source.settings.interval_ns, rule, label=label)
    intake = intake_of(source.rows, source.tables)
    known = rule.known_ns(intake, source.known_ns)
    found = rule.bars(evolve(intake, label=settings.label), kind=kind, known_ns=known)
    complete, rest = found.filter("is_complete"), found.filter(~pl.col("is_complete"))
    rows = source.rows.keys.height
    if not complete.height:
        message = (
            f"{settings.label}: no bar by {rule.text} is complete within the {rows:,} rows of {label}; "
            "choose shorter bars or a longer range, or leave the feed out"
        )
        raise DataError(message)
    stamps = complete.select(pl.col(name).cast(pl.Int64) for name in STAMPS if name in complete.columns)
    names = [name for name in complete.columns if name not in {*STAMPS, "symbol", "is_complete"}]
    values = VALUE_COLUMNS[DataKind.BAR]
    extra = [name for name in names if name not in values]
    raw = Raw(
        settings=settings,
        keys=complete.select("symbol").hstack(stamps.rename({"ts_event": "stamp"}).get_columns()),
        values=complete.select(pl.col(name).cast(pl.Float64) for name in (*values, *extra)),
    )
    prepared = prepare(raw, declared, bounds, book)
    notes = [f"built from {rows:,} rows of {label} by {rule.text}"]
    if rest.height:
        volume = f"{float(rest['volume'].sum()):,.10g}"
        notes.append(
            f"not delivered: {rest.height} incomplete at the end, with a volume of {volume} "
            f"({', '.join(rest['symbol'].unique().sort())})"
        )
    if cut := complete.height - prepared.rows.keys.height:
        notes.append(f"not delivered: {cut} that began before the start of the run, or end after its end")
    # What looks like a wrong declaration elsewhere is the rule here: bars of activity span nights.
    notes += [note for note in prepared.report.notes if note not in prepared.report.doubts]
    report = evolve(prepared.report, notes=tuple(notes), doubts=())
    return evolve(prepared, report=report, known_ns=known)


def settings_of_bars(
    source: FeedSettings, rule: Consolidation, *, name: str, matches_orders: bool
) -> FeedSettings:
    """Return the settings of the bars of a feed: its instruments, and stamps of their own."""
    return evolve(
        source,
        name=name,
        kind=DataKind.BAR,
        stamp=StampMeaning.EVENT,
        interval=rule.interval,
        columns={},
        symbols=(),
        fields=None,
        matches_orders=matches_orders,
        cuts_to_session=False,
    )
