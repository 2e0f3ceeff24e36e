"""Who lends what is sold short: borrow rates may say how much of an instrument is available."""

from __future__ import annotations

from ml4t.core.types import Side
from ml4t.reference.events import number_text
from ml4t.reference.numbers import plain_text
from ml4t.reference.orders import Order
from ml4t.reference.plan import Plan
from ml4t.reference.refusals import Refusal
from ml4t.reference.timestamp import text_of
from ml4t.reference.venue import Venue

__all__ = ["lacks_a_lender"]


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
