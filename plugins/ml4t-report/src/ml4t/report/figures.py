"""Figures of a run, as plotly describes them: `data` and `layout`, what `plotly.graph_objects.Figure` takes.

Every figure plots columns of the tables of `Results` as they are: nothing is resampled, smoothed or cut
unless its docstring says so. Colours come from a `Palette`, so that the page can leave them to its style
sheet and a notebook gets fixed ones.

The page needs no figure objects: building them checks each value of each trace, which took longer than the
rest of the page. Tests build them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs
import polars as pl

if TYPE_CHECKING:
    from ml4t.backtest import Results

__all__ = [
    "CSS_PALETTE",
    "LIGHT_PALETTE",
    "Figure",
    "Palette",
    "allocation",
    "distribution",
    "overview",
    "rolling",
    "sharpe_range",
]

Figure = dict[str, Any]
"""`data`, the list of traces, and `layout`."""

_ALLOCATION_SYMBOLS = 7
_HIGHLIGHTED_DRAWDOWNS = 5
_LEFT = 52
_FONT = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


@attrs.frozen(kw_only=True)
class Palette:
    """Colours of a figure, by role."""

    ink: str
    muted: str
    grid: str
    surface: str
    accent: str
    accent_soft: str
    loss: str
    loss_soft: str
    shade: str
    areas: tuple[str, ...]


CSS_PALETTE = Palette(
    ink="var(--ink)",
    muted="var(--muted)",
    grid="var(--grid)",
    surface="var(--surface)",
    accent="var(--accent)",
    accent_soft="var(--accent-soft)",
    loss="var(--loss)",
    loss_soft="var(--loss-soft)",
    shade="var(--shade)",
    areas=tuple(f"var(--area-{number})" for number in range(1, 9)),
)
"""Names of the page's style sheet, which has one set of colours for light and one for dark."""

LIGHT_PALETTE = Palette(
    ink="#1d2126",
    muted="#666d76",
    grid="#e7e7e3",
    surface="#ffffff",
    accent="#1f5f8b",
    accent_soft="rgba(31, 95, 139, 0.16)",
    loss="#b0472f",
    loss_soft="rgba(176, 71, 47, 0.16)",
    shade="rgba(176, 71, 47, 0.07)",
    areas=("#5b8aad", "#dcb27e", "#8db395", "#b094ac", "#9cc5d1", "#cf9484", "#bdb583", "#c3c6ca"),
)
"""Fixed colours for a light background."""


def overview(results: Results, *, palette: Palette = LIGHT_PALETTE) -> Figure:
    """Draw NAV with its deepest drawdowns shaded and, below on the same axis, the underwater curve.

    A benchmark, if the run has one, is drawn as the initial capital grown by its returns.
    """
    drawdowns = results.drawdowns()
    sessions = drawdowns["session"]
    traces = []
    if results.benchmark is not None:
        days = results.benchmark["session"]
        grown = results.initial_capital * (1.0 + results.benchmark["return"]).cum_prod()
        traces.append(_line("Benchmark", days, grown, palette.muted, width=1.2, hover=",.0f"))
    traces.append(_line("Equity", sessions, drawdowns["nav"], palette.accent, width=1.6, hover=",.0f"))
    below = {"yaxis": "y2", "fill": "tozeroy", "fillcolor": palette.loss_soft, "showlegend": False}
    traces.append(
        _line("Drawdown", sessions, drawdowns["drawdown"], palette.loss, width=1.0, hover=".2%") | below
    )
    layout = _layout(palette, height=520)
    layout["showlegend"] = results.benchmark is not None
    layout["legend"] = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}}
    layout["hoversubplots"] = "axis"
    layout["xaxis"]["anchor"] = "y2"
    layout["yaxis"] = _axis(palette, domain=[0.36, 1.0], tickformat="~s")
    layout["yaxis2"] = _axis(palette, domain=[0.0, 0.28], tickformat=".0%", rangemode="tozero", nticks=4)
    layout["shapes"] = (
        _drawdown_shapes(results, last=str(sessions[-1]), palette=palette) if len(sessions) else []
    )
    layout["annotations"] = [
        _heading(f"Equity, {results.currency}", y=1.0, palette=palette),
        _heading("Below the highest equity so far", y=0.28, palette=palette),
    ]
    if results.benchmark is not None:
        layout["annotations"] = layout["annotations"][1:]
    return {"data": traces, "layout": layout}


def distribution(results: Results, *, palette: Palette = LIGHT_PALETTE) -> Figure:
    """Draw histograms of session and monthly returns; plotly chooses the bins."""
    traces: list[dict[str, Any]] = []
    panels: tuple[tuple[Literal["session", "month"], str, int], ...] = (
        ("session", "", 60),
        ("month", "2", 30),
    )
    for every, axis, bins in panels:
        traces.append(
            {
                "type": "histogram",
                "x": results.returns(every)["return"].fill_nan(None).to_list(),
                "name": f"Per {every}",
                "xaxis": f"x{axis}",
                "yaxis": f"y{axis}",
                "nbinsx": bins,
                "marker": {"color": palette.accent},
                "hovertemplate": "%{x}: %{y:,}<extra></extra>",
            }
        )
    layout = _layout(palette, height=280)
    layout["hovermode"] = "closest"
    layout["bargap"] = 0.08
    plain = {"tickformat": ".0%", "type": "linear", "nticks": 7, "hoverformat": ".1%", "showspikes": False}
    layout["xaxis"] |= plain | {"domain": [0, 0.46]}
    layout["xaxis2"] = layout["xaxis"] | {"domain": [0.54, 1.0], "anchor": "y2"}
    layout["yaxis"] = _axis(palette, tickformat=",d", nticks=5)
    layout["yaxis2"] = _axis(palette, tickformat=",d", nticks=5, anchor="x2")
    layout["annotations"] = [
        _heading("Sessions by return", y=1.0, palette=palette),
        _heading("Months by return", y=1.0, x=0.54, palette=palette),
    ]
    return {"data": traces, "layout": layout}


def rolling(results: Results, *, window: int, palette: Palette = LIGHT_PALETTE) -> Figure:
    """Draw annual volatility and Sharpe ratio over the last `window` sessions.

    The Sharpe axis opens on `sharpe_range`, so that the first days of a position after a long flat time,
    when the ratio means little and is large, do not squeeze the rest.
    """
    table = results.rolling(window).fill_nan(None)
    days, volatility, sharpe = table["session"], table["annual_volatility"], table["sharpe"]
    traces = [
        _line("Volatility", days, volatility, palette.accent, width=1.4, hover=".1%"),
        _line("Sharpe ratio", days, sharpe, palette.accent, width=1.4, hover=".2f") | {"yaxis": "y2"},
    ]
    layout = _layout(palette, height=380)
    layout["hoversubplots"] = "axis"
    layout["xaxis"]["anchor"] = "y2"
    layout["yaxis"] = _axis(palette, domain=[0.56, 1.0], tickformat=".0%", rangemode="tozero", nticks=5)
    layout["yaxis2"] = _axis(palette, domain=[0.0, 0.44], tickformat=".3~g", nticks=5)
    layout["yaxis2"] |= {"zeroline": True, "zerolinecolor": palette.muted, "zerolinewidth": 1}
    if (limits := sharpe_range(table["sharpe"])) is not None:
        layout["yaxis2"]["range"] = list(limits)
    layout["annotations"] = [
        _heading("Annual volatility", y=1.0, palette=palette),
        _heading("Sharpe ratio", y=0.44, palette=palette),
    ]
    return {"data": traces, "layout": layout}


def sharpe_range(sharpe: pl.Series) -> tuple[float, float] | None:
    """Return the range on which the axis opens when extreme values lie far outside the others, else None.

    Far is half the distance between the 1st and the 99th percentile beyond either.
    """
    low, high = sharpe.quantile(0.01, "linear"), sharpe.quantile(0.99, "linear")
    least, most = sharpe.min(), sharpe.max()
    if not (isinstance(least, float) and isinstance(most, float)) or low is None or high is None:
        return None
    margin = (high - low) / 2
    limits = (max(least, low - margin), min(most, high + margin))
    return None if limits == (least, most) else limits


def allocation(results: Results, *, palette: Palette = LIGHT_PALETTE) -> Figure:
    """Draw market value over NAV by symbol as stacked areas, long above zero and short below.

    The symbols with the largest mean weight are shown each, the others as one area each way.
    """
    weights = _weights(results)
    order = weights["symbol"].unique(maintain_order=True).to_list()
    sessions = results.nav["session"]
    traces: list[dict[str, Any]] = []
    for number, symbol in enumerate(order):
        of_symbol = weights.filter(pl.col("symbol") == symbol)
        colour = palette.areas[-1] if symbol == _OTHERS else palette.areas[number]
        sides = [side for side in ("long", "short") if (of_symbol[side] != 0.0).any()]
        for side in sides:
            held = pl.DataFrame({"session": sessions}).join(
                of_symbol.select("session", weight=side), on="session", how="left", maintain_order="left"
            )
            traces.append(
                {
                    "type": "scatter",
                    "x": _dates(sessions),
                    "y": held["weight"].fill_null(0.0).to_list(),
                    "name": symbol,
                    "legendgroup": symbol,
                    "showlegend": side == sides[0],
                    "stackgroup": side,
                    "line": {"width": 0.0, "color": colour},
                    "fillcolor": colour,
                    "hovertemplate": "%{y:.1%}",
                }
            )
    layout = _layout(palette, height=340)
    layout["showlegend"] = True
    layout["legend"] = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}}
    layout["yaxis"] = _axis(palette, tickformat=".0%", nticks=6)
    layout["yaxis"] |= {"zeroline": True, "zerolinecolor": palette.muted, "zerolinewidth": 1}
    return {"data": traces, "layout": layout}


_OTHERS = "Others"


def _weights(results: Results) -> pl.DataFrame:
    """Return `session`, `symbol`, `long` (>= 0), `short` (<= 0) over NAV, largest symbols first."""
    weights = (
        results.positions.group_by("session", "symbol", maintain_order=True)
        .agg(pl.col("market_value").sum())
        .join(results.nav.select("session", "nav"), on="session", how="inner", maintain_order="left")
        .filter(pl.col("nav") > 0)
        .select("session", "symbol", weight=pl.col("market_value") / pl.col("nav"))
    )
    ranked = (
        weights.group_by("symbol")
        .agg(size=pl.col("weight").abs().sum())
        .sort("size", "symbol", descending=[True, False])["symbol"]
        .to_list()
    )
    shown = ranked if len(ranked) <= _ALLOCATION_SYMBOLS + 1 else ranked[:_ALLOCATION_SYMBOLS]
    label = pl.when(pl.col("symbol").is_in(shown)).then(pl.col("symbol")).otherwise(pl.lit(_OTHERS))
    rank = {symbol: number for number, symbol in enumerate([*shown, _OTHERS])}
    return (
        weights.with_columns(symbol=label)
        .group_by("session", "symbol", maintain_order=True)
        .agg(
            long=pl.col("weight").clip(lower_bound=0.0).sum(),
            short=pl.col("weight").clip(upper_bound=0.0).sum(),
        )
        .sort(pl.col("symbol").replace_strict(rank, return_dtype=pl.Int64), "session")
    )


def _drawdown_shapes(results: Results, *, last: str, palette: Palette) -> list[dict[str, Any]]:
    """Shade the deepest drawdowns, from peak to recovery, behind both curves."""
    first = str(results.nav["session"][0])
    deepest = results.drawdown_periods().head(_HIGHLIGHTED_DRAWDOWNS)
    return [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": str(period["peak"] or first),
            "x1": str(period["recovery"] or last),
            "y0": 0,
            "y1": 1,
            "fillcolor": palette.shade,
            "line": {"width": 0},
            "layer": "below",
        }
        for period in deepest.iter_rows(named=True)
    ]


def _dates(sessions: pl.Series) -> list[str]:
    """Return session labels as ISO text."""
    return sessions.dt.to_string("iso").to_list()


def _line(
    name: str, sessions: pl.Series, values: pl.Series, colour: str, *, width: float, hover: str
) -> dict[str, Any]:
    """Return the trace of a line; `hover` is the format of a value that the pointer is on."""
    return {
        "type": "scatter",
        "name": name,
        "x": _dates(sessions),
        "y": values.to_list(),
        "line": {"color": colour, "width": width},
        "hovertemplate": f"%{{y:{hover}}}",
    }


def _layout(palette: Palette, *, height: int) -> dict[str, Any]:
    """Return what all figures share."""
    return {
        "height": height,
        "margin": {"l": _LEFT, "r": 12, "t": 28, "b": 28},
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "font": {"family": _FONT, "size": 12, "color": palette.muted},
        "hovermode": "x unified",
        "hoverlabel": {
            "bgcolor": palette.surface,
            "bordercolor": palette.grid,
            "font": {"color": palette.ink, "family": _FONT, "size": 12},
        },
        "showlegend": False,
        "dragmode": "zoom",
        "uirevision": "kept",
        "modebar": {"bgcolor": "rgba(0, 0, 0, 0)", "color": palette.muted, "activecolor": palette.accent},
        "xaxis": _axis(palette, type="date", showgrid=False, hoverformat="%d %b %Y", domain=[0, 1]),
    }


def _axis(palette: Palette, **settings: object) -> dict[str, Any]:
    """Return a quiet axis: thin grid, no frame."""
    return {
        "gridcolor": palette.grid,
        "zeroline": False,
        "linecolor": palette.grid,
        "tickfont": {"color": palette.muted, "size": 11},
        "tickangle": 0,
        **settings,
    }


def _heading(text: str, *, y: float, palette: Palette, x: float = 0.0) -> dict[str, Any]:
    """Return a small heading above a panel; in the first column it starts at the edge of the figure."""
    return {
        "text": text,
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "bottom",
        "yshift": 6,
        "xshift": -_LEFT if x == 0.0 else 0,
        "showarrow": False,
        "font": {"size": 12, "color": palette.muted},
    }
