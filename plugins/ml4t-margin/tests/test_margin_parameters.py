"""Parameters out of their range are refused with name and value, from Python and from files alike."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ml4t.core.errors import ConfigError
from ml4t.core.structuring import structure
from ml4t.margin import (
    CloseAll,
    CryptoMargin,
    FixedLeverage,
    FuturesMargin,
    LargestLoserFirst,
    PortfolioMargin,
    ProRata,
    RegT,
)

ALL = (
    RegT,
    FixedLeverage,
    PortfolioMargin,
    FuturesMargin,
    CryptoMargin,
    LargestLoserFirst,
    ProRata,
    CloseAll,
)
REFUSED: list[tuple[type[Any], dict[str, Any], str]] = [
    (RegT, {"initial": 0}, r"initial: expected a number above 0 and at most 1, found 0"),
    (RegT, {"initial": 1.5}, r"initial: .* found 1\.5"),
    (RegT, {"initial": "0.5"}, r"initial: .* found '0\.5'"),
    (RegT, {"maintenance_long": math.nan}, r"maintenance_long: .* found nan"),
    (
        RegT,
        {"maintenance_long": 0.6},
        r"maintenance_long: expected at most initial, which is 0\.5, found 0\.6",
    ),
    (RegT, {"maintenance_short": -0.3}, r"maintenance_short: .* found -0\.3"),
    (RegT, {"intraday": 0}, r"intraday: .* found 0"),
    (RegT, {"special": {"A": 0}}, r"special\.A: expected a fraction above 0, found 0"),
    (RegT, {"special": {"A": "x"}}, r"special\.A: .* found 'x'"),
    (RegT, {"special": 1.0}, r"special: expected a table.*, found 1\.0"),
    (FixedLeverage, {"leverage": 0}, r"leverage: expected a number above 0, found 0"),
    (FixedLeverage, {"leverage": math.inf}, r"leverage: .* found inf"),
    (FixedLeverage, {"maintenance": -0.1}, r"maintenance: .* found -0\.1"),
    (
        FixedLeverage,
        {"leverage": 5},
        r"maintenance: expected at most 1 / leverage, which is 0\.2, found 0\.25",
    ),
    (PortfolioMargin, {"moves": {}}, r"moves: expected at least one class, found none"),
    (PortfolioMargin, {"moves": {"stock": [0.1, 0.2]}}, r"moves\.stock: .* found \(0\.1, 0\.2\)"),
    (PortfolioMargin, {"moves": {"stock": [-0.1, -0.05]}}, r"moves\.stock: .* found"),
    (PortfolioMargin, {"moves": {"stock": [-1.1, 0.2]}}, r"moves\.stock: .* found"),
    (PortfolioMargin, {"moves": {"stock": [-0.1]}}, r"moves\.stock: "),
    (PortfolioMargin, {"moves": {"stock": [-0.1, math.inf]}}, r"moves\.stock"),
    (
        PortfolioMargin,
        {"moves": {"etf": [-0.1, 0.1]}},
        r"default: expected one of the classes etf, found 'stock'",
    ),
    (PortfolioMargin, {"default": "bond"}, r"default: .* stock, index, small_cap, found 'bond'"),
    (
        PortfolioMargin,
        {"classes": {"SPX": "broad"}},
        r"classes\.SPX: expected one of the classes .*, found 'broad'",
    ),
    (PortfolioMargin, {"underlyings": {"SPY": ""}}, r"underlyings\.SPY: expected a text, found ''"),
    (PortfolioMargin, {"minimum": {"A": -1}}, r"minimum\.A: expected an amount of 0 or more, found -1"),
    (PortfolioMargin, {"minimum": {"A": math.nan}}, r"minimum\.A: .* found nan"),
    (PortfolioMargin, {"minimum": 37.5}, r"minimum: expected a table.*, found 37\.5"),
    (PortfolioMargin, {"points": 1}, r"points: expected a whole number from 2 to 1000, found 1"),
    (PortfolioMargin, {"points": 2.5}, r"points: .* found 2\.5"),
    (PortfolioMargin, {"points": True}, r"points: .* found True"),
    (PortfolioMargin, {"initial": 0.9}, r"initial: expected a number of 1 or more, found 0\.9"),
    (FuturesMargin, {"intraday": 0}, r"intraday: .* found 0"),
    (FuturesMargin, {"intraday": 1.1}, r"intraday: .* found 1\.1"),
    (CryptoMargin, {"leverage": -1}, r"leverage: .* found -1"),
    (
        CryptoMargin,
        {"leverage": 500},
        r"tiers: expected a first rate of at most 1 / leverage, which is 0\.002",
    ),
    (CryptoMargin, {"tiers": []}, r"tiers: expected a list of \[floor, rate\], at least one, found \(\)"),
    (CryptoMargin, {"tiers": [[1, 0.01]]}, r"tiers: expected floors that ascend from 0, found"),
    (CryptoMargin, {"tiers": [[0, 0.01], [9, 0.005]]}, r"tiers: expected rates .* that do not fall, found"),
    (CryptoMargin, {"tiers": [[0, 0.01], [9, 1.0]]}, r"tiers: expected rates of 0 or more and below 1"),
    (CryptoMargin, {"tiers": [[0, math.inf]]}, r"tiers: .* finite"),
    (CryptoMargin, {"tiers_by_symbol": {"BTC": [[5, 0.01]]}}, r"tiers_by_symbol\.BTC: expected tiers"),
    (CryptoMargin, {"tiers_by_symbol": {"BTC": [[0, 0.1]]}}, r"tiers_by_symbol\.BTC: expected a first rate"),
    (CryptoMargin, {"mode": "both"}, r"mode: .*found 'both'"),
    (CryptoMargin, {"liquidation_fee": -0.1}, r"liquidation_fee: .* found -0\.1"),
    (CryptoMargin, {"liquidation_fee": 1.1}, r"liquidation_fee: .* found 1\.1"),
    *(
        (cls, given, message)
        for cls in (LargestLoserFirst, ProRata, CloseAll)
        for given, message in (
            ({"grace": "-1s"}, r"grace: expected a duration .* found '-1s'"),
            ({"grace": "soon"}, r"grace: .* found 'soon'"),
            ({"grace": -1}, r"grace: .* found -1"),
            ({"grace": 2**63}, r"grace: .* found 9223372036854775808"),
            ({"grace": 1.5}, r"grace: .* found 1\.5"),
            ({"grace": True}, r"grace: .* found True"),
            ({"warn_at": 0}, r"warn_at: .* found 0"),
            ({"warn_at": 1.1}, r"warn_at: expected a number above 0 and at most 1, found 1\.1"),
        )
    ),
    (LargestLoserFirst, {"buffer": -0.1}, r"buffer: .* found -0\.1"),
    (ProRata, {"buffer": math.inf}, r"buffer: .* found inf"),
    (ProRata, {"buffer": "all"}, r"buffer: .* found 'all'"),
]


@pytest.mark.parametrize("in_file", [False, True], ids=["python", "file"])
@pytest.mark.parametrize(
    ("cls", "given", "message"), REFUSED, ids=lambda part: getattr(part, "__name__", repr(part))
)
def test_a_parameter_out_of_range_is_refused_with_its_name_and_value(
    cls: type[Any],
    given: dict[str, Any],
    message: str,
    in_file: bool,  # noqa: FBT001
) -> None:
    # A file refuses what is of another type by itself, in words of its own.
    expected = message.partition(":")[0] if in_file else message
    with pytest.raises(ConfigError, match=expected):
        structure(given, cls) if in_file else cls(**given)


@pytest.mark.parametrize("name", ["bound", "Initial", "rates"])
def test_a_parameter_of_no_model_is_refused_by_its_name(name: str) -> None:
    for cls in ALL:
        with pytest.raises(ConfigError, match=f"{name}: unknown key"):
            structure({name: 1}, cls)
