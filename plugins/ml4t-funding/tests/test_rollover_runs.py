"""Rollover of currency pairs in whole runs of both engines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml4t.backtest import DataFeed, Instrument, Results, Strategy, run
from ml4t.core.errors import DataError
from ml4t.funding import rollover_rates

ENGINES = ("rust", "reference")
FUNDED = {"funding_model": {"type": "PerpetualFunding"}}
EURUSD = Instrument(
    "EURUSD", asset_class="fx", currency="USD", calendar="fx_24_5", tick_size=Decimal("0.00001")
)
# From Friday, 20 December 2024, to Tuesday, 7 January 2025: days of the evenings of EUR/USD, by hand
# (the euro does not settle on 25 and 26 December and on 1 January; see the tests of value dates).
WEEKDAYS = [day for n in range(19) if (day := dt.date(2024, 12, 20) + dt.timedelta(n)).weekday() < 5]
DAYS = [3, 3, 0, 0, 1, 2, 1, 0, 3, 1, 1, 1, 1]


class Target(Strategy):
    """Holds the n-th position from the n-th close on."""

    def __init__(self, positions: Sequence[int]) -> None:
        self.left = list(positions)
        self.held = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        change = (self.left.pop(0) if self.left else self.held) - self.held
        if change:
            (broker.buy if change > 0 else broker.sell)("EURUSD", abs(change))
            self.held += change


def bars(closes: Sequence[float], days: Sequence[dt.date]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "symbol": ["EURUSD"] * len(closes),
            "session": days,
            **{name: closes for name in ("open", "high", "low", "close")},
            "volume": [1e9] * len(closes),
        }
    )


def trade(
    engine: str,
    positions: Sequence[int],
    closes: Sequence[float],
    rates: pl.DataFrame,
    days: Sequence[dt.date] = WEEKDAYS,
    **broker: Any,  # noqa: ANN401
) -> Results:
    terms = {"allows_short": True, "initial_cash": 10_000_000} | FUNDED | broker
    return run(
        Target(positions),
        DataFeed(bars(closes, days), stamp="session", instruments=[EURUSD], calendar="fx_24_5"),
        config={"backtest": {"engine": engine}, "broker": terms},
        funding=rates,
    )


def quoted(long_rate: float = -0.03, short_rate: float = 0.01) -> pl.DataFrame:
    row = {"symbol": "EURUSD", "ts_event": dt.datetime(2024, 1, 1, tzinfo=dt.UTC)}
    return pl.DataFrame([row | {"long_rate": long_rate, "short_rate": short_rate}])


def booked(results: Results) -> list[tuple[str, Decimal]]:
    """Time and cost of each posting, above zero where it was paid."""
    rows = results.ledger.filter(pl.col("kind") == "rollover").rows(named=True)
    assert all({row["debit"], row["credit"]} == {"funding", "cash"} for row in rows)
    sign = {"funding": 1, "cash": -1}
    return [(f"{row['ts_event']:%m-%d %H:%M}", sign[row["debit"]] * row["amount"]) for row in rows]


# OANDA's example with a broker that books cents: 9.52 a day, on Wednesday three times 9.519945, 28.56. It is
# bought at the open after Monday's evening.
@pytest.mark.parametrize("engine", ENGINES)
def test_a_broker_that_books_cents_takes_what_it_publishes(engine: str) -> None:
    days = [dt.date(2024, 3, day) for day in (4, 5, 6, 7, 8)]
    rates = rollover_rates(quoted(), days[0], days[-1])
    results = trade(engine, [100_000], [1.15826] * 5, rates, days, posting_quantum=Decimal("0.01"))
    expected = [("03-05 22:00", "9.52"), ("03-06 22:00", "28.56"), ("03-07 22:00", "9.52")]
    assert booked(results) == [(at, Decimal(cost)) for at, cost in [*expected, ("03-08 22:00", "9.52")]]
    assert results.portfolio_history["carry"][-1] == pytest.approx(57.12)
    # Each night is the part of its session; nothing else moved the account.
    parts = results.attribution.filter(pl.col("symbol") == "EURUSD")
    assert parts["funding"].to_list() == [Decimal(each) for each in ("-9.52", "-28.56", "-9.52", "-9.52")]
    assert parts["total"].to_list() == parts["funding"].to_list()
    assert not [note for note in results.warnings if "rates" in note]


@pytest.mark.parametrize("engine", ENGINES)
def test_whoever_is_flat_or_trades_within_a_day_pays_nothing(engine: str) -> None:
    days = [dt.date(2024, 3, day) for day in (4, 5, 6, 7)]
    rates = rollover_rates(quoted(), days[0], days[-1])
    assert booked(trade(engine, [], [1.1] * 4, rates, days)) == []
    # Held over Wednesday's evening alone.
    held = trade(engine, [0, 1_000, 0], [1.1] * 4, rates, days)
    assert booked(held) == [("03-06 22:00", Decimal("0.271232877"))]


@pytest.mark.parametrize("engine", ENGINES)
def test_evenings_outside_the_data_are_left_out_with_a_note(engine: str) -> None:
    days = [dt.date(2024, 3, day) for day in (5, 6, 7)]
    rates = rollover_rates(quoted(), dt.date(2024, 3, 1), dt.date(2024, 3, 15))
    results = trade(engine, [1_000], [1.1] * 3, rates, days)
    assert [at for at, _ in booked(results)] == ["03-06 22:00", "03-07 22:00"]
    assert [note for note in results.warnings if note.startswith("funding rates: 7 rows lie outside")]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_rate_of_shorts_that_is_no_number_is_refused(engine: str) -> None:
    rates = rollover_rates(quoted(), WEEKDAYS[0], WEEKDAYS[-1])
    odd = rates.with_columns(funding_rate_short=pl.lit(float("inf")))
    with pytest.raises(DataError, match="EURUSD at 2024-12-20T22:00:00Z: funding_rate_short is inf"):
        trade(engine, [1], [1.1] * len(WEEKDAYS), odd)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("symbol", "currency"), [("USDJPY", "USD"), ("EUR/USD", "EUR"), ("EUR.GBP", "USD")])
def test_a_pair_in_another_currency_than_its_second_is_refused(
    engine: str, symbol: str, currency: str
) -> None:
    second = symbol[-3:]
    says = f"{symbol} has asset_class 'fx' and currency '{currency}'.* an amount of {second}: declare .*"
    with pytest.raises(DataError, match=f"{says}currency='{second}'"):
        idle(engine, Instrument(symbol, asset_class="fx", currency=currency, calendar="fx_24_5"))


def test_only_pairs_have_a_second_currency() -> None:
    for each in (
        Instrument("EUR/USD", asset_class="fx", currency="USD", calendar="fx_24_5"),
        Instrument("CABLE", asset_class="fx", currency="USD", calendar="fx_24_5"),
        Instrument("GOOGLE", currency="USD", calendar="fx_24_5"),
    ):
        assert idle("rust", each).fills.is_empty()


def idle(engine: str, instrument: Instrument) -> Results:
    """Run a strategy that does nothing with one instrument."""
    days = WEEKDAYS[:2]
    rows = {"symbol": [instrument.symbol] * 2, "session": days, "volume": [1e9] * 2}
    frame = pl.DataFrame(rows | {name: [1.1] * 2 for name in ("open", "high", "low", "close")})
    feed = DataFeed(frame, stamp="session", instruments=[instrument], calendar="fx_24_5")
    return run(Strategy, feed, config={"backtest": {"engine": engine}})


cents = st.integers(90_000, 130_000).map(lambda n: n / 100_000)
yearly = st.integers(-80, 80).map(lambda n: n / 1000)


@settings(deadline=None)
@given(
    positions=st.lists(st.sampled_from([0, 25_000, 100_000, -40_000, -100_000]), min_size=12, max_size=12),
    closes=st.lists(cents, min_size=13, max_size=13),
    long_rate=yearly,
    short_rate=yearly,
)
def test_each_night_costs_units_times_price_times_rate_for_its_days(
    positions: list[int], closes: list[float], long_rate: float, short_rate: float
) -> None:
    """Over Christmas and the turn of the year, against OANDA's formula in fractions."""
    rates = rollover_rates(quoted(long_rate, short_rate), WEEKDAYS[0], WEEKDAYS[-1])
    expected = []
    # What is asked for at a close is held at the next one.
    for day, days, close, held in zip(WEEKDAYS, DAYS, closes, [0, *positions], strict=True):
        rate = Fraction(str(long_rate if held > 0 else short_rate))
        cost = -abs(held) * Fraction(str(close)) * rate * days / 365
        if cost:
            expected.append((f"{day:%m-%d} 22:00", cost))
    found = [booked(trade(engine, positions, closes, rates)) for engine in ENGINES]
    assert found[0] == found[1]
    assert [at for at, _ in found[0]] == [at for at, _ in expected]
    # Rounded once to 1e-9, of a float of at most 30 significant units of it.
    assert all(
        abs(Fraction(paid) - cost) < Fraction(1, 10**9)
        for (_, paid), (_, cost) in zip(found[0], expected, strict=True)
    )
