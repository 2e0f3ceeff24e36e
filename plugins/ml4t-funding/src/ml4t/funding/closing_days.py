"""The weekdays on which the payment systems of a currency are closed, so that nothing settles in it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ml4t.backtest.calendars import session_table
from ml4t.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Holidays", "closing_days"]

#: By currency: a calendar of pandas-market-calendars, or the dates on which its banks are closed.
Holidays = Mapping[str, "str | Iterable[dt.date]"]

DAY = dt.timedelta(days=1)
MONDAY, THURSDAY, SATURDAY, SUNDAY = 0, 3, 5, 6
FIRST_JUNETEENTH = 2022
#: Exchanges that are closed exactly when the banks of their currency are.
CALENDARS = {"GBP": "XLON", "JPY": "XTKS"}
#: They do not settle on Fridays, and do on Sundays, which value dates here know nothing of.
OTHER_WEEKENDS = frozenset({"BHD", "EGP", "JOD", "KWD", "OMR", "QAR", "SAR"})


def closing_days(
    currency: str, start: dt.date, end: dt.date, holidays: Holidays | None = None
) -> frozenset[dt.date]:
    """Return the closing days of a currency from `start` to `end`, both included.

    Weekends are not among them. Known are USD (holidays of the Federal Reserve, from 1986), EUR (closing days
    of TARGET, from 2002), GBP (sessions of London) and JPY (sessions of Tokyo); `holidays` says it for
    others, and instead of these.

    Parameters
    ----------
    currency : str
        Three letters.
    start, end : datetime.date
        Range.
    holidays : mapping or None
        By currency the name of a calendar of pandas-market-calendars, whose weekdays without a session
        count, or dates. The calendar ``weekdays`` has no holidays at all.

    Raises
    ------
    DataError
        If nobody says when the currency settles, or its calendar does not reach that far.

    Notes
    -----
    Sources: Board of Governors of the Federal Reserve System, "Holidays Observed" (on a Sunday the Monday
    after, on a Saturday no other day); European Central Bank, "TARGET closing days".

    Examples
    --------
    >>> import datetime as dt
    >>> found = closing_days("EUR", dt.date(2024, 3, 25), dt.date(2024, 5, 3))
    >>> [f"{day:%d %b}" for day in sorted(found)]
    ['29 Mar', '01 Apr', '01 May']
    """
    given: object = None if holidays is None else holidays.get(currency)
    if currency in OTHER_WEEKENDS:
        message = (
            f"{currency} does not settle on Fridays, and value dates here are those of currencies that "
            "settle from Monday to Friday; write the funding rates of its pairs yourself"
        )
        raise DataError(message)
    if given is None and currency in BY_RULE:
        rule, since = BY_RULE[currency]
        if start.year < since:
            message = (
                f"closing days of {currency} are known from {since} on, and {start} was asked for; give "
                f"holidays={{{currency!r}: [...]}}"
            )
            raise DataError(message)
        found: Iterable[dt.date] = (day for year in range(start.year, end.year + 1) for day in rule(year))
    elif given is None and currency not in CALENDARS:
        known = ", ".join(sorted({*BY_RULE, *CALENDARS}))
        message = (
            f"nobody says on which days {currency} does not settle; known are {known}. Give "
            f"holidays={{{currency!r}: ...}}, the name of a calendar of pandas-market-calendars or dates; "
            'the calendar "weekdays" has no holidays'
        )
        raise DataError(message)
    elif given is None or isinstance(given, str):
        table = session_table(CALENDARS[currency] if given is None else given, start, end)
        sessions = set(table.frame["label"].to_list())
        days = (start + n * DAY for n in range((end - start).days + 1))
        found = (day for day in days if day not in sessions)
    elif isinstance(given, Iterable):
        found = [_date(each, currency) for each in given]
    else:
        message = (
            f"holidays of {currency} = {given!r}; expected the name of a calendar such as 'XTSE', or dates "
            "such as [datetime.date(2024, 12, 25)]"
        )
        raise DataError(message)
    return frozenset(day for day in found if start <= day <= end and day.weekday() < SATURDAY)


def _date(value: object, currency: str) -> dt.date:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    message = (
        f"holidays of {currency}: {value!r} is no date; expected values such as datetime.date(2024, 12, 25)"
    )
    raise DataError(message)


def _federal_reserve(year: int) -> list[dt.date]:
    days = [dt.date(year, 1, 1), dt.date(year, 7, 4), dt.date(year, 11, 11), dt.date(year, 12, 25)]
    # Juneteenth became law on the eve of that of 2021, on which banks settled as ever.
    if year >= FIRST_JUNETEENTH:
        days.append(dt.date(year, 6, 19))
    days = [day + DAY if day.weekday() == SUNDAY else day for day in days]
    last_of_may = dt.date(year, 5, 31)
    return [
        *days,
        _nth(year, 1, MONDAY, 3),  # Martin Luther King
        _nth(year, 2, MONDAY, 3),  # Washington
        last_of_may - last_of_may.weekday() * DAY,  # Memorial Day
        _nth(year, 9, MONDAY, 1),  # Labor Day
        _nth(year, 10, MONDAY, 2),  # Columbus
        _nth(year, 11, THURSDAY, 4),  # Thanksgiving
    ]


def _target(year: int) -> list[dt.date]:
    sunday = _easter(year)
    fixed = [dt.date(year, month, day) for month, day in ((1, 1), (5, 1), (12, 25), (12, 26))]
    return [*fixed, sunday - 2 * DAY, sunday + DAY]


def _nth(year: int, month: int, weekday: int, n: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + ((weekday - first.weekday()) % 7 + 7 * (n - 1)) * DAY


def _easter(year: int) -> dt.date:
    """Return Easter Sunday: Meeus, "Astronomical Algorithms" (1991), chapter 8, for Gregorian years."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    el = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * el) // 451
    month, day = divmod(h + el - 7 * m + 114, 31)
    return dt.date(year, month, day + 1)


#: Currencies whose closing days follow from the year, and from which year on.
BY_RULE: Mapping[str, tuple[Callable[[int], list[dt.date]], int]] = {
    "EUR": (_target, 2002),
    "USD": (_federal_reserve, 1986),
}
