"""Who lends what is sold short: borrow rates may say how much of an instrument is available.

Where the account has `recall_sessions`, a position that is short of more than that at a close is recalled. If
it still is so many closes later, the broker buys back what is too much: a market order for the next open.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from fractions import Fraction

from ml4t.core.types import Side
from ml4t.reference.events import number_text
from ml4t.reference.numbers import plain_text
from ml4t.reference.orders import Order
from ml4t.reference.plan import Instrument, Plan
from ml4t.reference.refusals import Refusal
from ml4t.reference.timestamp import text_of
from ml4t.reference.venue import Venue

__all__ = ["lacks_a_lender", "recall"]

BUY_IN = "buy_in"


def lacks_a_lender(
    plan: Plan, venue: Venue, order: Order, now: int, instead_of: Order | None = None
) -> Refusal | None:
    """Return why nobody lends what an order would sell short, None where somebody does.

    What is short counts, and what other sells at work would open beyond the position held now. A changed
    order stands instead of the one that works. Derivatives are not borrowed.
    """
    account, instrument = venue.account, order.instrument
    known = [row for row in plan.borrow if row.instrument == instrument.index and row.ts <= now]
    may_open = order.side is Side.SELL and not order.reduce_only and account.terms.allows_short
    if not may_open or not instrument.is_borrowed or not known:
        return None
    selling = [
        each
        for each in venue.book.working()
        if each.instrument is instrument and each.side is Side.SELL and not each.reduce_only
    ]
    own = account.parts(order, order.leaves)[1]
    others = sum(account.parts(each, each.leaves)[1] for each in selling if each is not instead_of)
    short = own + others + max(-account.ledger.quantity(instrument), 0)
    available = known[-1].available
    if own == 0 or instrument.quantity(short) <= available:
        return None
    total = plain_text(short, instrument.quantity_exponent)
    text = (
        f"{instrument.symbol}: with this order {total} would be sold short, {number_text(available)} can be "
        f"borrowed ({text_of(now)})"
    )
    return "NOT_AVAILABLE_TO_BORROW", text


def recall(plan: Plan, venue: Venue, counts: MutableMapping[int, int], now: int) -> None:
    """Count a close for each instrument, and buy in where that were too many: after the NAV of a session.

    `counts` holds for how many closes in a row an instrument has been short of too much, by its index.
    """
    most = plan.account.recall_sessions
    if most is None:
        return
    for instrument in plan.instruments:
        excess = _excess(plan, venue, instrument, now)
        counts[instrument.index] = counts.get(instrument.index, 0) + 1 if excess else 0
        if counts[instrument.index] > most:
            counts[instrument.index] = 0
            venue.book.send_for_the_broker(instrument, excess, now, now, tag=BUY_IN, buys_in=True)


def _excess(plan: Plan, venue: Venue, instrument: Instrument, now: int) -> int:
    """Return the units that nobody lends, in whole lots, and that no order buys in yet."""
    known = [row for row in plan.borrow if row.instrument == instrument.index and row.ts <= now]
    if not known or not instrument.is_borrowed:
        return 0
    coming = sum(
        int(order.leaves) for order in venue.book.open() if order.buys_in and order.instrument is instrument
    )
    short = -venue.account.ledger.quantity(instrument) - coming
    available = max(known[-1].available, 0.0)
    if short <= 0 or instrument.quantity(short) <= available:
        return 0
    lots = Fraction(available) * 10**instrument.quantity_exponent / instrument.lot
    lent: int = lots.numerator // lots.denominator * instrument.lot
    return short - lent
