"""What is measured on a run, and on which series.

Everything starts from the net asset value at each session's close (`nav_table`). The arithmetic of metrics
on a series of returns is done by the engine (`ml4t.engine._engine.performance`) and nowhere else; this
module prepares its inputs and adds what is read off other tables. `ml4t.engine.metrics` names the results
and states their conventions, `ml4t.engine.trade_statistics` measures round trips.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, SupportsFloat

from ml4t.core.errors import ConfigError, ResultsError, unknown_name
from ml4t.core.values import shown

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

__all__ = [
    "Every",
    "activity",
    "align_benchmark",
    "drawdown_periods",
    "drawdown_table",
    "exposures",
    "initial_capital",
    "nav_table",
    "periods_per_year_of",
    "returns_table",
    "rolling_table",
    "series_metrics",
]

Every = Literal["session", "week", "month", "quarter", "year"]

_TRUNCATE: Mapping[str, str] = {"week": "1w", "month": "1mo", "quarter": "1q", "year": "1y"}

_SESSIONS_A_YEAR: Mapping[str, float] = {"24/7": 365.0, "weekdays": 260.0, "fx_24_5": 260.0}
_EXCHANGE_SESSIONS_A_YEAR = 252.0


def periods_per_year_of(calendar: str | None) -> float:
    """Return the usual number of sessions in a year of a calendar: 365, 260 or, for exchanges, 252."""
    return _SESSIONS_A_YEAR.get(calendar or "", _EXCHANGE_SESSIONS_A_YEAR)


# --------------------------------------------------------------------------- series


def initial_capital(ledger: pl.DataFrame) -> float:
    """Return the money deposited before anything else happened, from the ledger."""
    import polars as pl

    if ledger.is_empty():
        return math.nan
    opening = pl.col("ts_event") == pl.col("ts_event").min()
    deposits = ledger.filter(opening, pl.col("credit") == "capital")
    return float(deposits["amount"].sum())


def growth_table(nav: pl.DataFrame, initial: float, flows: pl.DataFrame) -> pl.DataFrame:
    """Return what `initial` has become at each net asset value, as if nothing had been paid in or taken out.

    The growth between two payments is what the account was worth right before the second over what it was
    worth right after the first: time-weighted, without an approximation (GIPS 2020, "true time-weighted").
    """
    if flows.is_empty():
        return nav
    payments = [
        (ts, float(worth), float(worth + value))
        for ts, value, worth in flows.select("ts_event", "value", "equity").iter_rows()
    ]
    index, base, grown = initial, initial, []
    for ts, value in nav.select("ts_event", "nav").iter_rows():
        while payments and payments[0][0] <= ts:
            _, before, after = payments.pop(0)
            index = index * before / base if base > 0 else math.nan
            base = after
        grown.append(index * value / base if base > 0 else math.nan)
    import polars as pl

    return nav.with_columns(nav=pl.Series(grown, dtype=pl.Float64))


def money_weighted_return(
    nav: pl.DataFrame, *, start: dt.datetime, initial: float, flows: pl.DataFrame
) -> float:
    """Return the yearly rate at which all payments have become the last net asset value; NaN without one.

    The internal rate of return of dated payments in years of 365 days, as spreadsheets define XIRR, found by
    bisection; NaN above a million a year.
    """
    if nav.is_empty() or not initial > 0:
        return math.nan
    year = dt.timedelta(days=365)
    paid = [(0.0, initial)]
    paid += [
        ((ts - start) / year, float(value)) for ts, value in flows.select("ts_event", "value").iter_rows()
    ]
    end, left = nav.select("ts_event", "nav").row(-1)
    span = (end - start) / year

    def over(rate: float) -> float:
        return float(sum(amount * (1.0 + rate) ** (span - at) for at, amount in paid) - left)

    low, high = -1.0 + 1e-9, 1e6
    if not span > 0 or over(low) > 0 or over(high) < 0:
        return math.nan
    for _ in range(200):
        middle = (low + high) / 2.0
        low, high = (middle, high) if over(middle) < 0 else (low, middle)
    return (low + high) / 2.0


def opening_value(balances: pl.DataFrame) -> float:
    """Return what all currencies were worth together when a run with several began, in its base currency."""
    import polars as pl

    return float(balances.filter(pl.col("session").is_null())["value"].sum())


def rates_at_closes(balances: pl.DataFrame, currency: str) -> pl.DataFrame:
    """Return `session`, `fx_rate` of a currency, the row without a session being the begin of the run."""
    import polars as pl

    own = balances.filter(pl.col("currency") == currency)
    # Every book has the same rates.
    return own.unique("session", keep="first", maintain_order=True).select("session", "fx_rate")


def in_currency(nav: pl.DataFrame, initial: float, rates: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    """Return net asset values and initial capital in the currency of `rates`, of `rates_at_closes`."""
    import polars as pl

    opening = rates.filter(pl.col("session").is_null())["fx_rate"][0]
    found = nav.join(rates, on="session", how="left", maintain_order="left")
    return found.select("session", "ts_event", nav=pl.col("nav") / pl.col("fx_rate")), initial / opening


def nav_table(portfolio_history: pl.DataFrame) -> pl.DataFrame:
    """Return the net asset value at each session's close: `session`, `ts_event`, `nav`."""
    return portfolio_history.filter("is_nav").select("session", "ts_event", nav="equity")


def returns_table(nav: pl.DataFrame, *, initial: float, every: Every = "session") -> pl.DataFrame:
    """Return the change of NAV from one period's last session to the next's: `session`, `return`.

    Parameters
    ----------
    nav : polars.DataFrame
        From `nav_table`.
    initial : float
        Capital from which the first return is taken.
    every : {"session", "week", "month", "quarter", "year"}
        Sampling; `session` in the result is the last session of each period. The first and last period are
        as long as the run makes them.

    Notes
    -----
    After NAV reached zero or less, a return has no meaning and is NaN.
    """
    import polars as pl

    if every != "session":
        given: object = every
        if not isinstance(given, str) or given not in _TRUNCATE:
            raise unknown_name("sampling", str(given), ["session", *_TRUNCATE])  # noqa: EM101
        period = pl.col("session").dt.truncate(_TRUNCATE[every])
        nav = nav.group_by(period.alias("period"), maintain_order=True).agg(pl.all().last())
    before = pl.col("nav").shift(1, fill_value=initial)
    change = pl.when(before > 0).then(pl.col("nav") / before - 1.0).otherwise(math.nan)
    return nav.select("session", change.alias("return"))


def drawdown_table(nav: pl.DataFrame, *, initial: float) -> pl.DataFrame:
    """Return how far NAV stands below its highest value so far: `session`, `nav`, `peak`, `drawdown` (<= 0).

    The initial capital counts as the first peak.
    """
    import polars as pl

    peak = pl.max_horizontal(pl.col("nav").cum_max(), pl.lit(initial))
    return nav.select("session", "nav", peak=peak).with_columns(drawdown=pl.col("nav") / pl.col("peak") - 1.0)


def drawdown_periods(drawdowns: pl.DataFrame) -> pl.DataFrame:
    """Return every drawdown, deepest first.

    Parameters
    ----------
    drawdowns : polars.DataFrame
        From `drawdown_table`.

    Returns
    -------
    polars.DataFrame
        `peak` (session of the last high; null for the initial capital), `trough`, `recovery` (first session
        back at the high; null if that never came), `depth` (< 0), `length` (sessions from peak to recovery,
        or to the end).
    """
    import polars as pl

    around = drawdowns.with_columns(
        index=pl.int_range(pl.len()),
        before=pl.col("session").shift(1),
        after=pl.col("session").shift(-1),
        run=(pl.col("drawdown") < 0).rle_id(),
    )
    periods = (
        around.filter(pl.col("drawdown") < 0)
        .group_by("run", maintain_order=True)
        .agg(
            peak=pl.col("before").first(),
            trough=pl.col("session").get(pl.col("drawdown").arg_min()),
            recovery=pl.col("after").last(),
            depth=pl.col("drawdown").min(),
            length=pl.len().cast(pl.Int64) + pl.col("after").last().is_not_null().cast(pl.Int64),
        )
    )
    return periods.drop("run").sort("depth", "trough")


def rolling_table(
    returns: pl.DataFrame, *, window: int, periods_per_year: float, risk_free: float = 0.0
) -> pl.DataFrame:
    """Return volatility and Sharpe ratio over a moving window of sessions.

    Returns
    -------
    polars.DataFrame
        `session` (last of the window), `annual_volatility`, `sharpe`; empty when the run is shorter than
        one window.
    """
    import polars as pl

    given: object = window
    if not isinstance(given, int) or window < 2:
        message = (
            f"window is {shown(given)}; expected a whole number, because a standard deviation needs at least "
            "2 sessions"
        )
        raise ResultsError(message)
    from ml4t.engine import _engine

    _check_setting("periods_per_year", periods_per_year, above=0.0, example="252")
    _check_setting("risk_free", risk_free, above=-1.0, example="0.02 for 2% per year")
    values = _up_to_ruin(returns["return"].to_numpy())
    per_session = math.expm1(math.log1p(risk_free) / periods_per_year)
    measured = _engine.rolling_performance(
        values, window, risk_free=per_session, periods_per_year=periods_per_year
    )
    # Of an array polars would ask numpy for its mask, and load `numpy.ma` for that.
    columns = (pl.Series(values.tolist(), dtype=pl.Float64) for values in measured)
    data = dict(zip(("annual_volatility", "sharpe"), columns, strict=True))
    return returns.select("session")[window - 1 : len(values)].with_columns(**data)


# --------------------------------------------------------------------------- metrics


def series_metrics(
    returns: NDArray[np.float64],
    *,
    periods_per_year: float,
    risk_free: float = 0.0,
    benchmark: NDArray[np.float64] | None = None,
) -> dict[str, float]:
    """Measure a series of returns in the engine.

    Parameters
    ----------
    returns : numpy.ndarray of float64, shape (n_sessions,)
        Simple returns, one per session.
    periods_per_year : float
        Sessions per year.
    risk_free : float
        Annual rate.
    benchmark : numpy.ndarray of float64, shape (n_sessions,), optional
        Returns of the benchmark over the same sessions.

    Raises
    ------
    ConfigError
        If `periods_per_year` is no number above 0, or `risk_free` none above -1.
    ResultsError
        If a series is no array of numbers.

    Notes
    -----
    A run that lost everything is measured up to the session in which it did.
    """
    from ml4t.engine import _engine

    _check_setting("periods_per_year", periods_per_year, above=0.0, example="252")
    _check_setting("risk_free", risk_free, above=-1.0, example="0.02 for 2% per year")
    defined = _up_to_ruin(_numbers(returns, "returns"))
    benchmark = None if benchmark is None else _numbers(benchmark, "benchmark")
    per_session = math.expm1(math.log1p(risk_free) / periods_per_year)
    measured = _engine.performance(
        defined,
        benchmark=None if benchmark is None else benchmark[: len(defined)],
        risk_free=per_session,
        periods_per_year=periods_per_year,
    )
    return dict(measured)


def _check_setting(name: str, value: object, *, above: float, example: str) -> None:
    is_number = isinstance(value, SupportsFloat) and not isinstance(value, bool)
    if not (is_number and math.isfinite(value) and value > above):  # type: ignore[arg-type, operator]
        message = f"{name} = {shown(value)}; expected a number above {above:g}, such as {example}"
        raise ConfigError(message)


def _numbers(values: object, what: str, *, expected: str = "one number per session") -> NDArray[np.float64]:
    """Return a series as the engine takes it; NaN is a number here."""
    import numpy as np

    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.zeros((0, 0))
    if array.ndim != 1:
        found = f"{type(values).__name__} {' '.join(shown(values).split())}"
        message = f"{what}: expected {expected}, found {found}"
        raise ResultsError(message)
    return array


def _up_to_ruin(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what comes before the first undefined return, which follows a NAV of zero or less."""
    import numpy as np

    undefined = np.flatnonzero(np.isnan(returns))
    return returns[: undefined[0]] if len(undefined) else returns


def exposures(portfolio_history: pl.DataFrame) -> dict[str, float]:
    """Measure exposure, time in the market, fees and carry; `ml4t.engine.metrics` has the definitions."""
    import polars as pl

    # Of positions that are not paid for it is the notional, so that a future is exposed like a share.
    gross = pl.col("gross_exposure")
    fees = portfolio_history["fees"]
    closes = portfolio_history.filter("is_nav").select(
        exposure=(gross / pl.col("equity")).mean(), time_in_market=(gross > 0).mean()
    )
    measured = {
        name: math.nan if found is None else found for name, found in closes.row(0, named=True).items()
    }
    carry = portfolio_history["carry"]
    return measured | {name.name: name[-1] if len(name) else 0.0 for name in (fees, carry)}


def in_base_currency(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return amounts of fills or round trips in the base currency, by the rate of each row."""
    import polars as pl

    # Frames from elsewhere, or of former runs, are of one currency.
    if "fx_rate" not in frame.columns:
        return frame
    return frame.with_columns(pl.col(name) * pl.col("fx_rate") for name in columns)


def activity(fills: pl.DataFrame, nav: pl.DataFrame, *, periods_per_year: float) -> dict[str, float]:
    """Measure turnover and costs of fills; `ml4t.engine.metrics` has the definitions."""
    import polars as pl

    # Units are quantity x multiplier x rate, so that what a unit loses is in the base currency.
    fills = in_base_currency(fills, ("notional", "fee", "quantity"))
    price, notional = pl.col("price").abs(), pl.col("notional").abs()
    # Quantity x multiplier; a fill at a price of zero has no notional to take it from.
    units = pl.when(price > 0).then(notional / price).otherwise(pl.col("quantity"))
    parts = {
        "slippage_cost": pl.col("spread") + pl.col("slippage") + pl.col("impact"),
        "impact_cost": pl.col("impact"),
        "permanent_impact_cost": pl.col("permanent_impact"),
    }
    lost = fills.select((units * part).sum().alias(name) for name, part in parts.items())
    # Those of fills after the last net asset value too.
    costs = {"fees": float(fills["fee"].sum()), **lost.row(0, named=True)}
    if nav.is_empty():
        return {"turnover": math.nan, **costs}
    traded, mean = float(fills["notional"].abs().sum()), nav.select(pl.col("nav").mean()).item()
    years = nav.height / periods_per_year
    return {"turnover": traded / 2 / mean / years if mean > 0 else math.nan, **costs}


def align_benchmark(benchmark: object, sessions: pl.Series) -> NDArray[np.float64]:
    """Return the benchmark's returns on the sessions of a run.

    Parameters
    ----------
    benchmark : object
        A polars frame with columns `session` (Date) and `return`; a pandas series of returns indexed by date;
        or a plain sequence of returns, one per session of the run. Further dates are ignored.
    sessions : polars.Series of Date
        Sessions of the run.

    Raises
    ------
    ResultsError
        If a session of the run has no return: dropping sessions would change every metric without a word.
    """
    import polars as pl

    frame = _benchmark_frame(benchmark)
    if frame is None:
        values = _numbers(benchmark, "benchmark", expected=_BENCHMARK)
        if values.shape != (len(sessions),):
            message = (
                f"the benchmark has {len(values)} returns, the run {len(sessions)} sessions; give one return "
                f"per session, or a frame with the columns `session` and `return`"
            )
            raise ResultsError(message)
        dated = pl.DataFrame({"session": sessions, "return": values})
    else:
        if frame["session"].is_duplicated().any():
            twice = frame.filter(frame["session"].is_duplicated())["session"][0]
            message = f"the benchmark has more than one return for {twice}"
            raise ResultsError(message)
        dated = pl.DataFrame({"session": sessions}).join(
            frame, on="session", how="left", maintain_order="left"
        )
    missing = dated.filter(pl.col("return").is_null() | pl.col("return").is_nan())["session"]
    if len(missing):
        message = (
            f"the benchmark has no return for {len(missing)} of {len(sessions)} sessions, the first is "
            f"{missing[0]}; a return needs the price of the session before as well"
        )
        raise ResultsError(message)
    return dated["return"].to_numpy()


_BENCHMARK = (
    "another run, a polars frame with the columns `session` and `return`, a pandas series indexed by date, "
    "or a list with one number per session"
)


def _benchmark_frame(benchmark: object) -> pl.DataFrame | None:
    """Bring a dated benchmark into columns `session`, `return`; None when it carries no dates."""
    import polars as pl

    if isinstance(benchmark, pl.DataFrame):
        wanted = {"session", "return"}
        if not wanted <= set(benchmark.columns):
            message = f"a benchmark frame needs the columns `session` and `return`, found {benchmark.columns}"
            raise ResultsError(message)
        session, values = benchmark.schema["session"], benchmark.schema["return"]
        if not (session == pl.Date or isinstance(session, pl.Datetime)) or not values.is_numeric():
            found = f"{session} and {values}"
            message = f"a benchmark frame needs dates as `session` and numbers as `return`, found {found}"
            raise ResultsError(message)
        return _dated(benchmark["session"].cast(pl.Date), benchmark["return"].cast(pl.Float64))
    index = getattr(benchmark, "index", None)
    dates = getattr(index, "date", None)
    if dates is None:
        return None
    # A missing date is NaT.
    labels = [label if label == label else None for label in dates]
    return _dated(
        pl.Series(labels, dtype=pl.Date), pl.Series(_numbers(benchmark, "benchmark", expected=_BENCHMARK))
    )


def _dated(sessions: pl.Series, values: pl.Series) -> pl.DataFrame:
    import polars as pl

    if sessions.has_nulls():
        message = f"the benchmark has {sessions.null_count()} returns without a date; drop or date them"
        raise ResultsError(message)
    return pl.DataFrame({"session": sessions, "return": values})
