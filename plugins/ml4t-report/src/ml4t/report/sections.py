"""The sections of the page, each built from the tables of one run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from ml4t.report.markup import Cell, escape, folded, number, percent, section, stamp, table, toned

if TYPE_CHECKING:
    from ml4t.backtest import Results
    from ml4t.report.figures import Figure

__all__ = [
    "chart",
    "drawdowns",
    "header",
    "metrics",
    "monthly_returns",
    "orders",
    "round_trips",
    "trade_statistics",
    "warnings",
]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HEADLINES = ("total_return", "annual_return", "annual_volatility", "sharpe", "max_drawdown")
_TRIP_NUMBERS = ("Quantity", "Entry price", "Exit price", "Net result", "Return", "Fees")
_S = "\N{RIGHT SINGLE QUOTATION MARK}s"
_SHADES = 5
_BRIGHTEST_MONTH = 0.10


def header(results: Results) -> str:
    """Return title, span, and the few numbers one looks at first."""
    nav = results.nav
    metrics = {row.metric.name: row for row in results.metrics.rows()}
    if nav.is_empty():
        span = "no session completed"
    else:
        span = f"{nav['session'][0]} \N{EN DASH} {nav['session'][-1]} \N{MIDDLE DOT} {nav.height:,} sessions"
    # The last row of the account, as the command line shows it: after the last NAV there may be more.
    equity = results.portfolio_history["equity"]
    last = f"{equity[-1]:,.0f}" if len(equity) else "\N{EN DASH}"
    tiles = [(metrics[name].metric.label, number(metrics[name].text)) for name in _HEADLINES]
    tiles.append((f"Final equity, {results.currency}", number(last)))
    items = "".join(f"<div><dt>{escape(label)}</dt><dd>{value}</dd></div>" for label, value in tiles)
    capital = f"{results.initial_capital:,.0f} {escape(results.currency)} initial capital"
    return (
        f"<header>\n<h1>{escape(results.name)}</h1>\n"
        f'<p class="span">{span} \N{MIDDLE DOT} {capital}</p>\n'
        f'<dl class="tiles" id="headlines">{items}</dl>\n</header>'
    )


def warnings(results: Results) -> str:
    """Return what a reader must know before believing anything, or nothing."""
    if not results.warnings:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in results.warnings)
    return f'<aside id="warnings" role="note"><h2>Before you read on</h2><ul>{items}</ul></aside>'


def chart(figure: Figure, *, element_id: str, label: str, controls: str = "") -> str:
    """Return the place of a figure and its data; the page's script draws it.

    The JSON is that of the figure: `data` and `layout` hold every number that is drawn.
    """
    document = json.dumps(figure, sort_keys=True, allow_nan=False)
    # A `<` inside the data must not end the element.
    document = document.replace("<", "\\u003c")
    height = int(figure["layout"]["height"])
    return (
        f'{controls}<div class="chart" id="{element_id}" role="img" aria-label="{escape(label)}" '
        f'style="min-height:{height}px"></div>\n'
        f'<script type="application/json" id="{element_id}-data">{document}</script>'
    )


def drawdowns(results: Results, *, count: int) -> str:
    """Return the deepest drawdowns as a table."""
    periods = results.drawdown_periods()
    rows = [
        [
            Cell(str(period["peak"] or "start"), "text"),
            Cell(str(period["trough"]), "text"),
            Cell(str(period["recovery"] or "not yet"), "text"),
            Cell(percent(period["depth"]), "loss"),
            Cell(f"{period['length']:,}"),
        ]
        for period in periods.head(count).iter_rows(named=True)
    ]
    if not rows:
        return section("Deepest drawdowns", "<p>Equity never fell below a high.</p>", element_id="drawdowns")
    note = f"{len(rows)} of {periods.height:,}, shaded above. Sessions are counted from peak to recovery."
    head = ("<Peak", "<Trough", "<Recovery", "Depth", "Sessions")
    body = table(rows, head=head, element_id="drawdown-table", classes="spaced", caption="Deepest drawdowns")
    return section("Deepest drawdowns", body, element_id="drawdowns", note=note)


def monthly_returns(results: Results) -> str:
    """Return the returns of every month and year as a coloured table."""
    months = {
        (session.year, session.month): change for session, change in results.returns("month").iter_rows()
    }
    years = {session.year: change for session, change in results.returns("year").iter_rows()}
    rows = []
    for year in sorted(years):
        cells = [Cell(str(year), heading=True)]
        cells += [_shaded(months.get((year, month))) for month in range(1, 13)]
        change = years[year]
        cells.append(Cell(percent(change, 1, sign=""), f"total {toned(change)}", key=repr(change)))
        rows.append(cells)
    body = table(
        rows,
        head=("<", *_MONTHS, "Year"),
        element_id="monthly-table",
        classes="heat",
        caption="Monthly returns in per cent",
    )
    note = "In per cent, from NAV to NAV. The first and last month are as long as the run makes them."
    return section("Monthly returns", body, element_id="monthly", note=note)


def _shaded(change: float | None) -> Cell:
    """Return a month's cell; the stronger the month, the stronger its colour, up to ten per cent."""
    if change is None:
        return Cell("", "empty")
    if change != change:
        return Cell("\N{EN DASH}", "empty")
    strength = min(abs(change) / _BRIGHTEST_MONTH, 1.0)
    step = round(strength * _SHADES)
    shade = f"{'up' if change > 0 else 'down'}-{step}" if step else ""
    return Cell(percent(change, 1, sign=""), shade, key=repr(change))


def metrics(results: Results) -> str:
    """Return every metric, grouped, and below them how each is defined."""
    measured = results.metrics
    groups: dict[str, list[Any]] = {}
    for row in measured.rows():
        groups.setdefault(row.metric.group, []).append(row)
    blocks = []
    for group, rows in groups.items():
        body = [
            [
                Cell(escape(row.metric.label), title=row.metric.convention, heading=True),
                Cell(number(row.text), key=repr(row.value)),
            ]
            for row in rows
        ]
        slug = group.lower().replace(" ", "-")
        blocks.append(
            f"<div><h3>{escape(group)}</h3>"
            f"{table(body, element_id=f'metrics-{slug}', classes='pairs', caption=group)}</div>"
        )
    definitions = "".join(
        f"<div><dt>{escape(row.metric.label)}</dt><dd>{escape(row.metric.convention)}</dd></div>"
        for rows in groups.values()
        for row in rows
    )
    note = (
        f"Returns of NAV at each session{_S} close, the first from initial capital. "
        f"{measured.periods_per_year:g} sessions a year, "
        f"risk-free rate {100 * measured.risk_free:g}% a year. "
        f"Money in {escape(results.currency)}. A dash: not defined for this run."
    )
    return section(
        "Metrics",
        f'<div class="flow">{"".join(blocks)}</div>',
        folded("How each number is defined", f'<dl class="definitions">{definitions}</dl>'),
        element_id="metrics",
        note=note,
    )


def trade_statistics(results: Results) -> str:
    """Return the statistics of the round trips, longs and shorts apart when there are both."""
    statistics = results.trade_statistics
    if statistics["trades"]["all"] == 0:
        return section("Round trips", "<p>No position was closed.</p>", element_id="trade-statistics")
    both = statistics["trades"]["long"] > 0 and statistics["trades"]["short"] > 0
    shown = 3 if both else 1
    rows = [
        [
            Cell(escape(statistic.label), title=statistic.convention, heading=True),
            *(Cell(number(text)) for text in texts[:shown]),
        ]
        for statistic, texts in statistics.rows()
    ]
    note = (
        "A round trip is an opened lot and the fill that closed it; results are after fees. "
        f"Money in {escape(results.currency)}."
    )
    if not both:
        direction = "short" if statistics["trades"]["short"] > 0 else "long"
        note += f" All of them were {direction}."
    if both:
        head = ("<", "All", "Long", "Short")
        body = table(
            rows, head=head, element_id="statistics-table", classes="pairs spaced", caption="Trade statistics"
        )
    else:
        half = (len(rows) + 1) // 2
        halves = [
            table(part, element_id=f"statistics-table-{side}", classes="pairs", caption="Trade statistics")
            for side, part in (("left", rows[:half]), ("right", rows[half:]))
        ]
        body = f'<div class="columns">{"".join(halves)}</div>'
    return section("Trade statistics", body, element_id="trade-statistics", note=note)


def round_trips(results: Results, *, most: int) -> str:
    """Return the latest round trips as a table that sorts by any column."""
    trips = results.round_trips.sort("ts_exit", maintain_order=True)
    if trips.is_empty():
        return ""
    # Prices are of the instrument's currency, money of the base currency.
    shown = trips.tail(most).reverse().with_columns(pl.col("net_pnl", "fees") * pl.col("fx_rate"))
    rows = [list(_trip_cells(trip)) for trip in shown.iter_rows(named=True)]
    every = len(rows) == trips.height
    total = f"All {len(rows):,}" if every else f"The latest {len(rows):,} of {trips.height:,}"
    note = (
        f"{total}, by time of exit; a heading sorts. Times in UTC. "
        f"The full table is <code>trades.parquet</code> in the run{_S} folder, "
        f"or <code>results.trades</code>."
    )
    head = ("<Exit", "<Entry", "<Symbol", "<Direction", "<Closed by", *_TRIP_NUMBERS)
    body = table(
        rows,
        head=head,
        element_id="trades-table",
        classes="sortable long",
        caption="Round trips",
        falling=0,
    )
    return section("Trades", body, element_id="trades", note=note)


def _trip_cells(trip: Mapping[str, Any]) -> Iterator[Cell]:
    yield Cell(stamp(trip["ts_exit"]), "text", key=trip["ts_exit"].isoformat())
    yield Cell(stamp(trip["ts_entry"]), "text", key=trip["ts_entry"].isoformat())
    yield Cell(escape(trip["symbol"]), "text strong")
    yield Cell(escape(trip["direction"]), "text")
    yield Cell(escape(trip["exit_reason"].replace("_", " ")), "text")
    for name, digits in (("quantity", 8), ("entry_price", 4), ("exit_price", 4)):
        yield Cell(number(_trimmed(trip[name], digits)), key=repr(trip[name]))
    yield Cell(number(f"{trip['net_pnl']:,.2f}"), toned(trip["net_pnl"]), key=repr(trip["net_pnl"]))
    yield Cell(percent(trip["return"]), toned(trip["return"]), key=repr(trip["return"]))
    yield Cell(number(f"{trip['fees']:,.2f}"), key=repr(trip["fees"]))


def _trimmed(value: float, digits: int) -> str:
    """Print a number with at most so many decimals and no trailing zeros beyond the second."""
    text = f"{value:,.{digits}f}"
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if digits <= 4:
        fraction = fraction.ljust(2, "0")
    return f"{whole}.{fraction}" if fraction else whole


def orders(results: Results) -> str:
    """Return how the orders ended, with the reasons of those that did not fill."""
    if results.orders.is_empty():
        return section("Orders", "<p>The strategy sent no order.</p>", element_id="orders")
    counted = (
        results.orders.group_by("status", "reason_code")
        .agg(count=pl.len(), example=pl.col("reason").first())
        .sort("count", "status", "reason_code", descending=[True, False, False])
    )
    rows = [
        [
            Cell(escape(row["status"].replace("_", " ")), "text"),
            Cell(escape(row["reason_code"] or "\N{EN DASH}"), "text"),
            Cell(f"{row['count']:,}"),
            Cell(escape(row["example"] or ""), "text wrap"),
        ]
        for row in counted.iter_rows(named=True)
    ]
    head = ("<Final state", "<Reason", "Orders", "<For example")
    body = table(rows, head=head, element_id="orders-table", caption="Orders by final state")
    return section("Orders", body, element_id="orders")
