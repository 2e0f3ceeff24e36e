"""Events as user feeds yield them."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from ml4t.core import ActionKind, Bar, CorporateAction, DataError, Quote, Signal, TradeTick

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
NS = 1_709_294_400_000_000_000


def test_stamps_become_nanoseconds_and_numbers_floats() -> None:
    bar = Bar("A", NOON, 1, 2, 0.5, Decimal("1.5"), ts_open=NS - 1, fields={"x": 1.0})
    assert (bar.ts_event, bar.ts_open, bar.ts_arrival) == (NS, NS - 1, None)
    assert (bar.open, type(bar.open), bar.close) == (1.0, float, 1.5)
    assert math.isnan(bar.volume)
    assert bar.fields["x"] == 1.0


def test_a_naive_stamp_is_refused() -> None:
    with pytest.raises(DataError, match="no time zone"):
        Quote("A", datetime(2024, 3, 1), 1.0, 1.1)


@pytest.mark.parametrize(
    "make",
    [
        lambda early: Bar("A", NS, 1, 1, 1, 1, ts_arrival=early),
        lambda early: Quote("A", NS, 1, 1, ts_arrival=early),
        lambda early: TradeTick("A", NS, 1, ts_arrival=early),
        lambda early: Signal("A", NS, early, 0.5),
    ],
)
def test_nothing_is_known_before_it_has_happened(make: Any) -> None:  # noqa: ANN401
    make(NS)
    with pytest.raises(
        DataError, match=r"ts_arrival .*11:59:59.* of A is before its ts_event 2024-03-01T12:00:00Z"
    ):
        make(NS - 1)


def test_a_bar_opens_before_it_ends() -> None:
    with pytest.raises(DataError, match="not before its ts_event"):
        Bar("A", NS, 1, 1, 1, 1, ts_open=NS)


def test_a_signal_has_no_default_for_its_arrival() -> None:
    with pytest.raises(TypeError):
        Signal("A", NS, score=0.5)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("ratio", "exact"),
    [(7, Fraction(7)), ("1/3", Fraction(1, 3)), (Decimal("1.5"), Fraction(3, 2)), (0.1, Fraction(1, 10))],
)
def test_a_split_ratio_is_an_exact_fraction(ratio: Any, exact: Fraction) -> None:  # noqa: ANN401
    assert CorporateAction("A", date(2014, 6, 9), ActionKind.SPLIT, ratio=ratio).ratio == exact


def test_a_dividend_amount_is_exact() -> None:
    action = CorporateAction(
        "A", date(2014, 8, 7), ActionKind.CASH_DIVIDEND, amount=0.47, pay_date=date(2014, 8, 14)
    )
    assert action.amount == Decimal("0.47")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": ActionKind.SPLIT}, "ratio above zero"),
        ({"kind": ActionKind.SPLIT, "ratio": 0}, "ratio above zero"),
        ({"kind": ActionKind.SPLIT, "ratio": 2, "amount": 1}, "nothing else"),
        ({"kind": ActionKind.CASH_DIVIDEND, "ratio": 2}, "amount above zero"),
        ({"kind": ActionKind.CASH_DIVIDEND, "amount": "-1"}, "amount above zero"),
        ({"kind": ActionKind.CASH_DIVIDEND, "amount": 1, "pay_date": date(2014, 1, 1)}, "before the ex-date"),
        ({"kind": ActionKind.SPLIT, "ratio": 2, "ex_date": NOON}, "without a time"),
        ({"kind": ActionKind.SPLIT, "ratio": "x"}, "finite number"),
        ({"kind": "split", "ratio": 2}, "kind must be one of"),
    ],
)
def test_an_action_whose_fields_do_not_fit_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        CorporateAction(**({"symbol": "A", "ex_date": date(2014, 6, 9)} | fields))


def test_the_error_of_an_action_names_instrument_and_date() -> None:
    with pytest.raises(DataError, match="split of AAPL on 2014-06-09"):
        CorporateAction("AAPL", date(2014, 6, 9), ActionKind.SPLIT)
