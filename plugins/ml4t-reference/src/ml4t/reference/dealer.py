"""The dealer: what a conversion between a currency and the base currency costs.

At the middle rate an amount has a value, rounded to the posting quantum. Without an fx model that is what
moves, and nothing else is charged. With one, the value at the rate that it answers is what moves, and it may
charge a fee. What that is worse than the value at the middle rate is the cost of the conversion.
"""

from __future__ import annotations

import math
from fractions import Fraction

import attrs

from ml4t.core.models import FxArgs
from ml4t.reference.asking import asked, digits, refuse
from ml4t.reference.currencies import exact_rate
from ml4t.reference.events import number_text
from ml4t.reference.numbers import CASH_UNIT, LARGEST_CASH, cash_float, half_even
from ml4t.reference.plan import Plan

__all__ = ["Deal", "Dealer"]


@attrs.frozen(kw_only=True)
class Deal:
    """A conversion as it would be done; amounts are cash units."""

    currency: str
    amount: int  #: of the currency: above zero it is bought for the base currency, below zero sold
    value: int  #: of the base currency at the middle rate, zero or above
    cost: int  #: of the base currency, below zero where the rate is better than the middle

    @property
    def price(self) -> int:
        """What a purchase takes out of the cash of the base currency."""
        return self.value + self.cost


@attrs.frozen
class Dealer:
    """Asks the fx model, where there is one."""

    plan: Plan

    def deal(self, currency: str, amount: int, now: int) -> Deal:
        """Work out the conversion of a signed amount of a currency other than the base currency."""
        size, sign = abs(amount), 1 if amount > 0 else -1
        currencies = self.plan.currencies
        value = self._posted(currencies.to_base(size, currency, now))
        model = self.plan.models.fx
        if model is None:
            return Deal(currency=currency, amount=amount, value=value, cost=0)
        middle = currencies.rate(currency, now)
        args = FxArgs(
            ts_ns=now,
            amount=cash_float(amount),
            rate=middle,
            asset=currencies.names.index(currency),
            side=sign,
        )
        with asked(model, currency, now, "fx: "):
            answer = model.evaluate(args)
            # No opinion is the middle rate without a fee.
            rate, fee = (middle, 0.0) if answer is None else (float(answer.rate), float(answer.fee))
            if not (math.isfinite(rate) and rate > 0):
                refuse(f"rate {number_text(rate)} must be finite and above zero")
            if not math.isfinite(fee):
                refuse(f"fee {number_text(fee)} must be finite")
            moved = value if rate == middle else self._posted(half_even(size * exact_rate(rate)))
            charged = self.plan.account.posted(Fraction(fee) * CASH_UNIT)
            if moved > LARGEST_CASH or abs(charged) > LARGEST_CASH:
                refuse(f"rate {digits(rate)} and fee {digits(fee)} leave the range of money")
        return Deal(currency=currency, amount=amount, value=value, cost=(moved - value) * sign + charged)

    def _posted(self, units: int) -> int:
        return self.plan.account.posted(Fraction(units))
