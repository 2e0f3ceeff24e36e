"""Carry in whole runs of both engines: models of one's own, files, the books, the manifest, and leaks."""

from __future__ import annotations

import datetime as dt
import io
import math
import random
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, Results, Strategy
from ml4t.backtest.configured import engine_of
from ml4t.core.config import load_config
from ml4t.core.errors import ModelError
from ml4t.core.models import BorrowArgs, BorrowOut, FundingArgs, FundingOut, InterestArgs, InterestOut
from ml4t.core.schemas import TABLES
from ml4t.funding import BorrowFee, CashInterest, PerpetualFunding

DAYS = [dt.date(2024, 3, day) for day in (4, 5, 6, 7, 8, 11, 12, 13, 14, 15)]
SEED = 20_261_203
OUTS: dict[str, Any] = {"borrow": BorrowOut, "funding": FundingOut, "interest": InterestOut}
MODELS = {
    "borrow_model": {"type": "BorrowFee"},
    "funding_model": {"type": "PerpetualFunding"},
    "interest_model": {"type": "CashInterest", "credit": [[0, 0.036], [9_000, 0.018]], "debit": 0.072},
}
WHEN = {
    "borrow": "2024-03-06T21:00:00Z",
    "funding": "2024-03-06T16:00:00Z",
    "interest": "2024-03-05T21:00:00Z",
}

Run = Callable[..., Results]


def at(day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2024, 3, day, hour, tzinfo=dt.UTC)


def prices(*symbols: str, price: Callable[[], float] = lambda: 50.0) -> pl.DataFrame:
    """Return daily bars that stay where they are."""
    rows = [(symbol, day, *[price()] * 4, 1e6) for symbol in symbols for day in DAYS]
    names = ["symbol", "session", "open", "high", "low", "close", "volume"]
    return pl.DataFrame(rows, schema=names, orient="row")


class Sells(Strategy):
    """Sells units of a symbol at the first close."""

    def __init__(self, symbol: str = "A", quantity: int = 100) -> None:
        self.order, self.sent = (symbol, -quantity), False

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if not self.sent:
            broker.submit_order(*self.order)
        self.sent = True


class AtRandom(Strategy):
    """Swings between long and short in two symbols."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        for symbol in "AB":
            if self.dice.random() < 0.6:
                broker.order_target_quantity(symbol, self.dice.randrange(-150, 150))


RATES = pl.DataFrame({"symbol": ["A", "A"], "ts_event": [DAYS[0], DAYS[4]], "borrow_rate": [0.36, 0.72]})
PAID = pl.DataFrame(
    {
        "symbol": ["A", "A"],
        "ts_event": [at(6, 16), at(12, 16)],
        "funding_rate": [0.001, -0.002],
        "mark_price": [None, 60.0],
    }
)


@pytest.fixture(params=["rust", "reference"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def go(run_of: Run, name: str) -> Run:
    """Return a function that runs a strategy, by default one that sells A at the first close."""

    def go(strategy: Strategy | None = None, feed: DataFeed | None = None, **parts: Any) -> Results:  # noqa: ANN401
        settings = {"allows_short": True, "initial_cash": 10_000} | parts.pop("broker", {})
        backtest = {"engine": name} | parts.pop("backtest", {})
        feed = DataFeed(prices("A"), stamp="session") if feed is None else feed
        return run_of(
            Sells() if strategy is None else strategy, feed, broker=settings, backtest=backtest, **parts
        )

    return go


@pytest.fixture
def by_chance(go: Run) -> Run:
    """Return a function that runs a market of this seed; `change` gets both tables of rates."""

    def by_chance(seed: int, change: Callable[..., pl.DataFrame] | None = None) -> Results:
        dice = random.Random(seed)
        feed = DataFeed(prices("A", "B", price=lambda: round(dice.uniform(20.0, 80.0), 2)), stamp="session")
        hours = [(symbol, at(day, hour)) for day in range(5, 16) for hour in (0, 8, 16) for symbol in "AB"]
        stamps = {"symbol": [symbol for symbol, _ in hours], "ts_event": [when for _, when in hours]}
        funding = pl.DataFrame(stamps).with_columns(
            funding_rate=pl.Series([dice.uniform(-0.01, 0.01) for _ in hours]),
            mark_price=pl.Series([dice.choice((None, dice.uniform(20.0, 80.0))) for _ in hours]),
        )
        known = pl.DataFrame({"symbol": ["A", "B"], "ts_event": [at(1)] * 2, "borrow_rate": [0.1, 0.2]})
        later = pl.DataFrame(stamps).with_columns(
            borrow_rate=pl.Series([dice.uniform(-0.1, 0.9) for _ in hours])
        )
        later = later.with_columns(pl.col("ts_event") + pl.duration(minutes=7 * dice.randrange(60)))
        tables = {"funding": funding, "borrow": pl.concat([known, later])}
        if change is not None:
            tables = {kind: change(table) for kind, table in tables.items()}
        return go(AtRandom(seed), feed, broker=MODELS | {"leverage": 3}, **tables)

    return by_chance


def tables_of(results: Results) -> Iterator[tuple[str, pl.DataFrame]]:
    return ((table, results.table(table)) for table in TABLES)


# -- models of one's own -----------------------------------------------------------------------------------


@attrs.frozen
class Asked:
    """Answers this, or raises it, and keeps the questions."""

    answer: Any
    pages: list[Any] = attrs.field(factory=list, eq=False)

    def evaluate(self, ctx: object) -> Any:  # noqa: ANN401
        self.pages.append(ctx)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_models_given_as_objects_are_those_of_the_configuration(go: Run) -> None:
    interest = CashInterest(credit=[(0, 0.036), (9_000, 0.018)], debit=0.072)
    models = {"borrow": BorrowFee(), "funding": PerpetualFunding(), "interest": interest}
    given, configured = (
        go(models=models, borrow=RATES, funding=PAID),
        go(broker=MODELS, borrow=RATES, funding=PAID),
    )
    assert set(given.ledger["kind"]) == {"deposit", "trade", *models}
    for (table, one), (_, other) in zip(tables_of(given), tables_of(configured), strict=True):
        assert one.equals(other), table


def test_models_are_asked_about_what_was_noted(go: Run) -> None:
    models = {kind: Asked(out(0.0)) for kind, out in OUTS.items()}
    feed = DataFeed(prices("A", "B"), stamp="session", instruments=[Instrument("B", multiplier=10)])
    tables = {
        "borrow": RATES.with_columns(symbol=pl.lit("B")),
        "funding": PAID.with_columns(symbol=pl.lit("B")),
    }
    results = go(Sells("B", 3), feed, models=models, **tables)
    # 3 x 50 x 10 = 1,500 come in at the open of the 5th; the 8th is a Friday, from which on 0.72 counts.
    assert set(results.ledger["kind"]) == {"deposit", "trade"}

    def ns(when: dt.datetime) -> int:
        return int(when.timestamp()) * 10**9

    short = {"price": 50.0, "quantity": 3.0, "multiplier": 10.0, "asset": 1, "side": -1}
    borrow, funding, interest = (models[kind].pages for kind in OUTS)
    assert borrow[0] == BorrowArgs(ts_ns=ns(at(6, 21)), days=1.0, rate_annual=0.36, **short)
    assert borrow[3] == BorrowArgs(ts_ns=ns(at(11, 20)), days=3.0, rate_annual=0.72, **short)
    held = {"quantity": -3.0, "multiplier": 10.0, "asset": 1, "side": -1}
    assert funding == [
        FundingArgs(ts_ns=ns(at(6, 16)), mark=50.0, rate=0.001, **held),
        FundingArgs(ts_ns=ns(at(12, 16)), mark=60.0, rate=-0.002, **held),
    ]
    assert interest[:2] == [
        InterestArgs(ts_ns=ns(at(5, 21)), cash=10_000.0, short_value=0.0, days=1.0),
        InterestArgs(ts_ns=ns(at(6, 21)), cash=11_500.0, short_value=1_500.0, days=1.0),
    ]
    assert (len(borrow), len(interest)) == (8, 9)


def test_where_no_rate_is_known_a_model_is_asked_with_nan(go: Run) -> None:
    model = Asked(BorrowOut(0.0))
    go(models={"borrow": model})
    assert math.isnan(model.pages[0].rate_annual)


BAD = [ValueError("no luck"), math.nan, math.inf, -math.inf, "much", None]


@pytest.mark.parametrize("answer", BAD, ids=repr)
@pytest.mark.parametrize("kind", OUTS)
def test_a_model_that_fails_is_named_with_instrument_and_time(go: Run, kind: str, answer: Any) -> None:  # noqa: ANN401
    model = Asked(answer if isinstance(answer, Exception | None) else OUTS[kind](answer))
    with pytest.raises(ModelError, match=WHEN[kind]) as raised:
        go(models={kind: model}, funding=PAID if kind == "funding" else None)
    text = str(raised.value)
    assert "Asked" in text
    assert (" A," in text) == (kind != "interest")
    assert "no luck" in text or not isinstance(answer, Exception)


@pytest.mark.parametrize("kind", OUTS)
def test_the_error_of_a_model_names_its_kind(go: Run, kind: str) -> None:
    with pytest.raises(ModelError, match=rf"\b{kind}\b"):
        go(models={kind: Asked(OUTS[kind](math.nan))}, funding=PAID if kind == "funding" else None)


@pytest.mark.parametrize("kind", OUTS)
def test_an_amount_beyond_the_ledger_is_refused_as_a_fee_is(go: Run, kind: str) -> None:
    for amount in (1e30, -1e30, 1e300):
        with pytest.raises(ModelError, match=rf"{kind}: \w+ -?1e\+?30+ leaves the range of money"):
            go(models={kind: Asked(OUTS[kind](amount))}, funding=PAID if kind == "funding" else None)


@pytest.mark.parametrize(
    ("answer", "cost"),
    [
        (0.125, "0.12"),
        (0.375, "0.38"),
        (-0.125, "-0.12"),
        (-0.375, "-0.38"),
        (0.004, None),
        (0.0, None),
        (-0.0, None),
    ],
)
@pytest.mark.parametrize("kind", OUTS)
def test_an_amount_is_rounded_half_to_even_and_zero_is_not_posted(
    go: Run, kind: str, answer: float, cost: str | None
) -> None:
    parts = {"broker": {"posting_quantum": "0.01"}, "funding": PAID[:1] if kind == "funding" else None}
    results = go(models={kind: Asked(OUTS[kind](answer if kind == "borrow" else -answer))}, **parts)
    rows = results.ledger.filter(pl.col("kind") == kind).rows(named=True)
    found = {row["amount"] if row["debit"] == kind else -row["amount"] for row in rows}
    assert found == (set() if cost is None else {Decimal(cost)})


# -- files and the manifest --------------------------------------------------------------------------------

STRATEGY = """
from ml4t.backtest import Strategy

class Sells(Strategy):
    sent = False

    def on_data(self, timestamp, data, context, broker):
        if not self.sent:
            broker.sell("A", 100)
        self.sent = True
"""
TOML = """
[backtest]
engine = "{engine}"
[broker]
allows_short = true
initial_cash = 10000
borrow_model = {{ type = "BorrowFee" }}
funding_model = {{ type = "PerpetualFunding" }}
interest_model = {{ type = "CashInterest", credit = [[0, 0.036], [9000, 0.018]], debit = 0.072 }}
[[data_feeds]]
name = "px"
path = "px.parquet"
stamp = "session"
[[funding_rates]]
name = "paid"
path = "paid.{end}"
[[borrow_rates]]
name = "lent"
path = "data/lent.{end}"
columns = {{ symbol = "ticker", ts_event = "from", borrow_rate = "fee" }}
[[strategies]]
name = "s"
type = "s.py:Sells"
"""


def from_files(folder: Path, engine: str, end: str, borrow: pl.DataFrame) -> Results:
    (folder / "data").mkdir(exist_ok=True)
    prices("A").write_parquet(folder / "px.parquet")
    lent = borrow.rename({"symbol": "ticker", "ts_event": "from", "borrow_rate": "fee"})
    for frame, path in ((PAID, f"paid.{end}"), (lent, f"data/lent.{end}")):
        (frame.write_csv if end == "csv" else frame.write_parquet)(folder / path)
    (folder / "s.py").write_text(STRATEGY, encoding="utf-8")
    (folder / "run.toml").write_text(TOML.format(engine=engine, end=end), encoding="utf-8")
    return engine_of(load_config(folder / "run.toml")).run()


@pytest.mark.parametrize("end", ["csv", "parquet"])
@pytest.mark.parametrize("stamps", ["dates", "instants"])
def test_files_of_a_configuration_are_what_frames_are(
    go: Run, name: str, tmp_path: Path, end: str, stamps: str
) -> None:
    instants = pl.col("ts_event").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=5)
    borrow = RATES if stamps == "dates" else RATES.with_columns(instants)
    read, given = from_files(tmp_path, name, end, borrow), go(broker=MODELS, borrow=RATES, funding=PAID)
    for (table, one), (_, other) in zip(tables_of(read), tables_of(given), strict=True):
        assert one.equals(other), table


def test_the_manifest_names_models_rates_and_their_fingerprints(name: str, tmp_path: Path) -> None:
    first = from_files(tmp_path, name, "parquet", RATES).manifest
    second = from_files(tmp_path, name, "parquet", RATES.with_columns(pl.col("borrow_rate") + 0.01)).manifest
    files = [{item["name"]: item["sha256"] for item in each["inputs"]} for each in (first, second)]
    assert set(files[0]) >= {"px.parquet", "paid.parquet", "data/lent.parquet"}
    assert {item for item in files[0] if files[0][item] != files[1][item]} == {"data/lent.parquet"}
    tables = [{item["name"]: item["sha256"] for item in each["data"]} for each in (first, second)]
    assert {item for item in tables[0] if tables[0][item] != tables[1][item]} == {"borrow_rates"}
    used = {model["kind"]: model for model in first["models"]}
    assert {kind: used[kind]["type"] for kind in OUTS} == {
        "borrow": "funding:BorrowFee",
        "funding": "funding:PerpetualFunding",
        "interest": "funding:CashInterest",
    }
    assert used["interest"]["params"]["credit"] == [[0, 0.036], [9000, 0.018]]
    assert used["borrow"]["params"] == {"rate": None, "day_count": 360}


# -- the books, and what is known when ---------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(SEED, SEED + 5))
def test_the_books_balance_and_carry_is_the_sum_of_its_postings(by_chance: Run, seed: int) -> None:
    print("seed", seed)
    results = by_chance(seed)
    history, ledger = results.portfolio_history, results.ledger.rows(named=True)
    assert {row["kind"] for row in ledger} >= set(OUTS)
    for point in history.iter_rows(named=True):
        balance: dict[str, Decimal] = dict.fromkeys(
            ("cash", "receivable", "inventory", "fees", *OUTS), Decimal(0)
        )
        for row in ledger:
            if row["ts_event"] <= point["ts_event"]:
                balance[row["debit"]] = balance.get(row["debit"], Decimal(0)) + row["amount"]
                balance[row["credit"]] = balance.get(row["credit"], Decimal(0)) - row["amount"]
        owned = balance["cash"] + balance["receivable"] + balance["inventory"]
        income = -sum(
            balance.get(account, Decimal(0)) for account in ("capital", "realized_pnl", "dividends")
        )
        carry = sum(balance[account] for account in OUTS)
        assert owned == income - balance["fees"] - carry
        assert (point["cash"], point["carry"]) == (float(balance["cash"]), float(carry))
    assert len({round(carry, 6) for carry in history["carry"]}) > 5


def test_a_run_that_is_repeated_gives_the_same_bytes(by_chance: Run) -> None:
    def written(table: pl.DataFrame) -> bytes:
        buffer = io.BytesIO()
        table.write_ipc(buffer)
        return buffer.getvalue()

    print("seed", SEED)
    one, other = ({table: written(frame) for table, frame in tables_of(by_chance(SEED))} for _ in "12")
    assert one == other


def until(results: Results, end: dt.datetime) -> Mapping[str, pl.DataFrame]:
    """Return the rows of every table that has times up to an instant."""
    frames = {table: frame for table, frame in tables_of(results) if "ts_event" in frame.columns}
    trades = results.table("round_trips")
    kept = {table: frame.filter(pl.col("ts_event") <= end) for table, frame in frames.items()}
    return kept | {"round_trips": trades.filter(pl.col("ts_exit") <= end)}


@pytest.mark.parametrize("seed", range(SEED, SEED + 30))
def test_nothing_is_known_of_rates_to_come(by_chance: Run, seed: int) -> None:
    dice = random.Random(f"{seed} end")
    end = at(5) + dt.timedelta(microseconds=dice.randrange(10 * 86_400 * 10**6))
    if dice.random() < 0.5:  # the instant of a row
        end = end.replace(hour=dice.choice((0, 8, 16)), minute=0, second=0, microsecond=0)
    print("seed", seed, "end", end)

    def garbage(table: pl.DataFrame) -> pl.DataFrame:
        late = pl.col("ts_event") > end
        noise = pl.Series([dice.uniform(1.0, 99.0) for _ in range(table.height)])
        numbers = pl.col(pl.Float64)
        table = table.with_columns(pl.when(late).then(noise).otherwise(numbers).name.keep())
        return table.filter(~late | (pl.col("ts_event").dt.hour() != 8))

    plain, changed = by_chance(seed), by_chance(seed, garbage)
    for table, frame in until(plain, end).items():
        assert frame.equals(until(changed, end)[table]), table
    assert not plain.ledger.equals(changed.ledger)
