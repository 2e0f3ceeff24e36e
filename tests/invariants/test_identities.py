"""The identities of the ledger and of matching, recomputed exactly from the tables of random runs."""

from __future__ import annotations

import numpy as np
import pytest

from .identities import Case, check_all
from .markets import MARKETS
from .readers import Reader
from .running import draw_config, run_reader


def check(name: str, seed: int) -> int:
    """Check every identity on a random run; return how many fills it had."""
    rng = np.random.default_rng([seed, 3, *name.encode()])
    market = MARKETS[name](rng)
    config = draw_config(rng, market)
    reader = Reader(seed=seed, activity=float(rng.choice([0.1, 0.4])), reads_all=False)
    results = run_reader(market, reader, config)
    try:
        check_all(Case(market, config, results))
    except AssertionError as error:
        error.add_note(f"market {name}, seed {seed}, broker {config['broker']}")
        raise
    return results.fills.height


@pytest.mark.parametrize("name", MARKETS)
def test_ledger_fills_and_orders_of_random_runs_satisfy_every_identity(name: str, seed: int) -> None:
    filled = [check(name, seed + k) for k in range(10)]
    assert sum(filled) > 100, "the strategies hardly traded, so the identities say little"
