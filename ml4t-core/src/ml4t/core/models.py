"""Protocols of the market models, and the arguments they get.

A model is an attrs-frozen class whose fields are its parameters and whose method `evaluate(ctx)` answers
from one frozen argument struct; new fields may be added to a struct, so its fields are read by name. All
numbers are plain floats and NaN means missing. Prices and amounts are in the instrument's currency,
quantities are positive, and `side` carries the sign: +1 buy, -1 sell.

Protocols exist for fill, slippage, impact, fee, latency, borrow, funding, interest, fx, margin and
liquidation; the other kinds of `ModelKind` are numbers only.
A class may say more about itself. `native_builtin` names the function table compiled into the engine that
computes the same numbers without Python; a method `__ml4t_model_v1__(kind)` answers a capsule with a table
of its own. `needs_volume = True` says that its answer uses the volume of the bar it is asked about: a fill
at such a bar's open is priced at the open, but booked when the bar is complete, so that nothing earlier can
know it. `average_days` is the number of sessions over which `average_volume` and `volatility` go, estimated
from the data before the session at hand; 0 where it needs neither. A model with state has `clone()`, an
independent copy as it is when a run begins, and may have `observe(fill)`, called with an `ObservedFill`
after every fill of the run (not one of latency or of what holding costs); a fill model may have
`on_market(event)`, called with an `ObservedMarket` after every quote or print that a limit at work was active
for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, SupportsFloat, runtime_checkable

import attrs

from ml4t.core.errors import Finding
from ml4t.core.types import ModelKind

__all__ = ["BorrowArgs", "BorrowModel", "BorrowOut", "FeeArgs", "FeeModel", "FeeOut"]
__all__ += ["FillArgs", "FillModel", "FillOut", "FundingArgs", "FundingModel", "FundingOut"]
__all__ += ["FxArgs", "FxModel", "FxOut"]
__all__ += ["ImpactArgs", "ImpactModel", "ImpactOut", "InterestArgs", "InterestModel", "InterestOut"]
__all__ += ["Holding", "LiquidationArgs", "LiquidationModel", "LiquidationOut", "MarginArgs", "MarginModel"]
__all__ += ["LatencyArgs", "LatencyModel", "LatencyOut", "MarginOut", "ObservedFill"]
__all__ += ["SlippageArgs", "SlippageModel", "SlippageOut", "number", "outside"]

NAN = math.nan


@attrs.frozen(kw_only=True)
class FillArgs:
    """The question to a fill model: may this order trade on this data, at what price, how much of it.

    In the phase `open` only the open of the bar is known; high, low, close and volume are NaN.
    """

    ts_ns: int  #: instant of the data, ns UTC
    side: int
    order_type: str = "market"  #: how it acts now, market or limit: a triggered stop is a market order
    phase: str = "open"  #: open, range or close of a bar; quote; trade
    limit_price: float = NAN
    stop_price: float = NAN
    leaves_quantity: float = NAN  #: still to fill
    bid: float = NAN
    ask: float = NAN
    bid_size: float = NAN
    ask_size: float = NAN
    open: float = NAN
    high: float = NAN
    low: float = NAN
    close: float = NAN
    volume: float = NAN
    price: float = NAN  #: at which the matching rules allow the order to trade on this data
    liquidity: str = "taker"  #: what the rules would report, taker or maker
    size: float = NAN  #: of the print, in the phase trade
    volume_used: float = 0.0  #: taken from the same data by earlier orders
    lot_size: float = 1.0
    tick_size: float = NAN
    average_volume: float = NAN  #: of the `average_days` sessions before this one, 0 where there is none
    session_used: float = 0.0  #: taken in this session by earlier orders, likewise
    order_id: int = 0
    queue_ahead: float = NAN  #: what is known to be ahead of a resting limit at its price


@attrs.frozen
class FillOut:
    """A price before slippage (NaN: no fill), a quantity up to `leaves_quantity`, taker or maker.

    With `rejects` the order ends, `REFUSED_BY_MODEL`.
    """

    price: float = NAN
    quantity: float = 0.0
    liquidity: str = "taker"
    rejects: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen(kw_only=True)
class SlippageArgs:
    """The question to a slippage model: how much worse than the reference price does this quantity trade."""

    ts_ns: int
    side: int
    quantity: float
    reference_price: float  #: what the fill model answered
    phase: str = "open"
    open: float = NAN
    high: float = NAN
    low: float = NAN
    close: float = NAN
    volume: float = NAN
    bid: float = NAN
    ask: float = NAN
    volume_used: float = 0.0
    tick_size: float = NAN
    lot_size: float = 1.0
    multiplier: float = 1.0
    average_volume: float = NAN  #: of the `average_days` sessions before this one; NaN before the first
    volatility: float = NAN  #: of their daily returns, a fraction per day


@attrs.frozen
class SlippageOut:
    """Per unit, positive when it costs money; what exceeds `quantity_cap` waits for later data."""

    price_adjustment: float
    spread: float = 0.0
    quantity_cap: float = math.inf


@attrs.frozen(kw_only=True)
class ImpactArgs(SlippageArgs):
    """The question to an impact model: how far does this quantity move the price by its own size."""

    asset: int = 0  #: index of the instrument in the run
    order_quantity: float = NAN  #: of the whole order
    order_filled_quantity: float = 0.0  #: of the order, before this fill
    displacement: float = 0.0  #: permanent impact of our fills that stands, in price units, positive when up


@attrs.frozen
class ImpactOut:
    """Per unit, positive when it hurts: paid by this fill, and what it moves the prices of later fills by."""

    temporary: float
    permanent: float = 0.0


@attrs.frozen(kw_only=True)
class FeeArgs:
    """The question to a fee model: what does this fill cost. The `order_` fields exclude this fill."""

    ts_ns: int
    side: int
    quantity: float
    price: float
    multiplier: float = 1.0
    notional: float = NAN  #: quantity x abs(price) x multiplier
    liquidity: str = "taker"
    order_filled_quantity: float = 0.0
    order_notional: float = 0.0
    order_fees: float = 0.0
    month_quantity: float = 0.0  #: traded in this calendar month (UTC) before this fill, all instruments
    month_notional: float = 0.0  #: in the base currency


@attrs.frozen
class FeeOut:
    """Money of the instrument's currency, negative for a rebate."""

    fee: float


@attrs.frozen(kw_only=True)
class LatencyArgs:
    """The question to a latency model: how long is this message under way."""

    ts_ns: int  #: instant at which it leaves, ns UTC
    side: int  #: of its order: +1 buys, -1 sells
    message: str = "submit"  #: submit, modify or cancel
    asset: int = 0  #: index of the instrument in the run
    venue: int = 0  #: index of the venue among those of the run, by name
    random: tuple[float, ...] = ()  #: four uniform draws in [0, 1), the same whenever the run is repeated


@attrs.frozen
class LatencyOut:
    """The delay in nanoseconds, 0 or more; a part of one is cut off."""

    delay_ns: float


@attrs.frozen(kw_only=True)
class BorrowArgs:
    """The question to a borrow model: what does it cost to have been short from one close to the next."""

    ts_ns: int  #: close at which it is charged, ns UTC
    price: float  #: settlement price: the mark at the close before
    quantity: float  #: held short at the close before
    days: float  #: from the date of that session to the date of this one
    multiplier: float = 1.0
    rate_annual: float = NAN  #: of the data, as known at the close before; NaN where nothing is
    asset: int = 0  #: index of the instrument in the run
    side: int = -1


@attrs.frozen
class BorrowOut:
    """Money of the instrument's currency, positive when it is paid."""

    fee: float


@attrs.frozen(kw_only=True)
class FundingArgs:
    """The question to a funding model: what does a position pay or get at this instant."""

    ts_ns: int
    mark: float  #: of the row of funding; where it has none, what the position is valued at
    quantity: float  #: held, below zero for shorts
    rate: float  #: of the row, a fraction of the interval
    multiplier: float = 1.0
    asset: int = 0
    side: int = 1  #: +1 long, -1 short


@attrs.frozen
class FundingOut:
    """Money that the account gets, below zero when it pays."""

    payment: float


@attrs.frozen(kw_only=True)
class InterestArgs:
    """The question to an interest model: what does the cash of an account earn from one close to the next."""

    ts_ns: int  #: close at which it is booked, ns UTC
    cash: float  #: at the close before, below zero where it is owed; proceeds of short sales are in it
    short_value: float  #: size of all short positions at their marks then
    days: float
    side: int = 0


@attrs.frozen
class InterestOut:
    """Money that the account gets, below zero when it pays."""

    payment: float


@attrs.frozen(kw_only=True)
class FxArgs:
    """The question to an fx model: at what rate does this conversion happen."""

    ts_ns: int
    amount: float  #: of the foreign currency: above zero it is bought for the base currency, below it is sold
    rate: float  #: middle rate of the data: base currency for one unit of the foreign one
    asset: int = 0  #: index of the foreign currency among those of the run, the base currency being 0
    side: int = 1  #: +1 buys the foreign currency, -1 sells it


@attrs.frozen
class FxOut:
    """The rate of the conversion, and a fee in the base currency."""

    rate: float
    fee: float = 0.0


@attrs.frozen(kw_only=True)
class Holding:
    """A position as models of a whole portfolio see it.

    `fx` is base currency for one unit of the instrument's.
    """

    quantity: float  #: below zero for shorts
    mark: float  #: price at which it is valued
    multiplier: float = 1.0
    fx: float = 1.0
    asset: int = 0  #: index of the instrument in the run
    initial_rate: float = NAN  #: of the margin rates in force; NaN where there is none
    maintenance_rate: float = NAN
    lot_size: float = 1.0
    unrealized: float = NAN  #: gained so far, in the base currency; of liquidation models alone
    requirement: float = NAN  #: needed to hold it, in the base currency; likewise


@attrs.frozen(kw_only=True)
class MarginArgs:
    """The question to a margin model: what does this portfolio need. Amounts are of the base currency."""

    ts_ns: int
    cash: float
    equity: float
    holdings: tuple[Holding, ...]  #: by instrument, at least one
    side: int = 0


@attrs.frozen
class MarginOut:
    """What is needed to open and to hold the portfolio; `requirement` has the maintenance of each holding.

    `overnight` is needed at the close of a session, NaN where nothing is tested then.
    """

    initial: float
    maintenance: float
    requirement: tuple[float, ...]
    overnight: float = NAN


@attrs.frozen(kw_only=True)
class LiquidationArgs:
    """The question to a liquidation model: what is closed of a portfolio that lacks `deficit`."""

    ts_ns: int
    cash: float
    equity: float
    deficit: float
    holdings: tuple[Holding, ...]
    side: int = 0


@attrs.frozen
class LiquidationOut:
    """How much of each holding is closed, zero or more; the engine rounds up to whole lots."""

    close: tuple[float, ...]


@runtime_checkable
class FillModel(Protocol):
    """Decides whether, where and how much of an order trades on the data at hand."""

    def evaluate(self, ctx: FillArgs, /) -> FillOut:
        """Answer for one order and one piece of data."""


@runtime_checkable
class SlippageModel(Protocol):
    """Decides how much worse than the reference price any small order trades."""

    def evaluate(self, ctx: SlippageArgs, /) -> SlippageOut:
        """Answer for one prospective fill."""


@runtime_checkable
class ImpactModel(Protocol):
    """Decides how far our own size moves the price, for this fill and for those after it."""

    def evaluate(self, ctx: ImpactArgs, /) -> ImpactOut:
        """Answer for one prospective fill."""


@runtime_checkable
class FeeModel(Protocol):
    """Decides what a fill costs in money."""

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer for one fill."""


@runtime_checkable
class LatencyModel(Protocol):
    """Decides how long messages are under way to the venue."""

    def evaluate(self, ctx: LatencyArgs, /) -> LatencyOut:
        """Answer for one message."""


@runtime_checkable
class BorrowModel(Protocol):
    """Decides what a short position pays for the shares it borrowed."""

    def evaluate(self, ctx: BorrowArgs, /) -> BorrowOut:
        """Answer for one instrument and the days between two closes."""


@runtime_checkable
class FundingModel(Protocol):
    """Decides what a perpetual future pays at a funding time."""

    def evaluate(self, ctx: FundingArgs, /) -> FundingOut:
        """Answer for one position."""


@runtime_checkable
class InterestModel(Protocol):
    """Decides what cash earns and what debt costs."""

    def evaluate(self, ctx: InterestArgs, /) -> InterestOut:
        """Answer for one account and the days between two closes."""


@runtime_checkable
class FxModel(Protocol):
    """Decides what converting one currency into another costs."""

    def evaluate(self, ctx: FxArgs, /) -> FxOut:
        """Answer for one conversion."""


@runtime_checkable
class MarginModel(Protocol):
    """Decides what a portfolio needs; it remembers nothing.

    A class may have `with_symbols(symbols)`, which returns the model for a run with these instruments, and
    say more about itself: `has_sma`, that the test at the close goes by a special memorandum account;
    `liquidates_at_price`, that a position is closed where its price takes the margin, with `is_isolated` and
    `liquidation_fee`, a fraction of the value.
    """

    def evaluate(self, ctx: MarginArgs, /) -> MarginOut:
        """Answer for one portfolio."""


@runtime_checkable
class LiquidationModel(Protocol):
    """Decides what is closed of a portfolio that lacks margin.

    A class may have `grace_ns`, the time from a call to its deadline, and `warn_at`, the part of equity from
    which on maintenance is warned of.
    """

    def evaluate(self, ctx: LiquidationArgs, /) -> LiquidationOut:
        """Answer for one portfolio."""


@attrs.frozen(kw_only=True)
class ObservedMarket:
    """A quote or print that a limit at work was active for, as `on_market` of a fill model is told of it."""

    ts_ns: int
    side: int  #: of the order
    asset: int  #: index of the instrument in the run
    order_id: int
    phase: str  #: quote or trade
    limit_price: float
    leaves_quantity: float
    bid: float = NAN
    ask: float = NAN
    bid_size: float = NAN
    ask_size: float = NAN
    price: float = NAN  #: of the print
    size: float = NAN


@attrs.frozen(kw_only=True)
class ObservedFill:
    """A fill that was booked, as `observe` of a model is told of it. Costs are per unit, the fee is money."""

    ts_ns: int
    side: int
    asset: int  #: index of the instrument in the run
    order_id: int
    price: float
    quantity: float
    multiplier: float
    fee: float
    slippage: float
    impact: float
    liquidity: str


# Argument and answer struct of every kind that has a protocol.
MODEL_STRUCTS: dict[ModelKind, tuple[type, type]] = {ModelKind.FILL: (FillArgs, FillOut)}
MODEL_STRUCTS |= {ModelKind.SLIPPAGE: (SlippageArgs, SlippageOut)}
MODEL_STRUCTS |= {ModelKind.IMPACT: (ImpactArgs, ImpactOut), ModelKind.FEE: (FeeArgs, FeeOut)}
MODEL_STRUCTS |= {ModelKind.LATENCY: (LatencyArgs, LatencyOut), ModelKind.BORROW: (BorrowArgs, BorrowOut)}
MODEL_STRUCTS |= {ModelKind.FUNDING: (FundingArgs, FundingOut)}
MODEL_STRUCTS |= {ModelKind.INTEREST: (InterestArgs, InterestOut)}
MODEL_STRUCTS |= {ModelKind.FX: (FxArgs, FxOut), ModelKind.MARGIN: (MarginArgs, MarginOut)}
MODEL_STRUCTS |= {ModelKind.LIQUIDATION: (LiquidationArgs, LiquidationOut)}


def number(value: SupportsFloat) -> Any:  # noqa: ANN401 - a float, or what `outside` is to refuse
    """Convert a parameter of any kind of number to a float; leave anything else for `outside` to refuse."""
    given: object = value
    return float(given) if isinstance(given, SupportsFloat) and not isinstance(given, bool) else value


def outside(
    values: Mapping[str, Any], name: str, *, low: float = 0.0, high: float = math.inf, above: bool = False
) -> Iterator[Finding]:
    """Yield a finding unless the parameter is a finite number from `low` (or only above it) to `high`.

    An optional parameter that is not set is None and passes.
    """
    value = values.get(name)
    if value is None:
        return
    is_number = isinstance(value, float) and math.isfinite(value)
    if is_number and low <= value <= high and not (above and value == low):
        return
    bound = f"above {low:g}" if above else f"of {low:g} or more"
    limit = f" and at most {high:g}" if math.isfinite(high) else ""
    message = f"expected a number {bound}{limit}, found {value!r}"
    yield Finding(path=name, message=message, found=repr(value))
