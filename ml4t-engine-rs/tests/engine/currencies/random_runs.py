"""Random markets, rates, accounts and calls, and runs of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import polars as pl
from hypothesis import strategies as st

from ml4t.backtest import DataFeed, Engine, Instrument, Results, Strategy
from ml4t.fees import FxSpread

from .second_calculation import SYMBOLS

Make = Callable[..., Engine]

DAYS = [dt.date(2024, 3, day) for day in (4, 5, 6, 7, 8, 11)]
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
