"""Write the files of runs in variations that must not matter; started as a program in its own process."""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np
import polars as pl

from ml4t.backtest import DataFeed, Engine, Results

from .markets import MARKETS, Market, Table
from .readers import Reader
from .running import draw_config, plugins

NAMES = ("daily", "minutes-stamped-at-the-close", "mixed", "venues")
INFO = "run_info.json"


def write_all(folder: Path, seed: int) -> None:
    """Run every market plain, permuted, in chunks, with feeds in another order, and all of it at once."""
    for name in NAMES:
        rng = np.random.default_rng([seed, 5, *name.encode()])
        market = MARKETS[name](rng)
        config = draw_config(rng, market)
        for variation, (varied, feeds) in variations(market, rng).items():
            reader = Reader(seed=seed, activity=0.2)
            results = Engine(feeds, reader, config=config, plugins=plugins(), **varied.parts()).run()
            results.save(folder / f"{name}-{variation}")


def variations(market: Market, rng: np.random.Generator) -> dict[str, tuple[Market, list[DataFeed]]]:
    """Return the same market, said in other words."""
    shuffled = permuted(market, rng)
    return {
        "plain": (market, market.feeds()),
        "permuted": (shuffled, shuffled.feeds()),
        "chunked": (market, [chunked(table, rng) for table in market.tables]),
        "reordered": (market, market.feeds()[::-1]),
        "everything": (shuffled, [chunked(table, rng) for table in shuffled.tables][::-1]),
    }


def permuted(market: Market, rng: np.random.Generator) -> Market:
    """Put rows, instruments, signals and actions in another order.

    Rows of one instrument keep theirs, which decides among prints of one instant and is what warnings of
    rows out of order speak of.
    """
    tables = tuple(
        attrs.evolve(table, rows=interleaved(table.rows, "symbol", rng)) for table in market.tables
    )
    signals = market.signals
    if signals is not None:
        signals = interleaved(signals.with_columns(key=pl.struct("asset_id", "model_id")), "key", rng).drop(
            "key"
        )
    return attrs.evolve(
        market,
        tables=tables,
        signals=signals,
        instruments=tuple(market.instruments[i] for i in rng.permutation(len(market.instruments))),
        actions=tuple(market.actions[i] for i in rng.permutation(len(market.actions))),
    )


def interleaved(rows: pl.DataFrame, by: str, rng: np.random.Generator) -> pl.DataFrame:
    """Return the rows mixed, but those of one group in their order; without groups they are one."""
    if by not in rows.columns:
        return rows
    draws = pl.Series("draw", rng.random(rows.height))
    return rows.with_columns(draws).with_columns(pl.col("draw").sort().over(by)).sort("draw").drop("draw")


def chunked(table: Table, rng: np.random.Generator) -> DataFeed:
    """Return a feed of the table's frame cut at random places."""
    frame = table.frame()
    cuts = [0, *sorted(int(x) for x in rng.integers(0, frame.height, size=5)), frame.height]
    parts = [frame[a:b].rechunk() for a, b in itertools.pairwise(cuts) if b > a]
    return table.feed(pl.concat(parts, rechunk=False))


def digests(folder: Path) -> Mapping[str, str]:
    """Return the hash of every file of a run but the one for what may differ."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != INFO)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def saved(results: Results, folder: Path) -> Mapping[str, str]:
    """Save a run and return its hashes."""
    return digests(results.save(folder))


if __name__ == "__main__":
    write_all(Path(sys.argv[1]), int(sys.argv[2]))
