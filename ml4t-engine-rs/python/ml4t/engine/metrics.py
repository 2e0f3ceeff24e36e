"""Metrics by name: what they are called, what they count, by which convention.

The numbers come from `ml4t.engine.performance`; here they get names, for tables, files and reports alike.
"""

from __future__ import annotations

import enum
import html
import math
from collections.abc import Iterator, Mapping

import attrs

from ml4t.core.errors import unknown_name

__all__ = ["BENCHMARK_GROUP", "METRICS", "Metric", "MetricValue", "Metrics", "Unit", "format_value"]
__all__ += ["html_rows"]

BENCHMARK_GROUP = "Against the benchmark"
"""Group of the metrics that need a benchmark."""


class Unit(enum.Enum):
    """What a number counts, and so how it is printed."""

    FRACTION = "fraction"
    RATIO = "ratio"
    SESSIONS = "sessions"
    DAYS = "days"
    MONEY = "money"
    COUNT = "count"


def format_value(value: float, unit: Unit) -> str:
    """Print `value` for a reader: fractions as per cent, money with separators, NaN as a dash.

    Examples
    --------
    >>> format_value(0.1234, Unit.FRACTION), format_value(1234.5, Unit.MONEY), format_value(7, Unit.COUNT)
    ('12.34%', '1,234.50', '7')
    """
    if math.isnan(value):
        return "\N{EN DASH}"
    if math.isinf(value):
        return "\N{INFINITY}" if value > 0 else "-\N{INFINITY}"
    match unit:
        case Unit.FRACTION:
            text = f"{100 * value:,.2f}%"
        case Unit.RATIO:
            text = f"{value:,.3f}"
        case Unit.DAYS:
            text = f"{value:,.1f}"
        case Unit.MONEY:
            text = f"{value:,.2f}"
        case Unit.SESSIONS | Unit.COUNT:
            text = f"{value:,.0f}"
    # A loss that rounds to nothing is printed as nothing.
    return text if any(digit in text for digit in "123456789") else text.removeprefix("-")


@attrs.frozen
class Metric:
    """A named measure and how it is defined.

    Attributes
    ----------
    name : str
        Key in `Metrics` and in `metrics.json`.
    label, group : str
        How tables print it, and under which heading.
    unit : Unit
        What the number counts.
    convention : str
        The definition, in one sentence: sign, scaling, what is left out.
    """

    name: str
    label: str
    group: str
    unit: Unit
    convention: str


_F, _R, _S, _M, _N = Unit.FRACTION, Unit.RATIO, Unit.SESSIONS, Unit.MONEY, Unit.COUNT

_GROUPS: Mapping[str, Mapping[str, tuple[str, Unit, str]]] = {
    "Return": {
        "total_return": (
            "Total return",
            _F,
            "Last NAV over initial capital, less 1; time-weighted with payments in between.",
        ),
        "annual_return": (
            "Annual return",
            _F,
            "Geometric: (1 + total return) ^ (sessions per year / sessions), less 1.",
        ),
        "money_weighted_return": (
            "Money-weighted return",
            _F,
            "Of a run with payments in between: the yearly rate at which all of them became the last NAV.",
        ),
        "periods": ("Sessions", _N, "Sessions with a net asset value."),
        "best": ("Best session", _F, "Largest session return."),
        "worst": ("Worst session", _F, "Smallest session return."),
        "hit_rate": ("Winning sessions", _F, "Sessions with a gain over sessions with any change."),
    },
    "Risk": {
        "annual_volatility": (
            "Annual volatility",
            _F,
            "Standard deviation of session returns (n - 1) x square root of sessions per year.",
        ),
        "downside_risk": (
            "Downside risk",
            _F,
            "Root mean square of the shortfalls below the risk-free rate, over all sessions, "
            "x square root of sessions per year.",
        ),
        "max_drawdown": (
            "Maximum drawdown",
            _F,
            "Deepest fall of NAV below its highest value so far, the initial capital included.",
        ),
        "max_drawdown_length": (
            "Length of that drawdown, sessions",
            _S,
            "From the peak before the deepest fall to its recovery, or to the end of the run.",
        ),
        "longest_drawdown_length": (
            "Longest drawdown, sessions",
            _S,
            "Most sessions from a peak to its recovery, or to the end; it need not be the deepest.",
        ),
        "var_5": ("Value at risk, 5%", _F, "5th percentile of session returns, interpolated linearly."),
        "cvar_5": (
            "Expected shortfall, 5%",
            _F,
            "Mean of the lowest int((n - 1) x 0.05) + 1 session returns.",
        ),
        "skew": ("Skewness", _R, "Of session returns, corrected for bias."),
        "kurtosis": ("Excess kurtosis", _R, "Of session returns, corrected for bias; a normal has 0."),
    },
    "Risk-adjusted": {
        "sharpe": (
            "Sharpe ratio",
            _R,
            "Mean over standard deviation (n - 1) of returns above the risk-free rate, "
            "x square root of sessions per year.",
        ),
        "sortino": (
            "Sortino ratio",
            _R,
            "Mean return above the risk-free rate x sessions per year, over downside risk.",
        ),
        "calmar": ("Calmar ratio", _R, "Annual return over the size of the maximum drawdown."),
        "omega": (
            "Omega ratio",
            _R,
            "Sum of returns above the risk-free rate over the sum of the shortfalls below it.",
        ),
        "tail_ratio": (
            "Tail ratio",
            _R,
            "Size of the 95th percentile of session returns over that of the 5th.",
        ),
        "stability": ("Stability", _R, "R squared of a straight line through the cumulative log returns."),
    },
    BENCHMARK_GROUP: {
        "alpha": (
            "Alpha",
            _F,
            "Mean return not explained by beta, compounded: (1 + mean) ^ sessions per year, less 1.",
        ),
        "beta": ("Beta", _R, "Covariance with the benchmark over the benchmark's variance."),
        "tracking_error": (
            "Tracking error",
            _F,
            "Standard deviation (n - 1) of the return above the benchmark, "
            "x square root of sessions per year.",
        ),
        "information_ratio_annual": (
            "Information ratio",
            _R,
            "Mean over standard deviation (n - 1) of the return above the benchmark, "
            "x square root of sessions per year.",
        ),
        "information_ratio": (
            "Information ratio, per session",
            _R,
            "Mean over standard deviation (n - 1) of the return above the benchmark, not annualised.",
        ),
    },
    "Activity": {
        "turnover": (
            "Turnover",
            _F,
            "Half of all notional traded over mean NAV, per year: 100% replaces the portfolio once a year.",
        ),
        "exposure": ("Exposure", _F, "Mean of gross market value over NAV at the closes of the sessions."),
        "time_in_market": ("Time in market", _F, "Share of sessions that closed with a position."),
        "fees": ("Fees", _M, "Sum over all fills; rebates count against it."),
        "carry": ("Carry", _M, "Borrow fees, funding and interest paid, less what was received."),
        "slippage_cost": (
            "Slippage",
            _M,
            "Spread, slippage and impact of all fills against their reference prices; already in the prices.",
        ),
        "impact_cost": ("Impact", _M, "The part of it that our own size caused."),
        "permanent_impact_cost": (
            "Permanent impact",
            _M,
            "The part of that which earlier fills had left in the price; negative where it helped.",
        ),
    },
    "Round trips": {
        "trades": ("Round trips", _N, "Pairs of an opened lot and the fill that closed it."),
        "trade_hit_rate": (
            "Winning round trips",
            _F,
            "Round trips with a net gain over those with any net result.",
        ),
        "profit_factor": (
            "Profit factor",
            _R,
            "Sum of net gains over the size of the sum of net losses.",
        ),
        "expectancy": ("Expectancy", _M, "Mean net result of a round trip, after fees."),
    },
}

METRICS: Mapping[str, Metric] = {
    name: Metric(name, label, group, unit, convention)
    for group, rows in _GROUPS.items()
    for name, (label, unit, convention) in rows.items()
}
"""Every metric by name, in the order in which tables print them."""


@attrs.frozen
class MetricValue:
    """A metric with its value and the text that tables print."""

    metric: Metric
    value: float

    @property
    def text(self) -> str:
        """The value as printed."""
        return format_value(self.value, self.metric.unit)


@attrs.frozen(kw_only=True)
class Metrics(Mapping[str, float]):
    """Metrics of one run by name, with the conventions under which they were computed.

    A mapping: `metrics["sharpe"]`. What cannot be defined (a ratio without variance, a profit factor without
    a loss) is NaN, never infinite and never zero.

    Attributes
    ----------
    periods_per_year : float
        Sessions per year, which annualises.
    risk_free : float
        Annual risk-free rate; per session it is (1 + rate) ^ (1 / sessions per year) - 1.
    """

    _values: Mapping[str, float] = attrs.field(repr=False)
    periods_per_year: float
    risk_free: float

    def __getitem__(self, name: str) -> float:
        """Return one value; an unknown name lists the known ones."""
        try:
            return self._values[name]
        except KeyError:
            raise unknown_name("metric", name, self._values) from None  # noqa: EM101

    def __contains__(self, name: object) -> bool:
        """Whether the metric was computed."""
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        """Names, in the order in which tables print them."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return the number of metrics."""
        return len(self._values)

    def rows(self) -> list[MetricValue]:
        """Return every metric with its label, unit, convention and printed text."""
        return [MetricValue(METRICS[name], value) for name, value in self._values.items()]

    def __repr__(self) -> str:
        """Print a line per metric below the settings they were computed with."""
        rows = self.rows()
        widths = [max(map(len, texts), default=0) for texts in (self._values, [row.text for row in rows])]
        lines = [f"{row.metric.name:<{widths[0]}}  {row.text:>{widths[1]}}" for row in rows]
        return "\n".join([f"<{self._settings()}>", *lines])

    def _repr_html_(self) -> str:
        """Show the metrics as a table, for notebooks; pointing at one shows its definition."""
        caption = f"<caption style='text-align:left'>{html.escape(self._settings())}</caption>"
        return f"<table>{caption}<tbody>{html_rows(self)}</tbody></table>"

    def _settings(self) -> str:
        rate = format_value(self.risk_free, Unit.FRACTION)
        return f"Metrics, {self.periods_per_year:g} sessions per year, risk-free rate {rate}"

    def conventions(self) -> dict[str, object]:
        """Return how the metrics were computed, as plain data: settings, and a sentence per metric."""
        return {
            "periods_per_year": self.periods_per_year,
            "risk_free_annual": self.risk_free,
            "sampling": "session returns of net asset value, the first from initial capital",
            "metrics": {name: METRICS[name].convention for name in self._values},
        }


def html_rows(metrics: Metrics) -> str:
    """Return the rows of an HTML table: a heading per group, then label and text of each metric."""
    escape = html.escape
    rows, group = [], ""
    for row in metrics.rows():
        if row.metric.group != group:
            group = row.metric.group
            rows.append(f"<tr><th colspan='2' style='text-align:left'>{escape(group)}</th></tr>")
        rows.append(
            f"<tr title='{escape(row.metric.convention)}'>"
            f"<td style='text-align:left'>{escape(row.metric.label)}</td>"
            f"<td style='text-align:right'>{escape(row.text)}</td></tr>"
        )
    return "".join(rows)
