"""What `[broker] settlement` says by date."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ml4t.backtest import DataFeed, Strategy, datasets, run
from ml4t.core.config import load_config
from ml4t.core.errors import ConfigError
from ml4t.engine.settlement import settlement_terms

DAY = dt.date(2024, 5, 28)
NUMBER = (DAY - dt.date(1970, 1, 1)).days


def config_of(days: dict[Any, int]) -> dict[str, Any]:
    return {"broker": {"settlement": {"days": days}}}


@pytest.mark.parametrize(
    ("days", "spellings"),
    [
        ({"2024-05-28": 1, DAY: 2}, "'2024-05-28' and as datetime.date(2024, 5, 28)"),
        ({DAY: 1, "2024-05-28": 1}, "datetime.date(2024, 5, 28) and as '2024-05-28'"),
        ({"2024-05-28": 1, "20240528": 2}, "'2024-05-28' and as '20240528'"),
        ({"2000-01-01": 3, "2024-05-28": 2, "2024-W22-2": 1}, "'2024-05-28' and as '2024-W22-2'"),
    ],
)
def test_two_spellings_of_a_day_are_told_of(days: dict[Any, int], spellings: str) -> None:
    words = f"2024-05-28 is there twice, as {spellings}; keep one"
    with pytest.raises(ConfigError) as caught:
        settlement_terms(load_config(config_of(days)))
    assert [(each.path, each.message) for each in caught.value.findings] == [
        ("broker.settlement.days", words)
    ]
    feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
    with pytest.raises(ConfigError, match="2024-05-28 is there twice"):
        run(Strategy, feed, config=config_of(days))


@pytest.mark.parametrize("day", ["2024-05-28", "20240528", DAY])
def test_one_spelling_of_a_day_is_that_day(day: Any) -> None:  # noqa: ANN401
    terms = settlement_terms(load_config(config_of({"2000-01-01": 3, day: 1})))
    assert terms == {"days": [(10_957, 3), (NUMBER, 1)], "unsettled": "good_faith"}


def test_what_is_no_date_is_told_of_once_each() -> None:
    with pytest.raises(ConfigError) as caught:
        settlement_terms(load_config(config_of({"soon": 1, "later": 2})))
    assert [each.message for each in caught.value.findings] == [
        "expected dates such as 2024-05-28, found 'soon'",
        "expected dates such as 2024-05-28, found 'later'",
    ]
