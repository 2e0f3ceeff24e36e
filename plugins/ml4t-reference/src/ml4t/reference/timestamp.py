"""`Timestamp`: an instant in UTC that counts nanoseconds and reads like a `datetime`.

The engine knows instants as whole numbers of nanoseconds since 1970-01-01 UTC. A `datetime` ends at
microseconds, so a `Timestamp` keeps the whole number and builds the `datetime` when it is asked for one.
"""

from __future__ import annotations

import datetime as dt
import operator
from typing import Any, final

__all__ = ["Timestamp", "text_of"]

NS_PER_SECOND = 1_000_000_000
NS_PER_MICROSECOND = 1_000
LEAST_NS, LARGEST_NS = -(2**63), 2**63 - 1

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)


def text_of(ns: int) -> str:
    """Write an instant as ISO 8601: whole seconds without decimals, anything finer with all nine."""
    seconds, fraction = divmod(ns, NS_PER_SECOND)
    text = (EPOCH + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction:09d}Z" if fraction else f"{text}Z"


@final
class Timestamp:
    """An instant in UTC with nanoseconds; what it does not define itself is answered by its `datetime`.

    Comparisons use the nanoseconds. Arithmetic uses the datetime and gives a `timedelta` or a `datetime`.

    Parameters
    ----------
    ns : int
        Nanoseconds since 1970-01-01 UTC; 64 bits.

    Raises
    ------
    TypeError
        If `ns` is no whole number.
    OverflowError
        If it does not fit 64 bits.
    """

    __slots__ = ("_ns",)
    _ns: int

    def __init__(self, ns: int) -> None:
        count = operator.index(ns)
        if not LEAST_NS <= count <= LARGEST_NS:
            message = f"{count} nanoseconds do not fit 64 bits"
            raise OverflowError(message)
        object.__setattr__(self, "_ns", count)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: an instant is a value."""
        message = f"{name!r} of a Timestamp cannot be set"
        raise AttributeError(message)

    @property
    def ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        return self._ns

    @property
    def datetime(self) -> dt.datetime:
        """The instant as an aware `datetime` in UTC; nanoseconds are cut off, towards the past."""
        return EPOCH + dt.timedelta(microseconds=self._ns // NS_PER_MICROSECOND)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the datetime has
        """Ask the datetime: `year`, `weekday()`, `astimezone(zone)` and so on."""
        return getattr(self.datetime, name)

    # -- comparison ------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        """Equal to the same instant, whatever its zone; a naive datetime and anything else is unequal."""
        if isinstance(other, dt.datetime) and other.utcoffset() is None:
            return False
        ns = _ns_of(other)
        return NotImplemented if ns is None else self._ns == ns

    def __lt__(self, other: Timestamp | dt.datetime) -> bool:
        ns = _ns_of(other)
        return NotImplemented if ns is None else self._ns < ns

    def __le__(self, other: Timestamp | dt.datetime) -> bool:
        ns = _ns_of(other)
        return NotImplemented if ns is None else self._ns <= ns

    def __gt__(self, other: Timestamp | dt.datetime) -> bool:
        ns = _ns_of(other)
        return NotImplemented if ns is None else self._ns > ns

    def __ge__(self, other: Timestamp | dt.datetime) -> bool:
        ns = _ns_of(other)
        return NotImplemented if ns is None else self._ns >= ns

    def __hash__(self) -> int:
        """Hash like the datetime that it equals; between two microseconds no datetime does."""
        return hash(self._ns if self._ns % NS_PER_MICROSECOND else self.datetime)

    # -- arithmetic ------------------------------------------------------------------------------------

    def __add__(self, other: dt.timedelta) -> dt.datetime:
        return self.datetime + other

    def __radd__(self, other: dt.timedelta) -> dt.datetime:
        return other + self.datetime

    def __sub__(self, other: Any) -> Any:  # noqa: ANN401 - an instant gives a timedelta, a timedelta a datetime
        return self.datetime - (other.datetime if isinstance(other, Timestamp) else other)

    def __rsub__(self, other: dt.datetime) -> dt.timedelta:
        return other - self.datetime

    # -- what Python does with values ------------------------------------------------------------------

    def __int__(self) -> int:
        return self._ns

    def __str__(self) -> str:
        return text_of(self._ns)

    def __repr__(self) -> str:
        return f"Timestamp('{self}')"

    def __format__(self, spec: str) -> str:
        """Format as the datetime does; without a spec as ISO 8601 with all its digits."""
        return format(self.datetime, spec) if spec else str(self)

    def __reduce__(self) -> tuple[type[Timestamp], tuple[int]]:
        return Timestamp, (self._ns,)


def _ns_of(other: object) -> int | None:
    """Return the nanoseconds of what is an instant, or None for what is none.

    Raises
    ------
    TypeError
        For a naive datetime, in the words of `datetime` itself: without a zone it is no instant.
    """
    if isinstance(other, Timestamp):
        return other.ns
    if not isinstance(other, dt.datetime):
        return None
    microseconds = (other - EPOCH) // MICROSECOND if other.utcoffset() is not None else _refuse_naive(other)
    # A datetime of pandas knows its nanoseconds, too.
    return microseconds * NS_PER_MICROSECOND + int(getattr(other, "nanosecond", 0))


def _refuse_naive(naive: dt.datetime) -> int:
    message = f"can't compare offset-naive and offset-aware datetimes: {naive} has no zone"
    raise TypeError(message)
