"""Kernels and libraries in a run: the engine calls their tables, and Python gives the same fills."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import polars as pl
import pytest

from ml4t.core.errors import ConfigError, ModelError
from ml4t.native import NO_OPINION, OK, Liquidity, Phase, load, native_model
from ml4t.native.structs import Made

backtest = pytest.importorskip("ml4t.backtest")
pytest.importorskip("numba")

ROOT = Path(__file__).resolve().parents[3]


@native_model(kind="fill")
@attrs.frozen
class Halves:
    """What exceeds a tenth of the volume costs a tick more."""

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, fills: Made, out: Made) -> int:
        first = min(ctx.leaves_quantity, math.floor(ctx.volume / 10.0)) if ctx.volume > 0.0 else 1.0
        fills[0].price = ctx.price
        fills[0].quantity = first
        fills[0].liquidity = Liquidity.TAKER
        out.n_fills = 1
        if ctx.leaves_quantity > first:
            fills[1].price = ctx.price + ctx.side * ctx.tick_size
            fills[1].quantity = ctx.leaves_quantity - first
            fills[1].liquidity = Liquidity.MAKER
            out.n_fills = 2
        return OK


@native_model(kind="slippage", needs_bar=True, errors={2: "a close of 57 is too much"})
@attrs.frozen
class Range:
    """A part of the bar's range."""

    part: float = 0.1
    limit: float = math.inf

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
        if ctx.close >= params.limit:
            return -2
        out.adjustment = params.part * (ctx.high - ctx.low) if ctx.phase != Phase.CLOSE else 0.0
        out.spread = 0.0
        out.quantity_cap = math.inf
        return OK


@native_model(kind="impact", average_days=2, state={"traded": 1}, observe=True)
@attrs.frozen
class Moves:
    """Grows with what was traded, whoever traded it."""

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
        if math.isnan(ctx.volatility):
            return NO_OPINION
        share = ctx.quantity / ctx.average_volume
        out.temporary = ctx.volatility * ctx.price * math.sqrt(share) * (1.0 + state.traded[0] / 1e4)
        out.permanent = out.temporary / 4.0
        return OK

    @staticmethod
    def observe(params: Made, state: Made, fill: Made) -> int:
        state.traded[0] += fill.quantity if fill.asset == 0 else 0.0
        return OK


@native_model(kind="fee", state={"paid": 1})
@attrs.frozen
class Growing:
    """A cent more for every fill of the run."""

    @staticmethod
    def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
        state.paid[0] += 0.01
        out.fee = state.paid[0]
        return OK


def bars(rng: np.random.Generator, n: int = 60) -> pl.DataFrame:
    """Sessions of two shares that wander."""
    days = pl.date_range(dt.date(2024, 1, 1), dt.date(2024, 6, 1), eager=True)
    sessions = [day for day in days if day.weekday() < 5 and day not in HOLIDAYS][:n]
    frames = []
    for symbol in ("ABC", "XYZ"):
        close = np.round(50.0 + rng.normal(0.0, 0.6, n).cumsum(), 2)
        width = np.round(rng.uniform(0.1, 1.0, n), 2)
        prices = {"open": close, "high": close + width, "low": close - width, "close": close}
        volume = rng.integers(200, 2_000, n).astype(float)
        frames.append(pl.DataFrame({"symbol": [symbol] * n, "session": sessions, **prices, "volume": volume}))
    return pl.concat(frames)


HOLIDAYS = [dt.date(2024, 1, 1), dt.date(2024, 1, 15), dt.date(2024, 2, 19), dt.date(2024, 3, 29)]


class Swings(backtest.Strategy):  # type: ignore[misc, name-defined]
    """In for three sessions, out for two."""

    def on_start(self) -> None:
        self.calls = 0

    def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
        self.calls += 1
        for symbol in ("ABC", "XYZ"):
            held = broker.get_position(symbol) is not None
            if not held and self.calls % 5 == 1:
                broker.buy(symbol, 150)
            elif held and self.calls % 5 == 4:
                broker.sell(symbol, 150)


def results(prices: pl.DataFrame, native: str, **models: Made) -> Made:
    config = {"backtest": {"native": native}}
    feed = backtest.DataFeed(prices, stamp="session")
    return backtest.run(Swings, feed, config=config, models=models)


def test_a_run_of_kernels_fills_the_same_as_machine_code_and_in_python(rng: np.random.Generator) -> None:
    prices = bars(rng)
    models = {"fill": Halves(), "slippage": Range(), "impact": Moves(), "fee": Growing()}
    compiled, plain = (results(prices, native, **models) for native in ("require", "never"))
    assert {model["path"] for model in compiled.manifest["models"]} == {"capsule"}
    assert {model["path"] for model in plain.manifest["models"]} == {"python"}
    assert compiled.fills.height > 60
    assert compiled.fills["impact"].abs().max() > 0.0
    assert compiled.fills["liquidity"].n_unique() == 2
    assert compiled.fills.equals(plain.fills)
    assert compiled.portfolio_history.equals(plain.portfolio_history)


def test_a_model_begins_every_run_afresh(rng: np.random.Generator) -> None:
    prices, models = bars(rng, 20), {"fee": Growing(), "impact": Moves()}
    for native in ("require", "never"):
        first, second = (results(prices, native, **models) for _ in range(2))
        assert first.fills["fee"][0] == 0.01
        assert second.fills.equals(first.fills)


def test_the_error_of_a_kernel_stops_the_run_with_its_sentence(rng: np.random.Generator) -> None:
    prices = bars(rng, 20)
    for native in ("require", "never"):
        with pytest.raises(ModelError, match=r"Range.*a close of 57 is too much"):
            results(prices, native, slippage=Range(limit=1.0))


def test_without_numba_a_run_that_requires_native_models_names_it(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = bars(rng, 20)
    monkeypatch.setenv("ML4T_NO_NUMBA", "1")
    plain = results(prices, "prefer", fee=Growing())
    assert {model["kind"]: model["path"] for model in plain.manifest["models"]}["fee"] == "python"
    with pytest.raises(
        ConfigError, match=r"fee model Growing runs in Python \(numba is switched off by ML4T"
    ):
        results(prices, "require", fee=Growing())


def test_a_library_is_called_by_a_run(compile_c: Callable[..., Path], rng: np.random.Generator) -> None:
    source = (ROOT / "examples" / "tick_share.c").read_text(encoding="utf-8")
    model = load(compile_c(source), "tick_share", [0.5, 0.1])
    prices = bars(rng, 20)
    compiled = results(prices, "require", slippage=model)
    assert compiled.execution_paths["slippage"] == "capsule"
    assert compiled.fills["slippage"].to_list() == [0.005] * compiled.fills.height


def test_a_library_is_refused_by_a_run_that_calls_nothing_native(
    compile_c: Callable[..., Path], rng: np.random.Generator
) -> None:
    source = (ROOT / "examples" / "tick_share.c").read_text(encoding="utf-8")
    model = load(compile_c(source), "tick_share", [0.5, 0.1])
    prices = bars(rng, 20)
    refusal = r"backtest\.native: slippage model NativeTable is native code without evaluate\(ctx\), and "
    with pytest.raises(
        ConfigError, match=refusal + 'backtest.native = "never" calls none; set it to "prefer"'
    ):
        results(prices, "never", slippage=model)
    pytest.importorskip("ml4t.reference")
    refusal = refusal.replace("native:", "engine:")
    config = {"backtest": {"engine": "reference"}}
    feed = backtest.DataFeed(prices, stamp="session")
    with pytest.raises(ConfigError, match=refusal + "the engine 'reference' calls no native code"):
        backtest.run(Swings, feed, config=config, models={"slippage": model})


def test_a_native_model_without_a_table_is_refused_with_the_reason(rng: np.random.Generator) -> None:
    @attrs.frozen
    class Absent:
        native_missing = "its library was not built"

        def __ml4t_model_v1__(self, kind: int) -> None:
            return None

    with pytest.raises(ConfigError, match=r"and it has no native form here \(its library was not built\)"):
        results(bars(rng, 20), "prefer", fee=Absent())
    with pytest.raises(ConfigError, match=r"must be an instance of an attrs class with a method evaluate"):
        results(bars(rng, 20), "prefer", fee=object())


def test_the_page_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs" / "how-to" / "write-a-model.md").read_text(encoding="utf-8")
    source = (ROOT / "examples" / "tick_share.c").read_text(encoding="utf-8")
    assert f"```c\n{source}```" in page


def test_the_example_of_the_readme_runs() -> None:
    readme = (ROOT / "plugins" / "ml4t-native" / "README.md").read_text(encoding="utf-8")
    block = readme.split("```python\n")[1].split("```")[0]
    namespace: dict[str, Made] = {"__name__": "readme"}
    exec(compile(block, "README.md", "exec"), namespace)
    from ml4t.core.models import SlippageArgs

    asked = SlippageArgs(ts_ns=0, side=1, quantity=10.0, reference_price=40.0, volume=200.0)
    assert namespace["LinearShare"]().evaluate(asked).price_adjustment == pytest.approx(0.2)
