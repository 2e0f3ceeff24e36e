"""Enumerations shared by every part of ml4t.

Members are what code passes around; their values are what configuration files, tables and manifests
hold. A member exists only when the engine can carry it out, so an unsupported order type is refused
where it is written rather than where it would be matched.
"""

from __future__ import annotations

import enum

__all__ = ["ActionKind", "AssetClass", "DataKind", "EventType", "LotPolicy", "ModelKind"]
__all__ += ["OrderStatus", "OrderType", "Side", "StampMeaning", "TimeInForce"]


class Side(enum.Enum):
    """What an order does: buy or sell."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell: the sign the order adds to a position."""
        return 1 if self is Side.BUY else -1


class OrderType(enum.Enum):
    """How an order is priced and triggered."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    MARKET_IF_TOUCHED = "market_if_touched"
    LIMIT_IF_TOUCHED = "limit_if_touched"
    TRAILING_STOP = "trailing_stop"
    TRAILING_STOP_LIMIT = "trailing_stop_limit"


class TimeInForce(enum.Enum):
    """How long an order works."""

    DAY = "day"  #: to the close of its session
    GTC = "gtc"  #: until canceled
    GTD = "gtd"  #: to a given time
    IOC = "ioc"  #: at the first event it meets, and only there
    FOK = "fok"  #: the same, all of it or nothing
    OPG = "opg"  #: at the opening of the next session
    CLS = "cls"  #: at the close of its session


class OrderStatus(enum.Enum):
    """State of an order, left to right; the last four are final. The engine constructs no other path."""

    CREATED = "created"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def is_closed(self) -> bool:
        """Whether the order can never change again."""
        return self in (OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED)


class AssetClass(enum.Enum):
    """What kind of thing an instrument is."""

    EQUITY = "equity"
    ETF = "etf"
    FUTURE = "future"
    PERPETUAL = "perpetual"
    CRYPTO = "crypto"
    FX = "fx"
    INDEX = "index"


class DataKind(enum.Enum):
    """What one row of a feed describes; `CONTEXT` rows are market-wide series without an instrument."""

    BAR = "bar"
    QUOTE = "quote"
    TRADE = "trade"
    CONTEXT = "context"


class StampMeaning(enum.Enum):
    """What the time stamp of a row says.

    Begin or end of a bar, instant of a quote or trade, or a trading date whose open and close the calendar
    knows. A feed declares it: the wrong meaning would show a strategy data from its future.
    """

    OPEN = "open"
    CLOSE = "close"
    EVENT = "event"
    SESSION = "session"


class EventType(enum.Enum):
    """What a strategy can subscribe to."""

    BAR = "bar"
    QUOTE = "quote"
    TRADE = "trade"
    SIGNAL = "signal"
    FILL = "fill"
    ORDER = "order"


class ModelKind(enum.IntEnum):
    """Kinds of models, numbered as in the native model interface.

    `ml4t.core.models` has protocols of the kinds that a run asks for by configuration; the other numbers are
    settled, so that a native table compiled today keeps its meaning.
    """

    FILL = 1
    SLIPPAGE = 2
    IMPACT = 3
    FEE = 4
    MARGIN = 5
    BORROW = 6
    FUNDING = 7
    LATENCY = 8
    FX = 9
    SETTLEMENT = 10
    LIQUIDATION = 11
    RISK = 12
    EXECUTOR = 13
    INTEREST = 14
    STRATEGY = 100
    INDICATOR = 101

    @property
    def label(self) -> str:
        """Lower-case name, as configuration and `ml4t plugins --kind` write it."""
        return self.name.lower()


class LotPolicy(enum.Enum):
    """Which tax lots a closing fill consumes: the oldest, newest or dearest first, or all at their average.

    The dearest is the one whose end gains least: of shorts the one sold at the lowest price.
    """

    FIFO = "fifo"
    LIFO = "lifo"
    HIGHEST_COST = "highest_cost"
    AVERAGE = "average"


class ActionKind(enum.Enum):
    """Kind of a corporate action."""

    SPLIT = "split"
    CASH_DIVIDEND = "cash_dividend"
    STOCK_DIVIDEND = "stock_dividend"
    SPIN_OFF = "spin_off"
    CASH_MERGER = "cash_merger"
    STOCK_MERGER = "stock_merger"
    SYMBOL_CHANGE = "symbol_change"
    DELISTING = "delisting"
