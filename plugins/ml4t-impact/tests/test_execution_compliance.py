"""What every execution algorithm must do, of the trajectory: even, averse with a constant, and estimated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ml4t.impact import AlmgrenChrissTrajectory
from ml4t.testing import Capabilities, ExecutorCompliance

if TYPE_CHECKING:
    from collections.abc import Mapping

COSTS: Mapping[str, Any] = {"gamma": 2.5e-7, "eta": 2.5e-6, "periods": 5}


class TestConstant(ExecutorCompliance):
    """The urgency is that of the first question."""

    model = AlmgrenChrissTrajectory(**COSTS, risk_aversion=1e-6, volatility=0.02)
    capabilities = Capabilities(stateful=True)


class TestEstimated(ExecutorCompliance):
    model = AlmgrenChrissTrajectory(**COSTS, risk_aversion=1e-6, average_days=5)
    capabilities = Capabilities(stateful=True, needs={"volatility"})


class TestEven(ExecutorCompliance):
    """Nothing of the market is used, so nothing is remembered."""

    @pytest.fixture(params=[1, 13])
    def model(self, request: pytest.FixtureRequest) -> AlmgrenChrissTrajectory:
        return AlmgrenChrissTrajectory(**{**COSTS, "periods": request.param}, period=1 / 13)
