"""Random cases: a small market, an account with its policies, and a script of orders.

Everything is small, so that a failure shrinks to something a person can work through: few instruments, few rows,
prices of few digits, with the awkward ones mixed in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
import polars as pl
from hypothesis import strategies as st

from ml4t.backtest import DataFeed, Instrument
from ml4t.core.events import CorporateAction
from ml4t.core.types import ActionKind

UTC = dt.UTC
SYMBOLS = ("A", "B", "C")
FIRST_DAY = dt.date(2024, 1, 22)  # a Monday
MINUTES = 60 * 10**9

SLIPPAGE: tuple[dict[str, Any], ...] = (
    {"type": "NoSlippage"},
    {"type": "FixedFraction", "fraction": 0.001},
    {"type": "BasisPoints", "bps": 7.0},
    {"type": "BasisPoints", "bps": 5.0, "volume_limit": 0.1},
    {"type": "Spread", "spread": 0.03},
    {"type": "Spread", "fraction": 0.002},
    {"type": "VolumeShare", "volume_limit": 0.05, "price_impact": 0.2},
    {"type": "VolumeShare", "volume_limit": 0.3, "price_impact": 0.1, "caps_quantity": False},
)
FEES: tuple[dict[str, Any], ...] = (
    {"type": "NoFee"},
    {"type": "PerShare", "fee": 0.005, "minimum": 1.0, "maximum_fraction": 0.01},
    {"type": "PerOrder", "fee": 0.7},
    {"type": "Fraction", "rate": 0.0013},
)
FILLS: tuple[dict[str, Any], ...] = ({"type": "Default"}, {"type": "Default", "volume_limit": 0.2})
POLICIES = {
    "fill_timing": ("next_open", "next_close", "same_close"),
    "limit_touch": ("touch", "through"),
    "limit_gap": ("open_if_better", "at_limit"),
    "limit_slippage": ("none", "clamp", "refuse"),
    "insufficient_cash": ("reject", "partial", "wait"),
    "zero_volume": ("no_fill", "fill"),
    "tick_rounding": ("reject", "passive"),
}


@attrs.frozen(kw_only=True)
class Step:
    """One thing to do: send an order, or take one back (`cancel` counts back from the last order sent)."""

    order: Mapping[str, Any] | None = None
    cancel: int | None = None


@attrs.frozen(kw_only=True)
class Table:
    """Rows of one feed as a user would hand them over."""

    name: str
    kind: str
    stamp: str
    rows: Sequence[Mapping[str, Any]]

    def feed(self) -> DataFeed:
        """Return a fresh feed of the rows."""
        frame = pl.DataFrame(list(self.rows), infer_schema_length=None)
        return DataFeed(frame, name=self.name, kind=self.kind, stamp=self.stamp, range_check="keep")


@attrs.frozen(kw_only=True)
class Case:
    """Everything that decides a run."""

    tables: tuple[Table, ...]
    instruments: tuple[Instrument, ...]
    actions: tuple[CorporateAction, ...]
    signals: tuple[Mapping[str, Any], ...]
    config: Mapping[str, Any]
    steps: Mapping[int, Sequence[Step]]
    warmup: int = 0


# -- prices ------------------------------------------------------------------------------------------------

# Mostly around ten, so that orders and bars meet; on the tick, between ticks, and with all digits of a float.
PRICE = st.one_of(
    st.integers(900, 1100).map(lambda n: n / 100),
    st.integers(900, 1100).map(lambda n: n / 100),
    st.integers(9_000_000_001, 11_000_000_001).map(lambda n: n / 1e9 + 3e-10),
)
SIZE = st.sampled_from((0.0, 40.0, 100.0, 333.0, 1_000.0, 25_000.0, float("nan")))
ORDER_PRICE = st.one_of(
    st.integers(880, 1120).map(lambda n: Decimal(n) / 100),
    st.integers(8800, 11200).map(lambda n: Decimal(n) / 1000),
)
QUANTITY = st.sampled_from((1, 2, 3, 5, 10, 20, 50, 100, 101, 150, 700, 1001))


@st.composite
def bar_values(draw: st.DrawFn, level: float, sizes: st.SearchStrategy[float]) -> dict[str, float]:
    """Draw open, high, low, close and volume."""
    scale = level / 10.0
    prices = [draw(PRICE) * scale for _ in range(2)]
    reach = [draw(st.integers(0, 60)) / 100 for _ in range(2)]
    low, high = min(prices) - reach[0] * scale, max(prices) + reach[1] * scale
    values = {"open": prices[0], "high": high, "low": low, "close": prices[1], "volume": draw(sizes)}
    return {name: _tidy(draw, value) if name != "volume" else value for name, value in values.items()}


def _tidy(draw: st.DrawFn, value: float) -> float:
    return round(value, 2) if draw(st.booleans()) else value


def _in_order(values: dict[str, float]) -> dict[str, float]:
    prices = [values[name] for name in ("open", "high", "low", "close")]
    return {**values, "high": max(prices), "low": min(prices)}


@st.composite
def bars(
    draw: st.DrawFn, slots: Sequence[tuple[int, int]], symbols: Sequence[str], sizes: st.SearchStrategy[float]
) -> list[dict[str, Any]]:
    """Draw bars on most of the slots of each symbol; rows may arrive late."""
    rows = []
    for symbol in symbols:
        arrival = 0
        for opened, closed in slots:
            if draw(st.integers(0, 7)) == 0:
                continue
            values = _in_order(draw(bar_values(10.0, sizes)))
            delay = draw(st.sampled_from((0, 0, 0, 0, 90 * 10**9)))
            arrival = max(arrival, closed + delay)
            rows.append({"symbol": symbol, **_stamps(opened, closed, arrival), **values})
    return rows


@st.composite
def ticks(
    draw: st.DrawFn, kind: str, start: int, symbols: Sequence[str], sizes: st.SearchStrategy[float]
) -> list[dict[str, Any]]:
    """Draw quotes or trades on a coarse grid, so that many share their instant."""
    rows = []
    for symbol in symbols:
        at = sorted(draw(st.lists(st.integers(0, 11), min_size=1, max_size=10)))
        for k in at:
            ts = start + k * 20 * 10**9
            if kind == "trade":
                values = {"price": draw(PRICE), "size": draw(sizes)}
            else:
                a, b = sorted((draw(PRICE), draw(PRICE)))
                values = {"bid_price": a, "ask_price": b, "bid_size": draw(sizes), "ask_size": draw(sizes)}
                missing = draw(st.sampled_from((None, None, None, None, None, "bid_price", "ask_price")))
                values |= {} if missing is None else {missing: float("nan")}
            rows.append({"symbol": symbol, **_stamps(None, ts, ts), **values})
    return sorted(rows, key=lambda row: row["ts_event"])


def _stamps(opened: int | None, closed: int, arrival: int) -> dict[str, Any]:
    found = {"ts_event": _moment(closed), "ts_arrival": _moment(arrival)}
    return found if opened is None else {"ts_open": _moment(opened), **found}


def _moment(ns: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ns // 10**9, tz=UTC)


def at(day: int, hour: int, minute: int = 0) -> int:
    """Return an instant counted from the first day, ns UTC."""
    moment = dt.datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    return int((moment + dt.timedelta(days=day, hours=hour, minutes=minute)).timestamp()) * 10**9


# -- markets -----------------------------------------------------------------------------------------------

# Open and close of New York in January, UTC.
OPEN, CLOSE = (14, 30), (21, 0)


def new_york_days(count: int) -> list[tuple[int, int]]:
    """Return open and close of the first sessions."""
    return [(at(day, *OPEN), at(day, *CLOSE)) for day in range(count)]


def whole_days(count: int) -> list[tuple[int, int]]:
    """Return days that follow each other without a gap."""
    return [(at(day, 0), at(day + 1, 0)) for day in range(count)]


def minutes_of(days: Sequence[int]) -> list[tuple[int, int]]:
    """Return one-minute bars around the open and before the close of some days, with a hole between them."""
    found = []
    for day in days:
        for hour, minute in ((14, 30), (14, 31), (14, 32), (14, 40), (20, 58), (20, 59)):
            found.append((at(day, hour, minute), at(day, hour, minute + 1) if minute < 59 else at(day, 21)))
    return found


@st.composite
def tables(draw: st.DrawFn, sizes: st.SearchStrategy[float]) -> tuple[tuple[Table, ...], str]:
    """Draw the feeds of a run and the calendar of its instruments."""
    layout = draw(st.sampled_from(("days", "sessions", "minutes", "quotes", "trades", "mixed")))
    count = draw(st.integers(1, 2))
    symbols = SYMBOLS[:count]
    if layout == "days":
        rows = draw(bars(whole_days(draw(st.integers(2, 6))), symbols, sizes))
        return (_table("bars", "bar", rows),), "24/7"
    if layout == "sessions":
        rows = draw(bars(new_york_days(draw(st.integers(2, 5))), symbols, sizes))
        return (_table("bars", "bar", rows),), "XNYS"
    if layout == "minutes":
        rows = draw(bars(minutes_of((0, 1))[: draw(st.integers(2, 12))], symbols, sizes))
        return (_table("bars", "bar", rows),), "XNYS"
    if layout in ("quotes", "trades"):
        rows = draw(ticks(layout[:-1], at(0, *OPEN), symbols, sizes))
        return (_table("ticks", layout[:-1], rows),), "XNYS"
    start = at(0, *OPEN)
    slots = [(start + k * MINUTES, start + (k + 1) * MINUTES) for k in range(4)]
    return (
        _table("bars", "bar", draw(bars(slots, ("A",), sizes))),
        _table("quotes", "quote", draw(ticks("quote", start, ("B",), sizes))),
        _table("prints", "trade", draw(ticks("trade", start, ("C",), sizes))),
    ), "XNYS"


def _table(name: str, kind: str, rows: list[dict[str, Any]]) -> Table:
    return Table(name=name, kind=kind, stamp="event", rows=rows)


@st.composite
def instruments(draw: st.DrawFn, symbols: Sequence[str], calendar: str) -> tuple[Instrument, ...]:
    """Draw instruments: shares, fractional units, contracts with a multiplier."""
    found = []
    for symbol in symbols:
        form = draw(st.sampled_from(("share", "share", "share", "fraction", "contract", "round lots")))
        if form == "fraction":
            found.append(Instrument.fractional(symbol, calendar=calendar))
        elif form == "contract":
            found.append(Instrument(symbol, calendar=calendar, tick_size="0.25", multiplier="2.5"))
        elif form == "round lots":
            found.append(Instrument(symbol, calendar=calendar, lot_size=10))
        else:
            found.append(Instrument(symbol, calendar=calendar))
    return tuple(found)


@st.composite
def actions(draw: st.DrawFn, symbols: Sequence[str]) -> tuple[CorporateAction, ...]:
    """Draw at most a few splits and dividends."""
    found: dict[tuple[object, ...], CorporateAction] = {}
    for _ in range(draw(st.integers(0, 3))):
        symbol, day = draw(st.sampled_from(symbols)), draw(st.integers(1, 4))
        ex_date = FIRST_DAY + dt.timedelta(days=day)
        if draw(st.booleans()):
            ratio = Fraction(draw(st.sampled_from(("2", "3/2", "1/3", "7", "4/5"))))
            found[symbol, day, "split"] = CorporateAction(symbol, ex_date, ActionKind.SPLIT, ratio=ratio)
        else:
            amount = Decimal(draw(st.sampled_from(("0.5", "0.333333333333", "0.01"))))
            pay_date = ex_date + dt.timedelta(days=draw(st.integers(0, 3)))
            found[symbol, day, "dividend"] = CorporateAction(
                symbol, ex_date, ActionKind.CASH_DIVIDEND, amount=amount, pay_date=pay_date
            )
    return tuple(found.values())


# -- accounts and scripts ----------------------------------------------------------------------------------


def needs_volume(config: Mapping[str, Any]) -> bool:
    """Tell whether a model of the configuration stops the run where a volume is missing."""
    slippage, fill = config["broker"]["slippage_model"], config["broker"]["fill_model"]
    return slippage["type"] == "VolumeShare" or "volume_limit" in slippage or "volume_limit" in fill


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """Draw account settings, models and policies; most policies stay at their default."""
    policies = {
        name: values[0] if draw(st.integers(0, 2)) else draw(st.sampled_from(values))
        for name, values in POLICIES.items()
    }
    broker = {
        "initial_cash": draw(st.sampled_from(("1000", "2500", "100000", "7777.77"))),
        "lot_policy": draw(st.sampled_from(("fifo", "average"))),
        "allows_short": draw(st.booleans()),
        "leverage": draw(st.sampled_from(("1", "1", "2", "1.5"))),
        "posting_quantum": draw(st.sampled_from(("0.000000001", "0.01", "0.000000000000000001"))),
        "latency": draw(st.sampled_from(("0s", "0s", "0s", "1ns", "45s", "3h"))),
        "slippage_model": draw(st.sampled_from(SLIPPAGE)),
        "commission_model": draw(st.sampled_from(FEES)),
        "fill_model": draw(st.sampled_from(FILLS)),
        "policies": policies,
    }
    return {"broker": broker, "backtest": {"record": draw(st.sampled_from(("auto", "step", "hour", "session")))}}


@st.composite
def orders(draw: st.DrawFn, symbols: Sequence[str]) -> dict[str, Any]:
    """Draw the fields of an order."""
    kind = draw(st.sampled_from(("market", "market", "limit", "stop", "stop_limit")))
    return {
        "symbol": draw(st.sampled_from(symbols)),
        "side": draw(st.sampled_from(("buy", "sell"))),
        "quantity": draw(QUANTITY),
        "order_type": kind,
        "limit_price": draw(ORDER_PRICE) if "limit" in kind else None,
        "stop_price": draw(ORDER_PRICE) if "stop" in kind else None,
        "time_in_force": draw(st.sampled_from(("gtc", "gtc", "day"))),
    }


@st.composite
def scripts(draw: st.DrawFn, symbols: Sequence[str]) -> dict[int, list[Step]]:
    """Draw what to do at which call."""
    steps: dict[int, list[Step]] = {}
    for call in range(draw(st.integers(1, 8))):
        listed = []
        for _ in range(draw(st.integers(0, 3))):
            if draw(st.integers(0, 7)) == 0:
                listed.append(Step(cancel=draw(st.integers(1, 4))))
            else:
                listed.append(Step(order=draw(orders(symbols))))
        steps[call] = listed
    return steps


@st.composite
def signals(draw: st.DrawFn, rows: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Draw predictions that arrive at or some time after a row."""
    found: dict[tuple[object, ...], Mapping[str, Any]] = {}
    for row in draw(st.lists(st.sampled_from(list(rows)), max_size=3)):
        late = dt.timedelta(seconds=draw(st.sampled_from((0, 30, 3600))))
        fact = {"ts_event": row["ts_event"], "ts_arrival": row["ts_event"] + late, "asset_id": row["symbol"]}
        found[tuple(fact.values())] = {**fact, "score": 1.0, "model_id": "m"}
    return tuple(found.values())


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a case."""
    config = draw(configs())
    sizes = SIZE.filter(lambda size: size == size) if needs_volume(config) else SIZE
    feeds, calendar = draw(tables(sizes))
    feeds = tuple(table for table in feeds if table.rows)
    if not feeds:
        values = {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "volume": 100.0}
        feeds = (_table("bars", "bar", [{"symbol": "A", **_stamps(at(0, 15), at(0, 16), at(0, 16)), **values}]),)
    symbols = sorted({row["symbol"] for table in feeds for row in table.rows})
    return Case(
        tables=feeds,
        instruments=draw(instruments(symbols, calendar)),
        actions=draw(actions(symbols)),
        signals=draw(signals([row for table in feeds for row in table.rows])),
        config=config,
        steps=draw(scripts(symbols)),
        warmup=draw(st.sampled_from((0, 0, 0, 0, 1))),
    )
