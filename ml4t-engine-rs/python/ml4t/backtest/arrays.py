"""A backtest of two arrays: prices, and the side that is wanted.

For a first look at an idea. What it does is done by the same engine as everything else, and everything that
the engine writes down is in `ArrayBacktest.results`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
from attrs import frozen

from ml4t.backtest.data import DataFeed
from ml4t.backtest.engine import ConfigLike, run
from ml4t.backtest.front import EntryExit
from ml4t.core.errors import DataError
from ml4t.core.instrument import Instrument
from ml4t.engine._engine import performance
from ml4t.engine.results import Results

__all__ = ["ArrayBacktest", "run_backtest"]

SYMBOL = "PRICE"
_BEGIN = dt.date(2000, 1, 3)
_YEAR = 252
# More than anybody takes of it: an array says nothing of how much was traded.
_VOLUME = 1e12
_INSTRUMENT = Instrument(
    SYMBOL,
    calendar="24/7",
    tick_size=Decimal("0.000000001"),
    price_exponent=9,
    lot_size=Decimal("0.000001"),
    quantity_exponent=6,
)
_USUAL = {"broker": {"allows_short": True, "policies": {"insufficient_cash": "partial"}}}


@frozen(kw_only=True, eq=False)
class ArrayBacktest:
    """What a backtest of two arrays comes to; its numbers can also be read as `result["sharpe"]`.

    Attributes
    ----------
    total_return, annual_return, sharpe, max_drawdown : float
        Of one observation a price, 252 to the year; NaN where they are not defined.
    trades : int
        Positions that were closed.
    final_equity : float
        In the currency of the account.
    results : Results
        Every table of the run.
    """

    total_return: float
    annual_return: float
    sharpe: float
    max_drawdown: float
    trades: int
    final_equity: float
    results: Results

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a number or the results
        """Return a number by its name."""
        if name.startswith("_") or not hasattr(self, name):
            raise KeyError(name)
        return getattr(self, name)


def run_backtest(
    prices: Any,  # noqa: ANN401 - whatever numpy takes
    signals: Any,  # noqa: ANN401 - whatever numpy takes
    stop_loss: float | None = None,
    take_profit: float | None = None,
    *,
    weight: float = 1.0,
    config: ConfigLike = None,
) -> ArrayBacktest:
    """Trade one instrument by an array of sides.

    A side is decided on with its own price known and traded at the next price. When it changes to 1 a long
    position is opened, to -1 a short one, to 0 what is there is closed. After a stop or a target the account
    waits for the next change.

    Parameters
    ----------
    prices : array of shape (n,)
        Prices in sequence, one a session: each is open, high, low and close of its bar, so that stops and
        targets fill at the price that went through them.
    signals : array of shape (n,)
        1 long, -1 short, 0 flat.
    stop_loss, take_profit : float or None
        Fractions of the entry price: 0.02 is two percent.
    weight : float
        Fraction of equity that a position takes, to a millionth of a unit.
    config : RunConfig, mapping, path or None
        Costs, account and policies, as of `run`. What a mapping leaves open is: 100,000 of cash, short sales,
        no costs, and an entry that the next price makes too dear is cut to what it can pay for.

    Raises
    ------
    DataError
        If the arrays are not of one length and dimension, or hold what is no price or no side; the first such
        place is named.

    Examples
    --------
    >>> import numpy as np
    >>> from ml4t.backtest import run_backtest
    >>> prices = np.array([100.0, 101.0, 99.5, 102.0, 104.0, 103.0])
    >>> result = run_backtest(prices, np.array([1, 1, 1, 1, 0, 0]), stop_loss=0.02, take_profit=0.04)
    >>> result["trades"], round(result.total_return, 4)
    (1, 0.0198)
    """
    price, side = _arrays(prices, signals)
    sessions = [_BEGIN + dt.timedelta(days=k) for k in range(len(price))]
    frame = pl.DataFrame({"session": sessions, "symbol": SYMBOL, "close": price})
    frame = frame.with_columns(
        *(pl.col("close").alias(name) for name in ("open", "high", "low")), volume=_VOLUME
    )
    before = np.r_[0, side[:-1]]
    moves = pl.DataFrame(
        {
            "session": sessions,
            "symbol": SYMBOL,
            "entry": np.where((side != before) & (side != 0), side, 0).astype(float),
            "exit": ((side != before) & (side == 0)).astype(float),
        }
    ).filter((pl.col("entry") != 0.0) | (pl.col("exit") != 0.0))
    if moves.is_empty():
        # A table without rows has no signals; one zero says nothing.
        moves = pl.DataFrame({"session": sessions[:1], "symbol": [SYMBOL], "entry": [0.0], "exit": [0.0]})
    table = EntryExit(moves, weight=weight, stop_loss=stop_loss, take_profit=take_profit)
    results = run(
        table,
        DataFeed(frame, stamp="session", calendar="24/7"),
        config=_over(_USUAL, config) if config is None or isinstance(config, Mapping) else config,
        instruments=[_INSTRUMENT],
    )
    metrics = performance(results.returns()["return"].to_numpy(), periods_per_year=_YEAR)
    return ArrayBacktest(
        total_return=metrics["total_return"],
        annual_return=metrics["annual_return"],
        sharpe=metrics["sharpe"],
        max_drawdown=metrics["max_drawdown"],
        trades=results.trades.height,
        final_equity=results.portfolio_history["equity"][-1],
        results=results,
    )


def _over(usual: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a configuration over the usual one."""
    made = dict(usual)
    for key, value in (given or {}).items():
        known = made.get(key)
        made[key] = (
            _over(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
        )
    return made


def _arrays(prices: object, signals: object) -> tuple[Any, Any]:
    """Return both as arrays that have been looked at."""
    found = []
    for name, given in (("prices", prices), ("signals", signals)):
        try:
            array = np.asarray(given, dtype=float)
        except (TypeError, ValueError) as error:
            msg = f"{name}: expected an array of numbers, found {type(given).__name__}: {error}"
            raise DataError(msg) from error
        if array.ndim != 1 or len(array) < 2:
            msg = f"{name}: expected one dimension and at least 2 numbers, found shape {array.shape}"
            raise DataError(msg)
        found.append(array)
    price, side = found
    if len(price) != len(side):
        msg = f"prices has {len(price)} numbers and signals {len(side)}; each price needs one"
        raise DataError(msg)
    for name, array, is_wrong, expected in (
        ("prices", price, ~(np.isfinite(price) & (price > 0.0)), "a finite price above 0"),
        ("signals", side, ~np.isin(side, (-1.0, 0.0, 1.0)), "1 for long, -1 for short or 0 for flat"),
    ):
        if is_wrong.any():
            at = int(np.argmax(is_wrong))
            msg = f"{name}[{at}] is {array[at]}; expected {expected}"
            raise DataError(msg)
    return price, side.astype(int)
