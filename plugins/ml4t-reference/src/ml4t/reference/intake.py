"""The checks that an order must pass before it works. The first one that fails is the reason."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from ml4t.core.config import InsufficientCash, Policies
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


def round_passively(order: Order) -> None:
    """Move prices off the tick to the side that is worse for a fill: limits away from the market, stops as well."""
    tick = order.terms.tick
    if order.limit_price is not None:
        order.limit_price = down(order.limit_price, tick) if order.sign > 0 else up(order.limit_price, tick)
    if order.stop_price is not None:
        order.stop_price = up(order.stop_price, tick) if order.sign > 0 else down(order.stop_price, tick)


def order_refusal(order: Order, *, is_warm: bool) -> Refusal | None:
    """Return what is wrong with an order whatever the account holds, or None."""
    prices = [price for price in (order.limit_price, order.stop_price) if price is not None]
    if not is_warm:
        return Refusal.of("WARM_UP")
    if order.terms.matching < 0:
        return Refusal.of("NO_MARKET_DATA")
    if not all(is_multiple(price, order.terms.tick) for price in prices):
        return Refusal.of("OFF_TICK")
    if not is_multiple(order.quantity, order.terms.lot):
        return Refusal.of("OFF_LOT")
    if min(prices, default=1) <= 0 and not order.terms.allows_negative_prices:
        return Refusal.of("PRICE_NOT_POSITIVE")
    return None


def account_refusal(
    order: Order, account: Account, working: Sequence[Order], policies: Policies
) -> Refusal | None:
    """Return why the account cannot carry an order beside those that work already, or None.

    Buying power decides only where a fill that cannot be paid is refused as well: an order that may fill in part, or
    wait, is let in.
    """
    same = [each for each in working if each.terms.id == order.terms.id]
    held = account.holdings[order.terms.id].quantity
    if order.sign < 0 and not account.allows_short:
        bought = sum(each.leaves for each in same if each.sign > 0)
        if order.leaves > held + bought:
            return Refusal.of("SHORT_NOT_ALLOWED")
    order.expected_price = account.expected_price(order)
    if policies.insufficient_cash is not InsufficientCash.REJECT:
        return None
    need = account.need(order)
    if need > 0 and need > account.buying_power(working):
        return Refusal.of("INSUFFICIENT_BUYING_POWER")
    return None


