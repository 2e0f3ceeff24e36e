"""Recompute what a run claims, exactly, from its tables and its market alone.

Every number of a table that counts is a decimal with at most 18 places; the shortest text of its float is
that decimal, so sums of them are compared with `==`.
"""

from __future__ import annotations

import bisect
import collections
import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import attrs
import polars as pl

from ml4t.backtest import Results
from ml4t.core.types import ActionKind
from ml4t.core.values import parse_duration

from .markets import Market, Table, midnight_ns, sessions

Row = dict[str, Any]

SIGN = {"buy": 1, "sell": -1}
ACCOUNTS = {"cash", "inventory", "receivable", "realized_pnl", "fees", "dividends", "capital"}
# Rows that tell of an order and leave its state as it is.
NOTES = {"CANCEL_REQUESTED", "REPLACE_REQUESTED", "REPLACED", "REPLACE_REJECTED", "REDUCED"}
NOTES |= {"MOVED_WITH_POSITION"}
NEXT = {
    "created": {"submitted", "rejected"},
    "submitted": {"accepted", "rejected", "canceled"},
    "accepted": {"partially_filled", "filled", "canceled", "rejected", "expired"},
    "partially_filled": {"partially_filled", "filled", "canceled", "expired"},
}
FINAL = {"filled", "canceled", "rejected", "expired"}
CODES_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "order-codes.md"


def exact(value: float) -> Fraction:
    """Return the decimal number that a float stands for."""
    return Fraction(repr(float(value)))


def ns(stamp: Any) -> Any:  # noqa: ANN401 - a stamp column becomes an int column
    """Return an expression of a stamp column in ns."""
    return pl.col(stamp).cast(pl.Int64).alias(stamp)


def rows_of(frame: pl.DataFrame) -> list[Row]:
    """Return rows with stamps in ns."""
    stamps = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
    return frame.with_columns(ns(name) for name in stamps).rows(named=True)


@attrs.frozen
class Case:
    """A run and what it was made of; without results, one that is still to be."""

    market: Market
    config: Mapping[str, Any]
    results: Results = attrs.field(default=None)

    @property
    def broker(self) -> Mapping[str, Any]:
        return self.config["broker"]  # type: ignore[no-any-return]

    @property
    def policies(self) -> Mapping[str, str]:
        return self.broker.get("policies", {})  # type: ignore[no-any-return]

    def source(self, symbol: str) -> Table:
        """Return the table that fills orders of a symbol."""
        chosen = next(each.matching_source for each in self.market.instruments if each.symbol == symbol)
        tables = [table for table in self.market.tables if table.kind != "context"]
        return next(
            table
            for table in tables
            if table.name == chosen or (chosen is None and symbol in table.rows["symbol"])
        )

    def filled_by(self, fill: Row) -> Table:
        """Return the table that allowed a fill: the one that fills orders, or the prints beside quotes."""
        table = self.source(fill["symbol"])
        if table.kind != "quote" or fill["phase"] != "trade":
            return table
        kinds = [each for each in self.market.tables if each.kind == "trade"]
        return next(each for each in kinds if fill["symbol"] in each.rows["symbol"])

    def is_scaled(self, symbol: str) -> bool:
        """Whether a split changes orders and positions of a symbol during the run."""
        return any(each.symbol == symbol and each.kind is ActionKind.SPLIT for each in self.market.actions)

    def multiplier(self, symbol: str) -> Fraction:
        return Fraction(next(each.multiplier for each in self.market.instruments if each.symbol == symbol))

    def whole(self, symbol: str, quantity: Fraction) -> Fraction:
        """Return what can be held of a quantity: whole lots, towards zero."""
        lot = Fraction(next(each.lot_size for each in self.market.instruments if each.symbol == symbol))
        return int(quantity / lot) * lot

    def latency_ns(self) -> int:
        """Return how long an order takes to the venue."""
        return parse_duration(self.broker.get("latency", "0s"))

    def needs_volume(self) -> bool:
        """Whether a model asks for the volume of the bar, so that fills at its open are booked at its end."""
        slippage, fill = self.broker.get("slippage_model", {}), self.broker.get("fill_model", {})
        return (
            slippage.get("type") == "VolumeShare"
            or slippage.get("volume_limit") is not None
            or (fill.get("volume_limit") is not None and fill.get("average_days") is None)
        )

    def cap(self) -> Fraction | None:
        """Return the share of a bar's volume that all orders together may take."""
        slippage, fill = self.broker.get("slippage_model", {}), self.broker.get("fill_model", {})
        limits = [fill.get("volume_limit") if fill.get("average_days") is None else None]
        if slippage.get("caps_quantity", True):
            limits.append(slippage.get("volume_limit"))
        known = [exact(limit) for limit in limits if limit is not None]
        return min(known) if known else None


def check_all(case: Case) -> None:
    """Check every identity."""
    check_postings(case)
    check_fill_postings(case)
    check_prices(case)
    check_fills_against_market(case)
    check_volume_caps(case)
    check_session_caps(case)
    check_orders(case)
    check_lifetimes(case)
    check_inventory(case)
    check_quantities(case)
    check_solvency(case)
    check_net_asset_value(case)


# --------------------------------------------------------------------------- ledger


def balances(postings: list[Row]) -> dict[str, Decimal]:
    """Return the sum of the postings of each account: debits less credits."""
    found: dict[str, Decimal] = collections.defaultdict(Decimal)
    with localcontext() as context:
        context.prec = 60
        for posting in postings:
            found[posting["debit"]] += posting["amount"]
            found[posting["credit"]] -= posting["amount"]
    return dict(found)


def check_postings(case: Case) -> None:
    """Every amount moves between two known accounts, and what is held is what came in."""
    postings = rows_of(case.results.ledger)
    assert [each["posting_id"] for each in postings] == list(range(1, len(postings) + 1))
    assert all(each["amount"] >= 0 for each in postings)
    assert {each[side] for each in postings for side in ("debit", "credit")} <= ACCOUNTS
    times = [each["ts_event"] for each in postings]
    assert times == sorted(times)
    total = balances(postings)
    owned = sum(total.get(name, Decimal()) for name in ("cash", "receivable", "inventory"))
    earned = sum(-total.get(name, Decimal()) for name in ("realized_pnl", "dividends", "fees"))
    deposited = sum(each["amount"] for each in postings if each["kind"] == "deposit")
    assert -total["capital"] == deposited == Decimal(str(case.broker.get("initial_cash", 100_000)))
    assert owned == deposited + earned


def check_fill_postings(case: Case) -> None:
    """The cash that a fill moves is quantity x price x multiplier and its fee, to the last digit."""
    moved: dict[int, Fraction] = collections.defaultdict(Fraction)
    fees: dict[int, Fraction] = collections.defaultdict(Fraction)
    for posting in rows_of(case.results.ledger):
        if posting["fill_id"] is not None:
            change = Fraction(posting["amount"]) * (
                (posting["debit"] == "cash") - (posting["credit"] == "cash")
            )
            (fees if posting["kind"] == "fee" else moved)[posting["fill_id"]] += change
    quantum = Decimal(str(case.broker.get("posting_quantum", "1e-9")))
    for fill in rows_of(case.results.fills):
        value = exact(fill["quantity"]) * exact(fill["price"]) * case.multiplier(fill["symbol"])
        assert moved.pop(fill["fill_id"]) == -SIGN[fill["side"]] * value, fill
        assert fill["notional"] == float(abs(value)), fill
        paid = -fees.pop(fill["fill_id"], Fraction(0))
        assert fill["fee"] == float(paid), fill
        assert paid % Fraction(quantum) == 0, fill
    assert not moved
    assert not fees


def check_prices(case: Case) -> None:
    """A price is the reference and its declared costs, each of which hurts."""
    for fill in rows_of(case.results.fills):
        costs = [exact(fill[name]) for name in ("spread", "slippage", "impact")]
        assert exact(fill["price"]) == exact(fill["reference_price"]) + SIGN[fill["side"]] * sum(costs), fill
        assert all(cost >= 0 for cost in costs), fill
        assert fill["quantity"] > 0


# --------------------------------------------------------------------------- market


def fill_row(case: Case, fill: Row) -> list[Row]:
    """Return the rows of the matching source that can have allowed a fill."""
    table = case.filled_by(fill)
    stamp, at = "ts_event", fill["ts_event"]
    if table.kind == "bar" and fill["phase"] == "open" and not case.needs_volume():
        stamp = "ts_open"
    mine = table.rows.filter(pl.col("symbol") == fill["symbol"])
    if table.kind == "quote" and case.policies.get("quote_fill") == "standing":
        at = mine.filter(pl.col(stamp) <= at)[stamp].max()
    return mine.filter(pl.col(stamp) == at).rows(named=True)


def check_fills_against_market(case: Case) -> None:
    """A reference price lies in the bar, quote or print that allowed it, and a limit is never passed."""
    orders = {order["order_id"]: order for order in rows_of(case.results.orders)}
    for fill in rows_of(case.results.fills):
        order = orders[fill["order_id"]]
        allowed = fill_row(case, fill)
        assert allowed, f"no row of the market at {fill}"
        assert any(_allows(case, row, fill, order) for row in allowed), (fill, order, allowed)
        _check_activity(case, fill, order)
        limit = order["limit_price"]
        if limit is not None and not case.is_scaled(fill["symbol"]):
            assert SIGN[fill["side"]] * (exact(fill["price"]) - exact(limit)) <= 0, (fill, order)


def _allows(case: Case, row: Row, fill: Row, order: Row) -> bool:
    price, sign, phase = fill["reference_price"], SIGN[fill["side"]], fill["phase"]
    limit = None if case.is_scaled(fill["symbol"]) else order["limit_price"]
    # The two policies under which a fill may lie outside its bar.
    is_exempt = case.policies.get("limit_gap") == "at_limit" and order["limit_price"] is not None
    if is_exempt and limit in (None, price):
        return True
    if case.policies.get("stop_gap") == "at_stop" and order["order_type"] == "stop" and phase == "open":
        stop = None if case.is_scaled(fill["symbol"]) else order["stop_price"]
        if stop in (None, price) and sign * (row["open"] - price) >= 0:
            return True
    match phase:
        case "open":
            return bool(price == row["open"])
        case "close":
            return bool(price == row["close"])
        case "range":
            return bool(row["low"] <= price <= row["high"])
    offered = row["price"] if phase == "trade" else row["ask_price" if sign > 0 else "bid_price"]
    if order["limit_price"] is None:
        return bool(price == offered)
    # A resting limit takes its own price when the market comes to it.
    return bool(price == offered or (sign * (price - offered) > 0 and limit in (None, price)))


def _check_activity(case: Case, fill: Row, order: Row) -> None:
    """An order meets a bar only if it was active when the bar opened, and a tick only if before it.

    Where orders may come inside a bar, its close fills what was active before that.
    """
    table = case.source(fill["symbol"])
    assert order["ts_accepted"] is not None, order
    active = order["ts_accepted"] + case.latency_ns()
    if fill["phase"] == "quote" and case.policies.get("quote_fill") == "standing":
        _check_standing(case, fill, active)
        return
    if table.kind != "bar":
        assert active < fill["ts_event"], (fill, order)
        return
    if case.policies.get("fill_timing") == "same_close" and fill["phase"] == "close":
        assert active <= fill["ts_event"], (fill, order)
        return
    if case.policies.get("order_inside_bar") == "close" and fill["phase"] == "close":
        assert active < fill["ts_event"], (fill, order)
        return
    opens = [row["ts_open"] for row in fill_row(case, fill)]
    assert any(active <= opened for opened in opens), (fill, order)


def _check_standing(case: Case, fill: Row, active: int) -> None:
    """A quote fills what was active before it, or stands when an order becomes active in its session."""
    at, quoted = fill["ts_event"], fill_row(case, fill)[-1]["ts_event"]
    if quoted == at and active < at:
        return
    # After the opens of an instant an order becomes active one moment later.
    assert active <= at <= active + 1, (fill, active)
    calendar = next(each.calendar for each in case.market.instruments if each.symbol == fill["symbol"])
    assert any(opened <= quoted <= at < closed for _, opened, closed in sessions(calendar)), fill


def check_volume_caps(case: Case) -> None:
    """All fills on a row together stay within the share of what it shows."""
    cap = case.cap()
    if cap is None:
        return
    taken: dict[tuple[object, ...], Fraction] = collections.defaultdict(Fraction)
    shown: dict[tuple[object, ...], Fraction] = {}
    for fill in rows_of(case.results.fills):
        rows = fill_row(case, fill)
        kind = case.filled_by(fill).kind
        side = fill["side"] if kind == "quote" else ""
        size = {"bar": "volume", "trade": "size", "quote": "ask_size" if side == "buy" else "bid_size"}[kind]
        key: tuple[object, ...] = (fill["symbol"], kind, rows[0]["ts_event"], side)
        taken[key] += exact(fill["quantity"])
        shown[key] = sum((exact(row[size]) for row in rows if not math.isnan(row[size])), Fraction(0))
    for row, quantity in taken.items():
        assert quantity <= cap * shown[row], (row, float(quantity), float(cap), float(shown[row]))


def check_session_caps(case: Case) -> None:
    """Fills of a session stay within the share of the average volume of the sessions before it."""
    model = case.broker.get("fill_model", {})
    days = model.get("average_days")
    if days is None:
        return
    for instrument in case.market.instruments:
        table, symbol = case.source(instrument.symbol), instrument.symbol
        labels, _, closes = zip(*sessions(instrument.calendar), strict=True)

        def session_of(row: Row, closes: tuple[int, ...] = closes) -> int:
            """A bar belongs to the session that closes after its open, a print to one that closes by then."""
            if "ts_open" in row:
                return bisect.bisect_right(closes, row["ts_open"])
            return bisect.bisect_left(closes, row["ts_event"])

        volumes: dict[int, Fraction] = collections.defaultdict(Fraction)
        for row in table.rows.filter(pl.col("symbol") == symbol).rows(named=True):
            volumes[session_of(row)] += Fraction(row["volume" if table.kind == "bar" else "size"])
        taken: dict[int, Fraction] = collections.defaultdict(Fraction)
        for fill in rows_of(case.results.fills):
            if fill["symbol"] == symbol:
                taken[session_of(fill_row(case, fill)[0])] += exact(fill["quantity"])
        for session, quantity in taken.items():
            before = [
                volumes[each] * _shares_of(case, symbol, labels[each], labels[session])
                for each in sorted(volumes)
                if each < session
            ][-days:]
            assert before, f"a fill of {symbol} in its first session, {labels[session]}"
            share = exact(model["volume_limit"]) * sum(before) / len(before)
            # The engine's average is a float.
            assert quantity <= share * (1 + Fraction(1, 10**9)), (symbol, labels[session], float(quantity))


def _shares_of(case: Case, symbol: str, then: dt.date, now: dt.date) -> Fraction:
    """Return what a share of one session is in shares of a later one."""
    ratio = Fraction(1)
    for action in case.market.actions:
        if (action.symbol, action.kind) == (symbol, ActionKind.SPLIT) and then < action.ex_date <= now:
            ratio *= Fraction(action.ratio)
    return ratio


# --------------------------------------------------------------------------- orders


def documented_codes() -> set[str]:
    """Return the reason codes that the reference page lists."""
    return set(re.findall(r"^\| `([A-Z_]+)` \|", CODES_PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def check_orders(case: Case) -> None:
    """Orders only go where they may, say why they end, and their fills are their filled quantity."""
    orders = {order["order_id"]: order for order in rows_of(case.results.orders)}
    events = rows_of(case.results.order_events)
    assert [each["sequence"] for each in events] == list(range(1, len(events) + 1))
    assert [each["ts_event"] for each in events] == sorted(each["ts_event"] for each in events)
    state = dict.fromkeys(orders, "created")
    last: dict[int, Row] = {}
    for event in events:
        key = event["order_id"]
        assert event["status_from"] == state[key], event
        if event["reason_code"] in NOTES:
            assert event["status"] == state[key], event
            continue
        assert event["status"] in NEXT.get(state[key], set()), event
        assert event["filled_quantity"] >= (
            last[key]["filled_quantity"] if key in last else 0
        ) or case.is_scaled(orders[key]["symbol"])
        state[key], last[key] = event["status"], event
    fills = collections.defaultdict(list)
    for fill in rows_of(case.results.fills):
        fills[fill["order_id"]].append(fill)
    codes = documented_codes()
    for key, order in orders.items():
        assert order["status"] == state[key], order
        assert order["status"] in FINAL, f"the run is over: {order}"
        assert order["ts_closed"] == last[key]["ts_event"], order
        assert order["reason_code"] == last[key]["reason_code"], order
        assert bool(order["reason"]) == bool(order["reason_code"]), order
        assert order["reason_code"] in codes or order["status"] == "filled", order
        _check_filled(case, order, fills[key])


def _check_filled(case: Case, order: Row, fills: list[Row]) -> None:
    assert all((f["symbol"], f["side"]) == (order["symbol"], order["side"]) for f in fills), order
    assert order["status"] != "rejected" or not fills, order
    assert (order["avg_fill_price"] is None) == (not fills), order
    if order["ts_accepted"] is not None:
        assert order["ts_submitted"] <= order["ts_accepted"] <= order["ts_closed"], order
    assert (order["filled_quantity"] > 0) == bool(fills), order
    if case.is_scaled(order["symbol"]):
        return
    filled = sum((exact(fill["quantity"]) for fill in fills), Fraction(0))
    assert filled == exact(order["filled_quantity"]), order
    assert (order["status"] == "filled") == (filled == exact(order["quantity"])), order
    if fills:
        value = sum((exact(fill["quantity"]) * exact(fill["price"]) for fill in fills), Fraction(0))
        assert order["avg_fill_price"] == float(value / filled), order


def check_lifetimes(case: Case) -> None:
    """A DAY order ends at the close of the session it belongs to, and a GTC order never expires."""
    calendars = {each.symbol: each.calendar for each in case.market.instruments}
    all_closes = {name: [closed for _, _, closed in sessions(name)] for name in set(calendars.values())}
    end = max(int(str(table.rows["ts_event"].max())) for table in case.market.tables)
    for order in rows_of(case.results.orders):
        closes = all_closes[calendars[order["symbol"]]]
        if order["time_in_force"] == "gtc":
            assert order["status"] != "expired", order
        elif order["ts_accepted"] is not None:
            at = bisect.bisect_right(closes, order["ts_accepted"] + case.latency_ns())
            if at < len(closes) and closes[at] <= end:
                assert order["ts_closed"] <= closes[at], order
            if order["status"] == "expired":
                assert order["ts_closed"] in closes, order


# --------------------------------------------------------------------------- positions


@attrs.define
class Holding:
    """Signed quantity and cost of the lots of a symbol, oldest first."""

    lots: list[tuple[Fraction, Fraction]] = attrs.field(factory=list)
    policy: str = "fifo"

    @property
    def quantity(self) -> Fraction:
        return sum((quantity for quantity, _ in self.lots), Fraction(0))

    @property
    def cost(self) -> Fraction:
        return sum((cost for _, cost in self.lots), Fraction(0))

    def next(self) -> int:
        """Return the place of the lot that is closed next."""
        if self.policy == "lifo":
            return len(self.lots) - 1
        if self.policy == "highest_cost":
            gains_least = [cost / abs(quantity) for quantity, cost in self.lots]
            return gains_least.index(max(gains_least))
        return 0

    def trade(self, quantity: Fraction, price: Fraction) -> None:
        """Close lots as the policy has it, or a part of all at their average, and open what is left."""
        if self.policy == "average" and self.lots:
            self.lots = [(self.quantity, self.cost)]
        while quantity and self.lots and (self.lots[0][0] > 0) != (quantity > 0):
            place = self.next()
            held, cost = self.lots[place]
            closing = min(abs(held), abs(quantity)) * (1 if held > 0 else -1)
            self.lots[place] = (held - closing, cost - cost * closing / held)
            quantity += closing
            if not self.lots[place][0]:
                self.lots.pop(place)
        if quantity:
            self.lots.append((quantity, quantity * price))

    def split(self, ratio: Fraction, whole: Fraction) -> None:
        """Scale the holding; what is more than whole lots leaves with its part of the cost."""
        exactly = self.quantity * ratio
        keep = whole / exactly if exactly else Fraction(0)
        self.lots = [(quantity * ratio * keep, cost * keep) for quantity, cost in self.lots if keep]


def story(case: Case) -> Iterator[tuple[int, Row | Any]]:
    """Yield fills and actions in the order in which they took effect."""
    fills = [(fill["ts_event"], 1, fill["fill_id"], fill) for fill in rows_of(case.results.fills)]
    rank = {ActionKind.CASH_DIVIDEND: 0, ActionKind.SPLIT: 1}
    actions = [(midnight_ns(a.ex_date), 2, rank[a.kind], a) for a in case.market.actions]
    for at, _, _, what in sorted([*fills, *actions], key=lambda each: each[:3]):
        yield at, what


def check_inventory(case: Case) -> None:
    """Quantities and costs of the positions follow from fills and splits alone; dividends from quantities."""
    policy = str(case.broker.get("lot_policy", "fifo"))
    holdings = {each.symbol: Holding(policy=policy) for each in case.market.instruments}
    dividends, quantum = Fraction(0), Fraction(str(case.broker.get("posting_quantum", "1e-9")))
    end = max(int(str(table.rows["ts_event"].max())) for table in case.market.tables)
    for at, what in story(case):
        if isinstance(what, dict):
            quantity = exact(what["quantity"]) * SIGN[what["side"]]
            holdings[what["symbol"]].trade(quantity, exact(what["price"]) * case.multiplier(what["symbol"]))
        elif at > end:
            continue
        elif what.kind is ActionKind.SPLIT:
            holding, ratio = holdings[what.symbol], Fraction(what.ratio)
            holding.split(ratio, case.whole(what.symbol, holding.quantity * ratio))
        else:
            per_unit = Fraction(what.amount) * case.multiplier(what.symbol)
            # Brokers book a dividend in their own steps, half to even, which is what round does.
            dividends += round(holdings[what.symbol].quantity * per_unit / quantum) * quantum
    inventory: dict[str, Fraction] = collections.defaultdict(Fraction)
    for posting in rows_of(case.results.ledger):
        sign = (posting["debit"] == "inventory") - (posting["credit"] == "inventory")
        if sign:
            inventory[posting["symbol"]] += sign * Fraction(posting["amount"])
    for symbol, holding in holdings.items():
        assert holding.quantity or inventory[symbol] == 0, symbol
        # Which lots a split leaves whole is a choice, so lots of a split share are compared only as one.
        if policy == "average" or not case.is_scaled(symbol):
            # A part of a cost is rounded at the last of 18 digits.
            off = abs(holding.cost - inventory[symbol])
            assert off < Fraction(1, 10**15), (symbol, float(holding.cost), float(inventory[symbol]))
    total = balances(rows_of(case.results.ledger))
    assert -Fraction(total.get("dividends", Decimal())) == dividends


def check_quantities(case: Case) -> None:
    """At each NAV the positions are what fills and splits made of them by then."""
    held: dict[str, Fraction] = {}
    steps: list[tuple[int, dict[str, Fraction]]] = [(0, {})]
    for at, what in story(case):
        if isinstance(what, dict):
            change = exact(what["quantity"]) * SIGN[what["side"]]
            held = {**held, what["symbol"]: held.get(what["symbol"], Fraction(0)) + change}
        elif what.kind is ActionKind.SPLIT:
            scaled = held.get(what.symbol, Fraction(0)) * Fraction(what.ratio)
            held = {**held, what.symbol: case.whole(what.symbol, scaled)}
        steps.append((at, {symbol: quantity for symbol, quantity in held.items() if quantity}))
    times = [at for at, _ in steps]
    shown: dict[int, dict[str, Fraction]] = collections.defaultdict(dict)
    for row in rows_of(case.results.positions):
        shown[row["ts_event"]][row["symbol"]] = exact(row["quantity"])
    for row in rows_of(case.results.portfolio_history):
        if row["is_nav"]:
            low, high = (
                bisect.bisect_left(times, row["ts_event"]),
                bisect.bisect_right(times, row["ts_event"]),
            )
            possible = [after for _, after in steps[low - 1 : high]]
            assert shown[row["ts_event"]] in possible, (row, shown[row["ts_event"]], possible)


def check_solvency(case: Case) -> None:
    """Without credit no fill leaves a debt, and without leave to sell short no position is below zero."""
    if case.broker.get("allows_short") or Decimal(case.broker.get("leverage", "1")) > 1:
        return
    cash, postings = Decimal(), rows_of(case.results.ledger)
    for number, posting in enumerate(postings, start=1):
        cash += posting["amount"] * ((posting["debit"] == "cash") - (posting["credit"] == "cash"))
        is_last = number == len(postings) or postings[number]["fill_id"] != posting["fill_id"]
        assert cash >= 0 or not is_last, posting
    held: dict[str, Fraction] = collections.defaultdict(Fraction)
    for _, what in story(case):
        if isinstance(what, dict):
            held[what["symbol"]] += exact(what["quantity"]) * SIGN[what["side"]]
            assert held[what["symbol"]] >= 0, what
        elif what.kind is ActionKind.SPLIT:
            held[what.symbol] = case.whole(what.symbol, held[what.symbol] * Fraction(what.ratio))


# --------------------------------------------------------------------------- net asset value


def check_net_asset_value(case: Case) -> None:
    """At each NAV: cash is its postings, positions are quantity x mark, equity their sum, and all explained.

    Every float is the one nearest to the exact number.
    """
    postings = rows_of(case.results.ledger)
    values: dict[int, list[Fraction]] = collections.defaultdict(list)
    for row in rows_of(case.results.positions):
        value = exact(row["quantity"]) * exact(row["mark_price"]) * case.multiplier(row["symbol"])
        assert row["market_value"] == float(value), row
        values[row["ts_event"]].append(value)
    for row in rows_of(case.results.portfolio_history):
        total = _balances_of(row, postings)
        if row["is_nav"]:
            _check_nav(row, total, values[row["ts_event"]])


def _check_nav(row: Row, total: Mapping[str, Fraction], values: list[Fraction]) -> None:
    long = sum((value for value in values if value > 0), Fraction(0))
    short = sum((value for value in values if value < 0), Fraction(0))
    assert (row["long_value"], row["short_value"]) == (float(long), float(short)), row
    assert row["gross_exposure"] == float(long - short), row
    assert row["net_exposure"] == float(long + short), row
    equity = total["cash"] + total["receivable"] + long + short
    assert row["equity"] == float(equity), row
    # What the account earned since the deposit, by source.
    unrealized = long + short - total["inventory"]
    assert row["unrealized_pnl"] == float(unrealized), row
    assert (
        equity == -total["capital"] - total["realized_pnl"] + unrealized - total["dividends"] - total["fees"]
    )


def _balances_of(row: Row, postings: list[Row]) -> Mapping[str, Fraction]:
    """Return the sums of the postings up to the point of the instant at which the row was taken."""
    times = [posting["ts_event"] for posting in postings]
    low, high = bisect.bisect_left(times, row["ts_event"]), bisect.bisect_right(times, row["ts_event"])
    names = {"cash": 1, "receivable": 1, "fees": 1, "realized_pnl": -1, "dividends": -1}
    for end in range(low, high + 1):
        sums = balances(postings[:end])
        total = {name: Fraction(sums.get(name, Decimal())) for name in ACCOUNTS}
        if all(row[name] == float(sign * total[name]) for name, sign in names.items()):
            return total
    message = f"no sum of postings gives the balances of {row}"
    raise AssertionError(message)
