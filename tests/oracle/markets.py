"""Random markets, accounts and scripts, and how the tables of two engines are compared.

Everything is drawn as plain values, so a failing case shrinks to a short one: fewer bars, fewer orders,
rounder prices, default policies.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import polars as pl
from hypothesis import strategies as st

from ml4t.backtest import (
    Broker,
    CompositeRule,
    Context,
    DataFeed,
    Engine,
    Instrument,
    PITData,
    StopLoss,
    Strategy,
    TakeProfit,
    Timestamp,
    TrailingStop,
)
from ml4t.core.errors import DataError, ModelError, OrderError
from ml4t.core.plugins import PluginManager
from ml4t.core.schemas import TABLES

from .breaks import Hours, Rests
from .carry import Holding, holdings, rates_of
from .costs import FEES, IMPACTS, SLIPPAGES, VOLUME_SLIPPAGES, Queued, Sliced, estimates, slices
from .currencies import Money, fx_of, moneys
from .flows import Flow, flows, flows_of
from .margins import MarginRate, margin_rates_of

SYMBOLS = ("A", "B", "C")
FIRST_DAY = dt.date(2024, 1, 1)
FIRST_MINUTE = dt.datetime(2024, 3, 4, 14, 30, tzinfo=dt.UTC)
BEFORE_MIDNIGHT = dt.datetime(2024, 3, 4, 23, 30, tzinfo=dt.UTC)
EX_DAY = (BEFORE_MIDNIGHT.date() - FIRST_DAY).days + 1
WITH_PRINTS = "quotes with prints"
RULES = {"stop_loss": StopLoss, "take_profit": TakeProfit, "trailing_stop": TrailingStop}
VENUES = {"A": "V"}  #: of instruments; the venue of the others is their calendar
SEED = (2**31 + 5) * 2**32 + 7


@attrs.frozen
class Ask:
    """What the script does at a call of `on_data`; `offset` is in ticks from the last price."""

    what: str
    symbol: str
    quantity: int = 1
    offset: int = 0
    other: int = 0
    is_day: bool = False
    terms: tuple[tuple[str, Any], ...] = ()


@attrs.frozen
class Case:
    """A market, an account and a script."""

    kind: str
    rows: tuple[tuple[Any, ...], ...]
    fractional: bool
    account: dict[str, Any]
    rules: tuple[tuple[str, int], ...]
    actions: tuple[tuple[str, int, str, str, int], ...]
    script: tuple[tuple[int, Ask], ...]
    prints: tuple[tuple[Any, ...], ...] = ()  #: beside quotes
    lag: int = 0  #: minutes after which they are known
    stagger: int = 0  #: minutes by which the bars of each symbol begin after those of the one before
    overnight: bool = False  #: sessions of days go over midnight, when dividends take effect
    slices: Sliced | Queued | None = None  #: fill model in place of that of the account
    native: str = "prefer"
    holding: Holding | None = None  #: what it costs to hold
    money: Money | None = None  #: currencies, where there are several
    settlements: tuple[str | None, ...] = (None, None, None)  #: how the instruments are paid
    settled: tuple[tuple[str, int, int], ...] = ()  #: symbol, thousandths of its span, price in cents
    flows: tuple[Flow, ...] = ()  #: what is paid in and taken out
    margin_rates: tuple[MarginRate, ...] = ()
    rolls: tuple[tuple[int, str, str, str], ...] = ()  #: day, contract left, the next one, roll_at
    last_trades: tuple[tuple[str, int], ...] = ()  #: symbol and day
    given: tuple[dict[str, Any], ...] = ()  #: further rows of corporate actions; `day` counts as in `actions`
    settlement: dict[str, Any] | None = None  #: when trades settle, where the account goes by cash
    hours: Hours | None = None  #: breaks of every day, where there are any


class Evenings:
    """Sessions that begin at six in the evening before their day, and end at five."""

    name = "evenings"
    timezone = "UTC"

    def sessions(self, start: dt.date, end: dt.date) -> list[tuple[dt.date, int, int]]:
        days = [start + dt.timedelta(days=n) for n in range((end - start).days + 1)]
        return [(day, self.at(day, -6), self.at(day, 17)) for day in days]

    @staticmethod
    def at(day: dt.date, hour: int) -> int:
        midnight = dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
        return int(midnight.timestamp() + 3600 * hour) * 10**9


class Script(Strategy):
    """Does at each call of `on_data` what the case says."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.calls = 0
        self.now = dt.datetime.min
        self.sent: list[Any] = []

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        self.now = timestamp.datetime
        if self.calls == 0 and self.case.rules:
            rules = CompositeRule([RULES[kind](pct=per_mille / 1000) for kind, per_mille in self.case.rules])
            broker.set_position_rules(rules)
        for call, ask in self.case.script:
            if call == self.calls:
                try:
                    order = self.do(ask, data, broker)
                except OrderError:
                    # A group of the other kind; what is said about it is no business of the tables.
                    self.log("refused")
                else:
                    self.sent.extend([] if order is None else [order])
        self.record(cash=broker.get_cash(), value=broker.get_account_value(), power=broker.buying_power)
        self.log(" ".join(f"{order.id}:{order.status.value}" for order in broker.open_orders))
        self.calls += 1

    def do(  # noqa: C901 - one branch a kind of call
        self, ask: Ask, data: PITData, broker: Broker
    ) -> Any:  # noqa: ANN401 - the handle of an order that others may be linked to
        symbol = ask.symbol
        if symbol not in data.symbols:
            return None
        last = data.get_latest_price(symbol)
        terms: dict[str, Any] = {"time_in_force": "day" if ask.is_day else "gtc"} | dict(ask.terms)
        if "link" in terms:
            kind, number = terms.pop("link")
            terms |= {kind: self.sent[number % len(self.sent)]} if self.sent else {}
        if "lot" in terms:
            number = terms.pop("lot")
            terms |= {"lot": self.sent[-1 - number % len(self.sent)]} if self.sent else {}
        if "expire_in" in terms:
            terms["expire_at"] = self.now + dt.timedelta(minutes=terms.pop("expire_in"))
        life = "day" if ask.is_day else "gtc"
        side = broker.buy if ask.quantity > 0 else broker.sell
        size = abs(ask.quantity) or 1

        def price(offset: int) -> float:
            return max(round((10.0 if last is None else last) * 100 + offset) / 100, 0.01)

        if ask.what == "market":
            return side(symbol, size, **terms)
        elif ask.what == "limit":
            return side(symbol, size, limit_price=price(ask.offset), **terms)
        elif ask.what in ("stop", "market_if_touched"):
            return side(symbol, size, order_type=ask.what, stop_price=price(ask.offset), **terms)
        elif ask.what in ("stop_limit", "limit_if_touched"):
            prices = {"stop_price": price(ask.offset), "limit_price": price(ask.other)}
            return side(symbol, size, order_type=ask.what, **prices, **terms)
        elif ask.what in ("trailing_stop", "trailing_stop_limit"):
            how = {"trail_amount": (abs(ask.offset) + 1) / 100}
            if ask.quantity % 3 == 0:
                how = {"trail_fraction": (abs(ask.offset) + 1) / 1000}
            if ask.what == "trailing_stop_limit":
                how["limit_offset"] = abs(ask.other) / 200
            if ask.other % 3 == 0:
                how["activation_price"] = price(ask.other)
            return side(symbol, size, order_type=ask.what, **how, **terms)
        elif ask.what == "modify":
            working = [order for order in broker.open_orders if not order.tag]
            if working:
                self.modify(working[size % len(working)], ask, price, broker)
        elif ask.what == "percent":
            broker.order_target_percent(symbol, ask.quantity / 50, time_in_force=life)
        elif ask.what == "value":
            broker.order_target_value(symbol, ask.quantity * 17)
        elif ask.what == "weights":
            broker.order_target_weights({symbol: abs(ask.quantity) / 60}, keep_others=ask.is_day)
        elif ask.what == "close":
            broker.close_position(symbol)
        elif ask.what == "cancel":
            working = broker.open_orders
            if working:
                broker.cancel_order(working[size % len(working)])
        elif ask.what == "target":
            # Some are less than a lot.
            amount = ask.quantity / (40 if ask.other % 5 == 0 else 1)
            broker.order_target_quantity(symbol, amount + (0.25 if ask.is_day else 0))
        elif ask.what == "odd":
            # Off the lot or off the tick: refused, or rounded by a policy.
            amount = size / 3 if ask.is_day else size
            beside = round(price(ask.offset) + ask.other / 1000, 3)
            how = {} if ask.other % 4 == 0 else {"limit_price": beside}
            side(symbol, amount, **how)
        elif ask.what == "convert":
            foreign = [name for name in ("EUR", "USD", "GBP", "JPY") if self.can_convert(name)]
            if foreign:
                broker.convert(foreign[size % len(foreign)], ask.quantity * 7)
        elif ask.what == "rules":
            kind, other = sorted(RULES)[size % 3], sorted(RULES)[(size + 1) % 3]
            rule = RULES[kind](pct=(abs(ask.offset) + 3) / 1000)
            both = CompositeRule([rule, RULES[other](pct=(abs(ask.other) + 3) / 1000)])
            broker.set_position_rules(None if ask.offset % 5 == 0 else both if ask.is_day else rule)
        return None

    def can_convert(self, name: str) -> bool:
        money = self.case.money
        held = {money.currency(row[0]) for row in self.case.rows} if money else set()
        return money is not None and name != money.base and name in held

    def modify(self, order: Any, ask: Ask, price: Callable[[int], float], broker: Broker) -> None:  # noqa: ANN401
        changes: dict[str, Any] = {}
        if ask.is_day:
            changes["quantity"] = abs(ask.quantity) + (0.5 if ask.other % 3 == 0 else 0)
        kind = order.order_type.value
        if "trailing" in kind:
            changes["trail_amount"] = (abs(ask.offset) + 1) / 100
        else:
            if "limit" in kind:
                changes["limit_price"] = price(ask.offset)
            if "stop" in kind or "touched" in kind:
                changes["stop_price"] = price(ask.other)
        if changes:
            broker.modify_order(order, **changes)


# -- drawing ---------------------------------------------------------------------------------------------

# More buys than sells, so that something is held.
sizes = st.sampled_from([1, 5, 10, 20, 35, 60, 20, 10, -5, -10, -20, -60])
volumes = st.sampled_from([1e6, 1e6, 1e6, 1000.0, 300.0, 50.0, 0.0])


@st.composite
def bars(draw: st.DrawFn, symbol: str, count: int) -> list[tuple[Any, ...]]:
    """Draw bars in cents; some days have none."""
    close = draw(st.sampled_from([1000, 300, 5000]))
    rows: list[tuple[Any, ...]] = []
    for number in range(count):
        gap, body, up, down = (draw(st.integers(-30, 30)) for _ in range(4))
        opened = max(close + gap * close // 1000, 20)
        close = max(opened + body * opened // 1000, 20)
        high, low = max(opened, close) + abs(up) // 2, max(min(opened, close) - abs(down) // 2, 1)
        if number and draw(st.integers(0, 9)) == 0:
            continue
        rows.append((symbol, number, opened / 100, high / 100, low / 100, close / 100, draw(volumes)))
    return rows


@st.composite
def ticks(draw: st.DrawFn, symbol: str, count: int) -> list[tuple[Any, ...]]:
    """Draw ticks: a price in cents, half a spread, and a size on each side."""
    price = draw(st.sampled_from([1000, 300, 5000]))
    rows: list[tuple[Any, ...]] = []
    for number in range(count):
        price = max(price + draw(st.integers(-20, 20)), 30)
        half = draw(st.integers(0, 5))
        sizes = draw(st.sampled_from([10.0, 100.0, 1e6])), draw(st.sampled_from([10.0, 100.0, 1e6]))
        rows.append((symbol, number, (price - half) / 100, (price + half) / 100, *sizes))
    return rows


# Next to bars of a day or an hour and ticks seven minutes apart: at once, inside one, and past several.
delays = st.sampled_from(
    [
        "0s",
        "3m",
        "1h",
        "30h",
        {"quantiles": ["0s", "0s", "20m", "26h"]},
        {"quantiles": ["1h", "1h"]},
        {"distribution": "uniform", "low": "0s", "high": "2h"},
        {"distribution": "exponential", "mean": "1h", "minimum": "2m"},
        {"distribution": "lognormal", "median": "40m", "sigma": 1.5},
    ]
)
messages = st.fixed_dictionaries({}, optional={"submit": delays, "modify": delays, "cancel": delays})
waits = st.fixed_dictionaries({"type": st.just("Waits"), "minutes": st.sampled_from([60.0, 3.0, 1_200.0])})
models = st.fixed_dictionaries({"model": waits})


@st.composite
def latencies(draw: st.DrawFn) -> str | dict[str, Any]:
    """Draw one latency of all messages, one of each kind or a model, and sometimes those of a venue."""
    if draw(st.integers(0, 2)) == 0:
        return draw(st.sampled_from(["25m", "1h", "1d", "30h"]))
    latency: dict[str, Any] = draw(st.one_of(messages, models))
    if draw(st.booleans()):
        latency["venues"] = {"V": draw(st.one_of(messages, models))}
    return latency


@st.composite
def caps(draw: st.DrawFn, *, with_averages: bool) -> dict[str, Any]:
    """Draw a fill model with a limit on volume; a small one where days of much volume count, too."""
    model: dict[str, Any] = {"type": "Default", "volume_limit": 0.1}
    if with_averages and draw(st.booleans()):
        model["volume_limit"] = draw(st.sampled_from([0.1, 0.00005, 0.00005]))
        model["average_days"] = draw(st.sampled_from([1, 2, 3]))
    if draw(st.integers(0, 2)) == 0:
        model["partial"] = False
    return model


CHOICES = {
    "limit_touch": ["through"],
    "insufficient_cash": ["partial", "wait"],
    "zero_volume": ["fill"],
    "tick_rounding": ["passive"],
    "fill_timing": ["next_close", "same_close"],
    "limit_gap": ["at_limit"],
    "stop_gap": ["at_stop"],
    "fill_order": ["exits_first"],
    "quote_fill": ["standing"],
    "limit_slippage": ["clamp", "refuse", "full", "full"],
    "trail_basis": ["close"],
    "path": ["ohlc", "olhc", "nearest_first", "close_only", "submission"],
    "same_bar_exit": ["next_bar"],
    "order_inside_bar": ["close"],
    "lot_rounding": ["down"],
    "target_orders": ["ignored"],
    "target_rounding": ["order"],
}


@st.composite
def chosen_policies(draw: st.DrawFn) -> dict[str, str]:
    """Draw the section `[broker.policies]`, with defaults left out."""
    policies: dict[str, str] = {}
    for name, values in CHOICES.items():
        # The two contradict each other.
        if name == "order_inside_bar" and "same_bar_exit" in policies:
            continue
        if draw(st.integers(0, 3)) == 0:
            policies[name] = draw(st.sampled_from(values))
    if policies.get("path") == "close_only":
        policies.setdefault("fill_timing", "next_close")
    return policies


@st.composite
def accounts(
    draw: st.DrawFn, *, with_averages: bool = False, impacts: Sequence[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Draw the section `[broker]`, with defaults left out; orders that meet quotes take no averages.

    There is always an impact where the models to draw from are given.
    """
    account: dict[str, Any] = {"initial_cash": draw(st.sampled_from([100_000, 5_000, 1_000]))}
    policies = draw(chosen_policies())
    optional: dict[str, st.SearchStrategy[Any]] = {
        "allows_short": st.just(value=True),
        "leverage": st.sampled_from([2, 3, "1.5"]),
        "lot_policy": st.sampled_from(["average", "lifo", "highest_cost"]),
        "latency": latencies(),
        "commission_model": st.sampled_from(FEES),
        "posting_quantum": st.sampled_from(["0.01", "0.000001"]),
    }
    for name, values in optional.items():
        if draw(st.integers(0, 1 if name == "allows_short" else 2)) == 0:
            account[name] = draw(values)
    if draw(st.integers(0, 2)) == 0:
        account["buying_power"] = draw(st.sampled_from(["cash", "cash", "unlimited"]))
        account.pop("leverage", None)
    by_volume = draw(st.integers(0, 3)) == 0
    if by_volume:
        account["fill_model"] = draw(caps(with_averages=with_averages))
    if draw(st.integers(0, 2)) == 0:
        account["slippage_model"] = draw(st.sampled_from(SLIPPAGES + (VOLUME_SLIPPAGES if by_volume else [])))
    if impacts is not None or draw(st.integers(0, 5)) == 0:
        account["impact_model"] = draw(st.sampled_from(IMPACTS if impacts is None else impacts))
    if policies:
        account["policies"] = policies
    return account


TRIGGERED = ["market_if_touched", "limit_if_touched", "trailing_stop", "trailing_stop_limit"]


@st.composite
def terms_of(draw: st.DrawFn, what: str) -> tuple[tuple[str, Any], ...]:
    """Draw a time in force and instructions that the type takes; mostly none."""
    found: dict[str, Any] = {}
    if what not in ("market", "limit", "stop", "stop_limit", *TRIGGERED):
        return ()
    if draw(st.integers(0, 3)) == 0:
        lives = ["gtd"] if what not in ("market", "limit") else ["gtd", "ioc", "fok", "opg", "cls"]
        found["time_in_force"] = draw(st.sampled_from(lives))
        if found["time_in_force"] == "gtd":
            found["expire_in"] = draw(st.sampled_from([1, 30, 90, 48 * 60]))
    if draw(st.integers(0, 3)) == 0:
        found["link"] = (
            draw(st.sampled_from(["parent", "parent", "oco", "oco", "ouo"])),
            draw(st.integers(0, 9)),
        )
    rests = found.get("time_in_force", "gtc") in ("gtc", "gtd")
    for name in ("reduce_only", "all_or_none"):
        if draw(st.integers(0, 7)) == 0:
            found[name] = True
    if what == "limit" and rests and draw(st.integers(0, 5)) == 0:
        found["post_only"] = True
    if what == "limit" and draw(st.integers(0, 7)) == 0:
        found["display_quantity"] = 1
    return tuple(found.items())


@st.composite
def asks(draw: st.DrawFn, *, with_rules: bool, reach: int = 40) -> Ask:
    """Draw one thing that the script does, at prices within so many ticks of the last one."""
    kinds = ["market", "market", "limit", "stop", "stop_limit", "percent", "value", "weights", "close"]
    kinds += ["cancel", "target", "odd", "modify", "convert", *TRIGGERED, *(["rules"] if with_rules else [])]
    what = draw(st.sampled_from(kinds))
    return Ask(
        what,
        draw(st.sampled_from(SYMBOLS)),
        draw(sizes),
        draw(st.integers(-reach, reach)),
        draw(st.integers(-reach, reach)),
        draw(st.booleans()),
        draw(terms_of(what)),
    )


@st.composite
def actions(
    draw: st.DrawFn, symbols: tuple[str, ...], *, first: int = 1, last: int = 12
) -> tuple[tuple[str, int, str, str, int], ...]:
    """Draw splits and dividends, one of a kind a day and symbol; days count from the first day."""
    found: dict[tuple[str, int, str], tuple[str, int, str, str, int]] = {}
    for _ in range(draw(st.integers(0, 3))):
        symbol, day = draw(st.sampled_from(symbols)), draw(st.integers(first, last))
        kind = draw(st.sampled_from(["split", "cash_dividend"]))
        values = ["2", "3/2", "1/3", "1/10", "7/5"] if kind == "split" else ["0.25", "0.013", "0.1111111111"]
        value = draw(st.sampled_from(values))
        found[symbol, day, kind] = (symbol, day, kind, value, draw(st.sampled_from([0, 1, 4])))
    return tuple(found.values())


@st.composite
def endings(
    draw: st.DrawFn, symbols: tuple[str, ...], rows: list[tuple[Any, ...]], acts: tuple[tuple[Any, ...], ...]
) -> tuple[list[tuple[Any, ...]], tuple[tuple[Any, ...], ...]]:
    """Let an instrument end: nothing of it comes after, but dividends of its last day."""
    symbol, day = draw(st.sampled_from(symbols)), draw(st.integers(1, 9))
    amount = draw(st.sampled_from(["", "0", "12.34", "0.0070000001"]))
    kept = [row for row in rows if row[0] != symbol or row[1] < day]
    before = [
        act for act in acts if act[0] != symbol or act[1] < day or (act[1], act[2]) == (day, "cash_dividend")
    ]
    return kept, (*before, (symbol, day, "delisting", amount, 0))


@st.composite
def settlements(draw: st.DrawFn, symbols: tuple[str, ...]) -> dict[str, Any]:
    """Draw which instruments are not paid for, and settlement prices of some of them; mostly none."""
    if draw(st.integers(0, 2)):
        return {}
    kinds = tuple(draw(st.sampled_from([None, "daily", "daily", "on_close"])) for _ in SYMBOLS)
    daily = [symbol for symbol in symbols if kinds[SYMBOLS.index(symbol)] == "daily"]
    rows: dict[tuple[str, int], tuple[str, int, int]] = {}
    for _ in range(draw(st.integers(0, 6)) if daily and draw(st.booleans()) else 0):
        symbol, place = draw(st.sampled_from(daily)), draw(st.integers(0, 1000))
        rows[symbol, place] = (symbol, place, draw(st.sampled_from([300, 987, 1000, 1013, 5001])))
    return {"settlements": kinds, "settled": tuple(rows.values())}


@st.composite
def cases(draw: st.DrawFn, kind: str, *, impacts: Sequence[dict[str, Any]] | None = None) -> Case:
    """Draw a case on daily bars, half-hour bars, quotes or prints, with one of some impact models."""
    symbols = SYMBOLS[: draw(st.integers(1, 3))]
    count = draw(st.integers(3, 14))
    rows = [
        row for symbol in symbols for row in draw((bars if kind in ("day", "hour") else ticks)(symbol, count))
    ]
    rules: tuple[tuple[str, int], ...] = ()
    if draw(st.integers(0, 3)) == 0:
        kinds = draw(st.lists(st.sampled_from(sorted(RULES)), min_size=1, unique=True))
        rules = tuple((name, draw(st.integers(5, 80))) for name in kinds)
    account = draw(accounts(with_averages=kind != "quote", impacts=impacts))
    # Bars that begin beside one another call the script inside bars.
    stagger = draw(st.sampled_from([0, 0, 20, 25])) if kind == "hour" and len(symbols) > 1 else 0
    calls = count * len(symbols) if stagger else count
    # Where volatility is estimated, the first orders come after four sessions; mostly that is enough.
    first = min(4, calls - 2) if estimates(account.get("impact_model")) else 0
    steps = st.tuples(st.integers(first, calls - 2), asks(with_rules=bool(rules)))
    script = draw(st.lists(steps, min_size=2, max_size=14))
    overnight = kind == "day" and draw(st.integers(0, 2)) == 0
    acts = draw(actions(symbols)) if kind == "day" else ()
    if overnight:
        # Splits inside a bar are refused.
        acts = tuple(action for action in acts if action[2] != "split")
    if kind == "day" and draw(st.integers(0, 3)) == 0:
        rows, acts = draw(endings(symbols, rows, acts))
    money = draw(moneys())
    return Case(
        kind=kind,
        rows=tuple(rows),
        fractional=kind == "day" and draw(st.integers(0, 3)) == 0,
        account=account,
        rules=rules,
        actions=acts,
        script=tuple(script),
        stagger=stagger,
        overnight=overnight,
        slices=draw(slices) if draw(st.integers(0, 5)) == 0 else None,
        holding=draw(holdings(symbols)),
        money=money,
        flows=draw(flows(money)),
        **draw(settlements(symbols)),
    )


# -- running ---------------------------------------------------------------------------------------------


def feed_of(case: Case) -> DataFeed | list[DataFeed]:
    """Return the market of a case."""
    symbols = sorted({row[0] for row in (*case.rows, *case.prints)})
    calendar = Evenings.name if case.overnight else "24/7" if case.hours is None else "rests"
    multipliers = {"A": 1, "B": "2.5", "C": 1}
    lots = {"A": 1, "B": 1, "C": 1 if case.actions or case.given else 10}

    if case.rolls:
        # One of a contract stands for one of the next.
        multipliers, lots = dict.fromkeys(SYMBOLS, 2), dict.fromkeys(SYMBOLS, 1)
    ends = {symbol: FIRST_DAY + dt.timedelta(days=day) for symbol, day in case.last_trades}

    def currency(symbol: str) -> str:
        return "USD" if case.money is None else case.money.currency(symbol)

    def is_pair(symbol: str) -> bool:
        return case.holding is not None and symbol in case.holding.pairs

    instruments = [
        Instrument.fractional(
            symbol,
            asset_class="fx" if is_pair(symbol) else "equity",
            calendar=calendar,
            venue=VENUES.get(symbol),
            currency=currency(symbol),
            settlement=case.settlements[SYMBOLS.index(symbol)] or "upfront",
            last_trade=ends.get(symbol),
        )
        if case.fractional
        else Instrument(
            symbol,
            asset_class="fx" if is_pair(symbol) else "equity",
            calendar=calendar,
            venue=VENUES.get(symbol),
            currency=currency(symbol),
            settlement=case.settlements[SYMBOLS.index(symbol)] or "upfront",
            last_trade=ends.get(symbol),
            multiplier=multipliers[symbol],
            lot_size=lots[symbol],
        )
        for symbol in symbols
    ]
    options: dict[str, Any] = {"instruments": instruments, "calendar": calendar, "actions": actions_of(case)}
    if case.kind == "day":
        names = ["symbol", "session", "open", "high", "low", "close", "volume"]
        frame = pl.DataFrame(case.rows, schema=names, orient="row").with_columns(
            session=pl.lit(FIRST_DAY) + pl.duration(days=pl.col("session"))
        )
        return DataFeed(frame, stamp="session", **options)
    if case.kind == WITH_PRINTS:
        return feeds_with_prints(case, options)
    step = step_of(case)
    when = pl.lit(first_minute(case)) + pl.duration(minutes=pl.col("timestamp") * step)
    if case.kind == "hour":
        names = ["symbol", "timestamp", "open", "high", "low", "close", "volume"]
        late = pl.col("symbol").replace_strict({each: n for n, each in enumerate(SYMBOLS)}) * case.stagger
        frame = pl.DataFrame(case.rows, schema=names, orient="row")
        frame = frame.with_columns(timestamp=when + pl.duration(minutes=late))
        return DataFeed(frame, stamp="open", interval=f"{step // 60}h", **options)
    names = ["symbol", "timestamp", "bid_price", "ask_price", "bid_size", "ask_size"]
    frame = pl.DataFrame(case.rows, schema=names, orient="row").with_columns(timestamp=when)
    if case.kind == "trade":
        frame = frame.select("symbol", "timestamp", price="bid_price", size="bid_size")
    return DataFeed(frame, kind=case.kind, stamp="event", **options)  # type: ignore[arg-type]


def first_minute(case: Case) -> dt.datetime:
    """Return when rows within a day begin: where a session is to open among them, before midnight."""
    return BEFORE_MIDNIGHT if case.rolls else FIRST_MINUTE


def step_of(case: Case) -> int:
    """Return the minutes from row to row; an average of sessions needs several of them."""
    is_slow = "average_days" in case.account.get("fill_model", {})
    is_slow |= case.account.get("slippage_model", {}).get("type") == "VolatilityVolumeShare"
    return {"hour": 240 if is_slow else 60, "quote": 7, "trade": 450 if is_slow else 7}[case.kind]


def feeds_with_prints(case: Case, options: dict[str, Any]) -> list[DataFeed]:
    """Return the quotes of a case, with what belongs to its instruments, and the prints beside them."""
    when = pl.lit(BEFORE_MIDNIGHT) + pl.duration(minutes=pl.col("ts_event"))
    keys: dict[str, Any] = {"symbol": pl.String, "ts_event": pl.Int64}
    sides = dict.fromkeys(("bid_price", "ask_price", "bid_size", "ask_size"), pl.Float64)
    quotes = pl.DataFrame(case.rows, schema=keys | sides, orient="row").with_columns(ts_event=when)
    feeds = [DataFeed(quotes, name="quotes", kind="quote", stamp="event", matches_orders=True, **options)]
    if case.prints:
        values = dict.fromkeys(("price", "size"), pl.Float64)
        prints = pl.DataFrame(case.prints, schema=keys | values, orient="row").with_columns(ts_event=when)
        prints = prints.with_columns(ts_arrival=pl.col("ts_event") + pl.duration(minutes=case.lag))
        calendar = options["calendar"]
        feeds.append(DataFeed(prints, name="prints", kind="trade", stamp="event", calendar=calendar))
    return feeds


def actions_of(case: Case) -> pl.DataFrame | None:
    """Return the corporate actions of a case."""
    if not case.actions and not case.given:
        return None
    rows: list[dict[str, Any]] = [
        {
            "symbol": symbol,
            "ex_date": FIRST_DAY + dt.timedelta(days=day),
            "kind": kind,
            "ratio": value if kind == "split" else None,
            "amount": value if kind != "split" and value else None,
            "pay_date": FIRST_DAY + dt.timedelta(days=day + later) if kind == "cash_dividend" else None,
        }
        for symbol, day, kind, value, later in case.actions
    ]
    rows += [row | {"ex_date": FIRST_DAY + dt.timedelta(days=row["day"])} for row in case.given]
    texts = ("symbol", "kind", "ratio", "amount", "into", "withholding")
    schema = dict.fromkeys(texts, pl.String) | dict.fromkeys(("ex_date", "pay_date"), pl.Date)
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def stamps_of(case: Case) -> dict[str, list[dt.datetime]]:
    """Return when the rows of each symbol are complete."""
    found: dict[str, list[dt.datetime]] = {}
    for symbol, number, *_ in case.rows:
        if case.kind == "day":
            midnight = dt.datetime.combine(FIRST_DAY + dt.timedelta(days=number), dt.time(), dt.UTC)
            stamp = midnight + dt.timedelta(hours=17 if case.overnight else 24)
        elif case.kind == WITH_PRINTS:
            stamp = BEFORE_MIDNIGHT + dt.timedelta(minutes=number)
        else:
            late = SYMBOLS.index(symbol) * case.stagger
            stamp = first_minute(case) + dt.timedelta(minutes=number * step_of(case) + late)
            stamp += dt.timedelta(minutes=step_of(case) if case.kind == "hour" else 0)
        found.setdefault(symbol, []).append(stamp)
    return found


def settled_of(case: Case, stamps: dict[str, list[dt.datetime]]) -> pl.DataFrame:
    """Return the settlement prices of a case, every third at the instant of a row."""
    rows = {}
    for symbol, place, cents in case.settled:
        times = sorted(stamps[symbol])
        index = place * (len(times) - 1) // 1000
        at = times[index] if place % 3 == 0 else times[0] + (times[-1] - times[0]) * place // 1000
        rows[symbol, at] = cents / 100
    schema = {"symbol": pl.String, "ts_event": pl.Datetime("ns", "UTC"), "settlement_price": pl.Float64}
    return pl.DataFrame([(*key, price) for key, price in rows.items()], schema=schema, orient="row")


def tables_of(
    case: Case, engine: str, plugins: PluginManager, script: type[Script] = Script
) -> dict[str, pl.DataFrame]:
    """Run a case on an engine and return its tables."""
    backtest = {"engine": engine, "record": "step", "native": case.native, "seed": SEED}
    account = case.account
    if case.holding is not None:
        account = account | case.holding.models | {"allows_short": True}
    if case.money is not None:
        backtest["base_currency"] = case.money.base
        account = account | case.money.broker
    if case.settlement is not None and goes_by_cash(account):
        account = account | {"settlement": case.settlement}
    config = {"broker": account, "backtest": backtest}
    models = {} if case.slices is None else {"fill": case.slices}
    parts: dict[str, Any] = {"models": models, "plugins": plugins, "calendars": [Evenings()]}
    if case.hours is not None:
        parts["calendars"].append(Rests(case.hours))
    stamps = stamps_of(case)
    parts |= rates_of(case.holding, stamps)
    if case.settled:
        parts["settlements"] = settled_of(case, stamps)
    every = [stamp for each in stamps.values() for stamp in each]
    if case.money is not None:
        parts["fx"] = fx_of(case.money, every)
    if case.flows:
        parts["cash_flows"] = flows_of(case.flows, every)
    if case.rolls:
        rolls = [(FIRST_DAY + dt.timedelta(days=day), *row) for day, *row in case.rolls]
        parts["rolls"] = pl.DataFrame(rolls, schema=["session", "from", "to", "roll_at"], orient="row")
    if case.margin_rates:
        parts["margin_rates"] = margin_rates_of(case.margin_rates, every)
    results = Engine(feed_of(case), lambda: script(case), config=config, **parts).run()
    tables = {name: results.table(name) for name in TABLES}
    # Sentences are each engine's own.
    return tables | {"conversions": tables["conversions"].drop("reason")}


def goes_by_cash(account: dict[str, Any]) -> bool:
    """Say whether the section `[broker]` lets an account spend its cash and nothing else."""
    if "margin_model" in account:
        return False
    if account.get("buying_power", "equity") == "equity":
        return not account.get("allows_short", False) and account.get("leverage", 1) == 1
    return account["buying_power"] == "cash"


def outcome_of(
    case: Case, engine: str, plugins: PluginManager, script: type[Script] = Script
) -> dict[str, pl.DataFrame] | str:
    """Run a case on an engine and return its tables, or what a model or a payment found wrong with it."""
    try:
        return tables_of(case, engine, plugins, script)
    except ModelError as error:
        return str(error)
    except DataError as error:
        # More is taken out than there is; how an amount is written is each engine's own.
        if not str(error).startswith("cash flows:"):
            raise
        return "more is taken out than there is"


def difference(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> str:
    """Say in which row of which table two runs differ first; nothing when they are equal."""
    for name in ("order_events", "fills", *TABLES):
        if one[name].equals(other[name]):
            continue
        for number in range(max(one[name].height, other[name].height)):
            rows = [t[name].row(number, named=True) if number < t[name].height else {} for t in (one, other)]
            if rows[0] != rows[1] and str(rows[0]) != str(rows[1]):
                found = {key: tuple(row.get(key) for row in rows) for key in rows[0] | rows[1]}
                differ = {key: pair for key, pair in found.items() if pair[0] != pair[1]}
                return f"{name}, row {number}: {differ} in {rows[0] or rows[1]}"
    return ""
