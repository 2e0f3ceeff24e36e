"""What a strategy asks for with `Strategy.subscribe`, read once and checked."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral

import attrs

from ml4t.core.errors import StrategyError, unknown_name
from ml4t.core.types import EventType
from ml4t.core.values import parse_duration

__all__ = ["Subscription"]

# What can be asked for in windows; signals, fills and orders come one by one and all of them.
_MARKET = (EventType.BAR, EventType.QUOTE, EventType.TRADE)


@attrs.frozen(kw_only=True)
class Subscription:
    """Which events a strategy wants; None means all. A `frequency_ns` of one day means daily bars."""

    assets: tuple[str, ...] | None = None
    event_type: EventType | None = None
    frequency_ns: int | None = None
    model_id: str | None = None
    every: int | None = None  #: every so manieth event of an instrument
    every_ns: int | None = None  #: the first event of an instrument in each such period
    window_ns: int | None = None  #: rows of so long together, as `on_batch` gets them

    @classmethod
    def of(  # noqa: PLR0913 - the parts of a subscription, each by its name
        cls,
        *,
        asset: str | None = None,
        assets: Iterable[str] | None = None,
        event_type: str | EventType | None = None,
        frequency: str | None = None,
        model_id: str | None = None,
        every: int | str | None = None,
        window: str | None = None,
    ) -> Subscription:
        """Read the keywords of `Strategy.subscribe`.

        Raises
        ------
        StrategyError
            If parts contradict each other, or a number is out of range.
        UnknownNameError
            If there is no such event type.
        DataError
            If a duration cannot be read.
        """
        if isinstance(event_type, str):
            names = [member.value for member in EventType]
            if event_type.lower() not in names:
                raise unknown_name("event type", event_type, names)  # noqa: EM101
            event_type = EventType(event_type.lower())
        count, period = _every(every)
        window_ns = None if window is None else _above_zero("window", window)
        if window_ns is not None:
            _check_window(event_type, model_id, every)
        return cls(
            assets=_symbols(asset, assets),
            event_type=event_type,
            frequency_ns=None if frequency is None else parse_duration(frequency),
            model_id=model_id,
            every=count,
            every_ns=period,
            window_ns=window_ns,
        )


def _symbols(asset: str | None, assets: Iterable[str] | None) -> tuple[str, ...] | None:
    if asset is not None and assets is not None:
        msg = f"subscribe takes asset = {asset!r} or assets = {assets!r}, not both"
        raise StrategyError(msg)
    if isinstance(assets, str):
        msg = f"assets = {assets!r}; expected several symbols, such as ['IBM', 'GE']; asset= takes one"
        raise StrategyError(msg)
    if assets is None:
        return None if asset is None else (asset,)
    symbols = tuple(dict.fromkeys(assets))
    if not symbols:
        msg = "assets is empty, and nothing would be told; leave it out for all symbols"
        raise StrategyError(msg)
    return symbols


def _above_zero(name: str, text: object) -> int:
    length = parse_duration(text)
    if length <= 0:
        msg = f"{name} = {text!r}; expected a duration above zero, such as '1s'"
        raise StrategyError(msg)
    return length


def _every(every: object) -> tuple[int | None, int | None]:
    """Return the number of events and the period that `every` asks for, one of them None."""
    if every is None:
        return None, None
    if isinstance(every, str):
        return None, _above_zero("every", every)
    if isinstance(every, bool) or not isinstance(every, Integral) or every < 1:
        msg = f"every = {every!r}; expected 1 or more events, such as 10, or a duration such as '5m'"
        raise StrategyError(msg)
    return int(every), None


def _check_window(event_type: EventType | None, model_id: str | None, every: object) -> None:
    if every is not None:
        msg = f"subscribe takes a window or every = {every!r}, not both: a window has all rows"
        raise StrategyError(msg)
    if model_id is not None or (event_type is not None and event_type not in _MARKET):
        what = event_type.value if model_id is None and event_type is not None else "signal"
        msg = f"a window is of bars, quotes or trades, not of {what}s; they come one by one"
        raise StrategyError(msg)
