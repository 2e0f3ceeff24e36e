"""Buying power: what an account may still spend, and whether it can carry an order or a fill.

A **cash account**, which neither sells short nor borrows, may spend its cash. Any other may carry positions
worth `leverage` times its equity, long and short alike; what it holds already counts against that. With
`buying_power = "cash"` an account that may sell short goes by its cash, too, and with `"unlimited"` nothing
bounds it.

What an order reserves is money of the currency of its instrument. Where bounds are made of equity it counts
for what it is worth in the base currency. Where they are made of cash it takes cash of its own currency
first, and what is missing of that is bought with cash of the base currency, unless `conversion = "never"`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

import attrs

from ml4t.core.policies import Conversion
from ml4t.reference.account import Account
from ml4t.reference.dealer import Dealer
from ml4t.reference.numbers import LARGEST_CASH, cash_text, checked, half_even
from ml4t.reference.orders import Order
from ml4t.reference.plan import Instrument

if TYPE_CHECKING:
    from ml4t.reference.pricing import Pricing

__all__ = ["Missing", "before_orders", "can_pay", "check_set_aside", "free", "missing"]

Aside = Mapping[str, Fraction]  #: what working orders reserve, by currency

WHAT = "what working orders leave of the buying power"


@attrs.frozen
class Missing:
    """Why an order is refused: it needs more than is free; both are cash units of one currency."""

    needed: Fraction
    free: Fraction
    unit: str = ""  #: their currency, where it is not the base currency

    @property
    def texts(self) -> tuple[str, str]:
        """Both amounts as sentences show them."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{cash_text(self.needed)}{unit}", f"{cash_text(self.free)}{unit}"


def check_set_aside(account: Account, working: Iterable[Order]) -> None:
    """Refuse that working orders set aside more of a currency than a ledger holds."""
    for amount in account.set_aside(working).values():
        checked(amount, LARGEST_CASH, WHAT)


def free(account: Account, pricing: Pricing, aside: Aside) -> Fraction:
    """Return the buying power in the base currency, after what is set aside; of an account with bounds."""
    if not account.is_cash_account:
        return _free_by_equity(account, pricing, aside)
    left = {each: account.cash_in(each) - amount for each, amount in aside.items()}
    if account.terms.conversion is Conversion.NEVER:
        return _free(sum((_to_base(account, each, amount) for each, amount in left.items()), Fraction(0)))
    base = account.currencies.base
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
    if account.is_cash_account:
        found = _missing_cash(account, instrument.currency, need, aside)
    else:
        needed = _to_base(account, instrument.currency, need)
        found = Missing(needed, _free_by_equity(account, pricing, aside))
    return found if found is not None and found.needed > found.free else None


def _missing_cash(account: Account, currency: str, need: Fraction, aside: Aside) -> Missing | None:
    """Return what an order needs of the cash that pays for it, and what is free of that.

    None where cash of its own currency, which is not the base currency, pays for all of it.
    """
    base = account.currencies.base
    if account.terms.conversion is Conversion.NEVER:
        unit = "" if currency == base else currency
        return Missing(need, _free(account.cash_in(currency) - aside[currency]), unit)
    left = _free(account.cash_in(base) - aside[base])
    for each, amount in aside.items():
        if each not in (base, currency):
            left -= _to_base(account, each, max(amount - account.cash_in(each), Fraction(0)))
    if currency == base:
        return Missing(need, left)
    short = max(aside[currency] + need - account.cash_in(currency), Fraction(0))
    return None if short == 0 else Missing(_to_base(account, currency, short), left)


def before_orders(account: Account) -> Fraction:
    """Return the buying power at marks, before anything is set aside, as the sentence of a refusal tells."""
    if account.is_cash_account:
        return Fraction(account.cash)
    return account.terms.leverage * account.equity - account.gross


def can_pay(account: Account, dealer: Dealer, order: Order, quantity: int, price: int, fee: int) -> bool:
    """Say whether the account can carry a fill, at the price that it really gets.

    An account that goes by its cash pays out of the cash of the currency, and what is missing there out of
    that of the base currency, at what the purchase really costs; a fill that does not lower cash is paid.
    In any other the position after the fill, at the price of the fill, together with all other positions at
    their marks, must be within `leverage` times the equity that the fee leaves. What only closes can always
    be carried.
    """
    if account.is_unlimited:
        return True
    instrument = order.instrument
    if account.is_cash_account:
        return _has_cash(account, dealer, instrument, instrument.cash(price, quantity * order.sign) + fee)
    _, opening = account.parts(order, quantity)
    if opening == 0:
        return True
    currency = instrument.currency
    after = account.ledger.quantity(instrument) + quantity * order.sign
    others = account.gross - account.to_base(abs(account.value(instrument)), currency)
    gross = others + account.to_base(abs(instrument.cash(price, after)), currency)
    return gross <= account.terms.leverage * (account.equity - account.to_base(fee, currency))


def _has_cash(account: Account, dealer: Dealer, instrument: Instrument, spent: int) -> bool:
    currency, base = instrument.currency, account.currencies.base
    cash = account.cash_in(currency)
    after = cash - spent
    if after >= min(cash, 0):
        return True
    if currency == base or account.terms.conversion is Conversion.NEVER:
        return False
    return dealer.deal(currency, -after, account.now).price <= account.cash_in(base)


def _free_by_equity(account: Account, pricing: Pricing, aside: Aside) -> Fraction:
    power = account.terms.leverage * pricing.equity(account) - pricing.gross(account)
    return _free(power - sum((_to_base(account, *each) for each in aside.items()), Fraction(0)))


def _free(amount: Fraction) -> Fraction:
    return checked(amount, LARGEST_CASH, WHAT)


def _to_base(account: Account, currency: str, amount: Fraction) -> Fraction:
    """Return an amount in the base currency; what orders reserve is whole cash units already."""
    if currency == account.currencies.base:
        return amount
    return Fraction(account.to_base(half_even(amount), currency))
