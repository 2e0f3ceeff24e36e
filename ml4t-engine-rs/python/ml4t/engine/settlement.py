"""`[broker] settlement`: when trades settle, read and checked for every engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ml4t.core.errors import Finding
from ml4t.core.policies import BuyingPower

if TYPE_CHECKING:
    from ml4t.core.config import BrokerSection, RunConfig

UNSETTLED = ("good_faith", "usable", "held")
MOST = 30  #: sessions that a trade may take to settle
ALWAYS = -(2**31)  #: the first day of a number without a date
EPOCH = dt.date(1970, 1, 1)


def goes_by_cash(account: BrokerSection) -> bool:
    """Say whether cash alone bounds an account."""
    if account.buying_power is not BuyingPower.EQUITY:
        return account.buying_power is BuyingPower.CASH
    return account.margin_model is None and not account.allows_short and account.leverage == 1


def settlement_terms(config: RunConfig) -> dict[str, Any] | None:
    """Return when trades settle: `days` as (first day since 1970-01-01, sessions), and `unsettled`.

    Raises
    ------
    ConfigError
        A key, a number, a date or a name is wrong, or the account does not go by cash.
    """
    given = config.broker.settlement
    if given is None:
        return None
    findings: list[Finding] = []

    def wrong(key: str, message: str, code: str = "invalid_value") -> None:
        findings.append(Finding(path=f"broker.settlement{key}", message=message, code=code))

    for key in given.keys() - {"days", "unsettled"}:
        wrong(f".{key}", "not known; known are days, unsettled", "unknown_key")
    unsettled = given.get("unsettled", UNSETTLED[0])
    if unsettled not in UNSETTLED:
        wrong(".unsettled", f"expected one of {', '.join(UNSETTLED)}, found {unsettled!r}")
    days: dict[int, int] = {}
    if "days" not in given:
        wrong(".days", "required, but missing: after how many sessions trades settle, such as 1", "missing")
    elif isinstance(given["days"], Mapping):
        days = _dated(given["days"], wrong)
    else:
        days[ALWAYS] = _number(".days", given["days"], wrong)
    if not goes_by_cash(config.broker):
        wrong(
            "",
            "only an account that goes by cash waits for money: set broker.buying_power = 'cash', or neither "
            "allows_short, leverage nor a margin_model",
        )
    if findings:
        raise config.refused(findings)
    return {"days": sorted(days.items()), "unsettled": unsettled}


def _dated(given: Mapping[Any, Any], wrong: Any) -> dict[int, int]:  # noqa: ANN401
    """Return the numbers by first day; a day may be spelt in several ways, and has one number."""
    days: dict[int, int] = {}
    spelt: dict[int, object] = {}
    for text, number in given.items():
        first = _first_day(text, wrong)
        if first in spelt and first != ALWAYS:
            day = EPOCH + dt.timedelta(days=first)
            wrong(".days", f"{day} is there twice, as {spelt[first]!r} and as {text!r}; keep one")
        spelt[first] = text
        days[first] = _number(f".days.{text}", number, wrong)
    return days


def _first_day(text: object, wrong: Any) -> int:  # noqa: ANN401
    try:
        return (dt.date.fromisoformat(str(text)) - EPOCH).days
    except ValueError:
        wrong(".days", f"expected dates such as 2024-05-28, found {text!r}")
        return ALWAYS


def _number(key: str, number: object, wrong: Any) -> int:  # noqa: ANN401
    if type(number) is int and 0 <= number <= MOST:
        return number
    wrong(key, f"expected a number of sessions from 0 to {MOST}, found {number!r}")
    return 0
