"""Accounts in several currencies on random markets: all amounts by a second calculation, and no leak."""

from __future__ import annotations

import bisect
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

import attrs
import polars as pl
from hypothesis import event, given
from hypothesis import strategies as st

from ml4t.backtest import DataFeed, Engine, Instrument, Results, Strategy
from ml4t.core.models import FxArgs
from ml4t.fees import FxSpread

Make = Callable[..., Engine]
Rows = list[dict[str, Any]]

DAYS = [dt.date(2024, 3, day) for day in (4, 5, 6, 7, 8, 11)]
UNIT = 10**18  #: cash units of one unit of currency
QUANTUM = 10**9  #: cash units of the posting quantum, 0.000000001
SYMBOLS = {"SAP": "EUR", "SONY": "JPY", "IBM": "USD"}
STARTS = {"SAP": 100.0, "SONY": 900.0, "IBM": 50.0}
LOTS = {"SAP": 30, "SONY": 550, "IBM": 70}  #: quantities worth some 3,400 USD
MIDDLES = {"EURUSD": 1.1, "USDEUR": 0.9, "USDJPY": 150.0, "JPYUSD": 0.0067, "EURJPY": 160.0, "JPYEUR": 0.006}
#: Pairs from which both EUR and JPY reach USD, and those from which one goes through the other.
ROUTES = [
    ("EURUSD", "USDJPY"),
    ("USDEUR", "JPYUSD"),
    ("EURUSD", "EURJPY"),
    ("USDEUR", "JPYEUR"),
    ("EURJPY", "USDJPY"),
    ("EURUSD", "USDEUR", "USDJPY", "EURJPY"),
]


# -- the second calculation --------------------------------------------------------------------------------


def nearest(value: Fraction) -> int:
    """Return the nearest whole number, the even one of two."""
    return round(value)


def units(amount: Decimal) -> int:
    return int(amount.scaleb(18))


def quantized(amount: int) -> int:
    return nearest(Fraction(amount, QUANTUM)) * QUANTUM


def exact(rate: float) -> Fraction:
    """Return the decimal that a rate is written as, to 15 places."""
    return Fraction(Decimal(repr(rate)).quantize(Decimal("1e-15"), ROUND_HALF_EVEN))


class Rates:
    """What amounts are worth in USD, by rows of rates."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.rows: dict[tuple[str, str], list[tuple[dt.datetime, Fraction]]] = defaultdict(list)
        for pair, when, rate in rows.sort("ts_event").rows():
            self.rows[pair[:3], pair[3:]].append((when, exact(rate)))

    def step(self, source: str, target: str) -> tuple[tuple[str, str], bool] | None:
        if (source, target) in self.rows:
            return (source, target), True
        return ((target, source), False) if (target, source) in self.rows else None

    def route(self, source: str) -> list[tuple[tuple[str, str], bool]]:
        if (direct := self.step(source, "USD")) is not None:
            return [direct]
        for middle in sorted({side for pair in self.rows for side in pair}):
            first, second = self.step(source, middle), self.step(middle, "USD")
            if first is not None and second is not None:
                return [first, second]
        raise AssertionError(source)

    def worth(self, amount: int, currency: str, when: dt.datetime) -> int:
        if currency == "USD" or amount == 0:
            return amount
        for pair, multiplies in self.route(currency):
            rate = next(rate for since, rate in reversed(self.rows[pair]) if since <= when)
            amount = nearest(amount * rate if multiplies else amount / rate)
        return amount

    def middle(self, currency: str, when: dt.datetime) -> float:
        return self.worth(UNIT, currency, when) / UNIT


def signed(posting: Mapping[str, Any], account: str) -> int:
    """Return what a posting adds to an account, debits above zero."""
    amount = units(posting["amount"])
    return amount * (int(posting["debit"] == account) - int(posting["credit"] == account))


def cost_of(model: FxSpread | None, amount: int, value: int, middle: float) -> int:
    """Return what a conversion costs beside its value at the middle rate."""
    if model is None:
        return 0
    side = 1 if amount > 0 else -1
    answer = model.evaluate(FxArgs(ts_ns=0, amount=amount / UNIT, rate=middle, side=side))
    paid = value
    if answer.rate != middle:
        paid = quantized(nearest(abs(amount) * exact(answer.rate)))
    return side * (paid - value) + quantized(nearest(Fraction(Decimal(repr(answer.fee))) * UNIT))


def goes_by_cash(account: Mapping[str, Any]) -> bool:
    leverage, allows_short, *bound = account["kind"]
    return bool(bound) or (leverage == 1 and not allows_short)


@attrs.frozen
class Checked:
    """A finished run, and the rates that it was made with."""

    results: Results
    rates: Rates
    model: FxSpread | None
    after_nav: frozenset[dt.datetime]  #: closes at whose instant conversions were asked for and made

    def table(self, name: str) -> Rows:
        return list(self.results.table(name).rows(named=True))

    def closes(self) -> Iterator[tuple[dt.datetime | None, dt.datetime, Rows]]:
        """Yield each close with the one before it and the postings since then."""
        ledger, before = self.table("ledger"), None
        for row in self.table("portfolio_history"):
            now = row["ts_event"]
            yield before, now, [each for each in ledger if self.is_inside(each, before, now)]
            before = now

    def is_inside(self, posting: Mapping[str, Any], before: dt.datetime | None, now: dt.datetime) -> bool:
        when: dt.datetime = posting["ts_event"]
        is_late = posting["kind"] in ("conversion", "conversion_cost")
        if when in self.after_nav and is_late:
            return when == before
        return (before is None or before < when) and when <= now

    # -- what a run has to be

    def check_reads(self, reads: Sequence[tuple[Any, ...]], account: Mapping[str, Any]) -> None:
        """Check what the strategy read at each close from what there was then."""
        for ns, equity, cash, power, usd, eur, jpy, working in reads:
            here = {
                row["currency"]: row
                for row in self.table("balances")
                if row["session"] is not None and int(row["ts_event"].timestamp()) * 10**9 == ns
            }
            now = here["USD"]["ts_event"]
            held = {currency: units(row["cash"]) for currency, row in here.items()}
            assert (usd, eur, jpy) == tuple(held[each] / UNIT for each in ("USD", "EUR", "JPY"))
            worth = {each: self.rates.worth(amount, each, now) for each, amount in held.items()}
            total = sum(units(row["value"]) for row in here.values())
            assert (equity, cash) == (total / UNIT, sum(worth.values()) / UNIT)
            if working:
                continue
            if goes_by_cash(account):
                free = sum(worth.values())
            else:
                sizes = {each: units(row["long_value"] - row["short_value"]) for each, row in here.items()}
                gross = sum(self.rates.worth(size, each, now) for each, size in sizes.items())
                free = account["kind"][0] * total - gross
            assert power == free / UNIT

    def check(self) -> None:
        self.check_conversions()
        self.check_balances()
        self.check_attribution()

    def check_conversions(self) -> None:
        for row in self.table("conversions"):
            if row["status"] != "executed":
                assert row["value"] is row["cost"] is None
                continue
            amount, currency, when = units(row["amount"]), row["currency"], row["ts_event"]
            value = quantized(abs(self.rates.worth(amount, currency, when)))
            cost = cost_of(self.model, amount, value, self.rates.middle(currency, when))
            assert (units(row["value"]), units(row["cost"])) == (value, cost)
        made = [row for row in self.table("conversions") if row["status"] == "executed"]
        for kind, name, sign in (("conversion", "value", 1), ("conversion_cost", "cost", 0)):
            posted = [p for p in self.table("ledger") if p["kind"] == kind and p["currency"] == "USD"]
            expected = [abs(units(row[name])) for row in made if row[name]]
            assert [units(posting["amount"]) for posting in posted] == expected, (kind, sign)

    def check_balances(self) -> None:
        rows = self.table("balances")
        cash: dict[str, int] = defaultdict(int)
        due: dict[str, int] = defaultdict(int)
        history = {row["ts_event"]: row for row in self.table("portfolio_history")}
        for _, now, postings in self.closes():
            for posting in postings:
                cash[posting["currency"]] += signed(posting, "cash")
                due[posting["currency"]] += signed(posting, "receivable")
            worth = 0
            here = [row for row in rows if row["ts_event"] == now and row["session"] is not None]
            assert [row["currency"] for row in here] == ["USD", "EUR", "JPY"]
            for row in here:
                currency = row["currency"]
                assert (units(row["cash"]), units(row["receivable"])) == (cash[currency], due[currency])
                assert units(row["long_value"]) == self.positions(now, currency, sign=1)
                assert units(row["short_value"]) == self.positions(now, currency, sign=-1)
                total = sum(units(row[name]) for name in ("cash", "receivable", "long_value", "short_value"))
                assert units(row["value"]) == self.rates.worth(total, currency, now)
                assert row["fx_rate"] == self.rates.middle(currency, now)
                worth += units(row["value"])
            portfolio = history[now]
            assert portfolio["equity"] == worth / UNIT
            names = ("cash", "receivable", "long_value", "short_value")
            for name in names:
                parts = [self.rates.worth(units(row[name]), row["currency"], now) for row in here]
                assert portfolio[name] == sum(parts) / UNIT

    def values(self, now: dt.datetime | None) -> dict[str, int]:
        found = dict.fromkeys(SYMBOLS, 0)
        for row in self.table("positions"):
            if row["ts_event"] == now:
                value = Decimal(repr(row["quantity"])) * Decimal(repr(row["mark_price"]))
                found[row["symbol"]] = units(value)
        return found

    def positions(self, now: dt.datetime, currency: str, *, sign: int) -> int:
        found = self.values(now)
        return sum(max(sign * found[s], 0) for s in found if SYMBOLS[s] == currency) * sign

    def check_attribution(self) -> None:
        rows = {(row["ts_event"], row["symbol"]): row for row in self.table("attribution")}
        for row in rows.values():
            parts = [value for name, value in row.items() if isinstance(value, Decimal) and name != "total"]
            assert sum(parts) == row["total"]
        worth: dict[dt.datetime | None, int] = defaultdict(int)
        for row in self.table("balances"):
            if row["session"] is not None:
                worth[row["ts_event"]] += units(row["value"])
        purse: dict[str, int] = defaultdict(int)
        for before, now, postings in self.closes():
            total = sum(units(row["total"]) for (when, _), row in rows.items() if when == now)
            assert total == worth[now] - (0 if before is None else worth[before])
            for symbol in SYMBOLS:
                found = rows.get((now, symbol), {})
                for name, amount in self.parts(symbol, before, now, postings).items():
                    assert units(found.get(name, Decimal(0))) == amount, (symbol, now, name)
            found = rows.get((now, None), {})
            expected = self.own(before, now, postings, purse)
            if before is None:
                # What rates did since the deposits is part of one or the other.
                expected["fx"] += expected.pop("external")
                found = found | {"fx": found["fx"] + found["external"]}
            rest = units(found.get("fx", Decimal(0))) - expected.pop("fx")
            assert abs(rest) <= self.limit(postings)
            for name, amount in expected.items():
                assert units(found.get(name, Decimal(0))) == amount, (now, name)

    def parts(
        self, symbol: str, before: dt.datetime | None, now: dt.datetime, postings: Rows
    ) -> dict[str, int]:
        """Return the parts of an instrument that are not zero by their nature."""
        currency = SYMBOLS[symbol]
        mine = [posting for posting in postings if posting["symbol"] == symbol]

        def brought(*kinds: str) -> int:
            local = [p for p in mine if p["kind"] in kinds]
            cash = sum(signed(p, "cash") + signed(p, "receivable") for p in local)
            return self.rates.worth(cash, currency, now)

        start, end = self.values(before)[symbol], self.values(now)[symbol]
        traded = sum(signed(p, "cash") for p in mine if p["kind"] in ("trade", "realized"))
        moved = 0 if before is None else self.moved(start, currency, before, now)
        return {
            "price": self.rates.worth(end - start + traded, currency, now),
            "fees": brought("fee"),
            "dividends": brought("dividend", "dividend_payment"),
            "borrow": brought("borrow"),
            "funding": brought("funding"),
            "fx": moved + self.legs(mine, now),
            "fx_costs": sum(signed(p, "cash") for p in mine if p["kind"] == "conversion_cost"),
        }

    def own(
        self, before: dt.datetime | None, now: dt.datetime, postings: Rows, purse: dict[str, int]
    ) -> dict[str, int]:
        """Return the parts of the account itself, and note its cash."""
        mine = [posting for posting in postings if posting["symbol"] is None]
        moved = 0
        for currency in ("USD", "EUR", "JPY"):
            if before is not None:
                moved += self.moved(purse[currency], currency, before, now)
            purse[currency] += sum(
                signed(p, "cash") + signed(p, "receivable") for p in postings if p["currency"] == currency
            )

        def brought(kind: str) -> int:
            found = 0
            for currency in ("USD", "EUR", "JPY"):
                cash = [signed(p, "cash") for p in mine if (p["kind"], p["currency"]) == (kind, currency)]
                found += self.rates.worth(sum(cash), currency, now)
            return found

        return {
            "interest": brought("interest"),
            "external": brought("deposit"),
            "fx": moved + self.legs(mine, now),
            "fx_costs": sum(signed(p, "cash") for p in mine if p["kind"] == "conversion_cost"),
        }

    def moved(self, amount: int, currency: str, before: dt.datetime, now: dt.datetime) -> int:
        return self.rates.worth(amount, currency, now) - self.rates.worth(amount, currency, before)

    def legs(self, postings: Rows, now: dt.datetime) -> int:
        """Return what conversions brought at the rates of now, each currency in one sum."""
        sums: dict[str, int] = defaultdict(int)
        for posting in postings:
            if posting["kind"] == "conversion":
                sums[posting["currency"]] += signed(posting, "cash")
        return sum(self.rates.worth(amount, currency, now) for currency, amount in sums.items())

    def limit(self, postings: Rows) -> int:
        # Per currency: totals, parts of three instruments and of the account; each rounds up to twice.
        return 60 + len(postings)


# -- random runs -------------------------------------------------------------------------------------------

Ask = tuple[str, str, float]


class Reads(Strategy):
    """Does at each close what it was given, sized by what the account says, and keeps what it read."""

    def __init__(self, asks: Sequence[Sequence[Ask]]) -> None:
        self.asks = asks
        self.read: list[tuple[Any, ...]] = []

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        cash = [broker.get_cash(currency) for currency in ("USD", "EUR", "JPY")]
        working = len(broker.open_orders)
        seen = (broker.get_account_value(), broker.get_cash(), broker.buying_power, *cash, working)
        asks = self.asks[len(self.read)] if len(self.read) < len(self.asks) else ()
        self.read.append((timestamp.ns, *seen))
        for what, name, size in asks:
            if what == "percent":
                broker.order_target_percent(name, round(size / 3, 3))
            elif what == "value":
                broker.order_target_value(name, round(size * seen[0] / 4, 2))
            elif what == "order":
                quantity = int(size * seen[0] / STARTS[name] / 10)
                if quantity:
                    broker.submit_order(name, quantity)
            else:
                broker.convert(name, round(size * seen[0] / 7, 2) or 1)


@st.composite
def market(draw: st.DrawFn) -> pl.DataFrame:
    move = st.integers(-400, 400)
    rows = []
    for symbol, start in STARTS.items():
        close = start
        for day in DAYS:
            opened = round(close * (1 + draw(move) / 10_000), 2)
            close = round(opened * (1 + draw(move) / 10_000), 2)
            high, low = max(opened, close), min(opened, close)
            rows.append((symbol, day, opened, high, low, close, 1e6))
    names = ["symbol", "session", "open", "high", "low", "close", "volume"]
    return pl.DataFrame(rows, schema=names, orient="row")


@st.composite
def changes(draw: st.DrawFn, pairs: Sequence[str] | None = None) -> pl.DataFrame:
    """Return rates of a route, each known from before the run on."""
    if pairs is None:
        pairs = draw(st.sampled_from(ROUTES))
    rows = []
    for pair in pairs:
        rows.append((pair, dt.datetime(2024, 3, 1, tzinfo=dt.UTC), MIDDLES[pair]))
        hours = draw(st.lists(st.integers(0, 24 * 8), max_size=10, unique=True))
        for hour in hours:
            rate = MIDDLES[pair] * (1 + draw(st.integers(-2_000, 2_000)) / 10_000)
            rows.append((pair, dt.datetime(2024, 3, 4, tzinfo=dt.UTC) + dt.timedelta(hours=hour), rate))
    return pl.DataFrame(rows, schema=["pair", "ts_event", "rate"], orient="row")


asks = st.lists(
    st.lists(
        st.one_of(
            st.tuples(
                st.sampled_from(["percent", "value", "order"]),
                st.sampled_from(sorted(SYMBOLS)),
                st.integers(-100, 100).map(lambda n: n / 100),
            ),
            st.tuples(
                st.just("convert"),
                st.sampled_from(["EUR", "JPY"]),
                st.integers(-100, 100).map(lambda n: n / 100),
            ),
        ),
        max_size=3,
    ),
    min_size=2,
    max_size=len(DAYS),
)
models = st.sampled_from(
    [
        None,
        FxSpread(0.0),
        FxSpread(0.0013),
        FxSpread(0.0, commission=0.00002, minimum=2.0),
        FxSpread(0.01, commission=0.0007, minimum=0.3),
    ]
)
accounts = st.fixed_dictionaries(
    {
        "conversion": st.sampled_from(["when_short", "always", "never"]),
        # Leverage and whether there are short positions; the last goes by cash all the same.
        "kind": st.sampled_from(
            [(1, False), (1, False), (2, True), (5, False), (1, True), (1, True, "cash")]
        ),
        "lot_policy": st.sampled_from(["fifo", "average"]),
        "commission_model": st.sampled_from([{"type": "NoFee"}, {"type": "Fraction", "rate": 0.0007}]),
        "initial_balances": st.sampled_from([{}, {"EUR": "1234.567"}, {"EUR": 40_000, "JPY": 3_000_000}]),
        "insufficient_cash": st.sampled_from(["reject", "partial", "wait"]),
        "standing": st.booleans(),
        "carries": st.booleans(),
    }
)
CARRY = {
    "borrow_model": {"type": "BorrowFee", "rate": 0.1},
    "funding_model": {"type": "PerpetualFunding"},
    "interest_model": {"type": "CashInterest", "credit": 0.01, "debit": 0.05},
    "interest_models": {"JPY": {"type": "CashInterest", "credit": 0.02, "debit": 0.07}},
}
FUNDING = pl.DataFrame(
    {
        "symbol": ["SAP", "SONY", "SAP", "SONY"],
        "ts_event": [dt.datetime(2024, 3, day, 16, tzinfo=dt.UTC) for day in (5, 5, 7, 7)],
        "funding_rate": [0.001, -0.0013, -0.0007, 0.0031],
    }
)
ACTIONS = pl.DataFrame(
    {
        "symbol": ["SAP", "SONY"],
        "ex_date": ["2024-03-06", "2024-03-07"],
        "kind": ["cash_dividend"] * 2,
        "amount": ["1.37", "11"],
        "pay_date": ["2024-03-08", None],
    }
)


@attrs.frozen
class Case:
    prices: pl.DataFrame
    rates: pl.DataFrame
    asks: Sequence[Sequence[Ask]]
    account: Mapping[str, Any]
    model: FxSpread | None

    def play(self, engine: Make, rates: pl.DataFrame | None = None) -> tuple[Results, Reads]:
        strategy = Reads(self.asks)
        return self.run(engine, strategy, rates), strategy

    def run(self, engine: Make, strategy: Strategy, rates: pl.DataFrame | None = None) -> Results:
        account = dict(self.account)
        is_standing, carries = account.pop("standing"), account.pop("carries")
        account["leverage"], account["allows_short"], *bound = account.pop("kind")
        account["buying_power"] = bound[0] if bound else "equity"
        policies = {
            "insufficient_cash": account.pop("insufficient_cash"),
            "quote_fill": "standing" if is_standing else "next",
        }
        # A close that pays interest and converts what was asked for could not be told apart in the ledger.
        carry = CARRY if carries and not is_standing else {}
        instruments = [Instrument(symbol, currency=currency) for symbol, currency in SYMBOLS.items()]
        made = engine(
            lambda: strategy,
            DataFeed(self.prices, stamp="session", instruments=instruments),
            broker=account | carry | {"policies": policies},
            fx=self.rates if rates is None else rates,
            actions=ACTIONS,
            funding=FUNDING if carry else None,
            models=None if self.model is None else {"fx": self.model},
        )
        return made.run()


cases = st.builds(Case, prices=market(), rates=changes(), asks=asks, account=accounts, model=models)


@given(case=cases)
def test_every_amount_is_that_of_a_second_calculation(engine: Make, case: Case) -> None:
    results, strategy = case.play(engine)
    asked = results.table("conversions").filter(pl.col("cause") == "asked")
    late = frozenset(asked["ts_event"]) if case.account["standing"] else frozenset()
    checked = Checked(results, Rates(case.rates), case.model, late)
    checked.check()
    checked.check_reads(strategy.read, case.account)
    event(f"fills {min(results.fills.height, 5)}")
    event(f"conversions {min(results.table('conversions').height, 5)}")


@given(case=cases, hour=st.integers(0, 24 * 8), data=st.data())
def test_no_decision_knows_later_rates(engine: Make, case: Case, hour: int, data: st.DataObject) -> None:
    until = dt.datetime(2024, 3, 4, tzinfo=dt.UTC) + dt.timedelta(hours=hour)
    pairs = tuple(dict.fromkeys(case.rates["pair"]))
    others = data.draw(changes(pairs))
    known = case.rates.filter(pl.col("ts_event") <= until)
    other = pl.concat([known, others.filter(pl.col("ts_event") > until)])
    one, first = case.play(engine)
    two, second = case.play(engine, other)
    for name in ("order_events", "fills", "ledger"):
        tables = [each.table(name).filter(pl.col("ts_event") <= until) for each in (one, two)]
        assert tables[0].equals(tables[1]), name
    # A conversion that expires does so at the end of the data, whenever that is.
    made = [
        each.table("conversions").filter(pl.col("ts_event") <= until, pl.col("status") != "expired")
        for each in (one, two)
    ]
    assert made[0].equals(made[1])
    for name in ("portfolio_history", "balances", "attribution", "positions"):
        tables = [each.table(name).filter(pl.col("ts_event") <= until) for each in (one, two)]
        assert tables[0].equals(tables[1]), name
    seen = int(until.timestamp()) * 10**9
    assert [row for row in first.read if row[0] <= seen] == [row for row in second.read if row[0] <= seen]


@given(case=cases)
def test_a_run_is_the_same_again_and_with_rows_in_another_sequence(engine: Make, case: Case) -> None:
    results = [case.play(engine)[0], case.play(engine, case.rates.reverse())[0]]
    for name in ("orders", "order_events", "fills", "ledger", "balances", "conversions", "attribution"):
        tables = [each.table(name) for each in results]
        assert tables[0].equals(tables[1]), name


# -- what is accepted --------------------------------------------------------------------------------------


class Rests(Strategy):
    """Sends limit orders that nothing meets, all at the first close."""

    def __init__(self, orders: Sequence[tuple[str, int, float]]) -> None:
        self.orders = orders
        self.powers: list[float] = []

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if not self.powers:
            for symbol, quantity, price in self.orders:
                broker.submit_order(symbol, quantity, "buy", "limit", price)
        self.powers.append(broker.buying_power)


@attrs.frozen
class Untouched:
    """An account without positions, and what orders set aside of it."""

    rates: Rates
    account: Mapping[str, Any]
    cash: dict[str, int]
    aside: dict[str, int]

    @classmethod
    def of(cls, rates: pl.DataFrame, account: Mapping[str, Any]) -> Untouched:
        cash = {"USD": 100_000 * UNIT, "EUR": 0, "JPY": 0}
        cash |= {name: units(Decimal(amount)) for name, amount in account["initial_balances"].items()}
        return cls(Rates(rates), account, cash, dict.fromkeys(cash, 0))

    def sum(self, amounts: Mapping[str, int], now: dt.datetime) -> int:
        return sum(self.rates.worth(amount, name, now) for name, amount in amounts.items())

    def beyond(self, now: dt.datetime, sign: int, aside: Mapping[str, int] | None = None) -> int:
        """Return what other currencies than the base lack, or with -1 have left."""
        aside = self.aside if aside is None else aside
        return self.sum({y: max(0, sign * (aside[y] - self.cash[y])) for y in ("EUR", "JPY")}, now)

    def accepts(self, currency: str, need: int, now: dt.datetime) -> bool:
        """Say whether an order is accepted, and set aside what it needs."""
        then = self.aside | {currency: self.aside[currency] + need}
        if not goes_by_cash(self.account):
            free: int = self.account["kind"][0] * self.sum(self.cash, now) - self.sum(self.aside, now)
            passes = self.rates.worth(need, currency, now) <= free
        elif self.account["conversion"] == "never":
            passes = then[currency] <= self.cash[currency]
        elif currency != "USD" and then[currency] <= self.cash[currency]:
            passes = True
        else:
            passes = then["USD"] <= self.cash["USD"] - self.beyond(now, 1, then)
        if passes:
            self.aside.update(then)
        return passes

    def power(self, now: dt.datetime) -> int:
        if not goes_by_cash(self.account):
            return int(self.account["kind"][0] * self.sum(self.cash, now) - self.sum(self.aside, now))
        if self.account["conversion"] == "never":
            return self.sum({name: self.cash[name] - self.aside[name] for name in self.cash}, now)
        return self.cash["USD"] - self.aside["USD"] - self.beyond(now, 1) + self.beyond(now, -1)


wanted = st.lists(
    st.sampled_from(sorted(SYMBOLS)).flatmap(
        lambda symbol: st.tuples(
            st.just(symbol),
            st.integers(3, 30).map(lambda n: n * LOTS[symbol]),
            st.integers(5_000, 7_000).map(lambda n: round(STARTS[symbol] * n / 10_000, 2)),
        )
    ),
    min_size=3,
    max_size=12,
)


@given(rates=changes(), orders=wanted, account=accounts)
def test_an_order_is_accepted_as_the_rules_say(
    engine: Make, rates: pl.DataFrame, orders: list[tuple[str, int, float]], account: dict[str, Any]
) -> None:
    rows = [(symbol, day, *[price] * 4, 1e6) for symbol, price in STARTS.items() for day in DAYS[:2]]
    names = ["symbol", "session", "open", "high", "low", "close", "volume"]
    prices = pl.DataFrame(rows, schema=names, orient="row")
    strategy = Rests(orders)
    results = Case(prices, rates, (), account | {"carries": False, "insufficient_cash": "reject"}, None).run(
        engine, strategy
    )
    first, second = results.portfolio_history["ts_event"]
    untouched = Untouched.of(rates, account)
    expected = [
        untouched.accepts(SYMBOLS[symbol], quantity * units(Decimal(repr(price))), first)
        for symbol, quantity, price in orders
    ]
    events = results.order_events.filter(pl.col("ts_event") == first, pl.col("status") != "submitted")
    assert [status == "accepted" for status in events["status"]] == expected
    assert strategy.powers[1] == untouched.power(second) / UNIT
    event(f"rejected {min(expected.count(False), 3)}")


MOST = 1_000


class Wants(Strategy):
    """Buys so many at the first close."""

    def __init__(self, quantity: int) -> None:
        self.quantity = quantity

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if self.quantity:
            broker.buy("SAP", self.quantity)
        self.quantity = 0


@given(
    rates=changes(),
    model=models,
    cash=st.integers(500_000, 9_000_000),
    own=st.integers(0, 5_000_000),
    conversion=st.sampled_from(["when_short", "always", "never"]),
    rate=st.sampled_from([0.0, 0.0007, 0.013]),
)
def test_partial_fills_the_most_that_can_be_paid(  # noqa: PLR0913 - what a fill depends on
    engine: Make,
    rates: pl.DataFrame,
    model: FxSpread | None,
    cash: int,
    own: int,
    conversion: str,
    rate: float,
) -> None:
    opens = (100.0, 104.37)
    rows = [("SAP", day, *[price] * 4, 1e6) for day, price in zip(DAYS, opens, strict=False)]
    names = ["symbol", "session", "open", "high", "low", "close", "volume"]
    feed = DataFeed(pl.DataFrame(rows, schema=names, orient="row"), stamp="session", currency="EUR")
    balances = {"USD": Decimal(cash) / 100, "EUR": Decimal(own) / 100}
    results = engine(
        lambda: Wants(MOST),
        feed,
        broker={
            "initial_cash": balances["USD"],
            "initial_balances": {"EUR": balances["EUR"]},
            "conversion": conversion,
            "commission_model": {"type": "Fraction", "rate": rate},
            "policies": {"insufficient_cash": "partial"},
        },
        fx=rates,
        models=None if model is None else {"fx": model},
    ).run()
    now, known = dt.datetime(2024, 3, 5, 14, 30, tzinfo=dt.UTC), Rates(rates)

    def can_pay(quantity: int) -> bool:
        notional = quantity * Decimal(repr(opens[1]))
        fee = quantized(nearest(Fraction(Decimal(repr(float(notional) * rate))) * UNIT))
        after = units(balances["EUR"]) - units(notional) - fee
        if after >= 0 or conversion == "never":
            return after >= 0
        value = quantized(known.worth(-after, "EUR", now))
        cost = cost_of(model, -after, value, known.middle("EUR", now))
        return value + cost <= units(balances["USD"])

    most = bisect.bisect_left(range(1, MOST + 1), 1, key=lambda quantity: int(not can_pay(quantity)))
    assert results.fills["quantity"].to_list() == ([float(most)] if most else [])
    event(f"fills {min(most, 2)}")
