"""The registration, and what the engine refuses because it does not cover it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

import ml4t.reference
from ml4t.core.errors import ConfigError, DataError
from ml4t.core.schemas import TABLES, table_schema
from ml4t.core.types import ModelKind
from ml4t.fees import NoFee
from ml4t.fills import Default
from ml4t.reference import plugin
from ml4t.slippage import NoSlippage

OPENS = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp()) * 10**9
DAY = 86_400 * 10**9


@pytest.fixture
def spec() -> dict[str, Any]:
    """Return the description of a run of three days on one instrument."""
    opens = [OPENS + n * DAY for n in range(3)]
    bars = {"ts_event": [ts + DAY for ts in opens], "ts_open": opens, "instrument": [0] * 3}
    bars |= {name: [10.0, 11.0, 12.0] for name in ("open", "high", "low", "close")} | {"volume": [1e6] * 3}
    sessions = {"label": [19_723 + n for n in range(3)], "open_ns": opens, "close_ns": bars["ts_event"]}
    return {
        "instruments": [
            {
                "symbol": "A",
                "currency": "USD",
                "price_exponent": 9,
                "quantity_exponent": 0,
                "multiplier": "1",
                "tick_size": "0.01",
                "lot_size": "1",
                "allows_negative_prices": False,
                "is_borrowed": True,
                "rolls_over": False,
                "calendar": 0,
                "matching": 0,
                "prints": None,
                "latency": {"submit": [0], "modify": [0], "cancel": [0], "venue": 0},
            }
        ],
        "feeds": [
            {"name": "prices", "kind": "bar", "interval_ns": DAY, "frame": pl.DataFrame(bars), "extra": []}
        ],
        "signals": None,
        "actions": [],
        "calendars": [{"name": "24/7", "frame": pl.DataFrame(sessions)}],
        "nav_calendar": 0,
        "base_currency": "USD",
        "seed": 0,
        "record_ns": 0,
        "keeps_tables": True,
        "table_memory": 1 << 30,
        "warm_from_ns": 0,
        "account": {
            "initial_cash": "1000",
            "lot_policy": "fifo",
            "allows_short": False,
            "buying_power": "equity",
            "leverage": "1",
            "posting_quantum": "0.000000001",
        },
        "policies": {},
        "fill_model": {"object": Default(), "builtin": "default", "params": {}},
        "slippage_model": {"object": NoSlippage(), "builtin": "none", "params": {}},
        "fee_model": {"object": NoFee(), "builtin": "none", "params": {}},
        "latency_models": [],
    }


def test_the_engine_is_registered_by_its_name() -> None:
    (engine,) = plugin.ml4t_register_engines()
    assert engine.name == "reference"
    assert engine.load() is ml4t.reference.Run


def test_a_run_gives_every_table_in_its_schema(spec: dict[str, Any]) -> None:
    run = ml4t.reference.Run(spec)
    sent = []

    def on_data(timestamp: object, data: object, context: object, broker: Any) -> None:  # noqa: ANN401
        if not sent:
            sent.append(broker.buy("A", 50))

    run.execute({"on_data": on_data})
    tables = run.tables()
    assert tuple(tables) == TABLES
    for name in TABLES:
        assert tables[name].schema == table_schema(name)
    assert tables["fills"].column("price").to_pylist() == [11.0]
    assert tables["portfolio_history"].column("equity").to_pylist() == [1000.0, 1000.0, 1050.0]
    assert run.counts() == {"rows": 3, "orders": 1, "fills": 1, "waiting_rolls": []}


COVERED = (
    "fill",
    "slippage",
    "impact",
    "fee",
    "borrow",
    "funding",
    "interest",
    "fx",
    "margin",
    "liquidation",
)


@pytest.mark.parametrize("kind", [kind.label for kind in ModelKind if kind.label not in COVERED])
def test_a_kind_of_model_that_is_not_covered_is_refused_by_name(spec: dict[str, Any], kind: str) -> None:
    spec[f"{kind}_model"] = {"object": object(), "builtin": None, "params": {}}
    with pytest.raises(ConfigError, match=f"does not cover '{kind}_model'"):
        ml4t.reference.Run(spec)


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        (("policies", "fill_timing"), "next_week", ConfigError),
        (("policies", "luck"), "good", ConfigError),
        (("account", "lot_policy"), "specific", ConfigError),
        (("account", "buying_power"), "credit", ConfigError),
        (("account", "margin"), "0.5", ConfigError),
        (("instruments", 0, "currency"), "EUR", ConfigError),
        (("feeds", 0, "kind"), "order_book", DataError),
        (("actions",), [{"kind": "merger"}], DataError),
    ],
)
def test_what_is_not_covered_is_refused(
    spec: dict[str, Any], path: tuple[str | int, ...], value: object, error: type[Exception]
) -> None:
    target: Any = spec
    *ways, last = path
    for way in ways:
        target = target[way]
    target[last] = value
    with pytest.raises(error):
        ml4t.reference.Run(spec)
