"""What a fill costs: the models of fills, slippage, impact and fees are asked, in this sequence.

Each answer is a float and is rounded once, half to even: prices and adjustments to the price step of the
instrument, a fee to the posting quantum. The price of the fill is the sum of the rounded parts

    price = reference + side x (spread + slippage + impact)

which is why the parts always add up to it. The impact is what the model calls temporary, and what earlier
fills have left: the displacement for a buy, its negative for a sell.
"""

from __future__ import annotations

import enum
import math
from fractions import Fraction
from typing import Any

import attrs

from ml4t.core.models import FeeArgs, FillArgs, FillOut, ImpactArgs, LatencyArgs, SlippageArgs
from ml4t.core.policies import LimitSlippage, Policies
from ml4t.reference.asking import asked_for, digits, refuse
from ml4t.reference.events import number_text
from ml4t.reference.matching import Bar, Offer, Quote, Trade
from ml4t.reference.numbers import (
    CASH_UNIT,
    LARGEST_CASH,
    LARGEST_STEP,
    cash_float,
    half_even,
    plain_text,
    units_of_float,
)
from ml4t.reference.orders import Fill, Order
from ml4t.reference.past import Past, observed
from ml4t.reference.plan import Instrument, Plan
from ml4t.reference.queueing import known_ahead
from ml4t.reference.timestamp import text_of

__all__ = ["Costs", "Execution", "Meeting", "Parts", "Passed", "Shown", "Slice", "delay_of"]

NAN = math.nan


class Passed(enum.Enum):
    """Why an order takes nothing of an offer."""

    FOR_WANT = "the models leave less than a lot, or less than all of an order that trades as a whole"
    REFUSED = "the fill model takes no order of that size"
    BY_COSTS = "its costs would take it beyond its limit"


@attrs.frozen(kw_only=True)
class Slice:
    """What the fill model lets trade at one price, before costs."""

    reference: int
    quantity: int
    liquidity: str


@attrs.frozen(kw_only=True)
class Parts:
    """By how much a price is worse than its reference, per unit; `permanent_impact` is a part of `impact`."""

    spread: int = 0
    slippage: int = 0
    impact: int = 0
    permanent_impact: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.spread + self.slippage + self.impact

    def within(self, room: int) -> Parts:
        """Cut what exceeds a room: first the impact, the temporary part of it before the permanent one."""
        excess = max(self.total - room, 0)
        cuts = []
        for part in (self.impact, self.slippage, self.spread):
            cuts.append(min(max(part, 0), excess))
            excess -= cuts[-1]
        impact = self.impact - cuts[0]
        permanent_impact = min(self.permanent_impact, impact) if cuts[0] else self.permanent_impact
        return Parts(
            spread=self.spread - cuts[2],
            slippage=self.slippage - cuts[1],
            impact=impact,
            permanent_impact=permanent_impact,
        )


@attrs.frozen(kw_only=True)
class Execution:
    """What would be done: a quantity, a price and its parts, and what it moves later prices by."""

    quantity: int
    reference: int
    parts: Parts
    permanent: int
    price: int
    fee: int
    liquidity: str


@attrs.frozen(kw_only=True)
class Meeting:
    """An order and what it is offered: what every model is asked about."""

    order: Order
    offer: Offer
    shown: Shown
    used: int  #: units that earlier orders took from the same data
    now: int


@attrs.frozen(kw_only=True)
class Shown:
    """What the models are shown of the market: fields by their names, NaN where nothing is known."""

    fill: dict[str, float]
    slippage: dict[str, float]
    impact: dict[str, float]
    phase: str  #: of a quote or print its own, also at the close of a session; empty for bars

    @classmethod
    def of(cls, data: Bar | Quote | Trade, *, open_only: bool) -> Shown:
        """Show a piece of data; at the open of a bar only its open, unless a model needs its volume.

        The volume of a quote is the size at the far side, that of a print its size.
        """
        values = data.values
        if isinstance(data, Bar):
            names = ("open",) if open_only else ("open", "high", "low", "close", "volume")
            fields = {name: values.get(name, NAN) for name in names}
            return cls(fill=fields, slippage=fields, impact=fields, phase="")
        if isinstance(data, Quote):
            fields = {"bid": values["bid_price"], "ask": values["ask_price"]}
            sizes = {name: values.get(name, NAN) for name in ("bid_size", "ask_size")}
            both = fields | sizes
            return cls(fill=both, slippage=both, impact=both, phase="quote")
        size = values.get("size", NAN)
        volume = {"volume": size}
        return cls(
            fill={"close": values["price"], "size": size}, slippage=volume, impact=volume, phase="trade"
        )

    def with_sessions(
        self, *, fill: dict[str, float], slippage: dict[str, float], impact: dict[str, float]
    ) -> Shown:
        """Show models what is known of sessions before, and the fill model what was taken in this one."""
        return attrs.evolve(
            self, fill=self.fill | fill, slippage=self.slippage | slippage, impact=self.impact | impact
        )


@attrs.define
class Costs:
    """Asks the models of a run, and tells them of fills."""

    plan: Plan
    past: Past = attrs.field(factory=Past)

    @property
    def policies(self) -> Policies:
        """Policies of the run."""
        return self.plan.policies

    def slices(self, meeting: Meeting, *, most: int, is_one_fill: bool) -> tuple[list[Slice], bool] | Passed:
        """Ask the fill model what an order would do with an offer: at one price, or in slices at several.

        Parameters
        ----------
        most : int
            Units of the order that may fill here.
        is_one_fill : bool
            Whether the order trades as a whole or not at all: then slices become one, at their average price.

        Returns
        -------
        tuple or Passed
            The slices, and whether more were offered beyond the limit of the order.
        """
        order, offer, instrument = meeting.order, meeting.offer, meeting.order.instrument
        ahead = known_ahead(order)
        args = FillArgs(
            order_id=order.id,
            queue_ahead=NAN if ahead is None else instrument.quantity(ahead),
            ts_ns=meeting.now,
            side=order.sign,
            order_type="limit" if offer.is_limit else "market",
            phase=meeting.shown.phase or offer.phase,
            limit_price=_price(instrument, order.limit_price),
            stop_price=_price(instrument, order.stop_price),
            leaves_quantity=instrument.quantity(most),
            price=instrument.price(offer.price),
            liquidity=offer.liquidity,
            volume_used=instrument.quantity(meeting.used),
            lot_size=instrument.quantity(instrument.lot),
            tick_size=instrument.price(instrument.tick),
            **meeting.shown.fill,
        )
        found: list[Slice] = []
        with asked_for(self.plan.models.fill, order, meeting.now):
            answer = self.plan.models.fill.evaluate(args)
            outs = answer if isinstance(answer, tuple) else (answer,)
            if any(out.rejects for out in outs):
                return Passed.REFUSED
            left, is_cut = most, False
            for out in outs:
                units = _units(out, offer, instrument, left)
                if units and (worse := _beyond_limit(out, order, offer)):
                    if not found:
                        refuse(worse)
                    is_cut = True
                    break
                if units:
                    found.append(
                        Slice(
                            reference=_price_units(out, offer, instrument),
                            quantity=units,
                            liquidity=out.liquidity,
                        )
                    )
                left -= units
        if not found:
            return Passed.FOR_WANT
        return ([_merged(found)] if is_one_fill else found), is_cut

    def quote(self, meeting: Meeting, slice_: Slice, *, least: int) -> Execution | Passed:
        """Ask what a slice would cost: slippage once, and again for what a cap leaves; impact; the fee.

        Less than `least` units are no fill.
        """
        order, instrument = meeting.order, meeting.order.instrument
        quantity = slice_.quantity
        adjustment, spread, cap = self._ask_slippage(meeting, slice_.reference, quantity)
        if cap < instrument.quantity(quantity):
            quantity = min(_whole_lots(max(cap, 0.0), instrument), quantity)
            if quantity == 0:
                return Passed.FOR_WANT
            adjustment, spread, _ = self._ask_slippage(meeting, slice_.reference, quantity)
        if quantity < least:
            return Passed.FOR_WANT
        temporary, permanent = self._ask_impact(meeting, slice_.reference, quantity)
        exponent = instrument.price_exponent
        left = order.sign * self.past.displacement(instrument) if self.plan.models.impact is not None else 0
        asked = Parts(
            spread=units_of_float(spread, exponent),
            slippage=units_of_float(adjustment, exponent),
            impact=units_of_float(temporary, exponent) + left,
            permanent_impact=left,
        )
        parts = self._within_limit(meeting, slice_.reference, asked)
        if isinstance(parts, Passed):
            return parts
        self._refuse_negative(meeting, slice_.reference, parts)
        price = slice_.reference + order.sign * parts.total
        return Execution(
            quantity=quantity,
            reference=slice_.reference,
            parts=parts,
            permanent=units_of_float(permanent, exponent),
            price=price,
            fee=self._fee(order, quantity, price, slice_.liquidity, meeting.now),
            liquidity=slice_.liquidity,
        )

    def part(self, order: Order, whole: Execution, quantity: int, now: int) -> Execution:
        """Return a smaller part of what would be done, at the same price, with its own fee."""
        fee = self._fee(order, quantity, whole.price, whole.liquidity, now)
        return attrs.evolve(whole, quantity=quantity, fee=fee)

    def tell(self, fill: Fill) -> None:
        """Count a fill that was booked, and tell the models that want to know."""
        currency = fill.order.instrument.currency
        self.past.add(fill, self.plan.currencies.to_base(fill.notional, currency, fill.ts))
        for model in self.plan.models.all:
            observe = getattr(model, "observe", None)
            if observe is not None:
                with asked_for(model, fill.order, fill.ts, "told of a fill: "):
                    observe(observed(fill))

    def refusal_text(self, order: Order, asked: int, now: int) -> str:
        """Return the sentence for an order that the fill model refuses."""
        instrument = order.instrument
        quantity = plain_text(asked, instrument.quantity_exponent)
        where = f"({instrument.symbol}, {text_of(now)})"
        return f"the fill model takes no order of {quantity} {where}"

    def _within_limit(self, meeting: Meeting, reference: int, parts: Parts) -> Parts | Passed:
        """Apply `limit_slippage`: limits lose nothing, up to their price, do not fill, or lose all of it."""
        order, offer = meeting.order, meeting.offer
        if not offer.is_limit or self.policies.limit_slippage is LimitSlippage.FULL:
            return parts
        if self.policies.limit_slippage is LimitSlippage.NONE or offer.liquidity == "maker":
            return Parts()
        assert order.limit_price is not None
        room = int((order.limit_price - reference) * order.sign)
        if self.policies.limit_slippage is LimitSlippage.REFUSE and parts.total > room:
            return Passed.BY_COSTS
        return parts.within(max(room, 0))

    def _ask_slippage(self, meeting: Meeting, reference: int, quantity: int) -> tuple[float, float, float]:
        model, instrument = self.plan.models.slippage, meeting.order.instrument
        fields = _market(meeting, reference, quantity, meeting.shown.slippage)
        with asked_for(model, meeting.order, meeting.now):
            out = model.evaluate(SlippageArgs(**fields))
            adjustment, spread, cap = float(out.price_adjustment), float(out.spread), float(out.quantity_cap)
            if not (_is_price(adjustment, instrument) and _is_price(spread, instrument)):
                refuse(f"adjustment {digits(adjustment)} and spread {digits(spread)} must be {_RANGE}")
            if math.isnan(cap):
                refuse(f"quantity cap {number_text(cap)} is not a number")
        return adjustment, spread, cap

    def _ask_impact(self, meeting: Meeting, reference: int, quantity: int) -> tuple[float, float]:
        """Return the temporary and the permanent part; nothing without a model."""
        model, order = self.plan.models.impact, meeting.order
        if model is None:
            return 0.0, 0.0
        instrument = order.instrument
        fields = _market(meeting, reference, quantity, meeting.shown.impact)
        args = ImpactArgs(
            asset=instrument.index,
            order_quantity=instrument.quantity(order.quantity),
            order_filled_quantity=instrument.quantity(order.filled),
            displacement=instrument.price(self.past.displacement(instrument)),
            **fields,
        )
        with asked_for(model, order, meeting.now):
            out = model.evaluate(args)
            temporary, permanent = float(out.temporary), float(out.permanent)
            if not (_is_price(temporary, instrument) and _is_price(permanent, instrument)):
                refuse(f"temporary {digits(temporary)} and permanent {digits(permanent)} must be {_RANGE}")
        return temporary, permanent

    def _refuse_negative(self, meeting: Meeting, reference: int, parts: Parts) -> None:
        """Refuse costs that take a price to zero or below: the market may go there, a model may not.

        Where spread and slippage do not do so by themselves it is the impact model.
        """
        models, order = self.plan.models, meeting.order
        price = reference + order.sign * parts.total
        if reference <= 0 or price > 0:
            return
        is_slipped = reference + order.sign * (parts.spread + parts.slippage) <= 0
        exponent = order.instrument.price_exponent
        worse, before, after = (plain_text(units, exponent) for units in (parts.total, reference, price))
        with asked_for(models.slippage if is_slipped else models.impact, order, meeting.now):
            refuse(
                f"costs of {worse} per unit would take the price from {before} to {after}; "
                "a price above zero must stay above zero"
            )

    def _fee(self, order: Order, quantity: int, price: int, liquidity: str, now: int) -> int:
        instrument = order.instrument
        month_quantity, month_notional = self.past.of_month(now)
        args = FeeArgs(
            ts_ns=now,
            side=order.sign,
            quantity=instrument.quantity(quantity),
            price=instrument.price(price),
            multiplier=float(instrument.multiplier),
            notional=cash_float(abs(instrument.cash(price, quantity))),
            liquidity=liquidity,
            order_filled_quantity=instrument.quantity(order.filled),
            order_notional=cash_float(abs(order.filled_notional)),
            order_fees=cash_float(order.fees),
            month_quantity=month_quantity,
            month_notional=month_notional,
        )
        with asked_for(self.plan.models.fee, order, now):
            fee = float(self.plan.models.fee.evaluate(args).fee)
            if not math.isfinite(fee):
                refuse(f"fee {number_text(fee)} must be finite")
            units = self.plan.account.posted(Fraction(fee) * CASH_UNIT)
            units += self._liquidation_fee(order, quantity, price)
            if abs(units) > LARGEST_CASH:
                refuse(f"fee {digits(fee)} leaves the range of money")
        return units

    def _liquidation_fee(self, order: Order, quantity: int, price: int) -> int:
        """Return what an order that liquidates at a price costs beside the fee: a part of the value."""
        if not order.liquidates:
            return 0
        value = cash_float(abs(order.instrument.cash(price, quantity)))
        return self.plan.account.posted(Fraction(float(self.plan.margin.liquidation_fee) * value) * CASH_UNIT)


def delay_of(model: Any, order: Order, args: LatencyArgs) -> int:  # noqa: ANN401 - a model of any class
    """Ask a latency model how many whole nanoseconds a message about an order is under way."""
    with asked_for(model, order, args.ts_ns):
        delay = float(model.evaluate(args).delay_ns)
        if not 0 <= delay < 2**63:
            refuse(f"delay_ns {number_text(delay)}; it must be 0 or more, and within 64 bits")
        return int(delay)


# What numbers of models have to be, in words.
_RANGE = "finite and within the instrument's range"


def _units(out: FillOut, offer: Offer, instrument: Instrument, left: int) -> int:
    """Return the whole lots of an answer of a fill model, of what is `left` to fill; it has to make sense."""
    price, quantity = float(out.price), float(out.quantity)
    if math.isnan(price) and not quantity > 0:
        return 0
    if not (_is_price(price, instrument) and math.isfinite(quantity)):
        refuse(f"price {digits(price)} and quantity {digits(quantity)} must be {_RANGE}")
    units = left if quantity == instrument.quantity(left) else _whole_lots(quantity, instrument)
    if not 0 <= units <= left:
        refuse(f"quantity {number_text(quantity)} of {number_text(instrument.quantity(left))} open")
    if offer.price > 0 and units_of_float(price, instrument.price_exponent) <= 0:
        market = number_text(instrument.price(offer.price))
        refuse(f"price {number_text(price)} where the market's is {market}; it must be above zero")
    if out.liquidity not in ("maker", "taker"):
        refuse(f"liquidity {out.liquidity!r} is neither maker nor taker")
    return units


def _price_units(out: FillOut, offer: Offer, instrument: Instrument) -> int:
    """Return the price of a slice; one that answers with what it was given means just that."""
    price = float(out.price)
    is_same = price == instrument.price(offer.price)
    return offer.price if is_same else units_of_float(price, instrument.price_exponent)


def _beyond_limit(out: FillOut, order: Order, offer: Offer) -> str:
    """Say that the price of a slice is worse than the limit of the order; nothing where it is not."""
    instrument, limit = order.instrument, order.limit_price
    if not offer.is_limit or limit is None:
        return ""
    if (_price_units(out, offer, instrument) - limit) * order.sign <= 0:
        return ""
    price = number_text(float(out.price))
    return f"price {price} is worse than the limit {number_text(instrument.price(limit))}"


def _merged(slices: list[Slice]) -> Slice:
    """Return one fill for slices, at their average price; it makes or takes like the first of them."""
    quantity = sum(each.quantity for each in slices)
    value = sum(each.reference * each.quantity for each in slices)
    average = half_even(Fraction(value, quantity))
    return Slice(reference=average, quantity=quantity, liquidity=slices[0].liquidity)


def _market(meeting: Meeting, reference: int, quantity: int, shown: dict[str, float]) -> dict[str, Any]:
    """Return what slippage and impact models are both asked with; of a quote the volume is the far side."""
    order, instrument = meeting.order, meeting.order.instrument
    fields = dict(shown)
    if "bid_size" in fields:
        sizes = {1: fields.pop("ask_size"), -1: fields.pop("bid_size")}
        fields["volume"] = sizes[order.sign]
    return {
        "ts_ns": meeting.now,
        "side": order.sign,
        "quantity": instrument.quantity(quantity),
        "reference_price": instrument.price(reference),
        "phase": meeting.shown.phase or meeting.offer.phase,
        "volume_used": instrument.quantity(meeting.used),
        "tick_size": instrument.price(instrument.tick),
        "lot_size": instrument.quantity(instrument.lot),
        "multiplier": float(instrument.multiplier),
        **fields,
    }


def _is_price(value: float, instrument: Instrument) -> bool:
    """Say whether 64 bits hold an answer as a price."""
    return math.isfinite(value) and abs(units_of_float(value, instrument.price_exponent)) <= LARGEST_STEP


def _price(instrument: Instrument, units: Fraction | None) -> float:
    return NAN if units is None else instrument.price(units)


def _whole_lots(quantity: float, instrument: Instrument) -> int:
    """Round a quantity of a model down to whole lots.

    The float nearest to a number of units stands for that number, also where it lies a little below.
    """
    units = units_of_float(quantity, instrument.quantity_exponent)
    if instrument.quantity(units) > quantity:
        units -= 1
    return units // instrument.lot * instrument.lot
