"""Numbers of the native interface, as kernels write them.

They are those of `layouts.CONSTANTS`, spelled out for editors and type checkers; a kernel may use them by
name, because numba compiles the members of integer enumerations.
"""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["DEFER", "GIVE_UP", "NO_OPINION", "OK", "REJECT"]
__all__ += ["Action", "Life", "Liquidity", "Message", "Missing", "OrderKind", "OrderType", "Phase"]

OK: Final = 1  #: the output holds the answer
NO_OPINION: Final = 2  #: the engine goes on without the model
REJECT: Final = 3  #: the order is refused; the reason stands in the output's `code`
DEFER: Final = 4  #: nothing now; the model is asked again at the next event

#: What an execution algorithm written as a kernel answers instead of a count, to give up; its table answers
#: `REJECT`, which as a count would be three records. Errors of kernels are nearer to 0.
GIVE_UP: Final = -(2**31)


class Missing(enum.IntEnum):
    """Bits of a context's `flags`: what is NaN because nobody knows it."""

    BAR = 1
    VOLUME = 2
    QUOTE = 4
    AVERAGE_VOLUME = 8
    VOLATILITY = 16


class Phase(enum.IntEnum):
    """The part of a bar, or the kind of event, at which an order meets the market."""

    OPEN = 1
    RANGE = 2
    CLOSE = 3
    QUOTE = 4
    TRADE = 5


class OrderKind(enum.IntEnum):
    """How an order acts at an event: a triggered stop is a market order."""

    MARKET = 1
    LIMIT = 2


class Liquidity(enum.IntEnum):
    """Whether a fill took or provided liquidity."""

    TAKER = 1
    MAKER = 2


class Message(enum.IntEnum):
    """What is under way to the venue."""

    SUBMIT = 1
    MODIFY = 2
    CANCEL = 3


class Action(enum.IntEnum):
    """What an order record asks for."""

    NEW = 1
    MODIFY = 2
    CANCEL = 3
    TARGET = 4


class OrderType(enum.IntEnum):
    """How an order is priced and triggered."""

    MARKET = 1
    LIMIT = 2
    STOP = 3
    STOP_LIMIT = 4
    MARKET_IF_TOUCHED = 5
    LIMIT_IF_TOUCHED = 6


class Life(enum.IntEnum):
    """How long an order works."""

    GTC = 0
    DAY = 1
    IOC = 2
    FOK = 3
    OPG = 4
    CLS = 5
