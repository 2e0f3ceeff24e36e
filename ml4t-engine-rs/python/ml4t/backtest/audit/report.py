"""What an audit found."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from ml4t.backtest.audit.compare import Decision
from ml4t.core.values import format_ns

__all__ = ["AuditReport", "Finding", "Kind"]

Kind: TypeAlias = Literal[
    "future_data",
    "outside_data",
    "whole_sample",
    "shifted_column",
    "state_between_runs",
    "not_repeatable",
    "unstable_warmup",
    "survivorship",
]

ADVICE: dict[str, str] = {
    "future_data": (
        "The value is computed from rows that come later. Compute it from rows up to its own, or give"
        " each row the"
        " ts_arrival at which all it is made of was known."
    ),
    "outside_data": (
        "Hand the table to the run as a feed, a context series or signals with their arrival times, or"
        " use only rows"
        " that were known at data.timestamp."
    ),
    "whole_sample": (
        "Fit statistics on the rows known at each decision: an expanding or rolling window, or a fit"
        " repeated as the"
        " run goes on."
    ),
    "shifted_column": (
        "Shift the other way: what is known at a row comes from rows before it, shift(1) and not shift(-1)."
    ),
    "state_between_runs": (
        "Keep state in attributes set in __init__ or on_start, not in globals, class attributes or"
        " caches: the next"
        " run begins with what this one left."
    ),
    "not_repeatable": "Seed every random generator in __init__ or on_start, and take the time from"
    " data.timestamp.",
    "unstable_warmup": (
        "Give `warmup` enough sessions for the values to forget how they began, or start them from a"
        " window of"
        " history of fixed length."
    ),
    "survivorship": (
        "Choose the universe by what was known at each date: take instruments from a table of"
        " memberships with"
        " their dates, those that died later included."
    ),
}


@attrs.frozen(kw_only=True)
class Finding:
    """A way in which a run depends on what was not known.

    Attributes
    ----------
    kind
        What sort of mistake it is.
    at_ns
        When the first decision changed, UTC ns; None where no single decision tells.
    until_ns
        Nothing known up to this instant was altered; None where nothing was.
    how
        What was done with the rest: garbage, shuffled, removed, split; empty where nothing was.
    before, after
        The decision, and what became of it; None is no decision at that instant.
    read
        What the strategy read that was another value, where, and both values.
    advice
        What to do.
    is_doubt
        Whether it may be all right, and only the user can tell.
    """

    kind: Kind
    read: str
    at_ns: int | None = None
    until_ns: int | None = None
    how: str = ""
    before: Decision | None = None
    after: Decision | None = None
    advice: str = ""
    is_doubt: bool = False

    def __str__(self) -> str:
        lines = [f"{self.kind}{' (doubt)' if self.is_doubt else ''}: {self.read}"]
        if self.at_ns is not None:
            was, now = (("nothing" if each is None else str(each)) for each in (self.before, self.after))
            lines.append(f"  decision at {format_ns(self.at_ns)}: {was}")
            lines.append(f"  became: {now}")
            place = next(
                (each.place for each in (self.before, self.after) if each is not None and each.place), ""
            )
            lines += [f"  decided at {place}"] if place else []
        if self.until_ns is not None and self.how:
            lines.append(f"  when everything after {format_ns(self.until_ns)} was {HOW_SAID[self.how]}")
        return "\n".join([*lines, f"  {self.advice or ADVICE[self.kind]}"])


HOW_SAID = {
    "garbage": "replaced by garbage",
    "shuffled": "shuffled",
    "removed": "removed",
    "split": "preceded by a split, as columns adjusted backwards show it",
}


@attrs.frozen(kw_only=True)
class AuditReport:
    """What an audit found, and what it looked at.

    Attributes
    ----------
    findings
        Leaks and doubts, in the order in which they were found.
    instants
        Instants after which everything was altered, UTC ns.
    runs
        How many runs were made.
    decisions
        How many decisions the strategy made in the unaltered run.
    notes
        What could not be looked at, and why.
    seed
        Of the instants and of what the future was replaced by.
    """

    findings: tuple[Finding, ...]
    instants: tuple[int, ...]
    runs: int
    decisions: int
    notes: tuple[str, ...] = ()
    seed: int

    @property
    def ok(self) -> bool:
        """Whether nothing was found but doubts."""
        return all(finding.is_doubt for finding in self.findings)

    def text(self) -> str:
        """Return the report as text, a paragraph for each finding."""
        leaks = sum(not finding.is_doubt for finding in self.findings)
        head = f"{'no leak' if not leaks else '1 leak' if leaks == 1 else f'{leaks} leaks'} found"
        looked = (
            f"{self.decisions} decisions, {len(self.instants)} instants, {self.runs} runs, seed {self.seed}"
        )
        parts = [f"{head}: {looked}", *map(str, self.findings)]
        return "\n".join([*parts, *(f"note: {note}" for note in self.notes)])

    def __str__(self) -> str:
        return self.text()
