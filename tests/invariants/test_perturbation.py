"""Altering any row after T changes nothing that happened up to T."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import attrs
import numpy as np
import polars as pl
import pytest

from .markets import MARKETS, Market, Table, draw_actions, draw_signals, draw_values, in_order, midnight_ns
from .readers import Reader
from .running import draw_config, explain, past, run_reader

VALUES = {
    "bar": ("open", "high", "low", "close", "volume", "alpha"),
    "quote": ("bid_price", "ask_price", "bid_size", "ask_size"),
    "trade": ("price", "size"),
    "context": ("vix",),
}


def perturb_table(rng: np.random.Generator, table: Table, market: Market, until: int) -> Table:
    """Return the table with its future rewritten: rows altered, taken away and added after an instant.

    A bar that is open at the instant keeps its open price, which was known, and its stamps. Of a row that
    was complete, but had not arrived, the stamp of its arrival changes, and a feature, which nobody can have
    read; its prices are what orders were matched against.
    """
    rows = [_perturb_row(rng, table.kind, row, until) for row in table.rows.iter_rows(named=True)]
    kept = [row for row in rows if row is not None]
    return attrs.evolve(table, rows=_sorted_like(table, [*kept, *_additions(rng, table, market, until)]))


def _perturb_row(
    rng: np.random.Generator, kind: str, row: dict[str, object], until: int
) -> dict[str, object] | None:
    event, arrival = int(str(row["ts_event"])), int(str(row["ts_arrival"]))
    opened = int(str(row["ts_open"])) if kind == "bar" else None
    if arrival <= until:
        return row
    if event <= until:
        later = until + 1 + int(rng.integers(0, 10**12))
        changed = {"alpha": 9.0} if kind == "bar" else {"vix": 99.0} if kind == "context" else {}
        return {**row, "ts_arrival": later, **changed}
    if opened is not None and opened <= until:
        return {**row, **_straddling(rng, row)}
    if rng.random() < 0.2:
        return None
    if kind == "context":
        return {**row, "vix": float(rng.uniform(1, 99))}
    delay = int(rng.integers(0, 10**12)) if rng.random() < 0.3 else 0
    return {**row, **draw_values(rng, kind, float(rng.uniform(2, 200))), "ts_arrival": event + delay}


def _straddling(rng: np.random.Generator, row: dict[str, object]) -> dict[str, float]:
    """Return new values of a bar that is open: its open price, and whether there was one, are known.

    A bar without volume did not trade at its open either: it has no open to fill orders or to set marks.
    """
    opened, volume = float(str(row["open"])), float(str(row["volume"]))
    drawn = draw_values(rng, "bar", opened * float(rng.uniform(0.5, 2)))
    drawn["volume"] = 0.0 if volume == 0 else drawn["volume"] + 10
    return {**drawn, "open": opened, "low": min(drawn["low"], opened), "high": max(drawn["high"], opened)}


def _additions(rng: np.random.Generator, table: Table, market: Market, until: int) -> list[dict[str, object]]:
    if table.kind == "context":
        return []
    symbols = table.rows["symbol"].unique().sort().to_list()
    if table.kind == "bar":
        taken = set(table.rows.select("symbol", "ts_event").iter_rows())
        free = [
            {"symbol": symbol, "ts_open": opened, "ts_event": event, "ts_arrival": event}
            for opened, event in market.slots[table.name]
            for symbol in symbols
            if opened > until and (symbol, event) not in taken
        ]
    else:
        last = table.rows["ts_event"].max()
        assert isinstance(last, int)
        width = max(1, last - until)
        stamps = [until + 1 + int(x) for x in rng.integers(0, width, size=6)] if until < last else []
        free = [{"symbol": str(rng.choice(symbols)), "ts_event": at, "ts_arrival": at} for at in stamps]
    wanted = [row for row in free if rng.random() < 0.5]
    return [{**row, **draw_values(rng, table.kind, float(rng.uniform(2, 200)))} for row in wanted]


def _sorted_like(table: Table, rows: Sequence[dict[str, object]]) -> pl.DataFrame:
    frame = in_order(pl.DataFrame(rows, schema=table.rows.schema))
    return frame if table.kind == "bar" else frame.sort("ts_event", maintain_order=True)


def perturb_signals(rng: np.random.Generator, market: Market, until: int) -> pl.DataFrame | None:
    """Return the signals with those that arrive after the instant replaced by others."""
    if market.signals is None:
        return None
    arrival = pl.col("ts_arrival").cast(pl.Int64)
    known = market.signals.filter(arrival <= until)
    instants = [at for at in market.instants() if at > until - 10**13]
    fresh = draw_signals(
        rng, instants, market.tables[0].rows["symbol"].unique().sort().to_list(), delay=10**13
    )
    return pl.concat([known, fresh.filter(arrival > until)]).unique(
        ["ts_event", "ts_arrival", "asset_id", "model_id"], keep="first", maintain_order=True
    )


def perturb_actions(rng: np.random.Generator, market: Market, until: int) -> Market:
    """Return the market with other actions after the instant, and other pay dates after it."""
    known = [action for action in market.actions if midnight_ns(action.ex_date) <= until]
    later = [
        attrs.evolve(action, pay_date=action.pay_date + dt.timedelta(days=2))
        if action.pay_date is not None and midnight_ns(action.pay_date) > until and rng.random() < 0.5
        else action
        for action in known
    ]
    days = sorted({action.ex_date for action in market.actions} - {action.ex_date for action in known})
    fresh = draw_actions(rng, days, ["A", "B", "C"]) if market.actions else ()
    return attrs.evolve(market, actions=(*later, *fresh))


def perturb(rng: np.random.Generator, market: Market, until: int) -> Market:
    """Rewrite everything after an instant."""
    tables = tuple(perturb_table(rng, table, market, until) for table in market.tables)
    changed = attrs.evolve(market, tables=tables, signals=perturb_signals(rng, market, until))
    return perturb_actions(rng, changed, until)


def check(name: str, seed: int) -> int:
    """Compare a random run with runs whose future differs; return how many orders it sent."""
    rng = np.random.default_rng([seed, *name.encode()])
    market = MARKETS[name](rng)
    config = draw_config(rng, market)
    terms = {
        "seed": seed,
        "warmup": int(rng.choice([0, 0, 1])) if name == "daily" else 0,
        "activity": float(rng.choice([0.1, 0.4])),
    }
    reader = Reader(**terms)
    results = run_reader(market, reader, config)
    instants = market.instants()
    for k in range(2):
        until = instants[int(rng.integers(1, len(instants) - 1))] + int(rng.choice([-1, 0, 0, 1]))
        altered = perturb(rng, market, until)
        other = Reader(**terms)
        after = run_reader(altered, other, config)
        difference = explain(past(results, reader, until), past(after, other, until))
        assert not difference, f"{name}, seed {seed}, T = {until} ({k}), {config['broker']}: {difference}"
    return results.orders.height


@pytest.mark.parametrize("name", MARKETS)
def test_altering_what_comes_after_an_instant_changes_nothing_up_to_it(name: str, seed: int) -> None:
    sent = [check(name, seed + k) for k in range(6)]
    assert sum(sent) > 100, "the strategies hardly traded, so the comparison says little"
