"""A second calculation of all amounts of an account in several currencies, from its postings and rates."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

import attrs
import polars as pl

from ml4t.backtest import Results
from ml4t.core.models import FxArgs
from ml4t.fees import FxSpread

Rows = list[dict[str, Any]]

UNIT = 10**18  #: cash units of one unit of currency
QUANTUM = 10**9  #: cash units of the posting quantum, 0.000000001
SYMBOLS = {"SAP": "EUR", "SONY": "JPY", "IBM": "USD"}


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
