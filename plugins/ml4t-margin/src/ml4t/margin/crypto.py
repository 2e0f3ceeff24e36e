"""Margin of perpetual futures at exchanges of crypto currencies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from ml4t.core.errors import Finding
from ml4t.core.models import MarginOut, number, outside
from ml4t.core.structuring import Checked, internal
from ml4t.core.values import FrozenMapping
from ml4t.margin.brackets import Tiers, as_tiers, fault_of, table
from ml4t.margin.library import InLibrary
from ml4t.margin.symbols import as_table, mark_of, of_instrument, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ml4t.core.models import Holding, MarginArgs

__all__ = ["CryptoMargin"]

MODES = ("cross", "isolated")
SHAPE = "tiers: floors that ascend from 0, rates of 0 or more and below 1 that do not fall"


def _tables(value: Any) -> Any:  # noqa: ANN401 - a table, or what the check is to refuse
    return as_table(value, as_tiers)


@attrs.frozen
class CryptoMargin(InLibrary, Checked):
    """A leverage to open, tiers of maintenance to hold, and liquidation at the price that takes it.

    Of each notional, |quantity| x |mark| x multiplier in the instrument's currency, `notional * rate_n -
    amount_n` of its tier n holds the position, `amount_n = floor_n * (rate_n - rate_{n-1}) + amount_{n-1}`.
    `notional / leverage` opens it, and never less than what holds it. Both times fx, and added up. Nothing is
    tested at the close.

    Parameters
    ----------
    leverage : float
        Above 0; `1 / leverage` is at least the rate of each first tier.
    tiers : list of (float, float)
        From which notional on which rate of maintenance counts, the first from 0.
    tiers_by_symbol : dict of str to list of (float, float)
        Those of single instruments. Symbols that a run does not have are passed over.
    mode : {"cross", "isolated"}
        Whether all equity stands behind a position, or only what opened it.
    liquidation_fee : float
        Fraction of the value that a liquidation costs.

    Attributes
    ----------
    liquidates_at_price : bool
        A position is closed at the price where what stands behind it is its maintenance.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: Binance, "Leverage and Margin of USD-M Futures" and "How to Calculate Liquidation Price of USD-M
    Futures Contracts"; `liquidation_price` of this package works that price out.

    Examples
    --------
    >>> from ml4t.core.models import Holding, MarginArgs
    >>> held = (Holding(quantity=2.0, mark=50_000.0),)
    >>> model = CryptoMargin(10, tiers=[(0, 0.004), (50_000, 0.005)])
    >>> model.evaluate(MarginArgs(ts_ns=0, cash=5e4, equity=5e4, holdings=held))
    MarginOut(initial=10000.0, maintenance=450.0, requirement=(450.0,), overnight=nan)
    """

    leverage: float = attrs.field(default=20.0, converter=number)
    tiers: Tiers = attrs.field(default=((0.0, 0.004),), converter=as_tiers, kw_only=True)
    tiers_by_symbol: Mapping[str, Tiers] = attrs.field(
        default=FrozenMapping(), converter=_tables, kw_only=True
    )
    mode: Literal["cross", "isolated"] = attrs.field(default="cross", kw_only=True)
    liquidation_fee: float = attrs.field(default=0.0, converter=number, kw_only=True)
    bound: tuple[Tiers, ...] | None = internal(None)  #: by instrument of the run

    liquidates_at_price: ClassVar[bool] = True
    native_symbol: ClassVar[str] = "ml4t_margin_crypto"

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check ranges and tiers."""
        tiers = values.get("tiers")
        if tiers is not None and (fault := fault_of(tiers)):
            yield Finding(path="tiers", message=f"expected {fault}, found {tiers!r}", found=repr(tiers))
        yield from refused(values, "tiers_by_symbol", SHAPE, lambda each: not fault_of(each))
        mode: object = values.get("mode", MODES[0])
        if mode not in MODES:
            message = f"expected cross or isolated, found {mode!r}"
            yield Finding(path="mode", message=message, found=repr(mode), allowed=MODES)
        yield from outside(values, "liquidation_fee", high=1.0)
        faults = list(outside(values, "leverage", above=True))
        yield from faults
        if not faults and values.get("leverage") is not None:
            yield from _above_opening(values)

    @property
    def is_isolated(self) -> bool:
        """Whether only what opened a position stands behind it."""
        return self.mode == "isolated"

    def with_symbols(self, symbols: Sequence[str]) -> CryptoMargin:
        """Return the model for a run with these symbols, in the sequence of their indices."""
        return attrs.evolve(self, bound=tuple(self.tiers_by_symbol.get(each, self.tiers) for each in symbols))

    def native_values(self) -> list[float | None]:
        """Return the leverage, the different tables with their lengths, and which is whose."""
        kinds = list(dict.fromkeys((self.tiers, *(self.bound or ()))))
        found: list[float | None] = [self.leverage, float(len(kinds))]
        for tiers in kinds:
            found += [float(len(tiers)), *(part for row in table(tiers) for part in row)]
        found.append(mark_of(self.bound, needed=bool(self.tiers_by_symbol)))
        places = {tiers: float(k) for k, tiers in enumerate(kinds)}
        return [*found, *(places[tiers] for tiers in self.bound or ())]

    def evaluate(self, ctx: MarginArgs, /) -> MarginOut:
        """Answer for one portfolio.

        Raises
        ------
        ModelError
            If `tiers_by_symbol` is given and the symbols of the run are not known, see `with_symbols`.
        """
        initial = maintenance = 0.0
        requirement = []
        for holding in ctx.holdings:
            notional = abs(holding.quantity) * abs(holding.mark) * holding.multiplier
            rate, amount = self._tier(holding, notional)
            held = (notional * rate - amount) * holding.fx
            initial += max(notional / self.leverage * holding.fx, held)
            maintenance += held
            requirement.append(held)
        return MarginOut(initial, maintenance, tuple(requirement), math.nan)

    def _tier(self, holding: Holding, notional: float) -> tuple[float, float]:
        needed = "tiers_by_symbol" if self.tiers_by_symbol else ""
        tiers = of_instrument(self, self.bound, holding.asset, otherwise=self.tiers, needed=needed)
        rate = amount = 0.0
        for floor, next_rate, next_amount in table(tiers):
            if notional < floor:
                break
            rate, amount = next_rate, next_amount
        return rate, amount


def _above_opening(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield a finding for each first rate that opening does not cover."""
    most = 1.0 / values["leverage"]
    by_symbol = values.get("tiers_by_symbol")
    named = by_symbol if isinstance(by_symbol, Mapping) else {}
    given = {"tiers": values.get("tiers"), **{f"tiers_by_symbol.{key}": each for key, each in named.items()}}
    for path, tiers in given.items():
        if tiers is not None and not fault_of(tiers) and tiers[0][1] > most:
            rate = tiers[0][1]
            message = f"expected a first rate of at most 1 / leverage, which is {most!r}, found {rate!r}"
            yield Finding(path=path, message=message, found=repr(rate))
