"""All detectors over one source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ml4t.backtest.data.frames import files_of
from ml4t.backtest.lint import adjusted, jumps, rows, stamps, stuck, volume
from ml4t.backtest.lint.feed import feed_check
from ml4t.backtest.lint.findings import LintFinding, LintReport, LintSeverity, in_order
from ml4t.backtest.lint.table import Table, read
from ml4t.backtest.lint.times import Declared
from ml4t.core.errors import DataError
from ml4t.core.types import DataKind, StampMeaning

__all__ = ["DETECTORS", "kind_of", "look", "name_of", "stamp_of"]

#: What looks at a table, each at one kind of fault.
DETECTORS: tuple[Callable[[Table], Iterator[LintFinding]], ...] = (
    stamps.stamps_missing,
    stamps.stamps_at_open,
    stamps.naive_stamps,
    stamps.out_of_hours,
    stamps.days_off,
    stamps.future_rows,
    stamps.unsorted,
    stamps.holes,
    rows.duplicate_rows,
    rows.repeated_sessions,
    rows.bad_prices,
    rows.bad_volumes,
    rows.ranges,
    rows.crossed_quotes,
    adjusted.adjusted_columns,
    adjusted.mixed_prices,
    adjusted.adjusted_digits,
    adjusted.splits_not_in_prices,
    jumps.unit_changes,
    jumps.splits_unmarked,
    jumps.spikes,
    stuck.filled_after_delisting,
    stuck.stuck_prices,
    volume.volume_units,
    volume.volumes_in_currency,
    volume.volumes_in_fractions,
)

#: What a finding makes superfluous in the same symbol: the second is how the first was found.
EXPLAINED: Mapping[str, tuple[str, ...]] = {
    "adjusted-close": ("outside-range",),
    "price-not-positive": ("outside-range",),
    "duplicate-row": ("session-repeated",),
    "not-a-session": ("session-repeated",),
    "volume-currency": ("volume-fractional",),
}


def look(data: object, declared: Declared, *, actions: object = None) -> LintReport:
    """Return what all detectors find, and where that is no error, what a feed says."""
    table = read(data, declared, actions=actions)
    found = [each for detector in DETECTORS for each in detector(table)]
    if not any(each.severity is LintSeverity.ERROR for each in found):
        # The feed's own words for what was found already are not repeated.
        is_known = any(each.code in ("out-of-hours", "crossed-quotes") for each in found)
        found += [each for each in feed_check(table) if not (is_known and each.code == "feed-doubt")]
    return LintReport(
        name=declared.label,
        rows=table.frame.height + table.nameless.height,
        symbols=table.frame["symbol"].n_unique(),
        findings=in_order(_without_explained(found)),
    )


def _without_explained(found: list[LintFinding]) -> list[LintFinding]:
    explained = {(code, each.symbol) for each in found for code in EXPLAINED.get(each.code, ())}
    return [
        each
        for each in found
        if (each.code, each.symbol) not in explained and (each.code, None) not in explained
    ]


def name_of(data: object) -> str:
    """Return what messages call the data."""
    files = files_of(data)
    if files is None:
        return "data"
    shown = str(files.locations[0])
    return shown if len(files.locations) == 1 else f"{shown} and {len(files.locations) - 1} more"


def kind_of(value: object, label: str) -> DataKind:
    """Return the kind of a word; there is nothing to look for in context."""
    kinds = {kind.value: kind for kind in DataKind if kind is not DataKind.CONTEXT}
    found = kinds.get(value.value if isinstance(value, DataKind) else str(value))
    if found is None:
        message = f"{label}: lint looks at rows of kind {', '.join(kinds)}, not {value!r}"
        raise DataError(message)
    return found


def stamp_of(value: object, label: str) -> StampMeaning:
    """Return the meaning of a word."""
    meanings = {meaning.value: meaning for meaning in StampMeaning}
    found = meanings.get(value.value if isinstance(value, StampMeaning) else str(value))
    if found is None:
        message = f"{label}: stamp {value!r} is not one of {', '.join(meanings)}"
        raise DataError(message)
    return found
