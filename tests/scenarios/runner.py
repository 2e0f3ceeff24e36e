"""Run scenarios through the front door and compare what came of them with what was worked by hand."""

from __future__ import annotations

import datetime as dt
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from ml4t.backtest import (
    CompositeRule,
    DataFeed,
    Engine,
    Results,
    StopLoss,
    Strategy,
    TakeProfit,
    TrailingStop,
)
from ml4t.backtest.calendars import SessionTable, local_midnight_ns, session_table
from ml4t.core.config import MODEL_KEYS, BrokerSection
from ml4t.core.events import CorporateAction
from ml4t.core.instrument import Instrument
from ml4t.core.schemas import TABLES
from ml4t.core.types import ActionKind
from ml4t.core.values import format_ns

from .files import (
    ACTIONS,
    LINKS,
    MODELS,
    OUTPUTS,
    TEXTS,
    TIMES,
    WORDS,
    Ask,
    CancelAsk,
    ConvertAsk,
    ModifyAsk,
    OrderAsk,
    Row,
    RulesAsk,
    Scenario,
    ScenarioError,
    Table,
    day,
    instant,
    number,
    plugins,
)

ENGINES = ("rust", "reference")
"""What every scenario runs on; a name is a value of `backtest.engine`."""

FOLDER = Path(__file__).parent

# A float keeps this many digits of any number: shorter texts are compared digit by digit.
EXACT_DIGITS = 15

FUNDING_COLUMNS = {"rate": "funding_rate", "short_rate": "funding_rate_short", "mark": "mark_price"}
RULE_CLASSES = {"stop_loss": StopLoss, "take_profit": TakeProfit, "trailing_stop": TrailingStop}


class ScenarioFailure(AssertionError):
    """The engine did not do what the scenario says."""


def check(scenario: Scenario, engine: str) -> None:
    """Run a scenario twice and compare everything.

    Raises
    ------
    ScenarioError
        The scenario cannot be run as it is written.
    ScenarioFailure
        An ask was never sent, two runs differ, or a table is not the expected one.
    """
    check_sessions(scenario)
    first, second = run_twice(scenario, engine)
    for name in TABLES:
        if ipc_bytes(first.table(name)) != ipc_bytes(second.table(name)):
            message = f"{scenario.name} [{engine}]: two runs differ in the table {name}"
            raise ScenarioFailure(message)
    faults = [fault for name, table in scenario.expect.items() if (fault := difference(name, table, first))]
    if faults:
        message = "\n\n".join([f"{scenario.file}: {scenario.name} [{engine}]", scenario.why, *faults])
        raise ScenarioFailure(message)


def ipc_bytes(frame: pl.DataFrame) -> bytes:
    """Return a table as an Arrow IPC file."""
    buffer = io.BytesIO()
    frame.rechunk().write_ipc(buffer)
    return buffer.getvalue()


# Sessions ---------------------------------------------------------------------------------------------


def check_sessions(scenario: Scenario) -> None:
    """Compare the sessions with the real calendar: none may be wrong, and none that the data touch absent.

    So it is with the breaks in them.

    Raises
    ------
    ScenarioFailure
        They differ; both are shown.
    """
    for name in sorted({row["calendar"] for row in scenario.sessions.rows}):
        first, last = _span(scenario, name)
        listed = [row for row in scenario.sessions.rows if row["calendar"] == name]
        labels = [day(row["label"], scenario.name) for row in listed]
        margin = dt.timedelta(days=1)
        table = _calendar(name, min(*labels, _date(first)) - margin, max(*labels, _date(last)) + margin)
        wanted = [
            {
                "calendar": name,
                "label": str(label),
                "opens": show_time(opens),
                "closes": show_time(closes),
                "rests": " ".join(
                    show_time(each[0]) for each in table.breaks.rows() if opens < each[0] < closes
                ),
                "resumes": " ".join(
                    show_time(each[1]) for each in table.breaks.rows() if opens < each[1] < closes
                ),
            }
            for label, opens, closes in table.frame.rows()
            if min(labels) <= label <= max(labels) or (closes > first and opens < last)
        ]
        found = [
            {
                "rests": "",
                "resumes": "",
                **{
                    key: show_time(instant(cell, name)) if cell and key not in ("calendar", "label") else cell
                    for key, cell in row.items()
                },
            }
            for row in listed
        ]
        if found != wanted:
            columns = ("calendar", "label", "opens", "closes", "rests", "resumes")
            message = (
                f"{scenario.file}: {scenario.name}: sessions are not those of {name}\n\nlisted\n"
                f"{aligned(columns, found)}\n\nreal\n{aligned(columns, wanted)}"
            )
            raise ScenarioFailure(message)


@cache
def _calendar(name: str, first: dt.date, last: dt.date) -> SessionTable:
    return session_table(name, first, last)


def _span(scenario: Scenario, calendar: str) -> tuple[int, int]:
    """Return the first and the last instant of a calendar's own data; of all data if its closes are NAV."""
    calendars = {each.symbol: each.calendar for each in _instruments(scenario)}
    is_nav = scenario.nav_calendar == calendar or calendar not in calendars.values()
    times = [
        instant(row[column], scenario.name)
        for name, columns in (("bars", ("opens", "ends")), ("quotes", ("time",)), ("trades", ("time",)))
        for row in scenario.tables[name].rows
        for column in columns
        if is_nav or calendars[row["symbol"]] == calendar
    ]
    if not times:
        message = f"{scenario.name}: a scenario needs bars, quotes or trades"
        raise ScenarioError(message)
    return min(times), max(times)


def _date(ns: int) -> dt.date:
    return dt.datetime.fromtimestamp(ns // 10**9, tz=dt.UTC).date()


# Running ----------------------------------------------------------------------------------------------


class Script(Strategy):
    """Sends the asks of a scenario, each in the call it names."""

    def __init__(self, asks: Sequence[Ask], *, hears_opens: bool) -> None:
        self.left = list(asks)
        self.orders: list[Any] = []
        self.hears_opens = hears_opens

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        """Send what is due with the data of this instant."""
        self._send(timestamp.ns, "data")

    def on_fill(self, event: Any) -> None:  # noqa: ANN401
        """Send what is due after the opens of this instant."""
        # Where a model needs the volume of the bar, fills at its open are booked at its end.
        if event.phase == "open" and self.hears_opens:
            self._send(event.ts_event, "fill")

    def _send(self, now: int, call: str) -> None:
        due = [ask for ask in self.left if ask.sent_ns == now and ask.call == call]
        self.left = [ask for ask in self.left if ask not in due]
        for ask in due:
            self._do(ask.does)

    def _do(self, ask: OrderAsk | CancelAsk | ModifyAsk | RulesAsk | ConvertAsk) -> None:
        if isinstance(ask, CancelAsk):
            for order in self.broker.open_orders if isinstance(ask.which, str) else []:
                if order.tag == ask.which:
                    order.cancel()
            if isinstance(ask.which, int):
                self.broker.cancel_order(self.orders[ask.which - 1])
        elif isinstance(ask, ModifyAsk):
            changes: dict[str, Any] = dict(ask.changes)
            self.broker.modify_order(self.orders[ask.number - 1], **changes)
        elif isinstance(ask, ConvertAsk):
            self.broker.convert(ask.currency, ask.amount)
        elif isinstance(ask, RulesAsk):
            rules = [RULE_CLASSES[name](fraction) for name, fraction in ask.fractions.items()]
            self.broker.set_position_rules(CompositeRule(rules) if rules else None)  # type: ignore[attr-defined]
        else:
            send = self.broker.buy if ask.side == "buy" else self.broker.sell
            links = {name: self.orders[ask.terms[name] - 1] for name in LINKS if name in ask.terms}
            self.orders.append(send(ask.symbol, ask.quantity, **{**ask.terms, **links}))


def run_twice(scenario: Scenario, engine: str) -> tuple[Results, Results]:
    """Run a scenario two times and make sure that everything was asked.

    Raises
    ------
    ScenarioFailure
        The run never made the call in which an ask was to be sent.
    """
    given = {kind: _model(scenario, name) for name, kind in MODELS.items()}
    models = [plugins().build_model(kind, table) for kind, table in given.items() if table is not None]
    hears_opens = not any(getattr(model, "needs_volume", False) for model in models)
    scripts: list[Script] = []

    def script() -> Script:
        scripts.append(Script(scenario.asks, hears_opens=hears_opens))
        return scripts[-1]

    backtest: dict[str, Any] = {"record": "step", "engine": engine, "seed": scenario.seed}
    backtest["base_currency"] = scenario.base_currency
    if scenario.nav_calendar is not None:
        backtest["nav_calendar"] = scenario.nav_calendar
    backtester = Engine(
        _feeds(scenario),
        script,
        config={"backtest": backtest, "broker": dict(scenario.broker)},
        actions=_actions(scenario) or None,
        funding=_rates(scenario, "funding_rates", FUNDING_COLUMNS),
        borrow=_rates(scenario, "borrow_rates", {"rate": "borrow_rate", "available": "available"}),
        fx=_fx_rates(scenario),
        cash_flows=_cash_flows(scenario),
        rolls=_rolls(scenario),
        settlements=_rates(scenario, "settlement_prices", {"price": "settlement_price"}),
        margin_rates=_rates(scenario, "margin_rates", {"initial": "initial", "maintenance": "maintenance"}),
        instruments=_instruments(scenario),
        plugins=plugins(),
    )
    first, second = backtester.run(), backtester.run()
    if left := [ask for each in scripts for ask in each.left]:
        asks = "\n".join(ask.text for ask in left)
        message = f"{scenario.file}: {scenario.name} [{engine}]: there was no such call for\n{asks}"
        raise ScenarioFailure(message)
    return first, second


def _model(scenario: Scenario, name: str) -> Mapping[str, Any] | None:
    key = MODEL_KEYS[MODELS[name]]
    table: Mapping[str, Any] | None = scenario.broker.get(key, getattr(BrokerSection(), key))
    return table


def _feeds(scenario: Scenario) -> list[DataFeed]:
    layouts: tuple[tuple[str, str, dict[str, str]], ...] = (
        (
            "bars",
            "bar",
            {"opens": "ts_open", "ends": "ts_event", **{n: n for n in ("open", "high", "low", "close")}},
        ),
        ("quotes", "quote", {"time": "ts_event", "bid": "bid_price", "ask": "ask_price"}),
        ("trades", "trade", {"time": "ts_event", "price": "price"}),
    )
    feeds = []
    for name, kind, columns in layouts:
        optional = ("volume", "bid_size", "ask_size", "size")
        wanted = columns | {column: column for column in scenario.tables[name].columns if column in optional}
        rows = scenario.tables[name].rows
        end = "ends" if kind == "bar" else "time"
        for feed, group in itertools.groupby(sorted(rows, key=_feed_of(name)), key=_feed_of(name)):
            frame = _frame(
                [{**row, "arrives": row.get("arrives") or row[end]} for row in group], wanted, scenario
            )
            feeds.append(DataFeed(frame, name=feed, kind=kind, stamp="event"))  # type: ignore[arg-type]
    return feeds


def _feed_of(name: str) -> Any:  # noqa: ANN401 - a key of sorting
    return lambda row: row.get("feed") or name


def _frame(rows: Sequence[Row], columns: Mapping[str, str], scenario: Scenario) -> pl.DataFrame:
    stamp = pl.Datetime("ns", "UTC")
    series = [pl.Series("symbol", [row["symbol"] for row in rows], dtype=pl.String)]
    for name, column in {**columns, "arrives": "ts_arrival"}.items():
        if column.startswith("ts_"):
            times = [instant(row[name], scenario.name) for row in rows]
            series.append(pl.Series(column, times, dtype=pl.Int64).cast(stamp))
        else:
            cells = [float(number(row[name], scenario.name)) if row[name] else None for row in rows]
            series.append(pl.Series(column, cells, dtype=pl.Float64))
    return pl.DataFrame(series)


def _instruments(scenario: Scenario) -> list[Instrument]:
    given = {row["symbol"]: row for row in scenario.tables["instruments"].rows}
    data = {row["symbol"] for name in ("bars", "quotes", "trades") for row in scenario.tables[name].rows}
    if given and (unknown := sorted(data - given.keys())):
        message = f"{scenario.name}: instruments lacks {', '.join(unknown)}, which the data have"
        raise ScenarioError(message)
    return [_instrument(given.get(symbol, {}), symbol, scenario) for symbol in sorted(data | given.keys())]


def _instrument(row: Row, symbol: str, scenario: Scenario) -> Instrument:
    calendars = sorted({session["calendar"] for session in scenario.sessions.rows})
    fields: dict[str, Any] = {"calendar": row.get("calendar") or calendars[0]}
    fields["currency"] = row.get("currency") or scenario.base_currency
    if not row.get("calendar") and len(calendars) > 1:
        message = f"{scenario.name}: calendar of {symbol} is required: sessions has {', '.join(calendars)}"
        raise ScenarioError(message)
    for name in ("tick_size", "lot_size", "multiplier"):
        if row.get(name):
            fields[name] = number(row[name], scenario.name)
    for name in ("price_exponent", "quantity_exponent"):
        if row.get(name):
            fields[name] = int(row[name])
    for name in ("matching", "venue", "settlement", "asset_class"):
        if row.get(name):
            fields["matching_source" if name == "matching" else name] = row[name]
    if row.get("last_trade"):
        fields["last_trade"] = day(row["last_trade"], scenario.name)
    if (negative := row.get("allows_negative_prices")) not in (None, "", "true", "false"):
        message = (
            f"{scenario.name}: allows_negative_prices of {symbol} must be true or false, found {negative!r}"
        )
        raise ScenarioError(message)
    return Instrument(symbol, allows_negative_prices=negative == "true", **fields)


def _rates(scenario: Scenario, name: str, columns: Mapping[str, str]) -> pl.DataFrame | None:
    """Return a table of rates, its columns by the names of the product."""
    table = scenario.tables[name]
    if not table.rows:
        return None
    times = [instant(row["time"], scenario.name) for row in table.rows]
    series = [
        pl.Series("symbol", [row["symbol"] for row in table.rows]),
        pl.Series("ts_event", times, dtype=pl.Int64).cast(pl.Datetime("ns", "UTC")),
    ]
    for column, own in columns.items():
        if column in table.columns:
            cells = [float(number(row[column], scenario.name)) if row[column] else None for row in table.rows]
            series.append(pl.Series(own, cells, dtype=pl.Float64))
    return pl.DataFrame(series)


def _rolls(scenario: Scenario) -> pl.DataFrame | None:
    rows = scenario.tables["rolls"].rows
    if not rows:
        return None
    columns = {name: [row[name] for row in rows] for name in ("session", "from", "to")}
    return pl.DataFrame(columns | {"roll_at": [row.get("roll_at") or None for row in rows]})


def _cash_flows(scenario: Scenario) -> pl.DataFrame | None:
    rows = scenario.tables["cash_flows"].rows
    if not rows:
        return None
    times = [instant(row["time"], scenario.name) for row in rows]
    return pl.DataFrame(
        {
            "ts_event": pl.Series(times, dtype=pl.Int64).cast(pl.Datetime("ns", "UTC")),
            "amount": [row["amount"] for row in rows],
            "currency": [row.get("currency") or None for row in rows],
        },
        schema_overrides={"currency": pl.String},
    )


def _fx_rates(scenario: Scenario) -> pl.DataFrame | None:
    rows = scenario.tables["fx_rates"].rows
    if not rows:
        return None
    times = [instant(row["time"], scenario.name) for row in rows]
    return pl.DataFrame(
        {
            "pair": [row["pair"] for row in rows],
            "ts_event": pl.Series(times, dtype=pl.Int64).cast(pl.Datetime("ns", "UTC")),
            "rate": [float(number(row["rate"], scenario.name)) for row in rows],
        }
    )


def _actions(scenario: Scenario) -> list[CorporateAction]:
    calendars = {each.symbol: each.calendar for each in _instruments(scenario)}
    return [
        _action(row, calendars.get(row["symbol"], ""), scenario) for row in scenario.tables["actions"].rows
    ]


def _action(row: Row, calendar: str, scenario: Scenario) -> CorporateAction:
    where = f"{scenario.name}: {row['kind']} of {row['symbol']}"
    if row["kind"] not in ACTIONS or not calendar:
        message = f"{where}: unknown kind or symbol; kinds are {', '.join(ACTIONS)}"
        raise ScenarioError(message)
    ex_date = day(row["ex_date"], where)
    pay_date = day(row["pay_date"], where) if row.get("pay_date") else None
    zone = _calendar(calendar, ex_date - dt.timedelta(days=7), ex_date + dt.timedelta(days=7)).timezone
    for date, column in ((ex_date, "effective"), (pay_date, "paid")):
        if date is None and not row.get(column):
            continue
        midnight = None if date is None else local_midnight_ns(date, zone)
        if midnight is None or not row.get(column) or instant(row[column], where) != midnight:
            real = "absent" if midnight is None else show_time(midnight)
            message = f"{where}: {column} is {row.get(column)!r}, and midnight of {date} in {zone} is {real}"
            raise ScenarioError(message)
    is_ratio = row["kind"] in ("split", "spin_off", "stock_merger")
    value = {"ratio" if is_ratio else "amount": row["value"] or None}
    beside = {"into": "into", "amount": "amount", "withheld": "withholding"}
    value |= {name: row[column] for column, name in beside.items() if row.get(column)}
    return CorporateAction(
        row["symbol"], ex_date, ActionKind(ACTIONS[row["kind"]]), pay_date=pay_date, **value
    )


# Comparing --------------------------------------------------------------------------------------------


def difference(name: str, expected: Table, results: Results) -> str | None:
    """Return both tables as text if they differ in a column that the expected one names."""
    source, columns = OUTPUTS[name]
    frame = results.table(source)
    if name == "events":
        frame = frame.filter(pl.col("status") != "submitted")
    if name == "postings":
        # Opening deposits are left out; what is paid in and taken out later is not.
        frame = frame.filter(
            (pl.col("credit") != "capital") | (pl.col("ts_event") > pl.col("ts_event").min())
        )
    found = [
        {column: show(row[columns[column]], column) for column in expected.columns}
        for row in frame.with_columns(pl.selectors.datetime().cast(pl.Int64)).iter_rows(named=True)
    ]
    wanted = [{column: _plain(row[column], column) for column in expected.columns} for row in expected.rows]
    same = len(found) == len(wanted) and all(
        _equal(ours[column], theirs[column], column)
        for ours, theirs in zip(wanted, found, strict=True)
        for column in expected.columns
    )
    if same:
        return None
    parts = (("expected", wanted), ("found", found))
    return "\n".join(f"{name}, {which}\n{aligned(expected.columns, rows)}" for which, rows in parts)


def show(value: object, column: str) -> str:
    """Return a value of a result table as a scenario would write it."""
    if value is None or value == "":
        return ""
    if column in TIMES:
        return show_time(int(str(value)))
    if column in TEXTS or column in WORDS:
        return str(value)
    # The shortest text of a float is the number that was meant, not the binary number next to it.
    return _digits(value if isinstance(value, Decimal) else Decimal(repr(value)))


def show_time(ns: int) -> str:
    """Return an instant as a scenario writes it, with seconds only where there are some."""
    return format_ns(ns).replace("T", " ").removesuffix("Z").removesuffix(":00")


def _plain(cell: str, column: str) -> str:
    """Return an expected cell in the one form in which found cells are shown."""
    if not cell:
        return ""
    if column in TIMES:
        return show_time(instant(cell, column))
    return cell if column in TEXTS or column in WORDS else _digits(Decimal(cell))


def _digits(value: Decimal) -> str:
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _equal(expected: str, found: str, column: str) -> bool:
    if expected == found:
        return True
    if not expected or not found or column in TIMES or column in TEXTS or column in WORDS:
        return False
    # More digits than a float has: the table holds the float nearest to the exact number.
    return len(Decimal(expected).as_tuple().digits) > EXACT_DIGITS and float(expected) == float(found)


def aligned(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    """Return a table as a scenario file writes it."""
    lines = [list(columns), *([row[column] for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return "\n".join(
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
