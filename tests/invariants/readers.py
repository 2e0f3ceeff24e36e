"""A strategy that reads everything it can reach, keeps what it read, and lets it decide at random.

Whatever it reads goes into the seed of its next decision, so a single digit of the future that shows
anywhere changes orders from there on.
"""

from __future__ import annotations

import hashlib
import random
from typing import Any

from ml4t.backtest import Strategy, schedule

from .markets import FRACTIONAL

ORDER_FIELDS = (
    "id client_order_id asset side order_type time_in_force status quantity filled_quantity leaves_quantity"
    " avg_fill_price limit_price stop_price is_open reason_code reason tag ts_submitted"
).split()
POSITION_FIELDS = "symbol quantity avg_price mark_price market_value unrealized_pnl realized_pnl".split()
FILL_FIELDS = "order_id side quantity price reference_price fee liquidity phase".split()


def account(broker: Any) -> list[object]:  # noqa: ANN401 - the broker of the engine
    """Return all that a broker tells."""
    positions = broker.positions
    return [
        broker.get_cash(),
        broker.get_account_value(),
        broker.buying_power,
        [[getattr(position, name) for name in POSITION_FIELDS] for position in positions.values()],
        [[getattr(order, name) for name in ORDER_FIELDS] for order in broker.open_orders],
        [[getattr(order, name) for name in ORDER_FIELDS] for order in broker.rejected_orders[-3:]],
    ]


PROBES = ("close", "alpha", "bid_price", "price", "prices.close", "minutes.close")


def market(data: Any) -> list[object]:  # noqa: ANN401 - the view of the engine
    """Return all that a view shows."""
    seen: list[object] = [data.timestamp.isoformat(), list(data), len(data), data.symbols]
    fields: dict[str, None] = {}
    for symbol in data.symbols:
        row, bar, names = data[symbol], data.get_latest_bar(symbol), data[symbol].keys()
        seen += [repr(row), names, row.fresh, row.age, str(row.ts_event), symbol in data]
        seen += [bar is None, data.get_latest_price(symbol)]
        seen += [row[name] for name in names]
        seen += [[name in row, row.get(name)] for name in PROBES]
        seen += [row["signals"].get(name) for name in ("fast", "slow", "score")]
        fields.update(dict.fromkeys(names))
        seen += [data.history(name, 3, symbol).tolist() for name in names]
    for name in fields:
        seen.append(getattr(data, name).tolist())
    return seen


class Reader(Strategy):
    """Reads everything, everywhere, and trades by what it read.

    Parameters
    ----------
    seed : int
        Of its decisions.
    warmup : int
        Sessions during which its orders are refused.
    activity : float
        How often it sends an order, 0 to 1.
    reads_all : bool
        Whether it reads everything; otherwise it only trades.
    """

    # What the engine attaches has more than the protocols promise.
    broker: Any
    data: Any

    def __init__(
        self, *, seed: int = 0, warmup: int = 0, activity: float = 0.5, reads_all: bool = True
    ) -> None:
        self.seed = seed
        self.warmup = warmup
        self.activity = activity
        self.reads_all = reads_all
        self.seen: list[tuple[int, str, str]] = []
        """Instant in ns, callback, text of everything read and of every order sent."""

    def on_start(self) -> None:
        self.schedule(lambda: self.look("timer", []), rule=schedule.session_close("-5m"))
        self.schedule(rule=schedule.every("97m"))

    def look(self, place: str, given: list[object], *, context: Any = None) -> None:  # noqa: ANN401
        """Read everything and decide."""
        seen: list[object] = (
            [given, market(self.data), account(self.broker)] if self.reads_all else [len(self.seen)]
        )
        if context is not None:
            seen.append([(name, context[name]) for name in context])
        text = repr(seen)
        now = self.data.timestamp.ns
        digest = hashlib.blake2b(f"{self.seed} {place} {text}".encode(), digest_size=8).digest()
        draw = random.Random(int.from_bytes(digest, "big"))
        # An answer to each answer would never end.
        rate = self.activity / 10 if place in ("on_order", "on_fill") else self.activity
        sent = [self.decide(draw) for _ in range(2) if draw.random() < rate]
        self.record(digest=draw.random(), sent=len(sent))
        self.seen.append((now, place, f"{text} -> {sent}"))

    def decide(self, draw: random.Random) -> str:
        """Send or cancel one order; return what was done."""
        symbol = draw.choice(self.data.symbols)
        price = self.data.get_latest_price(symbol)
        if self.broker.open_orders and draw.random() < 0.04 * len(self.broker.open_orders):
            order = draw.choice(self.broker.open_orders)
            return f"cancel {order.id} {self.broker.cancel_order(order)}"
        if price is None:
            return "nothing"
        kind = draw.random()
        if kind < 0.1:
            return repr(self.broker.order_target_percent(symbol, draw.choice([0, 0.1, 0.25])))
        if kind < 0.15:
            weights = {s: 0.2 for s in self.data.symbols if self.data.get_latest_price(s) is not None}
            return repr(self.broker.order_target_weights(weights, keep_others=draw.random() < 0.5))
        if kind < 0.2:
            return repr(self.broker.close_position(symbol))
        terms = self.terms(draw, price)
        if symbol in FRACTIONAL and draw.random() < 0.7:
            terms["quantity"] = draw.choice(["0.37", "12.00000001", 0.1])
        return repr(self.broker.submit_order(symbol, **terms))

    def terms(self, draw: random.Random, price: float) -> dict[str, object]:
        """Return quantity, side, type, prices and lifetime of a random order near a price."""
        order_type = draw.choice(["market", "limit", "stop", "stop_limit"])
        off = 0.005 if draw.random() < 0.03 else 0.0
        limit = round(max(0.01, price * draw.uniform(0.95, 1.05)) + off, 3)
        stop = round(max(0.01, price * draw.uniform(0.95, 1.05)), 2)
        return {
            "quantity": draw.choice([1, 5, 20, 100, 700]),
            "side": draw.choice(["buy", "sell"]),
            "order_type": order_type,
            "limit_price": limit if "limit" in order_type else None,
            "stop_price": stop if "stop" in order_type else None,
            "time_in_force": draw.choice(["day", "gtc"]),
            "tag": draw.choice(["", "x", "y"]),
        }

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        given = [timestamp.isoformat(), market(data), account(broker)] if self.reads_all else []
        self.look("on_data", given, context=context)

    def on_bar(self, event: Any) -> None:  # noqa: ANN401
        self.look("on_bar", [repr(event), event.feed, event.ts_open])

    def on_quote(self, event: Any) -> None:  # noqa: ANN401
        self.look("on_quote", [repr(event)])

    def on_trade(self, event: Any) -> None:  # noqa: ANN401
        self.look("on_trade", [repr(event)])

    def on_signal(self, event: Any) -> None:  # noqa: ANN401
        fields = [
            event.asset,
            event.ts_event,
            event.ts_arrival,
            event.score,
            event.model_id,
            event.confidence,
        ]
        self.look("on_signal", fields)

    def on_fill(self, event: Any) -> None:  # noqa: ANN401
        self.look("on_fill", [event.asset, event.ts_event, *(getattr(event, name) for name in FILL_FIELDS)])

    def on_order(self, event: Any) -> None:  # noqa: ANN401
        fields = [event.asset, event.ts_event, event.order_id, event.previous_status, event.status]
        self.look("on_order", [*fields, event.reason_code])

    def on_daily_close(self) -> None:
        self.look("on_daily_close", [])

    def on_rebalance_trigger(self) -> None:
        self.look("on_rebalance_trigger", [])

    def on_stop(self) -> None:
        # Where a run ends is the future; a reader that is compared up to an instant does not act on it.
        if not self.reads_all:
            self.look("on_stop", [])
