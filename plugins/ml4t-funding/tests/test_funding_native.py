"""The native library answers what the Python classes answer, bit for bit."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import random
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import Broker, Context, DataFeed, PITData, Results, Strategy, Timestamp, run
from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import BorrowArgs, FundingArgs, InterestArgs
from ml4t.core.schemas import TABLES
from ml4t.funding import BorrowFee, CashInterest, IbkrBorrow, PerpetualFunding
from ml4t.native import NativeState

CASES = 1_000
SEED = 20_261_203
USD = [(0, 0.0682), (100_000, 0.0632), (1_000_000, 0.0582)]
BORROW = [
    BorrowFee(),
    BorrowFee(0.0375, day_count=365),
    BorrowFee(-0.02),
    IbkrBorrow(),
    IbkrBorrow(0.5, collateral=1.05, decimals=2),
    IbkrBorrow(0.001, collateral=1.0137, decimals=4, day_count=365.25),
]
INTEREST = [
    CashInterest(),
    CashInterest(credit=0.04),
    CashInterest(debit=USD, short_rate=-0.003),
    CashInterest(credit=[(0, 0.0), (10_000, 0.0331), (250_000, 0.0405)], debit=USD, day_count=365),
]
MODELS: list[tuple[str, Any]] = [
    *(("borrow", model) for model in BORROW),
    ("funding", PerpetualFunding()),
    *(("interest", model) for model in INTEREST),
]


def question(kind: str, dice: random.Random, ts_ns: int) -> Any:  # noqa: ANN401
    """Ask as a run does, now and then at an edge: an exact dollar, the balance of a tier, nothing."""
    multiplier = dice.choice((1.0, 1.0, 0.001, 50.0))
    quantity = dice.choice((float(dice.randrange(1, 100_000)), dice.uniform(1e-6, 1e6)))
    if kind == "borrow":
        return BorrowArgs(
            ts_ns=ts_ns,
            price=dice.choice(
                (*[round(dice.uniform(-5.0, 900.0), 2), dice.uniform(1e-4, 1e5)] * 4, 50.0, 0.0)
            ),
            quantity=quantity,
            multiplier=multiplier,
            days=float(dice.choice((0, *[1, 2, 3] * 4))),
            rate_annual=dice.choice((*[dice.uniform(-0.1, 3.0)] * 9, 0.0)),
            asset=dice.randrange(3),
        )
    if kind == "funding":
        side = dice.choice((1, -1))
        return FundingArgs(
            ts_ns=ts_ns,
            mark=dice.uniform(1e-4, 1e5),
            quantity=side * quantity,
            multiplier=multiplier,
            rate=dice.choice((dice.uniform(-0.01, 0.01), 0.0, 0.0001)),
            asset=dice.randrange(3),
            side=side,
        )
    edge = dice.choice((0.0, 10_000.0, 100_000.0, 250_000.0, 1_000_000.0))
    shorts = dice.choice((0.0, dice.uniform(0.0, 1e6)))
    balance = dice.choice((*[dice.uniform(-2e6, 2e6)] * 9, edge, -edge, math.nextafter(edge, math.inf)))
    return InterestArgs(
        ts_ns=ts_ns, cash=balance + shorts, short_value=shorts, days=float(dice.choice((0, *[1, 2, 3] * 4)))
    )


@pytest.mark.parametrize(("kind", "model"), MODELS, ids=repr)
def test_the_bits_are_the_same(kind: str, model: Any) -> None:  # noqa: ANN401
    print("seed", SEED)
    dice, native = random.Random(f"{SEED}{model!r}"), NativeState(model, kind=kind)
    answers = set()
    for number in range(CASES):
        ctx = question(kind, dice, number)
        found, expected = native.evaluate(ctx), model.evaluate(ctx)
        # The text of a float is exact, and tells -0.0 from 0.0.
        assert repr(found) == repr(expected), (SEED, number, ctx)
        answers.add(repr(found))
    assert len(answers) > (CASES // 3 if model != CashInterest() else 0)


@pytest.mark.parametrize("model", [BorrowFee(), IbkrBorrow()], ids=repr)
def test_a_rate_that_is_not_known_is_refused_in_the_same_words(model: Any) -> None:  # noqa: ANN401
    ctx = BorrowArgs(ts_ns=0, price=50.0, quantity=100.0, days=1.0)
    with pytest.raises(ModelError) as ours:
        model.evaluate(ctx)
    with pytest.raises(ModelError) as native:
        NativeState(model, kind="borrow").evaluate(ctx)
    assert str(ours.value) in str(native.value)


@pytest.mark.parametrize(("kind", "model"), MODELS, ids=repr)
def test_what_is_no_number_is_answered_or_refused_alike(kind: str, model: Any) -> None:  # noqa: ANN401
    plain: dict[str, Any] = {
        "borrow": {"price": 50.0, "quantity": 100.0, "days": 1.0, "multiplier": 1.0, "rate_annual": 0.1},
        "funding": {"mark": 50.0, "quantity": 100.0, "multiplier": 1.0, "rate": 0.1},
        "interest": {"cash": 1e7, "short_value": 1e4, "days": 1.0},
    }[kind]
    make: Any = {"borrow": BorrowArgs, "funding": FundingArgs, "interest": InterestArgs}[kind]

    def outcome(asked: Any, ctx: object) -> str:  # noqa: ANN401
        try:
            return repr(asked.evaluate(ctx))
        except ModelError:
            return "ModelError"

    for name, odd in itertools.product(plain, (math.nan, math.inf, -math.inf)):
        ctx = make(ts_ns=0, **{**plain, name: odd})
        assert outcome(NativeState(model, kind=kind), ctx) == outcome(model, ctx), (name, odd)


@pytest.mark.parametrize(("kind", "model"), MODELS, ids=repr)
def test_a_model_is_native_for_its_own_kind_alone(kind: str, model: Any) -> None:  # noqa: ANN401
    other = "interest" if kind != "interest" else "borrow"
    with pytest.raises(ConfigError, match=f"{kind} model and cannot be the {other} model"):
        NativeState(model, kind=other)


class AtRandom(Strategy):
    """Trades two instruments to and fro, short as often as long."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        for symbol in ("A", "B"):
            if self.dice.random() < 0.5:
                broker.order_target_quantity(symbol, self.dice.randrange(-200, 200))


def results(seed: int, native: str, borrow: object, interest: object) -> Results:
    dice = random.Random(seed)
    days = [day for n in range(40) if (day := dt.date(2024, 3, 4) + dt.timedelta(days=n)).weekday() < 5]
    days.remove(dt.date(2024, 3, 29))  # Good Friday
    rows = []
    for symbol in ("A", "B"):
        for day in days:
            price = round(dice.uniform(20.0, 80.0), 2)
            bar = {"open": price, "high": price + 1.0, "low": price - 1.0, "close": price, "volume": 1e6}
            rows.append({"symbol": symbol, "session": day, **bar})
    moments = [
        dt.datetime(day.year, day.month, day.day, hour, tzinfo=dt.UTC) for day in days for hour in (8, 16)
    ]
    moments = [at for at in moments if at > dt.datetime(2024, 3, 4, 14, 30, tzinfo=dt.UTC)]
    funding = pl.DataFrame(
        {
            "symbol": ["A"] * len(moments),
            "ts_event": moments,
            "funding_rate": [dice.uniform(-0.001, 0.001) for _ in moments],
            "mark_price": [dice.choice((None, dice.uniform(20.0, 80.0))) for _ in moments],
        }
    )
    rates = pl.DataFrame(
        {
            "symbol": ["A", "B"] * len(days),
            "ts_event": [day for day in days for _ in "AB"],
            "borrow_rate": [dice.uniform(-0.1, 0.9) for _ in range(2 * len(days))],
        }
    )
    return run(
        AtRandom(seed),
        DataFeed(pl.DataFrame(rows), stamp="session"),
        config={"backtest": {"native": native}, "broker": {"allows_short": True, "leverage": 4}},
        models={"borrow": borrow, "funding": PerpetualFunding(), "interest": interest},
        funding=funding,
        borrow=rates,
    )


@pytest.mark.parametrize(("borrow", "interest"), list(zip(BORROW, INTEREST * 2, strict=False)), ids=repr)
def test_a_run_is_the_same_in_both_forms(borrow: object, interest: object) -> None:
    print("seed", SEED)
    native, python = (results(SEED, form, borrow, interest) for form in ("prefer", "never"))
    for kind in ("borrow", "funding", "interest"):
        assert (native.execution_paths[kind], python.execution_paths[kind]) == ("capsule", "python")
    for name in TABLES:
        if name not in ("logs", "recorded"):
            assert native.table(name).equals(python.table(name)), name
    kinds = set(native.ledger["kind"])
    assert {"borrow", "funding"} <= kinds
    assert ("interest" in kinds) == (interest != CashInterest())
