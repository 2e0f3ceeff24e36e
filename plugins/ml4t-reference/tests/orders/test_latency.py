"""Latency: what is drawn, and when orders, changes and cancels reach the venue."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import Engine, Results, Strategy
from ml4t.backtest.latency import Drawn
from ml4t.reference.randoms import draw, fraction_of, philox

from .market import FLAT, START, at, fills, hourly, play, prints

ONES = 2**32 - 1
S = 10**9
UNIFORM = {"distribution": "uniform", "low": "0s", "high": "50m"}
Rows = list[tuple[str, dt.datetime]]


def told(results: Results, *codes: str) -> Rows:
    """Return code and time of the rows that have one of some codes, or any."""
    rows = results.order_events.filter(pl.col("reason_code") != "")
    rows = rows.filter(pl.col("reason_code").is_in(codes)) if codes else rows
    return rows.select("reason_code", "ts_event").rows()


def after(start: dt.datetime, ns: int) -> dt.datetime:
    """Return an instant to the microsecond, as Python shows those of a table."""
    return start + dt.timedelta(microseconds=ns // 1_000)


# -- draws -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "block"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
    ids=["zeros", "ones", "digits of pi"],
)
def test_the_generator_gives_the_published_blocks(
    counter: tuple[int, int, int, int], key: tuple[int, int], block: tuple[int, int, int, int]
) -> None:
    """The known answers of philox4x32-10 that its authors publish with Random123."""
    assert philox(counter, key) == block


def test_a_draw_is_of_the_seed_the_order_the_model_and_the_attempt_all_halves_of_them() -> None:
    seed, order = (7 << 32) + 3, (5 << 32) + 2
    first, second, _, _ = philox((2, 5, 34, 9), (3, 7))
    k = fraction_of(seed, order, 17, 9)
    assert k == (first << 21) + (second >> 11)
    others = {
        fraction_of(*changed)
        for changed in [
            (3, order, 17, 9),
            (seed + 1, order, 17, 9),
            (seed, 2, 17, 9),
            (seed, order + 1, 17, 9),
            (seed, order, 16, 9),
            (seed, order, 17, 8),
        ]
    }
    assert len(others - {k}) == 6


def test_a_draw_lies_on_the_line_between_two_quantiles_and_is_rounded_down() -> None:
    quantiles = (0, 10, 20, 101)
    assert draw(quantiles, 0) == 0
    # Half of three steps is in the middle of the second, five sixths of them in that of the third: 60.5.
    assert draw(quantiles, 2**52) == 15
    assert draw(quantiles, 2**53 * 5 // 6 + 1) == 60
    assert draw(quantiles, 2**53 - 1) == 100
    assert draw((5, 5), 2**53 - 1) == 5
    # (2**63 - 1) x (2**53 - 1) / 2**53 is 2**63 - 2**10 - 1 and a bit.
    assert draw((0, 2**63 - 1), 2**53 - 1) == 2**63 - 2**10 - 1


@pytest.mark.parametrize(
    ("drawn", "mean", "median"),
    [
        (Drawn(distribution="uniform", low="1s", high="3s"), 2.0, 2.0),
        # A mean of 1 s beyond 1 s, less what is cut off at the end; the median is ln 2 beyond it.
        (Drawn(distribution="exponential", mean="1s", minimum="1s"), 2.0, 1.693),
        # exp(0.5 ** 2 / 2) is 1.133.
        (Drawn(distribution="lognormal", median="1s", sigma=0.5), 1.133, 1.0),
    ],
    ids=["uniform", "exponential", "lognormal"],
)
def test_many_draws_have_the_mean_and_the_median_of_their_distribution(
    drawn: Drawn, mean: float, median: float
) -> None:
    found = sorted(draw(drawn.quantiles_ns, fraction_of(11, order, 16, 0)) / S for order in range(4_000))
    assert sum(found) / len(found) == pytest.approx(mean, rel=0.03)
    assert found[2_000] == pytest.approx(median, rel=0.03)


# -- messages ----------------------------------------------------------------------------------------------


class Messages:
    """Sends a limit that rests at the first call, and what is named at the others."""

    def __init__(self, **terms: Any) -> None:  # noqa: ANN401 - of `OrderTerms`
        self.terms: dict[str, Any] = {"limit_price": 90} | terms
        self.pending: list[str | None] = []

    def send(self, now: Any) -> None:  # noqa: ANN401 - the running strategy
        self.order = now.broker.buy("A", 10, **self.terms)

    def change(self, now: Any) -> None:  # noqa: ANN401
        now.broker.modify_order(self.order, limit_price=91)

    def cancel(self, now: Any) -> None:  # noqa: ANN401
        now.broker.cancel_order(self.order)

    def look(self, now: Any) -> None:  # noqa: ANN401
        self.pending.append(self.order.pending)


def test_every_kind_of_message_takes_its_own_time() -> None:
    case = Messages()
    latency = {"submit": "10m", "modify": "20m", "cancel": "50m"}
    results = play(hourly(*(FLAT,) * 6), {0: case.send, 1: case.change, 2: case.cancel}, latency=latency)
    assert told(results) == [
        ("REPLACE_REQUESTED", at(2, 2)),
        ("REPLACED", at(2, 2, 20)),
        ("CANCEL_REQUESTED", at(2, 3)),
        ("CANCELED_BY_REQUEST", at(2, 3, 50)),
    ]


def test_a_cancel_without_latency_is_pending_while_its_order_is_under_way() -> None:
    case = Messages()

    def both(now: Any) -> None:  # noqa: ANN401 - the running strategy
        case.send(now)
        case.cancel(now)

    steps = {0: both, 1: case.look, 2: case.look, 3: case.look}
    results = play(hourly(*(FLAT,) * 6), steps, latency={"submit": "2h30m"})
    assert told(results) == [("CANCEL_REQUESTED", at(2, 1)), ("CANCELED_BY_REQUEST", at(2, 3, 30))]
    assert case.pending == ["cancel", "cancel", None]


def test_what_is_about_a_refused_order_does_not_wait_for_it() -> None:
    """The order is refused when it is sent, so it is never under way, and the change takes its own time."""
    case = Messages(tag="off the tick", limit_price="90.001")

    def both(now: Any) -> None:  # noqa: ANN401 - the running strategy
        case.send(now)
        case.change(now)

    latency = {"submit": "3h", "modify": "10m"}
    results = play(hourly(*(FLAT,) * 6), {0: both}, latency=latency)
    assert told(results) == [
        ("OFF_TICK", at(2, 1)),
        ("REPLACE_REQUESTED", at(2, 1)),
        ("REPLACE_REJECTED", at(2, 1, 10)),
    ]


def test_changes_arrive_after_their_draws_and_never_before_an_earlier_one() -> None:
    """Nine changes, one an hour, each of up to 3 hours; expected is the running maximum of the draws."""
    case = Messages()
    steps = {0: case.send} | dict.fromkeys(range(1, 10), case.change)
    latency = {"modify": {"quantiles": ["0s", "1h", "3h"]}}
    results = play(hourly(*(FLAT,) * 14), steps, latency=latency)
    expected, last = [], START
    for attempt in range(9):
        ns = draw((0, 3_600 * S, 10_800 * S), fraction_of(0, 0, 17, attempt))
        last = max(last, after(START + dt.timedelta(hours=attempt + 2), ns))
        expected.append(("REPLACED", last))
    assert told(results, "REPLACED") == expected
    # Some of them had to wait.
    assert len({time for _, time in expected}) < 9


class OfTwo(Strategy):
    """Sends two orders and cancels the second; with `more`, changes the first meanwhile."""

    def __init__(self, *, more: bool) -> None:
        self.more = more
        self.calls = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if self.calls == 0:
            self.orders = [broker.buy("A", 10, limit_price=price) for price in (90, 91)]
        if self.calls == 1 and self.more:
            broker.modify_order(self.orders[0], limit_price=89)
        if self.calls == 2:
            broker.cancel_order(self.orders[1])
        self.calls += 1


def canceled(*, more: bool, seed: int) -> Rows:
    config = {
        "backtest": {"engine": "reference", "seed": seed},
        "broker": {"latency": {"submit": UNIFORM, "modify": UNIFORM, "cancel": UNIFORM}},
    }
    results = Engine(hourly(*(FLAT,) * 6), OfTwo(more=more), config=config).run()
    return told(results, "CANCELED_BY_REQUEST")


def test_a_draw_does_not_depend_on_what_else_is_sent() -> None:
    ns = draw((0, 3_000 * S), fraction_of(3, 1, 18, 0))
    expected = [("CANCELED_BY_REQUEST", after(START + dt.timedelta(hours=3), ns))]
    assert canceled(more=False, seed=3) == canceled(more=True, seed=3) == expected
    assert canceled(more=False, seed=4) != expected


def test_an_order_under_way_meets_no_print_and_one_that_has_arrived_meets_the_next() -> None:
    """Order 0 is drawn from 1,025 quantiles; prints a minute apart tell when it was there."""
    drawn = Drawn(distribution="exponential", mean="10m", minimum="5m")
    latency = {"submit": {"distribution": "exponential", "mean": "10m", "minimum": "5m"}}
    ns = draw(drawn.quantiles_ns, fraction_of(0, 0, 16, 0))
    minutes = ns // (60 * S) + 1
    feed = prints(*range(100, 160), step=1)
    results = play(feed, {0: lambda now: now.broker.buy("A", 10)}, latency=latency)
    # k is 0.749407 of the way: 5 min - 10 min x ln(1 - 0.749407) = 18.84 min.
    assert minutes == 19
    assert fills(results) == [(119.0, 10.0)]
