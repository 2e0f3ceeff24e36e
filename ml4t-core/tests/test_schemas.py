"""Arrow schemas of the tables."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ml4t.core import UnknownNameError
from ml4t.core.schemas import INPUTS, TABLES, table_schema


def test_every_table_has_a_schema() -> None:
    assert TABLES == (
        "orders",
        "order_events",
        "fills",
        "round_trips",
        "positions",
        "ledger",
        "portfolio_history",
        "attribution",
        "balances",
        "conversions",
        "margin",
        "margin_calls",
        "cash_flows",
        "recorded",
        "logs",
    )
    for name in (*TABLES, *INPUTS):
        assert len(table_schema(name)) >= 3


def test_types_are_the_published_ones() -> None:
    fills = table_schema("fills")
    assert fills.field("fill_id").type == pa.uint64()
    assert fills.field("ts_event").type == pa.timestamp("ns", tz="UTC")
    assert fills.field("price").type == pa.float64()
    assert table_schema("ledger").field("amount").type == pa.decimal128(38, 18)
    assert table_schema("positions").field("session").type == pa.date32()
    assert table_schema("portfolio_history").field("is_nav").type == pa.bool_()
    assert table_schema("orders").field("book").type == pa.uint16()


def test_what_may_be_missing_is_nullable_and_nothing_else() -> None:
    orders = table_schema("orders")
    nullable = {field.name for field in orders if field.nullable}
    prices = {"limit_price", "stop_price", "avg_fill_price", "activation_price"}
    terms = {"trail_amount", "trail_fraction", "limit_offset", "display_quantity", "parent_order_id"}
    terms |= {"worked_order_id"}
    assert nullable == prices | terms | {"ts_accepted", "ts_expires", "ts_closed"}
    ledger = table_schema("ledger")
    assert {field.name for field in ledger if field.nullable} == {"symbol", "order_id", "fill_id"}


def test_an_unknown_table_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown table 'fill'.* did you mean 'fills'"):
        table_schema("fill")
