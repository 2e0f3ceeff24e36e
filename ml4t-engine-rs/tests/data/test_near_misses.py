"""A misspelt column of a table that may be absent is told of; a further column is left alone."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from ml4t.backtest.data import (
    read_actions,
    read_borrow_rates,
    read_cash_flows,
    read_funding_rates,
    read_fx_rates,
    read_margin_rates,
    read_rolls,
    read_settlement_prices,
)
from ml4t.core.errors import DataError

AT = dt.datetime(2024, 3, 4, 12, tzinfo=dt.UTC)
RATE = {"symbol": "A", "ts_event": AT}
# A reader, a row with all that it needs, and its optional columns with a value each.
READERS: dict[str, tuple[Callable[..., Any], dict[str, Any], dict[str, Any]]] = {
    "corporate actions": (
        read_actions,
        {"symbol": "A", "ex_date": dt.date(2024, 3, 4), "kind": "delisting"},
        {"ratio": None, "amount": "1", "pay_date": None, "into": None, "withholding": None},
    ),
    "rolls": (
        read_rolls,
        {"session": dt.date(2024, 3, 4), "from": "A", "to": "B"},
        {"roll_at": "settlement"},
    ),
    "cash flows": (read_cash_flows, {"ts_event": AT, "amount": "1"}, {"currency": "EUR"}),
    "funding rates": (
        read_funding_rates,
        RATE | {"funding_rate": 0.1},
        {"mark_price": 10.0, "funding_rate_short": 0.2},
    ),
    "borrow rates": (read_borrow_rates, RATE | {"borrow_rate": 0.1}, {"available": 100.0}),
    "settlement prices": (read_settlement_prices, RATE | {"settlement_price": 10.0}, {"open_interest": 5.0}),
    "margin rates": (read_margin_rates, RATE | {"initial": 10.0, "maintenance": 5.0}, {}),
    "fx rates": (read_fx_rates, {"ts_event": AT, "pair": "EURUSD", "rate": 1.1}, {}),
}
MISSPELT = [
    ("corporate actions", "withholdng", "withholding"),
    ("corporate actions", "WITH-HOLDING", "withholding"),
    ("corporate actions", "payment_date", "pay_date"),
    ("corporate actions", "Pay date ", None),
    ("corporate actions", "paydate", "pay_date"),
    ("corporate actions", "amounts", "amount"),
    ("corporate actions", "ratios", "ratio"),
    ("rolls", "rol_at", "roll_at"),
    ("rolls", "rollat", None),
    ("cash flows", "curency", "currency"),
    ("funding rates", "mark-prize", "mark_price"),
    ("funding rates", "funding_rate_shrt", "funding_rate_short"),
    ("borrow rates", "availible", "available"),
    ("settlement prices", "open_intrest", "open_interest"),
]


def row_of(label: str, **further: object) -> pl.DataFrame:
    return pl.DataFrame([READERS[label][1] | further])


@pytest.mark.parametrize(("label", "column", "meant"), MISSPELT)
def test_a_column_that_looks_like_an_optional_one_is_told_of(
    label: str, column: str, meant: str | None
) -> None:
    read, _, optional = READERS[label]
    frame = row_of(label, **{column: None})
    if meant is None:
        # That is the column itself, written in another way.
        read(frame)
        return
    words = f"{label}: column {column!r} is not read; did you mean {meant!r}? Rename or drop it"
    for source in (frame, [frame], frame.to_arrow()):
        with pytest.raises(DataError, match=f"^{re.escape(words)}$"):
            read(source)
    # Beside the column itself, or renamed to it, it is nobody's mistake.
    read(row_of(label, **{column: None, meant: optional[meant]}))
    read(frame.rename({column: meant}))
    read(frame, columns={meant: column})


@pytest.mark.parametrize("label", READERS)
def test_further_columns_are_left_alone(label: str) -> None:
    read, _, optional = READERS[label]
    names = ["name", "exchange", "isin", "source", "record_date", "declared_date", "comment", "note", "price"]
    names += [
        "volume",
        "index_price",
        "funding_rate_8h",
        "funding_rate_annual",
        "type",
        "fee",
        "id",
        "account",
    ]
    read(row_of(label, **dict.fromkeys(names)))
    read(row_of(label, **optional | dict.fromkeys(f"{name}s" for name in optional)))
