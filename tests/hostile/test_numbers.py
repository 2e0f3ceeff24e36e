"""Numbers beyond the integers that hold them: an error or a rejection, never a wrapped number."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import Engine, Instrument, Strategy
from ml4t.core.errors import ConfigError, ModelError, NumericOverflowError
from ml4t.core.values import parse_duration

from .inputs import by_session, daily, kept, refused, run

MOST = 2**63 - 1
CHEAP = daily(**{name: [1e-9] * 4 for name in ("open", "high", "low", "close")})
RISING = daily(**{name: [10.0, 10.0, 9e9, 9e9] for name in ("open", "high", "low", "close")})


# --------------------------------------------------------------------------- before the run


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        (
            {"initial_cash": "1e30"},
            ["broker.initial_cash", "up to 100,000,000,000,000,000", "found 1" + "0" * 30],
        ),
        ({"initial_cash": "1e-19"}, ["broker.initial_cash", "18 decimals", "0.0000000000000000001"]),
        ({"initial_cash": 0}, ["broker.initial_cash", "above zero", "found 0"]),
        ({"initial_cash": -5}, ["broker.initial_cash", "above zero", "found -5"]),
        ({"initial_cash": "nan"}, ["broker.initial_cash", "finite", "'nan'"]),
        ({"initial_cash": "inf"}, ["broker.initial_cash", "finite", "'inf'"]),
        ({"leverage": 1e30}, ["broker.leverage", "up to 1,000"]),
        ({"leverage": 0}, ["broker.leverage", "above zero", "found 0"]),
        ({"latency": "99999999999w"}, ["broker.latency", "64 bits"]),
        (
            {"latency": {"submit": {"distribution": "exponential", "mean": "10000w"}}},
            ["broker.latency.submit.mean", "64 bits", "10000w"],
        ),
        (
            {"latency": {"submit": {"distribution": "lognormal", "median": "1s", "sigma": 1e308}}},
            ["broker.latency.submit.sigma", "up to 4", "1e+308"],
        ),
        ({"posting_quantum": "0.02"}, ["broker.posting_quantum", "power of ten", "0.02"]),
    ],
    ids=str,
)
def test_an_amount_beyond_the_ledger_is_refused_with_the_limit(
    setting: dict[str, Any], parts: list[str]
) -> None:
    with refused(ConfigError, *parts):
        run(by_session(daily()), config={"broker": setting})


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"multiplier": 2**70}, ["multiplier", "2**63 at 0 decimals", str(2**70)]),
        ({"tick_size": 10**12}, ["tick_size", "2**63 at 9 decimals", "1000000000000"]),
        ({"lot_size": 10**19}, ["lot_size", "2**63 at 0 decimals", str(10**19)]),
        ({"price_exponent": 12, "quantity_exponent": 12}, ["price_exponent", "up to 18", "found 24"]),
        ({"tick_size": "1e-10"}, ["tick_size", "0.0000000001 needs price_exponent = 10", "found 9"]),
        ({"tick_size": 0}, ["tick_size", "above zero", "found 0"]),
        ({"lot_size": float("nan")}, ["lot_size", "above zero", "nan"]),
    ],
    ids=str,
)
def test_a_step_of_an_instrument_beyond_64_bits_is_refused(fields: dict[str, Any], parts: list[str]) -> None:
    with refused(ConfigError, "XYZ", *parts):
        Instrument("XYZ", **fields)


def test_a_duration_beyond_64_bits_is_refused() -> None:
    with refused(ValueError, "duration '99999999999d'", "64 bits"):
        parse_duration("99999999999d")


# --------------------------------------------------------------------------- in the run


def engine_of(frame: pl.DataFrame, *orders: Callable[[Any], object], **parts: Any) -> Engine:  # noqa: ANN401
    class Sends(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if timestamp.day == 2:
                for order in orders:
                    order(broker)

    broker = parts.pop("broker", {})
    settings = {"initial_cash": 10**17, **broker}
    defaults = {"tick_size": "1e-9", **parts.pop("instrument", {})}
    return Engine(
        by_session(frame, instrument_defaults=defaults), Sends, config={"broker": settings}, **parts
    )


def split(ratio: str) -> pl.DataFrame:
    return pl.DataFrame({"symbol": ["XYZ"], "ex_date": ["2024-01-04"], "kind": ["split"], "ratio": [ratio]})


LARGE = {"multiplier": 10**12}
OVERFLOWS: dict[str, tuple[Callable[[], Engine], int, list[str]]] = {
    "quantity": (
        lambda: engine_of(CHEAP, lambda b: b.buy("XYZ", MOST + 1)),
        0,
        [f"quantity = {MOST + 1} of XYZ", "64 bits"],
    ),
    "limit price": (
        lambda: engine_of(daily(), lambda b: b.buy("XYZ", 1, limit_price=1e10)),
        0,
        ["limit_price = 10000000000.0 of XYZ", "64 bits at 9 decimals"],
    ),
    "position": (
        lambda: engine_of(CHEAP, lambda b: b.buy("XYZ", 9 * 10**18), lambda b: b.buy("XYZ", 9 * 10**18)),
        1,
        ["position of order 2", "(XYZ, 2024-01-03T14:30:00Z)"],
    ),
    "notional of an order": (
        lambda: engine_of(daily(), lambda b: b.buy("XYZ", 9 * 10**18), instrument={"multiplier": 10**18}),
        0,
        ["9000000000000000000 XYZ", "range of the ledger", "at 2024-01-02T21:00:00Z"],
    ),
    "value of a position": (
        lambda: engine_of(RISING, lambda b: b.buy("XYZ", 9_000), instrument=LARGE),
        1,
        # Valued when somebody looks: at the close of the session.
        ["XYZ: the position's value", "at 2024-01-04T21:00:00Z"],
    ),
    "quantity after a split": (
        lambda: engine_of(daily(), lambda b: b.buy("XYZ", 1_000), actions=split(str(2**62))),
        1,
        ["XYZ", "at 2024-01-04T05:00:00Z"],
    ),
    "target value": (
        lambda: engine_of(CHEAP, lambda b: b.order_target_value("XYZ", 10**19)),
        0,
        ["XYZ: the target quantity leaves the range of 64 bits", "at 2024-01-02T21:00:00Z"],
    ),
    "target percent": (
        lambda: engine_of(daily(), lambda b: b.order_target_percent("XYZ", 10**12)),
        0,
        ["percent x equity", "at 2024-01-02T21:00:00Z"],
    ),
}


@pytest.mark.parametrize("what", OVERFLOWS)
def test_what_leaves_its_integer_is_an_error_with_instrument_and_time_and_keeps_the_results(
    what: str,
) -> None:
    build, fills, parts = OVERFLOWS[what]
    engine = build()
    with refused(NumericOverflowError, *parts) as caught:
        engine.run()
    assert kept(engine, caught).fills.height == fills


def test_the_most_that_64_bits_hold_is_still_a_quantity() -> None:
    results = engine_of(CHEAP, lambda b: b.buy("XYZ", MOST)).run()
    assert results.orders["status"].to_list() == ["filled"]
    assert results.ledger.filter(kind="trade")["amount"].abs().to_list() == [Decimal(MOST) / 10**9]


def test_a_model_that_answers_a_huge_number_is_told_of_in_few_digits() -> None:
    broker = {"commission_model": {"type": "PerOrder", "fee": 1e300}}
    with refused(ModelError, "per order fee", "XYZ", "2024-01-03T14:30:00Z", "1e300"):
        engine_of(daily(), lambda b: b.buy("XYZ", 1), broker=broker).run()


def test_a_volume_beyond_64_bits_caps_nothing() -> None:
    broker = {"slippage_model": {"type": "VolumeShare"}}
    results = engine_of(daily(volume=[1e300] * 4), lambda b: b.buy("XYZ", 1), broker=broker).run()
    assert results.fills.height == 1
