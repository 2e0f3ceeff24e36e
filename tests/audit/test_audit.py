"""What `audit` alters, compares and refuses."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t.backtest import CorporateAction, DataFeed, Engine, Strategy, datasets
from ml4t.backtest.audit import Decision, alter, audit
from ml4t.backtest.audit.alter import HOWS, How
from ml4t.backtest.audit.compare import first_difference
from ml4t.backtest.audit.outside_tables import Cut, alter_table
from ml4t.backtest.data import MarketData
from ml4t.core.errors import ArgumentError
from ml4t.core.types import ActionKind

DAY = 86_400 * 10**9
PRICES = datasets.us_equity_daily().sort("session").tail(400)
UNTIL = int(np.datetime64("2012-12-31T21:00", "ns").astype(np.int64))


class Hold(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if broker.get_position("IBM") is None and not broker.open_orders:
            broker.order_target_percent("IBM", 0.9)


def market() -> MarketData:
    dividend = CorporateAction(
        "IBM", PRICES["session"][-10], ActionKind.CASH_DIVIDEND, amount="0.5", pay_date=PRICES["session"][-5]
    )
    scores = PRICES.select(
        ts_event=pl.col("session").cast(pl.Datetime("ns", "UTC")).dt.offset_by("22h"),
        asset_id="symbol",
        score="close",
    )
    return Engine(DataFeed(PRICES, stamp="session"), Hold, signals=scores, actions=[dividend]).data


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("how", ["garbage", "shuffled", "removed"])
def test_what_follows_an_instant_is_another_and_what_precedes_it_is_not(how: How) -> None:
    data = market()
    changed = alter(data, UNTIL, how, rng())
    one, other = data.feeds[0].frame, changed.feeds[0].frame
    past = pl.col("ts_event") <= UNTIL
    assert one.filter(past).equals(other.filter(past))
    assert not one.filter(~past).equals(other.filter(~past))
    assert other.filter(~past).height == (5 if how == "removed" else one.filter(~past).height)
    assert data.signals is not None and changed.signals is not None
    arrived = pl.col("ts_arrival") <= UNTIL
    assert data.signals.frame.filter(arrived).equals(changed.signals.frame.filter(arrived))
    assert not data.signals.frame.equals(changed.signals.frame)
    assert data.span_ns == changed.span_ns


@pytest.mark.parametrize("how", ["garbage", "shuffled"])
def test_altered_bars_are_bars(how: How) -> None:
    frame = alter(market(), UNTIL, how, rng()).feeds[0].frame
    prices = frame.select("open", "close").to_numpy()
    assert (frame["low"].to_numpy() > 0).all()
    assert (frame["low"].to_numpy() <= prices.min(axis=1)).all()
    assert (frame["high"].to_numpy() >= prices.max(axis=1)).all()


@pytest.mark.parametrize("how", ["garbage", "shuffled", "removed"])
def test_a_bar_that_is_open_at_the_instant_keeps_its_open(how: How) -> None:
    data = market()
    opened = data.feeds[0].frame.filter(pl.col("ts_event") > UNTIL)["ts_open"][0]
    frame = alter(data, opened, how, rng()).feeds[0].frame
    one, other = (each.filter(pl.col("ts_open") == opened) for each in (data.feeds[0].frame, frame))
    assert one.select("ts_event", "ts_open", "open").equals(other.select("ts_event", "ts_open", "open"))
    assert (one["close"] != other["close"]).all()


def test_a_split_to_come_halves_the_past_of_adjusted_prices_only() -> None:
    data = market()
    one, other = data.feeds[0].frame, alter(data, UNTIL, "split", rng()).feeds[0].frame
    assert one.drop("adj_close").equals(other.drop("adj_close"))
    ratio = other.select(other["adj_close"] / one["adj_close"]).to_series()
    assert set(ratio.to_list()) <= {1.0, 0.5, 0.25}
    assert (ratio.filter(one["ts_event"] > UNTIL) == 1.0).all()
    assert (ratio != 1.0).any()


@pytest.mark.parametrize("how", HOWS)
def test_the_same_seed_alters_alike(how: How) -> None:
    one, other = (alter(market(), UNTIL, how, rng()).fingerprints for _ in range(2))
    assert one == other


def test_an_altered_market_runs() -> None:
    data = market()
    engine = Engine(DataFeed(PRICES, stamp="session"), Hold)
    for how in HOWS:
        results = engine.with_data(alter(data, UNTIL, how, rng())).run()
        assert results.status == "complete"
    assert engine.data is not data


def test_a_table_is_cut_at_arrival_where_it_has_one_and_else_at_its_time() -> None:
    days = pl.date_range(pl.date(2012, 12, 1), pl.date(2013, 1, 31), eager=True)
    frame = pl.DataFrame({"period": days, "value": np.arange(len(days), dtype=float) + 1.0})
    cut = Cut(UNTIL, "garbage", 1, market())
    kept = (alter_table(frame, cut)["value"] == frame["value"]).to_list()
    assert kept == [day <= np.datetime64("2012-12-31") for day in days.to_numpy()]
    filed = frame.with_columns(filed=pl.col("period").dt.offset_by("10d"))
    kept = (alter_table(filed, cut)["value"] == frame["value"]).to_list()
    assert kept == [day <= np.datetime64("2012-12-21") for day in days.to_numpy()]


def test_prices_of_a_day_are_known_at_its_close() -> None:
    frame = PRICES.filter(pl.col("symbol") == "IBM").select("session", "close")
    data = market()
    for until, last in ((UNTIL, "2012-12-31"), (UNTIL - 1, "2012-12-28")):
        changed = alter_table(frame, Cut(until, "garbage", 1, data))
        same = frame.filter(frame["close"] == changed["close"])["session"]
        assert str(same[-1]) == last


def test_a_frame_that_has_no_dates_is_not_altered() -> None:
    assert alter_table(pl.DataFrame({"weight": [0.5, 0.5]}), Cut(UNTIL, "garbage", 1, market())) is None


def test_the_first_difference_is_told_with_its_instant() -> None:
    one = [Decision(1, "buy", ("A", 1.0)), Decision(3, "buy", ("A", 2.0))]
    other = [Decision(1, "buy", ("A", 1.0 + 1e-13)), Decision(2, "sell", ("A", 1.0))]
    difference = first_difference(one, other)
    assert difference is not None
    assert (difference.at_ns, difference.before, difference.after) == (2, None, other[1])
    assert first_difference(one, other, until_ns=1) is None


def test_a_report_names_decision_line_and_remedy() -> None:
    class Ahead(Strategy):
        def __init__(self, prices: pl.DataFrame) -> None:
            self.last = prices["close"][-1]

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if data["IBM"]["close"] < self.last and not broker.positions and not broker.open_orders:
                broker.order_target_percent("IBM", 0.5)
            elif data["IBM"]["close"] > self.last and not broker.open_orders:
                broker.close_position("IBM")

    ibm = PRICES.filter(pl.col("symbol") == "IBM")
    report = audit(Ahead, DataFeed(ibm, stamp="session"), params={"prices": ibm})
    assert not report.ok
    assert report.findings[0].kind == "outside_data"
    text = report.text()
    for part in ("parameter prices", "test_audit.py:", "became:", "Hand the table to the run"):
        assert part in text
    again = audit(Ahead, DataFeed(ibm, stamp="session"), params={"prices": ibm})
    assert again.text() == text, "the same seed gives the same report"


def test_a_file_that_is_opened_comes_with_another_future(tmp_path: Path) -> None:
    path = tmp_path / "closes.csv"
    PRICES.filter(pl.col("symbol") == "IBM").select("session", "close").write_csv(path)

    class Reading(Strategy):
        ahead = 1

        def on_start(self) -> None:
            with open(path, encoding="utf-8") as file:
                rows = [(row["session"], float(row["close"])) for row in csv.DictReader(file)]
            self.days, self.closes = zip(*rows, strict=True)

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            at = self.days.index(timestamp.date().isoformat())
            other = self.closes[min(max(at + self.ahead, 0), len(self.closes) - 1)]
            wanted = (other - self.closes[at]) * self.ahead > 0
            if wanted != (broker.get_position("IBM") is not None) and not broker.open_orders:
                broker.order_target_percent("IBM", 0.9 if wanted else 0.0)

    class Behind(Reading):
        ahead = -1

    feed = DataFeed(PRICES.filter(pl.col("symbol") == "IBM"), stamp="session")
    report = audit(Reading, feed)
    assert [finding.kind for finding in report.findings] == ["outside_data"]
    assert report.findings[0].read.startswith("closes.csv, read at test_audit.py:")
    assert audit(Behind, feed).ok


def test_a_strategy_that_fails_cannot_be_audited() -> None:
    class Broken(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            msg = "no"
            raise ValueError(msg)

    with pytest.raises(ArgumentError, match="its run fails: ValueError: no"):
        audit(Broken, DataFeed(PRICES, stamp="session"))


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ArgumentError, match="neither of data and frames"):
        audit(Hold)
    with pytest.raises(ArgumentError, match="instants = 0"):
        audit(Hold, DataFeed(PRICES, stamp="session"), instants=0)
    with pytest.raises(ArgumentError, match="expected the keywords of Engine"):
        audit(lambda frames: Hold, frames={})
