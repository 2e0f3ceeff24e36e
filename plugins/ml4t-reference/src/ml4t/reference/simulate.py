"""Run a script: the reference without strategies, views and files, for comparison with another engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

from attrs import define, frozen

from ml4t.backtest.data import MarketData
from ml4t.core.config import RunConfig
from ml4t.core.orders import OrderRequest
from ml4t.core.types import OrderType, Side, TimeInForce
from ml4t.reference.actions import read_actions
from ml4t.reference.costs import Models
from ml4t.reference.engine import Simulation, Wish
from ml4t.reference.market import Market, Row
from ml4t.reference.orders import Order
from ml4t.reference.records import Record, order_record, posting_record, rendered
from ml4t.reference.settings import Settings

Number: TypeAlias = int | float | str | Decimal


@frozen(kw_only=True)
class ModelSet:
    """The three models of a run, objects with a method `evaluate`."""

    fill: object
    slippage: object
    fee: object


@frozen(kw_only=True)
class ReferenceResult:
    """What a run left behind.

    Attributes
    ----------
    tables : Mapping of str to rows
        Rows by table, under the names and columns of `ml4t.core.schemas`; every price, quantity and amount is a
        `Fraction`, instants are ns UTC.
    """

    tables: Mapping[str, Sequence[Record]]

    def rendered(self, table: str) -> list[Record]:
        """Return the rows of a table as published: money as Decimal with 18 decimals, other numbers as float."""
        return [rendered(row) for row in self.tables[table]]


@define
class Api:
    """What a script can do: send, cancel and look at the account. Numbers come back exact."""

    _run: Simulation | None = None

    @property
    def run(self) -> Simulation:
        """The running simulation."""
        assert self._run is not None
        return self._run

    def submit(  # noqa: PLR0913 - the fields of an order
        self,
        symbol: str,
        quantity: Number,
        side: Side | str = Side.BUY,
        *,
        order_type: OrderType | str = OrderType.MARKET,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        tag: str = "",
    ) -> int:
        """Send an order and return its id."""
        request = OrderRequest(
            symbol,
            side=Side(side),
            quantity=quantity,
            order_type=OrderType(order_type),
            limit_price=limit_price,
            stop_price=stop_price,
            time_in_force=TimeInForce(time_in_force),
            tag=tag,
        )
        return self.run.submit(wish_of(request, self.run.market)).id

    def cancel(self, order_id: int) -> bool:
        """Ask to take an order back; False when it is closed already."""
        return self.run.cancel(self.run.orders[order_id - 1])

    def position(self, symbol: str) -> Fraction:
        """Return what is held of an instrument, signed."""
        return next(each.quantity for each in self.run.account.holdings if each.terms.symbol == symbol)

    def open_orders(self) -> list[int]:
        """Return the ids of the orders that can still change."""
        return [order.id for order in self.run.orders if not order.status.is_closed]

    @property
    def cash(self) -> Fraction:
        """Money at hand."""
        return self.run.account.cash

    @property
    def equity(self) -> Fraction:
        """Worth of the account."""
        return self.run.account.equity

    @property
    def buying_power(self) -> Fraction:
        """What may still be bought."""
        return self.run.account.buying_power([o for o in self.run.orders if o.is_working])


Script: TypeAlias = Callable[[int, Api], object]


@define
class ScriptListener:
    """Calls a script at every instant at which a strategy would be asked to decide."""

    script: Script
    api: Api
    signal_instants: frozenset[int]

    def next_timer(self, after: int | None) -> int | None:
        """Return the next arrival of a signal: scripts have no timers of their own."""
        return min((ts for ts in self.signal_instants if after is None or ts > after), default=None)

    def readable(self, rows: Sequence[Row]) -> bool:
        """Rows and signals are reasons to decide."""
        return bool(rows) or self.api.run.now in self.signal_instants

    def timers(self) -> bool:
        """Answer that there are none."""
        return False

    def daily_close(self) -> None:
        """Do nothing."""

    def decide(self) -> None:
        """Call the script."""
        now = self.api.run.now
        assert now is not None
        self.script(now, self.api)

    def filled(self, order: Order, fill: Record) -> None:
        """Do nothing."""

    def order_changed(self, order: Order, event: Record) -> None:
        """Do nothing."""


def simulate(
    market_data: MarketData, config: RunConfig, models: ModelSet, script: Script, *, warmup: int | str = 0
) -> ReferenceResult:
    """Run a script over assembled market data.

    Parameters
    ----------
    market_data : MarketData
        As `ml4t.backtest.data.assemble` returns it.
    config : RunConfig
        Account, policies and recording; its models and feeds are not read.
    models : ModelSet
        Fill, slippage and fee model.
    script : callable
        `script(instant_ns, api)`, called wherever a strategy's `on_data` would be.
    warmup : int or str
        How long orders are refused: sessions of the NAV calendar, or a duration such as "20d".

    Raises
    ------
    NotCovered
        If the run asks for something that the reference does not implement.
    """
    settings = Settings.of(config, market_data, warmup=warmup)
    market = Market.of(market_data, settings.base_currency)
    api = Api()
    signals = market_data.signals
    arrivals = frozenset(() if signals is None else signals.frame["ts_arrival"].to_list())
    simulation = Simulation.of(
        market,
        settings,
        Models(
            fill=models.fill,
            slippage=models.slippage,
            fee=models.fee,
            policies=settings.policies,
            posting_quantum=settings.posting_quantum,
        ),
        read_actions(market_data, market.terms),
        listener=ScriptListener(script, api, frozenset(ts for ts in arrivals if ts >= market.first)),
    )
    api._run = simulation  # noqa: SLF001 - the two are made for each other
    simulation.run()
    return ReferenceResult(tables=tables_of(simulation))


def tables_of(simulation: Simulation) -> dict[str, list[Record]]:
    """Return all tables of a run."""
    records, currency = simulation.records, simulation.settings.base_currency
    return {
        "orders": [order_record(order) for order in simulation.orders],
        "order_events": records.order_events,
        "fills": records.fills,
        "round_trips": records.round_trips,
        "positions": records.positions,
        "ledger": [posting_record(posting, currency) for posting in simulation.account.ledger.postings],
        "portfolio_history": records.portfolio_history,
        "recorded": records.recorded,
        "logs": records.logs,
    }


def wish_of(request: OrderRequest, market: Market) -> Wish:
    """Return an order request with exact numbers."""
    terms = next(each for each in market.terms if each.symbol == request.symbol)
    return Wish(
        terms=terms,
        side=request.side,
        quantity=Fraction(request.quantity),
        order_type=request.order_type,
        limit_price=None if request.limit_price is None else Fraction(request.limit_price),
        stop_price=None if request.stop_price is None else Fraction(request.stop_price),
        time_in_force=request.time_in_force,
        tag=request.tag,
    )
