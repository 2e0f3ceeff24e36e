"""Conversions at the edge: numbers, times, durations and frozen mappings.

Whatever a user writes as int, float, str or Decimal becomes an exact Decimal here, once; whatever names an
instant becomes nanoseconds UTC. What cannot be converted is a `DataError`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, SupportsIndex

from ml4t.core.errors import DataError

NS_PER_SECOND = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_SECOND
_INT64_MAX = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Longest first, so that formatting picks the coarsest unit that is exact.
_UNITS = {"w": 7 * NS_PER_DAY, "d": NS_PER_DAY, "h": 3_600 * NS_PER_SECOND, "m": 60 * NS_PER_SECOND}
_UNITS |= {"s": NS_PER_SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
_UNIT_ALIASES = {"min": "m", "W": "w", "D": "d", "H": "h", "S": "s"}
_PART = r"(\d+(?:\.\d+)?)([A-Za-z]+)"
MAX_DIGITS = 1_000  #: of a number; "1e999999999" is no amount of anything, and would fill the memory
_MAX_DURATION_TEXT = 100
_MAX_SHOWN = 80


def shown(value: object) -> str:
    """Return a value as messages show it: cut off where it is long."""
    try:
        text = repr(value)
    except ValueError:
        # Python does not write a whole number of many thousand digits.
        text = f"a number of more than {MAX_DIGITS:,} digits"
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def to_decimal(value: object) -> Decimal:
    """Return a finite int, float, str or Decimal as an exact Decimal without trailing zeros.

    A float counts as its shortest decimal text: 0.1 is one tenth, not the binary number next to it. A number
    that takes more than a thousand digits to write is refused.
    """
    number = Decimal("NaN")
    if isinstance(value, int | float | str | Decimal | SupportsIndex) and not isinstance(value, bool):
        try:
            number = value if isinstance(value, Decimal) else Decimal(str(value).strip())
        except (InvalidOperation, ValueError):
            # ValueError: an int of more digits than Python writes.
            pass
    if not number.is_finite():
        msg = f"expected a finite number, found {shown(value)}"
        raise DataError(msg)
    if is_vast(number):
        msg = f"expected a number of at most {MAX_DIGITS:,} digits, found {shown(value)}"
        raise DataError(msg)
    return _stripped(number)


def is_vast(number: Decimal) -> bool:
    """Say whether a number takes more than a thousand digits to write."""
    return bool(number.is_finite() and number) and (
        max(abs(number.adjusted()), len(number.as_tuple().digits)) > MAX_DIGITS
    )


def _stripped(number: Decimal) -> Decimal:
    """Drop trailing zeros without the rounding of `Decimal.normalize` and without exponents such as 1E+5."""
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or not any(digits):
        return Decimal(0)
    kept = list(digits)
    while exponent < 0 and kept[-1] == 0:
        kept.pop()
        exponent += 1
    return Decimal((sign, (*kept, *[0] * max(exponent, 0)), min(exponent, 0)))


def decimal_text(number: Decimal) -> str:
    """Write a number in plain digits, the same text for equal numbers: 0.1, never 0.100 or 1E-1."""
    return format(_stripped(number), "f")


def decimal_places(number: Decimal) -> int:
    """Count the decimals needed to write `number` exactly: 2 for 0.25, 0 for 50."""
    return -int(_stripped(number).as_tuple().exponent)


def to_fraction(value: object) -> Fraction:
    """Return a number, a `Fraction` or a text such as "1/3" as an exact fraction."""
    if isinstance(value, str) and "/" in value:
        try:
            return Fraction(value.replace(" ", ""))
        except (ValueError, ZeroDivisionError):
            msg = f"expected a fraction such as 1/3, found {shown(value)}"
            raise DataError(msg) from None
    return value if isinstance(value, Fraction) else Fraction(to_decimal(value))


def to_ns(value: object) -> int:
    """Return an instant, an int or a timezone-aware datetime, as nanoseconds since 1970-01-01 UTC.

    A pandas Timestamp keeps its nanoseconds. A datetime without a zone is refused, not guessed.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None or value.utcoffset() is None:
            msg = f"time stamp {value} has no time zone; attach one, for example .replace(tzinfo=UTC)"
            raise DataError(msg)
        delta = value - _EPOCH
        # pandas.Timedelta keeps a nanosecond remainder that datetime.timedelta does not have.
        rest = delta.microseconds * 1_000 + int(getattr(delta, "nanoseconds", 0))
        ns = (delta.days * 86_400 + delta.seconds) * NS_PER_SECOND + rest
    elif isinstance(value, SupportsIndex) and not isinstance(value, bool):
        ns = operator.index(value)
    else:
        msg = f"expected nanoseconds UTC (int) or a timezone-aware datetime, found {value!r}"
        raise DataError(msg)
    if abs(ns) > _INT64_MAX:
        msg = f"time stamp {value!r} is outside the range of 64-bit nanoseconds (years 1678 to 2262)"
        raise DataError(msg)
    return ns


def format_ns(ns: int) -> str:
    """Write an instant as ISO 8601 in UTC, with as many decimals as it needs."""
    seconds, fraction = divmod(ns, NS_PER_SECOND)
    text = datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction:09d}".rstrip("0") + "Z" if fraction else f"{text}Z"


def parse_duration(value: object) -> int:
    """Return a duration such as "15m", "1h30m", "-5m", "250ms" or "1d" in nanoseconds.

    Units are w, d, h, m (minutes, also min), s, ms, us and ns. D, H, W and S are accepted; a capital M is
    not, because elsewhere it means months. A bare 0 is zero.
    """
    text = "".join(value.split()) if isinstance(value, str) else value
    if text in ("0", 0) and not isinstance(text, bool):
        return 0
    is_short = isinstance(text, str) and len(text) <= _MAX_DURATION_TEXT
    if not isinstance(text, str) or not is_short or not re.fullmatch(f"[+-]?(?:{_PART})+", text):
        msg = f"expected a duration such as '15m', '1h30m', '-5m' or '1d', found {shown(value)}"
        raise DataError(msg)
    total = Fraction(0)
    for number, unit in re.findall(_PART, text):
        scale = _UNITS.get(_UNIT_ALIASES.get(unit, unit))
        if scale is None:
            msg = f"unknown unit {unit!r} in duration {value!r}; allowed: {', '.join(_UNITS)} (m for minutes)"
            raise DataError(msg)
        total += Fraction(number) * scale
    if total.denominator != 1 or total > _INT64_MAX:
        msg = f"duration {value!r} is not a whole number of nanoseconds within 64 bits"
        raise DataError(msg)
    return -int(total) if text.startswith("-") else int(total)


def format_duration(ns: int) -> str:
    """Write a duration in the coarsest unit that is exact: 15m, 36h, 250ms."""
    unit, scale = next((u, s) for u, s in _UNITS.items() if ns % s == 0) if ns else ("s", NS_PER_SECOND)
    return f"{ns // scale}{unit}"


class FrozenMapping(Mapping[str, Any]):
    """An immutable mapping of plain values, all the way down.

    Unlike `types.MappingProxyType` it can be hashed, and pickled for the processes of a sweep.
    """

    def __init__(self, items: Mapping[str, Any] | None = None) -> None:
        self._items = {key: freeze(value) for key, value in (items or {}).items()}

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


def freeze(value: Any) -> Any:  # noqa: ANN401
    """Return a deeply immutable form of plain data: mappings and lists become frozen ones."""
    if isinstance(value, Mapping) and not isinstance(value, FrozenMapping):
        return FrozenMapping(value)
    return tuple(freeze(item) for item in value) if isinstance(value, list | tuple) else value


def thawed(value: Any) -> Any:  # noqa: ANN401
    """Return a copy of plain data in dicts and lists, which may be changed."""
    if isinstance(value, Mapping):
        return {key: thawed(item) for key, item in value.items()}
    return [thawed(item) for item in value] if isinstance(value, list | tuple) else value
