"""The checks that an order must pass before it works. The first one that fails is the reason."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from ml4t.core.config import Policies, TickRounding
from ml4t.core.values import decimal_text
from ml4t.reference.account import Account
from ml4t.reference.numbers import down, is_multiple, up
from ml4t.reference.orders import REASONS, Order


@frozen(kw_only=True)
class Refusal:
    """Why an order is refused: a code of `REASONS` and a sentence."""

    code: str
    sentence: str

    @classmethod
    def of(cls, code: str, detail: str = "") -> Refusal:
        """Write a refusal, with the numbers that decided where they are known."""
        return cls(code=code, sentence=detail or REASONS[code])


def first_refusal(
    order: Order, account: Account, working: Sequence[Order], policies: Policies, *, is_warm: bool
) -> Refusal | None:
    """Return why an order cannot be accepted, or None. Moves prices to the tick where the policy says so."""
    if not is_warm:
        return Refusal.of("WARM_UP")
    if order.terms.matching < 0:
        return Refusal.of("NO_MARKET_DATA")
    return _price_refusal(order, policies) or _size_refusal(order, account, working)


def _price_refusal(order: Order, policies: Policies) -> Refusal | None:
    tick = order.terms.tick
    for name in ("limit_price", "stop_price"):
        price = getattr(order, name)
        if price is None:
            continue
        if not is_multiple(price, tick):
            if policies.tick_rounding is TickRounding.REJECT:
                return Refusal.of("OFF_TICK")
            # To the side that is worse for a fill: a limit away from the market, a stop farther from it.
            lower = (order.sign > 0) == (name == "limit_price")
            setattr(order, name, down(price, tick) if lower else up(price, tick))
    if not is_multiple(order.quantity, order.terms.lot):
        return Refusal.of("OFF_LOT")
    for price in (order.limit_price, order.stop_price):
        if price is not None and price <= 0 and not order.terms.allows_negative_prices:
            return Refusal.of("PRICE_NOT_POSITIVE")
    return None


def _size_refusal(order: Order, account: Account, working: Sequence[Order]) -> Refusal | None:
    same = [each for each in working if each.terms.id == order.terms.id]
    held = account.holdings[order.terms.id].quantity
    if order.sign < 0 and not account.allows_short:
        bought = sum(each.leaves for each in same if each.sign > 0)
        if order.leaves > held + bought:
            return Refusal.of("SHORT_NOT_ALLOWED")
    expected = held + sum(each.sign * each.leaves for each in same if each.acts_as_market)
    need = account.need(order, expected)
    if need > 0 and need > account.buying_power(working):
        return Refusal.of("INSUFFICIENT_BUYING_POWER")
    return None


