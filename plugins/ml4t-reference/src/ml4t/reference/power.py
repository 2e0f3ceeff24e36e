"""Buying power: what an account may still spend, and whether it can carry an order or a fill.

A **cash account**, which neither sells short nor borrows, may spend its cash. Any other may carry positions
worth `leverage` times its equity, long and short alike; what it holds already counts against that. With
`buying_power = "cash"` an account that may sell short goes by its cash, too, and with `"unlimited"` nothing
bounds it. A margin model takes the place of all that: see `ml4t.reference.margin`.

What an order reserves is money of the currency of its instrument. Where bounds are made of equity it counts
for what it is worth in the base currency. Where they are made of cash it takes cash of its own currency
first, and what is missing of that is bought with cash of the base currency, unless `conversion = "never"`.

Where unsettled money buys nothing (`ml4t.reference.unsettled`), what bounds an account is the cash that has
settled.

A margined position takes no cash. Where bounds are made of cash its whole notional is held as collateral, in
the base currency: it may be as large as the cash of that, and nothing else is bought with what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

import attrs

from ml4t.core.policies import Conversion
from ml4t.reference.account import Account, Aside
from ml4t.reference.dealer import Dealer
from ml4t.reference.numbers import LARGEST_CASH, cash_text, checked, half_even
from ml4t.reference.orders import Order
from ml4t.reference.plan import Instrument

if TYPE_CHECKING:
    from ml4t.reference.pricing import Pricing

__all__ = ["Missing", "before_orders", "can_pay", "check_set_aside", "free", "missing"]

WHAT = "what working orders leave of the buying power"


@attrs.frozen
class Missing:
    """Why an order is refused: it needs more than is free; both are cash units of one currency."""

    needed: Fraction
    free: Fraction
    unit: str = ""  #: their currency, where it is not the base currency
    held_back: int = 0  #: what of that currency would be free if it had settled

    @property
    def texts(self) -> tuple[str, str]:
        """What it needs, and what there is instead, as sentences show them."""
        unit = f" {self.unit}" if self.unit else ""
        there = f"{cash_text(self.free)}{unit} is free"
        if self.held_back:
            there += f", {cash_text(self.held_back)}{unit} has not settled"
        return f"{cash_text(self.needed)}{unit}", there


def check_set_aside(account: Account, working: Iterable[Order]) -> None:
    """Refuse that working orders set aside more of a currency than a ledger holds."""
    for amount in account.set_aside(working).in_each.values():
        checked(amount, LARGEST_CASH, WHAT)


def free(account: Account, pricing: Pricing, aside: Aside) -> Fraction:
    """Return the buying power in the base currency, after what is set aside; of an account with bounds."""
    if account.margin is not None:
        return _free(account.margin.free(pricing, aside))
    if not account.is_cash_account:
        return _free_by_equity(account, pricing, aside)
    base = account.currencies.base
    left = {each: account.spendable_in(each) - amount for each, amount in aside.paid.items()}
    left[base] -= _held_for_margined(account, aside)
    if account.terms.conversion is Conversion.NEVER:
        return _free(sum((_to_base(account, each, amount) for each, amount in left.items()), Fraction(0)))
    foreign = {each: amount for each, amount in left.items() if each != base}
    too_little = (_to_base(account, each, max(-amount, Fraction(0))) for each, amount in foreign.items())
    too_much = (_to_base(account, each, max(amount, Fraction(0))) for each, amount in foreign.items())
    return _free(left[base] - sum(too_little, Fraction(0)) + sum(too_much, Fraction(0)))


def missing(
    account: Account, pricing: Pricing, instrument: Instrument, need: Fraction, aside: Aside
) -> Missing | None:
    """Return what an order of an instrument lacks that needs so much more; None where it passes."""
    if need <= 0:
        return None
    currency = instrument.currency
    if account.margin is not None:
        # What orders need by a margin model is money of the base currency.
        found: Missing | None = Missing(need, free(account, pricing, aside))
    elif not account.is_cash_account:
        found = Missing(_to_base(account, currency, need), _free_by_equity(account, pricing, aside))
    elif instrument.is_margined:
        # It is as if it were bought with the base currency.
        base = account.currencies.base
        found = _missing_cash(account, base, _to_base(account, currency, need), aside)
    else:
        found = _missing_cash(account, currency, need, aside)
    return found if found is not None and found.needed > found.free else None


def _missing_cash(account: Account, currency: str, need: Fraction, aside: Aside) -> Missing | None:
    """Return what an order needs of the cash that pays for it, and what is free of that.

    None where cash of its own currency, which is not the base currency, pays for all of it.
    """
    base = account.currencies.base
    never = account.terms.conversion is Conversion.NEVER
    if never and currency != base:
        left = _free(account.spendable_in(currency) - aside.paid[currency])
        return Missing(need, left, currency, account.held_back_in(currency))
    left = _free(account.spendable_in(base) - aside.paid[base] - _held_for_margined(account, aside))
    held_back = account.held_back_in(base)
    if never:
        return Missing(need, left, held_back=held_back)
    for each, amount in aside.paid.items():
        if each not in (base, currency):
            left -= _to_base(account, each, max(amount - account.spendable_in(each), Fraction(0)))
    if currency == base:
        return Missing(need, left, held_back=held_back)
    short = max(aside.paid[currency] + need - account.spendable_in(currency), Fraction(0))
    if short == 0:
        return None
    return Missing(_to_base(account, currency, short), left, held_back=held_back)


def _held_for_margined(account: Account, aside: Aside) -> Fraction:
    """Return the base currency that margined positions hold, and that orders for more of them reserve."""
    reserved = (_to_base(account, *each) for each in aside.margined.items())
    return account.collateral + sum(reserved, Fraction(0))


def before_orders(account: Account) -> Fraction:
    """Return the buying power at marks, before anything is set aside, as the sentence of a refusal tells."""
    if account.margin is not None:
        return Fraction(account.margin.before_orders())
    if account.is_cash_account:
        return Fraction(account.in_base(account.spendable_in) - account.collateral)
    return account.terms.leverage * account.equity - account.gross


def can_pay(account: Account, dealer: Dealer, order: Order, quantity: int, price: int, fee: int) -> bool:
    """Say whether the account can carry a fill, at the price that it really gets.

    An account that goes by its cash pays out of the cash of the currency, and what is missing there out of
    that of the base currency, at what the purchase really costs; a fill that does not lower cash is paid. For
    a margined position it needs cash of the base currency for all notionals and the fee. In any other account
    the position after the fill, at the price of the fill, together with all other positions at their marks,
    must be within `leverage` times the equity that the fee leaves; with a margin model that equity must be
    enough to open them all. What only closes can always be carried.
    """
    if account.is_unlimited:
        return True
    instrument = order.instrument
    if account.is_cash_account and not instrument.is_margined:
        return _has_cash(account, dealer, instrument, instrument.cash(price, quantity * order.sign) + fee)
    _, opening = account.parts(order, quantity)
    if opening == 0:
        return True
    if account.margin is not None:
        return account.margin.carries(order, quantity, price, fee)
    currency = instrument.currency
    after = account.ledger.quantity(instrument) + quantity * order.sign
    gained = account.to_base(abs(instrument.cash(price, after)), currency)
    gained -= account.to_base(abs(account.notional(instrument)), currency)
    charged = account.to_base(fee, currency)
    if account.is_cash_account:
        return account.collateral + gained + charged <= account.spendable_in(account.currencies.base)
    return account.gross + gained <= account.terms.leverage * (account.equity - charged)


def _has_cash(account: Account, dealer: Dealer, instrument: Instrument, spent: int) -> bool:
    currency, base = instrument.currency, account.currencies.base
    cash = account.spendable_in(currency)
    after = cash - spent
    # What margined positions hold is cash of the base currency.
    free = after - account.collateral if currency == base else after
    if free >= 0 or after >= cash:
        return True
    if currency == base or account.terms.conversion is Conversion.NEVER:
        return False
    return dealer.deal(currency, -after, account.now).price <= account.spendable_in(base) - account.collateral


def _free_by_equity(account: Account, pricing: Pricing, aside: Aside) -> Fraction:
    power = account.terms.leverage * pricing.equity(account) - pricing.gross(account)
    return _free(power - sum((_to_base(account, *each) for each in aside.in_each.items()), Fraction(0)))


def _free(amount: Fraction) -> Fraction:
    return checked(amount, LARGEST_CASH, WHAT)


def _to_base(account: Account, currency: str, amount: Fraction) -> Fraction:
    """Return an amount in the base currency; what orders reserve is whole cash units already."""
    if currency == account.currencies.base:
        return amount
    return Fraction(account.to_base(half_even(amount), currency))
