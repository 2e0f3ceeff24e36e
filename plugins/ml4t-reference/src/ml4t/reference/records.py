"""The rows that a run leaves behind, with exact values, under the column names of the result tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from attrs import define, field

from ml4t.core.types import OrderStatus
from ml4t.reference.account import Account
from ml4t.reference.ledger import Posting
from ml4t.reference.lots import Holding, Lot
from ml4t.reference.market import Session
from ml4t.reference.orders import Order

Record = dict[str, Any]

BOOK = 0
# Columns whose exact value is a Decimal, not a float, in the published tables.
MONEY = ("amount",)


@define
class Records:
    """Rows by table, in the order in which they came about."""

    order_events: list[Record] = field(factory=list)
    fills: list[Record] = field(factory=list)
    round_trips: list[Record] = field(factory=list)
    positions: list[Record] = field(factory=list)
    portfolio_history: list[Record] = field(factory=list)
    recorded: list[Record] = field(factory=list)
    logs: list[Record] = field(factory=list)

    def add_event(self, order: Order, before: OrderStatus, code: str, now: int) -> Record:
        """Keep a change of state."""
        row = {
            "sequence": len(self.order_events) + 1,
            "ts_event": now,
            "order_id": order.id,
            "status_from": before.value,
            "status": order.status.value,
            "reason_code": code,
            "filled_quantity": order.filled,
        }
        self.order_events.append(row)
        return row

    def add_round_trip(self, part: Lot, exit_: Mapping[str, Any]) -> None:
        """Keep what a closing fill made of a part of a lot.

        `exit_` has the fill's row and, under `fees` and `slippage`, what it cost for this part.
        """
        fill, units = exit_["fill"], abs(part.quantity)
        multiplier = exit_["multiplier"]
        sign = 1 if part.quantity > 0 else -1
        entry_price = abs(part.cost) / (units * multiplier) if part.cost * sign > 0 else (
            part.cost / (part.quantity * multiplier)
        )
        gross = sign * units * fill["price"] * multiplier - part.cost
        fees = part.fees + exit_["fees"]
        self.round_trips.append(
            {
                "symbol": fill["symbol"],
                "book": BOOK,
                "direction": "long" if sign > 0 else "short",
                "quantity": units,
                "ts_entry": part.ts_open,
                "ts_exit": fill["ts_event"],
                "entry_price": entry_price,
                "exit_price": fill["price"],
                "gross_pnl": gross,
                "fees": fees,
                "net_pnl": gross - fees,
                "slippage_cost": part.slippage + exit_["slippage"],
                "return": _ratio(gross - fees, abs(part.cost)),
                "duration_ns": fill["ts_event"] - part.ts_open,
                "entry_order_id": part.order_id,
                "exit_order_id": fill["order_id"],
            }
        )

    def add_portfolio(self, account: Account, now: int, session: Session | None) -> None:
        """Keep the state of the account; with a session it is the official value of that session."""
        unrealized = sum((each.value - each.cost for each in account.holdings), Fraction(0))
        self.portfolio_history.append(
            {
                "ts_event": now,
                "session": None if session is None else session.label,
                "is_nav": session is not None,
                "cash": account.cash,
                "receivable": account.ledger["receivable"],
                "long_value": account.long_value,
                "short_value": account.short_value,
                "equity": account.equity,
                "realized_pnl": account.ledger["realized_pnl"],
                "unrealized_pnl": unrealized,
                "fees": account.ledger["fees"],
                "dividends": account.ledger["dividends"],
                "gross_exposure": account.exposure,
                "net_exposure": account.long_value + account.short_value,
                "leverage": _ratio(account.exposure, account.equity),
            }
        )

    def add_positions(self, holdings: Iterable[Holding], now: int, session: Session) -> None:
        """Keep every position that is not flat."""
        for holding in holdings:
            quantity = holding.quantity
            if quantity:
                self.positions.append(
                    {
                        "ts_event": now,
                        "session": session.label,
                        "book": BOOK,
                        "symbol": holding.terms.symbol,
                        "quantity": quantity,
                        "avg_price": holding.cost / (quantity * holding.terms.multiplier),
                        "mark_price": holding.mark,
                        "market_value": holding.value,
                        "unrealized_pnl": holding.value - holding.cost,
                    }
                )


def _ratio(value: Fraction, of: Fraction) -> float:
    """Return a ratio of two numbers of a row: a statistic, computed from the floats that the row shows."""
    return float(value) / float(of) if of else math.nan


def order_record(order: Order) -> Record:
    """Return the row of an order in its final state."""
    return {
        "order_id": order.id,
        "client_order_id": order.client_order_id,
        "book": BOOK,
        "symbol": order.terms.symbol,
        "side": order.side.value,
        "order_type": order.order_type.value,
        "time_in_force": order.time_in_force.value,
        "quantity": order.quantity,
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "status": order.status.value,
        "filled_quantity": order.filled,
        "avg_fill_price": order.value / order.filled if order.filled else None,
        "ts_submitted": order.ts_submitted,
        "ts_accepted": order.ts_accepted,
        "ts_closed": order.ts_closed,
        "reason_code": order.reason_code,
        "reason": order.reason,
        "tag": order.tag,
    }


def posting_record(posting: Posting, currency: str) -> Record:
    """Return the row of a posting."""
    cause = posting.cause
    return {
        "posting_id": posting.posting_id,
        "ts_event": cause.ts_event,
        "book": BOOK,
        "kind": cause.kind,
        "debit": posting.debit,
        "credit": posting.credit,
        "symbol": cause.symbol,
        "currency": currency,
        "amount": posting.amount,
        "order_id": cause.order_id,
        "fill_id": cause.fill_id,
    }


def rendered(row: Mapping[str, Any]) -> Record:
    """Return a row as the published tables hold it: money as Decimal, every other exact number as float."""
    return {name: _render(name, value) for name, value in row.items()}


def _render(name: str, value: object) -> object:
    if not isinstance(value, Fraction):
        return value
    if name in MONEY:
        # Money lies on the grid of 1e-18, so this division of two integers is exact.
        return Decimal(int(value * 10**18)).scaleb(-18)
    return float(value)
