"""T+n settlement of trades, in accounts that go by cash: what of their cash has not settled yet.

Cash is that of trade dates everywhere; settlement changes no posting. Beside it each currency has *parcels*:
what sales have brought and buyers have not paid yet, each with the instant at which it is due. Whatever takes
cash takes settled money first, then parcels, the earliest due first: after each posting of cash no more is
unsettled than there is cash.

=============  =============================================================================================
`unsettled`    what parcels are good for
=============  =============================================================================================
`usable`       they count as cash
`held`         they buy nothing: what an account may spend is its cash less its parcels
`good_faith`   they count as cash. A lot bought with them is not paid for until they settle; who sells of it
               before that commits a good-faith violation, and the third within 12 months restricts the
               account for 90 days: so long its parcels are held
=============  =============================================================================================

Sources: 12 CFR 220.8(c) for cash accounts, and the practice of brokers for the count of three.
"""

from __future__ import annotations

import bisect
import enum
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import attrs

from ml4t.core.errors import ConfigError
from ml4t.reference.numbers import half_even, plain_text
from ml4t.reference.timestamp import text_of

if TYPE_CHECKING:
    from ml4t.reference.account import Account
    from ml4t.reference.dealer import Deal
    from ml4t.reference.exchange import Exchange
    from ml4t.reference.lots import Lot
    from ml4t.reference.orders import Fill
    from ml4t.reference.plan import Instrument, Plan, Sessions

__all__ = ["LONG_AGO", "NEVER", "Parcel", "Spent", "TradeSettlement", "Unsettled", "Use", "book", "read"]

LONG_AGO, NEVER = -(2**63), 2**63 - 1
DAY = 86_400 * 10**9
WINDOW, RESTRICTION = 365 * DAY, 90 * DAY
ALLOWED = 3  #: violations within the window, of which the last one restricts the account


class Use(enum.Enum):
    """What money that has not settled is good for."""

    USABLE = "usable"
    GOOD_FAITH = "good_faith"
    HELD = "held"


@attrs.frozen
class TradeSettlement:
    """After how many sessions trades settle, by the first labels for which each number holds, and the use."""

    days: tuple[tuple[int, int], ...]
    use: Use

    def sessions_after(self, label: int) -> int | None:
        """Return after how many sessions a trade of a session settles; None where it does so at once."""
        known = [count for first, count in self.days if first <= label]
        return known[-1] if known else None


def read(spec: Mapping[str, Any] | None) -> TradeSettlement | None:
    """Read it from the description of an account; None where trades settle at once.

    Raises
    ------
    ConfigError
        If unsettled money is to be used in a way that this engine does not know.
    """
    if spec is None:
        return None
    values = [use.value for use in Use]
    if spec["unsettled"] not in values:
        message = f"unsettled {spec['unsettled']!r} is not covered; covered are {', '.join(values)}"
        raise ConfigError(message)
    return TradeSettlement(tuple((first, count) for first, count in spec["days"]), Use(spec["unsettled"]))


@attrs.frozen
class Parcel:
    """An amount, above zero, in cash units, and when it settles."""

    due: int
    amount: int


@attrs.frozen
class Spent:
    """A parcel, or a part of one, that something has taken."""

    currency: str
    parcel: Parcel


@attrs.define
class Unsettled:
    """The parcels of a book, and its good-faith violations."""

    terms: TradeSettlement
    calendars: tuple[Sessions, ...]
    parcels: dict[str, list[Parcel]] = attrs.field(factory=dict)
    """By currency; by the time at which they are due, equal ones in the sequence in which they came."""
    notes: list[list[Spent]] = attrs.field(factory=list)  #: where is noted what is spent
    violations: list[int] = attrs.field(factory=list)  #: when each was committed
    violating: set[int] = attrs.field(factory=set)  #: orders that have committed one
    restricted_until: int = LONG_AGO

    @classmethod
    def of(cls, plan: Plan) -> Unsettled | None:
        """Return that of a run; None where trades settle at once."""
        terms = plan.account.settlement
        return None if terms is None else cls(terms, plan.calendars)

    # -- what has not settled ----------------------------------------------------------------------------

    def amount(self, currency: str, now: int) -> int:
        """Return what of a currency has not settled."""
        return sum(parcel.amount for parcel in self.parcels.get(currency, ()) if parcel.due > now)

    def is_held(self, now: int) -> bool:
        """Say whether it buys nothing now."""
        return self.terms.use is Use.HELD or now < self.restricted_until

    def due(self, instrument: Instrument, ts: int) -> int:
        """Return when a trade settles: as the session opens that is so many after its own.

        Its own session is the first that does not close before it, or the next where that opens as it closes.
        """
        sessions = self.calendars[instrument.calendar]
        place = bisect.bisect_left(sessions.closes, ts)
        if ts in sessions.opens[place + 1 : place + 2]:
            place += 1
        if place == len(sessions.closes):
            return NEVER
        count = self.terms.sessions_after(sessions.labels[place])
        if count is None:
            return ts
        return sessions.opens[place + count] if place + count < len(sessions.opens) else NEVER

    def bring(self, currency: str, parcel: Parcel, now: int) -> None:
        """Put a parcel behind those that are not due later."""
        if parcel.amount <= 0 or parcel.due <= now:
            return
        bisect.insort_right(self.parcels.setdefault(currency, []), parcel, key=lambda each: each.due)

    # -- what takes it -----------------------------------------------------------------------------------

    def follow(self, currency: str, cash: int, now: int) -> None:
        """Let settled money go first, after something has moved cash: no more is unsettled than there is."""
        parcels = [parcel for parcel in self.parcels.get(currency, ()) if parcel.due > now]
        self.parcels[currency] = parcels
        excess = sum(parcel.amount for parcel in parcels) - max(cash, 0)
        while excess > 0:
            first = parcels.pop(0)
            taken = min(first.amount, excess)
            excess -= taken
            if taken < first.amount:
                parcels.insert(0, Parcel(first.due, first.amount - taken))
            for note in self.notes:
                note.append(Spent(currency, Parcel(first.due, taken)))

    @contextmanager
    def noting(self) -> Iterator[list[Spent]]:
        """Note all that is spent meanwhile."""
        note: list[Spent] = []
        self.notes.append(note)
        yield note
        self.notes.pop()

    def convert(self, deal: Deal, base: str, spent: Iterable[Spent], now: int) -> str:
        """Bring what a conversion has spent of what it paid with back in what it received; return that."""
        paid, received = (
            (deal.price, deal.amount) if deal.amount > 0 else (-deal.amount, deal.value - deal.cost)
        )
        payer, receiver = (base, deal.currency) if deal.amount > 0 else (deal.currency, base)
        if paid > 0 and received > 0:
            for each in spent:
                if each.currency == payer:
                    amount = half_even(Fraction(each.parcel.amount * received, paid))
                    self.bring(receiver, Parcel(each.parcel.due, amount), now)
        return receiver

    # -- good faith --------------------------------------------------------------------------------------

    def judge(self, fill: Fill, closed: Iterable[Lot]) -> tuple[str, str]:
        """Count the violation of a fill that closes lots; return its code and sentence, mostly nothing."""
        now, order, instrument = fill.ts, fill.order, fill.order.instrument
        unpaid = [lot for lot in closed if lot.unpaid_until > now]
        if not unpaid or self.terms.use is not Use.GOOD_FAITH:
            return "", ""
        is_first = order.id not in self.violating
        if is_first:
            self.violating.add(order.id)
            self.violations.append(now)
        count = sum(ts > now - WINDOW for ts in self.violations)
        if is_first and count >= ALLOWED:
            self.restricted_until = max(self.restricted_until, now + RESTRICTION)
        quantity = plain_text(sum(lot.quantity for lot in unpaid), instrument.quantity_exponent)
        text = (
            f"sells {quantity} {instrument.symbol} bought with money that settles at "
            f"{_when(max(lot.unpaid_until for lot in unpaid))}: good-faith violation {count} of {ALLOWED} "
            "within 12 months"
        )
        if self.restricted_until > now:
            text += f", only settled money buys until {text_of(self.restricted_until)}"
        return "GOOD_FAITH_VIOLATION", f"{text} ({text_of(now)})"


def book(account: Account, exchange: Exchange, fill: Fill) -> tuple[str, str]:
    """Book a fill and what it converts; return code and sentence of its good-faith violation, mostly nothing.

    What a sale brings is unsettled before it is converted, and conversions keep it so. What was bought with
    unsettled money is not paid for until that settles.
    """
    ledger, instrument, now = account.ledger, fill.order.instrument, fill.ts
    unsettled = ledger.unsettled
    if unsettled is None:
        ledger.book(fill)
        exchange.after_event(now, instrument.currency, instrument)
        return "", ""
    with unsettled.noting() as spent:
        closed, opened = ledger.book(fill)
        if not instrument.is_margined:
            net = -instrument.cash(fill.price, fill.quantity * fill.order.sign) - fill.fee
            unsettled.bring(instrument.currency, Parcel(unsettled.due(instrument, now), net), now)
        exchange.after_event(now, instrument.currency, instrument)
    is_long = fill.order.sign > 0 and not instrument.is_margined
    if opened is not None and spent and is_long:
        opened.unpaid_until = max(opened.unpaid_until, *(each.parcel.due for each in spent))
    return unsettled.judge(fill, closed)


def _when(due: int) -> str:
    return "never" if due == NEVER else text_of(due)
