"""The checks that an order must pass before it works. The first one that fails is the reason."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from ml4t.core.config import Policies, TickRounding
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


def order_refusal(order: Order, policies: Policies, *, is_warm: bool) -> Refusal | None:
    """Return what is wrong with an order whatever the account holds, or None.

    Prices off the tick are moved where the policy says so.
    """
    if not is_warm:
        return Refusal.of("WARM_UP")
    if order.terms.matching < 0:
        return Refusal.of("NO_MARKET_DATA")
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


def account_refusal(order: Order, account: Account, working: Sequence[Order]) -> Refusal | None:
    """Return why the account cannot carry an order beside those that work already, or None."""
    same = [each for each in working if each.terms.id == order.terms.id]
    held = account.holdings[order.terms.id].quantity
    if order.sign < 0 and not account.allows_short:
        bought = sum(each.leaves for each in same if each.sign > 0)
        if order.leaves > held + bought:
            return Refusal.of("SHORT_NOT_ALLOWED")
    order.expected_price = account.expected_price(order)
    need = account.need(order)
    if need > 0 and need > account.buying_power(working):
        return Refusal.of("INSUFFICIENT_BUYING_POWER")
    return None


