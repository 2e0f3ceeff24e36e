"""Each fault is found under its code, and nothing else is said of the frame."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ml4t.backtest import datasets, lint
from ml4t.backtest.lint import CODES, LintFinding, LintReport
from ml4t.core.errors import DataError, UnknownNameError

Bars = Callable[..., pl.DataFrame]
Minutes = Callable[..., pl.DataFrame]


def put(frame: pl.DataFrame, row: int, **values: object) -> pl.DataFrame:
    """Return the frame with other values in one row."""
    here = pl.int_range(pl.len()) == row
    return frame.with_columns(
        pl.when(here).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def only(report: LintReport, code: str, severity: str = "error") -> LintFinding:
    """Return the one finding of a report, after a look that it is this one and says something."""
    assert [(each.code, each.severity.value) for each in report.findings] == [(code, severity)], report
    (found,) = report.findings
    assert found.found and found.why and found.fix
    return found


# Stamps -----------------------------------------------------------------------------------------


def test_bars_stamped_at_their_open_and_declared_as_closes_are_an_error(minutes: Minutes) -> None:
    report = lint(minutes("open"), stamp="close", interval="30m")
    found = only(report, "stamps-at-open")
    # 2024-01-02 opened at 9:30 in New York.
    assert (found.at, found.row, found.count) == ("2024-01-02T14:30:00Z", 0, 3)
    assert "3 of 3 sessions of XNYS" in found.found


def test_undeclared_stamps_at_the_open_are_a_doubt(minutes: Minutes) -> None:
    only(lint(minutes("open")), "stamps-at-open", "doubt")


@pytest.mark.parametrize(("made", "declared"), [("close", "close"), ("close", None), ("open", "open")])
def test_stamps_that_are_what_they_were_declared_to_be_are_clean(
    minutes: Minutes, made: str, declared: str | None
) -> None:
    assert lint(minutes(made), stamp=declared, interval="30m").findings == ()


def test_daily_bars_stamped_at_the_opening_time_are_found(bars: Bars) -> None:
    at_open = pl.col("session").cast(pl.Datetime("ns")) + pl.duration(hours=9, minutes=30)
    frame = bars().with_columns(timestamp=at_open.dt.replace_time_zone("America/New_York")).drop("session")
    assert only(lint(frame), "stamps-at-open", "doubt").count == 24
    close = frame.with_columns(pl.col("timestamp") + pl.duration(hours=6, minutes=30))
    assert lint(close).findings == ()


@pytest.mark.parametrize(("zone", "verdict"), [("UTC", "no other"), ("America/New_York", "no other")])
def test_naive_stamps_are_told_the_zone_that_fits(minutes: Minutes, zone: str, verdict: str) -> None:
    local = pl.col("timestamp").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    found = only(lint(minutes().with_columns(local)), "naive-stamps", "doubt")
    assert f"lie 100% as {zone}" in found.found
    assert verdict in found.found


def test_naive_stamps_at_odd_hours_fit_no_zone(minutes: Minutes) -> None:
    tokyo = pl.col("timestamp").dt.convert_time_zone("Asia/Tokyo").dt.replace_time_zone(None)
    report = lint(minutes().with_columns(tokyo))
    assert report.codes == ("naive-stamps", "out-of-hours")
    assert "at odd hours in each" in report.findings[0].found


def test_a_declared_zone_that_is_wrong_is_seen_by_the_hours(minutes: Minutes) -> None:
    naive = minutes().with_columns(pl.col("timestamp").dt.replace_time_zone(None))
    found = only(lint(naive, timezone="America/New_York"), "out-of-hours", "doubt")
    # Ends of bars at 15:00 to 21:00 taken for New York: those after 16:00 are outside, ten of thirteen a day.
    assert found.count == 3 * 10


def test_rows_after_today_are_an_error_and_the_clock_is_not_read(bars: Bars) -> None:
    frame = bars()
    found = only(lint(frame, today=dt.date(2024, 2, 1)), "future-row")
    # The 23rd and 24th session of 2024 are 2 and 5 February.
    assert (found.at, found.count) == ("2024-02-02", 2)
    assert lint(frame.with_columns(pl.col("session").dt.offset_by("200y")), calendar="weekdays").errors
    assert "future-row" not in lint(frame.with_columns(pl.col("session").dt.offset_by("100y"))).codes


def test_a_missing_stamp_is_an_error(bars: Bars) -> None:
    frame = put(bars(), 23, session=None)
    assert only(lint(frame), "stamp-missing").row == 23


def test_a_row_on_a_holiday_is_an_error(bars: Bars) -> None:
    # Martin Luther King's day 2024.
    frame = put(bars(), 23, session=dt.date(2024, 1, 15))
    report = lint(frame)
    assert report.codes == ("not-a-session", "unsorted")
    assert report.findings[0].found == "Monday 2024-01-15 is no session of XNYS"


def test_rows_in_the_wrong_order_are_a_doubt(bars: Bars) -> None:
    frame = bars()
    swapped = pl.concat([frame[:5], frame[6:7], frame[5:6], frame[7:]])
    found = only(lint(swapped), "unsorted", "doubt")
    assert (found.row, found.at) == (6, "2024-01-09")


def test_missing_sessions_are_a_doubt(bars: Bars) -> None:
    frame = bars()
    found = only(lint(pl.concat([frame[:8], frame[11:]])), "missing-sessions", "doubt")
    assert found.value == 3
    assert found.found.startswith("1 hole in all")


# Rows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("close", "how"), [(20.14, "the same values"), (20.2, "other values")])
def test_two_rows_of_one_session_are_an_error(bars: Bars, close: float, how: str) -> None:
    frame = bars()
    again = frame[4:5].with_columns(close=pl.lit(close if how == "other values" else frame["close"][4]))
    found = only(
        lint(pl.concat([frame, again.with_columns(high=pl.lit(frame["high"][4]))]), ignore=["unsorted"]),
        "duplicate-row",
    )
    assert (found.row, found.at) == (24, "2024-01-08")
    assert how in found.found


def test_two_times_of_one_session_are_one_session_under_two_labels(bars: Bars) -> None:
    at_close = pl.col("session").cast(pl.Datetime("ns")) + pl.duration(hours=16)
    frame = bars().with_columns(timestamp=at_close.dt.replace_time_zone("America/New_York")).drop("session")
    earlier = frame[4:5].with_columns(pl.col("timestamp") - pl.duration(hours=3))
    found = only(lint(pl.concat([frame[:4], earlier, frame[4:]])), "duplicate-row")
    assert "stamped at another time" in found.found


def test_a_session_that_is_there_again_under_the_next_label_is_an_error(bars: Bars) -> None:
    frame = bars()
    copied = frame.row(9, named=True)
    names = ("open", "high", "low", "close", "volume")
    found = only(lint(put(frame, 10, **{name: copied[name] for name in names})), "session-repeated")
    assert "are those of 2024-01-16" in found.found
    unknown = put(frame, 10, **{name: copied[name] for name in names}).drop("volume")
    only(lint(unknown), "session-repeated", "doubt")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"close": None}, "price-missing"),
        ({"open": float("nan")}, "price-missing"),
        ({"low": 0.0}, "price-not-positive"),
        ({"volume": -5.0}, "volume-negative"),
        ({"high": 19.0, "low": 21.0}, "high-below-low"),
        ({"close": 22.0}, "outside-range"),
    ],
)
def test_impossible_values_are_errors(bars: Bars, values: dict[str, object], code: str) -> None:
    found = only(lint(put(bars(), 7, **values)), code)
    assert (found.symbol, found.at, found.row) == ("A", "2024-01-11", 7)


def test_crossed_quotes_are_a_doubt_and_bad_ones_an_error(minutes: Minutes) -> None:
    quotes = minutes().select("symbol", "timestamp", bid_price="low", ask_price="high")
    assert lint(quotes, kind="quote").findings == ()
    only(lint(put(quotes, 3, bid_price=30.0), kind="quote"), "crossed-quotes", "doubt")
    only(lint(put(quotes, 3, bid_price=-1.0), kind="quote"), "price-not-positive")


# Adjusted prices --------------------------------------------------------------------------------


def test_an_adjusted_column_for_close_is_an_error(bars: Bars) -> None:
    frame = bars()
    assert "Adj Close" in only(lint(frame.rename({"close": "Adj Close"})), "adjusted-close").found
    both = frame.with_columns(adj_close=pl.col("close"))
    only(lint(both, columns={"close": "adj_close"}, ignore=["adjusted-feature"]), "adjusted-close")
    only(lint(both), "adjusted-feature", "doubt")


def test_an_adjusted_close_among_raw_prices_is_an_error(bars: Bars) -> None:
    # Half of what it was, until a split after the fifteenth session that open, high and low know nothing of.
    frame = bars().with_row_index()
    half = pl.when(pl.col("index") < 15).then((pl.col("close") / 2).round(2)).otherwise("close")
    found = only(
        lint(frame.with_columns(close=half).drop("index"), ignore=["split-unmarked"]), "adjusted-close"
    )
    assert found.count == 15
    assert "close is adjusted" in found.found


def test_a_raw_close_among_adjusted_prices_is_an_error(bars: Bars) -> None:
    frame = bars().with_columns(adj_close="close").with_columns(close=pl.col("close") * 2)
    found = only(lint(frame, ignore=["adjusted-feature", "split-unmarked"]), "adjusted-close")
    assert "open, high and low are adjusted" in found.found


def test_long_digits_until_the_last_rows_are_a_doubt(bars: Bars) -> None:
    frame = bars(40).with_row_index()
    factor = pl.when(pl.col("index") < 30).then(0.9873214).otherwise(1.0)
    adjusted = frame.with_columns(pl.col("open", "high", "low", "close") * factor).drop("index")
    found = only(lint(adjusted), "adjusted-prices", "doubt")
    # 30 of 40 rows, of which none is a round number by chance.
    assert found.count == 30


def test_a_split_that_prices_do_not_show_is_an_error(bars: Bars) -> None:
    frame = bars()
    actions = pl.DataFrame({"symbol": ["A"], "ex_date": ["2024-01-16"], "kind": ["split"], "ratio": [2.0]})
    found = only(lint(frame, actions=actions), "split-not-in-prices")
    assert found.at == "2024-01-16"
    assert "near 10.1" in found.found


# Jumps ------------------------------------------------------------------------------------------

CLOSES = [round(20 + 0.01 * i + 0.11 * (i % 3), 2) for i in range(24)]


@pytest.mark.parametrize(("ratio", "text"), [(2, "2:1"), (1.5, "1.5:1"), (0.1, "1:10")])
def test_a_split_without_an_action_is_found(bars: Bars, ratio: float, text: str) -> None:
    closes = [close if i < 12 else round(close / ratio, 2) for i, close in enumerate(CLOSES)]
    frame = put(bars(closes), 12, open=closes[12], high=closes[12] + 0.05, low=closes[12] - 0.05)
    found = only(lint(frame), "split-unmarked", "doubt")
    assert found.row == 12
    assert text in found.found
    other = pl.DataFrame({"symbol": ["A"], "ex_date": ["2023-01-17"], "kind": ["split"], "ratio": [2.0]})
    only(lint(frame, actions=other), "split-unmarked", "doubt" if ratio == 1.5 else "error")
    mine = pl.DataFrame({"symbol": ["A"], "ex_date": ["2024-01-19"], "kind": ["split"], "ratio": [ratio]})
    assert lint(frame, actions=mine).findings == ()


@pytest.mark.parametrize(("factor", "until"), [(100.0, 24), (0.01, 24), (100.0, 13), (10.0, 15)])
def test_a_change_of_unit_is_an_error(bars: Bars, factor: float, until: int) -> None:
    closes = [close * factor if 12 <= i < until else close for i, close in enumerate(CLOSES)]
    assert only(lint(bars(closes)), "unit-change").row == 12


@pytest.mark.parametrize(("spike", "severity"), [(34.0, "doubt"), (70.0, "error"), (5.0, "error")])
def test_a_move_that_is_undone_at_once_is_found(bars: Bars, spike: float, severity: str) -> None:
    closes = [*CLOSES[:12], spike, *CLOSES[13:]]
    assert only(lint(bars(closes)), "price-spike", severity).value == spike


def test_a_low_far_below_open_and_close_is_a_doubt(bars: Bars) -> None:
    only(lint(put(bars(), 9, low=2.0)), "price-spike", "doubt")


# Prices that stand still ------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "severity"), [(6, "doubt"), (12, "error")])
@pytest.mark.parametrize("volume", [0.0, 500.0, None])
def test_a_filled_tail_is_found(bars: Bars, days: int, severity: str, volume: float | None) -> None:
    frame = bars()
    dead = frame.tail(days).with_columns(
        *(pl.lit(20.0).alias(name) for name in ("open", "high", "low", "close")),
        volume=pl.lit(volume, dtype=pl.Float64),
    )
    severity = severity if volume is not None else "doubt"
    found = only(lint(pl.concat([frame.head(24 - days), dead])), "filled-after-delisting", severity)
    assert found.count == days


def test_stuck_prices_are_a_doubt_where_others_move(bars: Bars) -> None:
    stuck = bars([*CLOSES[:8], *[20.5] * 6, *CLOSES[14:]], symbol="B")
    for row in range(8, 14):
        stuck = put(stuck, row, open=20.5, high=20.55, low=20.45)
    found = only(lint(pl.concat([bars(), stuck])), "stuck-price", "doubt")
    assert (found.symbol, found.count) == ("B", 6)
    # Alone, six days say little.
    assert lint(stuck).findings == ()


# Volumes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [100, 1000, 0.01])
def test_volumes_that_change_their_unit_are_an_error(bars: Bars, factor: float) -> None:
    volumes = [float(round((5000 + 100 * i) * (factor if i >= 12 else 1))) for i in range(24)]
    found = only(lint(bars().with_columns(volume=pl.Series(volumes))), "volume-unit")
    assert found.row == 12


def test_volumes_that_are_price_times_shares_are_an_error(bars: Bars) -> None:
    frame = bars().with_columns(volume=(pl.col("close") * pl.col("volume")).round(2))
    found = only(lint(frame), "volume-currency")
    # 1000 shares at 20.00.
    assert found.found == "volume 20000.0 is 1,000 times the close 20.0"
    renamed = bars().rename({"volume": "dollar_volume"})
    only(lint(renamed, columns={"volume": "dollar_volume"}), "volume-currency")


def test_volumes_with_decimals_are_a_doubt_of_shares_and_usual_of_coins(bars: Bars) -> None:
    frame = bars().with_columns(pl.col("volume") + 0.37)
    only(lint(frame), "volume-fractional", "doubt")
    coins = bars(calendar="24/7").with_columns(pl.col("volume") + 0.37)
    assert lint(coins, calendar="24/7").findings == ()


# The feed's own word ----------------------------------------------------------------------------


def test_what_only_a_feed_refuses_is_passed_on(minutes: Minutes) -> None:
    # Bars of half an hour, declared as of an hour, overlap.
    found = only(lint(minutes("open"), stamp="open", interval="1h"), "feed-refuses")
    assert "bars of one instrument may not overlap" in found.found


def test_an_interval_that_is_too_short_is_the_doubt_of_the_feed(minutes: Minutes) -> None:
    found = only(lint(minutes("open"), stamp="open", interval="10m"), "feed-doubt", "doubt")
    assert "check interval" in found.found


# The report -------------------------------------------------------------------------------------


def test_every_code_can_be_ignored_and_an_unknown_one_is_refused(bars: Bars) -> None:
    frame = put(bars(), 7, close=22.0)
    assert lint(frame, ignore=["outside-range"]).findings == ()
    with pytest.raises(UnknownNameError, match="outside-range"):
        lint(frame, ignore=["outside-rang"])


def test_every_code_has_a_test_in_this_file() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [code for code in CODES if f'"{code}"' not in text] == []


def test_errors_come_first_and_many_symbols_are_cut_short(bars: Bars) -> None:
    spoilt = [put(bars(symbol=f"S{i:02}"), 7, close=22.0) for i in range(12)]
    report = lint(pl.concat([*spoilt, bars(symbol="T").with_columns(pl.col("volume") + 0.5)]))
    assert [each.severity.value for each in report.findings] == ["error"] * 12 + ["doubt"]
    assert "and 2 more symbols with outside-range" in repr(report)


def test_what_cannot_be_read_is_refused(bars: Bars, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data file"):
        lint(tmp_path / "absent.parquet")
    with pytest.raises(DataError, match="lint looks at rows of kind bar, quote, trade, not 'context'"):
        lint(bars(), kind="context")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="a bar needs open, high, low, close"):
        lint(bars().drop("high"))


def test_files_without_a_symbol_are_called_like_the_file_and_rows_name_theirs(
    bars: Bars, tmp_path: Path
) -> None:
    bars().drop("symbol").write_csv(tmp_path / "SPY.csv")
    put(bars(), 7, close=22.0).drop("symbol").write_parquet(tmp_path / "IBM.parquet")
    report = lint(tmp_path)
    assert report.symbols == 2
    found = only(report, "outside-range")
    assert (found.symbol, found.file, found.row) == ("IBM", "IBM.parquet", 7)


def test_the_shipped_prices_have_no_error_and_only_true_doubts() -> None:
    prices, actions = datasets.us_equity_daily(), datasets.us_equity_actions()
    assert lint(prices.drop("adj_close"), actions=actions).findings == ()
    assert lint(prices, actions=actions).codes == ("adjusted-feature",)
    # The three splits of the README, of two symbols.
    report = lint(datasets.path("us_equity_daily"), ignore=["adjusted-feature"])
    assert [(each.symbol, each.at, each.count) for each in report.findings] == [
        ("AAPL", "2000-06-21", 2),
        ("MSFT", "2003-02-18", 1),
    ]
    assert report.is_clean


def test_prints_may_share_an_instant_and_their_misprints_are_found(minutes: Minutes) -> None:
    prints = minutes().select("symbol", "timestamp", price="close", size="volume")
    twice = pl.concat([prints, prints[5:6]]).sort("timestamp")
    assert lint(twice, kind="trade").findings == ()
    only(lint(put(prints, 9, price=2050.0), kind="trade"), "unit-change")
    only(lint(put(prints, 9, price=64.0), kind="trade"), "price-spike")
    only(lint(put(prints, 9, size=-1.0), kind="trade"), "volume-negative")


def test_pandas_frames_and_mappings_by_symbol_are_read(bars: Bars) -> None:
    bad = put(bars(), 7, close=22.0)
    indexed = bad.drop("symbol").to_pandas().set_index("session")
    assert only(lint({"IBM": indexed, "SPY": bars().drop("symbol")}), "outside-range").symbol == "IBM"
    assert only(lint(bad.to_arrow()), "outside-range").row == 7


def test_nothing_at_all_is_clean(bars: Bars) -> None:
    assert repr(lint(bars()[:0])) == "data: 0 rows of 0 symbols: 0 errors, 0 doubts"
