"""Impact models: how far our own size moves the price, for a fill and for those after it.

Each answers two numbers per unit, positive when they hurt the order: `temporary` is paid by the fill,
`permanent` moves the prices of our later fills in the instrument. Most scale with the volatility and the
average volume of the sessions before the present one, which the engine estimates; both can be given as
constants instead.

Each model is a frozen class. In a configuration it is named by type, `impact_model = { type = "SquareRoot",
Y = 0.7 }`; from Python an instance is passed.

`AlmgrenChrissTrajectory` is an execution algorithm: it works a big order by the optimal trajectory of Almgren
and Chriss. `optimal_trajectory` shows that trajectory with its mean cost and variance.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml4t.impact.almgren_2005 import Almgren2005
    from ml4t.impact.almgren_chriss import AlmgrenChriss
    from ml4t.impact.execution import AlmgrenChrissTrajectory
    from ml4t.impact.linear import Linear
    from ml4t.impact.propagator import Propagator
    from ml4t.impact.square_root import SquareRoot
    from ml4t.impact.trajectory import Trajectory, optimal_trajectory, trajectory_of

__all__ = ["Almgren2005", "AlmgrenChriss", "AlmgrenChrissTrajectory", "Linear", "Propagator", "SquareRoot"]
__all__ += ["Trajectory", "optimal_trajectory", "trajectory_of"]

# A model is imported when it is first named: a run uses one or two of them.
_MODULES = {
    "Almgren2005": "almgren_2005",
    "AlmgrenChriss": "almgren_chriss",
    "AlmgrenChrissTrajectory": "execution",
    "Linear": "linear",
    "Propagator": "propagator",
    "SquareRoot": "square_root",
    "Trajectory": "trajectory",
    "optimal_trajectory": "trajectory",
    "trajectory_of": "trajectory",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - of the module
        if name not in _MODULES:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        globals()[name] = found = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
