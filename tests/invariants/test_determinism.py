"""Equal configuration, code and data give equal bytes, however they were put together."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml4t.backtest import Engine, Results

from .artifacts import NAMES, digests, saved
from .markets import MARKETS, Market
from .readers import Reader
from .running import draw_config

TESTS = Path(__file__).parents[1]
# Two ways to hash text, and two numbers of threads for the frames.
ENVIRONMENTS = (
    {"PYTHONHASHSEED": "0", "POLARS_MAX_THREADS": "1"},
    {"PYTHONHASHSEED": "4242", "POLARS_MAX_THREADS": "3"},
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return one folder per process."""
    seed = int(os.environ.get("ML4T_TEST_SEED", "20130301"))
    folders = [tmp_path_factory.mktemp("process") for _ in ENVIRONMENTS]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", f"{__package__.rpartition('.')[2]}.artifacts", str(folder), str(seed)],
            cwd=TESTS,
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        for folder, environment in zip(folders, ENVIRONMENTS, strict=True)
    ]
    for process in started:
        _, problems = process.communicate()
        assert process.returncode == 0, problems
    return folders


def test_two_processes_with_other_hash_seeds_and_threads_write_the_same_bytes(written: list[Path]) -> None:
    first, second = (digests(folder) for folder in written)
    assert len(first) > 10 * len(NAMES)
    assert first == second


@pytest.mark.parametrize("variation", ["permuted", "chunked", "reordered", "everything"])
@pytest.mark.parametrize("name", NAMES)
def test_the_order_and_the_chunks_of_the_input_do_not_matter(
    written: list[Path], name: str, variation: str
) -> None:
    plain, varied = (digests(written[0] / f"{name}-{each}") for each in ("plain", variation))
    assert {"fills.parquet", "ledger.parquet", "run_manifest.json", "metrics.json"} <= plain.keys()
    assert plain == varied


def setting(name: str, seed: int) -> tuple[Market, Mapping[str, Any]]:
    rng = np.random.default_rng([seed, 7, *name.encode()])
    market = MARKETS[name](rng)
    return market, draw_config(rng, market, initial_cash="100000")


def engine_of(name: str, seed: int, strategy: Any = Reader, **params: Any) -> Engine:  # noqa: ANN401
    market, config = setting(name, seed)
    return Engine(market.feeds(), strategy, params={"seed": seed, **params}, config=config, **market.parts())


class Failing(Reader):
    """Gives up in the middle, with orders working and positions held."""

    attempts = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        super().on_data(timestamp, data, context, broker)
        if len(self.seen) > 200 and type(self).attempts == 1:
            type(self).attempts += 1
            msg = "gave up"
            raise RuntimeError(msg)


@pytest.mark.parametrize("name", NAMES)
def test_no_state_is_left_over_between_two_runs_of_one_engine(name: str, seed: int, tmp_path: Path) -> None:
    engine = engine_of(name, seed)
    first, second = (saved(engine.run(), tmp_path / str(k)) for k in range(2))
    assert first == second
    assert first == saved(engine_of(name, seed).run(), tmp_path / "fresh")


def test_a_run_that_failed_leaves_nothing_to_the_next(seed: int, tmp_path: Path) -> None:
    engine = engine_of("mixed", seed, Failing)
    before = saved(engine.run(), tmp_path / "before")
    Failing.attempts = 1
    with pytest.raises(RuntimeError, match="gave up"):
        engine.run()
    assert Failing.attempts == 2
    assert engine.results is not None
    assert engine.results.status == "failed"
    assert saved(engine.run(), tmp_path / "after") == before


def test_an_instance_serves_several_runs_as_it_was_before_the_first(seed: int, tmp_path: Path) -> None:
    market, config = setting("daily", seed)
    engine = Engine(market.feeds(), Reader(seed=seed), config=config, **market.parts())
    first, second = (saved(engine.run(), tmp_path / str(k)) for k in range(2))
    assert first == second


class Yielding(Reader):
    """Lets other threads go first whenever it is called."""

    def look(self, place: str, given: list[object], *, context: Any = None) -> None:  # noqa: ANN401
        time.sleep(0)
        super().look(place, given, context=context)


def test_two_engines_in_two_threads_never_meet(seed: int, tmp_path: Path) -> None:
    names = ("minutes-stamped-at-the-close", "quotes")
    alone = {name: saved(engine_of(name, seed, Yielding).run(), tmp_path / f"{name}-alone") for name in names}
    ready, together = threading.Barrier(len(names)), dict[str, Results]()

    def work(name: str) -> None:
        engine = engine_of(name, seed, Yielding)
        ready.wait()
        together[name] = engine.run()

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {name: saved(results, tmp_path / f"{name}-together") for name, results in together.items()}
    assert found == alone


class Nested(Reader):
    """Runs another backtest inside a callback."""

    inner: Engine | None = None

    def on_daily_close(self) -> None:
        if type(self).inner is not None:
            type(self).inner.run()  # type: ignore[union-attr]
        super().on_daily_close()


def test_a_run_inside_a_callback_of_another_changes_neither(seed: int, tmp_path: Path) -> None:
    inner = engine_of("quotes", seed, activity=0.2, reads_all=False)
    alone = saved(engine_of("mixed", seed, Nested).run(), tmp_path / "outer")
    inner_alone = saved(inner.run(), tmp_path / "inner")
    Nested.inner = inner
    try:
        nested = saved(engine_of("mixed", seed, Nested).run(), tmp_path / "nested")
    finally:
        Nested.inner = None
    assert nested == alone
    assert inner.results is not None
    assert saved(inner.results, tmp_path / "inner-nested") == inner_alone
