"""Results of a run: its tables, what is measured on them, and how they are kept and shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from ml4t.core.errors import ResultsError, unknown_name
from ml4t.core.plugins import PluginManager, load_plugins
from ml4t.core.schemas import TABLES
from ml4t.engine import display, storage
from ml4t.engine import performance as perf
from ml4t.engine.metrics import BENCHMARK_GROUP, METRICS, Metrics
from ml4t.engine.performance import Every
from ml4t.engine.rolls import roll_table, undone_rolls
from ml4t.engine.tables import arrow_table, check_names, kept_names
from ml4t.engine.trade_statistics import TradeStatistics, trade_statistics

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    import plotly.graph_objects as go
    import polars as pl
    import pyarrow as pa

    from ml4t.engine.export import PyfolioInputs

__all__ = ["Results", "RunStatus"]

RunStatus = Literal["complete", "interrupted", "failed"]

_T = TypeVar("_T")
_ROLLING_SESSIONS = 126


class Results:
    """Everything a run leaves behind.

    Tables are Arrow inside and become polars frames when first asked for. What is derived from them (returns,
    metrics, statistics) is computed on demand and kept.

    Parameters
    ----------
    tables : mapping of str to object
        One object with `__arrow_c_stream__` for every name in `ml4t.core.schemas.TABLES`; of a run with
        `record = "nav"` those for `portfolio_history`, `recorded` and `logs`.
    manifest : mapping
        What decides the run: configuration, seed, hashes of inputs, versions. Saved as `run_manifest.json`.
    run_info : mapping
        What may differ between two runs of one manifest: times, host, paths. Saved as `run_info.json`.
    config : mapping, optional
        The run's configuration as plain data; by default the manifest's `config`.
    status : {"complete", "interrupted", "failed"}
        Whether the run reached its end. Tables hold everything up to where it stopped.
    benchmark : object, optional
        Returns to compare with, in any form that `performance` takes. Kept with the run.
    plugins : PluginManager, optional
        Those of the run, to draw with; by default those of the environment, loaded when first needed.

    Examples
    --------
    >>> results = Results.load("runs/momentum")  # doctest: +SKIP
    >>> results.metrics["sharpe"]  # doctest: +SKIP
    >>> results.fills.filter(symbol="AAPL")  # doctest: +SKIP
    """

    def __init__(  # noqa: PLR0913 - the parts of a run, each by its name
        self,
        tables: Mapping[str, Any],
        *,
        manifest: Mapping[str, Any],
        run_info: Mapping[str, Any],
        config: Mapping[str, Any] | None = None,
        status: RunStatus = "complete",
        benchmark: object = None,
        plugins: PluginManager | None = None,
    ) -> None:
        self._config: Mapping[str, Any] = manifest.get("config", {}) if config is None else config
        kept = kept_names(self._setting("backtest", "record"))
        check_names(tables, kept)
        self._raw: dict[str, Any] = {name: tables[name] for name in kept}
        self._cache: dict[object, Any] = {}
        self._manifest = dict(manifest)
        self._run_info = dict(run_info)
        self._status: RunStatus = status
        self._benchmark = benchmark
        self._plugins = plugins
        self._path: Path | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Pickle tables as Arrow; plugins stay behind, and what is derived is computed anew."""
        tables = {
            name: raw if isinstance(raw, storage.StoredTable) else self._arrow(name)
            for name, raw in self._raw.items()
        }
        return {**vars(self), "_raw": tables, "_cache": {}, "_plugins": None}

    # ----------------------------------------------------------------------- what the run was

    @property
    def status(self) -> RunStatus:
        """Whether the run reached its end."""
        return self._status

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What decides the run; two runs with equal manifests have equal tables."""
        return self._manifest

    @property
    def run_info(self) -> Mapping[str, Any]:
        """What may differ between two runs of one manifest."""
        return self._run_info

    @property
    def config(self) -> Mapping[str, Any]:
        """The run's configuration as plain data."""
        return self._config

    @property
    def path(self) -> Path | None:
        """Folder where the run was last saved to or loaded from; None before that."""
        return self._path

    @property
    def name(self) -> str:
        """Name of the run, from its configuration."""
        return str(self._setting("backtest", "name") or "backtest")

    @property
    def currency(self) -> str:
        """Currency of all money in the results."""
        return str(self._setting("backtest", "base_currency") or "USD")

    @property
    def execution_paths(self) -> Mapping[str, str]:
        """What executed each model: `builtin` (the engine's own), `capsule` (native), or `python`.

        By kind: `fill`, `slippage` and `fee` always, `impact` and `latency` where the run has such a model,
        `executor` where an algorithm worked an order, and `strategy` for a kernel, not for a `Strategy` in
        Python. Where execution algorithms ran by different ways, those are named together.
        """
        paths: dict[str, str] = {}
        for model in self._manifest.get("models", ()):
            kind, path = str(model["kind"]), str(model["path"])
            known = paths.get(kind, path)
            paths[kind] = known if path in known.split(" and ") else f"{known} and {path}"
        return paths

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the results must know, one sentence each: the manifest's warnings, and the end."""
        notes = [str(note) for note in self._manifest.get("warnings", ())]
        if self._status != "complete":
            times = self.portfolio_history["ts_event"]
            last = f"the tables end at {times[-1]}" if len(times) else "nothing was recorded"
            notes.insert(0, f"The run is {self._status}: {last}.")
        elif self.nav.is_empty():
            calendar = self._manifest.get("nav_calendar") or "the NAV calendar"
            notes.insert(
                0,
                f"No session of {calendar} closed within the data, so there is no NAV, and returns and "
                f"metrics are empty; check timezone, stamp, calendar and nav_calendar.",
            )
        elif self.keeps_tables and (moved := _moved_after_the_last_nav(self)):
            notes.insert(0, moved)
        if self.keeps_tables:
            notes += undone_rolls(self.orders, self._run_info.get("counts", {}).get("waiting_rolls", ()))
        if not self._run_info.get("counts", {}).get("has_room", True):
            notes.append(
                "Orders and tables exceed table_memory, and what could not be put away in the folder for "
                "temporary files stayed in memory; see TMPDIR."
            )
        ruined = self.nav.filter(self.nav["nav"] <= 0)
        if not ruined.is_empty():
            notes.append(
                f"Equity was {ruined['nav'][0]:,.2f} at the close of {ruined['session'][0]}; "
                f"metrics cover the sessions up to that one."
            )
        return tuple(notes)

    def _setting(self, section: str, key: str) -> object:
        part = self._config.get(section)
        return part.get(key) if isinstance(part, Mapping) else None

    # ----------------------------------------------------------------------- tables

    @property
    def keeps_tables(self) -> bool:
        """Whether the run kept its orders, fills and postings: not with `record = "nav"`."""
        return "ledger" in self._raw

    @property
    def orders(self) -> pl.DataFrame:
        """Every order with its final state."""
        return self.table("orders")

    @property
    def order_events(self) -> pl.DataFrame:
        """Every transition of every order."""
        return self.table("order_events")

    @property
    def fills(self) -> pl.DataFrame:
        """Every execution, its cost taken apart."""
        return self.table("fills")

    @property
    def round_trips(self) -> pl.DataFrame:
        """Every pair of an opened lot and the fill that closed it."""
        return self.table("round_trips")

    @property
    def trades(self) -> pl.DataFrame:
        """The same as `round_trips`."""
        return self.table("round_trips")

    @property
    def positions(self) -> pl.DataFrame:
        """Every position at each net asset value."""
        return self.table("positions")

    @property
    def ledger(self) -> pl.DataFrame:
        """Every posting."""
        return self.table("ledger")

    @property
    def portfolio_history(self) -> pl.DataFrame:
        """The account at each recorded instant."""
        return self.table("portfolio_history")

    @property
    def attribution(self) -> pl.DataFrame:
        """What changes of net asset value consist of, exactly: a row per NAV and instrument, or account."""
        return self.table("attribution")

    @property
    def balances(self) -> pl.DataFrame:
        """What there is of each currency at the begin and at each NAV; empty in a run with one currency."""
        return self.table("balances")

    @property
    def conversions(self) -> pl.DataFrame:
        """Conversions of one currency into another, automatic or asked for."""
        return self.table("conversions")

    @property
    def margin(self) -> pl.DataFrame:
        """What the account needed at each net asset value; empty without a margin model."""
        return self.table("margin")

    @property
    def margin_calls(self) -> pl.DataFrame:
        """Warnings, margin calls, and what became of them."""
        return self.table("margin_calls")

    @property
    def cash_flows(self) -> pl.DataFrame:
        """What was paid in and taken out while the run went on, and the equity right before."""
        return self.table("cash_flows")

    @property
    def rolls(self) -> pl.DataFrame:
        """Positions that went from one contract into the next; see `ml4t.engine.rolls.roll_table`."""
        return self._kept("rolls", lambda: roll_table(self.orders, self.fills))

    @property
    def _has_several_currencies(self) -> bool:
        return self.balances.height > 0

    @property
    def recorded(self) -> pl.DataFrame:
        """What the strategy recorded."""
        return self.table("recorded")

    @property
    def logs(self) -> pl.DataFrame:
        """What the strategy logged."""
        return self.table("logs")

    def table(self, name: str) -> pl.DataFrame:
        """Return a table by name; `trades` is another name of `round_trips`; `rolls` is made of two.

        Raises
        ------
        ResultsError
            If the run did not keep it, because it has `record = "nav"`.
        """
        import polars as pl

        if name == "rolls":
            return self.rolls
        name = "round_trips" if name == "trades" else name
        if name not in self._raw and name in TABLES:
            message = (
                f'this run kept no table {name}: [backtest] record = "nav" keeps net asset values alone; '
                'run it with record = "session" for all tables'
            )
            raise ResultsError(message)
        if name not in self._raw:
            raise unknown_name("table", name, self._raw)  # noqa: EM101
        return self._kept(("table", name), lambda: cast("pl.DataFrame", pl.from_arrow(self._arrow(name))))

    def _arrow(self, name: str) -> pa.Table:
        """Return a table as Arrow, checked against its schema."""
        return self._kept(("arrow", name), lambda: arrow_table(name, self._raw[name]))

    def _kept(self, key: object, build: Callable[[], _T]) -> _T:
        """Return what `build` returned when `key` was first asked for."""
        if key not in self._cache:
            self._cache[key] = build()
        return cast("_T", self._cache[key])

    # ----------------------------------------------------------------------- series

    @property
    def equity(self) -> pl.DataFrame:
        """Worth of the account at each recorded instant: `ts_event`, `equity`."""
        return self._kept("equity", lambda: self.portfolio_history.select("ts_event", "equity"))

    @property
    def nav(self) -> pl.DataFrame:
        """Net asset value at each session's close: `session`, `ts_event`, `nav`."""
        return self._kept("nav", lambda: perf.nav_table(self.portfolio_history))

    @property
    def initial_capital(self) -> float:
        """Money deposited before the run began, in the base currency."""
        if self._has_several_currencies:
            return self._kept("initial", lambda: perf.opening_value(self.balances))
        if not self.keeps_tables:
            return float(str(self._setting("broker", "initial_cash")))
        return self._kept("initial", lambda: perf.initial_capital(self.ledger))

    @property
    def periods_per_year(self) -> float:
        """Sessions per year of the NAV calendar: 252 for exchanges, 365 for `24/7`."""
        calendar = self._manifest.get("nav_calendar") or self._setting("backtest", "nav_calendar")
        return perf.periods_per_year_of(str(calendar) if calendar else None)

    @property
    def _growth(self) -> pl.DataFrame:
        """What the initial capital has become at each NAV, payments from and to outside left out."""
        return self._kept(
            "growth", lambda: perf.growth_table(self.nav, self.initial_capital, self.cash_flows)
        )

    def _nav_in(self, currency: str | None) -> tuple[pl.DataFrame, float]:
        """Return what the initial capital has become, and itself, in a currency of the run."""
        if currency is None or currency == self.currency:
            return self._growth, self.initial_capital
        known = self.balances["currency"].unique().to_list() if self._has_several_currencies else []
        if currency not in known:
            raise unknown_name("currency", currency, sorted({self.currency, *known}))  # noqa: EM101
        rates = perf.rates_at_closes(self.balances, currency)
        return perf.in_currency(self._growth, self.initial_capital, rates)

    def returns(self, every: Every = "session", *, currency: str | None = None) -> pl.DataFrame:
        """Return simple returns between net asset values: `session`, `return`.

        Parameters
        ----------
        every : {"session", "week", "month", "quarter", "year"}
            Sampling; `session` is the last session of each period. The first return is taken from the
            initial capital.
        currency : str, optional
            Of the run, in which the values are seen; the base currency by default.
        """
        return self._kept(
            ("returns", repr(every), currency),
            lambda: perf.returns_table((found := self._nav_in(currency))[0], initial=found[1], every=every),
        )

    def drawdowns(self) -> pl.DataFrame:
        """Return how far NAV stands below its highest value so far: `session`, `nav`, `peak`, `drawdown`."""
        return self._kept(
            "drawdowns", lambda: perf.drawdown_table(self._growth, initial=self.initial_capital)
        )

    def drawdown_periods(self) -> pl.DataFrame:
        """Return every drawdown, deepest first: `peak`, `trough`, `recovery`, `depth`, `length`."""
        return self._kept("drawdown_periods", lambda: perf.drawdown_periods(self.drawdowns()))

    def rolling(self, window: int = _ROLLING_SESSIONS) -> pl.DataFrame:
        """Return `annual_volatility` and `sharpe` over the last `window` sessions, once there are as many."""
        return self._kept(
            ("rolling", repr(window)),
            lambda: perf.rolling_table(
                self.returns(),
                window=window,
                periods_per_year=self.periods_per_year,
                risk_free=self._risk_free(),
            ),
        )

    # ----------------------------------------------------------------------- metrics

    @property
    def benchmark(self) -> pl.DataFrame | None:
        """Returns of the run's benchmark on the run's sessions: `session`, `return`; None without one."""
        if self._benchmark is None:
            return None
        return self._kept("benchmark", lambda: self._aligned(self._benchmark))

    def _aligned(self, benchmark: object) -> pl.DataFrame:
        """Bring a benchmark in any form onto the sessions of the run."""
        import polars as pl

        if isinstance(benchmark, Results):
            benchmark = benchmark.returns()
        if isinstance(benchmark, storage.StoredTable):
            benchmark = pl.from_arrow(benchmark.read())
        sessions = self.nav["session"]
        return pl.DataFrame({"session": sessions, "return": perf.align_benchmark(benchmark, sessions)})

    @property
    def metrics(self) -> Metrics:
        """Metrics of the run against its benchmark, if it has one.

        The risk-free rate is that of the configuration (`report.risk_free`, default 0). A run with
        `record = "nav"` has no metrics of single fills and round trips.
        """
        return self._kept("metrics", self.performance)

    def performance(
        self,
        *,
        benchmark: object = None,
        risk_free: float | None = None,
        periods_per_year: float | None = None,
        currency: str | None = None,
    ) -> Metrics:
        """Measure the run, if wanted against a benchmark.

        Parameters
        ----------
        benchmark : Results, polars.DataFrame, pandas.Series or sequence, optional
            Returns of the same sessions: another run; a frame with columns `session` and `return`; a series
            indexed by date; or plain numbers in the order of the sessions. It adds `alpha`, `beta`,
            `tracking_error` and `information_ratio`. By default the run's own benchmark, if it has one.
        risk_free : float, optional
            Annual rate (0.02 is 2%), taken off each session's return as (1 + rate) ^ (1 / sessions per year)
            - 1. By default the configuration's `report.risk_free`. A rate r per session is given as
            (1 + r) ** sessions_per_year - 1.
        periods_per_year : float, optional
            Sessions per year. By default that of the NAV calendar.
        currency : str, optional
            Of the run, in which returns are measured, as who thinks in it sees them; amounts stay in the base
            currency.

        Raises
        ------
        ResultsError
            If the benchmark is none of these, or lacks a session of the run.
        ConfigError
            If `periods_per_year` is no number above 0, or `risk_free` none above -1.
        """
        per_year = self.periods_per_year if periods_per_year is None else periods_per_year
        rate = self._risk_free() if risk_free is None else risk_free
        returns = self.returns(currency=currency)
        against = self.benchmark if benchmark is None else self._aligned(benchmark)
        measured = perf.series_metrics(
            returns["return"].to_numpy(),
            periods_per_year=per_year,
            risk_free=rate,
            benchmark=None if against is None else against["return"].to_numpy(),
        )
        measured |= perf.exposures(self.portfolio_history)
        if self.cash_flows.height and self.keeps_tables:
            measured["money_weighted_return"] = perf.money_weighted_return(
                self.nav,
                start=self.ledger["ts_event"].min(),  # type: ignore[arg-type]
                initial=self.initial_capital,
                flows=self.cash_flows,
            )
        if self.keeps_tables:
            measured |= perf.activity(self.fills, self.nav, periods_per_year=per_year)
            trips = self.trade_statistics
            measured |= {
                "trades": trips["trades"]["all"],
                "trade_hit_rate": trips["hit_rate"]["all"],
                "profit_factor": trips["profit_factor"]["all"],
                "expectancy": trips["expectancy"]["all"],
            }
        ordered = {
            name: measured[name]
            for name, metric in METRICS.items()
            if name in measured and (against is not None or metric.group != BENCHMARK_GROUP)
        }
        return Metrics(values=ordered, periods_per_year=per_year, risk_free=rate)

    @property
    def trade_statistics(self) -> TradeStatistics:
        """Statistics of the round trips: all, long and short."""
        return self._kept("trade_statistics", lambda: trade_statistics(self.round_trips))

    def summary(self, *, benchmark: object = None, risk_free: float | None = None) -> pl.DataFrame:
        """Return the metrics as a table: `group`, `name`, `metric`, `value`, `text`, `convention`.

        The parameters are those of `performance`.
        """
        import polars as pl

        metrics = self.performance(benchmark=benchmark, risk_free=risk_free)
        return pl.DataFrame(
            [
                {
                    "group": row.metric.group,
                    "name": row.metric.name,
                    "metric": row.metric.label,
                    "value": row.value,
                    "text": row.text,
                    "convention": row.metric.convention,
                }
                for row in metrics.rows()
            ]
        )

    def _risk_free(self) -> float:
        rate = self._setting("report", "risk_free")
        return float(rate) if isinstance(rate, (int, float, str)) else 0.0

    # ----------------------------------------------------------------------- elsewhere

    def to_pyfolio(self) -> PyfolioInputs:
        """Return `returns`, `positions` and `transactions` as `pyfolio.create_full_tear_sheet` takes them.

        Examples
        --------
        >>> pyfolio.create_full_tear_sheet(**results.to_pyfolio()._asdict())  # doctest: +SKIP
        """
        from ml4t.engine.export import pyfolio_inputs

        return pyfolio_inputs(
            returns=self.returns(),
            nav=self.nav,
            positions=self.positions,
            fills=self.fills,
            balances=self.balances,
        )

    def to_quantstats(self) -> pd.Series:
        """Return session returns as `quantstats.reports` takes them: a series named after the run.

        quantstats counts 252 periods a year unless told otherwise: pass `periods_per_year` along.
        """
        from ml4t.engine.export import quantstats_returns

        return quantstats_returns(self.returns(), name=self.name)

    def plot(self) -> go.Figure:
        """Draw equity with its drawdowns, and the underwater curve below it.

        The drawing is done by a plugin: the first installed reporter with the format `plotly`.

        Raises
        ------
        ResultsError
            If no such plugin is installed, or plotly is missing.
        """
        plugins = self._plugins
        return display.figure(self, self._kept("plugins", load_plugins) if plugins is None else plugins)

    # ----------------------------------------------------------------------- storage

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the run into a folder and return its path.

        One Parquet file per table (`round_trips` is `trades.parquet`), `run_manifest.json` (or what the
        configuration calls it), `run_info.json` and `metrics.json`. The folder appears complete or not at
        all.

        Parameters
        ----------
        path : str or Path
            The folder; made with its parents.
        overwrite : bool
            Replace a run that is already there. A folder that holds anything else is never replaced.

        Raises
        ------
        ResultsError
            If the folder is in use or cannot be written; the results are then still here, to be saved
            elsewhere.
        """
        target = Path(path)
        manifest = str(self._setting("backtest", "run_manifest") or storage.MANIFEST_FILE)
        info = {**self._run_info, "status": self._status, storage.MANIFEST_NAME: manifest}
        metrics = self.metrics
        trips: Mapping[str, Mapping[str, float]] = self.trade_statistics if self.keeps_tables else {}
        documents = {
            manifest: self._manifest,
            storage.INFO_FILE: info,
            storage.METRICS_FILE: {
                "metrics": dict(metrics),
                "trade_statistics": {name: dict(row) for name, row in trips.items()},
                "conventions": metrics.conventions(),
            },
        }
        tables = {name: self._arrow(name) for name in self._raw}
        if self.benchmark is not None:
            tables["benchmark"] = self.benchmark.to_arrow()
        storage.write_folder(target, tables=tables, documents=documents, overwrite=overwrite)
        self._path = target
        return target

    @classmethod
    def load(cls, path: str | Path) -> Results:
        """Open a run that `save` wrote; tables are read when first asked for.

        Raises
        ------
        ResultsError
            If a file is missing, truncated or not the one that was saved, or a table does not have its
            schema. A table is compared with its hash when it is first read.
        """
        folder = Path(path)
        name = storage.manifest_file(folder)
        manifest = storage.read_json(folder, name=name)
        info = storage.read_json(folder, name=storage.INFO_FILE)
        info.pop(storage.MANIFEST_NAME, None)
        storage.read_json(folder, name=storage.METRICS_FILE)
        hashes = storage.take_hashes(info, folder)
        for each in (name, storage.METRICS_FILE):
            storage.check_hash(folder / each, hashes.get(each))
        status = info.pop("status", None)
        if status not in ("complete", "interrupted", "failed"):
            file = folder / storage.INFO_FILE
            message = f"{file} has status {status!r}, expected complete, interrupted or failed"
            raise ResultsError(message)
        kept = kept_names(manifest.get("config", {}).get("backtest", {}).get("record"))
        tables = storage.stored_tables(folder, names=kept, hashes=hashes)
        benchmark = storage.stored_tables(folder, names=("benchmark",), hashes=hashes, optional=True)
        results = cls(
            tables, manifest=manifest, run_info=info, status=status, benchmark=benchmark.get("benchmark")
        )
        results._path = folder
        return results

    # ----------------------------------------------------------------------- display

    def __repr__(self) -> str:
        """One line: name, status, span, outcome."""
        return display.line(self)

    def _repr_html_(self) -> str:
        """Show the metrics as a small table, for notebooks."""
        return display.notebook_table(self)


def _moved_after_the_last_nav(results: Results) -> str:
    """Say that money moved after the last NAV, so that no return shows it; nothing when none did."""
    postings = results.ledger
    at, cash = results.portfolio_history.filter("is_nav").select("ts_event", "cash").row(-1)
    known = {results.currency: cash}
    if results.balances.height:
        last = results.balances.filter(results.balances["session"] == results.balances["session"].max())
        known = dict.fromkeys(last["currency"], 0.0)
        for name, each in last.select("currency", "cash").iter_rows():
            known[name] += float(each)
    moved = []
    for currency, before in known.items():
        own = postings.filter(postings["currency"] == currency)
        came, went = (
            float(own.filter(own[side] == "cash")["amount"].sum() or 0) for side in ("debit", "credit")
        )
        if abs(came - went - before) > max(1.0, came) * 1e-9:
            moved.append(f"{came - went - before:+,.2f} {currency}")
    if not moved:
        return ""
    return (
        f"Cash moved by {' and '.join(moved)} after the last NAV ({at}): what filled or was paid "
        "then is in the ledger, and in no NAV, return or metric."
    )
