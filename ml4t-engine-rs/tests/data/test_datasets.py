from __future__ import annotations

import hashlib
import re

import polars as pl
import pytest

from ml4t.backtest import datasets
from ml4t.core.errors import UnknownNameError


def test_the_files_are_the_ones_whose_checksums_the_readme_states() -> None:
    readme = datasets.path("us_equity_daily").with_name("README.md").read_text()
    stated = dict(re.findall(r"- (\w+)\.parquet ([0-9a-f]{64})", readme))
    assert stated == {
        name: hashlib.sha256(datasets.path(name).read_bytes()).hexdigest() for name in datasets.names()
    }


def test_the_readme_attributes_the_data() -> None:
    readme = datasets.path("us_equity_daily").with_name("README.md").read_text()
    assert "Quandl WIKI Prices (public domain), via bokeh_sampledata" in readme


def test_the_frames_are_what_the_readme_says() -> None:
    daily = datasets.us_equity_daily()
    assert daily.height == 12_154
    assert daily.columns == ["symbol", "session", "open", "high", "low", "close", "volume", "adj_close"]
    assert daily.equals(daily.sort("session", "symbol"))
    actions = datasets.us_equity_actions()
    assert actions.height == 95
    assert actions.columns == ["symbol", "ex_date", "kind", "ratio", "amount"]


def test_no_bar_of_the_shipped_prices_leaves_its_range() -> None:
    daily = datasets.us_equity_daily()
    inside = (pl.min_horizontal("open", "close") >= pl.col("low")) & (
        pl.max_horizontal("open", "close") <= pl.col("high")
    )
    assert daily.filter(~inside).height == 0


def test_an_unknown_data_set_lists_those_that_there_are() -> None:
    with pytest.raises(UnknownNameError, match="us_equity_actions, us_equity_daily"):
        datasets.path("us_equity")
