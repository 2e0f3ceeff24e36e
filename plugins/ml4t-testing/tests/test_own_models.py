"""The suites, on models of every kind and every native form that ml4t has."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from ml4t.core.models import FillArgs, FillOut
from ml4t.core.strategy import Strategy
from ml4t.fees import Fraction, PerShare, Tiered
from ml4t.fills import Default
from ml4t.impact import Linear, Propagator, SquareRoot
from ml4t.native import OK, native_model
from ml4t.slippage import FixedFraction, LeanVolumeShare, VolumeShare
from ml4t.testing import (
    Capabilities,
    FeeCompliance,
    FillCompliance,
    ImpactCompliance,
    SlippageCompliance,
    StrategyCompliance,
)

AVERAGES = {"volatility", "average_volume"}


class TestFixedFraction(SlippageCompliance):
    model = FixedFraction(0.001)


class TestVolumeShare(SlippageCompliance):
    model = VolumeShare()
    capabilities = Capabilities(needs={"volume"})


class TestOtherNameOfVolumeShare(SlippageCompliance):
    model = VolumeShare(0.1)
    name = "VolumeShareSlippage"
    plugin = "slippage"
    capabilities = Capabilities(needs={"volume"})


class TestLeanVolumeShare(SlippageCompliance):
    model = LeanVolumeShare(free_without_volume=True)
    capabilities = Capabilities(no_native=not hasattr(LeanVolumeShare, "native_builtin"))


class TestDefaultFill(FillCompliance):
    @pytest.fixture(params=[None, 0.1])
    def model(self, request: pytest.FixtureRequest) -> Default:
        return Default(volume_limit=request.param)

    @pytest.fixture(autouse=True)
    def _gaps(self, model: Default) -> None:
        needs = set() if model.volume_limit is None else {"volume"}
        type(self).capabilities = Capabilities(needs=needs)


class TestFees(FeeCompliance):
    @pytest.fixture(
        params=[Fraction(0.001), PerShare(0.005, minimum=1.0)], ids=lambda model: type(model).__name__
    )
    def model(self, request: pytest.FixtureRequest) -> Any:  # noqa: ANN401
        return request.param


class TestTiered(FeeCompliance):
    model = Tiered([300_000], rates=[0.0035, 0.002])
    capabilities = Capabilities(no_native=not hasattr(Tiered, "native_builtin"))


class TestSquareRoot(ImpactCompliance):
    """In Rust, with averages of the run."""

    model = SquareRoot()
    capabilities = Capabilities(needs=AVERAGES)


class TestLinearWithConstants(ImpactCompliance):
    model = Linear(1.0, volatility=0.02, average_volume=1e6, average_days=0)


class TestPropagator(ImpactCompliance):
    """With state, fills that it is told of, and exponentials of another library."""

    model = Propagator(0.5, resilience=1.0)
    capabilities = Capabilities(needs=AVERAGES, stateful=True, native_tolerance=1e-9)


@native_model(kind="fill", n_random=1)
@attrs.frozen
class Lucky:
    """A part of the order, by chance."""

    @staticmethod
    def kernel(params: Any, state: Any, ctx: Any, fills: Any, out: Any) -> int:  # noqa: ANN401
        fills[0].price = ctx.price
        fills[0].quantity = ctx.leaves_quantity * ctx.random[0]
        fills[0].liquidity = ctx.liquidity
        out.n_fills = 1
        return OK


class TestKernelWithRandomDraws(FillCompliance):
    model = Lucky()
    capabilities = Capabilities(n_random=1, not_registered=True)


class Trend(Strategy):
    """Holds what rose over some sessions."""

    def __init__(self, sessions: int = 5) -> None:
        self.sessions = sessions

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        closes = data.history("close", self.sessions + 1)
        for symbol, first, last in zip(data.symbols, closes[0], closes[-1], strict=True):
            broker.order_target_quantity(symbol, 100.0 if last > first else 0.0)


class TestTrend(StrategyCompliance):
    strategy = Trend
    params = {"sessions": 3}  # noqa: RUF012
    capabilities = Capabilities(no_native=True, not_registered=True)


@attrs.frozen
class Slices:
    """Two fills for one question."""

    def evaluate(self, ctx: FillArgs) -> tuple[FillOut, FillOut]:
        half = ctx.leaves_quantity / 2.0
        return FillOut(ctx.price, half, ctx.liquidity), FillOut(ctx.price, half, ctx.liquidity)


class TestSlices(FillCompliance):
    model = Slices()
    capabilities = Capabilities(no_native=True, not_registered=True)
