"""The tables of a run, from its orders, ledger and rows; schemas are those of `ml4t.core.schemas`.

Exact numbers become the nearest float here and nowhere before. The history of the portfolio is in the base
currency, each column converted by itself; rows of an instrument are in the currency of the instrument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import attrs

from ml4t.core.schemas import TABLES, table_schema
from ml4t.reference.account import Account
from ml4t.reference.attribution import PARTS, Attribution, Contribution
from ml4t.reference.calls import Measured
from ml4t.reference.currencies import Currencies
from ml4t.reference.exchange import Converted, Exchange
from ml4t.reference.excursions import Excursions
from ml4t.reference.flows import Paid
from ml4t.reference.ledger import Posting
from ml4t.reference.lots import RoundTrip
from ml4t.reference.margin_terms import CallRow
from ml4t.reference.numbers import CASH_EXPONENT, cash_float
from ml4t.reference.orders import Fill, Order, OrderBook, Transition

if TYPE_CHECKING:
    from decimal import Decimal

    import pyarrow as pa

__all__ = ["Recorder"]

BOOK = 0
Row = dict[str, Any]


@attrs.define
class Recorder:
    """Rows that are written down while the run goes; what orders and ledger hold is read at the end."""

    history: list[Row] = attrs.field(factory=list)
    positions: list[Row] = attrs.field(factory=list)
    balances: list[Row] = attrs.field(factory=list)
    margin: list[Row] = attrs.field(factory=list)
    recorded: list[Row] = attrs.field(factory=list)
    logs: list[Row] = attrs.field(factory=list)

    def portfolio(self, now: int, account: Account, session: int | None) -> None:
        """Write down the account; with a session, as the official value of that session."""

        def balance(name: str) -> int:
            return account.in_base(lambda currency: account.ledger.balance(name, currency))

        equity = account.equity
        long_value, short_value = (
            account.in_base(account.long_value_in),
            account.in_base(account.short_value_in),
        )
        open_pnl = account.in_base(account.open_pnl_in)
        longs, shorts = account.in_base(account.margined_long_in), account.in_base(account.margined_short_in)
        unrealized = long_value + short_value - balance("inventory") + open_pnl
        gross = long_value - short_value + longs - shorts
        net = long_value + short_value + longs + shorts
        # The official value takes the place of the step of the same instant.
        if session is not None and self.history and self.history[-1]["ts_event"] == now:
            self.history.pop()
        self.history.append(
            {
                "ts_event": now,
                "session": session,
                "is_nav": session is not None,
                "cash": cash_float(account.cash),
                "receivable": cash_float(balance("receivable")),
                "long_value": cash_float(long_value),
                "short_value": cash_float(short_value),
                "open_pnl": cash_float(open_pnl),
                "equity": cash_float(equity),
                "realized_pnl": cash_float(balance("realized_pnl")),
                "unrealized_pnl": cash_float(unrealized),
                "fees": cash_float(balance("fees")),
                "dividends": cash_float(balance("dividends")),
                "carry": cash_float(account.in_base(account.ledger.carry_in)),
                "fx_pnl": cash_float(account.in_base(account.fx_result_in)),
                "fx_costs": cash_float(balance("fx_costs")),
                "gross_exposure": cash_float(gross),
                "net_exposure": cash_float(net),
                "leverage": _leverage(gross, equity),
            }
        )

    def holdings(self, now: int, account: Account, session: int) -> None:
        """Write down every position at the close of a session."""
        for instrument in account.held():
            holding = account.ledger.holding(instrument)
            worth = account.notional(instrument)
            self.positions.append(
                {
                    "ts_event": now,
                    "session": session,
                    "book": BOOK,
                    "symbol": instrument.symbol,
                    "quantity": instrument.quantity(holding.quantity),
                    "avg_price": instrument.price(holding.average),
                    "mark_price": instrument.price(account.marks[instrument.index]),
                    "market_value": cash_float(worth),
                    "unrealized_pnl": cash_float(worth - holding.basis),
                }
            )

    def cash_of_each(self, now: int, account: Account, session: int | None) -> None:
        """Write down what every currency holds at the close of a session, where there are several.

        Without a session that is what the run begins with.
        """
        if account.currencies.is_single:
            return
        for currency in account.currencies.names:
            self.balances.append(
                {
                    "ts_event": now,
                    "session": session,
                    "book": BOOK,
                    "currency": currency,
                    "cash": _decimal(account.cash_in(currency)),
                    "receivable": _decimal(account.receivable_in(currency)),
                    "long_value": _decimal(account.long_value_in(currency)),
                    "short_value": _decimal(account.short_value_in(currency)),
                    "open_pnl": _decimal(account.open_pnl_in(currency)),
                    "fx_rate": account.currencies.known_rate(currency, now),
                    "value": _decimal(account.to_base(account.total_in(currency), currency)),
                }
            )

    def needs(self, now: int, measured: Measured, session: int) -> None:
        """Write down what positions need at the close of a session."""
        needs = measured.needs
        has_overnight = bool(needs.each) and needs.overnight is not None
        self.margin.append(
            {
                "ts_event": now,
                "session": session,
                "book": BOOK,
                "equity": _decimal(measured.equity),
                "initial": _decimal(needs.initial),
                "maintenance": _decimal(needs.maintenance),
                "overnight": _decimal(needs.overnight or 0) if has_overnight else None,
                "excess": _decimal(measured.equity - needs.maintenance),
                "sma": None if measured.sma is None else _decimal(measured.sma),
            }
        )

    def tables(
        self,
        book: OrderBook,
        account: Account,
        attribution: Attribution,
        exchange: Exchange,
        paid: Sequence[Paid],
        excursions: Excursions,
    ) -> dict[str, pa.Table]:
        """Return all tables by their names."""
        ledger = account.ledger
        rows: dict[str, list[Row]] = {
            "orders": [_order(order) for order in book.orders if order.status.value != "created"],
            "order_events": [_transition(each) for each in book.transitions],
            "fills": [_fill(each, account.currencies) for each in book.fills],
            "round_trips": [_round_trip(each, excursions) for each in ledger.round_trips],
            "positions": self.positions,
            "ledger": [_posting(each) for each in ledger.postings],
            "portfolio_history": self.history,
            "attribution": [_contribution(each) for each in attribution.rows],
            "balances": self.balances,
            "conversions": [_conversion(each) for each in exchange.rows],
            "margin": self.margin,
            "margin_calls": [_call(each) for each in book.calls],
            "cash_flows": [_cash_flow(each) for each in paid],
            "recorded": self.recorded,
            "logs": self.logs,
        }
        return {name: _table(name, rows[name]) for name in TABLES}


def _leverage(gross: int, equity: int) -> float:
    """Return what positions are of the equity; without any equity they are infinitely much, or no number."""
    if equity:
        return cash_float(gross) / cash_float(equity)
    return float("inf") if gross else float("nan")


def _table(name: str, rows: list[Row]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=table_schema(name))


def _maybe(value: Fraction | None, convert: Callable[[Fraction], float]) -> float | None:
    return None if value is None else convert(value)


def _order(order: Order) -> Row:
    instrument = order.instrument
    return {
        "order_id": order.id,
        "client_order_id": f"{BOOK}-{order.id}",
        "book": BOOK,
        "symbol": instrument.symbol,
        "side": order.side.value,
        "order_type": order.order_type.value,
        "time_in_force": order.time_in_force.value,
        "quantity": instrument.quantity(order.quantity),
        "limit_price": _maybe(order.limit_price, instrument.price),
        "stop_price": _maybe(order.stop_price, instrument.price),
        "trail_amount": _maybe(order.trail_amount, instrument.price),
        "trail_fraction": _maybe(order.trail_fraction, float),
        "limit_offset": _maybe(order.limit_offset, instrument.price),
        "activation_price": _maybe(order.activation_price, instrument.price),
        "display_quantity": _maybe(order.display_quantity, instrument.quantity),
        "instructions": order.instructions,
        "parent_order_id": None if order.parent is None else order.parent.id,
        "worked_order_id": None,
        "group": "" if order.group is None else order.group.name,
        "status": order.status.value,
        "filled_quantity": instrument.quantity(order.filled),
        "avg_fill_price": _maybe(order.average, instrument.price),
        "ts_submitted": order.ts_submitted,
        "ts_accepted": order.ts_accepted,
        "ts_expires": order.expires,
        "ts_closed": order.ts_closed,
        "reason_code": order.reason_code,
        "reason": order.reason,
        "tag": order.tag,
    }


def _transition(each: Transition) -> Row:
    return {
        "sequence": each.sequence,
        "ts_event": each.ts,
        "order_id": each.order.id,
        "status_from": each.before.value,
        "status": each.after.value,
        "reason_code": each.reason_code,
        "reason": each.reason,
        "filled_quantity": each.order.instrument.quantity(each.filled),
    }


def _fill(each: Fill, currencies: Currencies) -> Row:
    instrument = each.order.instrument
    return {
        "fill_id": each.id,
        "order_id": each.order.id,
        "book": BOOK,
        "ts_event": each.ts,
        "symbol": instrument.symbol,
        "side": each.order.side.value,
        "quantity": instrument.quantity(each.quantity),
        "price": instrument.price(each.price),
        "reference_price": instrument.price(each.reference),
        "spread": instrument.price(each.spread),
        "slippage": instrument.price(each.slippage),
        "impact": instrument.price(each.impact),
        "permanent_impact": instrument.price(each.permanent_impact),
        "fee": cash_float(each.fee),
        "notional": cash_float(each.notional),
        "currency": instrument.currency,
        "liquidity": each.liquidity,
        "phase": each.phase,
        "fx_rate": currencies.rate(instrument.currency, each.ts),
    }


def _round_trip(each: RoundTrip, excursions: Excursions) -> Row:
    instrument = each.instrument
    sign = 1 if each.is_long else -1
    one = instrument.cash(1, 1) * each.quantity * sign
    net = each.gross - each.fees
    adverse, favorable = excursions.of(each)
    return {
        "symbol": instrument.symbol,
        "book": BOOK,
        "direction": "long" if each.is_long else "short",
        "quantity": instrument.quantity(each.quantity),
        "ts_entry": each.ts_entry,
        "ts_exit": each.ts_exit,
        "entry_price": instrument.price(Fraction(each.entry_value, one)),
        "exit_price": instrument.price(Fraction(each.exit_value, one)),
        "gross_pnl": cash_float(each.gross),
        "fees": cash_float(each.fees),
        "net_pnl": cash_float(net),
        "slippage_cost": cash_float(each.slippage),
        "return": cash_float(net) / cash_float(abs(each.entry_value)) if each.entry_value else float("nan"),
        "duration_ns": each.ts_exit - each.ts_entry,
        "entry_order_id": each.entry_order_id,
        "exit_order_id": each.exit_order_id,
        "exit_reason": each.exit_reason,
        "mae": cash_float(adverse),
        "mfe": cash_float(favorable),
        "currency": instrument.currency,
        "fx_rate": each.fx_rate,
    }


def _posting(each: Posting) -> Row:
    return {
        "posting_id": each.id,
        "ts_event": each.ts,
        "book": BOOK,
        "kind": each.kind,
        "debit": each.debit,
        "credit": each.credit,
        "symbol": each.symbol,
        "currency": each.currency,
        "amount": _decimal(each.amount),
        "order_id": each.order_id,
        "fill_id": each.fill_id,
    }


def _contribution(each: Contribution) -> Row:
    parts = {name: _decimal(amount) for name, amount in zip(PARTS, each.parts, strict=True)}
    return {
        "ts_event": each.ts,
        "session": each.session,
        "book": BOOK,
        "symbol": each.symbol,
        **parts,
        "total": _decimal(each.total),
    }


def _conversion(each: Converted) -> Row:
    return {
        "conversion_id": None if each.asked is None else each.asked.id,
        "ts_submitted": each.ts if each.asked is None else each.asked.ts,
        "ts_event": each.ts,
        "book": BOOK,
        "currency": each.currency,
        "amount": _decimal(each.amount),
        "value": None if each.deal is None else _decimal(each.deal.value),
        "cost": None if each.deal is None else _decimal(each.deal.cost),
        "symbol": None if each.instrument is None else each.instrument.symbol,
        "cause": "automatic" if each.asked is None else "asked",
        "status": each.status,
        "reason": each.reason,
    }


def _call(each: CallRow) -> Row:
    return {
        "ts_event": each.ts,
        "book": BOOK,
        "kind": each.kind,
        "status": each.status,
        "equity": _decimal(each.equity),
        "requirement": _decimal(each.requirement),
        "amount": _decimal(each.amount),
        "ts_deadline": each.deadline,
    }


def _cash_flow(each: Paid) -> Row:
    return {
        "ts_event": each.flow.ts,
        "book": BOOK,
        "currency": each.flow.currency,
        "amount": _decimal(each.flow.amount),
        "value": _decimal(each.value),
        "equity": _decimal(each.equity),
    }


def _decimal(units: int) -> Decimal:
    """Return an amount of cash as the decimal number that it is."""
    from decimal import Context, Decimal

    return Decimal(units).scaleb(-CASH_EXPONENT, Context(prec=60))
