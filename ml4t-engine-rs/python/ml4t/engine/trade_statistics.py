"""Statistics of round trips: how often, how much, how long, at what cost.

A round trip is one row of the `round_trips` table: an opened lot and the fill that closed it. All results
are net of fees. Open positions are not round trips and do not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import attrs

from ml4t.engine.metrics import Unit, format_value
from ml4t.engine.performance import in_base_currency

if TYPE_CHECKING:
    import polars as pl

__all__ = ["STATISTICS", "Statistic", "TradeStatistics", "trade_statistics"]

_NS_A_DAY = 86_400e9


@attrs.frozen
class Statistic:
    """A named statistic of a set of round trips.

    Attributes
    ----------
    name, label : str
        Key, and how tables print it.
    unit : Unit
        What the number counts.
    convention : str
        The definition in one sentence.
    """

    name: str
    label: str
    unit: Unit
    convention: str
    measure: Callable[[pl.DataFrame], float] = attrs.field(repr=False, eq=False)


@attrs.frozen
class TradeStatistics(Mapping[str, Mapping[str, float]]):
    """Statistics by name; each is a mapping with the keys `all`, `long`, `short`.

    What has no definition (the average of no trades, a profit factor without a loss) is NaN.
    """

    _values: Mapping[str, Mapping[str, float]] = attrs.field(repr=False)

    def __getitem__(self, name: str) -> Mapping[str, float]:
        """Return one statistic for all, long and short round trips."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Names, in the order in which tables print them."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return the number of statistics."""
        return len(self._values)

    def rows(self) -> list[tuple[Statistic, tuple[str, str, str]]]:
        """Return every statistic with its printed values for all, long and short round trips."""
        return [
            (
                STATISTICS[name],
                (
                    format_value(values["all"], STATISTICS[name].unit),
                    format_value(values["long"], STATISTICS[name].unit),
                    format_value(values["short"], STATISTICS[name].unit),
                ),
            )
            for name, values in self._values.items()
        ]

    def to_frame(self) -> pl.DataFrame:
        """Return the statistics as a table: `statistic`, `all`, `long`, `short`, `convention`."""
        import polars as pl

        return pl.DataFrame(
            [
                {"statistic": name, **values, "convention": STATISTICS[name].convention}
                for name, values in self._values.items()
            ]
        )


def trade_statistics(round_trips: pl.DataFrame) -> TradeStatistics:
    """Measure all round trips, and long and short ones apart.

    Parameters
    ----------
    round_trips : polars.DataFrame
        The table of that name.
    """
    import polars as pl

    money = ("gross_pnl", "net_pnl", "fees", "slippage_cost")
    ordered = in_base_currency(round_trips.sort("ts_exit", maintain_order=True), money)
    sets = {
        "all": ordered,
        "long": ordered.filter(pl.col("direction") == "long"),
        "short": ordered.filter(pl.col("direction") == "short"),
    }
    return TradeStatistics(
        {
            name: {key: statistic.measure(trips) for key, trips in sets.items()}
            for name, statistic in STATISTICS.items()
        }
    )


def _gains(trips: pl.DataFrame) -> pl.Series:
    return trips.filter(trips["net_pnl"] > 0)["net_pnl"]


def _losses(trips: pl.DataFrame) -> pl.Series:
    return trips.filter(trips["net_pnl"] < 0)["net_pnl"]


def _mean(values: pl.Series) -> float:
    mean = values.cast(float).mean()
    return mean if isinstance(mean, float) else math.nan


def _extreme(values: pl.Series, *, largest: bool) -> float:
    found = values.max() if largest else values.min()
    return found if isinstance(found, float) else math.nan


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan


def _hit_rate(trips: pl.DataFrame) -> float:
    gains, losses = len(_gains(trips)), len(_losses(trips))
    return _ratio(gains, gains + losses)


def _longest(trips: pl.DataFrame, *, gains: bool) -> float:
    won = trips["net_pnl"] > 0 if gains else trips["net_pnl"] < 0
    runs = won.rle().struct.unnest()
    lengths = runs.filter(runs["value"])["len"]
    return float(lengths.sort()[-1]) if len(lengths) else 0.0


def _statistics() -> Iterator[Statistic]:
    """Yield every statistic in the order in which tables print them."""
    count, money, fraction, ratio, days = Unit.COUNT, Unit.MONEY, Unit.FRACTION, Unit.RATIO, Unit.DAYS
    yield Statistic("trades", "Round trips", count, "Rows of the table.", lambda t: float(t.height))
    yield Statistic("winners", "Winners", count, "Net result above zero.", lambda t: float(len(_gains(t))))
    yield Statistic("losers", "Losers", count, "Net result below zero.", lambda t: float(len(_losses(t))))
    yield Statistic("hit_rate", "Hit rate", fraction, "Winners over winners and losers.", _hit_rate)
    yield Statistic("net_pnl", "Net result", money, "Sum, after fees.", lambda t: float(t["net_pnl"].sum()))
    yield Statistic(
        "profit_factor",
        "Profit factor",
        ratio,
        "Sum of gains over the size of the sum of losses.",
        lambda t: _ratio(float(_gains(t).sum()), -float(_losses(t).sum())),
    )
    yield Statistic("expectancy", "Expectancy", money, "Mean net result.", lambda t: _mean(t["net_pnl"]))
    yield Statistic(
        "expectancy_return",
        "Expectancy, return",
        fraction,
        "Mean of the returns of the round trips, each weighing the same.",
        lambda t: _mean(t["return"]),
    )
    yield Statistic("average_win", "Average win", money, "Mean gain.", lambda t: _mean(_gains(t)))
    yield Statistic("average_loss", "Average loss", money, "Mean loss.", lambda t: _mean(_losses(t)))
    yield Statistic(
        "payoff_ratio",
        "Payoff ratio",
        ratio,
        "Average win over the size of the average loss.",
        lambda t: _ratio(_mean(_gains(t)), -_mean(_losses(t))),
    )
    yield Statistic(
        "largest_win", "Largest win", money, "Largest gain.", lambda t: _extreme(_gains(t), largest=True)
    )
    yield Statistic(
        "largest_loss", "Largest loss", money, "Largest loss.", lambda t: _extreme(_losses(t), largest=False)
    )
    yield Statistic(
        "longest_winning_streak",
        "Winners in a row",
        count,
        "Most gains one after the other, by time of exit.",
        lambda t: _longest(t, gains=True),
    )
    yield Statistic(
        "longest_losing_streak",
        "Losers in a row",
        count,
        "Most losses one after the other, by time of exit.",
        lambda t: _longest(t, gains=False),
    )
    yield Statistic(
        "average_duration",
        "Average duration, days",
        days,
        "Mean time from entry to exit; a day has 24 hours.",
        lambda t: _mean(t["duration_ns"]) / _NS_A_DAY,
    )
    yield Statistic("fees", "Fees", money, "Fees of both ends.", lambda t: float(t["fees"].sum()))
    yield Statistic(
        "slippage_cost",
        "Slippage",
        money,
        "Spread, slippage and impact of both ends; part of the prices, so not deducted again.",
        lambda t: float(t["slippage_cost"].sum()),
    )


STATISTICS: Mapping[str, Statistic] = {statistic.name: statistic for statistic in _statistics()}
"""Every statistic by name, in the order in which tables print them."""
