"""From an offer to a priced fill: the fill model, the slippage model, the fee model, each asked in turn.

Every number a model answers is rounded once: prices to the step of the instrument, fees to the posting quantum,
both half to even; quantities towards zero to the lot.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import attrs

from ml4t.core.config import LimitSlippage, Policies
from ml4t.core.errors import Ml4tError, ModelError
from ml4t.core.models import FeeArgs, FillArgs, FillOut, SlippageArgs, SlippageOut
from ml4t.core.types import DataKind
from ml4t.core.values import format_ns
from ml4t.reference.market import NAN, Row
from ml4t.reference.matching import Offer, allows
from ml4t.reference.numbers import ZERO, from_model, toward_zero
from ml4t.reference.orders import Order

RANGE_FIELDS = ("high", "low", "close")


@attrs.frozen(kw_only=True)
class Proposal:
    """What a fill would be, before the account is asked.

    Prices and parts are per unit; a part above zero hurts. `price = reference + sign x (spread + slippage)`.
    """

    quantity: Fraction
    reference: Fraction
    spread: Fraction
    slippage: Fraction
    price: Fraction
    fee: Fraction
    liquidity: str


@attrs.frozen(kw_only=True)
class Models:
    """The models of a run, asked through their Python method `evaluate`."""

    fill: Any
    slippage: Any
    fee: Any
    policies: Policies
    posting_quantum: Fraction

    @property
    def needs_volume(self) -> bool:
        """Whether a fill at an open depends on the volume of the bar, and so is booked when that is known."""
        return any(getattr(model, "needs_volume", False) for model in (self.fill, self.slippage, self.fee))

    def propose(self, order: Order, offer: Offer, row: Row, now: int) -> Proposal | None:
        """Return the fill that the models make of an offer, or None where they make none."""
        out: FillOut = self._ask("fill", self.fill, self._fill_args(order, offer, row, now), order, now)
        if math.isnan(out.price):
            return None
        reference = from_model(out.price, order.terms.price_step, "the price of the fill model")
        # A model that answers the whole quantity means it, though a float may hold it inexactly.
        whole = out.quantity >= float(order.leaves)
        quantity = order.leaves if whole else _lots(out.quantity, order)
        if quantity <= 0:
            return None
        priced = attrs.evolve(offer, price=reference, is_maker=out.liquidity == "maker")
        return self.priced(order, priced, row, quantity, now)

    def priced(self, order: Order, offer: Offer, row: Row, quantity: Fraction, now: int) -> Proposal | None:
        """Return the fill of a quantity at the price of an offer, cut to what the slippage model allows."""
        out = self._slippage(order, offer, row, quantity, now)
        if float(quantity) > out.quantity_cap:
            quantity = _lots(out.quantity_cap, order)
            if quantity <= 0:
                return None
            out = self._slippage(order, offer, row, quantity, now)
        spread = from_model(out.spread, order.terms.price_step, "the spread")
        slippage = from_model(out.price_adjustment, order.terms.price_step, "the slippage")
        parts = self._limited(order, offer, spread, slippage)
        if parts is None:
            return None
        spread, slippage = parts
        price = offer.price + order.sign * (spread + slippage)
        liquidity = "maker" if offer.is_maker else "taker"
        return Proposal(
            quantity=quantity,
            reference=offer.price,
            spread=spread,
            slippage=slippage,
            price=price,
            fee=self._fee(order, quantity, price, liquidity, now),
            liquidity=liquidity,
        )

    def _limited(
        self, order: Order, offer: Offer, spread: Fraction, slippage: Fraction
    ) -> tuple[Fraction, Fraction] | None:
        """Apply `limit_slippage`: a limit loses nothing, up to its price, or does not trade."""
        if order.acts_as_market:
            return spread, slippage
        policy = self.policies.limit_slippage
        if policy is LimitSlippage.NONE or offer.is_maker:
            return ZERO, ZERO
        if allows(order, offer.price + order.sign * (spread + slippage)):
            return spread, slippage
        if policy is LimitSlippage.REFUSE:
            return None
        assert order.limit_price is not None
        room = order.sign * (order.limit_price - offer.price)
        spread = min(spread, room)
        return spread, min(slippage, room - spread)

    def _slippage(self, order: Order, offer: Offer, row: Row, quantity: Fraction, now: int) -> SlippageOut:
        shown = _shown(row, offer, now)
        args = SlippageArgs(
            ts_ns=now,
            side=order.sign,
            quantity=float(quantity),
            reference_price=float(offer.price),
            phase=offer.phase,
            open=shown.get("open", NAN),
            high=shown.get("high", NAN),
            low=shown.get("low", NAN),
            close=shown.get("close", NAN),
            volume=_volume(row, offer, order, now),
            bid=shown.get("bid_price", NAN),
            ask=shown.get("ask_price", NAN),
            volume_used=float(row.used),
            tick_size=float(order.terms.tick),
            lot_size=float(order.terms.lot),
            multiplier=float(order.terms.multiplier),
        )
        answer: SlippageOut = self._ask("slippage", self.slippage, args, order, now)
        return answer

    def _fee(self, order: Order, quantity: Fraction, price: Fraction, liquidity: str, now: int) -> Fraction:
        args = FeeArgs(
            ts_ns=now,
            side=order.sign,
            quantity=float(quantity),
            price=float(price),
            multiplier=float(order.terms.multiplier),
            notional=float(order.terms.value(quantity, abs(price))),
            liquidity=liquidity,
            order_filled_quantity=float(order.filled),
            order_notional=float(order.notional),
            order_fees=float(order.fees),
        )
        return from_model(self._ask("fee", self.fee, args, order, now).fee, self.posting_quantum, "the fee")

    def _fill_args(self, order: Order, offer: Offer, row: Row, now: int) -> FillArgs:
        shown = _shown(row, offer, now)
        return FillArgs(
            ts_ns=now,
            side=order.sign,
            order_type="market" if order.acts_as_market else "limit",
            phase=offer.phase,
            limit_price=_float(order.limit_price),
            stop_price=_float(order.stop_price),
            leaves_quantity=float(order.leaves),
            bid=shown.get("bid_price", NAN),
            ask=shown.get("ask_price", NAN),
            bid_size=shown.get("bid_size", NAN),
            ask_size=shown.get("ask_size", NAN),
            open=shown.get("open", NAN),
            high=shown.get("high", NAN),
            low=shown.get("low", NAN),
            close=shown.get("close", NAN),
            volume=shown.get("volume", NAN),
            price=float(offer.price),
            liquidity="maker" if offer.is_maker else "taker",
            size=shown.get("size", NAN),
            volume_used=float(row.used),
            lot_size=float(order.terms.lot),
            tick_size=float(order.terms.tick),
        )

    def _ask(self, kind: str, model: Any, args: object, order: Order, now: int) -> Any:  # noqa: ANN401
        try:
            return model.evaluate(args)
        except Ml4tError as error:
            where = f"order {order.id} of {order.terms.symbol} at {format_ns(now)}"
            msg = f"{kind} model {type(model).__name__} failed on {where}: {error}"
            raise ModelError(msg) from error


def _lots(quantity: float, order: Order) -> Fraction:
    """Return what whole lots there are in a quantity, at most what the order has left."""
    return min(toward_zero(Fraction(quantity), order.terms.lot), order.leaves)


def _float(value: Fraction | None) -> float:
    return NAN if value is None else float(value)


def _shown(row: Row, offer: Offer, now: int) -> dict[str, float]:
    """Return what a model may see: of a bar priced at its open no range, and the volume once it is known."""
    if offer.phase != "open":
        return dict(row.values)
    hidden = RANGE_FIELDS if now >= row.ts_event else (*RANGE_FIELDS, "volume")
    return {name: value for name, value in row.values.items() if name not in hidden}


def _volume(row: Row, offer: Offer, order: Order, now: int) -> float:
    """Return the volume of a bar, the size of a print, or the size on the side of a quote that is taken."""
    shown = _shown(row, offer, now)
    if row.kind is DataKind.QUOTE:
        return shown.get("ask_size" if order.sign > 0 else "bid_size", NAN)
    return shown.get("volume" if row.kind is DataKind.BAR else "size", NAN)
