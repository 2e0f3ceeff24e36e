"""The declarations of a feed, converted and checked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, TypeAlias, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import field, frozen

from ml4t.backtest.data.stamps import Interval, Meaning
from ml4t.core.errors import ConfigError, DataError, nearest
from ml4t.core.instrument import Instrument
from ml4t.core.types import DataKind, StampMeaning
from ml4t.core.values import NS_PER_DAY

__all__ = ["FeedSettings", "Instruments", "RangeCheck", "RangeCheckName"]

Instruments: TypeAlias = Sequence[Instrument] | Mapping[str, Instrument]
RangeCheckName: TypeAlias = Literal["refuse", "widen", "keep"]
E = TypeVar("E", bound=Enum)


class RangeCheck(Enum):
    """What to do with a bar whose open or close lies outside its low and high.

    REFUSE raises; WIDEN moves low or high to include them; KEEP takes the bar as it is. A bar whose
    high is below its low is refused under each of them.
    """

    REFUSE = "refuse"
    WIDEN = "widen"
    KEEP = "keep"


@frozen(kw_only=True)
class FeedSettings:
    """What a feed declares, with enums in place of words.

    See :class:`ml4t.backtest.data.DataFeed` for the meaning of each.
    """

    name: str
    kind: DataKind
    stamp: StampMeaning
    interval: Interval | None
    columns: Mapping[str, str] = field(factory=dict)
    symbols: tuple[str, ...] = ()
    fields: tuple[str, ...] | None = None
    timezone: str | None = None
    calendar: str = "XNYS"
    currency: str = "USD"
    instruments: Mapping[str, Instrument] = field(factory=dict)
    instrument_defaults: Mapping[str, Any] = field(factory=dict)
    range_check: RangeCheck = RangeCheck.REFUSE
    matches_orders: bool | None = None
    cuts_to_session: bool = False

    @property
    def label(self) -> str:
        """What messages call the feed."""
        return f"feed {self.name}"

    @property
    def meaning(self) -> Meaning:
        """The part that turns stamps into instants."""
        return Meaning(label=self.label, stamp=self.stamp, interval=self.interval)

    @property
    def is_by_session(self) -> bool:
        """Whether each row is one session of a calendar."""
        return self.stamp is StampMeaning.SESSION or (self.interval is not None and self.interval.is_session)

    @property
    def interval_ns(self) -> int | None:
        """Length of a bar in ns; a session counts as one day; None where rows have no or no common length."""
        if self.kind is not DataKind.BAR:
            return None
        if self.stamp is StampMeaning.SESSION:
            return NS_PER_DAY
        return self.interval.ns if self.interval is not None else None

    def instrument(self, symbol: str) -> Instrument:
        """Return the declared instrument of a symbol, or one built from the feed's defaults."""
        declared = self.instruments.get(symbol)
        if declared is not None:
            return declared
        given = {"calendar": self.calendar, "currency": self.currency, **self.instrument_defaults}
        try:
            return Instrument(symbol, **given)
        except TypeError as error:
            message = f"feed {self.name}: instrument_defaults of {symbol}: {error}"
            raise DataError(message) from None
        except ConfigError as error:
            message = (
                f"feed {self.name}: the instrument {symbol!r} cannot be built from the feed's defaults: "
                f"{error}"
            )
            raise DataError(message) from None


def settings_of(feed: object, *, yields_events: bool = False) -> FeedSettings:
    """Return the checked settings of a feed; one that yields events declares no stamp: they carry theirs.

    Attributes are looked up by name with defaults, because a user's subclass need not call the
    constructor of its base: it may declare ``interval`` or ``calendar`` on the class, or nothing.

    Raises
    ------
    DataError
        A declaration is missing or is not one of the allowed words; the message lists those.
    """
    name = str(getattr(feed, "name", "") or type(feed).__name__)
    kind = _member(DataKind, getattr(feed, "kind", DataKind.BAR), name, "kind")
    interval = _interval(getattr(feed, "interval", None), name)
    fields = _symbols(getattr(feed, "fields", None), name, what="fields")
    settings = FeedSettings(
        name=name,
        kind=kind,
        stamp=StampMeaning.EVENT if yields_events else _stamp(getattr(feed, "stamp", None), kind, name),
        interval=interval,
        columns={str(k): str(v) for k, v in _mapping(feed, "columns", name).items()},
        symbols=_symbols(getattr(feed, "symbols", None), name),
        fields=None if getattr(feed, "fields", None) is None else fields,
        timezone=check_timezone(getattr(feed, "timezone", None), f"feed {name}"),
        calendar=getattr(feed, "calendar", None) or "XNYS",
        currency=getattr(feed, "currency", None) or "USD",
        instruments=instruments_by_symbol(getattr(feed, "instruments", None)),
        instrument_defaults=_mapping(feed, "instrument_defaults", name),
        range_check=_member(RangeCheck, getattr(feed, "range_check", RangeCheck.REFUSE), name, "range_check"),
        matches_orders=getattr(feed, "matches_orders", None),
        cuts_to_session=bool(getattr(feed, "cuts_to_session", False)),
    )
    _refuse_mismatch(settings)
    return settings


def instruments_by_symbol(instruments: Instruments | None) -> dict[str, Instrument]:
    """Return instruments keyed by symbol; two different ones of one symbol are refused."""
    if instruments is None:
        return {}
    _refuse_others(instruments)
    if isinstance(instruments, Mapping):
        for key, instrument in instruments.items():
            if key != instrument.symbol:
                message = (
                    f"instruments: key {key!r} names an instrument of symbol {instrument.symbol!r}; make "
                    "them equal"
                )
                raise DataError(message)
        instruments = tuple(instruments.values())
    return merge_instruments([instruments])


def _refuse_others(instruments: object) -> None:
    listed = instruments.values() if isinstance(instruments, Mapping) else instruments
    if isinstance(listed, str) or not isinstance(listed, Iterable):
        wrong: object = instruments
    else:
        wrong = next((each for each in listed if not isinstance(each, Instrument)), None)
    if wrong is not None:
        message = (
            f"instruments: {wrong!r} is no Instrument; give a list such as [Instrument('ES', multiplier=50)] "
            "or a mapping of symbol to Instrument"
        )
        raise DataError(message)


def merge_instruments(groups: Iterable[Iterable[Instrument]]) -> dict[str, Instrument]:
    """Return all instruments keyed by symbol, refusing two different definitions of one."""
    merged: dict[str, Instrument] = {}
    for group in groups:
        for instrument in group:
            known = merged.setdefault(instrument.symbol, instrument)
            if known != instrument:
                message = (
                    f"instrument {instrument.symbol} is defined twice, differently: {known} and {instrument}"
                )
                raise DataError(message)
    return merged


def _member(enum: type[E], value: object, feed: str, what: str) -> E:
    if isinstance(value, enum):
        return value
    words = [str(member.value) for member in enum]
    for member in enum:
        if member.value == value:
            return member
    guess = nearest(str(value), words)
    hint = f"; did you mean {guess!r}?" if guess else ""
    message = f"feed {feed}: {what} {value!r} is not one of {', '.join(words)}{hint}"
    raise DataError(message)


def _stamp(value: object, kind: DataKind, feed: str) -> StampMeaning:
    if value is None:
        message = (
            f"feed {feed}: stamp is not declared, and no guess is safe. Say what the stamps mean: 'open' or "
            "'close' of a bar, 'event' (the instant of a quote or trade), or 'session' (a trading date; the "
            "calendar says when it opened and closed)"
        )
        raise DataError(message)
    stamp = _member(StampMeaning, value, feed, "stamp")
    if stamp is StampMeaning.OPEN and kind in (DataKind.QUOTE, DataKind.TRADE):
        message = f"feed {feed}: a {kind.value} has no open; declare stamp='event'"
        raise DataError(message)
    return stamp


def _interval(value: object, feed: str) -> Interval | None:
    if value is None or isinstance(value, Interval):
        return value
    if not isinstance(value, str | dt.timedelta):
        message = f"feed {feed}: interval {value!r} is not a text such as '1m' or '1d', nor a timedelta"
        raise DataError(message)
    return Interval.parse(value)


def _mapping(feed: object, what: str, name: str) -> dict[Any, Any]:
    value = getattr(feed, what, None)
    if value is not None and not isinstance(value, Mapping):
        message = f"feed {name}: {what} = {value!r}; expected a mapping, {{name: value}}"
        raise DataError(message)
    return dict(value or {})


def _symbols(value: object, feed: str, *, what: str = "symbols") -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Iterable):
        message = f"feed {feed}: {what} {value!r} is neither a {what[:-1]} nor a list of them"
        raise DataError(message)
    return tuple(dict.fromkeys(str(symbol) for symbol in value))


def check_timezone(value: object, label: str) -> str | None:
    """Return the IANA name of a zone, refusing anything else."""
    if value is None:
        return None
    name = getattr(value, "key", None) or str(value)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"{label}: timezone {name!r} is not an IANA zone such as 'America/New_York' or 'UTC'"
        raise DataError(message) from None
    return name


def _refuse_mismatch(settings: FeedSettings) -> None:
    """Refuse declarations that contradict each other."""
    name, stamp, interval = settings.name, settings.stamp, settings.interval
    if (
        settings.kind is DataKind.BAR
        and stamp in (StampMeaning.OPEN, StampMeaning.CLOSE)
        and interval is None
    ):
        message = (
            f"feed {name}: interval is not declared, and without it the "
            f"{'end' if stamp is StampMeaning.OPEN else 'begin'} of a bar is not known; give interval='1m', "
            "'1h', '1d', ..., or carry both stamps: columns ts_open and ts_event with stamp='event'"
        )
        raise DataError(message)
    if settings.kind is DataKind.CONTEXT and stamp is StampMeaning.OPEN and interval is None:
        message = (
            f"feed {name}: interval is not declared, so the end of what was stamped at its open is not known"
        )
        raise DataError(message)
    if stamp is StampMeaning.SESSION and interval is not None and not interval.is_session:
        message = (
            f"feed {name}: stamp='session' makes each row one session, which contradicts "
            f"interval={interval.text!r}"
        )
        raise DataError(message)
