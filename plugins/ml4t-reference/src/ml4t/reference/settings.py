"""What decides a run beside its data: read from a configuration, refused by name where it is not covered."""

from __future__ import annotations

from fractions import Fraction

from attrs import frozen

from ml4t.backtest.data import MarketData
from ml4t.core.config import Policies, RecordCadence, RunConfig
from ml4t.core.types import DataKind, LotPolicy
from ml4t.core.values import NS_PER_DAY, parse_duration
from ml4t.reference.errors import NotCovered

HOUR_NS = NS_PER_DAY // 24

# Every policy this engine implements. A policy that is not here is refused, unless it is at its default.
POLICIES = (
    "fill_timing",
    "limit_touch",
    "limit_gap",
    "limit_slippage",
    "insufficient_cash",
    "zero_volume",
    "quote_fill",
    "tick_rounding",
)


@frozen(kw_only=True)
class Settings:
    """Account, policies and recording of a run.

    Attributes
    ----------
    record_ns : int or None
        Rows of the portfolio are kept at most once in each such stretch of time; 0: at every step; None: at session
        closes only.
    warm_from : int
        Instant before which orders are refused.
    """

    base_currency: str
    initial_cash: Fraction
    leverage: Fraction
    allows_short: bool
    lot_policy: LotPolicy
    posting_quantum: Fraction
    latency_ns: int
    policies: Policies
    record_ns: int | None
    warm_from: int

    @classmethod
    def of(cls, config: RunConfig, data: MarketData, *, warmup: int | str = 0) -> Settings:
        """Read a configuration.

        Raises
        ------
        NotCovered
            If it asks for a policy that the reference does not know.
        """
        broker = config.broker
        _refuse_unknown(broker.policies)
        return cls(
            base_currency=config.backtest.base_currency,
            initial_cash=Fraction(broker.initial_cash),
            leverage=Fraction(broker.leverage),
            allows_short=broker.allows_short,
            lot_policy=broker.lot_policy,
            posting_quantum=Fraction(broker.posting_quantum),
            latency_ns=int(broker.latency_ns),
            policies=broker.policies,
            record_ns=_record_ns(config.backtest.record, data),
            warm_from=_warm_from(warmup, data),
        )


def _refuse_unknown(policies: Policies) -> None:
    default = Policies()
    for field in Policies.__attrs_attrs__:  # type: ignore[attr-defined]
        value = getattr(policies, field.name)
        if field.name not in POLICIES and value != getattr(default, field.name):
            feature = f"the policy {field.name} = {getattr(value, 'value', value)!r}"
            raise NotCovered(feature)


def _warm_from(warmup: int | str, data: MarketData) -> int:
    """Return the end of the warm-up: a duration, or sessions of the NAV calendar, counted from the begin."""
    begin = data.span_ns[0]
    if isinstance(warmup, str):
        return begin + parse_duration(warmup)
    if warmup == 0:
        return begin
    (table,) = (table for table in data.calendars if table.name == data.nav_calendar)
    closes = [closes for closes in table.frame["close_ns"].to_list() if closes > begin]
    # With fewer sessions than that the whole run is warm-up.
    return int(closes[warmup - 1]) if warmup <= len(closes) else data.span_ns[1] + 1


def _record_ns(cadence: RecordCadence, data: MarketData) -> int | None:
    if cadence is RecordCadence.AUTO:
        is_daily = all(
            feed.kind is DataKind.CONTEXT
            or (feed.kind is DataKind.BAR and feed.interval_ns is not None and feed.interval_ns >= NS_PER_DAY)
            for feed in data.feeds
        )
        return 0 if is_daily else HOUR_NS
    return {RecordCadence.STEP: 0, RecordCadence.HOUR: HOUR_NS, RecordCadence.SESSION: None}[cadence]
