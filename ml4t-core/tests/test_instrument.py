"""The instrument and its exact steps."""

from __future__ import annotations

import pickle
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core import AssetClass, ConfigError, Instrument
from ml4t.core.instrument import MAX_EXPONENT_SUM


def test_equal_numbers_make_equal_instruments() -> None:
    made = [
        Instrument("X", tick_size=tick, multiplier=m)
        for tick, m in (("0.10", 50), (0.1, "50.0"), (Decimal("0.1"), 50.0))
    ]
    assert made[0] == made[1] == made[2]
    assert len({hash(each) for each in made}) == 1
    assert repr(made[0]) == repr(made[1])


def test_a_share_has_whole_units_and_nine_decimals_of_price() -> None:
    share = Instrument("AAPL")
    assert (share.price_exponent, share.quantity_exponent) == (9, 0)
    assert (share.tick_size, share.lot_size) == (Decimal("0.01"), 1)


def test_a_fractional_instrument_has_eight_decimals_of_quantity() -> None:
    coin = Instrument.fractional("BTC", asset_class=AssetClass.CRYPTO, calendar="24/7")
    assert (coin.quantity_exponent, coin.lot_size) == (8, Decimal("1e-8"))
    assert Instrument.fractional("ETH", lot_size="0.001").lot_size == Decimal("0.001")
    assert Instrument.fractional("SOL", quantity_exponent=3).lot_size == Decimal("0.001")


def test_an_asset_class_may_be_given_by_name() -> None:
    assert Instrument("ES", asset_class="future").asset_class is AssetClass.FUTURE  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"found 'futur'; allowed: equity, etf, .*did you mean 'future'\?"):
        Instrument("ES", asset_class="futur")  # type: ignore[arg-type]


def test_a_venue_is_a_name_or_that_of_the_calendar() -> None:
    assert Instrument("ES").venue is None
    assert Instrument("ES", venue="XCME") != Instrument("ES")
    for found in ("", 5):
        with pytest.raises(ConfigError, match=f"venue: expected a text without .*, found {found!r}"):
            Instrument("ES", venue=found)  # type: ignore[arg-type]


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        Instrument(
            " A",
            currency="",
            venue="XCME ",
            asset_class="equities",  # type: ignore[arg-type]
            tick_size="x",
            lot_size=0,
            multiplier=-1,
            price_exponent=19,
            quantity_exponent=True,
        )
    paths = [finding.path for finding in refused.value.findings]
    assert paths == [
        "symbol",
        "currency",
        "venue",
        "asset_class",
        "tick_size",
        "lot_size",
        "multiplier",
        "price_exponent",
        "quantity_exponent",
    ]
    assert str(refused.value).startswith("Instrument ' A': 9 problems")


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"tick_size": "0.001", "price_exponent": 2}, "tick_size", "0.001 needs price_exponent = 3, found 2"),
        ({"lot_size": "0.1"}, "lot_size", "0.1 needs quantity_exponent = 1, found 0"),
        ({"quantity_exponent": 10}, "price_exponent", "found 19"),
        ({"multiplier": "0.01", "quantity_exponent": 8}, "price_exponent", "found 19"),
    ],
)
def test_steps_finer_than_the_engine_keeps_are_refused(
    fields: dict[str, object], path: str, words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        Instrument("X", **fields)  # type: ignore[arg-type]
    (finding,) = refused.value.findings
    assert finding.path == path
    assert words in finding.message


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_exponents_are_accepted_exactly_up_to_the_decimals_of_cash(
    price: int, quantity: int, places: int
) -> None:
    multiplier = Decimal(1).scaleb(-places) * 3
    fits = price + quantity + places <= MAX_EXPONENT_SUM
    fields = {
        "tick_size": 1,
        "price_exponent": price,
        "quantity_exponent": quantity,
        "multiplier": multiplier,
    }
    if fits:
        assert Instrument("X", **fields).multiplier == multiplier  # type: ignore[arg-type]
    else:
        with pytest.raises(ConfigError):
            Instrument("X", **fields)  # type: ignore[arg-type]


def test_an_instrument_is_immutable_and_can_be_pickled() -> None:
    es = Instrument("ES", asset_class=AssetClass.FUTURE, tick_size=0.25, multiplier=50)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        es.symbol = "NQ"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(es)) == es
