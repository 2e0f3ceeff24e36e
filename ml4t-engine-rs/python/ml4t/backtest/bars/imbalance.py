"""Imbalance bars: a bar ends when buyers outweigh sellers, or the reverse, by more than was expected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Unpack

import polars as pl
from attrs import evolve, frozen

from ml4t.backtest.bars.activity import VALUE, VOLUME, positive, symbol_slices, whole
from ml4t.backtest.bars.build import bars_of_marks
from ml4t.backtest.bars.intake import Intake, TickOptions, read_ticks
from ml4t.core.errors import DataError, nearest

__all__ = ["ImbalanceRule", "Of", "bars_by_imbalance", "imbalance_bars"]

Of = Literal["tick", "volume", "dollar"]
WEIGHTS = {
    "tick": pl.lit(1.0),
    "volume": VOLUME,
    "dollar": VALUE,
}


def imbalance_bars(
    ticks: object,
    of: Of,
    *,
    expected_ticks: int,
    span: float = 20.0,
    limits: tuple[int, int | None] = (1, None),
    keep_incomplete: bool = False,
    **options: Unpack[TickOptions],
) -> pl.DataFrame:
    r"""Return bars that end when their signed flow exceeds what was expected of it.

    Parameters
    ----------
    ticks
        Trade ticks: symbol, timestamp, price, size; see :mod:`ml4t.backtest.bars`.
    of
        The weight :math:`w_t` of a tick: ``tick`` (1), ``volume`` (its size) or ``dollar`` (price x size).
    expected_ticks
        Length of the first bar of each symbol, in ticks, and first value of :math:`E_0[T]`.
    span
        Span of the exponentially weighted means, in bars, one or more.
    limits
        Fewest and most ticks of a bar; None for no upper limit. (1, None), the default, is the book's rule.
    keep_incomplete
        Whether the ticks after the last complete bar of a symbol become a bar.
    **options
        `columns`, `symbols`, `timezone`, `instruments`; see :class:`ml4t.backtest.bars.TickOptions`.

    Returns
    -------
    polars.DataFrame
        Stamped as by :func:`tick_bars`, with two more columns in units of the weight: ``imbalance``, the
        :math:`\theta` of the bar (above zero: buyers), and ``expected_imbalance``, the threshold that its
        absolute value was compared with, NaN for the first bar of a symbol.

    Raises
    ------
    DataError
        A parameter is not what it must be; the message says what is allowed. Or the ticks are refused.

    Notes
    -----
    López de Prado, Advances in Financial Machine Learning (2018), section 2.3.2. The tick rule signs each
    tick by the last change of price,

    .. math:: b_t = \operatorname{sign}(p_t - p_{t-1}), \qquad b_t = b_{t-1} \text{ where } p_t = p_{t-1}

    across the ends of bars, and a bar ends with the first tick :math:`T` at which

    .. math:: |\theta_T| \ge E_0[T]\,|E_0[b\,w]|, \qquad \theta_T = \sum_{t=1}^{T} b_t w_t

    For ticks :math:`E_0[b\,w]` is the book's :math:`2P[b_t = 1] - 1`, for volume and value it is
    :math:`2v^+ - E_0[v_t]`. Both means are of earlier bars only and stand still within a bar. When a bar
    of :math:`T` ticks has ended,

    .. math::

        E_0[T] &\leftarrow E_0[T] + \alpha\,(T - E_0[T]), \qquad \alpha = \frac{2}{span + 1}

        E_0[b\,w] &\leftarrow E_0[b\,w] + \beta\,(b_t w_t - E_0[b\,w])
        \text{ for each of its ticks in order}, \qquad \beta = \frac{2}{span \cdot expected\_ticks + 1}

    What the book leaves open is settled here as follows. The first bar of a symbol is its first
    `expected_ticks` ticks, and the mean of their :math:`b\,w` is the first :math:`E_0[b\,w]`. Ticks before
    the first change of price have :math:`b = 0`, for nothing says who was the aggressor. A bar has at
    least ``limits[0]`` ticks, and ends with tick ``limits[1]`` whatever its imbalance.

    The rule feeds on its own results: long bars raise :math:`E_0[T]`, which makes the next ones longer, and
    balanced flow lowers the threshold to nothing, so that each tick is a bar. `limits` stop both.

    The threshold depends on every bar before it, so this is one pass over the ticks in Python, at one
    to two microseconds per tick.
    """
    rule = ImbalanceRule.parse(of, expected_ticks, span, limits)
    return bars_by_imbalance(read_ticks(ticks, options), rule, keep_incomplete=keep_incomplete)


def bars_by_imbalance(intake: Intake, rule: ImbalanceRule, *, keep_incomplete: bool) -> pl.DataFrame:
    """Return the bars of :func:`imbalance_bars` of ticks that are read and checked."""
    flows = intake.rows.lazy().select(_sign() * WEIGHTS[rule.of]).collect().to_series()
    marks: list[tuple[bool, float, float]] = []
    for part in symbol_slices(intake):
        marks.extend(rule.marks(flows[part].to_list()))
    columns = pl.DataFrame(
        marks,
        schema={"mark": pl.Boolean, "imbalance": pl.Float64, "expected_imbalance": pl.Float64},
        orient="row",
    )
    marked = evolve(intake, rows=intake.rows.hstack(columns.get_columns()))
    return bars_of_marks(
        marked, pl.col("mark"), keep_incomplete=keep_incomplete, extra=("imbalance", "expected_imbalance")
    )


def _sign() -> pl.Expr:
    """Return the tick rule: +1 after a rise, -1 after a fall, 0 until the first of either."""
    change = pl.col("price").diff().sign()
    known = pl.when(change != 0).then(change)
    return known.forward_fill().over("symbol").fill_null(0.0)


@frozen(kw_only=True)
class ImbalanceRule:
    """The parameters of :func:`imbalance_bars`, checked."""

    of: Of
    expected_ticks: int
    span: float
    fewest: int
    most: int | None

    @classmethod
    def parse(
        cls, of: Of, expected_ticks: object, span: object, limits: object, *, name: str = "of"
    ) -> ImbalanceRule:
        """Return checked parameters; messages call the first of them `name`.

        Raises
        ------
        DataError
            One of them is not what it must be.
        """
        first, length = whole("expected_ticks", expected_ticks), positive("span", span)
        if length < 1:
            message = f"span is {span!r}; allowed are numbers of bars from 1"
            raise DataError(message)
        if not isinstance(limits, tuple) or len(limits) != 2:
            message = f"limits is {limits!r}; expected a pair, (fewest, most), with None for no most"
            raise DataError(message)
        fewest = whole("limits[0]", limits[0])
        most = None if limits[1] is None else whole("limits[1]", limits[1])
        if not fewest <= first <= (first if most is None else most):
            message = f"expected_ticks is {first}, which is not within limits {limits}"
            raise DataError(message)
        if of not in WEIGHTS:
            guess = nearest(str(of), WEIGHTS)
            hint = f"; did you mean {guess!r}?" if guess else ""
            message = f"{name} is {of!r}; allowed are {', '.join(WEIGHTS)}{hint}"
            raise DataError(message)
        return cls(of=of, expected_ticks=first, span=length, fewest=fewest, most=most)

    def marks(self, flows: list[float]) -> Iterator[tuple[bool, float, float]]:
        """Yield, for each tick, whether a bar ends with it, theta so far and the threshold."""
        alpha = 2 / (self.span + 1)
        beta = 2 / (self.span * self.expected_ticks + 1)
        most = float("inf") if self.most is None else self.most
        expected, flow, threshold = float(self.expected_ticks), 0.0, float("nan")
        theta, count, start = 0.0, 0, 0
        for position, each in enumerate(flows, start=1):
            theta += each
            count += 1
            if start == 0:
                ends = count == self.expected_ticks
            else:
                ends = count >= self.fewest and (abs(theta) >= threshold or count >= most)
            yield ends, theta, threshold
            if not ends:
                continue
            if start == 0:
                flow = theta / count
            else:
                expected += alpha * (count - expected)
                for past in flows[start:position]:
                    flow += beta * (past - flow)
            threshold = expected * abs(flow)
            theta, count, start = 0.0, 0, position
