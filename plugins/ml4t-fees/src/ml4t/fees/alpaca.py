"""Alpaca, US stocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ml4t.core.errors import Finding
from ml4t.core.models import FeeOut, number
from ml4t.core.structuring import Checked
from ml4t.fees.regulatory import cents_up, rate_faults, sec_fee, trading_activity_fee

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.models import FeeArgs, ObservedFill

DAY_NS = 86_400_000_000_000
_NOTHING = (0.0, 0.0, 0.0)


@attrs.define
class _Day:
    """What was charged so far on one day (UTC), before rounding: SEC, TAF, CAT."""

    number: int = -1
    accrued: tuple[float, float, float] = _NOTHING


@attrs.frozen(slots=False)
class AlpacaFees(Checked):
    """US stocks at Alpaca: no commission; regulatory fees on sales, each rounded up to the cent once a day.

    Each of the fees accrues over the fills of a day (UTC), and what has accrued is rounded up to whole
    cents: a fill is charged what it adds to the rounded amounts. So the first sale of a day pays a cent at
    least of each fee, and one later in the day often nothing.

    Parameters
    ----------
    sec_rate : float
        SEC fee on sales, a fraction of their value; 0 to 1.
    taf_per_share, taf_maximum : float
        FINRA Trading Activity Fee per share sold, and the most of it for a fill; 0 or more.
    cat_per_share : float
        Fee for the Consolidated Audit Trail per share, on both sides; 0 or more.
    rounds_up : bool
        Whether to round as said; false charges the exact amounts.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Source: Alpaca Securities, "Brokerage Fee Schedule" of September 2026, and docs.alpaca.markets,
    "Regulatory Fees": 20.60 per million sold, which the SEC has charged since 4 April 2026 (Release
    34-104909; nothing from 14 May 2025 on, 27.80 before), 0.000195 per share sold and at most 9.79 for a
    trade (FINRA, 2026; 0.000166 and 8.30 in 2024 and 2025), 0.000003 per share for the audit trail. FINRA
    proposed to charge no activity fee in the last quarter of 2026 (SR-FINRA-2026-021); set `taf_per_share`
    to 0 for it. Set all of them to those of the time of the data. Where we differ: Alpaca's day ends in New
    York, here at midnight UTC, which tells days apart alike from 4 a.m. to 7 p.m. in New York.

    The state is what accrued on the last day with a fill.

    Examples
    --------
    >>> from ml4t.core.models import FeeArgs
    >>> sale = FeeArgs(ts_ns=0, side=-1, quantity=1000.0, price=25.0, notional=25_000.0)
    >>> AlpacaFees().evaluate(sale)
    FeeOut(fee=0.73)
    """

    sec_rate: float = attrs.field(default=0.0000206, converter=number, kw_only=True)
    taf_per_share: float = attrs.field(default=0.000195, converter=number, kw_only=True)
    taf_maximum: float = attrs.field(default=9.79, converter=number, kw_only=True)
    cat_per_share: float = attrs.field(default=0.000003, converter=number, kw_only=True)
    rounds_up: bool = attrs.field(default=True, kw_only=True)

    native_builtin: ClassVar[str] = "alpaca_fees"
    needs_volume: ClassVar[bool] = False

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        # No field: it is no parameter, and has no part in comparisons.
        object.__setattr__(self, "_day", _Day())

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges."""
        yield from rate_faults(values)
        rounds = values.get("rounds_up", True)
        if not isinstance(rounds, bool):
            message = f"expected true or false, found {rounds!r}"
            yield Finding(path="rounds_up", message=message, found=repr(rounds))

    def clone(self) -> AlpacaFees:
        """Return the model as it is before the first fill."""
        return attrs.evolve(self)

    def evaluate(self, ctx: FeeArgs, /) -> FeeOut:
        """Answer what this fill adds to the fees of its day."""
        fees = self._exact(ctx.side, ctx.quantity, ctx.notional)
        if not self.rounds_up:
            # Not `sum`, which rounds otherwise from Python 3.12 on.
            return FeeOut(fee=fees[0] + fees[1] + fees[2])
        accrued = self._accrued(ctx.ts_ns)
        before = sum(cents_up(each) for each in accrued)
        after = sum(cents_up(each + fee) for each, fee in zip(accrued, fees, strict=True))
        return FeeOut(fee=(after - before) / 100.0)

    def observe(self, fill: ObservedFill, /) -> None:
        """Count a fill of the run."""
        fees = self._exact(fill.side, fill.quantity, fill.quantity * fill.price * fill.multiplier)
        accrued = self._accrued(fill.ts_ns)
        day: _Day = self._day  # type: ignore[attr-defined]
        day.number = fill.ts_ns // DAY_NS
        day.accrued = (accrued[0] + fees[0], accrued[1] + fees[1], accrued[2] + fees[2])

    def _exact(self, side: int, quantity: float, notional: float) -> tuple[float, float, float]:
        """Return the fees of a fill before rounding."""
        return (
            sec_fee(side, notional, self.sec_rate),
            trading_activity_fee(side, quantity, self.taf_per_share, self.taf_maximum),
            self.cat_per_share * quantity,
        )

    def _accrued(self, ts_ns: int) -> tuple[float, float, float]:
        """Return what has accrued on the day of an instant."""
        day: _Day = self._day  # type: ignore[attr-defined]
        return day.accrued if day.number == ts_ns // DAY_NS else _NOTHING
