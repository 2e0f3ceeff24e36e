"""Whatever market data are given, there is a complete run or an error that says what is wrong with them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import polars as pl
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from invariants.running import plugins

from ml4t.backtest import DataFeed, Engine, Results, Strategy
from ml4t.core.errors import AccountingError, EngineInternalError, Ml4tError

from . import no_hang, part
from .frames import FORMS, Source, formed, frames, sources

NEVER = (AccountingError, EngineInternalError)


class Touch(Strategy):
    """Reads everything and buys one of each."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        repr((timestamp, context, broker.positions, broker.get_account_value()))
        for symbol in data.symbols:
            data.history("close", 3, symbol) if "close" in data[symbol] else repr(data[symbol])
            if data.get_latest_price(symbol) is not None and broker.get_position(symbol) is None:
                broker.buy(symbol, 1)


def run(source: Source, strategy: type[Strategy]) -> tuple[Results, list[DataFeed]] | Exception:
    """Run, or return the error; any other exception or warning is the test's."""
    with no_hang():
        try:
            feed = DataFeed(source.prices, **source.options)
            return Engine(feed, strategy, plugins=plugins()).run(), [feed]
        except (Ml4tError, TypeError) as error:
            assert not isinstance(error, NEVER)
            # What is given is data and declarations; only a declaration may be of a wrong type.
            assert isinstance(error, Ml4tError) or source.is_changed, error
            return error


def check_run(results: Results, feed: DataFeed) -> None:
    """The run is complete and what it reports is what was read."""
    assert results.status == "complete"
    assert results.run_info["counts"]["rows"] == feed.report.rows == results.manifest["data"][0]["rows"]
    assert sum(each.rows for each in feed.report.by_symbol) == feed.report.rows
    history = results.portfolio_history
    stamps = history["ts_event"].to_list()
    assert stamps == sorted(stamps)
    navs = results.nav["ts_event"].to_list()
    assert all(one < other for one, other in itertools.pairwise(navs))
    assert all(math.isfinite(value) for value in history["equity"].to_list())
    assert repr(results)
    assert repr(feed.report)


def check_error(error: Exception, source: Source) -> None:
    """The message is a sentence about the feed, one of its columns or symbols, or one of its options."""
    text = str(error)
    assert text.strip()
    assert "pyo3" not in text
    names = {"feed", "instrument", *source.options, *source.long.columns}
    if "symbol" in source.long.columns and source.long.schema["symbol"] == pl.String:
        names |= {symbol for symbol in source.long["symbol"].to_list() if symbol}
    assert any(name.strip() and name in text for name in names), text


def check(source: Source, strategy: type[Strategy]) -> bool:
    """Run and check; return whether it ran."""
    outcome = run(source, strategy)
    event(type(outcome).__name__)
    if isinstance(outcome, Exception):
        check_error(outcome, source)
        again = run(source, strategy)
        assert isinstance(again, type(outcome))
        assert str(again) == str(outcome)
        return False
    results, (feed,) = outcome
    check_run(results, feed)
    is_long = source.form.split(",")[0] in ("polars", "lazy", "pandas", "arrow")
    if is_long and not source.options.get("symbols") and "symbol" in source.long.columns:
        assert feed.report.rows == source.long.height, "a row was lost"
    return True


@pytest.mark.parametrize("strategy", [Strategy, Touch])
@part(1)
@given(source=sources())
def test_any_market_data_give_a_complete_run_or_a_message(source: Source, strategy: type[Strategy]) -> None:
    check(source, strategy)


@pytest.mark.parametrize("form", FORMS)
@part(10)
@given(frame=frames("bar", "session"))
def test_valid_bars_run_in_every_form_and_all_rows_are_read(form: str, frame: pl.DataFrame) -> None:
    if form == "wide":
        options: dict[str, Any] = {"kind": "trade", "stamp": "session"}
    else:
        options = {"stamp": "session"}
    prices = formed(frame, form)
    outcome = run(Source(prices, options, frame, form), Touch)
    assert not isinstance(outcome, Exception), outcome
    results, (feed,) = outcome
    check_run(results, feed)
    assert feed.report.rows == frame.height


@part(2)
@given(
    prices=st.none()
    | st.integers()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.lists(st.integers() | st.text(max_size=3), max_size=3)
    | st.dictionaries(st.text(max_size=3) | st.integers() | st.none(), st.integers() | st.none(), max_size=3)
    | st.builds(object)
    | st.sampled_from(
        [Strategy, print, pl.Series([1.0]), pl.col("x"), {"open": pl.DataFrame()}, pl.DataFrame()]
    )
)
def test_what_is_no_market_data_is_refused(prices: Any) -> None:  # noqa: ANN401
    source = Source(prices, {"stamp": "close", "interval": "1m"}, pl.DataFrame())
    assert not check(source, Strategy)
