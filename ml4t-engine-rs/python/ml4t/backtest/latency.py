"""How long orders, changes and cancels are on their way to the venue: the same time, a drawn one, a model's.

What is drawn becomes quantiles in whole nanoseconds here, so that an engine draws without a logarithm. A
duration may be a text such as "5ms", or nanoseconds. A latency model is an attrs-frozen class whose
`evaluate(ctx)` gets `ml4t.core.models.LatencyArgs` and answers `LatencyOut`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from statistics import NormalDist
from typing import Any, Literal

import attrs

from ml4t.core.errors import ConfigError, Finding
from ml4t.core.structuring import Checked, DurationNs, setting, structure
from ml4t.core.values import FrozenMapping, format_duration, parse_duration

# Where the quantiles lie of a distribution that has no largest value.
SHARES = (*(step / 1_024 for step in range(1_024)), 1 - 1 / 2_048)
LARGEST_SIGMA = 4
SCALES = ("mean", "median")
MESSAGES = ("submit", "modify", "cancel")
PARAMETERS = {"exponential": ["mean", "minimum"], "lognormal": ["median", "sigma"]}
PARAMETERS |= {"uniform": ["low", "high"], "quantiles": ["quantiles"]}
Distribution = Literal["uniform", "exponential", "lognormal"]


def reader(kind: Any) -> Callable[[Any], Any]:  # noqa: ANN401
    """Make the converter of a field: what is not in ns is read as from a file."""
    return lambda value: value if type(value) is int else structure(value, kind)


def _ns(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list | tuple):
        return tuple(map(_ns, value))
    return parse_duration(value) if isinstance(value, str) else value


def _fault(path: str, what: str, ns: int) -> Finding:
    text = format_duration(ns)
    return Finding(path=path, message=f"expected a duration {what}, found {text}", found=text)


def negative(path: str, value: object) -> Iterator[Finding]:
    """Yield the fault of a duration below zero."""
    if isinstance(value, int) and value < 0:
        yield _fault(path, "of zero or more", value)


@attrs.frozen
class Drawn(Checked):
    """A latency that is drawn for every message: `quantiles`, or a distribution and its parameters."""

    distribution: Distribution | None = setting(None, convert=reader(Distribution | None))
    quantiles: tuple[DurationNs, ...] = setting((), convert=_ns)
    low: DurationNs | None = setting(None, convert=_ns)
    high: DurationNs | None = setting(None, convert=_ns)
    mean: DurationNs | None = setting(None, convert=_ns)  #: of what comes on top of `minimum`
    minimum: DurationNs | None = setting(None, convert=_ns)  #: None: zero
    median: DurationNs | None = setting(None, convert=_ns)
    sigma: float | None = setting(None)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check that the parameters are those of the distribution, their range and their sequence."""
        if "distribution" not in values:
            return
        names = PARAMETERS[kind := values["distribution"] or "quantiles"]
        given = {name: value for name, value in values.items() if value not in (None, ())}
        for name in sorted(given.keys() - {"distribution", *names}):
            yield Finding(path=name, message=f"no parameter of {kind}", found=name, allowed=(*names,))
        what = "required without a distribution" if kind == "quantiles" else f"required of {kind}"
        for name in names:
            if name in values and name not in given and name != "minimum":
                yield Finding(path=name, message=f"{what}, but missing", code="missing")
        for name in ("low", "high", "minimum", "mean", "median"):
            if name in given and given[name] < (least := name in SCALES):
                yield _fault(name, "above zero" if least else "of zero or more", given[name])
        if given.keys() >= {*names} - {"minimum"}:
            yield from _range_faults(kind, given)

    @property
    def quantiles_ns(self) -> tuple[int, ...]:
        """The quantiles in ns, evenly spaced from the smallest to the largest; at least two."""
        values = attrs.asdict(self)
        if self.distribution in (None, "uniform"):
            return self.quantiles or (values["low"], values["high"])
        return tuple(_quantile(values, share) for share in SHARES)


def _range_faults(kind: str, given: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with parameters that are all there."""
    line = [(f"quantiles[{index}]", ns) for index, ns in enumerate(given.get("quantiles", ()))]
    if kind == "quantiles" and len(line) < 2:
        message = f"expected at least two quantiles, found {len(line)}"
        yield Finding(path="quantiles", message=message, found=str(len(line)))
    for path, ns in line:
        yield from negative(path, ns)
    if kind == "uniform":
        line = [("low", given["low"]), ("high", given["high"])]
    for (name, before), (path, ns) in pairwise(line):
        if 0 <= ns < before:
            yield _fault(path, f"of {name} ({format_duration(before)}) or more", ns)
    scale = PARAMETERS[kind][0]
    if kind == "lognormal" and not 0 < (sigma := given["sigma"]) <= LARGEST_SIGMA:
        message = f"expected a number above 0, up to {LARGEST_SIGMA}, found {sigma}"
        yield Finding(path="sigma", message=message, found=str(sigma))
    elif scale in SCALES and _quantile(given, SHARES[-1]) >= 2**63:
        yield _fault(scale, "whose largest quantile is within 64 bits", given[scale])


def _quantile(values: Mapping[str, Any], share: float) -> int:
    least: int = values.get("minimum") or 0
    if values["distribution"] == "exponential":
        wait: float = -values["mean"] * math.log1p(-share)
    else:
        wait = values["median"] * math.exp(values["sigma"] * NormalDist().inv_cdf(share)) if share else 0
    return least + round(wait)


Delay = DurationNs | Drawn


@attrs.frozen
class VenueLatency(Checked):
    """`[broker.latency.venues.NAME]`: latencies of messages about a venue's instruments; None: as outside."""

    submit: Delay | None = setting(None, convert=reader(Delay | None))
    modify: Delay | None = setting(None, convert=reader(Delay | None))
    cancel: Delay | None = setting(None, convert=reader(Delay | None))
    model: Mapping[str, Any] | None = setting(None)  #: table of the model that decides all three

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the durations that are always the same, and that a model stands alone."""
        for name in MESSAGES:
            yield from negative(name, values.get(name))
            if values.get("model") is not None and values.get(name) is not None:
                yield Finding(path=name, message="the model decides it; leave out one of the two", found=name)


@attrs.frozen
class Latency(VenueLatency):
    """`[broker.latency]`: latencies of orders, changes and cancels, None for zero, and of some venues."""

    venues: Mapping[str, VenueLatency] = setting(FrozenMapping(), convert=reader(Mapping[str, VenueLatency]))

    @classmethod
    def of(cls, section: int | Mapping[str, Any]) -> Latency:
        """Read the setting `latency` of `[broker]`: nanoseconds for every message, or its table.

        Raises
        ------
        ConfigError
            With every fault of the table and its path.
        """
        if isinstance(section, int):
            every = DurationNs(section)
            return cls(submit=every, modify=every, cancel=every)
        try:
            return structure(section, cls)
        except ConfigError as error:
            place = "broker.latency"
            found = [attrs.evolve(each, path=f"{place}.{each.path}") for each in error.findings]
            raise ConfigError(found) from None

    @property
    def models(self) -> dict[str, Mapping[str, Any]]:
        """Tables of the models, by the place in the section where each stands."""
        places = {"": self, **{f"venues.{name}.": own for name, own in sorted(self.venues.items())}}
        return {f"{place}model": own.model for place, own in places.items() if own.model is not None}

    def at(self, venue: str) -> dict[str, tuple[int, ...] | str]:
        """Return what decides orders, changes and cancels at a venue.

        Quantiles in ns, where one alone means always that; or the place of a model.
        """
        own = self.venues.get(venue, VenueLatency())
        found: dict[str, tuple[int, ...] | str] = {}
        for name in MESSAGES:
            delay = getattr(own, name)
            if delay is None and own.model is not None:
                found[name] = f"venues.{venue}.model"
            elif delay is None and self.model is not None:
                found[name] = "model"
            else:
                delay = getattr(self, name) if delay is None else delay
                found[name] = delay.quantiles_ns if isinstance(delay, Drawn) else (int(delay or 0),)
        return found
