"""What a fill costs: the fill model, the slippage model and the fee model are asked, in this sequence.

Each answer is a float and is rounded once, half to even: prices and adjustments to the price step of the
instrument, a fee to the posting quantum. The price of the fill is the sum of the rounded parts

    price = reference + side x (spread + slippage)

which is why the parts always add up to it.
"""

from __future__ import annotations

import contextlib
import enum
import math
from collections.abc import Iterator
from fractions import Fraction

import attrs

from ml4t.core.errors import ModelError
from ml4t.core.models import FeeArgs, FillArgs, SlippageArgs
from ml4t.core.policies import LimitSlippage, Policies
from ml4t.reference.events import number_text
from ml4t.reference.matching import Bar, Offer, Quote, Trade
from ml4t.reference.numbers import (
    LARGEST_CASH,
    LARGEST_STEP,
    cash_float,
    half_even,
    plain_text,
    units_of_float,
)
from ml4t.reference.orders import Order
from ml4t.reference.plan import Instrument, Plan
from ml4t.reference.timestamp import text_of

__all__ = ["Costs", "Execution", "Passed", "Shown"]

NAN = math.nan


class Passed(enum.Enum):
    """Why an order takes nothing of an offer."""

    BY_FILL_MODEL = "the fill model lets the data pass, or leaves less than a lot"
    REFUSED = "the fill model takes no order of that size"
    BY_SLIPPAGE = "slippage would take it beyond its limit, or the cap of the slippage model leaves nothing"


@attrs.frozen(kw_only=True)
class Execution:
    """What would be done: a quantity, and a price in its parts."""

    quantity: int
    reference: int
    spread: int
    slippage: int
    price: int
    fee: int
    liquidity: str


@attrs.frozen(kw_only=True)
class Shown:
    """What the models are shown of the market: fields by their names, NaN where nothing is known."""

    fill: dict[str, float]
    slippage: dict[str, float]
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
            return cls(fill=fields, slippage=fields, phase="")
        if isinstance(data, Quote):
            fields = {"bid": values["bid_price"], "ask": values["ask_price"]}
            sizes = {name: values.get(name, NAN) for name in ("bid_size", "ask_size")}
            return cls(fill=fields | sizes, slippage=fields | sizes, phase="quote")
        size = values.get("size", NAN)
        return cls(fill={"size": size}, slippage={"volume": size}, phase="trade")

    def with_sessions(self, fields: dict[str, float]) -> Shown:
        """Show the fill model an average of sessions, and what was taken in the present one."""
        return attrs.evolve(self, fill=self.fill | fields)


@attrs.define
class Costs:
    """Asks the models of a run."""

    plan: Plan

    @property
    def policies(self) -> Policies:
        """Policies of the run."""
        return self.plan.policies

    def quote(
        self, order: Order, offer: Offer, shown: Shown, used: int, now: int, *, most: int
    ) -> Execution | Passed:
        """Ask what an order would do with an offer.

        Parameters
        ----------
        used : int
            Units that earlier orders took from the same data.
        most : int
            Units of the order that may fill here.
        """
        answer = self._fill(order, offer, shown, used, now, most=most)
        if isinstance(answer, Passed):
            return answer
        reference, quantity, liquidity = answer
        costs = self._slippage(order, offer, shown, used, now, reference=reference, quantity=quantity)
        if isinstance(costs, Passed):
            return costs
        quantity, spread, slippage = costs
        price = reference + order.sign * (spread + slippage)
        fee = self._fee(order, quantity, price, liquidity, now)
        return Execution(
            quantity=quantity,
            reference=reference,
            spread=spread,
            slippage=slippage,
            price=price,
            fee=fee,
            liquidity=liquidity,
        )

    def part(self, order: Order, whole: Execution, quantity: int, now: int) -> Execution:
        """Return a smaller part of what would be done, at the same price, with its own fee."""
        fee = self._fee(order, quantity, whole.price, whole.liquidity, now)
        return attrs.evolve(whole, quantity=quantity, fee=fee)

    def refusal_text(self, order: Order, asked: int, now: int) -> str:
        """Return the sentence for an order that the fill model refuses."""
        instrument = order.instrument
        quantity = plain_text(asked, instrument.quantity_exponent)
        where = f"({instrument.symbol}, {text_of(now)})"
        return f"the fill model takes no order of {quantity} {where}"

    def _fill(
        self, order: Order, offer: Offer, shown: Shown, used: int, now: int, *, most: int
    ) -> tuple[int, int, str] | Passed:
        instrument = order.instrument
        args = FillArgs(
            ts_ns=now,
            side=order.sign,
            order_type="limit" if offer.is_limit else "market",
            phase=shown.phase or offer.phase,
            limit_price=_price(instrument, order.limit_price),
            stop_price=_price(instrument, order.stop_price),
            leaves_quantity=instrument.quantity(most),
            price=instrument.price(offer.price),
            liquidity=offer.liquidity,
            volume_used=instrument.quantity(used),
            lot_size=instrument.quantity(instrument.lot),
            tick_size=instrument.price(instrument.tick),
            **shown.fill,
        )
        with _asked(self.plan.models.fill, order, now):
            out = self.plan.models.fill.evaluate(args)
            if out.rejects:
                return Passed.REFUSED
            price, quantity, liquidity = float(out.price), float(out.quantity), out.liquidity
            if math.isnan(price):
                return Passed.BY_FILL_MODEL
            if not (_is_price(price, instrument) and math.isfinite(quantity)):
                _refuse(f"price {_digits(price)} and quantity {_digits(quantity)} must be finite")
            if quantity < 0 or quantity > args.leaves_quantity:
                _refuse(f"quantity {number_text(quantity)} of {number_text(args.leaves_quantity)} open")
            if offer.price > 0 and units_of_float(price, instrument.price_exponent) <= 0:
                market = number_text(args.price)
                _refuse(f"price {number_text(price)} where the market's is {market}; it must be above zero")
            if liquidity not in ("maker", "taker"):
                _refuse(f"liquidity {liquidity!r} is neither maker nor taker")
        units = _whole_lots(quantity, instrument, most)
        if units == 0:
            return Passed.BY_FILL_MODEL
        return units_of_float(price, instrument.price_exponent), units, liquidity

    def _slippage(  # noqa: PLR0913 - the parts of the question
        self, order: Order, offer: Offer, shown: Shown, used: int, now: int, *, reference: int, quantity: int
    ) -> tuple[int, int, int] | Passed:
        """Ask once, and again for what a cap leaves; the answer is quantity, spread and slippage."""
        instrument = order.instrument
        adjustment, spread, cap = self._ask_slippage(order, offer, shown, used, now, reference, quantity)
        if cap < instrument.quantity(quantity):
            quantity = _whole_lots(max(cap, 0.0), instrument, quantity)
            if quantity == 0:
                return Passed.BY_FILL_MODEL
            adjustment, spread, _ = self._ask_slippage(order, offer, shown, used, now, reference, quantity)
        exponent = instrument.price_exponent
        parts = units_of_float(spread, exponent), units_of_float(adjustment, exponent)
        costs = self._within_limit(order, offer, reference, quantity, *parts)
        if not isinstance(costs, Passed):
            with _asked(self.plan.models.slippage, order, now):
                _refuse_negative(order, reference, costs[1] + costs[2])
        return costs

    def _within_limit(
        self, order: Order, offer: Offer, reference: int, quantity: int, spread: int, slippage: int
    ) -> tuple[int, int, int] | Passed:
        """Apply `limit_slippage`: limits lose nothing, up to their price, do not fill, or lose all of it."""
        if not offer.is_limit or self.policies.limit_slippage is LimitSlippage.FULL:
            return quantity, spread, slippage
        if self.policies.limit_slippage is LimitSlippage.NONE or offer.liquidity == "maker":
            return quantity, 0, 0
        assert order.limit_price is not None
        room = int((order.limit_price - reference) * order.sign)
        if spread + slippage <= room:
            return quantity, spread, slippage
        if self.policies.limit_slippage is LimitSlippage.REFUSE:
            return Passed.BY_SLIPPAGE
        room = max(room, 0)
        spread = min(spread, room)
        return quantity, spread, min(slippage, room - spread)

    def _ask_slippage(  # noqa: PLR0913 - the parts of the question
        self, order: Order, offer: Offer, shown: Shown, used: int, now: int, reference: int, quantity: int
    ) -> tuple[float, float, float]:
        instrument = order.instrument
        fields = dict(shown.slippage)
        if "bid_size" in fields:
            fields["volume"] = fields.pop("ask_size") if order.sign > 0 else fields.pop("bid_size")
            fields.pop("ask_size", None), fields.pop("bid_size", None)
        args = SlippageArgs(
            ts_ns=now,
            side=order.sign,
            quantity=instrument.quantity(quantity),
            reference_price=instrument.price(reference),
            phase=shown.phase or offer.phase,
            volume_used=instrument.quantity(used),
            tick_size=instrument.price(instrument.tick),
            lot_size=instrument.quantity(instrument.lot),
            multiplier=float(instrument.multiplier),
            **fields,
        )
        with _asked(self.plan.models.slippage, order, now):
            out = self.plan.models.slippage.evaluate(args)
            adjustment, spread, cap = float(out.price_adjustment), float(out.spread), float(out.quantity_cap)
            if not (_is_price(adjustment, instrument) and _is_price(spread, instrument)):
                _refuse(f"adjustment {_digits(adjustment)} and spread {_digits(spread)} must be finite")
            if math.isnan(cap):
                _refuse(f"quantity cap {number_text(cap)} is not a number")
        return adjustment, spread, cap

    def _fee(self, order: Order, quantity: int, price: int, liquidity: str, now: int) -> int:
        instrument = order.instrument
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
        )
        with _asked(self.plan.models.fee, order, now):
            fee = float(self.plan.models.fee.evaluate(args).fee)
            if not math.isfinite(fee):
                _refuse(f"fee {number_text(fee)} must be finite")
            quantum = self.plan.account.posting_quantum
            units = half_even(Fraction(fee) * 10**18 / quantum) * quantum
            if abs(units) > LARGEST_CASH:
                _refuse(f"fee {_digits(fee)} leaves the range of money")
        return units


@contextlib.contextmanager
def _asked(model: object, order: Order, now: int) -> Iterator[None]:
    """While a model is asked: what it raises becomes an error naming model, instrument, order and time."""
    where = f"model {type(model).__name__}, {order.instrument.symbol}, order {order.id}, {text_of(now)}"
    try:
        yield
    except _Refused as error:
        message = f"{where}: {error}"
        raise ModelError(message) from None
    except Exception as error:
        message = f"{where}: {type(error).__name__}: {error}"
        raise ModelError(message) from error


class _Refused(Exception):
    """An answer of a model that makes no sense."""


def _refuse(text: str) -> None:
    raise _Refused(text)


def _refuse_negative(order: Order, reference: int, costs: int) -> None:
    """Refuse costs that take a price to zero or below: the market may go there, a model may not."""
    price = reference + order.sign * costs
    if reference <= 0 or price > 0:
        return
    exponent = order.instrument.price_exponent
    worse, before, after = (plain_text(units, exponent) for units in (costs, reference, price))
    _refuse(
        f"costs of {worse} per unit would take the price from {before} to {after}; "
        "a price above zero must stay above zero"
    )


def _is_price(value: float, instrument: Instrument) -> bool:
    """Say whether 64 bits hold an answer as a price."""
    return math.isfinite(value) and abs(units_of_float(value, instrument.price_exponent)) <= LARGEST_STEP


def _digits(value: float) -> str:
    """Write an answer of a model, which may have three hundred digits."""
    return repr(value).replace("e+", "e") if 1e15 <= abs(value) < math.inf else number_text(value)


def _price(instrument: Instrument, units: Fraction | None) -> float:
    return NAN if units is None else instrument.price(units)


def _whole_lots(quantity: float, instrument: Instrument, whole: int) -> int:
    """Round a quantity of a model down to whole lots; what stands for all of it is all of it.

    The float nearest to a number of units stands for that number, also where it lies a little below.
    """
    if quantity == instrument.quantity(whole):
        return whole
    units = units_of_float(quantity, instrument.quantity_exponent)
    if instrument.quantity(units) > quantity:
        units -= 1
    return min(units // instrument.lot * instrument.lot, whole)
