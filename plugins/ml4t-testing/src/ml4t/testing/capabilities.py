"""What a model does not do, declared, so that a suite tests the rest and nothing is skipped in silence."""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs

from ml4t.core.errors import ConfigError

__all__ = ["MAY_BE_MISSING", "Capabilities"]

#: Numbers that a run may not know; a question then has NaN in their place.
MAY_BE_MISSING = ("volume", "average_volume", "volatility", "high", "low", "close", "bid", "ask", "tick_size")


def _names(given: Iterable[str]) -> frozenset[str]:
    found = frozenset([given] if isinstance(given, str) else given)
    if unknown := sorted(found - set(MAY_BE_MISSING)):
        msg = f"needs names {', '.join(unknown)}; a run may lack {', '.join(MAY_BE_MISSING)}"
        raise ConfigError(msg)
    return found


def _tolerance(value: float) -> float:
    if not (math.isfinite(value) and 0.0 <= value < 1.0):
        msg = f"native_tolerance is {value!r}; expected a fraction of 0 or more and below 1, such as 1e-12"
        raise ConfigError(msg)
    return float(value)


@attrs.frozen(kw_only=True)
class Capabilities:
    """The gaps of a model. A gap that is declared and not there fails the suite as well.

    Attributes
    ----------
    needs : set of str
        Numbers without which the model answers `ModelError`; names of `MAY_BE_MISSING`.
    refuses_zero_volume : bool
        It answers `ModelError` where nothing traded, instead of a number.
    refuses_zero_quantity : bool
        The same for a quantity of zero.
    refuses_negative_price : bool
        The same for prices below zero, which spreads and some futures have.
    only_bars : bool
        It answers `ModelError` at quotes and prints, so it is asked at bars alone.
    improves_prices : bool
        Its slippage or impact may be below zero.
    stateful : bool
        Its answers depend on what it was asked and told before.
    no_native : bool
        It runs in Python only.
    no_python : bool
        A strategy that runs as native code only.
    leaves_rest : bool
        An execution algorithm that does not trade all of an order on a plain market: it waits for a price, or
        gives up.
    not_registered : bool
        No plugin offers it, so it is not looked for by name.
    n_random : int
        Uniform draws that a native model wants for each call, 0 to 4.
    native_tolerance : float
        Largest relative difference between native code and Python. 0 wants the same bits, which arithmetic
        and square roots give; models with exponentials or powers of another library declare `1e-12` or so.

    Raises
    ------
    ConfigError
        If a name or number cannot be meant.

    Examples
    --------
    >>> Capabilities(needs={"volume"}, no_native=True).needs
    frozenset({'volume'})
    """

    needs: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    refuses_zero_volume: bool = False
    refuses_zero_quantity: bool = False
    refuses_negative_price: bool = False
    only_bars: bool = False
    improves_prices: bool = False
    stateful: bool = False
    no_native: bool = False
    no_python: bool = False
    leaves_rest: bool = False
    not_registered: bool = False
    n_random: int = attrs.field(default=0, validator=attrs.validators.in_(range(5)))
    native_tolerance: float = attrs.field(default=0.0, converter=_tolerance)
