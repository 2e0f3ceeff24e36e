"""Margin of futures, per contract."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.errors import ModelError
from ml4t.core.models import MarginOut, number, outside
from ml4t.core.structuring import Checked, internal
from ml4t.margin.library import InLibrary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ml4t.core.errors import Finding
    from ml4t.core.models import Holding, MarginArgs

__all__ = ["FuturesMargin"]


@attrs.frozen
class FuturesMargin(InLibrary, Checked):
    """Amounts per contract, of the margin rates of the run.

    Rates are in the instrument's currency. |quantity| x `intraday` x initial rate x fx opens a holding, the
    same of the maintenance rate holds it. With day margins, `intraday` below 1, |quantity| x initial rate x
    fx is needed at the close of a session; without, what holds a position in the session does so overnight.

    Parameters
    ----------
    intraday : float
        Part of the rates that counts before the close, above 0 and up to 1.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: CME Group, "Performance Bonds/Margins": amounts per contract, initial to open and maintenance to
    hold. Brokers ask for a part of them during the day, and for the initial one to carry a contract past the
    close.

    Examples
    --------
    >>> from ml4t.core.models import Holding, MarginArgs
    >>> held = (Holding(quantity=2.0, mark=5_000.0, initial_rate=15_400.0, maintenance_rate=14_000.0),)
    >>> FuturesMargin(0.25).evaluate(MarginArgs(ts_ns=0, cash=5e4, equity=5e4, holdings=held))
    MarginOut(initial=7700.0, maintenance=7000.0, requirement=(7000.0,), overnight=30800.0)
    """

    intraday: float = attrs.field(default=1.0, converter=number)
    bound: tuple[str, ...] = internal(())  #: symbols of the run, for messages

    native_symbol: ClassVar[str] = "ml4t_margin_futures"

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the range."""
        yield from outside(values, "intraday", high=1.0, above=True)

    def with_symbols(self, symbols: Sequence[str]) -> FuturesMargin:
        """Return the model that names these symbols in what it refuses."""
        return attrs.evolve(self, bound=tuple(symbols))

    def native_values(self) -> list[float | None]:
        """Return the part, and the characters of the symbols, a line each."""
        return [self.intraday, *(float(ord(each)) for each in "\n".join(self.bound))]

    def evaluate(self, ctx: MarginArgs, /) -> MarginOut:
        """Answer for one portfolio.

        Raises
        ------
        ModelError
            If no margin rate of a holding is in force, or that to open is below that to hold.
        """
        initial = maintenance = overnight = 0.0
        requirement = []
        for holding in ctx.holdings:
            if not holding.initial_rate >= holding.maintenance_rate:
                raise ModelError(self._refused(holding))
            size = abs(holding.quantity)
            held = size * (self.intraday * holding.maintenance_rate) * holding.fx
            initial += size * (self.intraday * holding.initial_rate) * holding.fx
            overnight += size * holding.initial_rate * holding.fx
            maintenance += held
            requirement.append(held)
        has_test = self.intraday < 1.0
        return MarginOut(initial, maintenance, tuple(requirement), overnight if has_test else math.nan)

    def _refused(self, holding: Holding) -> str:
        known = holding.asset < len(self.bound)
        who = self.bound[holding.asset] if known else f"instrument index {holding.asset}"
        rates = {"initial": holding.initial_rate, "maintenance": holding.maintenance_rate}
        what = " and ".join(name for name, rate in rates.items() if math.isnan(rate))
        if not what:
            initial, held = holding.initial_rate, holding.maintenance_rate
            return (
                f"FuturesMargin: the initial margin rate {initial!r} of {who} is below that to hold, {held!r}"
            )
        return f"FuturesMargin: no margin rate is in force for {who} ({what}); give margin_rates from then on"
