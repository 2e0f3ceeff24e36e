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


class StopGap(enum.Enum):
    """Price of a stop that the open of a bar triggers: the open, or the stop price."""

    OPEN = "open"
    AT_STOP = "at_stop"


class FillOrder(enum.Enum):
    """Who comes first where submission decides: by submission, or orders against a position first."""

    SUBMISSION = "submission"
    EXITS_FIRST = "exits_first"


class QuoteFill(enum.Enum):
    """The first quote an order meets: the next, or the one that stands when it becomes active: optimistic."""

    NEXT = "next"
    STANDING = "standing"


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


class Conversion(enum.Enum):
    """What an account does with other currencies by itself: buys what it lacks, sells too, nothing."""

    WHEN_SHORT = "when_short"
    ALWAYS = "always"
    NEVER = "never"


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


class OrderInsideBar(enum.Enum):
    """The first that an order sent inside an open bar meets: the next bar, or the close of the open one."""

    NEXT_BAR = "next_bar"
    CLOSE = "close"


class PrintFills(enum.Enum):
    """Whether prints beside quotes fill limits that rest: not, at the limit or beyond it, or only beyond."""

    NONE = "none"
    TOUCH = "touch"
    THROUGH = "through"


class QueuePosition(enum.Enum):
    """Who is before a resting limit at its price: nobody counts, or the size that the quote shows."""

    NONE = "none"
    SIZE_AHEAD = "size_ahead"


@attrs.frozen
class Policies(Checked):
    """Named rules of execution; the defaults are the conservative ones."""

    fill_timing: FillTiming = setting(FillTiming.NEXT_OPEN)
    limit_touch: LimitTouch = setting(LimitTouch.TOUCH)
    limit_gap: LimitGap = setting(LimitGap.OPEN_IF_BETTER)
    stop_gap: StopGap = setting(StopGap.OPEN)
    fill_order: FillOrder = setting(FillOrder.SUBMISSION)
    quote_fill: QuoteFill = setting(QuoteFill.NEXT)
    limit_slippage: LimitSlippage = setting(LimitSlippage.NONE)
    insufficient_cash: InsufficientCash = setting(InsufficientCash.REJECT)
    zero_volume: ZeroVolume = setting(ZeroVolume.NO_FILL)
    tick_rounding: TickRounding = setting(TickRounding.REJECT)
    trail_basis: TrailBasis = setting(TrailBasis.HIGH_LOW)
    path: BarPath = setting(BarPath.WORST)
    same_bar_exit: SameBarExit = setting(SameBarExit.ALLOW)
    order_inside_bar: OrderInsideBar = setting(OrderInsideBar.NEXT_BAR)
    target_orders: TargetOrders = setting(TargetOrders.COUNTED)
    target_rounding: TargetRounding = setting(TargetRounding.POSITION)
    lot_rounding: LotRounding = setting(LotRounding.REJECT)
    print_fills: PrintFills = setting(PrintFills.NONE)
    queue_position: QueuePosition = setting(QueuePosition.NONE)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Refuse what contradicts itself."""
        if values.get("path") is BarPath.CLOSE_ONLY and values.get("fill_timing") is FillTiming.NEXT_OPEN:
            message = (
                "'close_only' knows no open, and fill_timing = 'next_open' fills market orders there; "
                "set fill_timing = 'next_close' or 'same_close' as well"
            )
            yield Finding(path="path", message=message, found="close_only")
        meets_close = values.get("order_inside_bar") is OrderInsideBar.CLOSE
        if meets_close and values.get("same_bar_exit") is SameBarExit.NEXT_BAR:
            message = (
                "'close' lets an order from inside a bar meet its close, and same_bar_exit = 'next_bar' "
                "keeps what a fill started out of the bar; leave one of them at its default"
            )
            yield Finding(path="order_inside_bar", message=message, found="close")
        prints = values.get("print_fills")
        counts_ahead = values.get("queue_position") is QueuePosition.SIZE_AHEAD
        if counts_ahead and prints is not None and prints is not PrintFills.TOUCH:
            message = (
                "'size_ahead' counts prints at the limit, which fill nothing under "
                f"print_fills = {prints.value!r}; set print_fills = 'touch' as well"
            )
            yield Finding(path="queue_position", message=message, found="size_ahead")
