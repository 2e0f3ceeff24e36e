"""Transfers: lots that go from one instrument to another, in a spin-off or an exchange.

They keep when they were bought, by which order, and what they cost. Their value leaves the one and reaches
the other by the account `transfer`, in two parts: their cost, out of `inventory` and into it, and by
`carried_gain` what they have gained, which stays unrealized. Their quantity is scaled as by a split, so a
fraction of a lot is paid in cash. What is left joins the position of the same side, by age, or closes one of
the other side; a round trip of that has no order that ended it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import attrs

from ml4t.core.types import LotPolicy
from ml4t.reference.ledger import Ledger
from ml4t.reference.lots import Holding, Lot, RoundTrip, take
from ml4t.reference.numbers import LARGEST_STEP, checked, half_even
from ml4t.reference.plan import Instrument

__all__ = ["Transfer", "carve", "hand_over", "pay_part", "units_per_unit"]


@attrs.frozen(kw_only=True)
class Transfer:
    """Lots on their way; their quantities are those of the giver, their other amounts what is carried."""

    ts: int
    giver: Instrument
    taker: Instrument
    ratio: Fraction  #: shares of the taker for one of the giver
    value: int  #: what goes over with them, signed like the position
    lots: list[Lot]


def units_per_unit(giver: Instrument, taker: Instrument, ratio: Fraction) -> Fraction:
    """Return quantity units of the taker for one of the giver."""
    return ratio * Fraction(10) ** (taker.quantity_exponent - giver.quantity_exponent)


def carve(holding: Holding, share: Fraction) -> list[Lot]:
    """Take a share of what every lot has cost, and return it in lots of the same quantities."""
    return [lot.give(share, lot.quantity) for lot in holding.lots]


def pay_part(ledger: Ledger, ts: int, instrument: Instrument, paid: int, shares: int) -> None:
    """Realize the part of a position that is paid in cash, beside `shares`, the size of what is not.

    What the lots have cost is divided in proportion; no round trip ends, for they go on.
    """
    if paid == 0:
        return
    holding = ledger.holding(instrument)
    part = Fraction(abs(paid), abs(paid) + shares)
    cost = 0
    for lot in holding.lots:
        own = half_even(lot.cost * part)
        lot.cost -= own
        cost += own
    ledger.post(ts, "cash_out", "cash", "inventory", cost, instrument)
    ledger.post(ts, "cash_out", "cash", "realized_pnl", paid - cost, instrument)
    holding.realized += paid - cost


def hand_over(ledger: Ledger, transfer: Transfer, value_of: Callable[[Fraction], int]) -> bool:
    """Bring lots to the position of the taker; return whether a part of them was paid out.

    `value_of` says what a number of units of the taker is worth.
    """
    _post(ledger, transfer)
    taker, now = transfer.taker, transfer.ts
    what = f"the position in {taker.symbol} after what {transfer.giver.symbol} gave"
    carried = Holding(taker, transfer.lots)
    ratio = units_per_unit(transfer.giver, taker, transfer.ratio)
    has_paid = ledger.scale(now, carried, ratio, value_of, what)
    _close(ledger, carried, now)
    holding = ledger.holding(taker)
    checked(holding.quantity + carried.quantity, LARGEST_STEP, what)
    for lot in carried.lots:
        _insert(holding, lot, ledger.lot_policy)
    return has_paid


def _post(ledger: Ledger, transfer: Transfer) -> None:
    """Move cost and open gain out of the one and into the other."""
    cost = sum(lot.cost for lot in transfer.lots)
    gain = transfer.value - cost
    now, giver, taker = transfer.ts, transfer.giver, transfer.taker
    ledger.post(now, "transfer", "transfer", "inventory", cost, giver)
    ledger.post(now, "transfer", "transfer", "carried_gain", gain, giver)
    ledger.post(now, "transfer", "inventory", "transfer", cost, taker)
    ledger.post(now, "transfer", "carried_gain", "transfer", gain, taker)


def _close(ledger: Ledger, carried: Holding, now: int) -> None:
    """Let carried lots close what is held on the other side, the oldest of them first.

    What that realizes is the difference of two costs, posted once.
    """
    instrument = carried.instrument
    holding = ledger.holding(instrument)
    if holding.quantity * carried.quantity >= 0:
        return
    gain = 0
    fx_rate = ledger.currencies.rate(instrument.currency, now)
    while carried.lots and holding.lots:
        units = min(abs(carried.lots[0].quantity), abs(holding.quantity))
        for part in take(holding, units, ledger.lot_policy):
            (other,) = take(carried, abs(part.quantity), LotPolicy.FIFO)
            gain -= other.cost + part.cost
            ledger.round_trips.append(
                RoundTrip(
                    instrument=instrument,
                    is_long=part.quantity > 0,
                    quantity=abs(part.quantity),
                    ts_entry=part.ts_open,
                    ts_exit=now,
                    entry_value=part.cost,
                    exit_value=-other.cost,
                    gross=-other.cost - part.cost,
                    fees=part.fees + other.fees,
                    slippage=part.slippage + other.slippage,
                    entry_order_id=part.order_id,
                    exit_order_id=None,
                    exit_phase=None,
                    exit_reason="delivery",
                    actions=ledger.actions,
                    fx_rate=fx_rate,
                )
            )
    ledger.post(now, "realized", "inventory", "realized_pnl", gain, instrument)
    holding.realized += gain


def _insert(holding: Holding, lot: Lot, policy: LotPolicy) -> None:
    """Put a lot behind those that are not younger, or into the one that there is of an average."""
    lots = holding.lots
    if policy is LotPolicy.AVERAGE and lots:
        lots[0].join(lot)
        return
    older = [place for place, each in enumerate(lots) if each.ts_open <= lot.ts_open]
    lots.insert(older[-1] + 1 if older else 0, lot)
