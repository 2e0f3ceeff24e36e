"""Order records of a strategy kernel, carried out through a broker as the engine carries them out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ml4t.core.errors import ModelError
from ml4t.core.types import OrderType, Side, TimeInForce
from ml4t.native import constants
from ml4t.native.constants import Action
from ml4t.native.structs import Made, unset

if TYPE_CHECKING:
    from ml4t.core.instrument import Instrument

__all__ = ["LIVES", "ORDER_TYPES", "Desk"]

#: Order types and lives of a record, by their numbers in it.
ORDER_TYPES = {kind.value: OrderType[kind.name] for kind in constants.OrderType}
LIVES = {life.value: TimeInForce[life.name] for life in constants.Life}
_MOST_UNITS = 2**63


class Desk:
    """The orders of one kernel in one run.

    Parameters
    ----------
    broker : Broker
        Where orders go.
    instruments : sequence of Instrument
        By index.
    """

    def __init__(self, broker: Made, instruments: Sequence[Instrument]) -> None:
        self._broker = broker
        self._instruments = instruments
        self._index = {each.symbol: k for k, each in enumerate(instruments)}
        self._live: list[tuple[Any, int]] = []
        self._known: dict[int, Any] = {}
        self._groups: dict[int, Any] = {}

    def open_orders(self) -> tuple[Made, ...]:
        """Return the orders at work as kernels see them, oldest first."""
        self._live = [(handle, number) for handle, number in self._live if handle.is_open]
        return tuple(self._seen(handle, number) for handle, number in self._live)

    def _seen(self, handle: Made, number: int) -> Made:
        order = unset("OpenOrder")
        order.asset, order.client_id = self._index[handle.asset], number
        order.order_type = constants.OrderType[handle.order_type.name]
        order.leaves_quantity = handle.side.sign * handle.leaves_quantity
        for field in ("limit_price", "stop_price"):
            price = getattr(handle, field)
            setattr(order, field, math.nan if price is None else price)
        return order

    def carry_out(self, record: Made, who: str) -> None:
        """Do what one record asks for.

        Parameters
        ----------
        record : object
            With the fields of `OrderRecord`.
        who : str
            Kernel and instant, for messages.

        Raises
        ------
        ModelError
            If the record asks for nothing that is known.
        OrderError
            If an order lacks a price that its type needs, or has one too many.
        """
        if record.asset >= len(self._instruments):
            n_assets = len(self._instruments)
            msg = f"{who}: asset {record.asset} of an order record; this run has {n_assets}, from 0"
            raise ModelError(msg)
        if record.action == Action.NEW:
            self._send(record, who)
        elif record.action == Action.TARGET:
            self._send_target(record, who)
        elif record.action == Action.MODIFY:
            self._modify(record, who)
        elif record.action == Action.CANCEL:
            self._broker.cancel_order(self._order(record.client_id, who))
        else:
            msg = f"{who}: action {record.action} of an order record is not known"
            raise ModelError(msg)

    def _check_number(self, record: Made, who: str) -> None:
        """Refuse a number that an order at work has."""
        taken = self._known.get(int(record.client_id)) if record.client_id else None
        if taken is not None and taken.is_open:
            number = record.client_id
            msg = f"{who}: an order record has client_id {number}, and an order at work has it already"
            raise ModelError(msg)

    def _send(self, record: Made, who: str) -> None:
        self._check_number(record, who)
        instrument = self._instruments[record.asset]
        given = abs(float(record.quantity))
        units = _quantity_units(given, instrument, who)
        is_exact = units > 0 and _quantity(units, instrument) == given
        terms: dict[str, Any] = {
            "order_type": _member(ORDER_TYPES, "order_type", record.order_type, who),
            "time_in_force": _member(LIVES, "life", record.life, who),
            **_prices(record, instrument, who),
        }
        if record.parent:
            terms["parent"] = self._order(record.parent, who)
        group = int(record.group)
        if group in self._groups:
            terms["oco"] = self._groups[group]
        handle = self._broker.submit_order(
            instrument.symbol,
            # What is no whole number of lots is refused by the engine, which shall see it.
            _text(units, instrument.quantity_exponent) if is_exact else given,
            Side.BUY if record.quantity > 0.0 else Side.SELL,
            **terms,
        )
        if group:
            self._groups.setdefault(group, handle)
        self._remember(handle, record)

    def _send_target(self, record: Made, who: str) -> None:
        self._check_number(record, who)
        instrument = self._instruments[record.asset]
        found = float(record.quantity)
        units = _floor(abs(found), instrument)
        if units is None:
            rule = "it must be a number of units within the instrument's range"
            msg = f"{who}: {instrument.symbol}: target {_shown(found)}; {rule}"
            raise ModelError(msg)
        lot = int(instrument.lot_size.scaleb(instrument.quantity_exponent))
        whole = units - units % lot
        handle = self._broker.order_target_quantity(
            instrument.symbol,
            _text(-whole if found < 0.0 else whole, instrument.quantity_exponent),
            time_in_force=_member(LIVES, "life", record.life, who),
        )
        if handle is not None:
            self._remember(handle, record)

    def _modify(self, record: Made, who: str) -> None:
        handle = self._order(record.client_id, who)
        instrument = self._instruments[self._index[handle.asset]]
        changes: dict[str, Any] = _prices(record, instrument, who)
        if not math.isnan(record.quantity):
            units = _quantity_units(abs(float(record.quantity)), instrument, who)
            changes["quantity"] = _text(max(units, 1), instrument.quantity_exponent)
        # A change of nothing is one as well: the order keeps its quantity.
        self._broker.modify_order(handle, **(changes or {"quantity": handle.quantity}))

    def _order(self, client_id: int, who: str) -> Made:
        found = self._known.get(int(client_id))
        if found is None:
            msg = f"{who}: an order record names order {client_id}, which it has not sent"
            raise ModelError(msg)
        return found

    def _remember(self, handle: Made, record: Made) -> None:
        number = int(record.client_id)
        self._live.append((handle, number))
        if number:
            self._known[number] = handle


def _member(members: dict[int, Any], name: str, found: int, who: str) -> Made:
    if int(found) not in members:
        msg = f"{who}: {name} {found} of an order record is not known"
        raise ModelError(msg)
    return members[int(found)]


def _prices(record: Made, instrument: Instrument, who: str) -> dict[str, str]:
    """Prices of a record that has them, at the decimals that the engine keeps."""
    prices = {}
    for field in ("limit_price", "stop_price"):
        price = float(getattr(record, field))
        if math.isnan(price):
            continue
        units = _nearest(price, instrument.price_exponent)
        if units is None:
            msg = f"{who}: {instrument.symbol}: {field} {_shown(price)} of an order record leaves its range"
            raise ModelError(msg)
        prices[field] = _text(units, instrument.price_exponent)
    return prices


def _nearest(number: float, exponent: int) -> int | None:
    """Units nearest to a number, half to even; None where they leave 64 bits."""
    if not math.isfinite(number):
        return None
    units = round(Fraction(number) * 10**exponent)
    return units if -_MOST_UNITS <= units < _MOST_UNITS else None


def _quantity(units: int, instrument: Instrument) -> float:
    return float(units) / float(10**instrument.quantity_exponent)


def _floor(number: float, instrument: Instrument) -> int | None:
    """Most units whose quantity as a float is not above a number."""
    nearest = _nearest(number, instrument.quantity_exponent)
    if nearest is None:
        return None
    return nearest if _quantity(nearest, instrument) <= number else nearest - 1


def _quantity_units(quantity: float, instrument: Instrument, who: str) -> int:
    units = _floor(quantity, instrument) if quantity > 0.0 else None
    if units is None:
        found = f"{instrument.symbol}: quantity {_shown(quantity)}"
        rule = "it must be above zero and within the instrument's range"
        msg = f"{who}: {found} of an order record; {rule}"
        raise ModelError(msg)
    return units


def _text(units: int, exponent: int) -> str:
    return f"{units}e-{exponent}"


def _shown(number: float) -> str:
    """Write a number as the engine does: with all its digits, unless they are many."""
    if not math.isfinite(number):
        return {"nan": "NaN"}.get(str(number), str(number))
    if abs(number) >= 1e15:
        return repr(number).replace("e+", "e")
    return f"{Decimal(repr(number)):f}".removesuffix(".0")
