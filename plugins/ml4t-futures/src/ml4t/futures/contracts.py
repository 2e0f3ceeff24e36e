"""A dated futures contract: its terms and its dates."""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from ml4t.core.errors import DataError, Finding, nearest
from ml4t.core.instrument import Instrument
from ml4t.core.structuring import Checked, setting
from ml4t.core.types import AssetClass
from ml4t.core.values import shown, to_decimal
from ml4t.futures.months import ContractMonth

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["FuturesContract", "Settlement"]

_OF_INSTRUMENT = ("symbol", "currency", "calendar", "venue", "tick_size", "lot_size", "multiplier")


class Settlement(enum.Enum):
    """How a contract ends."""

    CASH = "cash"
    PHYSICAL = "physical"


_SETTLEMENTS = {member.value: member for member in Settlement}


def _number(value: Any) -> Any:  # noqa: ANN401
    """Convert what can be converted; `cross_check` reports the rest together with all other faults."""
    with contextlib.suppress(DataError):
        return to_decimal(value)
    return value


def _date(value: Any) -> Any:  # noqa: ANN401
    """Convert the text of a date; `cross_check` reports what is none."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return dt.date.fromisoformat(value)
    return value


def _month(value: Any) -> Any:  # noqa: ANN401
    """Convert the text of a month; `cross_check` reports what is none."""
    if isinstance(value, str):
        with contextlib.suppress(DataError):
            return ContractMonth.parse(value)
    return value


def _settlement(value: Any) -> Any:  # noqa: ANN401
    return _SETTLEMENTS.get(value, value) if isinstance(value, str) else value


@attrs.frozen
class FuturesContract(Checked):
    """One dated contract.

    Numbers may be int, float, str or Decimal, dates also text such as "2013-12-20". All dates are labels of
    sessions of the exchange's calendar, not days of UTC. Fields that are not usable are a ConfigError that
    lists them all.

    Examples
    --------
    >>> contract = FuturesContract(
    ...     "ESZ3",
    ...     root="ES",
    ...     last_trade="2013-12-20",
    ...     multiplier=50,
    ...     tick_size=0.25,
    ...     calendar="CME_Equity",
    ...     settlement="cash",
    ... )
    >>> str(contract.delivery_month), contract.instrument().multiplier
    ('2013-12', Decimal('50'))
    """

    symbol: str  #: unique within a chain
    root: str = setting()  #: of the chain, for example ES
    last_trade: dt.date = setting(convert=_date)  #: last session on which it trades
    multiplier: Decimal = setting(convert=_number)  #: money per unit of price and contract
    tick_size: Decimal = setting(convert=_number)  #: smallest step of a price
    calendar: str = setting()  #: of the exchange, for example CME_Equity
    settlement: Settlement = setting(convert=_settlement)  #: or its name, cash or physical
    currency: str = setting("USD")  #: in which prices are quoted and cash moves
    #: first day on which a long position may be told to take delivery; None: none while it trades
    first_notice: dt.date | None = setting(None, convert=_date)
    #: in which it delivers, or its text such as 2013-12; None: what the symbol says, if it does
    month: ContractMonth | None = setting(None, convert=_month)
    lot_size: Decimal = setting(Decimal(1), convert=_number)  #: smallest step of a quantity
    allows_negative_prices: bool = attrs.field(default=False, kw_only=True)
    venue: str | None = setting(None)  #: None: the name of its calendar

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Yield every fault of the given fields."""
        yield from Instrument.cross_check({key: values[key] for key in _OF_INSTRUMENT if key in values})
        root = values.get("root", "-")
        if not isinstance(root, str) or not root or root != root.strip():
            yield _fault("root", "a text without surrounding spaces", root)
        if not isinstance(negative := values.get("allows_negative_prices", False), bool):
            yield _fault("allows_negative_prices", "true or false", negative)
        if not isinstance(month := values.get("month"), ContractMonth | None):
            yield _fault("month", "a month such as 2013-12", month)
        settlement = values.get("settlement", Settlement.CASH)
        if not isinstance(settlement, Settlement):
            guess = nearest(settlement, _SETTLEMENTS) if isinstance(settlement, str) else None
            fault = _fault("settlement", "a member of Settlement or its name", settlement)
            yield attrs.evolve(fault, allowed=tuple(_SETTLEMENTS), nearest=guess)
        yield from _date_faults(values, settlement)

    @property
    def delivery_month(self) -> ContractMonth | None:
        """The month in which it delivers; None where neither `month` nor the symbol names it.

        The year of a symbol such as ESZ3 is the one nearest to that of the last trade.
        """
        if self.month is None:
            with contextlib.suppress(DataError):
                return ContractMonth.parse(self.symbol, reference_year=self.last_trade.year)
        return self.month

    def instrument(self, **fields: Any) -> Instrument:  # noqa: ANN401
        """Return it as what the engine trades; `fields` are further ones of `Instrument`.

        It ends by itself with its last trade. What is held then is settled in cash, also of a contract that
        is delivered: a run keeps no warehouse. Roll before, or `last_trade=None` keeps it at its last mark.
        """
        known = {
            key: getattr(self, key) for key in (*_OF_INSTRUMENT[1:], "allows_negative_prices", "last_trade")
        }
        return Instrument(self.symbol, asset_class=AssetClass.FUTURE, **(known | fields))


def _date_faults(values: Mapping[str, Any], settlement: object) -> Iterator[Finding]:
    """Yield what is wrong with the dates."""
    last, notice = values.get("last_trade"), values.get("first_notice")
    good = True
    for path, day in (("last_trade", last), ("first_notice", notice)):
        # A datetime is a date to Python; which session an instant belongs to is for a calendar to say.
        if path in values and type(day) is not dt.date and not (path == "first_notice" and day is None):
            good = False
            yield _fault(path, "a date", day)
    if not good or last is None or notice is None:
        return
    if notice > last:
        message = (
            f"{notice} is after the last trade on {last}; where notice is given only once trading has ended, "
            "as for CL, give None"
        )
        yield Finding(path="first_notice", message=message, found=str(notice))
    if settlement is Settlement.CASH:
        message = f"found {notice}, but a contract settled in cash gives no notice of delivery; give None"
        yield Finding(path="first_notice", message=message, found=str(notice))


def _fault(path: str, what: str, found: object) -> Finding:
    return Finding(path=path, message=f"expected {what}, found {shown(found)}", found=shown(found))
