"""Policies of execution: named rules, each with a default, in one frozen object.

What each value does is worked out on the pages on fills, on the path inside a bar and on order types.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ml4t.core.errors import Finding
from ml4t.core.structuring import Checked, setting


class FillTiming(enum.Enum):
    """When a market order meets the market; SAME_CLOSE fills at the price it decided on: optimistic."""

    NEXT_OPEN = "next_open"
    NEXT_CLOSE = "next_close"
    SAME_CLOSE = "same_close"


class LimitTouch(enum.Enum):
    """Whether a limit price that is only touched fills, or must be traded through."""

    TOUCH = "touch"
    THROUGH = "through"


class LimitGap(enum.Enum):
    """Price of a limit order when the market opens beyond it: the better open, or the limit price."""

    OPEN_IF_BETTER = "open_if_better"
    AT_LIMIT = "at_limit"


class LimitSlippage(enum.Enum):
    """Slippage on limit orders: none, at most to the limit, no fill where it would pass it, or in full."""

    NONE = "none"
    CLAMP = "clamp"
    REFUSE = "refuse"
    FULL = "full"


class InsufficientCash(enum.Enum):
    """An order that cannot be paid for at its fill: rejected, filled in part, or left working."""

    REJECT = "reject"
    PARTIAL = "partial"
    WAIT = "wait"


class ZeroVolume(enum.Enum):
    """Whether a bar in which nothing traded fills orders."""

    NO_FILL = "no_fill"
    FILL = "fill"


class TickRounding(enum.Enum):
    """An order price off the tick grid: rejected, or moved to the tick that is worse for a fill."""

    REJECT = "reject"
    PASSIVE = "passive"


class BuyingPower(enum.Enum):
    """What bounds an account: leverage times equity, its cash (a sale needs none), or nothing."""

    EQUITY = "equity"
    CASH = "cash"
    UNLIMITED = "unlimited"


class TargetOrders(enum.Enum):
    """Whether an order towards a target counts market orders that are under way as done."""

    COUNTED = "counted"
    IGNORED = "ignored"


class TargetRounding(enum.Enum):
    """What of an order towards a value is cut to whole lots: the position it leads to, or the order."""

    POSITION = "position"
    ORDER = "order"


class LotRounding(enum.Enum):
    """A quantity that is no multiple of the lot: refused, or cut to whole lots."""

    REJECT = "reject"
    DOWN = "down"


class TrailBasis(enum.Enum):
    """What a trailing stop follows on bars: their highs and lows, or their closes."""

    HIGH_LOW = "high_low"
    CLOSE = "close"


class BarPath(enum.Enum):
    """Who comes first inside a bar: what hurts most, what a known path meets first, or by submission."""

    WORST = "worst"
    OHLC = "ohlc"
    OLHC = "olhc"
    NEAREST_FIRST = "nearest_first"
    CLOSE_ONLY = "close_only"
    SUBMISSION = "submission"


class SameBarExit(enum.Enum):
    """Whether what a fill has started may fill in the rest of the same bar."""

    ALLOW = "allow"
    NEXT_BAR = "next_bar"


@attrs.frozen
class Policies(Checked):
    """Named rules of execution; the defaults are the conservative ones."""

    fill_timing: FillTiming = setting(FillTiming.NEXT_OPEN)
    limit_touch: LimitTouch = setting(LimitTouch.TOUCH)
    limit_gap: LimitGap = setting(LimitGap.OPEN_IF_BETTER)
    limit_slippage: LimitSlippage = setting(LimitSlippage.NONE)
    insufficient_cash: InsufficientCash = setting(InsufficientCash.REJECT)
    zero_volume: ZeroVolume = setting(ZeroVolume.NO_FILL)
    tick_rounding: TickRounding = setting(TickRounding.REJECT)
    trail_basis: TrailBasis = setting(TrailBasis.HIGH_LOW)
    path: BarPath = setting(BarPath.WORST)
    same_bar_exit: SameBarExit = setting(SameBarExit.ALLOW)
    target_orders: TargetOrders = setting(TargetOrders.COUNTED)
    target_rounding: TargetRounding = setting(TargetRounding.POSITION)
    lot_rounding: LotRounding = setting(LotRounding.REJECT)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Refuse what contradicts itself."""
        if values.get("path") is BarPath.CLOSE_ONLY and values.get("fill_timing") is FillTiming.NEXT_OPEN:
            message = (
                "'close_only' knows no open, and fill_timing = 'next_open' fills market orders there; "
                "set fill_timing = 'next_close' or 'same_close' as well"
            )
            yield Finding(path="path", message=message, found="close_only")
