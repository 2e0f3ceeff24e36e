"""Rates of currencies: in which forms they are read, and what is refused in one sentence."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed
from ml4t.backtest.data import assemble, read_fx_rates
from ml4t.backtest.data.fx import FxRates, fx_table
from ml4t.core.errors import DataError

TIMES = [dt.datetime(2024, 3, 4, 12, tzinfo=dt.UTC), dt.datetime(2024, 3, 5, 12, tzinfo=dt.UTC)]
FIRST, SECOND = (int(time.timestamp()) * 10**9 for time in TIMES)
NAIVE = [time.replace(tzinfo=None) for time in TIMES]
LAST = 2**63 - 1


def rates(**columns: Any) -> pl.DataFrame:  # noqa: ANN401
    """Return two rows of EURUSD, some columns replaced, and without those that are None."""
    given = {"pair": ["EURUSD", "EURUSD"], "ts_event": TIMES, "rate": [1.1, 1.2]} | columns
    return pl.DataFrame({name: values for name, values in given.items() if values is not None})


ROWS = [(FIRST, "EUR", "USD", 1.1), (SECOND, "EUR", "USD", 1.2)]


# -- what is read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", ["EURUSD", "EUR/USD", "EUR_USD", "EUR-USD", "eurusd", "Eur/Usd", " EURUSD "])
def test_a_pair_is_two_currencies_with_or_without_a_sign_between(pair: str) -> None:
    assert read_fx_rates(rates(pair=[pair, pair])).frame.rows() == ROWS


def test_longer_currencies_need_the_sign_between() -> None:
    read = read_fx_rates(rates(pair=["USDT/EUR", "BTC-USDT"])).frame
    assert read.select("base", "quote").rows() == [("USDT", "EUR"), ("BTC", "USDT")]
    with pytest.raises(DataError, match="row 0 has the pair 'USDTEUR'; expected two currencies such as"):
        read_fx_rates(rates(pair=["USDTEUR", "EURUSD"]))


def test_frames_of_every_library_are_the_same_rows(tmp_path: Path) -> None:
    frame = rates()
    frame.write_csv(tmp_path / "rates.csv")
    frame.write_parquet(tmp_path / "rates.parquet")
    sources = [frame, frame.lazy(), frame.to_pandas(), frame.to_pandas().set_index("ts_event")]
    sources += [frame.to_arrow(), tmp_path / "rates.csv", str(tmp_path / "rates.parquet"), [frame]]
    sources += [frame.with_columns(pl.col("pair").cast(pl.Categorical))]
    for source in sources:
        assert read_fx_rates(source).frame.rows() == ROWS


def test_what_has_been_read_is_not_read_again() -> None:
    once = read_fx_rates(rates())
    assert read_fx_rates(once) is once


def test_several_sources_are_one_table_and_all_files_are_known(tmp_path: Path) -> None:
    rates().write_csv(tmp_path / "one.csv")
    rates(pair=["USD/JPY"] * 2, rate=[150, 151]).write_parquet(tmp_path / "two.parquet")
    read = read_fx_rates([tmp_path / "one.csv", rates(pair=["GBPUSD"] * 2)])
    assert read.frame["base"].to_list() == ["EUR", "EUR", "GBP", "GBP"]
    assert [file.path.name for file in read.files] == ["one.csv"]
    parts = [read_fx_rates(tmp_path / name) for name in ("one.csv", "two.parquet")]
    read = read_fx_rates(parts)
    assert [file.path.name for file in read.files] == ["one.csv", "two.parquet"]
    assert read.frame.rows() == [*ROWS, (FIRST, "USD", "JPY", 150.0), (SECOND, "USD", "JPY", 151.0)]


def test_two_files_of_one_format_are_one_table(tmp_path: Path) -> None:
    for name, pair in (("a", "EURUSD"), ("b", "USDJPY")):
        rates(pair=[pair] * 2).write_csv(tmp_path / f"{name}.csv")
    read = read_fx_rates([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")])
    assert sorted(read.frame["quote"].to_list()) == ["JPY", "JPY", "USD", "USD"]
    assert len(read.files) == 2


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    names = {"pair": "ccy", "ts_event": "as_of", "rate": "mid"}
    renamed = rates().rename(names).with_columns(pl.lit(7).alias("volume"))
    assert read_fx_rates(renamed, columns=names).frame.rows() == ROWS
    renamed.write_csv(tmp_path / "rates.csv")
    assert read_fx_rates(tmp_path / "rates.csv", columns=names).frame.rows() == ROWS
    assert read_fx_rates(rates().rename({"pair": "Pair", "rate": "RATE"})).frame.rows() == ROWS
    assert read_fx_rates(rates().rename({"ts_event": "timestamp"})).frame.rows() == ROWS


def test_stamps_carry_their_zone_or_it_is_given() -> None:
    there = rates().with_columns(pl.col("ts_event").dt.convert_time_zone("Asia/Tokyo"))
    assert read_fx_rates(there).frame.rows() == ROWS
    text = rates(ts_event=["2024-03-04T12:00:00Z", "2024-03-05T13:00:00+01:00"])
    assert read_fx_rates(text).frame.rows() == ROWS
    local = rates(ts_event=[dt.datetime(2024, 3, 4, 7), dt.datetime(2024, 3, 5, 7)])
    assert read_fx_rates(local, timezone="America/New_York").frame.rows() == ROWS
    with pytest.raises(DataError, match=r"fx rates: the stamps are naive .*timezone="):
        read_fx_rates(rates(ts_event=NAIVE))


@pytest.mark.parametrize(
    "values", [["1.1", "1.2"], [Decimal("1.1"), Decimal("1.2")], [1.1, 1.2]], ids=["text", "Decimal", "float"]
)
def test_rates_are_numbers_however_they_are_written(values: Sequence[Any]) -> None:
    assert read_fx_rates(rates(rate=values)).frame.rows() == ROWS


def test_whole_numbers_are_rates() -> None:
    assert read_fx_rates(rates(rate=[1, 150])).frame["rate"].to_list() == [1.0, 150.0]


def test_both_ends_of_the_range_of_a_rate_are_inside() -> None:
    assert read_fx_rates(rates(rate=[1e-8, 1e8])).frame["rate"].to_list() == [1e-8, 1e8]


def test_a_table_without_rows_has_none() -> None:
    assert read_fx_rates(rates().clear()).frame.rows() == []


# -- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        ("pair", "fx rates: column pair is absent; the columns are ts_event, rate"),
        ("rate", "fx rates: column rate is absent; the columns are pair, ts_event"),
        ("ts_event", "fx rates: no column is the stamp; the columns are pair, rate"),
    ],
)
def test_a_column_that_is_absent_is_named(absent: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_fx_rates(rates().drop(absent))


def test_a_date_does_not_say_when_a_rate_could_be_known() -> None:
    days = [time.date() for time in TIMES]
    with pytest.raises(DataError, match=r"fx rates: column ts_event holds dates; give the instant"):
        read_fx_rates(rates(ts_event=days))
    with pytest.raises(DataError, match=r"fx rates: column ts_event holds dates; give the instant"):
        read_fx_rates(rates(ts_event=[str(day) for day in days]))


def test_a_stamp_that_is_missing_or_of_no_year_is_refused() -> None:
    with pytest.raises(DataError, match="fx rates: row 1 has no stamp"):
        read_fx_rates(rates(ts_event=[TIMES[0], None]))
    with pytest.raises(DataError, match=r"fx rates: .*1678 to 2261"):
        read_fx_rates(rates(ts_event=[TIMES[0], dt.datetime(2900, 1, 1, tzinfo=dt.UTC)]))


@pytest.mark.parametrize(
    ("rate", "shown"),
    [
        (None, "None"),
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (-1.2, "-1.2"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "nan"),
        (1.1e8, "110000000.0"),
        (9.9e-9, "9.9e-09"),
    ],
)
@pytest.mark.parametrize("as_text", [False, True], ids=["number", "text"])
def test_a_rate_that_none_can_be_is_named_with_its_pair_and_time(
    rate: float | None, shown: str, *, as_text: bool
) -> None:
    given: list[Any] = [1.1, rate]
    if as_text:
        given = ["1.1", "" if rate is None else repr(rate)]
    with pytest.raises(DataError) as refused:
        read_fx_rates(rates(pair=["GBPUSD", "EUR/USD"], rate=given))
    start = f"fx rates: EURUSD at 2024-03-05T12:00:00Z is {shown}, expected a number from 1e-08 to 1e+08"
    assert str(refused.value).startswith(start)


@pytest.mark.parametrize("text", ["x", "1,2", "1.2.3", "EUR"])
def test_text_that_is_no_number_is_named_with_its_row_and_pair(text: str) -> None:
    with pytest.raises(DataError, match=rf"row 1 \(EURUSD\) has the rate '{text}', which is no number"):
        read_fx_rates(rates(rate=["1.1", text]))


@pytest.mark.parametrize("values", [[True, False], [[1.1], [1.2]], TIMES], ids=["bool", "list", "times"])
def test_other_things_are_no_rates(values: Sequence[Any]) -> None:
    with pytest.raises(DataError, match=r"fx rates: column rate holds .*, expected numbers"):
        read_fx_rates(rates(rate=values))


@pytest.mark.parametrize("pair", ["USDUSD", "usd/USD", "EUR-EUR"])
def test_a_pair_of_one_currency_is_refused(pair: str) -> None:
    with pytest.raises(DataError, match=f"row 1 has the pair '{pair}', two times the same currency"):
        read_fx_rates(rates(pair=["EURUSD", pair]))


@pytest.mark.parametrize(
    "pair", ["", "EUR", "EURUS", "EURUSDX", "EUR USD", "EUR//USD", "€/USD", "E/USD", None]
)
def test_what_is_no_pair_is_refused(pair: str | None) -> None:
    with pytest.raises(DataError) as refused:
        read_fx_rates(rates(pair=["EURUSD", pair]))
    assert f"row 1 has the pair {pair!r}; expected two currencies such as 'EURUSD'" in str(refused.value)


@pytest.mark.parametrize("source", [None, 5, {"pair": ["EURUSD"]}, [None], [rates(), 5]])
def test_what_is_no_table_is_refused(source: object) -> None:
    with pytest.raises(DataError, match=r"fx rates: .* is no frame"):
        read_fx_rates(source)


def test_a_file_that_is_absent_is_named() -> None:
    with pytest.raises(DataError, match=r"fx rates: there is no data file at nowhere\.csv"):
        read_fx_rates("nowhere.csv")


# -- the table of a run ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sources",
    [
        [rates(ts_event=[TIMES[0], TIMES[0]])],
        [rates(), rates(pair=["eur/usd", "GBPUSD"])],
        [rates(ts_event=[TIMES[0], TIMES[0]], rate=[1.1, 1.1])],
    ],
    ids=["in one", "in two", "the same"],
)
def test_two_rates_at_one_time_are_refused(sources: list[pl.DataFrame]) -> None:
    read = read_fx_rates(sources)
    with pytest.raises(DataError, match="fx rates: EURUSD has two rows at 2024-03-04T12:00:00Z; keep one"):
        fx_table(read, LAST)


def test_both_directions_of_a_pair_may_have_a_row_at_one_time() -> None:
    table, notes = fx_table(read_fx_rates([rates(), rates(pair=["USDEUR"] * 2)]), LAST)
    assert table.height == 4
    assert notes == ()


def test_the_table_is_sorted_by_time_and_pair_whatever_the_rows_came_in() -> None:
    both = pl.concat([rates(), rates(pair=["CHFUSD", "CHFEUR"])])
    expected = [
        (FIRST, "CHF", "USD", 1.1),
        (FIRST, "EUR", "USD", 1.1),
        (SECOND, "CHF", "EUR", 1.2),
        (SECOND, "EUR", "USD", 1.2),
    ]
    for turn in (both, both.reverse(), both.sample(fraction=1.0, shuffle=True, seed=5)):
        assert fx_table(read_fx_rates(turn), LAST)[0].rows() == expected


@pytest.mark.parametrize(
    ("last", "kept", "note"),
    [
        (SECOND, 2, ()),
        (SECOND - 1, 1, ("fx rates: 1 row lies after the end of the market data",)),
    ],
)
def test_rows_after_the_end_are_left_and_noted(last: int, kept: int, note: tuple[str, ...]) -> None:
    table, notes = fx_table(read_fx_rates(rates()), last)
    assert (table.rows(), notes) == (ROWS[:kept], note)


def test_rates_that_all_come_after_the_end_are_refused() -> None:
    with pytest.raises(DataError, match=r"the first row is of .*, after the end of the market data at"):
        fx_table(read_fx_rates(rates()), FIRST - 1)


def bars(tmp_path: Path, **options: Any) -> Any:  # noqa: ANN401
    rows = {"symbol": ["SAP"] * 2, "session": [time.date() for time in TIMES], "volume": [1e6] * 2}
    prices = dict.fromkeys(("open", "high", "low", "close"), [100.0] * 2)
    feed = DataFeed(pl.DataFrame(rows | prices), stamp="session", currency="EUR")
    rates().write_csv(tmp_path / "rates.csv")
    return assemble(feed, **options)


def test_a_run_knows_its_rates_their_files_and_their_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    data = bars(tmp_path, fx=path)
    assert data.fx is not None
    assert data.fx.rows() == ROWS
    assert path in data.files
    plain, other = bars(tmp_path), bars(tmp_path, fx=rates(rate=[1.1, 1.3]))
    assert plain.fx is None
    prints = [{str(each) for each in one.fingerprints} for one in (plain, data, other)]
    assert prints[0] < prints[1]
    assert prints[1] != prints[2]
    assert len(prints[1] ^ prints[2]) == 2


def test_rates_of_a_frame_and_of_a_reader_are_the_same_to_a_run(tmp_path: Path) -> None:
    local = rates(ts_event=NAIVE)
    for given in (rates(), read_fx_rates(local, timezone="UTC"), [rates()[:1], rates()[1:]]):
        read = bars(tmp_path, fx=given).fx
        assert read is not None
        assert read.rows() == ROWS


def test_a_pair_with_two_rates_at_one_time_is_refused_by_the_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="EURUSD has two rows at 2024-03-04T12:00:00Z"):
        bars(tmp_path, fx=[rates(), rates()])


def test_the_class_of_read_rates_holds_frame_and_files() -> None:
    read = read_fx_rates(rates())
    assert isinstance(read, FxRates)
    assert read.files == ()
