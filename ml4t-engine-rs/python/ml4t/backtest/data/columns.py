"""Which column of a source is what."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence

import polars as pl
from attrs import frozen

from ml4t.backtest.data.settings import FeedSettings
from ml4t.backtest.data.tables import VALUE_COLUMNS
from ml4t.core.errors import DataError, nearest
from ml4t.core.types import DataKind, StampMeaning

__all__ = ["Layout", "apply_renames", "find_layout", "find_time", "folded", "refuse_near_misses", "renames"]
__all__ += ["required_columns"]

SYMBOL_NAMES = ("symbol", "ticker", "asset", "asset_id", "instrument")
TIME_NAMES = ("timestamp", "date", "datetime", "time", "ts", "ts_event", "session")
# The name that says by itself what the stamp is; it wins over the general names.
OWN_TIME_NAME = {
    StampMeaning.OPEN: "ts_open",
    StampMeaning.CLOSE: "ts_event",
    StampMeaning.EVENT: "ts_event",
    StampMeaning.SESSION: "session",
}
REQUIRED = {
    DataKind.BAR: ("open", "high", "low", "close"),
    DataKind.QUOTE: ("bid_price", "ask_price"),
    DataKind.TRADE: ("price",),
    DataKind.CONTEXT: (),
}
OUR_NAMES = {
    *SYMBOL_NAMES,
    *TIME_NAMES,
    *(name for names in VALUE_COLUMNS.values() for name in names),
    *("ts_open", "ts_arrival", "arrival_timestamp", "score", "confidence", "version", "model_id"),
    *("ex_date", "pay_date", "kind", "ratio", "amount", "pair"),
}
# From which likeness on a column is another one misspelt; of what two names do not share, a part is enough.
ALIKE, ALIKE_REST = 0.8, 0.6
# Names a feature cannot have, because the table or the strategy's view of a row uses them.
RESERVED = ("ts_event", "ts_open", "ts_arrival", "instrument", "symbol", "signals")


@frozen(kw_only=True)
class Layout:
    """Source columns by role.

    Attributes
    ----------
    symbol
        None where the source holds one symbol, or none (context).
    stamp
        The stamp; with `opens`, the end of the bar.
    opens
        The begin of the bar, where rows carry both stamps.
    arrival
        When a row could be known; None where it is when it was complete.
    values
        Source column by name of the value column; only those present.
    extra
        Features.
    skipped
        Columns that are neither, as ``name (dtype)``.
    """

    symbol: str | None
    stamp: str
    opens: str | None
    arrival: str | None
    values: Mapping[str, str]
    extra: tuple[str, ...]
    skipped: tuple[str, ...]

    @property
    def used(self) -> tuple[str, ...]:
        """All source columns that are read."""
        keys = [self.symbol, self.stamp, self.opens, self.arrival]
        return tuple(dict.fromkeys([*(key for key in keys if key), *self.values.values(), *self.extra]))


def required_columns(kind: DataKind) -> tuple[str, ...]:
    """Return the value columns that a source of this kind must have."""
    return REQUIRED[kind]


def folded(name: str) -> str:
    """Return a column name without regard to case, spaces and hyphens."""
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


@frozen(kw_only=True)
class Renames:
    """What the ``columns`` of a source mean.

    Attributes
    ----------
    ours
        Our name by the source's name.
    displaced
        Columns of the source that already had such a name; another one was put in their place.
    """

    ours: Mapping[str, str]
    displaced: tuple[str, ...]


def renames(names: Sequence[str], columns: Mapping[str, str] | None, *, label: str) -> Renames:
    """Return the renames of a source.

    ``columns={"close": "px_last"}`` reads our close from the source's px_last. The other direction, that
    of ``DataFrame.rename``, is understood as well: only one side is a name of ours, or only one is in
    the source.

    Raises
    ------
    DataError
        A name is in the source on neither side or on both, or two columns would get the same name.
    """
    ours: dict[str, str] = {}
    for left, right in (columns or {}).items():
        name, source = _sides(left, right, names, label=label)
        if source in ours or name in ours.values():
            message = f"{label}: columns gives {name!r} and {source!r} twice; each name stands for one column"
            raise DataError(message)
        ours[source] = name
    taken = {folded(name) for name in ours.values()}
    return Renames(
        ours=ours,
        displaced=tuple(name for name in names if name not in ours and folded(name) in taken),
    )


def _sides(left: str, right: str, names: Sequence[str], *, label: str) -> tuple[str, str]:
    """Return our name and the source's."""
    left_is_ours, right_is_ours = folded(left) in OUR_NAMES, folded(right) in OUR_NAMES
    if left_is_ours != right_is_ours:
        name, source = (left, right) if left_is_ours else (right, left)
        if source in names:
            return name, source
    elif (left in names) != (right in names):
        return (left, right) if right in names else (right, left)
    elif left in names:
        message = (
            f"{label}: columns maps {left!r} to {right!r}, and the source has both, so it is not clear which "
            "one is meant; rename the columns of the source itself"
        )
        raise DataError(message)
    else:
        name, source = left, right
    guess = nearest(source, names)
    hint = f"; did you mean {guess!r}?" if guess else ""
    message = (
        f"{label}: columns reads {name!r} from {source!r}, which the source does not have: "
        f"{', '.join(names)}{hint}"
    )
    raise DataError(message)


def apply_renames(
    frame: pl.DataFrame | pl.LazyFrame, columns: Mapping[str, str] | None, *, label: str
) -> tuple[pl.DataFrame | pl.LazyFrame, tuple[str, ...]]:
    """Return a frame with our names, and the columns that had to make way."""
    if not columns:
        return frame, ()
    plan = renames(frame.collect_schema().names(), columns, label=label)
    return frame.drop(plan.displaced).rename(dict(plan.ours)), plan.displaced


def find_layout(schema: Mapping[str, pl.DataType], settings: FeedSettings, *, needs_symbol: bool) -> Layout:
    """Return the role of every column of a source in long form.

    Parameters
    ----------
    schema
        Names (after renaming) and types.
    settings
        The feed's declarations.
    needs_symbol
        False where the symbol is known otherwise: a frame of one symbol.

    Raises
    ------
    DataError
        A needed column is absent or two could be meant; the message lists what there is.
    """
    label, kind = settings.label, settings.kind
    _refuse_twins(schema, label=label)
    by_fold = {folded(name): name for name in reversed(list(schema))}
    symbol = find_symbol(by_fold, label=label) if needs_symbol else None
    both = kind is DataKind.BAR and settings.stamp is StampMeaning.EVENT
    stamp = by_fold.get("ts_event") if both else find_time(by_fold, settings.stamp, label=label)
    opens = by_fold.get("ts_open") if both else None
    if stamp is None or (both and opens is None):
        message = (
            f"{label}: bars with stamp='event' carry both stamps, in columns ts_open and ts_event, but the "
            f"columns are {', '.join(schema)}; rename them with columns={{...}}, or declare 'open', 'close' "
            "or 'session'"
        )
        raise DataError(message)
    values = {name: by_fold[name] for name in VALUE_COLUMNS[kind] if name in by_fold}
    absent = [name for name in REQUIRED[kind] if name not in values]
    if absent:
        message = (
            f"{label}: a {kind.value} needs {', '.join(REQUIRED[kind])}; absent: {', '.join(absent)}. The "
            f"columns are {', '.join(schema)}; name them with columns={{'our name': 'their name'}}"
        )
        raise DataError(message)
    keys = {name for name in (symbol, stamp, opens, by_fold.get("ts_arrival")) if name}
    rest = {name: dtype for name, dtype in schema.items() if name not in keys and name not in values.values()}
    extra, skipped = _features(rest, settings)
    return Layout(
        symbol=symbol,
        stamp=stamp,
        opens=opens,
        arrival=by_fold.get("ts_arrival"),
        values=values,
        extra=extra,
        skipped=skipped,
    )


def _refuse_twins(names: Iterable[str], *, label: str) -> None:
    """Refuse two columns that are one name of ours, such as Close and close."""
    seen: dict[str, str] = {}
    for name in names:
        plain = folded(name)
        if plain in OUR_NAMES and seen.setdefault(plain, name) != name:
            message = f"{label}: {seen[plain]!r} and {name!r} are both our {plain!r}; drop or rename one"
            raise DataError(message)


def find_symbol(by_fold: Mapping[str, str], *, label: str) -> str:
    """Return the symbol column: ``symbol``, or the only one of the other usual names."""
    if "symbol" in by_fold:
        return by_fold["symbol"]
    found = [by_fold[name] for name in SYMBOL_NAMES if name in by_fold]
    if len(found) == 1:
        return found[0]
    problem = f"{' and '.join(found)} could each be the symbol" if found else "no column is the symbol"
    message = (
        f"{label}: {problem}; the columns are {_listed(by_fold)}. Name it with "
        f"columns={{'symbol': '...'}}, or give symbols=['SPY'] for a source of one symbol"
    )
    raise DataError(message)


def find_time(by_fold: Mapping[str, str], stamp: StampMeaning, *, label: str) -> str:
    """Return the stamp column: the one whose name says so, or the only one of the usual names."""
    own = OWN_TIME_NAME[stamp]
    if own in by_fold:
        return by_fold[own]
    found = [by_fold[name] for name in TIME_NAMES if name in by_fold]
    if len(found) == 1:
        return found[0]
    problem = f"{' and '.join(found)} could each be the stamp" if found else "no column is the stamp"
    remedy = f"columns={{{own!r}: '...'}}"
    message = f"{label}: {problem}; the columns are {_listed(by_fold)}. Name it with {remedy}"
    raise DataError(message)


def refuse_near_misses(
    by_fold: Mapping[str, str], optional: Collection[str], read: Collection[str], *, label: str
) -> None:
    """Refuse a column that is not read and looks like an optional one that is absent: it is misspelt.

    Further columns are left alone; what they hold is nobody's business here.

    Parameters
    ----------
    by_fold
        Columns of the source by folded name, in reverse.
    optional
        Our names of columns that may be absent.
    read
        Columns of the source that are read under other names.

    Raises
    ------
    DataError
        Names the column, and the one it looks like.
    """
    absent = [name for name in optional if name not in by_fold]
    for plain, column in reversed(list(by_fold.items())):
        if plain in optional or column in read:
            continue
        for meant in difflib.get_close_matches(plain, absent, n=len(absent) or 1, cutoff=ALIKE):
            if _is_misspelt(plain, meant):
                message = f"{label}: column {column!r} is not read; did you mean {meant!r}? Rename or drop it"
                raise DataError(message)


def _is_misspelt(name: str, meant: str) -> bool:
    """Say whether alike names differ in their letters, and not by a word such as 8h in funding_rate_8h."""
    left, right = name.split("_"), meant.split("_")
    while left and right and left[0] == right[0]:
        left, right = left[1:], right[1:]
    while left and right and left[-1] == right[-1]:
        left, right = left[:-1], right[:-1]
    if not left or not right:
        # One has the words of the other, and one more.
        return True
    return difflib.SequenceMatcher(None, "_".join(left), "_".join(right)).ratio() >= ALIKE_REST


def _listed(by_fold: Mapping[str, str]) -> str:
    """Return the columns in the order of the source; `by_fold` has them in reverse."""
    return ", ".join(reversed(list(by_fold.values()))) or "none"


def _features(
    rest: Mapping[str, pl.DataType], settings: FeedSettings
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return features (numbers and booleans, or the ones asked for) and what is left out."""
    # A second stamp or symbol column may hold integers; it is no feature unless it is asked for by name.
    keys = (*SYMBOL_NAMES, *TIME_NAMES, "ts_open", "ts_close", "ts_end", "ts_arrival")
    numbers = [name for name, dtype in rest.items() if dtype.is_numeric() or dtype == pl.Boolean]
    plain = [name for name in numbers if folded(name) not in keys]
    chosen = plain if settings.fields is None else list(settings.fields)
    for name in chosen:
        if name not in rest:
            guess = nearest(name, rest)
            hint = f"; did you mean {guess!r}?" if guess else ""
            message = f"{settings.label}: fields names {name!r}, which is no column of the source{hint}"
            raise DataError(message)
        if name not in numbers:
            message = f"{settings.label}: field {name!r} is {rest[name]}; features are numbers"
            raise DataError(message)
    _refuse_reserved(chosen, label=settings.label)
    if settings.fields is not None:
        return tuple(chosen), ()
    return tuple(chosen), tuple(f"{name} ({dtype})" for name, dtype in rest.items() if name not in chosen)


def _refuse_reserved(names: Iterable[str], *, label: str) -> None:
    for name in names:
        if "\0" in name:
            message = f"{label}: a feature cannot be called {name!r}: Arrow has no names with NUL; rename it"
            raise DataError(message)
        if name in RESERVED:
            rename = f".rename({{{name!r}: '{name}_value'}})"
            message = f"{label}: a feature cannot be called {name!r}; rename it in the frame, with {rename}"
            raise DataError(message)
