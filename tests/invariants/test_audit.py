"""The audit accuses no strategy that reads everything the engine shows, in no market, and not for nothing."""

from __future__ import annotations

import numpy as np
import pytest

from ml4t.backtest import audit

from .markets import MARKETS
from .readers import Reader
from .running import draw_config


def check(name: str, seed: int, instants: int) -> None:
    rng = np.random.default_rng([seed, *name.encode()])
    market = MARKETS[name](rng)
    config = draw_config(rng, market)
    report = audit(
        Reader, market.feeds(), config, params={"seed": seed}, instants=instants, later=0, **market.parts()
    )
    assert report.ok, f"{name}, seed {seed}: {report.text()}"
    assert not [note for note in report.notes if "not compared" in note], report.notes
    assert report.decisions > 100, "a strategy that hardly decides says little"
    # Two that repeat, and three for each instant.
    assert report.runs >= 3 + 3 * instants


@pytest.mark.parametrize("name", MARKETS)
def test_a_strategy_that_reads_what_the_engine_shows_is_not_accused(name: str, seed: int) -> None:
    check(name, seed, instants=1)


@pytest.mark.soak
@pytest.mark.parametrize("name", MARKETS)
def test_a_strategy_that_reads_what_the_engine_shows_is_not_accused_at_length(name: str, seed: int) -> None:
    for k in range(20):
        check(name, seed + 1000 + k, instants=6)
