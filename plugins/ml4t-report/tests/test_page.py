"""The page: what it says equals the tables, and it needs nothing but itself."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from ml4t.backtest import Results, Strategy
from ml4t.core.errors import ResultsError
from ml4t.core.schemas import TABLES
from ml4t.report import HtmlReport
from ml4t.report.figures import sharpe_range

Page = Any
Backtest = Callable[..., Results]

CHARTS = ("equity-chart", "distribution-chart", "rolling-chart", "allocation-chart")


def number(text: str) -> float:
    """Read a printed number."""
    plain = text.replace(",", "").replace("\N{MINUS SIGN}", "-").replace("\N{EN DASH}", "nan")
    return float(plain.removesuffix("%")) / (100 if plain.endswith("%") else 1)


def iso(days: pl.Series) -> list[str]:
    return [day.isoformat() for day in days]


def changed(results: Results, **settings: object) -> Results:
    """Return the same tables under another manifest."""
    manifest = {**results.manifest, **settings}
    return Results({name: results.table(name) for name in TABLES}, manifest=manifest, run_info={})


class Idle(Strategy):
    """Never trades."""


@pytest.mark.parametrize("chart", CHARTS)
def test_plotly_knows_every_attribute_of_a_chart_and_takes_every_value(page: Page, chart: str) -> None:
    figure = page.figure(chart)
    drawn = Figure(figure).to_plotly_json()
    assert drawn["data"] == figure["data"]
    assert {name: part for name, part in drawn["layout"].items() if name != "template"} == figure["layout"]


def test_a_notebook_gets_the_same_chart_without_plotlys_own_theme(results: Results) -> None:
    figure = HtmlReport().figure(results)
    assert figure.layout.template.to_plotly_json() == {}
    assert [trace.name for trace in figure.data] == ["Equity", "Drawdown"]


# ------------------------------------------------------------------------------- charts


def test_the_equity_chart_plots_the_nav_and_drawdown_tables(page: Page, results: Results) -> None:
    traces = page.traces("equity-chart")
    assert traces["Equity"]["x"] == traces["Drawdown"]["x"] == iso(results.nav["session"])
    assert traces["Equity"]["y"] == results.nav["nav"].to_list()
    assert traces["Drawdown"]["y"] == results.drawdowns()["drawdown"].to_list()
    assert set(traces) == {"Equity", "Drawdown"}


def test_the_deepest_drawdowns_are_shaded_from_peak_to_recovery(page: Page, results: Results) -> None:
    shapes = page.figure("equity-chart")["layout"]["shapes"]
    deepest = results.drawdown_periods().head(5)
    first, last = iso(results.nav["session"])[0], iso(results.nav["session"])[-1]
    assert [(shape["x0"], shape["x1"]) for shape in shapes] == [
        (str(peak or first), str(recovery or last)) for peak, _, recovery, _, _ in deepest.rows()
    ]


def test_a_benchmark_is_plotted_as_the_capital_grown_by_its_returns(read: Page, results: Results) -> None:
    returns = [0.001 * (-1) ** number for number in range(results.nav.height)]
    tables = {name: results.table(name) for name in TABLES}
    against = Results(tables, manifest=results.manifest, run_info={}, benchmark=returns)
    page = read(HtmlReport().render(against))
    plotted = page.traces("equity-chart")["Benchmark"]
    assert plotted["y"] == (1_000_000.0 * (1.0 + pl.Series(returns)).cum_prod()).to_list()
    assert plotted["x"] == iso(results.nav["session"])
    assert "Beta" in page.text


def test_the_histograms_hold_every_session_and_month(page: Page, results: Results) -> None:
    traces = page.traces("distribution-chart")
    assert traces["Per session"]["x"] == results.returns()["return"].to_list()
    assert traces["Per month"]["x"] == results.returns("month")["return"].to_list()


def test_the_rolling_chart_plots_the_rolling_table(page: Page, results: Results) -> None:
    traces, rolling = page.traces("rolling-chart"), results.rolling(126).fill_nan(None)
    assert traces["Volatility"]["x"] == traces["Sharpe ratio"]["x"] == iso(rolling["session"])
    assert traces["Volatility"]["y"] == rolling["annual_volatility"].to_list()
    assert traces["Sharpe ratio"]["y"] == rolling["sharpe"].to_list()


def test_the_sharpe_axis_opens_on_what_is_not_extreme() -> None:
    usual = pl.Series([value / 100 for value in range(-200, 201)])
    assert sharpe_range(usual) is None
    low, high = sharpe_range(pl.concat([pl.Series([-50.0]), usual])) or (math.nan, math.nan)
    assert -5.0 < low < -2.0 and high == 2.0
    assert sharpe_range(pl.Series([None, None], dtype=pl.Float64)) is None


def test_the_allocation_chart_plots_market_value_over_nav(page: Page, results: Results) -> None:
    weights = results.positions.join(results.nav.select("session", "nav"), on="session").select(
        "session", "symbol", weight=pl.col("market_value") / pl.col("nav")
    )
    plotted: dict[tuple[str, str], float] = {}
    for trace in page.figure("allocation-chart")["data"]:
        sign = 1 if trace["stackgroup"] == "long" else -1
        for day, value in zip(trace["x"], trace["y"], strict=True):
            assert value == 0.0 or math.copysign(1, value) == sign
            if value != 0.0:
                plotted[day, trace["name"]] = value
    assert plotted == {
        (day.isoformat(), symbol): weight for day, symbol, weight in weights.iter_rows() if weight != 0.0
    }
    assert {trace["stackgroup"] for trace in page.figure("allocation-chart")["data"]} == {"long", "short"}


def test_small_positions_of_many_are_added_up_as_others(read: Page, results: Results) -> None:
    first = results.positions.filter(pl.col("symbol") == "IBM")
    many = pl.concat(
        first.with_columns(symbol=pl.lit(f"S{number:02}"), market_value=pl.lit(1000.0 * (20 - number)))
        for number in range(12)
    )
    tables = {name: results.table(name) for name in TABLES} | {"positions": many}
    page = read(HtmlReport().render(Results(tables, manifest={}, run_info={})))
    traces = page.traces("allocation-chart")
    assert list(traces) == [*(f"S{number:02}" for number in range(7)), "Others"]
    nav = dict(zip(iso(results.nav["session"]), results.nav["nav"], strict=True))
    day = first["session"][100].isoformat()
    row = traces["Others"]["x"].index(day)
    rest = sum(1000.0 * (20 - number) for number in range(7, 12))
    assert traces["Others"]["y"][row] == pytest.approx(rest / nav[day])


# ------------------------------------------------------------------------------- tables


def test_the_monthly_table_holds_the_return_of_every_month_and_year(page: Page, results: Results) -> None:
    _, *rows = page.tables["monthly-table"]
    months: dict[tuple[int, int], float] = {}
    years: dict[int, float] = {}
    for (year, _), *cells, (text, key) in rows:
        years[int(year)] = float(key)
        assert number(text) == pytest.approx(100 * float(key), abs=0.0501)
        for month, (shown, value) in enumerate(cells, start=1):
            if value is not None:
                months[int(year), month] = float(value)
                assert number(shown) == pytest.approx(100 * float(value), abs=0.0501)
            else:
                assert shown == ""
    assert months == {(day.year, day.month): value for day, value in results.returns("month").iter_rows()}
    assert years == {day.year: value for day, value in results.returns("year").iter_rows()}


def test_the_metrics_tables_hold_every_metric(page: Page, results: Results) -> None:
    shown = {
        label: float(key)
        for name, rows in page.tables.items()
        if name.startswith("metrics-")
        for (label, _), (_, key) in rows
    }
    expected = {row.metric.label: row.value for row in results.metrics.rows()}
    assert shown == pytest.approx(expected, rel=0, abs=0, nan_ok=True)
    for row in results.metrics.rows():
        assert row.metric.convention in page.text


def test_the_settings_of_the_metrics_are_stated(page: Page) -> None:
    assert "252 sessions a year, risk-free rate 2% a year" in page.text


def test_the_drawdown_table_holds_the_deepest(page: Page, results: Results) -> None:
    head, *rows = page.tables["drawdown-table"]
    assert [text for text, _ in head] == ["Peak", "Trough", "Recovery", "Depth", "Sessions"]
    expected = results.drawdown_periods().head(5)
    for row, period in zip(rows, expected.iter_rows(named=True), strict=True):
        peak, trough, recovery, depth, length = (text for text, _ in row)
        assert (peak, trough) == (str(period["peak"] or "start"), str(period["trough"]))
        assert recovery == str(period["recovery"] or "not yet")
        assert number(depth) == pytest.approx(period["depth"], abs=0.00005)
        assert number(length) == period["length"]


def test_the_statistics_table_tells_long_from_short(page: Page, results: Results) -> None:
    head, *rows = page.tables["statistics-table"]
    assert [text for text, _ in head] == ["", "All", "Long", "Short"]
    shown = {row[0][0]: [text for text, _ in row[1:]] for row in rows}
    for statistic, texts in results.trade_statistics.rows():
        found = [text.replace("\N{MINUS SIGN}", "-") for text in shown[statistic.label]]
        assert found == list(texts)


def test_the_trades_table_holds_the_latest_round_trips(read: Page, results: Results) -> None:
    page = read(HtmlReport(most_trades=20).render(results))
    head, *rows = page.tables["trades-table"]
    columns = [text for text, _ in head]
    latest = results.trades.sort("ts_exit", maintain_order=True).tail(20).reverse()
    assert f"The latest 20 of {results.trades.height:,}, by time of exit" in page.text
    assert "trades.parquet" in page.text
    assert len(rows) == 20
    for row, trip in zip(rows, latest.iter_rows(named=True), strict=True):
        cells = dict(zip(columns, row, strict=True))
        assert cells["Exit"] == (f"{trip['ts_exit']:%Y-%m-%d %H:%M}", trip["ts_exit"].isoformat())
        assert cells["Entry"][1] == trip["ts_entry"].isoformat()
        assert (cells["Symbol"][0], cells["Direction"][0]) == (trip["symbol"], trip["direction"])
        for column, name in (
            ("Quantity", "quantity"),
            ("Entry price", "entry_price"),
            ("Exit price", "exit_price"),
            ("Net result", "net_pnl"),
            ("Return", "return"),
            ("Fees", "fees"),
        ):
            assert float(cells[column][1]) == trip[name]
            assert number(cells[column][0]) == pytest.approx(trip[name], abs=0.0051), column


def test_all_trades_are_shown_when_they_fit(page: Page, results: Results) -> None:
    assert len(page.tables["trades-table"]) - 1 == results.trades.height
    assert f"All {results.trades.height:,}, by time of exit" in page.text


def test_orders_are_counted_by_how_they_ended(page: Page, results: Results) -> None:
    _, *rows = page.tables["orders-table"]
    assert sum(number(count) for _, _, (count, _), _ in rows) == results.orders.height
    counted = results.orders["status"].value_counts()
    assert {row[0][0].replace(" ", "_") for row in rows} == set(counted["status"])


def test_headlines_configuration_and_manifest_are_shown(page: Page, results: Results) -> None:
    assert f"{results.nav['nav'][-1]:,.0f}" in page.text
    assert "PerShare { fee = 0.005" in page.text
    assert "fill_timing" in page.text and "same_close" in page.text
    assert "Total return" in page.text
    for part in ("backtest", "broker", "config_sha256", "versions"):
        assert part in page.text


def test_what_makes_results_optimistic_is_said_at_the_top(page: Page, results: Results) -> None:
    assert results.warnings
    for note in results.warnings:
        assert note in page.text
    assert page.text.index("optimistic") < page.text.index("Deepest drawdowns")


# ------------------------------------------------------------------------------- self-contained


def own_part(text: str) -> str:
    """Return the page without plotly.js."""
    bundle = str(get_plotlyjs())
    assert bundle in text
    return text.replace(bundle, "")


def test_the_page_names_no_address(page_file: Path) -> None:
    text = own_part(page_file.read_text(encoding="utf-8"))
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text) == []
    assert "@import" not in text and "url(" not in text


def test_the_page_loads_nothing(page: Page) -> None:
    for tag, given in page.tags:
        assert "src" not in given, (tag, given)
        if tag == "link":
            assert given["href"] == "data:,"
    policy = next(given["content"] for _, given in page.tags if given.get("http-equiv"))
    assert policy.startswith("default-src 'none'")


def test_ids_are_fixed_and_unique(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    assert set(CHARTS) <= set(page.ids)


def test_equal_runs_give_equal_bytes_in_any_process(
    results: Results, page_file: Path, tmp_path: Path
) -> None:
    folder = results.save(tmp_path / "run")
    script = (
        "import sys; from ml4t.backtest import Results; from ml4t.report import HtmlReport; "
        "HtmlReport().write(Results.load(sys.argv[1]), sys.argv[2])"
    )
    for seed in ("1", "2"):
        target = tmp_path / f"{seed}.html"
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": f"UTC+{seed}"}
        subprocess.run([sys.executable, "-c", script, folder, target], check=True, env=environment)
        assert target.read_bytes() == page_file.read_bytes()


def test_text_of_the_run_cannot_become_markup(read: Page, results: Results) -> None:
    evil = "</script><script>alert(1)</script><b>"
    config = {"backtest": {"name": evil}, "broker": {evil: evil}}
    named = changed(results, config=config, warnings=[evil], **{evil: {evil: evil}})
    text = HtmlReport().render(named)
    page = read(text)
    assert "<script>alert" not in text and "<b>" not in own_part(text)
    assert evil in page.text
    assert [tag for tag, _ in page.tags].count("script") == 2 + len(CHARTS)


def test_symbols_in_the_charts_cannot_end_their_script(read: Page, results: Results) -> None:
    evil = "</script><script>alert(1)</script>"
    tables = {name: results.table(name) for name in TABLES}
    tables["positions"] = results.positions.with_columns(
        symbol=pl.when(pl.col("symbol") == "IBM").then(pl.lit(evil)).otherwise(pl.col("symbol"))
    )
    text = HtmlReport().render(Results(tables, manifest={}, run_info={}))
    page = read(text)
    assert evil in {trace["name"] for trace in page.figure("allocation-chart")["data"]}
    assert [tag for tag, _ in page.tags].count("script") == 2 + len(CHARTS)


# ------------------------------------------------------------------------------- unusual runs


def test_a_run_that_never_traded_has_a_page(read: Page, backtest: Backtest) -> None:
    page = read(HtmlReport().render(backtest(Idle)))
    assert "No position was closed." in page.text
    assert "Equity never fell below a high." in page.text
    assert "The strategy sent no order." in page.text
    assert "allocation-chart" not in page.ids


def test_a_run_shorter_than_the_window_says_so(read: Page, backtest: Backtest) -> None:
    run = backtest(Idle, backtest={"end_date": "2000-03-31"})
    page = read(HtmlReport().render(run))
    assert f"The run has {run.nav.height} sessions, fewer than one window of 126." in page.text
    assert "rolling-chart" not in page.ids


def test_a_run_without_a_session_has_a_page(read: Page, results: Results) -> None:
    empty = {name: results.table(name).clear() for name in TABLES} | {"ledger": results.ledger.head(1)}
    run = Results(empty, manifest=results.manifest, run_info={}, status="failed")
    page = read(HtmlReport().render(run))
    assert "no session completed" in page.text
    assert "The run is failed: nothing was recorded." in page.text
    assert "equity-chart" not in page.ids


def test_a_run_that_lost_everything_has_a_page(read: Page, results: Results) -> None:
    sunk = results.portfolio_history.with_columns(equity=pl.col("equity") - 1_500_000.0)
    tables = {name: results.table(name) for name in TABLES} | {"portfolio_history": sunk}
    page = read(HtmlReport().render(Results(tables, manifest={}, run_info={})))
    assert "metrics cover the sessions up to that one" in page.text
    assert page.traces("equity-chart")["Equity"]["y"] == sunk.filter("is_nav")["equity"].to_list()


def test_a_run_of_longs_only_shows_one_column(read: Page, backtest: Backtest) -> None:
    page = read(HtmlReport().render(backtest(params={"short": 0.0})))
    assert "All of them were long." in page.text
    assert "statistics-table" not in page.tables
    rows = page.tables["statistics-table-left"] + page.tables["statistics-table-right"]
    assert all(len(row) == 2 for row in rows)


# ------------------------------------------------------------------------------- writing


def test_an_earlier_report_is_replaced_and_nothing_else(results: Results, tmp_path: Path) -> None:
    target = HtmlReport().write(results, tmp_path / "new" / "report.html")
    before = target.read_bytes()
    HtmlReport(most_trades=1).write(results, target)
    assert target.read_bytes() != before
    other = tmp_path / "thesis.html"
    other.write_text("<html>years of work</html>")
    with pytest.raises(ResultsError, match="exists and is not a report"):
        HtmlReport().write(results, other)
    assert other.read_text() == "<html>years of work</html>"
    HtmlReport().write(results, other, overwrite=True)
    assert other.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "thesis.html"]


@pytest.mark.parametrize(
    "settings", [{"most_trades": -1}, {"rolling_window": 1}, {"drawdowns": -1}], ids=lambda s: next(iter(s))
)
def test_settings_without_a_meaning_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        HtmlReport(**settings)
