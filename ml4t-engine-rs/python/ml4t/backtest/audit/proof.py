"""The audit itself: run, alter what follows an instant, run again, and find what made the difference."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from ml4t.backtest.audit.alter import HOWS, alter, left_alone
from ml4t.backtest.audit.columns import suspects, without
from ml4t.backtest.audit.compare import Decision, Difference, first_difference, same
from ml4t.backtest.audit.outside_tables import Cut
from ml4t.backtest.audit.report import AuditReport, Finding, Kind
from ml4t.backtest.audit.subject import Outcome, Subject
from ml4t.backtest.audit.traced import Read, Recorder
from ml4t.backtest.audit.warmup import unstable_warmup
from ml4t.core.errors import ArgumentError
from ml4t.core.values import format_ns

__all__ = ["audit"]

SEED = 20130301
# One mistake shows at most instants; three runs in which it shows are enough to find it.
_MOST = 3


def audit(  # noqa: PLR0913 - the parts of a run, and how it is audited
    strategy: Any,  # noqa: ANN401 - whatever `Engine` takes, or what makes a run
    data: Any = None,  # noqa: ANN401 - feeds
    config: Any = None,  # noqa: ANN401 - as of `Engine`
    *,
    frames: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    instants: int = 8,
    seed: int = SEED,
    later: int | None = None,
    **parts: Any,  # noqa: ANN401 - keywords of `Engine`
) -> AuditReport:
    """Look for decisions that depend on what was not known when they were made.

    The strategy runs as it is, then again with everything after an instant replaced, for several instants
    and in several ways: in every table of the run, in frames it holds, and in files it reads. A decision up
    to the instant that differs is a leak; the report names it, what was read, and the line.

    Parameters
    ----------
    strategy : Strategy subclass, factory, instance, or "module:Class"
        As of `Engine`. With `frames`: a function that takes a mapping of frames and returns the keywords of
        `Engine`, `strategy` and `feed` among them.
    data : DataFeed or iterable of DataFeed
        Market data; not together with `frames`.
    config : RunConfig, mapping, path or None
        As of `Engine`.
    frames : Mapping of str to frame, optional
        Raw tables, before anything was computed from them. They are altered before the function sees them,
        so that columns it computes are audited as well. It may be empty where the function reads files.
    params : Mapping or None
        Keywords of the strategy's constructor.
    instants : int
        After how many instants the future is replaced; most are those of decisions.
    seed : int
        Of the instants and of what the future is replaced by; the same seed gives the same report.
    later : int or None
        How many sessions later a run begins that is compared with the first, to see whether the warm-up is
        long enough; a tenth of the data by default, 0 for none.
    **parts
        Further keywords of `Engine`: signals, actions, funding, models ...

    Returns
    -------
    AuditReport
        `ok` is True where there is no finding but doubts.

    Raises
    ------
    ArgumentError
        If data are missing, `instants` is no positive number, or the unaltered run fails.

    Examples
    --------
    >>> from ml4t.backtest import DataFeed, Strategy, audit, datasets
    >>> class Hold(Strategy):
    ...     def on_data(self, timestamp, data, context, broker):
    ...         if broker.get_position("IBM") is None and not broker.open_orders:
    ...             broker.order_target_percent("IBM", 0.9)
    >>> feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
    >>> audit(Hold, feed, instants=2).ok
    True
    """
    given: object = instants
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        msg = f"instants = {instants!r}; expected how many instants to look at, 1 or more"
        raise ArgumentError(msg)
    if (data is None) == (frames is None):
        which = "neither" if data is None else "both"
        given_both = f"audit was given {which} of data and frames"
        msg = f"{given_both}; give feeds with a strategy, or frames with a function"
        raise ArgumentError(msg)
    parts = {**parts, "config": config}
    if frames is not None:
        if params:
            msg = "params go with a strategy; with frames, the function returns them"
            raise ArgumentError(msg)
        subject = Subject.made(strategy, frames, parts)
    else:
        subject = Subject.of(strategy, data, parts, params or {})
    return _Audit(subject, seed).report(instants, later)


@attrs.define(eq=False)
class _Audit:
    subject: Subject
    seed: int
    findings: list[Finding] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)
    differing: int = 0

    def report(self, instants: int, later: int | None) -> AuditReport:
        subject = self.subject
        data = subject.data
        subject.outside.reset()
        base = subject.run(Recorder())
        if base.error:
            msg = f"the strategy cannot be audited, because its run fails: {base.error}"
            raise ArgumentError(msg)
        chosen: tuple[int, ...] = ()
        # Where the same run decides otherwise, nothing can be said of another future.
        if self._repeats(base):
            chosen = self._instants(base, instants)
            self._columns(base)
            for until in chosen:
                self._cut(base, until)
                if self.differing >= _MOST:
                    self.notes.append(
                        f"stopped after {_MOST} runs that decided otherwise; mend that, and audit again"
                    )
                    break
            sessions = next(table for table in data.calendars if table.name == data.nav_calendar)
            span = sum(data.span_ns[0] <= at <= data.span_ns[1] for at in sessions.frame["open_ns"].to_list())
            found = None if later == 0 else unstable_warmup(subject, span // 10 if later is None else later)
            self.findings += [] if found is None else [found]
            self._universe()
        self._tell(base, chosen)
        return AuditReport(
            findings=tuple(self.findings),
            instants=chosen,
            runs=subject.runs,
            decisions=len(base.decisions),
            notes=tuple(self.notes),
            seed=self.seed,
        )

    # ------------------------------------------------------------------------------------- the same again

    def _repeats(self, base: Outcome) -> bool:
        """Run again as one would in one process: first with what the run left behind, then without."""
        subject = self.subject
        again = subject.run(Recorder())
        if (difference := first_difference(base.decisions, again.decisions)) is not None:
            self._add("not_repeatable", "the same run, made twice, decides otherwise", difference)
            return False
        left = subject.run(Recorder(), as_left=True)
        if (difference := first_difference(base.decisions, left.decisions)) is not None:
            self._add(
                "state_between_runs",
                "a second run in the process begins with what the first left",
                difference,
            )
        return True

    def _add(self, kind: Kind, read: str, difference: Difference, cut: Cut | None = None) -> None:
        known = {(each.kind, each.read.partition(" was ")[0]) for each in self.findings}
        if (kind, read.partition(" was ")[0]) not in known:
            self.findings.append(
                Finding(
                    kind=kind,
                    read=read,
                    at_ns=difference.at_ns,
                    until_ns=None if cut is None else cut.until_ns,
                    how="" if cut is None else cut.how,
                    before=difference.before,
                    after=difference.after,
                )
            )

    # ------------------------------------------------------------------------------------- another future

    def _instants(self, base: Outcome, count: int) -> tuple[int, ...]:
        """Choose instants: three of four of decisions, orders first, the rest of the data."""
        rng = np.random.default_rng([self.seed, zlib.crc32(b"instants")])
        data = self.subject.data
        last = data.span_ns[1]
        orders = [each.at_ns for each in base.decisions if each.what not in ("record", "log", "order_event")]
        others = [each.at_ns for each in base.decisions]
        decided = np.unique([at for at in (orders or others) if at < last])
        stamps = [
            feed.frame[name].to_numpy()
            for feed in data.feeds
            for name in ("ts_event", "ts_open")
            if name in feed.frame.columns
        ]
        every = np.unique(np.concatenate(stamps))
        every = every[(every > data.span_ns[0]) & (every < last)]
        wanted = min(len(decided), count - count // 4)
        chosen = set() if not wanted else set(rng.choice(decided, wanted, replace=False).tolist())
        rest = np.setdiff1d(every, list(chosen))
        more = min(count - len(chosen), len(rest))
        return tuple(sorted(chosen | set(rng.choice(rest, more, replace=False).tolist() if more else [])))

    def _cut(self, base: Outcome, until: int) -> None:
        for how in HOWS:
            cut = Cut(until, how, self.seed, self.subject.data)
            if how == "split" and not self._has_adjusted(cut):
                continue
            after = self.subject.run(cut=cut)
            if after.decisions and _is_refusal(after.decisions[0 if after.decisions[0].at_ns == 0 else -1]):
                self.notes.append(f"{how} after {format_ns(until)} was not compared: {after.error}")
            difference = _differs(base, after, cut)
            if difference is not None:
                self.differing += 1
                self._blame(base, cut, difference)
            elif after.symbols != base.symbols and after.symbols and how != "split":
                read = f"the universe {list(base.symbols)} was {list(after.symbols)} with another future"
                here = Difference(until, None, None)
                self._add("survivorship", read, here, cut)

    def _has_adjusted(self, cut: Cut) -> bool:
        subject = self.subject
        if subject.make is not None or subject.outside.items or subject.outside.namespaces:
            return True
        altered = alter(subject.data, cut.until_ns, "split", cut.rng())
        return any(one is not other for one, other in zip(altered.feeds, subject.data.feeds, strict=True))

    def _blame(self, base: Outcome, cut: Cut, difference: Difference) -> None:
        """Find out which of what was altered changed the decision."""
        subject = self.subject
        inside = subject.run(cut=cut, outside=False)
        if (found := _differs(base, inside, cut)) is not None:
            if inside.symbols != base.symbols and inside.symbols:
                read = f"the universe {list(base.symbols)} was {list(inside.symbols)} with another future"
                self._add("survivorship", read, found, cut)
                return
            self._add("future_data", self._read(cut, found), found, cut)
            return
        for item in subject.outside.items:
            outcome = subject.run(cut=cut, engine=False, only=item)
            if (found := _differs(base, outcome, cut)) is not None:
                self._add("outside_data", f"{item}: rows after the instant were read", found, cut)
                return
        outcome = subject.run(cut=cut, engine=False)
        found = _differs(base, outcome, cut) or difference
        names = subject.outside.recomputed(cut)
        if names:
            told = "; ".join(
                f"global {name} (line {line}){_values(was, now)}" for name, line, was, now in names[:3]
            )
            universe = all(_is_universe(was, base.symbols) for _, _, was, _ in names)
            kind: Kind = "survivorship" if universe else "outside_data"
            self._add(kind, f"{told}: computed from rows after the instant", found, cut)
            return
        files = [f"{each.path}, read at {each.place}" for each in outcome.files if each.is_dated]
        self._add(
            "outside_data", "; ".join(dict.fromkeys(files)) or "something beside the engine", found, cut
        )

    def _read(self, cut: Cut, difference: Difference) -> str:
        """Return the last read before a decision that was another value."""
        recorders = [Recorder(until_ns=cut.until_ns, traces=True) for _ in range(2)]
        self.subject.run(recorders[0])
        self.subject.run(recorders[1], cut, outside=False)
        pairs = zip(*(recorder.reads for recorder in recorders), strict=False)
        told = "something in the tables of the run"
        for was, now in pairs:
            # Once it decides otherwise it may read other things, which prove nothing.
            if (was.at_ns, was.name, was.symbol) != (
                now.at_ns,
                now.name,
                now.symbol,
            ) or was.at_ns > difference.at_ns:
                break
            if not same(was.value, now.value):
                told = _told(was, now)
        return told

    # ------------------------------------------------------------------------------------- the rest

    def _columns(self, base: Outcome) -> None:
        data = self.subject.data
        if self.subject.make is not None:
            return
        for suspect in suspects(data):
            drawn = without(
                data, suspect, np.random.default_rng([self.seed, zlib.crc32(suspect.column.encode())])
            )
            changed = self.subject.run(Recorder(), data=drawn)
            if (difference := first_difference(base.decisions, changed.decisions)) is not None:
                kind: Kind = "shifted_column" if suspect.kind == "shifted_column" else "whole_sample"
                self._add(kind, suspect.said, difference)

    def _universe(self) -> None:
        """Doubt a universe that was drawn from a table in which others died, while none of its own did."""
        data = self.subject.data
        for item in self.subject.outside.items:
            died = _died(item.value)
            if died and not died & set(data.symbols) and len(data.symbols) > 1:
                named = ", ".join(sorted(died)[:5])
                read = f"{item} has symbols that end early ({named}); none of the universe does"
                self.findings.append(Finding(kind="survivorship", read=read, is_doubt=True))

    def _tell(self, base: Outcome, chosen: tuple[int, ...]) -> None:
        subject = self.subject
        self.notes += [f"left as it is: {each}" for each in left_alone(subject.data)]
        if not chosen:
            return
        cut = Cut(chosen[0], "garbage", self.seed, subject.data)
        for item in subject.outside.undated(cut):
            self.notes.append(f"not altered: {item}, whose rows cannot be dated; give it a column of dates")
        if not base.decisions:
            self.notes.append("the strategy decided nothing, so there was nothing to compare")


def _differs(base: Outcome, after: Outcome, cut: Cut) -> Difference | None:
    # The level of a column adjusted backwards is no decision; an order made of it is.
    difference = first_difference(
        base.decisions, after.decisions, cut.until_ns, orders_only=cut.how == "split"
    )
    is_refused = difference is not None and difference.after is not None and _is_refusal(difference.after)
    return None if is_refused else difference


def _is_refusal(decision: Decision) -> bool:
    """Say whether a run failed because of what altered data are, which says nothing of the strategy.

    They were refused, or the run never began: whatever makes it expects rows that are gone.
    """
    refused = str(decision.said[0]).startswith(("DataError", "EngineInternalError", "ConfigError"))
    return decision.what == "failed" and (refused or decision.at_ns == 0)


def _told(was: Read, now: Read) -> str:
    whose = f" of {was.symbol}" if was.symbol else ""
    place = f" read at {was.place}" if was.place else ""
    values = f"{_short(was.value)}, and {_short(now.value)} with another future"
    return f"{was.name}{whose} was {values};{place} at {format_ns(was.at_ns)}"


def _values(was: Any, now: Any) -> str:  # noqa: ANN401 - any globals
    plain = all(isinstance(each, int | float | str | list | tuple) for each in (was, now))
    return f" was {_short(was)}, and {_short(now)} with another future" if plain else ""


def _short(value: Any) -> str:  # noqa: ANN401 - plain values
    text = f"{value:.8g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:28]} ... {text[-28:]}"


def _is_universe(value: Any, symbols: tuple[str, ...]) -> bool:  # noqa: ANN401 - any global
    is_listed = isinstance(value, list | tuple | set | frozenset) and len(value) > 0
    return is_listed and all(isinstance(each, str) and each in symbols for each in value)


def _died(value: Any) -> set[str]:  # noqa: ANN401 - any table
    """Return the symbols of a table that have no rows in its last tenth."""
    columns = getattr(value, "columns", None)
    if columns is None or not hasattr(value, "to_dict"):
        return set()
    key = next((name for name in ("symbol", "ticker", "asset", "asset_id") if name in columns), None)
    stamp = next((name for name in ("session", "date", "ts_event", "timestamp") if name in columns), None)
    if key is None or stamp is None:
        return set()
    rows = list(zip(list(value[key]), list(value[stamp]), strict=True))
    lasts: dict[str, Any] = {}
    for symbol, at in rows:
        lasts[symbol] = max(at, lasts.get(symbol, at))
    if not lasts or not all(hasattr(at, "toordinal") for at in lasts.values()):
        return set()
    first, end = (f(at for _, at in rows) for f in (min, max))
    return {symbol for symbol, at in lasts.items() if (end - at) > (end - first) / 10}
