"""Impact that decays: what earlier fills did to the price, less what has come back since."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from ml4t.core.errors import Finding, ModelError
from ml4t.core.models import ImpactOut, number, outside
from ml4t.impact.estimates import Estimated, price_and_quantity
from ml4t.impact.library import InLibrary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml4t.core.models import ImpactArgs, ObservedFill

DAY_NS = 86_400_000_000_000
_BELONGS = {"exponential": ("resilience",), "power_law": ("relaxation_days", "beta")}


@attrs.frozen(slots=False)
class Propagator(InLibrary, Estimated):
    """Each fill moves the price by a power of its size, and the move decays with the time of the clock.

    A fill of q moves the price by `coefficient * volatility * (q / average volume)**exponent` of it, against
    the order. It pays the mean of its own move along the way, a `1 / (1 + exponent)` of it, and what is left
    of the moves of earlier fills in the instrument. After the time t there is left of a move::

        exp(-resilience * t)                            decay = "exponential"
        (1 + (t / relaxation_days)**2)**(-beta / 2)     decay = "power_law"

    Moves of fills on the other side help: then the answer may be below 0.

    Parameters
    ----------
    coefficient : float
        Of the move, 0 or more.
    exponent : float
        Power of the size, above 0. With exponential decay anything but 1 can be profited from by trading to
        and fro, and is refused.
    decay : {"exponential", "power_law"}
        How moves decay.
    resilience : float or None
        Rate of the exponential decay per day of 24 hours, 0 or more; the half-life is ln 2 / `resilience`.
    relaxation_days : float or None
        Time in days of 24 hours after which the power law begins, above 0.
    beta : float or None
        Power of the decay, above 0 and at most 1.
    permanent_share : float
        Part of a move that does not decay, 0 to 1.
    volatility : float or None
        Per day, a fraction; None takes that of the sessions before.
    average_volume : float or None
        Per day, in units; None takes that of the sessions before.
    average_days : int
        Sessions over which the two are estimated; 0 where both are given.

    Raises
    ------
    ConfigError
        If a parameter is out of its range, missing for the chosen decay, or belongs to the other.

    Notes
    -----
    Sources: Obizhaeva and Wang (2013), "Optimal trading strategy and supply/demand dynamics", J. Financial
    Markets 16, a block-shaped order book of the density q with permanent impact lambda and resilience rho:
    here price x coefficient x volatility / average volume = 1 / q and `permanent_share` = lambda q.
    Bouchaud, Gefen, Potters and Wyart (2004), "Fluctuations and response in financial markets: the subtle
    nature of 'random' price changes", Quantitative Finance 4, for the power law, with time in place of the
    number of trades. Gatheral (2010), "No-dynamic-arbitrage and market impact", Quantitative Finance 10, for
    what can be profited from: of a power law, `exponent + beta` below 1.

    Moves are kept as fractions of the price, so that splits do not touch them. A power law keeps every fill
    of an instrument and asks all of them each time. Exponentials and powers come from the math library of
    the platform, whose last bit may differ.

    The state, by instrument, is what is left of the moves, and volatility and average volume as they were at
    the last question, for the fill that comes of it.

    Examples
    --------
    >>> from ml4t.core.models import ImpactArgs
    >>> model = Propagator(1.0, resilience=10.0, volatility=0.02, average_volume=1e6, average_days=0)
    >>> model.evaluate(ImpactArgs(ts_ns=0, side=1, quantity=10_000.0, reference_price=50.0))
    ImpactOut(temporary=0.005, permanent=0.0)
    """

    coefficient: float = attrs.field(converter=number)
    exponent: float = attrs.field(default=1.0, converter=number, kw_only=True)
    decay: Literal["exponential", "power_law"] = attrs.field(default="exponential", kw_only=True)
    resilience: float | None = attrs.field(
        default=None, converter=attrs.converters.optional(number), kw_only=True
    )
    relaxation_days: float | None = attrs.field(
        default=None, converter=attrs.converters.optional(number), kw_only=True
    )
    beta: float | None = attrs.field(default=None, converter=attrs.converters.optional(number), kw_only=True)
    permanent_share: float = attrs.field(default=0.0, converter=number, kw_only=True)

    native_symbol: ClassVar[str] = "ml4t_impact_propagator"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        # No fields: they are no parameters, and have no part in comparisons.
        object.__setattr__(self, "_asked", {})
        object.__setattr__(self, "_moves", {})

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the ranges, and that what belongs to the decay is given."""
        yield from outside(values, "coefficient")
        yield from outside(values, "exponent", above=True)
        yield from outside(values, "resilience")
        yield from outside(values, "relaxation_days", above=True)
        yield from outside(values, "beta", high=1.0, above=True)
        yield from outside(values, "permanent_share", high=1.0)
        yield from _decay_faults(values)
        yield from super().cross_check(values)

    def clone(self) -> Propagator:
        """Return the model as it is before the first fill."""
        return attrs.evolve(self)

    def evaluate(self, ctx: ImpactArgs, /) -> ImpactOut:
        """Answer the mean of the fill's own move and what is left of earlier ones; and what will not decay.

        Raises
        ------
        ModelError
            If price, quantity, volatility or average volume is missing.
        """
        price, quantity = price_and_quantity(self, ctx)
        volatility, volume = self.estimates(ctx)
        self._last_asked[ctx.asset] = (volatility, volume)
        move = self._move(quantity, volatility, volume)
        if quantity == 0.0:
            return ImpactOut(temporary=0.0)
        own = move / (1.0 + self.exponent)
        earlier = ctx.side * self._left(ctx.asset, ctx.ts_ns)
        return ImpactOut(temporary=price * (own + earlier), permanent=price * (self.permanent_share * move))

    def observe(self, fill: ObservedFill, /) -> None:
        """Count a fill of the run.

        Raises
        ------
        ModelError
            If the model was never asked about the instrument.
        """
        if fill.asset not in self._last_asked:
            msg = f"Propagator was told of a fill in instrument {fill.asset} before it was asked about one"
            raise ModelError(msg)
        volatility, volume = self._last_asked[fill.asset]
        move = fill.side * self._move(fill.quantity, volatility, volume) * (1.0 - self.permanent_share)
        moves = self._moves_of.setdefault(fill.asset, [])
        if self.decay == "exponential":
            # One number holds all of them: they decay alike.
            moves[:] = [(fill.ts_ns, self._left(fill.asset, fill.ts_ns) + move)]
        else:
            moves.append((fill.ts_ns, move))

    @property
    def _last_asked(self) -> dict[int, tuple[float, float]]:
        return self._asked  # type: ignore[attr-defined, no-any-return]

    @property
    def _moves_of(self) -> dict[int, list[tuple[int, float]]]:
        return self._moves  # type: ignore[attr-defined, no-any-return]

    def _move(self, quantity: float, volatility: float, volume: float) -> float:
        """Return how far a fill moves the price, a fraction of it."""
        share = quantity / volume
        size = share if self.exponent == 1.0 else math.pow(share, self.exponent)
        return self.coefficient * volatility * size

    def _left(self, asset: int, ts_ns: int) -> float:
        """Return what is left of the moves in an instrument, a fraction of the price, positive when up."""
        total = 0.0
        for at, move in self._moves_of.get(asset, ()):
            total += move * self._kept(max(ts_ns - at, 0) / DAY_NS)
        return total

    def _kept(self, days: float) -> float:
        """Return the part of a move that is left after so many days."""
        if self.decay == "exponential":
            return math.exp(-(self.resilience or 0.0) * days)
        relaxed = days / (self.relaxation_days or 1.0)
        return math.pow(1.0 + relaxed * relaxed, -(self.beta or 0.0) / 2.0)


def _decay_faults(values: Mapping[str, Any]) -> Iterator[Finding]:
    decay = values.get("decay", "exponential")
    if decay not in _BELONGS:
        message = f"expected exponential or power_law, found {decay!r}"
        yield Finding(path="decay", message=message, found=repr(decay), allowed=tuple(_BELONGS))
        return
    for owner, names in _BELONGS.items():
        for name in names:
            given = values.get(name)
            if owner == decay and given is None and name in values:
                yield Finding(path=name, message=f'required where decay = "{decay}"', code="missing")
            elif owner != decay and given is not None:
                message = f'{name} says how decay = "{owner}" is meant, and decay is "{decay}"'
                yield Finding(path=name, message=message, found=repr(given))
    if decay == "exponential" and values.get("exponent", 1.0) != 1.0:
        found = values["exponent"]
        message = f"exponential decay leaves no profit in trading to and fro with 1 alone, found {found!r}"
        yield Finding(path="exponent", message=message, found=repr(found))
